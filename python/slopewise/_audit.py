"""The audit: how to train a model within a budget of memory."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from slopewise import _slopewise
from slopewise._estimate import Estimator
from slopewise._model import Model
from slopewise._progress import Bar
from slopewise._report import Result, about, table
from slopewise._train import named


class Choice(NamedTuple):
    """A method to train by: plain gradient descent (the optimizer "sgd", the schedule "constant") at `rate`. pace: by how
    much it lowers the loss a second; bytes: of a step with all that lasts. command: what does it. options: of an Estimator;
    None for methods that only the command line's `slopewise train` has (checkpointed backprop, local losses, …)."""

    method: str
    rate: float
    pace: float
    bytes: int
    command: str
    options: dict[str, Any] | None

    def estimator(self, model: Model) -> Estimator:
        """What makes the method's gradients, for train. ValueError where options is None."""
        if self.options is None:
            raise ValueError(f"{self.method}: expected a method of slopewise.train; this one is the command line's: "
                             f"{self.command}")
        return Estimator(model, **self.options)


class AuditResult(Result):
    """What audit found: `sentence`, the recommendation with its reason; `best` and `second`, the methods it names; `changes`,
    what would change the answer; `results`, all of it, what audit.json holds (docs/audit.md). A notebook shows the report,
    print the tables."""

    _file = "audit.json"

    def __init__(self, name: str, results: dict[str, Any], best: Choice | None, second: Choice | None) -> None:
        super().__init__(name, results)
        self.best, self.second = best, second

    @property
    def sentence(self) -> str:
        """What to do, and why."""
        return self.results["recommendation"]["sentence"]

    @property
    def changes(self) -> list[str]:
        """What would change the answer."""
        return self.results["recommendation"]["changes"]

    @property
    def methods(self) -> list[dict[str, Any]]:
        """What each method takes and does, as audit.json has it."""
        return self.results["methods"]

    def to_pandas(self) -> Any:
        """The methods as a pandas DataFrame, one row each: bytes, seconds and forwards (work, in forward passes) of a step
        of the audit's batch, fits, what is predicted (snr, cosine, rate, decrease of the loss a step, slowdown against
        backprop with _low and _high), what was tried (status, tried_rate, tried_steps, tried_decrease, tried_slowdown), and
        pace, loss a second; NaN where nobody knows. ImportError without pandas."""
        return table([self._row(method) for method in self.methods], "method")

    def _row(self, method: dict[str, Any]) -> dict[str, Any]:
        cost = next(each for each in method["costs"] if each["batch"] == self.results["batch"])
        predicted, tried = method["predicted"] or {}, method["tried"] or {}
        slowdown = predicted.get("slowdown") or {}
        row = {"bytes": cost["bytes"], "seconds": cost["seconds"], "forwards": cost["forwards"],
               **{key: predicted.get(key) for key in ("snr", "cosine", "rate", "decrease")},
               "slowdown": slowdown.get("value"), "slowdown_low": slowdown.get("low"), "slowdown_high": slowdown.get("high"),
               **{f"tried_{key}": tried.get(key) for key in ("rate", "steps", "decrease", "slowdown")},
               "pace": method["pace"]}
        numbers = {key: math.nan if value is None else value for key, value in row.items()}
        return {"method": method["name"], "fits": cost["fits"], "exact": method["exact"], "status": tried.get("status", ""),
                **numbers}

    def __str__(self) -> str:
        return _slopewise.audit_text(json.dumps(self.results))

    def __repr__(self) -> str:
        return f"AuditResult({self.name}: {self.sentence})"


def audit(model: Model, data: Any, *, memory: int | None = None, seconds: float = 150, batch: int = 64, samples: int = 32,
          batches: Sequence[int] = (), tried: str | Sequence[str] = (), forward_only: bool = False, verify: bool = True,
          seed: int = 1, name: str = "", progress: bool = True) -> AuditResult:
    """How to train a model on data with forward gradients or by backprop, how fast and at which rate, within a budget of
    memory: costs, noise and curvature measured at θ as it is, predictions, short trials, and one recommendation. The model
    is not changed. The same as `slopewise audit`; docs/audit.md says how, and how far to trust it.

    data: arrays, all examples, as train takes them; or an iterable of batches that ends, whose examples are put together.
    memory: bytes that a run may take with its weights, beside data; None: any number. seconds: how long it may take, about;
    trials take what measuring leaves. batch: examples of a step, at most all. samples: tangents that means are over, 8 or
    more. batches: other batches whose memory is planned. tried: methods to try beside backprop, as the table names them;
    none: the best few. forward_only: measure by slopes alone. verify: False tries nothing. seed: of everything random. name:
    what reports call it. progress: a bar, tqdm's where it is installed.

    Work is in float32, whatever the model's type. The top alone (the head, and with it the last one or two blocks) and local
    losses (of networks by name) are among the methods while θ is as the model was made. KeyboardInterrupt for Ctrl-C on the main thread;
    ValueError for a function, and for data and options that do not fit; FloatingPointError for a loss that is not finite.
    """
    arrays = together(model, data)
    count = len(next(iter(arrays.values())))
    options = {"memory": memory, "seconds": seconds, "batch": min(batch, count), "samples": samples, "batches": list(batches),
               "tried": [tried] if isinstance(tried, str) else list(tried), "forward_only": forward_only, "verify": verify,
               "seed": seed}
    if memory is not None and memory < 1:
        raise ValueError(f"memory: expected bytes, or None for any number, found {memory}")
    with Bar("audit", 1, shown=progress) as bar:
        found, *estimators = _slopewise.audit(model._core, arrays, told=bar.to, **{**options, "memory": memory or 0})
    results = json.loads(found)
    name = name or f"{model.size:,} parameters"
    choices = []
    for which, own in zip(("best", "second"), estimators):
        choice = results["recommendation"][which]
        if choice is None:
            choices.append(None)
            continue
        choice["command"] = _command(choice, own, options["batch"])
        choices.append(Choice(*(choice[key] for key in ("method", "rate", "pace", "bytes", "command")), own))
    results.update(model=name, data=_described(arrays), options=options, version=_slopewise.version,
                   **about("slopewise.audit"))
    return AuditResult(name, results, *choices)


def together(model: Model, data: Any) -> dict[str, np.ndarray]:
    """All examples by the names of the inputs."""
    if not model.inputs:
        raise ValueError("model: expected a network, found a function, which has no examples")
    if isinstance(data, (Mapping, tuple)):
        return named(model, data)
    parts = [named(model, each if isinstance(each, (Mapping, tuple, list)) else (each,)) for each in data]
    if not parts:
        raise ValueError("data: expected batches, found none")
    names = [each.name for each in model.inputs]
    for part in parts:
        if set(part) != set(names):
            raise ValueError(f"data: expected batches of {', '.join(names)}, found one of {', '.join(part) or 'nothing'}; "
                             f"arrays of all examples come in a tuple or a dict")
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _described(arrays: Mapping[str, np.ndarray]) -> str:
    return ", ".join(f"{key} {'×'.join(map(str, array.shape))}" for key, array in arrays.items())


def _command(choice: Mapping[str, Any], own: Mapping[str, Any] | None, batch: int) -> str:
    if own is None:
        return (f"slopewise train {choice['options']} --batch {batch} --optimizer sgd --schedule constant "
                f"--rate {choice['rate']:.3g}")
    options = ", ".join([f'"{own["name"]}"', *(f"{key}={json.dumps(value) if isinstance(value, str) else value}"
                                               for key, value in own.items() if key != "name")])
    return (f"slopewise.train(model, data, estimator=slopewise.Estimator(model, {options}), optimizer=\"sgd\", "
            f"schedule=\"constant\", rate={choice['rate']:.3g}, batch={batch})")
