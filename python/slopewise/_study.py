"""The study: what theory says of forward gradients, beside what a network shows."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from slopewise import _slopewise
from slopewise._progress import Bar
from slopewise._report import Result, about, table


class StudyResult(Result):
    """What study measured: `results`, what results.json holds (docs/study.md); a claim by its name, as in
    found["unbiased"]["verdict"]; `status`, "finished" or "interrupted". A notebook shows the report, print the table."""

    def __init__(self, results: dict[str, Any], status: str) -> None:
        super().__init__("study", results)
        self.status = status

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


def study(data: Any = None, *, claims: str | Sequence[str] | None = None, hidden: Sequence[int] = (256, 256), batch: int = 64,
          seed: int = 1, quick: bool = False, progress: bool = True) -> StudyResult:
    """Measures the claims of "Unfavorable SNR in Forward Gradients" (Frye 2022), prediction beside measurement, on a perceptron
    at its first weights. The same as `slopewise study`; docs/study.md says what each claim is and how often a true one fails.

    data: None, the built-in digits; the path of a data set, as --data takes it; or (images, labels), arrays (rows, height,
    width) or (rows, height, width, channels) of numbers as the network reads them, and integers from 0 on. claims: some of
    claims(); None: all. hidden: widths of the network. batch: examples of its loss, which is the note's full batch. seed: of
    everything random. quick: a tenth of the samples. progress: a bar, tqdm's where it is installed.

    Interrupted (Ctrl-C on the main thread), it returns the claims that were measured before, with the status "interrupted";
    KeyboardInterrupt where none was. ValueError for what does not fit, OSError for files.
    """
    if isinstance(data, (tuple, list)):
        if len(data) != 2:
            raise ValueError(f"data: expected (images, labels), found {len(data)} arrays")
        data = tuple(np.asarray(each) for each in data)
    elif data is not None:
        data = os.fspath(data)
    names = _slopewise.claims() if claims is None else [claims] if isinstance(claims, str) else list(claims)
    if not names:
        raise ValueError("claims: expected one or more, found none")
    with Bar("study", 1, shown=progress) as bar:
        found, interruption = _slopewise.study(data, names, list(hidden), batch, seed, quick, bar.to)
        if interruption:
            bar.close(finished=False)
    results = json.loads(found)
    results.update(about("slopewise.study"))
    return StudyResult(results, "interrupted" if interruption else "finished")
