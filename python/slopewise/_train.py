"""Training on arrays and iterables of batches, and what a run was."""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import numpy as np

from slopewise import _slopewise
from slopewise._estimate import Estimator, GradientEstimate, Optimizer, schedule as schedule_of
from slopewise._events import EventWriter
from slopewise._model import Batch, Model
from slopewise._progress import Bar
from slopewise._report import Result, about, table


class TrainingRun(Result):
    """What train did: `metrics`, one dict a logged step (step, epoch, seconds, loss, rate, step_ms, gradient_norm with
    _low and _high); `curve`, one dict an evaluation (step, epoch, seconds, train_loss, test_loss, test_error);
    `results`, what results.json holds; `status`: "finished", "stopped", "interrupted" or "diverged". A notebook shows the
    report."""

    def __init__(self, name: str, metrics: list[dict], results: dict[str, Any]) -> None:
        super().__init__(name, results, metrics)
        self.metrics = metrics

    @property
    def status(self) -> str:
        """How the run ended."""
        return self.results["status"]

    @property
    def curve(self) -> list[dict]:
        """The evaluations."""
        return self.results["curve"]

    def to_pandas(self) -> Any:
        """The metrics as a pandas DataFrame with the step as index; ImportError without pandas."""
        return table(self.metrics, "step")

    def __repr__(self) -> str:
        last = self.metrics[-1]["loss"] if self.metrics else math.nan
        return f"TrainingRun({self.name}: {self.status} after {self.results['steps']} steps, loss {last:.4g})"


def named(model: Model, data: Mapping | tuple | list) -> dict[str, np.ndarray]:
    """Arrays by the names of the inputs, all of as many examples. ValueError for others, or for more than there are
    inputs."""
    names = [each.name for each in model.inputs]
    if not isinstance(data, Mapping) and len(data) > len(names):
        raise ValueError(f"data: the model has {len(names)} inputs, found {len(data)} arrays")
    arrays = data if isinstance(data, Mapping) else dict(zip(names, data))
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    counts = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if len(set(counts.values())) != 1:
        raise ValueError(f"data: expected arrays of as many examples, found {counts}")
    return arrays


class _Epochs:
    """Batches over and over: of arrays, each epoch in an order of its own that depends on the seed alone
    (slopewise/data/batches.hpp); or of an iterable, which is gone through once an epoch, until it gives nothing."""

    def __init__(self, model: Model, data: Any, batch: int, seed: int) -> None:
        self._data, self._arrays = data, None
        self.batch: int | None = None
        self.seed: int | None = None
        self.per_epoch: int | None = None
        if not isinstance(data, (Mapping, tuple)):
            self.per_epoch = len(data) if hasattr(data, "__len__") else None
            return
        self._arrays = named(model, data)
        count = len(next(iter(self._arrays.values())))
        self.batch, self.seed = min(batch, count), seed
        self._batches = _slopewise.Batches(count, self.batch, seed)
        self.per_epoch = self._batches.per_epoch

    def __iter__(self) -> Iterator[Batch]:
        if self._arrays is not None:
            for step in itertools.count():
                picked = self._batches.indices(step)
                yield {name: array[picked] for name, array in self._arrays.items()}
        while True:
            count = 0
            for each in self._data:
                yield tuple(each) if isinstance(each, list) else each
                count += 1
            if count == 0:
                return
            self.per_epoch = count


class _Record:
    """What is kept of a run as it goes."""

    def __init__(self, tensorboard: str | os.PathLike | None, callback: Callable[[dict], Any] | None) -> None:
        self.metrics: list[dict] = []
        self.curve: list[dict] = []
        self.steps, self.seconds, self.epoch = 0, 0.0, 0.0
        self._callback = callback
        self._writer = EventWriter(tensorboard) if tensorboard is not None else None
        self._logged: list[tuple[float, float]] = []
        self._evaluated: list[float] = []

    def step(self, loss: float, seconds: float, per_epoch: int) -> None:
        self.steps += 1
        self.seconds += seconds
        self.epoch = self.steps / per_epoch
        self._logged.append((loss, seconds))
        self._evaluated.append(loss)

    def log(self, found: GradientEstimate, rate: float) -> None:
        losses, times = zip(*self._logged)
        self._logged.clear()
        line = {"step": self.steps, "epoch": self.epoch, "seconds": self.seconds, "loss": float(np.mean(losses)),
                "rate": rate, "step_ms": 1e3 * float(np.mean(times))}
        if len(found.slopes):
            line["slope_rms"] = float(np.sqrt(np.mean(found.slopes**2)))
        for key, value in zip(("gradient_norm", "gradient_norm_low", "gradient_norm_high"), found.norm):
            if math.isfinite(value):
                line[key] = value
        self.metrics.append(line)
        if self._writer is not None:
            self._writer.add(line, self.steps)
        if self._callback is not None:
            self._callback(line)

    def judge(self, model: Model, test: Batch) -> None:
        if not self._evaluated:
            return
        loss, error = evaluate(model, test)
        self.curve.append({"step": self.steps, "epoch": self.epoch, "seconds": self.seconds,
                           "train_loss": float(np.mean(self._evaluated)), "test_loss": loss, "test_error": error})
        self._evaluated.clear()
        if self._writer is not None:
            self._writer.add({"test_loss": loss, "test_error": error}, self.steps)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


_ROWS = 256
"""Examples that are evaluated at a time."""


def evaluate(model: Model, batch: Batch) -> tuple[float, float | None]:
    """The mean loss of a batch of any number of examples, and the share of its labels that are not the largest logit's.
    Labels are judged by their cross-entropy without smoothing, the mean over an example's places, and the label that the
    model ignores counts in neither, as in `slopewise evaluate`.
    The share is None where there are no labels. ValueError where no label counts."""
    if not model.inputs:
        return model.loss(batch), None
    arrays = named(model, batch if isinstance(batch, (Mapping, tuple, list)) else (batch,))
    count = max((len(array) for array in arrays.values()), default=0)
    total, examples, wrong, judged = 0.0, 0, 0, 0
    for first in range(0, max(count, 1), _ROWS):
        rows = {name: array[first:first + _ROWS] for name, array in arrays.items()}
        loss = model.loss(rows)  # refuses what is missing or not a label
        here = len(next(iter(rows.values())))
        if not model._labels:
            total, examples = total + loss * here, examples + here
            continue
        labels = rows["label"].reshape(here, -1)
        logits = model.outputs(rows).astype(np.float64).reshape(*labels.shape, -1)
        counts = np.ones(labels.shape, bool) if model._ignored is None else labels != model._ignored
        highest = logits.max(axis=-1)
        normalisers = highest + np.log(np.exp(logits - highest[..., np.newaxis]).sum(axis=-1))
        chosen = np.take_along_axis(logits, np.where(counts, labels, 0)[..., np.newaxis].astype(np.intp), -1)[..., 0]
        places = counts.sum(axis=1)
        losses = np.where(counts, normalisers - chosen, 0).sum(axis=1)[places > 0] / places[places > 0]
        total, examples = total + float(losses.sum()), examples + losses.size
        wrong += int(((logits.argmax(axis=-1) != labels) & counts).sum())
        judged += int(places.sum())
    if examples == 0:
        raise ValueError(f"evaluate: expected labels other than {model._ignored}, which does not count")
    return total / examples, wrong / judged if model._labels else None


def train(model: Model, data: Any, *, steps: int | None = None, epochs: float = 1, batch: int = 64,
          rate: float | Literal["auto"] = 1e-2,
          schedule: str = "cosine", warm_up: int = 0, optimizer: str | Optimizer = "sgd",
          estimator: str | Estimator = "forward", law: str = "rank-one", tangents: int = 8, seed: int = 1,
          test: Batch = None, evaluate_every: float = 1, log_every: int = 10, name: str = "",
          callback: Callable[[dict], Any] | None = None, tensorboard: str | os.PathLike | None = None,
          progress: bool = True) -> TrainingRun:
    """Trains a model in place by gradient estimates, and returns what each step was worth.

    data: a tuple or dict of arrays as a batch has them, all examples, `batch` of which are drawn for a step; or an iterable
    of batches, such as a PyTorch DataLoader, gone through once an epoch. steps, or else epochs: how long.
    rate, schedule, warm_up: the learning rate, "cosine" and "exponential" down to a hundredth of it at the end; "auto":
    by Optimizer.step_along; an estimator with auto_rate has its own, times the schedule's share of `rate`. optimizer, estimator: by name, or
    objects made for the model; law, tangents: of an estimator by name. seed: of it and of the order of arrays. test: a
    batch that is judged every `evaluate_every` epochs and at the end. log_every: steps between lines of metrics.
    callback(line): called with each of them; StopIteration ends the run. tensorboard: a directory for an event file of
    the metrics. progress: a bar, tqdm's where it is installed. name: what reports call the run.

    An interruption (Ctrl-C) ends the run: the model is as trained so far, and the status says so. So does a loss that
    is not finite: "diverged", or too large for the event file. ValueError for objects of another model, as Estimator,
    Optimizer and schedule have it, and for data that do not say how many batches they have and no steps.
    """
    source = estimator if isinstance(estimator, Estimator) else Estimator(model, estimator, law=law, tangents=tangents,
                                                                          seed=seed)
    stepper = optimizer if isinstance(optimizer, Optimizer) else Optimizer(model, optimizer)
    for what, made in (("estimator", source), ("optimizer", stepper)):
        if made._model is not model:
            raise ValueError(f"{what}: expected one of the model that is trained, found one of another")
    if log_every < 1 or not evaluate_every > 0:
        raise ValueError(f"log_every, evaluate_every: expected numbers above 0, found {log_every} and {evaluate_every}")
    batches = _Epochs(model, data, batch, seed)
    if steps is None:
        if batches.per_epoch is None:
            raise ValueError("train: expected steps, as the data do not say how many batches they have")
        steps = max(1, round(epochs * batches.per_epoch))
    if isinstance(rate, str) and rate != "auto":
        raise ValueError(f"rate: expected a number or 'auto', found {rate!r}")
    highest = 1.0 if isinstance(rate, str) else rate
    along = isinstance(rate, str) and source.rate is None
    rate_of = schedule_of(schedule, highest, final_rate=0 if schedule == "constant" else highest / 100, steps=steps,
                          warm_up=warm_up)
    record = _Record(tensorboard, callback)
    status, message, step = "finished", "", 0
    bar = Bar("train", steps, "step", shown=progress)
    try:
        for step, given in enumerate(itertools.islice(batches, steps), 1):
            start = time.perf_counter()
            found = source.estimate(given, in_place=True)
            now = rate_of(record.steps)
            share = now / highest
            source.learn(found, share)  # before the step, which goes by the rate that was learned
            if source.rate is not None:
                now = share * source.rate
            if along:
                now = stepper.step_along(found, given, share)
            else:
                stepper.step(found, now)
            record.step(found.loss, time.perf_counter() - start, batches.per_epoch or steps)
            bar.to(record.steps)
            if record.steps % log_every == 0 or record.steps == steps:
                record.log(found, now)
            if test is not None and record.epoch >= evaluate_every * (len(record.curve) + 1):
                record.judge(model, test)
        if record.steps < steps:
            status, message = "stopped", f"the data ended after {record.steps} of {steps} steps"
        if test is not None:
            record.judge(model, test)
    except StopIteration:
        status = "stopped"
    except KeyboardInterrupt:
        status = "interrupted"
    except FloatingPointError as error:
        status, message = "diverged", f"step {step}: {error}"
    finally:
        record.close()
        bar.close(status == "finished")
    config = {"optimizer": stepper.name, "schedule": schedule, "law": source.law, "tangents": source.tangents}
    if source.rate is None:
        config["rate"] = rate
    if batches.batch is not None:
        config.update(batch=batches.batch, order_seed=batches.seed)
    method = source.name
    results = {"schema": "slopewise.train/1", "version": _slopewise.version, "name": name or method, "method": method,
               **about("slopewise.train"), "seed": source.seed,
               "config": config, "parameters": model.size, "status": status, "message": message, "epochs": record.epoch,
               "steps": record.steps, "seconds": record.seconds, "curve": record.curve}
    if record.curve:
        results.update({key: record.curve[-1][key] for key in ("train_loss", "test_loss", "test_error")})
    return TrainingRun(name or method, record.metrics, results)
