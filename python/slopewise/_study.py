"""The study: what theory says of forward gradients, beside what a network shows."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from slopewise import _slopewise
from slopewise._audit import together
from slopewise._model import Model
from slopewise._progress import Bar
from slopewise._report import Result, about, table


class StudyResult(Result):
    """What study measured: `results`, what results.json holds (docs/study.md); a claim by its name, as in
    found["unbiased"]["verdict"]; `status`, "finished" or "interrupted". A notebook shows the report, print the table."""

    def __init__(self, results: dict[str, Any], status: str) -> None:
        super().__init__("study", results)
        self.status = status

    @property
    def left_out(self) -> dict[str, str]:
        """Why each of the other claims cannot be put to the model, by name, where all were asked for."""
        return {each["id"]: each["reason"] for each in self.results["left_out"]}

    @property
    def claims(self) -> dict[str, dict[str, Any]]:
        """The claims that were measured, by name."""
        return {claim["id"]: claim for claim in self.results["claims"]}

    def __getitem__(self, name: str) -> dict[str, Any]:
        return self.claims[name]

    def to_pandas(self) -> Any:
        """The claims as a pandas DataFrame, one row each: quantity, predicted_low, predicted_high (infinite where an end is),
        measured with low and high at `confidence`, verdict, condition, seconds. ImportError without pandas."""
        return table([_row(claim) for claim in self.results["claims"]], "claim")

    def __str__(self) -> str:
        rows = [(name, claim["quantity"], f"{row['predicted_low']:.4g} to {row['predicted_high']:.4g}",
                 f"{row['measured']:.4g} [{row['low']:.4g}, {row['high']:.4g}]", claim["verdict"])
                for name, claim in self.claims.items() for row in [_row(claim)]]
        widths = [max(map(len, column)) for column in zip(*rows)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)

    def __repr__(self) -> str:
        verdicts = [claim["verdict"] for claim in self.results["claims"]]
        counts = ", ".join(f"{verdicts.count(each)} {each}" for each in dict.fromkeys(verdicts))
        return f"StudyResult({self.results['model']}: {self.status}, {counts})"


def _row(claim: dict[str, Any]) -> dict[str, Any]:
    """A claim's numbers, null being NaN, or an infinite end of what is predicted."""
    def of(key: str, unknown: float = math.nan) -> float:
        return unknown if claim[key] is None else claim[key]

    return {"claim": claim["id"], "quantity": claim["quantity"], "predicted_low": of("predicted_low", -math.inf),
            "predicted_high": of("predicted_high", math.inf), "measured": of("measured"), "low": of("low"), "high": of("high"),
            "confidence": claim["confidence"], "verdict": claim["verdict"], "condition": claim["condition"],
            "seconds": claim["seconds"]}


def claims() -> list[str]:
    """The names of the study's claims, in its order."""
    return _slopewise.claims()


def study(data: Any = None, *, model: Model | str = "mlp", claims: str | Sequence[str] | None = None,
          hidden: Sequence[int] | None = None, batch: int | None = None, seed: int = 1, quick: bool = False, name: str = "",
          progress: bool = True) -> StudyResult:
    """Measures the claims of "Unfavorable SNR in Forward Gradients" (Frye 2022), prediction beside measurement, on a network
    at its first weights or on a model at θ as it is, which is not changed. The same as `slopewise study`; docs/study.md says
    what each claim is, how often a true one fails, and which are measured on perceptrons alone.

    model: a Model, or the name of a network (networks()), at its first weights. data: of a Model arrays, as train takes them;
    of a network None, the built-in digits; the path of a data set, as --data takes it; or (images, labels), arrays (rows,
    height, width) or (rows, height, width, channels) of numbers as the network reads them, and integers from 0 on. claims:
    some of claims(); None: all that the model can be asked. hidden: widths of a network's hidden layers; None: its own. batch:
    examples of the loss, which is the note's full batch; None: 64, or 16 in a quick study of another network than a perceptron,
    and at most all. seed: of everything random. quick: a tenth of the samples. name: what
    reports call a Model. progress: a bar, tqdm's where it is installed.

    Interrupted (Ctrl-C on the main thread), it returns the claims that were measured before, with the status "interrupted";
    KeyboardInterrupt where none was. ValueError for what does not fit, OSError for files.
    """
    if hidden is not None and len(hidden) == 0:
        raise ValueError('hidden: expected one width or more, found none; the model "logistic" has no hidden layers')
    if batch is not None and batch < 2:
        raise ValueError(f"batch: expected 2 examples or more, found {batch}")
    core, own = None, str(model)
    if isinstance(model, Model):
        if data is None:
            raise ValueError("data: expected the arrays that the model reads, found none")
        if hidden is not None:
            raise ValueError("hidden: expected only with the name of a network, found a model")
        core, own, data = model._core, name or "the model", together(model, data)
    elif name:
        raise ValueError("name: expected only with a model, found the name of a network")
    elif isinstance(data, (tuple, list)):
        if len(data) != 2:
            raise ValueError(f"data: expected (images, labels), found {len(data)} arrays")
        data = tuple(np.asarray(each) for each in data)
    elif data is not None:
        data = os.fspath(data)
    names = [] if claims is None else [claims] if isinstance(claims, str) else list(claims)
    if claims is not None and not names:
        raise ValueError("claims: expected one or more, found none")
    with Bar("study", 1, shown=progress) as bar:
        found, interruption = _slopewise.study(core, own, data, names, list(hidden or ()), batch or 0, seed, quick, bar.to)
        if interruption:
            bar.close(finished=False)
    results = json.loads(found)
    results.update(about("slopewise.study"))
    return StudyResult(results, "interrupted" if interruption else "finished")
