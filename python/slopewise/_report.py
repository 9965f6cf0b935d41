"""What runs, studies and audits have in common: files, pages, and how a notebook shows them."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Union

from slopewise import _slopewise


class Page(str):
    """A page of HTML, which a notebook shows."""

    def _repr_html_(self) -> str:
        return f'<iframe style="width: 100%; height: 40em; border: 0" srcdoc="{html.escape(self)}"></iframe>'

    def __repr__(self) -> str:
        return f"<a page of {len(self)} characters>"


class Result:
    """What was found, as the command line leaves it in files: see report."""

    _file = "results.json"

    def __init__(self, name: str, results: dict[str, Any], metrics: list[dict] | None = None) -> None:
        self.name, self.results, self._lines = name, results, metrics

    def save(self, directory: str | os.PathLike) -> None:
        """Writes what `slopewise report` reads to a directory. OSError where that cannot be written; each file is then as
        it was."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        if self._lines is not None:
            write(directory / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in self._lines))
        write(directory / self._file, json.dumps(self.results, indent=2) + "\n")

    def report(self) -> Page:
        """The report's page, HTML."""
        return report([self])

    def _repr_html_(self) -> str:
        return self.report()._repr_html_()


Shown = Union[Result, str, os.PathLike]


def report(runs: Shown | Iterable[Shown], path: str | os.PathLike | None = None) -> Page:
    """The page of training runs over one another, of audits beside one another, of one study or one comparison: HTML that
    is one file, charts included, and that a notebook shows. A run is what train, audit or study returned, or a directory
    that the command line left. path: also written there. OSError for a directory that holds no run, ValueError for a
    mixture that no page shows."""
    one = isinstance(runs, (Result, str, os.PathLike))
    page = Page(_slopewise.report_page([
        (each.name, json.dumps(each.results), [json.dumps(line) for line in each._lines or ()])
        if isinstance(each, Result) else os.fspath(each) for each in ([runs] if one else runs)]))
    if path is not None:
        write(Path(path), page)
    return page


def write(path: Path, text: str) -> None:
    """A file whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def about(command: str) -> dict[str, Any]:
    """What results say of the program and the machine."""
    return {"command": command, "threads": _slopewise.thread_count(), "machine": json.loads(_slopewise.machine())}


def table(rows: list[Mapping[str, Any]], index: str) -> Any:
    """Rows as a pandas DataFrame; ImportError without pandas."""
    import pandas

    return pandas.DataFrame(rows).set_index(index)
