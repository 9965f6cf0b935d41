"""PyTorch's modules as models, and an optimizer of PyTorch's by forward gradients."""

from __future__ import annotations

import contextlib
import inspect
import io
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch

from slopewise import _slopewise
from slopewise._estimate import Interval, norm_of
from slopewise._model import Model, load


@contextlib.contextmanager
def _as_exported(module: torch.nn.Module) -> Iterator[None]:
    """The module in evaluation, and as it was afterwards. While the exporter traces it, gradients are on, which keeps
    torch.nn.TransformerEncoderLayer off its shortcut that cannot be exported; when it has traced, the module says that it
    trains, as the exporter otherwise makes one of parameters that are equal, such as two biases of zeros."""
    modes = [(each, each.training) for each in module.modules()]
    graded = torch.is_grad_enabled()

    def before(*_: Any) -> None:
        module.training = False
        torch.set_grad_enabled(True)

    def after(*_: Any) -> None:
        module.training = True
        torch.set_grad_enabled(graded)

    module.eval()
    hooks = [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        torch.set_grad_enabled(graded)
        for each, training in modes:
            each.training = training


def _input_names(module: torch.nn.Module, count: int) -> list[str]:
    """What forward calls its first arguments."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    own = [each.name for each in inspect.signature(module.forward).parameters.values() if each.kind in positional]
    return own[:count] if len(own) >= count else [f"input{i}" for i in range(count)]


def _export(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], names: list[str], opset: int) -> bytes:
    options: dict[str, Any] = {}
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:
        options["dynamo"] = False
    file = io.BytesIO()
    with _as_exported(module), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, inputs, file, input_names=names, opset_version=opset, do_constant_folding=False,
                          dynamic_axes={name: {0: "batch"} for name in names},
                          training=torch.onnx.TrainingMode.PRESERVE, **options)
    return file.getvalue()


def from_torch(module: torch.nn.Module, example_inputs: torch.Tensor | tuple[torch.Tensor, ...], *,
               loss: str = "cross-entropy", train: str = "all", dtype: str | None = None, output: str = "",
               channels_last: bool = False, seed: int = 1, opset: int = 14) -> Model:
    """The model that a module is in evaluation (dropout off, running statistics as they are), by way of torch.onnx.export in
    memory. The module is left as it was; θ is a copy of its parameters, under their names and in their shapes, and
    Model.to_torch writes it back.

    example_inputs: a tensor, or a tuple of them, whose first axis counts examples; they only say types and shapes. Inputs
    are called as the arguments of forward. Parameters with requires_grad train, buffers never do; what of them, by `train`
    as load has it. dtype: None for the parameters' own, float64 or else float32.

    A warning names parameters with requires_grad that do not train: those that the output does not depend on, and single
    numbers. ValueError for a module that mixes examples or has an operator that is not supported; what PyTorch raises where
    it cannot export the module comes through.
    """
    inputs = (example_inputs,) if isinstance(example_inputs, torch.Tensor) else tuple(example_inputs)
    for each in inputs:
        if not isinstance(each, torch.Tensor):
            raise TypeError(f"example_inputs: expected tensors, found {type(each).__name__}")
    trained = {name: each for name, each in module.named_parameters() if each.requires_grad}
    if dtype is None:
        dtype = "float64" if any(each.dtype == torch.float64 for each in trained.values()) else "float32"
    model = load(_export(module, inputs, _input_names(module, len(inputs)), opset), loss=loss, train=train,
                 output=output, channels_last=channels_last, weights=trained, dtype=dtype, seed=seed)
    missing = sorted(set(trained) - set(model.parameters))
    if train == "all" and missing:
        warnings.warn(f"parameters that do not train, as the output does not depend on them or they are single numbers: "
                      f"{', '.join(missing)}", stacklevel=3)
    return model


def write_back(model: Model, module: torch.nn.Module) -> None:
    """Model.to_torch."""
    own = dict(module.named_parameters())
    arrays = model.unflatten(model.theta)
    for name, array in arrays.items():
        if name not in own:
            raise KeyError(f"the module has no parameter '{name}'")
        if tuple(own[name].shape) != array.shape:
            raise ValueError(f"parameter '{name}': the module has the shape {tuple(own[name].shape)}, the model {array.shape}")
    with torch.no_grad():
        for name, array in arrays.items():
            own[name].copy_(torch.from_numpy(np.ascontiguousarray(array)))
