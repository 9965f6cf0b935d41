"""A keyword transformer learns ten spoken digits without a backward pass: its head, along 32 tangents a step.

Needs models/kwt1.onnx (github.com/ARM-software/keyword-transformer as ONNX) and fsdd/features.npz (the Free Spoken Digit
Dataset through its front end: x (3000, 98, 40), y, index) in the folder that SLOPEWISE_DATA names."""

import os
import sys
from pathlib import Path

import numpy as np

import slopewise as sw

folder = Path(os.environ.get("SLOPEWISE_DATA", "."))
if not (folder / "models" / "kwt1.onnx").exists() or not (folder / "fsdd" / "features.npz").exists():
    print(f"no models/kwt1.onnx and fsdd/features.npz in {folder.resolve()}: nothing to tune")
    sys.exit()

data = np.load(folder / "fsdd" / "features.npz")
x, y, test = data["x"].astype(np.float32), data["y"].astype(np.int32), data["index"] < 5
model = sw.load(folder / "models" / "kwt1.onnx", train="head")
print(model)

judged = x[test][::5], y[test][::5]
before = sw.evaluate(model, judged)


def report(line):
    print(f"{line['step']:4}  loss {line['loss']:.3f}   length of the gradient {line['gradient_norm']:.3f} "
          f"[{line['gradient_norm_low']:.3f}, {line['gradient_norm_high']:.3f}]", flush=True)


run = sw.train(model, (x[~test], y[~test]), steps=40, batch=24, tangents=32, law="gaussian", optimizer="adam", rate=0.03,
               test=judged, callback=report, progress=False)
after = run.curve[-1]
print(f"error on digits it has not heard: {before[1]:.1%} before, {after['test_error']:.1%} after {run.results['seconds']:.0f} s")
assert after["test_error"] < before[1]
