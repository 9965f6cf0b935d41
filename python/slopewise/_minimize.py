"""Minimising a function by gradient estimates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slopewise._estimate import Estimator, Interval, Optimizer, schedule as schedule_of
from slopewise._model import Function, function


class OptimizeResult(dict):
    """What minimize returns, as SciPy's class of the same name: a dict whose entries are attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    __setattr__ = dict.__setitem__
    __delattr__ = dict.__delitem__

    def __dir__(self) -> list[str]:
        return list(self)

    def __repr__(self) -> str:
        width = max(map(len, self), default=0)
        return "\n".join(f"{name:>{width}}: {value}" for name, value in self.items())


def minimize(f: Callable[..., Any] | Function, x0: Any = None, args: tuple = (), *, rate: float = 1e-2, steps: int = 1000,
             tangents: int = 8, law: str = "rademacher", estimator: str = "forward", optimizer: str = "adam",
             schedule: str = "cosine", tol: float | None = None, vectorised: bool = False, epsilon: float = 1e-5,
             seed: int = 1, callback: Callable[[OptimizeResult], Any] | None = None) -> OptimizeResult:
    """Minimises f(x, *args) by its values alone: SPSA (Spall 1992) with Adam, or other estimators and optimizers by name.

    f: takes an array (n,) and returns a number, or (m, n) and (m,) where vectorised; or what `function` made, which starts
    at its theta, and is left at x. rate: the learning rate, which the schedule lowers to 0 over `steps`.
    tol: stop as soon as ‖∇‖ is at most that with 95 % confidence (the upper end of the estimate's interval).
    callback(intermediate_result): called after each step; StopIteration ends the search.

    The result has x; fun, f at x; norm, ‖∇‖ at the last step with its interval; snr; nit, steps taken; nfev, values of f;
    success, status (0: tol was reached or all steps were taken without one; 1: steps ran out; 2: f was not finite, x is the
    last point where it was; 99: the callback stopped) and message.
    """
    if isinstance(f, Function):
        if x0 is not None or args or vectorised:
            raise ValueError("minimize: expected no x0, args or vectorised beside a Function, which has its own")
        subject = f
    else:
        subject = function(lambda x: f(x, *args), x0, vectorised=vectorised, epsilon=epsilon)
    before = subject.evaluations
    source = Estimator(subject, estimator, law=law, tangents=tangents, seed=seed, epsilon=epsilon)
    stepper = Optimizer(subject, optimizer)
    rate_of = schedule_of(schedule, rate, steps=steps)
    result = OptimizeResult(x=subject.theta, fun=float("nan"), success=False, status=1,
                            message=f"{steps} steps were taken", norm=Interval(*[float("nan")] * 3), snr=float("nan"),
                            nit=0, nfev=0)
    if tol is None:
        result.update(success=True, status=0)
    try:
        for step in range(steps):
            g = source.estimate(None, step)
            result.update(x=subject.theta, fun=g.loss, norm=g.norm, snr=g.snr, nit=step)
            if tol is not None and g.norm.high <= tol:
                result.update(success=True, status=0, message=f"the gradient's norm is at most {tol} with 95 % confidence")
                break
            stepper.step(g, rate_of(step))
            source.learn(g)
            result.nit = step + 1
            if callback is not None:
                callback(result)
        result.fun = subject.loss()
        result.x = subject.theta
    except StopIteration:
        result.update(success=False, status=99, message="the callback stopped the search", x=subject.theta,
                      fun=subject.loss())
    except FloatingPointError as error:
        subject.theta = result.x
        result.update(success=False, status=2, message=str(error))
    result.nfev = subject.evaluations - before
    return result
