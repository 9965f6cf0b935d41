"""The optimizer of PyTorch's: the library's draws, slopes of both kinds, steps."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn
from torch.nn import functional as F

import slopewise as sw
from slopewise.torch import ForwardGradient


@pytest.fixture
def task():
    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(6, 20), nn.Tanh(), nn.LayerNorm(20), nn.Linear(20, 3)).double()
    x, y = torch.randn(16, 6).double(), torch.randint(0, 3, (16,))
    return module, x, y, lambda: F.cross_entropy(module(x), y)


@pytest.mark.parametrize("law", ["rademacher", "gaussian", "uniform"])
@pytest.mark.parametrize("exact", [False, True])
def test_slopes_are_the_librarys(law, exact, task):
    module, x, y, closure = task
    model = sw.from_torch(module, x)
    optimizer = ForwardGradient(module.parameters(), lr=0.1, tangents=5, law=law, seed=7,
                                module=module if exact else None, epsilon=1e-5)
    for step in range(2):
        own = model.tangents(law, 5, seed=7, step=step)
        drawn = sw.tangents([p.shape for p in module.parameters()], law, 5, seed=7, step=step, dtype="float64")
        assert np.array_equal(drawn, own)
        estimate = sw.estimate(model, (x, y), law=law, tangents=5, seed=7, step=step)
        loss = optimizer.step(closure)
        assert float(loss) == pytest.approx(estimate.loss, rel=1e-8) and not loss.requires_grad
        assert optimizer.slopes == pytest.approx(estimate.slopes, rel=1e-7, abs=1e-7)
        assert optimizer.norm == pytest.approx(estimate.norm, rel=1e-7) and optimizer.snr == estimate.snr
        estimate.add_to(-0.1)
        after = model.unflatten(model.theta)
        for name, each in module.named_parameters():
            assert after[name] == pytest.approx(each.detach().numpy(), abs=1e-6)
    assert list(dict(module.named_parameters())) == list(model.parameters)


def test_forward_mode_goes_on_without_vmap(task):
    module, x, y, closure = task

    def branching():
        loss = closure()
        return loss if loss.item() > 0 else -loss  # vmap has no numbers to look at

    slopes = []
    for each in (closure, branching):
        optimizer = ForwardGradient(module.parameters(), lr=1e-12, tangents=3, module=module)
        optimizer.step(each)
        slopes.append(optimizer.slopes)
    assert slopes[0] == pytest.approx(slopes[1], rel=1e-9)


@pytest.mark.parametrize("exact", [False, True])
def test_it_trains(exact, task):
    module, x, y, closure = task
    before = float(closure())
    adam = torch.optim.Adam(module.parameters(), lr=0.01)
    optimizer = ForwardGradient(module.parameters(), tangents=16, optimizer=adam, module=module if exact else None)
    for _ in range(60):
        optimizer.step(closure)
    assert float(closure()) < 0.7 * before and all(each.requires_grad for each in module.parameters())


def test_random_numbers_are_the_same_along_a_step(task):
    _, x, y, _ = task
    module = nn.Sequential(nn.Linear(6, 20), nn.Dropout(0.5), nn.Linear(20, 3)).double()
    seen = []

    def closure():
        loss = F.cross_entropy(module(x), y)
        seen.append(float(loss))
        return loss

    optimizer = ForwardGradient(module.parameters(), lr=1e-9, tangents=2, epsilon=1e-7)
    optimizer.step(closure)
    assert max(seen) - min(seen) < 1e-5
    first = seen[-1]
    optimizer.step(closure)
    assert abs(seen[-1] - first) > 1e-3


def test_states_go_on(task):
    module, x, y, closure = task
    start = {name: each.clone() for name, each in module.state_dict().items()}

    def steps(optimizer, count):
        for _ in range(count):
            optimizer.step(closure)

    one = ForwardGradient(module.parameters(), lr=0.1)
    steps(one, 2)
    state, half = one.state_dict(), {name: each.clone() for name, each in module.state_dict().items()}
    steps(one, 1)
    expected = module[0].weight.clone()
    module.load_state_dict(start)
    module.load_state_dict(half)
    other = ForwardGradient(module.parameters(), lr=0.5)
    other.load_state_dict(state)
    steps(other, 1)
    assert torch.equal(module[0].weight, expected)


def test_what_is_wrong_is_said(task):
    module, x, y, closure = task
    for options in ({"lr": 0}, {"epsilon": 0}, {"law": "gausian"}, {"tangents": 0}):
        with pytest.raises(ValueError):
            ForwardGradient(module.parameters(), **options)
    with pytest.raises(ValueError):
        ForwardGradient([nn.Parameter(torch.zeros(3), requires_grad=False)])
    with pytest.raises(ValueError, match="CPU.*meta"):
        ForwardGradient(nn.Linear(2, 2, device="meta").parameters())
    with pytest.raises(ValueError, match="module"):
        ForwardGradient(module.parameters(), module=nn.Linear(2, 2)).step(closure)
    before = module[0].weight.clone()
    for each in (None, module):
        optimizer = ForwardGradient(module.parameters(), module=each)
        with pytest.raises(FloatingPointError):
            optimizer.step(lambda: closure() * float("nan"))
        with pytest.raises(ArithmeticError):
            optimizer.step(lambda: (_ for _ in ()).throw(ArithmeticError("no")))
        assert torch.equal(module[0].weight, before) and module[0].weight.requires_grad
