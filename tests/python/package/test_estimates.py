"""Estimates and their error bars, estimators and optimizers by every name, draws bit for bit, functions and minimize."""

import math

import numpy as np
import pytest

import slopewise as sw
from test_models import batch_of


@pytest.fixture
def model():
    return sw.mlp(6, [8, 7], 3, dtype="float64")


def philox(counter, key):
    """Philox4x32-10 (Salmon et al. 2011), in Python's integers."""
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    c0, c1, c2, c3 = counter
    for _ in range(10):
        first, second = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (second >> 32) ^ c1 ^ k0, second & 0xFFFFFFFF, (first >> 32) ^ c3 ^ k1, first & 0xFFFFFFFF
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c0, c1, c2, c3


def sign(seed, step, stream, entry):
    """Entry of a Rademacher tangent, as slopewise/tensor/random.hpp lays the words out."""
    group, rest = divmod(entry, 2048)
    word = philox((16 * group + rest % 16, 0, step, stream), seed)[rest // 512]
    return -1 if word >> (rest % 512 // 16) & 1 else 1


def test_draws_are_a_function_of_seed_step_and_index():
    drawn = sw.tangents([(40, 60), (77,)], "rademacher", 3, seed=2**63 + 5, step=9)
    expected = [[sign(2**63 + 5, 9, k, i) for i in range(2477)] for k in range(3)]
    assert drawn.dtype == np.float32 and np.array_equal(drawn, np.array(expected, np.float32))


@pytest.mark.parametrize("law", list(sw.laws()))
def test_tangents_of_shapes_are_those_of_a_model_of_these_shapes(law, model):
    estimate = sw.estimate(model, batch_of(model), law=law, tangents=4, seed=3, step=5)
    drawn = model.tangents(law, 4, seed=3, step=5)
    assert estimate.slopes == pytest.approx(drawn @ model.gradient(batch_of(model)), rel=1e-9, abs=1e-12)
    assert estimate.dense() == pytest.approx(estimate.slopes @ drawn / 4, rel=1e-9, abs=1e-12)
    f = sw.function(lambda x: 0.0, np.zeros(50))
    assert np.array_equal(f.tangents(law, 4, seed=3, step=5),
                          sw.tangents([(50,)], law, 4, seed=3, step=5, dtype="float64"))


def test_an_estimate_says_what_it_is(model):
    batch = batch_of(model)
    g = sw.estimate(model, batch, tangents=6)
    assert g.loss == model.loss(batch) and len(g.slopes) == 6 and len(g) == model.size
    assert g.norm.value == pytest.approx(math.sqrt(np.mean(g.slopes**2)))
    assert 0 < g.norm.low < g.norm.value < g.norm.high and g.confidence == 0.95
    assert g.snr == pytest.approx(6 / (model.size + 1)) and g.snr_range == (g.snr, g.snr)
    assert g.squared_norm == pytest.approx(np.sum(g.dense() ** 2))
    assert g[3] == pytest.approx(g.dense()[3]) and g[-1] == pytest.approx(g.dense()[-1])
    assert np.array_equal(g.arrays()["linear1.bias"], model.unflatten(g.dense())["linear1.bias"])
    assert f"{g.loss:.4g}" in repr(g)
    with pytest.raises(IndexError):
        g[model.size]
    theta = model.theta
    g.add_to(-0.5)
    assert model.theta == pytest.approx(theta - 0.5 * g.dense(), rel=1e-12)
    model.add(g.arrays(), 0.5)
    assert model.theta == pytest.approx(theta, rel=1e-12)


def test_the_interval_holds_the_true_norm(model):
    batch = batch_of(model)
    norm = np.linalg.norm(model.gradient(batch))
    hits = sum(g.norm.low <= norm <= g.norm.high
               for g in (sw.estimate(model, batch, tangents=4, step=step) for step in range(2000)))
    assert abs(hits / 2000 - 0.95) < 0.025  # five standard deviations


def test_estimates_go_on_from_step_to_step(model):
    batch = batch_of(model)
    first, second = sw.estimate(model, batch), sw.estimate(model, batch)
    assert first.slopes != second.slopes
    assert second.slopes == sw.estimate(model, batch, step=1).slopes
    source = sw.Estimator(model)
    assert [source.estimate(batch).slopes[0] for _ in range(2)] == [first.slopes[0], second.slopes[0]]


@pytest.mark.parametrize("name", list(sw.estimators()))
def test_every_estimator_by_name(name, model):
    batch = batch_of(model)
    options = {"prior": "running"} if name == "activities" and "running" in sw.priors() else {}
    law = "rank-one" if name == "input-span" else "gaussian"
    source = sw.Estimator(model, name, law=law, tangents=2, **options)
    for _ in range(2):
        g = source.estimate(batch)
        source.learn(g)
    # The mean of losses on both sides of θ is off by ε²/2 vᵀHv.
    within = 1e-3 if name == "central" else 1e-6
    assert np.isfinite(g.dense()).all() and g.loss == pytest.approx(model.loss(batch), rel=within)
    assert source.demand(7).bytes > 0 and source.slopes + source.losses >= 0
    if name == "exact":
        assert g.snr == math.inf and g.dense() == pytest.approx(model.gradient(batch))


def test_exact_blocks_are_exact(model):
    batch = batch_of(model)
    truth, found = (model.unflatten(g) for g in (
        model.gradient(batch), sw.Estimator(model, "forward", tangents=2, exact_blocks=0).estimate(batch).dense()))
    names = list(truth)
    assert all(found[name] == pytest.approx(truth[name]) for name in names[-2:])
    assert found[names[0]] != pytest.approx(truth[names[0]])
    with pytest.raises(ValueError, match="exact blocks: expected 0 to"):
        sw.Estimator(model, exact_blocks=99)
    with pytest.raises(ValueError, match="add to what they read"):
        sw.Estimator(model, "activities", law="rademacher", tangents=2, prior="residual", block_group=2)


@pytest.mark.parametrize("name", list(sw.optimizers()))
def test_every_optimizer_by_name(name, model):
    batch = batch_of(model, 20)
    optimizer, before = sw.Optimizer(model, name), model.loss(batch)
    rate = sw.schedule("cosine", 0.05, steps=40)
    for step in range(20):
        optimizer.step(model.gradient(batch), rate(step))
    optimizer.step(sw.estimate(model, batch, estimator="exact"), rate(20))
    assert optimizer.steps == 21 and model.loss(batch) < before
    theta = model.theta
    with pytest.raises(FloatingPointError):
        optimizer.step(np.full(model.size, np.nan), 0.1)
    assert np.array_equal(model.theta, theta)


def rosenbrock(x):
    return np.sum(100 * (x[..., 1:] - x[..., :-1] ** 2) ** 2 + (1 - x[..., :-1]) ** 2, axis=-1)


def test_slopes_of_a_function_are_its_own():
    theta = np.array([0.3, -0.2, 0.5])
    exact = np.array([(rosenbrock(theta + d) - rosenbrock(theta - d)) / 2e-6 for d in np.eye(3) * 1e-6])
    one, many = sw.function(rosenbrock, theta), sw.function(rosenbrock, theta, vectorised=True)
    for f in (one, many):
        g = sw.estimate(f, law="rademacher", tangents=3, step=2)
        assert g.loss == rosenbrock(theta)
        assert g.slopes == pytest.approx(f.tangents("rademacher", 3, step=2) @ exact, rel=1e-6)
    assert sw.estimate(one, tangents=3, step=2).slopes == pytest.approx(sw.estimate(many, tangents=3, step=2).slopes)
    with pytest.raises(ValueError, match="exact gradient"):
        one.gradient()
    with pytest.raises(ValueError):
        one.outputs(None)


@pytest.mark.parametrize("vectorised", [False, True])
def test_minimize(vectorised):
    calls = []
    f = (lambda x: calls.append(len(x)) or rosenbrock(x)) if vectorised else (lambda x: calls.append(1) or rosenbrock(x))
    found = sw.minimize(f, [0.0, 0.0], rate=0.1, steps=800, vectorised=vectorised)
    assert found.success and found.status == 0 and found.fun < 0.02 < rosenbrock(np.zeros(2))
    assert found.fun == rosenbrock(found.x) and found.nit == 800 and found.nfev == sum(calls)
    assert "norm" in dir(found) and found["x"] is found.x and "success: True" in repr(found)


def test_minimize_stops_where_it_may():
    def square(x):
        return float(np.sum(x**2))

    found = sw.minimize(square, np.ones(4), rate=0.1, steps=500, tol=1e-2)
    assert found.success and found.nit < 500 and 2 * np.linalg.norm(found.x) <= 1e-2
    missed = sw.minimize(square, np.ones(4), rate=1e-6, steps=5, tol=1e-2)
    assert not missed.success and missed.status == 1 and missed.nit == 5

    def stop(result):
        if result.nit == 3:
            raise StopIteration

    stopped = sw.minimize(square, np.ones(4), callback=stop)
    assert stopped.status == 99 and stopped.nit == 3 and stopped.fun == square(stopped.x)
    lost = sw.minimize(lambda x: square(x) if x[0] > 0.5 else math.nan, np.ones(4), rate=0.1)
    assert lost.status == 2 and not lost.success and np.isfinite(lost.x).all() and "nan" in lost.message
    own = sw.function(square, np.ones(4))
    found = sw.minimize(own, rate=0.1, steps=50)
    assert np.array_equal(found.x, own.theta) and found.nfev == own.evaluations
    with pytest.raises(ValueError, match="x0"):
        sw.minimize(own, np.ones(4))
    shifted = sw.minimize(lambda x, by: square(x - by), np.zeros(2), (2.0,), rate=0.1, steps=300)
    assert shifted.x == pytest.approx([2, 2], abs=0.05)
