"""Models: what is calculated, against NumPy's own arithmetic and against itself."""

import numpy as np
import pytest

import slopewise as sw

ROWS = 5


def batch_of(model, rows=ROWS, seed=1):
    random = np.random.default_rng(seed)
    return tuple(random.integers(0, 2, (rows, *each.shape)).astype(np.int32) if each.integer
                 else random.standard_normal((rows, *each.shape)).astype(model.dtype) for each in model.inputs)


def mlp_loss(model, x, label):
    """The perceptron and its cross entropy, written out."""
    layers = len(model.parameters) // 2
    for i in range(1, layers + 1):
        x = x @ model.parameters[f"linear{i}.weight"].T + model.parameters[f"linear{i}.bias"]
        x = np.maximum(x, 0) if i < layers else x
    x = x - x.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(x).sum(axis=1)) - x[np.arange(len(x)), label]))


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float64", 1e-12)])
def test_a_perceptron_is_what_it_says(dtype, tolerance):
    model = sw.mlp(6, [8, 7], 3, dtype=dtype)
    x, label = batch_of(model)
    expected = mlp_loss(model, x, label)
    assert model.loss((x, label)) == pytest.approx(expected, rel=tolerance)
    assert model.loss({"label": label, "image": x}) == model.loss((x, label))
    logits = model.outputs((x,))
    assert logits.shape == (ROWS, 3) and logits.dtype == model.dtype
    assert np.array_equal(logits, model.outputs({"image": x}))
    loss, gradient = model.loss_and_gradient((x, label))
    assert loss == pytest.approx(expected, rel=tolerance)
    assert np.array_equal(gradient, model.gradient((x, label)))


def test_slopes_are_the_gradients_and_curvatures_the_slopes_own():
    model = sw.mlp(6, [8, 7], 3, dtype="float64")
    batch = batch_of(model)
    tangents = np.random.default_rng(2).standard_normal((4, model.size))
    assert model.slopes(batch, tangents) == pytest.approx(tangents @ model.gradient(batch), rel=1e-10)
    loss, slope = model.jvp(batch, tangents[0])
    assert loss == model.loss(batch) and slope == model.slopes(batch, tangents)[0]
    by_names = model.unflatten(tangents[0])
    assert model.jvp(batch, by_names) == (loss, slope)
    curvatures = model.curvatures(batch, tangents)
    step, theta = 1e-5, model.theta
    model.theta = theta + step * tangents[0]
    ahead = model.jvp(batch, tangents[0])[1]
    model.theta = theta - step * tangents[0]
    behind = model.jvp(batch, tangents[0])[1]
    assert (ahead - behind) / (2 * step) == pytest.approx(curvatures[0], rel=1e-5)


def test_the_hessians_trace_is_the_mean_of_curvatures():
    model = sw.mlp(4, [5], 3, dtype="float64")
    batch = batch_of(model)
    exact = model.curvatures(batch, np.eye(model.size)).sum()
    trace = model.hvp_trace(batch, 4096, confidence=1 - 1e-6)
    assert trace.low < exact < trace.high
    along = model.curvatures(batch, model.tangents("rademacher", 4096))
    assert trace.value == pytest.approx(along.mean(), rel=1e-9)
    assert model.hvp_trace(batch, 1).high == np.inf


@pytest.mark.parametrize("name", [name for name in sw.networks() if name not in ("deep-64x512", "baydin-cnn")])
def test_every_network_by_name(name):
    image = [12, 12, 1] if "cnn" in name else [14, 14, 1] if name == "mixer" else 36
    model = sw.network(name, image, 4)
    batch = batch_of(model, 2)
    assert np.isfinite(model.loss(batch)) and len(model.gradient(batch)) == model.size


def test_numbers_are_judged_by_squared_errors():
    model = sw.mlp(3, [4], 2, numbers=True, dtype="float64")
    x, target = batch_of(model)
    assert model.loss((x, target)) == pytest.approx(np.mean((model.outputs((x,)) - target) ** 2), rel=1e-12)


def test_parameters_go_in_and_out_by_name():
    model = sw.mlp(6, [8], 3)
    weight = np.arange(48, dtype=np.float32).reshape(8, 6)
    model.parameters["linear1.weight"] = weight
    assert np.array_equal(model.parameters["linear1.weight"], weight)
    model.parameters.update({"linear2.bias": [1, 2, 3]})
    assert model.parameters["linear2.bias"].tolist() == [1, 2, 3]
    arrays = model.unflatten(model.theta)
    assert set(arrays) == set(model.parameters) and np.array_equal(arrays["linear1.weight"], weight)
    assert np.array_equal(model.flatten(arrays), model.theta)
    model.parameters["linear1.weight"][:] = 0  # a copy
    assert np.array_equal(model.parameters["linear1.weight"], weight)
    several = model.flatten({"linear1.bias": np.ones((3, 8))})
    assert several.shape == (3, model.size) and several.sum() == 24
    with pytest.raises(KeyError):
        model.parameters["linear9.weight"]
    with pytest.raises(ValueError, match=r"\(8, 6\)"):
        model.parameters["linear1.weight"] = weight.T
    with pytest.raises(ValueError, match=r"\(8, 6\)"):
        model.flatten({"linear1.weight": weight.T})
    with pytest.raises(ValueError, match="theta"):
        model.theta = np.zeros(3)
    with pytest.raises(TypeError):
        del model.parameters["linear1.bias"]


def test_seeds_and_widths_start_from_the_same_numbers():
    one, two = sw.mlp(4, [5], 3, seed=1), sw.mlp(4, [5], 3, seed=2)
    assert not np.array_equal(one.theta, two.theta)
    assert np.array_equal(one.theta, sw.mlp(4, [5], 3, dtype="float64").theta.astype(np.float32))
