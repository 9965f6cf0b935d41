"""Bars for what takes long: tqdm's where it is installed, else the command line's lines on standard error."""

from __future__ import annotations

from typing import Any

from slopewise import _slopewise


class Bar:
    """A bar of `total` units, shares of a whole where `unit` is ""; nothing at all unless `shown`."""

    def __init__(self, task: str, total: float, unit: str = "", *, shown: bool = True) -> None:
        self._total, self._done, self._own, self._tqdm = total, 0, None, None
        if not shown:
            return
        try:
            from tqdm.auto import tqdm
        except ImportError:
            self._own = _slopewise.Progress(task, total, f"{unit}s" if unit else "")
            return
        form = {"unit": unit} if unit else {"bar_format": "{desc} {percentage:3.0f}%|{bar}| {elapsed}{postfix}"}
        self._tqdm = tqdm(total=total, desc=task, **form)

    def to(self, done: float, what: str = "") -> None:
        """So much is done, and this is what goes on."""
        added, self._done = done - self._done, done
        if self._own is not None:
            self._own.advance(added)
            self._own.note(what)
        elif self._tqdm is not None:
            if what:
                self._tqdm.set_postfix_str(what, refresh=False)
            self._tqdm.update(added)

    def close(self, finished: bool = True) -> None:
        """The last line, which says where it stopped unless it is finished."""
        if finished:
            self.to(self._total)
        if self._own is not None and not finished:
            self._own.stop()
        self._own = None
        if self._tqdm is not None:
            self._tqdm.close()

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        self.close(kind is None)
