"""What goes by a name, threads, and tangents by themselves."""

import os

import numpy as np

from slopewise import _slopewise


def estimators() -> dict[str, str]:
    """Every estimator by name, with one line on what it is."""
    return _slopewise.estimators()


def laws() -> dict[str, str]:
    """Every law of tangents by name, with one line on what it is."""
    return _slopewise.laws()


def optimizers() -> dict[str, str]:
    """Every optimizer by name, with one line on what it is."""
    return _slopewise.optimizers()


def schedules() -> dict[str, str]:
    """Every schedule of learning rates by name, with one line on what it is."""
    return _slopewise.schedules()


def networks() -> dict[str, str]:
    """Every network by name, with one line on what it is."""
    return _slopewise.networks()


def priors() -> dict[str, str]:
    """Every prior of the estimator "activities" by name, with one line on what it is."""
    return _slopewise.priors()


def losses() -> list[str]:
    """The losses that load and from_torch end a model with."""
    return _slopewise.losses()


def tangents(shapes, law: str = "gaussian", count: int = 1, *, seed: int = 1, step: int = 0,
             dtype: str = "float32") -> np.ndarray:
    """`count` tangents of a law over arrays of these shapes, one after another: (count, n).

    An entry is a function of (seed, step, number of the tangent, index) and nothing else (Philox4x32-10, Salmon et al.
    2011): these are the tangents that an estimator of C++ draws for a model whose parameters have these shapes, bit for
    bit. An array of several axes is a matrix with its first axis as rows, which matters to rank-one laws. ValueError for
    an unknown law or a count that it does not have.
    """
    return _slopewise.tangents_of([list(shape) for shape in shapes], law, count, seed, step, dtype)


_forked = False


def threads() -> int:
    """The number of threads that work is spread over: OMP_NUM_THREADS or the cores at hand, or what set_threads gave.
    Results do not depend on it."""
    return _slopewise.thread_count()


def set_threads(count: int) -> None:
    """Spreads work over `count` threads. ValueError unless count >= 1; RuntimeError for more than one after a fork, as
    the threads of OpenMP do not survive it. (Fork while no thread is in a call of the library, whose locks the child
    would have for ever.)"""
    if _forked and count > 1:
        raise RuntimeError(f"threads: expected 1 in a process that was forked, found {count}")
    _slopewise.set_thread_count(count)


def _after_fork() -> None:
    global _forked
    _forked = True
    _slopewise.set_thread_count(1)


os.register_at_fork(after_in_child=_after_fork)
