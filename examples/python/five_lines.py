"""From a PyTorch module to a forward gradient with its error bar; without PyTorch, from a perceptron."""

import numpy as np

import slopewise as sw

random = np.random.default_rng(1)
x, y = random.standard_normal((64, 20), np.float32), random.integers(0, 5, 64)

try:
    import torch

    torch.manual_seed(1)
    module = torch.nn.Sequential(torch.nn.Linear(20, 128), torch.nn.GELU(), torch.nn.Linear(128, 5))
    model = sw.from_torch(module, torch.from_numpy(x))
except ImportError:
    model = sw.mlp(20, [128], 5)

g = sw.estimate(model, (x, y), law="rank-one", tangents=64)
print(f"loss {g.loss:.4f}, length of the gradient {g.norm} at 95 %, signal over noise {g.snr:.2g}")
g.add_to(-1e-2)

# The exact gradient, cheap here, shows whether the interval keeps its word.
assert g.norm.low < np.linalg.norm(model.gradient((x, y))) < g.norm.high
