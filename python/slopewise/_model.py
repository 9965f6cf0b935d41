"""Models: parameters with a loss at them."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple, Union

import numpy as np

from slopewise import _slopewise
from slopewise._estimate import Interval

Batch = Any
"""A mapping from the names of inputs to arrays, a tuple or list of arrays in the order of the inputs, or the one array."""
Tangent = Union[np.ndarray, Sequence[float], Mapping[str, Any]]
"""A vector over all parameters, (n,), or a mapping from their names to arrays of their shapes."""


class Input(NamedTuple):
    """What goes into a model: its name, one example's shape, and whether it takes integers."""

    name: str
    shape: tuple[int, ...]
    integer: bool


class _Piece(NamedTuple):
    """A named stretch of the flat vector, and how its entries are turned into the array that people know: axis j of the
    segment is axis order[j] of `shape`, and axes of one entry may be missing."""

    name: str
    offset: int
    segment: tuple[int, ...]
    shape: tuple[int, ...]
    order: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.segment)

    def view(self, flat: np.ndarray) -> np.ndarray:
        """The array in flat vectors (…, n): (…, *shape)."""
        lead = flat.shape[:-1]
        own = flat[..., self.offset:self.offset + self.size].reshape(lead + self.segment)
        back = sorted(range(len(self.order)), key=self.order.__getitem__)
        axes = [len(lead) + axis for axis in back]
        return own.transpose([*range(len(lead)), *axes]).reshape(lead + self.shape)

    def put(self, array: np.ndarray, flat: np.ndarray) -> None:
        """Writes an array (…, *shape) to flat vectors (…, n)."""
        lead = flat.shape[:-1]
        there = sorted(self.order)
        kept = array.reshape(lead + tuple(self.shape[axis] for axis in there))
        axes = [len(lead) + there.index(axis) for axis in self.order]
        flat[..., self.offset:self.offset + self.size] = kept.transpose([*range(len(lead)), *axes]).reshape((*lead, -1))


class Parameters(MutableMapping):
    """The parameters of a model, names to arrays. What is read is a copy, in the shape and order that the parameter has
    where it came from (PyTorch's, the ONNX file's); what is assigned goes into the model."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def __getitem__(self, name: str) -> np.ndarray:
        piece = self._model._pieces[name]
        return piece._replace(offset=0).view(self._model._core.values(piece.offset, piece.size))

    def __setitem__(self, name: str, array: Any) -> None:
        piece = self._model._pieces[name]
        array = np.asarray(array)
        if array.shape != piece.shape:
            raise ValueError(f"parameter '{name}': expected the shape {piece.shape}, found {array.shape}")
        flat = np.empty(piece.size, array.dtype)
        piece._replace(offset=0).put(array, flat)
        self._model._set(piece.offset, flat, f"parameter '{name}'")

    def __delitem__(self, name: str) -> None:
        raise TypeError("the parameters of a model cannot be deleted")

    def __iter__(self) -> Iterator[str]:
        return iter(self._model._pieces)

    def __len__(self) -> int:
        return len(self._model._pieces)

    def __repr__(self) -> str:
        return "\n".join(f"{piece.name} {piece.shape}" for piece in self._model._pieces.values())


class Model:
    """Parameters θ with a loss at them, from load, from_torch, network, mlp or function.

    A batch is a mapping from the names of `inputs` to arrays, a tuple or list of arrays in their order, or the array of a
    single input; each array has the shape (rows, *shape). The loss is the mean over the rows.
    """

    def __init__(self, core: _slopewise.Model, labels: bool = False, ignored: int | None = None) -> None:
        self._core = core
        self._labels, self._ignored = labels, ignored  # whether the loss is a cross-entropy; the label that does not count
        self._pieces = {piece[0]: _Piece(*piece) for piece in core.pieces}
        self._steps = itertools.count()

    @property
    def size(self) -> int:
        """n, the number of parameters that train."""
        return self._core.size

    @property
    def dtype(self) -> np.dtype:
        """The type of θ and of all that is calculated: float32 or float64."""
        return self._core.dtype

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What a batch consists of, in order; "label" or "target" is the last."""
        return tuple(Input(*each) for each in self._core.inputs)

    @property
    def constants(self) -> dict[str, str]:
        """Weights of an ONNX file that never train, with the reason."""
        return self._core.constants

    @property
    def parameters(self) -> Parameters:
        """θ by names; assign to change it."""
        return Parameters(self)

    @property
    def theta(self) -> np.ndarray:
        """θ as one vector, (n,), copied; assign to change it."""
        return self._core.values(0, self.size)

    @theta.setter
    def theta(self, values: Any) -> None:
        values = np.asarray(values)
        if values.shape != (self.size,):
            raise ValueError(f"theta: expected the shape ({self.size},), found {values.shape}")
        self._set(0, values, "theta")

    def flatten(self, arrays: Mapping[str, Any]) -> np.ndarray:
        """Arrays by the names of parameters as one vector: (n,), or (K, n) where each array has K of its shape. What is
        left out is 0. KeyError for other names, ValueError for other shapes."""
        taken = {name: np.asarray(array) for name, array in arrays.items()}
        leads = {array.shape[:array.ndim - len(self._pieces[name].shape)] for name, array in taken.items()}
        lead = next(iter(leads), ())
        for name, array in taken.items():
            if array.shape != lead + self._pieces[name].shape or len(lead) > 1:
                raise ValueError(f"'{name}': expected the shape {self._pieces[name].shape}, or (K, …) for all names, "
                                 f"found {array.shape}")
        flat = np.zeros((*lead, self.size), self.dtype)
        for name, array in taken.items():
            self._pieces[name].put(array, flat)
        return flat

    def unflatten(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Vectors (…, n) as arrays (…, *shape) by the names of the parameters; views where the layout allows."""
        flat = np.asarray(flat)
        if flat.ndim == 0 or flat.shape[-1] != self.size:
            raise ValueError(f"expected the shape (…, {self.size}), found {flat.shape}")
        return {name: piece.view(flat) for name, piece in self._pieces.items()}

    def loss(self, batch: Batch = None) -> float:
        """The mean loss of a batch at θ."""
        return self._core.loss(batch)

    def outputs(self, batch: Batch) -> np.ndarray:
        """The output for each example, (rows, *shape): logits, or numbers. Labels and targets may be left out. ValueError
        for a function."""
        return self._core.outputs(batch)

    def gradient(self, batch: Batch = None) -> np.ndarray:
        """The exact gradient ∇ (n,), by a backward pass. ValueError for a function."""
        return self._core.gradient(batch)[1]

    def loss_and_gradient(self, batch: Batch = None) -> tuple[float, np.ndarray]:
        """The loss and the exact gradient (n,), of one pass. ValueError for a function."""
        return self._core.gradient(batch)

    def slopes(self, batch: Batch, tangents: Tangent) -> np.ndarray:
        """The slopes ∇·v_k (K,) along tangents (K, n), or a mapping from names to arrays (K, *shape): of one forward pass,
        exact for a network, by central differences for a function."""
        return self._core.slopes(batch, self._tangents(tangents))[1]

    def jvp(self, batch: Batch, v: Tangent) -> tuple[float, float]:
        """The loss and its slope ∇·v along one tangent v (n,), or by names."""
        loss, slopes = self._core.slopes(batch, self._tangents(v)[np.newaxis])
        return loss, float(slopes[0])

    def curvatures(self, batch: Batch, tangents: Tangent) -> np.ndarray:
        """The second-order terms vᵀHv (K,) along tangents (K, n), or by names: of one forward pass. ValueError for a
        function."""
        return self._core.curvatures(batch, self._tangents(tangents))[2]

    def hvp_trace(self, batch: Batch, tangents: int = 16, *, law: str = "rademacher", seed: int = 1, step: int = 0,
                  confidence: float = 0.95) -> Interval:
        """tr H, the mean of vᵀHv over `tangents` of a law (Hutchinson 1990), with an interval by Student's t: of one forward
        pass. ValueError for a function."""
        return Interval(*self._core.hessian_trace(batch, law, tangents, seed, step, confidence))

    def tangents(self, law: str = "gaussian", count: int = 1, *, seed: int = 1, step: int = 0, rank: int = 2,
                 hold: int = 1) -> np.ndarray:
        """The `count` tangents (count, n) that an estimate of this seed and step takes its slopes along. rank, hold: of the
        law "low-rank", the columns of its factors and the steps for which one of them is kept."""
        return self._core.tangents(law, count, seed, step, rank, hold)

    def add(self, gradient: Tangent, factor: float) -> None:
        """θ ← θ + factor · gradient, for a vector (n,) or arrays by names. ValueError for a factor that is not finite in the
        model's type, FloatingPointError for such a gradient."""
        vector = self._tangents(gradient)
        if vector.dtype.kind == "f" and not (np.abs(vector) <= np.finfo(self.dtype).max).all():
            raise FloatingPointError(f"gradient: expected finite numbers of {self.dtype}")
        self._core.add(vector, self._factor(factor))

    def save(self, path: str | os.PathLike) -> None:
        """Writes the ONNX file that the model came from, with θ as it is. ValueError for a model that came from elsewhere,
        OSError where the file cannot be written or a weight cannot be put back."""
        self._core.save(os.fspath(path))

    def to_torch(self, module: Any) -> None:
        """Copies θ into the parameters of the same names of a PyTorch module. KeyError for a parameter that the module
        does not have, ValueError for another shape; the module is then as it was."""
        from slopewise.torch import write_back

        write_back(self, module)

    def _factor(self, factor: float) -> float:
        if not abs(factor) <= np.finfo(self.dtype).max:
            raise ValueError(f"factor: expected a finite number of {self.dtype}, found {factor}")
        return factor

    def _set(self, first: int, values: np.ndarray, what: str) -> None:
        """Writes entries of θ. FloatingPointError, before anything is changed, for one that the type makes infinite."""
        if values.dtype.kind == "f" and (np.abs(values[np.isfinite(values)]) > np.finfo(self.dtype).max).any():
            raise FloatingPointError(f"{what}: expected numbers within the range of {self.dtype}")
        self._core.set_values(first, values)

    def _tangents(self, tangents: Tangent) -> np.ndarray:
        return self.flatten(tangents) if isinstance(tangents, Mapping) else np.asarray(tangents)

    def __repr__(self) -> str:
        inputs = ", ".join(f"{each.name} {each.shape}" for each in self.inputs)
        return f"{type(self).__name__}({self.size:,} parameters, {self.dtype}{', inputs ' if inputs else ''}{inputs})"


class Function(Model):
    """A function of one vector, known by its values: see function."""

    def __init__(self, f: Callable[[np.ndarray], Any], theta: Any, vectorised: bool, epsilon: float) -> None:
        self._points = points = [0]

        def counted(x: np.ndarray) -> Any:
            points[0] += len(x) if vectorised else 1
            return f(x)

        super().__init__(_slopewise.function(counted, np.asarray(theta), vectorised, epsilon))

    @property
    def evaluations(self) -> int:
        """How many values f was asked for so far."""
        return self._points[0]


def load(path: str | os.PathLike | bytes, *, loss: str = "cross-entropy", label_smoothing: float = 0,
         ignore: int | None = None, train: str = "all", extents: Mapping[str, int] | None = None, output: str = "",
         fixed: Mapping[str, Any] | None = None, channels_last: bool = False, whole: bool = False, fuse: bool = True,
         weights: Iterable[str] | None = None, dtype: str = "float32", seed: int = 1) -> Model:
    """A model from an ONNX file, or from its bytes.

    loss: what the output is trained to: "cross-entropy" of labels, one a position of (…, classes); "squared", the mean
    squared difference from targets; "huber", Huber's loss of it; "output", the output itself, one number an example.
    label_smoothing: the share of a label's weight that all classes have alike. ignore: the label of places that do not count.
    train: "all", "head", "norms", "biases", "lora:RANK", "lora:RANK:REGEX", or a regular expression of names.
    extents: of symbolic axes that do not count examples. output: the output to take; "": the first.
    fixed: inputs that are the same for every example. channels_last: images come as (rows, height, width, channels).
    whole: no axis counts examples; an example is all of an input. fuse: find norms and activations in their parts again.
    weights: the initializers that may train; None: all but masks and tables. seed: of adapters.

    OSError for a file that is missing, cut short or no ONNX; ValueError, naming node and operator, for what is not
    supported. docs/onnx.md lists the operators.
    """
    source = path if isinstance(path, bytes) else os.fspath(path)
    core = _slopewise.onnx_model(source, "model in memory", loss, label_smoothing, ignore, train, dict(extents or {}),
                                 output, dict(fixed or {}), channels_last, whole, fuse,
                                 None if weights is None else set(weights), seed, dtype)
    return Model(core, loss == "cross-entropy", ignore)


def network(name: str, inputs: int | Sequence[int], outputs: int, *, numbers: bool = False, dtype: str = "float32",
            seed: int = 1) -> Model:
    """A network by name (networks() lists them): inputs "image", (height, width, channels) or (inputs,), and "label", or,
    where it says `numbers` that are judged by their squared errors, "target" (outputs). He initialisation from the seed.
    ValueError for an unknown name or an image that does not fit."""
    family, hidden, convolutions, patch, residual = _slopewise.named_network(name)
    image = [inputs] if isinstance(inputs, int) else list(inputs)
    core = _slopewise.network(family, hidden, convolutions, patch, residual, image, outputs, numbers, seed, dtype)
    return Model(core, not numbers)


def mlp(inputs: int, hidden: Sequence[int] = (256, 256), outputs: int = 10, *, residual: bool = False,
        numbers: bool = False, dtype: str = "float32", seed: int = 1) -> Model:
    """A perceptron with rectified layers of the widths `hidden`, as network has it. residual: layers that keep the width
    add to what they read."""
    core = _slopewise.network("mlp", list(hidden), [], 7, residual, [inputs], outputs, numbers, seed, dtype)
    return Model(core, not numbers)


def function(f: Callable[[np.ndarray], Any], theta: Any, *, vectorised: bool = False, epsilon: float = 1e-5) -> Function:
    """A function of one vector, to take estimates of its gradient at theta (n,), in float64.

    f takes an array (n,) and returns a number; vectorised, it takes points (m, n) and returns (m,), and K slopes are one
    call. Slopes are central differences of step `epsilon` along the tangent: 2 K values, and one for the loss. They err
    by epsilon²/6 of the third derivative, and by rounding over epsilon; a noisy f asks for a larger one. FloatingPointError
    for a value that is not finite; what f raises comes through.
    """
    return Function(f, theta, vectorised, epsilon)
