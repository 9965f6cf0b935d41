"""PyTorch's modules as models, against PyTorch's own gradients."""

import copy
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn
from torch.nn import functional as F

import slopewise as sw
from torch_models import MODELS, as_after_training


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(1)


def reference(module, x, label):
    """Outputs, loss and gradients by name, in double."""
    wide = copy.deepcopy(module).double().eval()
    y = wide(x.double() if x.is_floating_point() else x)
    loss = F.cross_entropy(y.reshape(-1, y.shape[-1]), label.reshape(-1))
    loss.backward()
    return y.detach().numpy(), float(loss), {name: each.grad.numpy() for name, each in wide.named_parameters()}


def has_parameters_of(model, module):
    return all(np.array_equal(model.parameters[name], each.detach().numpy())
               for name, each in module.named_parameters())


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.float64, 1e-8)])
def test_models_of_every_kind(name, dtype, tolerance):
    make, example = MODELS[name]
    module = make().to(dtype)
    x = example()
    x = x.to(dtype) if x.is_floating_point() else x
    model = sw.from_torch(module, x)  # as it is made: what is equal is still told apart
    assert set(model.parameters) == {name for name, _ in module.named_parameters()}
    assert model.dtype == ("float64" if dtype == torch.float64 else "float32")
    assert has_parameters_of(model, module)

    as_after_training(module)
    model = sw.from_torch(module, x)
    label = torch.randint(0, model.outputs(x).shape[-1], (len(x), *model.inputs[-1].shape))
    batch = (x, label)
    y, loss, gradient = reference(module, x, label)
    assert model.outputs(x) == pytest.approx(y, rel=tolerance, abs=tolerance * np.abs(y).max())
    assert model.loss(batch) == pytest.approx(loss, rel=tolerance)
    tangents = {name: np.random.default_rng(1).standard_normal((3, *each.shape)) for name, each in gradient.items()}
    terms = [sum((tangents[name][k] * each).sum() for name, each in gradient.items()) for k in range(3)]
    scale = np.sqrt(sum((each**2).sum() for each in gradient.values()))
    assert model.slopes(batch, tangents) == pytest.approx(terms, rel=tolerance, abs=tolerance * scale)
    own = model.unflatten(model.gradient(batch))
    assert all(own[name] == pytest.approx(each, abs=tolerance * scale) for name, each in gradient.items())

    sw.estimate(model, batch, law="rank-one", tangents=2).add_to(-1e-3)
    model.to_torch(module)
    assert has_parameters_of(model, module)
    assert model.loss(batch) == pytest.approx(reference(module, x, label)[1], rel=tolerance)


class Odd(nn.Module):
    """What is easily taken for something else."""

    def __init__(self):
        super().__init__()
        self.raw = nn.Parameter(torch.randn(4, 6))
        self.signs = nn.Parameter(torch.tensor([[1.0, -1.0], [1.0, 1.0], [-1.0, -1.0]]))
        self.frozen = nn.Linear(6, 3)
        self.frozen.requires_grad_(False)
        self.temperature = nn.Parameter(torch.tensor(2.0))
        self.unused = nn.Parameter(torch.zeros(3))
        self.register_buffer("table", torch.randn(3, 3))
        self.drop = nn.Dropout(0.5)

    def forward(self, x, mask):
        h = torch.tanh(self.drop(x @ self.raw)) * mask
        return (self.frozen(h) + self.table[0]) @ self.signs / self.temperature


def test_what_trains_is_what_asks_for_it():
    module = Odd().eval()
    module.drop.train()
    x, mask = torch.randn(3, 4), torch.rand(3, 6)
    with pytest.warns(UserWarning, match="temperature, unused"):
        model = sw.from_torch(module, (x, mask))
    assert [each.name for each in model.inputs] == ["x", "mask", "label"]
    assert set(model.parameters) == {"raw", "signs"} and model.parameters["raw"].shape == (4, 6)
    assert not module.training and module.drop.training
    assert not module._forward_hooks and not module._forward_pre_hooks

    x, mask, label = torch.randn(5, 4), torch.rand(5, 6), torch.randint(0, 2, (5,))
    expected = F.cross_entropy(module.eval()(x, mask), label)
    expected.backward()
    batch = {"x": x, "mask": mask, "label": label}
    assert model.loss(batch) == pytest.approx(float(expected), rel=1e-6)
    gradient = model.unflatten(model.gradient(batch))
    assert gradient["raw"] == pytest.approx(module.raw.grad.numpy(), rel=1e-5, abs=1e-7)
    assert gradient["signs"] == pytest.approx(module.signs.grad.numpy(), rel=1e-5, abs=1e-7)
    assert model.unflatten(model.flatten(gradient))["raw"] == pytest.approx(gradient["raw"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(sw.from_torch(module, (x, mask), train="raw").parameters) == {"raw"}


def test_losses_of_other_kinds():
    class Fit(nn.Module):
        def __init__(self):
            super().__init__()
            self.map = nn.Linear(3, 2)

        def forward(self, x):
            return self.map(x).exp().sum(dim=1, keepdim=True)

    module, x, target = Fit(), torch.randn(4, 3), torch.randn(4, 1)
    squared = sw.from_torch(module, x, loss="squared")
    assert squared.loss((x, target)) == pytest.approx(float(((module(x) - target) ** 2).mean()), rel=1e-6)
    own = sw.from_torch(module, x, loss="output")
    assert own.loss(x) == pytest.approx(float(module(x).mean()), rel=1e-6) and len(own.inputs) == 1


def test_smoothed_and_ignored_labels():
    module, x = nn.Linear(3, 4), torch.randn(5, 7, 3)
    label = torch.randint(0, 4, (5, 7))
    model = sw.from_torch(module, x, label_smoothing=0.2)
    expected = F.cross_entropy(module(x).reshape(-1, 4), label.reshape(-1), label_smoothing=0.2)
    assert model.loss((x, label)) == pytest.approx(float(expected), rel=1e-6)
    label[:, 2:4] = -100  # as many in every example, so that the means agree
    model = sw.from_torch(module, x, ignore=-100)
    expected = F.cross_entropy(module(x).reshape(-1, 4), label.reshape(-1))
    assert model.loss((x, label)) == pytest.approx(float(expected), rel=1e-6)


def test_places_are_judged_example_by_example():
    module = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 5))
    x = torch.randint(0, 9, (7, 3))
    label = torch.randint(0, 5, (7, 3))
    label[0, 1:] = label[1, 0] = -100  # examples with one, two and no labels that count, and with all
    label[2] = -100
    model = sw.from_torch(module, x, ignore=-100)
    logits = module(x).detach()
    each = [F.cross_entropy(logits[i], label[i], ignore_index=-100) for i in range(7) if i != 2]
    wrong = (logits.argmax(-1) != label)[label != -100].double().mean()
    loss, error = sw.evaluate(model, (x, label))
    assert loss == pytest.approx(float(torch.stack(each).mean()), rel=1e-5)
    assert error == pytest.approx(float(wrong))


def test_activities_of_a_module():
    module = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    x, label = torch.randn(10, 6).double(), torch.randint(0, 3, (10,))
    model = sw.from_torch(module, x)
    source = sw.Estimator(model, "activities", law="rademacher", tangents=4)
    exact = model.gradient((x, label))
    along = np.array([source.estimate((x, label)).dense() @ exact for _ in range(400)]) / (exact @ exact)
    assert abs(along.mean() - 1) < 6 * along.std() / 20 < 0.5


def test_files_keep_what_was_trained(tmp_path):
    module, x = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), torch.randn(6, 4)
    model = sw.from_torch(module, x)
    model.theta = model.theta + 1
    model.save(tmp_path / "tuned.onnx")
    again = sw.load(tmp_path / "tuned.onnx")
    assert np.array_equal(again.outputs(x), model.outputs(x))
    with pytest.raises(OSError):
        model.save(tmp_path / "nowhere" / "tuned.onnx")
    assert set(sw.load(tmp_path / "tuned.onnx", train="head").parameters) == {"2.weight", "2.bias"}
    assert np.array_equal(sw.load((tmp_path / "tuned.onnx").read_bytes()).theta, again.theta)


class Mixing(nn.Module):
    def __init__(self):
        super().__init__()
        self.map = nn.Linear(3, 2)

    def forward(self, x):
        return self.map(x - x.mean(dim=0))


class Untraceable(Mixing):
    def forward(self, x):
        raise ArithmeticError("no")


def test_what_cannot_be_taken_is_said():
    x = torch.randn(4, 3)
    with pytest.raises(ValueError, match="ReduceMean"):
        sw.from_torch(Mixing(), x)
    module = Untraceable().train()
    with pytest.raises(ArithmeticError):
        sw.from_torch(module, x)
    assert module.training and module.map.training and torch.is_grad_enabled() and not module._forward_hooks
    with pytest.raises(TypeError, match="tensors"):
        sw.from_torch(nn.Linear(3, 2), (x, 3))
    with pytest.raises(ValueError, match="CPU.*meta"):
        sw.from_torch(nn.Linear(3, 2, device="meta"), x)
    with pytest.raises(ValueError, match="nothing trains"):
        sw.from_torch(nn.Linear(3, 2).requires_grad_(False), x)

    model, other = sw.from_torch(nn.Linear(3, 2), x), nn.Linear(3, 4)
    before = other.weight.clone()
    with pytest.raises(ValueError, match=r"\(4, 3\)"):
        model.to_torch(other)
    with pytest.raises(KeyError, match="weight"):
        model.to_torch(nn.ReLU())
    assert torch.equal(other.weight, before)
