#!/usr/bin/env python3
"""Checks what `slopewise gradient` wrote with other tools: NumPy and, with --torch, PyTorch.

Nothing here calls Slopewise. The tangents are drawn again from the documented random streams, the gradient is
backpropagated again from the written weights and batch, and what the program wrote is compared with what follows.

Exit code: 0 all agrees, 1 something does not, 77 PyTorch was asked for and is not installed.
"""

import argparse
import sys

import numpy as np

SKIPPED = 77


def philox(counter, key):
    """Philox4x32-10 (Salmon et al. 2011) on a counter of four arrays of words."""
    mask = np.uint64(0xFFFFFFFF)
    c0, c1, c2, c3 = (np.asarray(word, dtype=np.uint64) for word in counter)
    key0, key1 = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        product0, product1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        high0, high1 = product0 >> np.uint64(32), product1 >> np.uint64(32)
        c0, c1, c2, c3 = high1 ^ c1 ^ np.uint64(key0), product1 & mask, high0 ^ c3 ^ np.uint64(key1), product0 & mask
        key0, key1 = (key0 + 0x9E3779B9) & 0xFFFFFFFF, (key1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(np.broadcast_arrays(c0, c1, c2, c3))


def blocks(block, seed, step, stream):
    block = block.astype(np.uint64)
    return philox((block & np.uint64(0xFFFFFFFF), block >> np.uint64(32), step, stream), seed)


def gaussian(entries, seed, step, k):
    """Groups of 64 entries: entry e is word r // 16 of block 16 (e // 64) + r % 16, with r = e % 64."""
    r = entries % 64
    words = blocks(16 * (entries // 64) + r % 16, seed, step, k).astype(np.float64)
    word = r // 16
    row = np.arange(entries.size)
    a, b = words[word // 2 * 2, row], words[word // 2 * 2 + 1, row]
    radius, angle = np.sqrt(-2 * np.log((a + 0.5) / 2**32)), 2 * np.pi * b / 2**32
    return radius * np.where(word % 2 == 0, np.cos(angle), np.sin(angle))


def rademacher(entries, seed, step, k):
    """Groups of 2048: entry e is bit (r % 512) // 16 of word r // 512 of block 16 (e // 2048) + r % 16; 1 means -1."""
    r = entries % 2048
    words = blocks(16 * (entries // 2048) + r % 16, seed, step, k)
    bit = (words[r // 512, np.arange(entries.size)] >> (r % 512 // 16).astype(np.uint64)) & np.uint64(1)
    return 1.0 - 2.0 * bit.astype(np.float64)


LAWS = {"gaussian": (gaussian, 3), "rademacher": (rademacher, 1)}  # with the kurtosis of an entry


class Report:
    """One line a comparison: the largest disagreement, in the unit named, and what is allowed."""

    def __init__(self):
        self.failed = False

    def compare(self, what, disagreement, limit):
        agrees = bool(disagreement <= limit)  # a NaN does not
        self.failed |= not agrees
        print(f"{'ok  ' if agrees else 'FAIL'} {what}: {disagreement:.2e}, allowed {limit:.0e}")


def relative(found, expected):
    """The largest difference in units of the largest entry."""
    return np.max(np.abs(found - expected)) / np.max(np.abs(expected))


def check_samples(report, result, law, how_many):
    """Mean, variance and their prediction for some entries, from the written slopes and tangents drawn again."""
    draw, kurtosis = LAWS[law]
    seed, gradient, slopes = int(result["seed"]), result["gradient"].astype(np.float64), result["slopes"]
    samples, tangents = slopes.shape
    n = gradient.size
    entries = np.unique(np.concatenate([[0, n - 1], np.random.default_rng(1).integers(0, n, how_many)]))
    estimates = np.zeros((samples, entries.size))
    for step in range(samples):
        for k in range(tangents):
            estimates[step] += slopes[step, k] * draw(entries, seed, step, k) / tangents
    deviation = np.sqrt(np.mean(result["variance"]))
    report.compare("estimate of sample 0 / deviation",
                   np.max(np.abs(result["estimate"][entries] - estimates[0])) / deviation, 2e-6)
    report.compare("mean / deviation", np.max(np.abs(result["mean"][entries] - estimates.mean(axis=0))) / deviation, 2e-6)
    report.compare("variance, relative",
                   np.max(np.abs(result["variance"][entries] / estimates.var(axis=0, ddof=1) - 1)), 5e-6)
    square = gradient @ gradient
    predicted = (square + (kurtosis - 2) * gradient**2) / tangents
    report.compare("predicted variance, relative", np.max(np.abs(result["predicted_variance"] / predicted - 1)), 1e-9)

    # Whole tangents: the slopes are those of the written gradient, and cosines those of the whole estimate.
    everything = np.arange(n)
    slope_error = cosine_error = 0.0
    for step in range(min(samples, 2)):
        estimate = np.zeros(n)
        for k in range(tangents):
            tangent = draw(everything, seed, step, k)
            slope_error = max(slope_error, abs(slopes[step, k] - gradient @ tangent) / np.sqrt(square))
            estimate += slopes[step, k] * tangent / tangents
        cosine = estimate @ gradient / np.sqrt(square * (estimate @ estimate))
        cosine_error = max(cosine_error, abs(result["cosines"][step] - cosine))
    report.compare("slopes / norm of the gradient", slope_error, 1e-5)
    report.compare("cosines", cosine_error, 1e-7)


def layers(arrays, prefix=""):
    """The (weight, bias) pairs of linear1, linear2, … as far as there are any."""
    found = []
    while f"{prefix}linear{len(found) + 1}.weight" in arrays:
        name = f"{prefix}linear{len(found) + 1}"
        found.append((arrays[f"{name}.weight"], arrays[f"{name}.bias"]))
    return found


def numpy_gradient(parameters, images, labels):
    """Loss and gradient of a ReLU network with mean cross entropy, by hand, in float64."""
    weights = [(w.astype(np.float64), b.astype(np.float64)) for w, b in layers(parameters)]
    inputs = [images.reshape(len(images), -1).astype(np.float64)]
    for w, b in weights[:-1]:
        inputs.append(np.maximum(inputs[-1] @ w.T + b, 0))
    logits = inputs[-1] @ weights[-1][0].T + weights[-1][1]
    logits -= logits.max(axis=1, keepdims=True)
    log_probability = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    rows = np.arange(len(labels))
    loss = -log_probability[rows, labels].mean()
    error = np.exp(log_probability)
    error[rows, labels] -= 1
    error /= len(labels)
    gradients = []
    for (w, _), x in zip(reversed(weights), reversed(inputs)):
        gradients.append((error.T @ x, error.sum(axis=0)))
        error = (error @ w) * (x > 0)
    return loss, gradients[::-1]


def torch_gradient(parameters, images, labels):
    """The same by PyTorch, in the written precision."""
    import torch

    weights = [tuple(torch.tensor(part, requires_grad=True) for part in layer) for layer in layers(parameters)]
    x = torch.tensor(images.reshape(len(images), -1))
    for w, b in weights[:-1]:
        x = torch.relu(torch.nn.functional.linear(x, w, b))
    logits = torch.nn.functional.linear(x, *weights[-1])
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(labels, dtype=torch.int64))
    loss.backward()
    return loss.item(), [tuple(part.grad.numpy() for part in layer) for layer in weights]


def check_exact(report, result, loss, gradients, peer):
    written = layers(result, "gradient/")
    flat = np.concatenate([part.ravel() for layer in written for part in layer])
    report.compare("gradient against its segments", np.max(np.abs(result["gradient"] - flat)), 0)
    report.compare(f"loss against {peer}, relative", abs(result["loss"] / loss - 1), 1e-6)
    for number, (found, expected) in enumerate(zip(written, gradients, strict=True), start=1):
        for part, a, b in zip(("weight", "bias"), found, expected):
            report.compare(f"linear{number}.{part} against {peer}, of its largest entry", relative(a, b), 1e-5)
    expected = np.concatenate([part.ravel() for layer in gradients for part in layer])
    report.compare(f"whole gradient against {peer}, of its norm",
                   np.linalg.norm(flat - expected) / np.linalg.norm(expected), 1e-5)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("result", help="what --out wrote, for --estimator forward")
    parser.add_argument("--law", choices=LAWS, default="gaussian", help="the --law it was made with")
    parser.add_argument("--parameters", help="what --save-parameters wrote, for a logistic model or an mlp")
    parser.add_argument("--example", help="what --example wrote")
    parser.add_argument("--entries", type=int, default=2000, help="entries whose moments are made again")
    parser.add_argument("--torch", action="store_true", help="compare the exact gradient with PyTorch's too")
    arguments = parser.parse_args()

    report = Report()
    with np.load(arguments.result) as file:
        result = dict(file)
    check_samples(report, result, arguments.law, arguments.entries)
    if arguments.parameters and arguments.example:
        with np.load(arguments.parameters) as parameters, np.load(arguments.example) as example:
            batch = (dict(parameters), example["images"], example["labels"])
        check_exact(report, result, *numpy_gradient(*batch), "NumPy")
        if arguments.torch:
            try:
                check_exact(report, result, *torch_gradient(*batch), "PyTorch")
            except ImportError as error:
                print(f"skipped: PyTorch is not at hand ({error})")
                return 1 if report.failed else SKIPPED
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
