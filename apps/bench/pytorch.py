"""PyTorch's side of `slopewise bench`. Arguments: THREADS [SHAPE BATCH].

SHAPE is the widths of a perceptron's layers, "784,1024,10", or "cnn," and the side of its square images. The first line
on standard output is "pytorch VERSION", or "absent REASON". Then each line on standard input gets one line in answer:

    kernels          what multiplies matrices: "OpenBLAS CORETYPE", or another library
    lacks STEP       "", or the reason why this PyTorch cannot do the step
    run STEP COUNT   seconds of COUNT runs, after one that is not counted
    peak STEP        bytes of memory at the step's peak, beyond what a process with model and batch holds; asked first

STEP is "sgd" or "forward", and for "cnn" also the same with ":channels_last" behind it; or "product:ROWS", which needs
neither SHAPE nor BATCH: a plain product of (ROWS, 1024) by (1024, 1024).
"""

import ctypes
import os
import re
import sys
import time

RATE = 1e-6
CLASSES = 10
PRODUCT_SIDE = 1024

try:
    # Debian's PyTorch multiplies by OpenBLAS, which takes as many threads as there are CPUs when it is loaded; loaded
    # with torch, it comes after OpenMP has bound this thread to one.
    ctypes.CDLL("libopenblas.so.0")
except OSError:
    pass

try:
    import torch
    import torch.autograd.forward_ad as forward_ad
    import torch.nn.functional as F
    from torch import nn
    from torch.nn.utils.stateless import functional_call
except ImportError as error:
    print("absent", error, flush=True)
    sys.exit()


class SymbolInfo(ctypes.Structure):
    """Dl_info of dladdr(3)."""
    _fields_ = [("file", ctypes.c_char_p), ("base", ctypes.c_void_p), ("name", ctypes.c_char_p),
                ("address", ctypes.c_void_p)]


def kernels():
    if torch.backends.mkl.is_available():
        return "MKL"
    with open("/proc/self/maps") as file:
        libraries = {line.split()[-1] for line in file if "/libtorch_cpu" in line}
    try:
        sgemm = ctypes.CDLL(libraries.pop()).sgemm_  # as libtorch_cpu finds it
    except (KeyError, AttributeError):
        return "an unknown library"
    info = SymbolInfo()
    ctypes.CDLL(None).dladdr(ctypes.cast(sgemm, ctypes.c_void_p), ctypes.byref(info))
    try:
        core_type = ctypes.CDLL(info.file.decode()).openblas_get_corename  # in that library or in one it needs
    except AttributeError:
        return os.path.basename(os.path.realpath(info.file.decode()))
    core_type.restype = ctypes.c_char_p
    return f"OpenBLAS {core_type().decode()}"


class Product:
    """A plain product of (rows, PRODUCT_SIDE) by (PRODUCT_SIDE, PRODUCT_SIDE)."""

    def __init__(self, rows):
        self.x, self.weights = torch.rand(rows, PRODUCT_SIDE), torch.rand(PRODUCT_SIDE, PRODUCT_SIDE)

    def take(self):
        with torch.no_grad():
            F.linear(self.x, self.weights)


def perceptron(widths):
    layers = []
    for inputs, outputs in zip(widths, widths[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


def convolutional(side):
    pooled = (side - 4) // 2
    return nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(inplace=True), nn.Conv2d(32, 64, 3), nn.ReLU(inplace=True),
                         nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * pooled * pooled, 128), nn.ReLU(inplace=True),
                         nn.Linear(128, CLASSES))


class Step:
    """A model, a batch and one way to take a step."""

    def __init__(self, step, shape, batch):
        method, _, layout = step.partition(":")
        kind, *numbers = shape.split(",")
        torch.manual_seed(1)
        if kind == "cnn":
            side = int(numbers[0])
            self.model, self.images = convolutional(side), torch.rand(batch, 1, side, side)
        else:
            widths = [int(kind), *map(int, numbers)]
            self.model, self.images = perceptron(widths), torch.rand(batch, widths[0])
        if layout:
            memory_format = getattr(torch, layout)
            self.model = self.model.to(memory_format=memory_format)
            self.images = self.images.contiguous(memory_format=memory_format)
        self.labels = torch.randint(CLASSES, (batch,))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=RATE)
        self.take = getattr(self, method)

    def sgd(self):
        self.optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(self.model(self.images), self.labels).backward()
        self.optimizer.step()

    def forward(self):
        """A forward gradient along one Gaussian tangent, by PyTorch's forward mode."""
        with torch.no_grad(), forward_ad.dual_level():
            tangents = {name: torch.randn_like(value) for name, value in self.model.named_parameters()}
            dual = {name: forward_ad.make_dual(value, tangents[name]) for name, value in self.model.named_parameters()}
            loss = F.cross_entropy(functional_call(self.model, dual, (self.images,)), self.labels)
            slope = forward_ad.unpack_dual(loss).tangent.item()
            for name, value in self.model.named_parameters():
                value.add_(tangents[name], alpha=-RATE * slope)


def small(shape):
    """A shape of the same kind that touches the same code."""
    kind, *numbers = shape.split(",")
    return "cnn,12" if kind == "cnn" else ",".join(["144", *["64"] * min(2, len(numbers) - 1), str(CLASSES)])


def lacks(step, shape):
    try:
        Step(step, small(shape), 1).take()
    except NotImplementedError as error:
        return str(error).partition("\n")[0]
    return ""


def seconds(step, count):
    step.take()
    times = []
    for _ in range(count):
        start = time.perf_counter()
        step.take()
        times.append(time.perf_counter() - start)
    return " ".join(map(repr, times))


def status(field):
    with open("/proc/self/status") as file:
        return 1024 * int(re.search(rf"{field}:\s*(\d+) kB", file.read())[1])


def peak(step, shape, batch):
    Step(step, small(shape), 1).take()
    step = Step(step, shape, batch)
    held = status("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # VmHWM starts anew
    for _ in range(3):
        step.take()
    return status("VmHWM") - held


def make(step, subject):
    return Product(int(step.partition(":")[2])) if step.startswith("product:") else Step(step, *subject)


def main():
    threads, *subject = sys.argv[1:]
    if subject:
        subject[1] = int(subject[1])
    torch.set_num_threads(int(threads))
    print("pytorch", torch.__version__, flush=True)
    steps = {}
    for line in sys.stdin:
        command, *rest = line.split()
        if command == "kernels":
            answer = kernels()
        elif command == "lacks":
            answer = lacks(rest[0], subject[0])
        elif command == "peak":
            answer = peak(rest[0], *subject)
        else:
            step, count = rest
            if step not in steps:
                steps[step] = make(step, subject)
            answer = seconds(steps[step], int(count))
        print(answer, flush=True)


main()
