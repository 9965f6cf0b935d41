"""A step by backprop of a convolutional network of 0.26 million parameters beside PyTorch's SGD in both of its memory
formats, one thread, in turn. PyTorch takes the kernels that OPENBLAS_CORETYPE names.
./run python bench/python/cnn_step.py SLOPEWISE DATA [ROUNDS]; DATA: images of 32 × 32 × 3, as `train --data` takes them."""

import kept_memory

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

BATCH, STEPS, RATE = 128, 24, 1e-6
CHANNELS = "32,64p,128p,128p"  # p: pooled


def network():
    layers, inputs, side = [], 3, 32
    for channels in CHANNELS.split(","):
        outputs = int(channels.rstrip("p"))
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
        if channels.endswith("p"):
            layers.append(nn.MaxPool2d(2))
            side //= 2
        inputs = outputs
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * side * side, 10))


def torch_step(memory_format):
    """The median of STEPS steps, after one that is not counted."""
    model = network().to(memory_format=memory_format)
    images = torch.randn(BATCH, 3, 32, 32).contiguous(memory_format=memory_format)
    labels = torch.randint(10, (BATCH,))
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    seconds = []
    for _ in range(STEPS + 1):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def own_step(slopewise, data):
    with tempfile.TemporaryDirectory() as directory:
        run = Path(directory) / "run"
        subprocess.run([slopewise, "train", "--data", data, "--model", "cnn", "--channels", CHANNELS, "--hidden", "0",
                        "--method", "exact", "--optimizer", "sgd", "--batch", str(BATCH), "--threads", "1", "--steps",
                        str(STEPS), "--rate", str(RATE), "--log-every", "8", "--measure-every", "0", "--no-report",
                        "--quiet", "--out", run], check=True, stdout=subprocess.DEVNULL)
        return json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step_ms"] / 1000


slopewise, data, *rounds = sys.argv[1:]
torch.set_num_threads(1)
ways = {"slopewise": lambda: own_step(slopewise, data), "PyTorch, contiguous": lambda: torch_step(torch.contiguous_format),
        "PyTorch, channels last": lambda: torch_step(torch.channels_last)}
seconds = {way: [] for way in ways}
for _ in range(int(rounds[0]) if rounds else 4):
    for way, call in ways.items():
        seconds[way].append(call())
median = {way: statistics.median(taken) for way, taken in seconds.items()}
best = min(taken for way, taken in median.items() if way != "slopewise")
print("; ".join(f"{way} {taken:.3f} s" for way, taken in median.items()) + f"; over the quicker {median['slopewise'] / best:.2f}")
