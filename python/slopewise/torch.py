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
from torch._vmap_internals import _vmap
from torch.autograd import forward_ad

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
               loss: str = "cross-entropy", label_smoothing: float = 0, ignore: int | None = None, train: str = "all",
               dtype: str | None = None, output: str = "", channels_last: bool = False, seed: int = 1,
               opset: int = 14) -> Model:
    """The model that a module is in evaluation (dropout off, running statistics as they are), by way of torch.onnx.export in
    memory. The module is left as it was; θ is a copy of its parameters, under their names and in their shapes, and
    Model.to_torch writes it back.

    example_inputs: a tensor, or a tuple of them, whose first axis counts examples; they only say types and shapes.
    Inputs are called as the arguments of forward. loss, label_smoothing, ignore: as load has them. Parameters with
    requires_grad train, buffers never do; what of them, by `train` as load has it. dtype: None for the parameters' own,
    float64 or else float32.

    A warning names parameters with requires_grad that do not train: those that the output does not depend on, and
    single numbers. ValueError for a parameter that is not on the CPU, a module that mixes examples or has an operator
    that is not supported; what PyTorch raises where it cannot export the module comes through.
    """
    inputs = (example_inputs,) if isinstance(example_inputs, torch.Tensor) else tuple(example_inputs)
    for each in inputs:
        if not isinstance(each, torch.Tensor):
            raise TypeError(f"example_inputs: expected tensors, found {type(each).__name__}")
    _require_cpu(module.parameters())
    trained = {name: each for name, each in module.named_parameters() if each.requires_grad}
    if dtype is None:
        dtype = "float64" if any(each.dtype == torch.float64 for each in trained.values()) else "float32"
    model = load(_export(module, inputs, _input_names(module, len(inputs)), opset), loss=loss,
                 label_smoothing=label_smoothing, ignore=ignore, train=train,
                 output=output, channels_last=channels_last, weights=trained, dtype=dtype, seed=seed)
    missing = sorted(set(trained) - set(model.parameters))
    if train == "all" and missing:
        warnings.warn(f"parameters that do not train, as the output does not depend on them or they are single numbers: "
                      f"{', '.join(missing)}", stacklevel=3)
    return model


def _require_cpu(parameters: Iterable[torch.Tensor]) -> None:
    for each in parameters:
        if each.device.type != "cpu":
            raise ValueError(f"expected parameters on the CPU, found one of shape {tuple(each.shape)} on {each.device}")


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


class ForwardGradient(torch.optim.Optimizer):
    """Steps of PyTorch's parameters along forward gradients: (1/K) Σ s_k v_k (Baydin et al. 2022), without a backward pass.

        optimizer = slopewise.torch.ForwardGradient(module.parameters(), lr=1e-3, tangents=8)
        loss = optimizer.step(lambda: F.cross_entropy(module(x), y))
        print(optimizer.norm, optimizer.snr)

    The slopes come from central differences of the closure, 2K + 1 calls with the parameters moved by ±epsilon along the
    tangents (SPSA, Spall 1992; MeZO, Malladi et al. 2023); or, where `module` is given, whose parameters these are, exactly
    from PyTorch's own forward mode: one call for all tangents where its vmap can batch them, else K. What forward mode has
    no rule for (scaled_dot_product_attention's fused kernels, cuDNN's recurrences) raises NotImplementedError.

    The tangents are the library's draws: entry i of tangent k of step t is a function of (seed, t, k, i), the parameters
    that require gradients being counted on one after another (slopewise.tangents). The K tangents of a step are in memory.
    A closure takes no backward pass, and sees the same random numbers (dropout) with each of its calls in a step.

    optimizer: what of PyTorch steps along the estimate, which is in each parameter's grad; None: θ −= lr g. law, tangents,
    seed: as slopewise.Estimator's. ValueError for an unknown law, a number that is not above 0, a parameter that is not on
    the CPU, or no parameters that train;
    FloatingPointError, before anything is changed, for a loss that is not finite.

    After a step: `loss`; `slopes` (K,); `norm`, ‖∇‖ with its 95 % interval; `snr`, ‖∇‖² / E‖g − ∇‖², the least it can be.
    """

    def __init__(self, params: Iterable, lr: float = 1e-3, *, tangents: int = 8, law: str = "rademacher", seed: int = 1,
                 epsilon: float = 1e-3, module: torch.nn.Module | None = None,
                 optimizer: torch.optim.Optimizer | None = None) -> None:
        if not lr > 0 or not epsilon > 0 or tangents < 1:
            raise ValueError(f"expected lr, epsilon and tangents above 0, found {lr}, {epsilon} and {tangents}")
        super().__init__(params, {"lr": lr})
        self._law, self._count, self._seed, self._epsilon = law, tangents, seed, epsilon
        self._module, self._optimizer = module, optimizer
        self._batches = True
        self._trained = [each for group in self.param_groups for each in group["params"] if each.requires_grad]
        _require_cpu(self._trained)
        if not self._trained:
            raise ValueError("expected parameters that require gradients, found none")
        self._shapes = [list(each.shape) for each in self._trained]
        self._dtype = "float64" if any(each.dtype == torch.float64 for each in self._trained) else "float32"
        _slopewise.noise_of(self._shapes, law, [0.0] * tangents)  # refuses a law that there is not
        self.steps = 0
        self.loss = float("nan")
        self.slopes = np.empty(0)
        self.norm, self.snr = Interval(*[float("nan")] * 3), float("nan")

    @torch.no_grad()
    def step(self, closure: Callable[[], torch.Tensor]) -> torch.Tensor:
        """One step; returns the loss before it. `closure` returns the loss of the parameters as they are."""
        tangents = self._tangents()
        forward = self._forward_mode if self._module is not None else self._differences
        loss, slopes = forward(_repeated(closure), tangents)
        if not (torch.isfinite(loss) and np.isfinite(slopes).all()):
            raise FloatingPointError(f"the loss is {float(loss)}, the slopes are {slopes}")
        factors = torch.tensor(slopes / self._count)
        for each, tangent in zip(self._trained, tangents):
            each.grad = torch.tensordot(factors.to(tangent), tangent, dims=1)
        if self._optimizer is not None:
            self._optimizer.step()
        else:
            for group in self.param_groups:
                for each in group["params"]:
                    if each.requires_grad:
                        each.add_(each.grad, alpha=-group["lr"])
        self.steps += 1
        self.loss, self.slopes = float(loss), slopes
        noise = _slopewise.noise_of(self._shapes, self._law, slopes.tolist())
        self.norm, self.snr = norm_of(noise), noise[5]
        return loss

    def state_dict(self) -> dict[str, Any]:
        """As PyTorch's, with the number of steps, which decides on the next tangents."""
        return {**super().state_dict(), "steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        rest = dict(state_dict)
        self.steps = rest.pop("steps")
        super().load_state_dict(rest)

    def _tangents(self) -> list[torch.Tensor]:
        """For each parameter its part of the K tangents, (K, *shape)."""
        flat = torch.from_numpy(
            _slopewise.tangents_of(self._shapes, self._law, self._count, self._seed, self.steps, self._dtype))
        parts = flat.split([each.numel() for each in self._trained], dim=1)
        return [part.reshape(-1, *each.shape).to(each) for part, each in zip(parts, self._trained)]

    def _differences(self, closure: Callable[[], torch.Tensor],
                     tangents: list[torch.Tensor]) -> tuple[torch.Tensor, np.ndarray]:
        start = [each.clone() for each in self._trained]

        def moved(k: int, step: float) -> float:
            for each, origin, tangent in zip(self._trained, start, tangents):
                each.copy_(origin).add_(tangent[k], alpha=step)
            return float(closure())

        try:
            slopes = [(moved(k, self._epsilon) - moved(k, -self._epsilon)) / (2 * self._epsilon)
                      for k in range(self._count)]
        finally:
            for each, origin in zip(self._trained, start):
                each.copy_(origin)
        return closure().detach(), np.array(slopes)

    def _forward_mode(self, closure: Callable[[], torch.Tensor],
                      tangents: list[torch.Tensor]) -> tuple[torch.Tensor, np.ndarray]:
        places = [[(each, name) for each in self._module.modules() for name, own in each._parameters.items()
                   if own is parameter] for parameter in self._trained]
        if not all(places):
            raise ValueError("module: expected the one whose parameters are stepped")

        def along(*tangent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            try:
                for parameter, holders, part in zip(self._trained, places, tangent):
                    dual = forward_ad.make_dual(parameter.detach(), part)
                    for holder, name in holders:
                        holder._parameters[name] = dual
                loss, slope = forward_ad.unpack_dual(closure())
                return loss, torch.zeros_like(loss) if slope is None else slope
            finally:
                for parameter, holders in zip(self._trained, places):
                    for holder, name in holders:
                        holder._parameters[name] = parameter

        with forward_ad.dual_level():
            if self._batches:
                try:
                    losses, slopes = _vmap(along)(*tangents)
                    return losses[0], slopes.double().numpy()
                except RuntimeError:  # an operation that vmap cannot batch, or that draws random numbers
                    self._batches = False
            pairs = [along(*(part[k] for part in tangents)) for k in range(self._count)]
        return pairs[0][0], np.array([float(slope) for _, slope in pairs])


def _repeated(closure: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
    """The closure with the same random numbers at each call."""
    state = torch.get_rng_state()

    def call() -> torch.Tensor:
        torch.set_rng_state(state)
        return closure()

    return call
