"""Zeroth-order methods of others against their papers' recursions, written out in NumPy along the same draws: 20 steps, to
the rounding of doubles over ε."""

import numpy as np
import pytest

import slopewise as sw

RANDOM = np.random.default_rng(7)
X = RANDOM.standard_normal((24, 9))
Y = (np.abs(X[:, 0]) + X[:, 1] > 1).astype(np.int64) + (X[:, 2] > 0.5)
STEPS, SEED, EPSILON = 20, 5, 1e-3


@pytest.fixture
def model():
    return sw.mlp(9, [12, 7], 3, dtype="float64")


def loss_of(model):
    """Mean cross-entropy of a rectified perceptron, as a function of θ."""
    def loss(theta):
        arrays = list(model.unflatten(theta).values())
        h = X
        for layer in range(0, len(arrays), 2):
            h = h @ arrays[layer].T + arrays[layer + 1]
            if layer + 2 < len(arrays):
                h = np.maximum(h, 0)
        h = h - h.max(axis=1, keepdims=True)
        return -np.mean(h[np.arange(len(Y)), Y] - np.log(np.exp(h).sum(axis=1)))
    return loss


def trained(model, rate, optimizer="sgd", **options):
    """θ after each of the steps that training takes."""
    estimator = sw.Estimator(model, seed=SEED, **options)
    stepper = sw.Optimizer(model, optimizer)
    path = []
    for _ in range(STEPS):
        stepper.step(estimator.estimate((X, Y), in_place=True), rate)
        path.append(model.theta)
    return np.array(path)


def agree(found, expected):
    assert np.abs(found[-1] - found[0]).max() > 1e-3  # they went somewhere
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_the_network_is_the_same(model):
    assert loss_of(model)(model.theta) == pytest.approx(model.loss((X, Y)), rel=1e-13)


def test_mezo(model):
    """Malladi et al. 2023, arXiv 2305.17333, algorithm 1."""
    loss, theta, rate, expected = loss_of(model), model.theta, 1e-2, []
    for step in range(STEPS):
        z = model.tangents("gaussian", seed=SEED, step=step)[0]
        theta = theta + EPSILON * z
        ahead = loss(theta)
        theta = theta - 2 * EPSILON * z
        behind = loss(theta)
        theta = theta + EPSILON * z
        theta = theta - rate * (ahead - behind) / (2 * EPSILON) * z
        expected.append(theta)
    agree(trained(model, rate, name="central", epsilon=EPSILON), expected)


def test_fzoo(model):
    """Dang et al. 2025, arXiv 2506.09034: one-sided, N Rademacher perturbations, the step over the losses' deviation."""
    loss, theta, rate, count, expected = loss_of(model), model.theta, 1e-2, 8, []
    for step in range(STEPS):
        u = model.tangents("rademacher", count, seed=SEED, step=step)
        base = loss(theta)
        losses = np.array([loss(theta + EPSILON * each) for each in u])
        sigma = np.sqrt(((losses - losses.mean()) ** 2).sum() / (count - 1))
        theta = theta - rate * ((losses - base) @ u) / (count * sigma)
        expected.append(theta)
    agree(trained(model, rate, name="one-sided", law="rademacher", tangents=count, epsilon=EPSILON, per_deviation=True),
          expected)


def test_lozo(model):
    """Chen et al. 2024, arXiv 2410.07698, algorithm 1: X ± ε U Vᵀ with V kept for ν steps, then X −= η c U Vᵀ/r. The law's
    matrices are U Vᵀ/√r, so that the run's ε is √r times the paper's. Biases, which the paper moves by ε z beside matrices
    of √r times the size, are on the matrices' scale, as in the law: θ is moved along one tangent with E[vvᵀ] = I."""
    loss, theta, rate, rank, hold, expected = loss_of(model), model.theta, 1e-2, 2, 5, []
    for step in range(STEPS):
        uv = np.sqrt(rank) * model.tangents("low-rank", seed=SEED, step=step, rank=rank, hold=hold)[0]
        c = (loss(theta + EPSILON * uv) - loss(theta - EPSILON * uv)) / (2 * EPSILON)
        theta = theta - rate * c * uv / rank
        expected.append(theta)
    agree(trained(model, rate, name="central", law="low-rank", rank=rank, hold=hold, epsilon=EPSILON * np.sqrt(rank)),
          expected)


def test_lozo_keeps_its_right_factor():
    model = sw.mlp(9, [12, 7], 3, dtype="float64")
    rows = [model.unflatten(model.tangents("low-rank", seed=SEED, step=step, rank=2, hold=5)[0]) for step in range(11)]
    weight = next(iter(rows[0]))
    ranks = [np.linalg.matrix_rank(np.vstack([rows[a][weight], rows[b][weight]]), tol=1e-4)
             for a, b in ((0, 0), (0, 4), (4, 5), (5, 9), (9, 10))]
    assert ranks == [2, 2, 4, 2, 4]


def test_eggroll(model):
    """Sarkar et al. 2025, arXiv 2511.16652, algorithm 1, with a population of antithetic pairs: M += (α/N) Σ E_i f_i,
    E = A Bᵀ/√r, f the fitness at M + σ E, here minus the loss. The run's rate is α σ."""
    loss, theta, sigma, alpha, pairs, expected = loss_of(model), model.theta, 1e-2, 1.0, 6, []
    for step in range(STEPS):
        e = model.tangents("low-rank", pairs, seed=SEED, step=step, rank=1)
        population = np.concatenate([e, -e])
        fitness = np.array([-loss(theta + sigma * each) for each in population])
        theta = theta + alpha / len(population) * fitness @ population
        expected.append(theta)
    agree(trained(model, alpha * sigma, name="central", law="low-rank", rank=1, tangents=pairs, epsilon=sigma), expected)


def test_spsa_with_adam(model):
    """Spall 1992, with Kingma & Ba's Adam in place of its gain sequence."""
    loss, theta, rate, expected = loss_of(model), model.theta, 1e-3, []
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    for step in range(STEPS):
        delta = model.tangents("rademacher", seed=SEED, step=step)[0]
        g = (loss(theta + EPSILON * delta) - loss(theta - EPSILON * delta)) / (2 * EPSILON) / delta
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        theta = theta - rate * (m / (1 - 0.9 ** (step + 1))) / (np.sqrt(v / (1 - 0.999 ** (step + 1))) + 1e-8)
        expected.append(theta)
    agree(trained(model, rate, "adam", name="central", law="rademacher", epsilon=EPSILON), expected)


def test_moving_in_place_costs_rounding_alone():
    """Of a thousand estimates in float32: three moves each, of at most half a unit in the last place."""
    model = sw.mlp(9, [40, 40], 3)
    before = model.theta.astype(np.float64)
    estimator = sw.Estimator(model, "central", epsilon=EPSILON)
    for _ in range(1000):
        estimator.estimate((X.astype(np.float32), Y), in_place=True)
    drift = np.abs(model.theta - before) / np.spacing(np.maximum(np.abs(before), 4 * EPSILON).astype(np.float32))
    assert 0 < np.sqrt(np.mean(drift ** 2)) < 2 * np.sqrt(1000 / 2)
    after = model.theta
    estimator.estimate((X.astype(np.float32), Y))
    assert np.array_equal(model.theta, after)
