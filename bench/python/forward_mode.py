"""K slopes through the Python package beside PyTorch's forward mode: the same modules, batch and tangents, one thread,
interleaved. OPENBLAS_CORETYPE=Cooperlake ./run python bench/python/forward_mode.py [BATCH [TANGENTS [ROUNDS]]]"""

import kept_memory

import statistics
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch._vmap_internals import _vmap
from torch.autograd import forward_ad
from torch.nn import functional as F

import slopewise as sw

sys.path.append(str(Path(__file__).parents[2] / "tests" / "onnx"))
from torch_models import resnet20


class Kwt1(nn.Module):
    """The keyword transformer KWT-1 (Berg et al. 2021, arXiv 2104.00769): 607,308 parameters."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(40, 64)
        self.token = nn.Parameter(torch.randn(1, 1, 64) * 0.1)
        self.positions = nn.Parameter(torch.randn(1, 99, 64) * 0.1)
        self.qkv = nn.ModuleList([nn.Linear(64, 192, bias=False) for _ in range(12)])
        self.out = nn.ModuleList([nn.Linear(64, 64) for _ in range(12)])
        self.up = nn.ModuleList([nn.Linear(64, 256) for _ in range(12)])
        self.down = nn.ModuleList([nn.Linear(256, 64) for _ in range(12)])
        self.norms = nn.ModuleList([nn.LayerNorm(64) for _ in range(24)])
        self.head = nn.Linear(64, 12)

    def forward(self, x):
        x = torch.cat([self.token.expand(x.shape[0], 1, 64), self.embed(x)], dim=1) + self.positions
        for i in range(12):
            q, k, v = self.qkv[i](x).split(64, dim=2)
            mixed = F.softmax(q @ k.transpose(1, 2) / 8, dim=2) @ v
            x = self.norms[2 * i](x + self.out[i](mixed))
            x = self.norms[2 * i + 1](x + self.down[i](F.gelu(self.up[i](x), approximate="tanh")))
        return self.head(x[:, 0])


def torch_slopes(module, x, label, tangents, batched):
    """Slopes by PyTorch's forward mode: all tangents in one pass by its vmap, or a pass for each."""
    own = [(holder, name, each) for holder in module.modules() for name, each in holder._parameters.items()
           if each is not None]

    def along(*parts):
        for (holder, name, each), part in zip(own, parts):
            holder._parameters[name] = forward_ad.make_dual(each.detach(), part)
        slope = forward_ad.unpack_dual(F.cross_entropy(module(x), label)).tangent
        for holder, name, each in own:
            holder._parameters[name] = each
        return slope

    with torch.no_grad(), forward_ad.dual_level():
        if batched:
            return _vmap(along)(*tangents).tolist()
        return [float(along(*(part[k] for part in tangents))) for k in range(len(tangents[0]))]


def measure(name, module, x, count, rounds):
    module.eval()
    model = sw.from_torch(module, x)
    label = torch.randint(0, model.outputs(x[:1]).shape[-1], (len(x),))
    flat = model.tangents("gaussian", count)
    arrays = model.unflatten(flat)
    parts = [torch.from_numpy(arrays[each].copy()) for each, _ in module.named_parameters()]
    ways = {"PyTorch": lambda: torch_slopes(module, x, label, parts, batched=False),
            "vmap": lambda: torch_slopes(module, x, label, parts, batched=True),
            "slopes": lambda: model.slopes((x, label), flat),
            "estimate": lambda: sw.estimate(model, (x, label), law="rank-one", tangents=count, step=0)}
    exact, own = ways["PyTorch"](), ways["slopes"]()
    assert all(abs(a - b) < 1e-3 * max(map(abs, exact)) for a, b in zip(exact, own)), (exact, own)
    seconds = {way: [] for way in ways}
    for _ in range(rounds):
        for way, call in ways.items():
            start = time.perf_counter()
            call()
            seconds[way].append(time.perf_counter() - start)
    median = {way: statistics.median(taken) for way, taken in seconds.items()}
    best = min(median["PyTorch"], median["vmap"])
    print(f"{name}: n = {model.size}, batch {len(x)}, {count} tangents: PyTorch {median['PyTorch']:.3f} s, its vmap "
          f"{median['vmap']:.3f} s; over the quicker: {median['slopes'] / best:.3f} along the same dense "
          f"tangents, {median['estimate'] / best:.3f} an estimate along rank-one ones", flush=True)


batch, count, rounds = (int(each) for each in (sys.argv[1:] + ["64", "8", "5"][len(sys.argv) - 1:]))
torch.manual_seed(1)
torch.set_num_threads(1)
sw.set_threads(1)
measure("KWT-1", Kwt1(), torch.randn(batch, 98, 40), count, rounds)
measure("ResNet-20", resnet20(), torch.randn(batch, 3, 32, 32), count, rounds)
