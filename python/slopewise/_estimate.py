"""Gradient estimates with their error bars, what makes them, and steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from slopewise import _slopewise

if TYPE_CHECKING:
    from slopewise._model import Batch, Model


_ESTIMATES, _STEPS = _slopewise.estimator_defaults, _slopewise.optimizer_defaults


class Interval(NamedTuple):
    """A number and the interval that holds the true one with the confidence said."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


class Demand(NamedTuple):
    """What one estimate needs beside θ and the batch: bytes of memory, bytes of packed weights, and flops."""

    bytes: int
    packed: int
    flops: float


def _require_own(estimate: GradientEstimate, model: Model, who: str) -> None:
    if estimate._model is not model:
        raise ValueError(f"{who}: expected an estimate of its own model, found one of another")


def norm_of(noise: tuple) -> Interval:
    return Interval(*(math.sqrt(square) if square >= 0 else math.nan for square in noise[:3]))


class GradientEstimate:
    """g = a m + (1/K) Σ c_k v_k, an estimate of ∇ that is not written out unless somebody asks, with its error bar. It
    keeps its model alive, and its tangents."""

    def __init__(self, core: _slopewise.Estimate, model: Model) -> None:
        self._core = core
        self._model = model

    @property
    def loss(self) -> float:
        """The loss of the batch, at the θ of the estimate."""
        return self._core.loss

    @property
    def slopes(self) -> np.ndarray:
        """The slopes ∇·v_k (K,) that it was made from; empty for an exact gradient."""
        return self._core.slopes

    @property
    def block_slopes(self) -> np.ndarray:
        """Where the estimator takes them, one slope for each weight matrix with its bias, along a tangent that is 0
        elsewhere."""
        return self._core.block_slopes

    @property
    def clipped(self) -> int:
        """How many slopes count for less than they are, as they were clipped."""
        return self._core.clipped

    @property
    def norm(self) -> Interval:
        """‖∇‖, the length of the true gradient, from the slopes alone, with its interval; NaN where the law does not tell."""
        return norm_of(self._core.noise)

    @property
    def confidence(self) -> float:
        """That of the intervals."""
        return self._core.noise[3]

    @property
    def snr(self) -> float:
        """‖∇‖² / E‖g − ∇‖², signal over noise, from the law and K: the least it can be; infinite for an exact gradient."""
        return self._core.noise[5]

    @property
    def snr_range(self) -> tuple[float, float]:
        """The least and the largest that SNR can be: a range where it depends on how ∇ is spread over the layers, or on how
        good a prior is."""
        return self._core.noise[5:7]

    @property
    def squared_norm(self) -> float:
        """‖g‖², of the estimate itself."""
        return self._core.squared_norm

    def add_to(self, factor: float) -> None:
        """θ ← θ + factor · g, without ever writing g out: a step of descent is add_to(-rate). ValueError for a factor that
        is not finite in the model's type."""
        self._model._core.add(self._core, self._model._factor(factor))

    def dense(self) -> np.ndarray:
        """g written out, (n,), in the model's type."""
        return self._core.dense()

    def arrays(self) -> dict[str, np.ndarray]:
        """g written out by the names of the parameters."""
        return self._model.unflatten(self.dense())

    def __getitem__(self, i: int) -> float:
        """Entry i of g, without the others."""
        if not -len(self) <= i < len(self):
            raise IndexError(f"entry {i} of {len(self)}")
        return self._core.entry(i % len(self))

    def __len__(self) -> int:
        return self._model.size

    def __repr__(self) -> str:
        return (f"GradientEstimate(loss={self.loss:.4g}, norm={self.norm} at {self.confidence:.0%}, snr={self.snr:.3g}, "
                f"{len(self.slopes)} slopes)")


class Estimator:
    """What makes gradient estimates of a model, and learns from them where it is of that kind.

    name: one of estimators(). law: of the tangents, one of laws(). tangents: K. seed: an estimate is a function of it, the
    step, θ, the batch and what was learned. epsilon: step of "central" and "one-sided". learning_share: γ of running means, 0 for the law's
    own. isotropic_share, subspace: of "guided". storage: where dense tangents are, "auto", "stored" or "drawn" again.
    prior, correction ("full", "gated", "none"), gate, pace, together: of "activities". exact_head: the gradient of what
    follows the last hidden layer is exact. exact_blocks: and of the last so many blocks (docs/finetuning.md). block_group,
    look_ahead: blocks that the prior "residual" takes back together, and groups that it looks ahead to. clip_slope,
    clip_quantile: slopes are clipped. auto_rate: find the learning rate.
    rank, hold: of the law "low-rank", the columns of its factors and the steps for which one of them is kept.
    per_deviation: of "one-sided", estimates over the standard deviation of their slopes (FZOO).
    docs/train.md says more of each, slopewise/estimate/estimator.hpp gives formulas and sources.

    ValueError for an unknown name, or options that do not fit each other or the model.
    """

    def __init__(self, model: Model, name: str = "forward", *, law: str = _ESTIMATES["law"],
                 tangents: int = _ESTIMATES["tangents"], seed: int = _ESTIMATES["seed"],
                 epsilon: float = _ESTIMATES["epsilon"], learning_share: float = _ESTIMATES["learning_share"],
                 isotropic_share: float = _ESTIMATES["isotropic_share"], subspace: int = _ESTIMATES["subspace"],
                 storage: str = "auto", prior: str = _ESTIMATES["prior"], correction: str = "full",
                 gate: float = _ESTIMATES["gate"], pace: float = _ESTIMATES["pace"],
                 block_group: int = _ESTIMATES["block_group"], look_ahead: int = _ESTIMATES["look_ahead"],
                 together: bool = _ESTIMATES["together"], exact_head: bool | None = None,
                 exact_blocks: int | None = None,
                 clip_slope: float = _ESTIMATES["clip_slope"], clip_quantile: float = _ESTIMATES["clip_quantile"],
                 auto_rate: bool = False, rank: int = _ESTIMATES["rank"], hold: int = _ESTIMATES["hold"],
                 per_deviation: bool = False) -> None:
        self._model = model
        self.name, self.law, self.tangents, self.seed = name, law, tangents, seed
        self._core = _slopewise.Estimator(
            model._core, name, law=law, tangents=tangents, seed=seed, epsilon=epsilon, learning_share=learning_share,
            isotropic_share=isotropic_share, subspace=subspace, storage=storage, prior=prior, correction=correction,
            gate=gate, pace=pace, block_group=block_group, look_ahead=look_ahead, together=together,
            exact_head=exact_head, exact_blocks=exact_blocks, clip_slope=clip_slope,
            clip_quantile=clip_quantile, auto_rate=auto_rate, rank=rank, hold=hold, per_deviation=per_deviation)
        self._step = 0

    @property
    def slopes(self) -> int:
        """Forward passes with a tangent that an estimate takes."""
        return self._core.slopes

    @property
    def losses(self) -> int:
        """Forward passes without a tangent that it takes beside them."""
        return self._core.losses

    @property
    def rate(self) -> float | None:
        """The learning rate for the step along the last estimate learned, where the estimator knows one; 0 before."""
        return self._core.rate

    def demand(self, rows: int) -> Demand:
        """What an estimate on a batch of so many examples needs, by the passes it runs."""
        return Demand(*self._core.demand(rows))

    def estimate(self, batch: Batch = None, step: int | None = None, *, in_place: bool = False) -> GradientEstimate:
        """The estimate at θ. step: which tangents; None: the next after those before. in_place: estimators by differences
        of losses move θ itself, which is then back within rounding, and need no copy of it."""
        if step is None:
            step = self._step
        found = GradientEstimate(self._core.estimate(batch, step, in_place), self._model)
        self._step = step + 1
        return found

    def learn(self, estimate: GradientEstimate, pace: float = 1) -> None:
        """Takes the last estimate into what is remembered for later ones. pace: the share of the full pace at which priors
        of activities learn. ValueError for an estimate of another model."""
        _require_own(estimate, self._model, "learn")
        self._core.learn(estimate._core, pace)


class Optimizer:
    """From a gradient to a step on θ.

    name: one of optimizers(). momentum, beta1, beta2, epsilon: of the methods that have them. weight_decay: λ ≥ 0.
    clip_norm: a gradient that is longer is shortened to it. slopewise/optimize/optimizer.hpp gives formulas and sources.
    """

    def __init__(self, model: Model, name: str = "sgd", *, momentum: float = _STEPS["momentum"],
                 beta1: float = _STEPS["beta1"], beta2: float = _STEPS["beta2"], epsilon: float = _STEPS["epsilon"],
                 weight_decay: float = _STEPS["weight_decay"], clip_norm: float = _STEPS["clip_norm"]) -> None:
        self._model = model
        self.name = name
        self._core = _slopewise.Optimizer(model._core, name, momentum=momentum, beta1=beta1, beta2=beta2,
                                          epsilon=epsilon, weight_decay=weight_decay, clip_norm=clip_norm)

    @property
    def steps(self) -> int:
        """Steps taken so far."""
        return self._core.steps

    def step(self, gradient: GradientEstimate | np.ndarray, rate: float) -> None:
        """One step of the learning rate `rate` down an estimate, or down a vector (n,) or arrays by names. FloatingPointError,
        before anything is changed, for one that is not finite; ValueError for an estimate of another model."""
        if isinstance(gradient, GradientEstimate):
            _require_own(gradient, self._model, "step")
            self._core.step(gradient._core, rate)
        else:
            self._core.step(self._model._tangents(gradient), rate)

    def step_along(self, estimate: GradientEstimate, batch: Batch = None, share: float = 1) -> float:
        """One step down an estimate at a rate that needs no search, which is returned: that by which the loss of `batch`,
        the one the estimate was made at, falls fastest along the step, from its slope and curvature there, by running means
        over these calls; a third of it for what is made of slopes; its first twenty calls take no more than a twentieth of the loss off. `share`: of it, as a schedule from 1 down has it. A rate of 0 where
        steps lead upwards. ValueError for functions, which have no second-order terms, and as step() does; FloatingPointError
        for what is not finite. slopewise/optimize/step_rate.hpp has formulas and sources."""
        _require_own(estimate, self._model, "step_along")
        if not self._model.inputs:
            raise ValueError("step_along: expected a network; of a function there are values alone, and no curvature")
        if not share >= 0:
            raise ValueError(f"share: expected a number from 0 on, found {share}")
        return self._core.step_along(estimate._core, batch, share)


def schedule(name: str, rate: float, *, final_rate: float = 0, steps: int = 0,
             warm_up: int = 0) -> Callable[[int], float]:
    """The learning rate as a function of the step, by one of schedules(): "constant"; "exponential" and "cosine", from
    `rate` to `final_rate` at step `steps`; the first `warm_up` steps rise to it. ValueError for options that do not fit."""
    return _slopewise.schedule_rates(name, rate, final_rate, steps, warm_up)


def estimate(model: Model, batch: Batch = None, *, estimator: str = "forward", law: str = "gaussian", tangents: int = 1,
             seed: int = 1, step: int | None = None, **options: Any) -> GradientEstimate:
    """An estimate of the gradient of a model's loss on a batch, from `tangents` slopes along tangents of a law, with its
    error bar: the forward gradient (Baydin et al. 2022), or another of estimators().

    step: which tangents; None: others with each call, the i-th estimate of a model taking those of step i. Further
    options are Estimator's; use one of those for estimators that learn.
    """
    if step is None:
        step = next(model._steps)
    return Estimator(model, estimator, law=law, tangents=tangents, seed=seed, **options).estimate(batch, step)
