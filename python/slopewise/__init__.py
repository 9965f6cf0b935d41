"""Forward gradients with error bars: gradients from forward passes alone, and what they are worth.

    import slopewise as sw

    model = sw.mlp(784, [256, 256], 10)                     # or sw.load("model.onnx"), sw.from_torch(module, inputs)
    g = sw.estimate(model, (x, y), law="rank-one", tangents=8)
    print(g.loss, g.norm, g.snr)                            # the gradient's norm with its interval, signal over noise
    g.add_to(-1e-3)                                         # a step of descent

with x of the shape (rows, 784), float32, and y of (rows,), integers. A function of your own:

    f = sw.function(lambda x: ((x - 1) ** 2).sum(), [0.0, 0.0, 0.0])
    print(sw.estimate(f, law="rademacher", tangents=4))
    print(sw.minimize(f, rate=0.1, steps=200).x)

train trains, audit says how to within a budget of memory, study measures what theory says of forward gradients, and report
shows what they found; slopewise.torch and slopewise.sklearn serve those who stay with PyTorch's and scikit-learn's conventions.

What does the work is a C++ library; it runs without Python's lock (GIL), and arrays of the right type (the model's, int32
for integers) and layout (row-major) are read where they are. Errors are ValueError for arguments and shapes that do not fit,
TypeError for what holds no numbers, OSError for files, and FloatingPointError, naming the operation, for a NaN or an infinity.

One model may be used from several threads: they take turns. After a fork the child works on one thread.
"""

from slopewise._audit import AuditResult, Choice, audit
from slopewise._estimate import Demand, Estimator, GradientEstimate, Interval, Optimizer, estimate, schedule
from slopewise._minimize import OptimizeResult, minimize
from slopewise._model import Function, Input, Model, Parameters, function, load, mlp, network
from slopewise._names import (
    estimators, laws, losses, networks, optimizers, priors, schedules, set_threads, tangents, threads)
from slopewise._slopewise import version as __version__
from slopewise._report import Result, report
from slopewise._study import StudyResult, claims, study
from slopewise._train import TrainingRun, evaluate, train

__all__ = [
    "AuditResult", "Choice", "Demand", "Estimator", "Function", "GradientEstimate", "Input", "Interval", "Model",
    "OptimizeResult", "Optimizer", "Parameters", "Result", "StudyResult", "TrainingRun", "audit", "claims", "estimate",
    "estimators", "evaluate", "from_torch", "function", "laws", "load", "losses", "minimize", "mlp", "network",
    "networks", "optimizers", "priors", "report", "schedule", "schedules", "set_threads", "study", "tangents",
    "threads", "train"]


def from_torch(module, example_inputs, **options):
    """The model that a PyTorch module is: see slopewise.torch.from_torch."""
    from slopewise.torch import from_torch as convert

    return convert(module, example_inputs, **options)
