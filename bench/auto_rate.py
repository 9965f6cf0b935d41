#!/usr/bin/env python3
"""`--rate auto` beside a grid of twelve rates, task by task: docs/train.md has the table.

Usage: auto_rate.py SLOPEWISE DATA [OUT] [TASK…]; DATA holds mnist/, models/, fsdd/ and shakespeare/. Runs are kept in
OUT (./auto_rate), and those that are there are not made again. Without TASK all of them, about two hours on one core.
"""

import json
import subprocess
import sys
from pathlib import Path

RATES = ("0.0001", "0.0002", "0.0005", "0.001", "0.002", "0.005", "0.01", "0.02", "0.05", "0.1", "0.2", "0.5")
MLP = "--model mlp --hidden 256,256 --epochs 2"
MNIST = "--data {data}/mnist --measure-every 0"
SPEAKER = "--model {out}/others/model.onnx --data {out}/few.npz --batch 50 --tangents 8 --steps 69 --measure-every 0"
STORIES = ("--model {data}/models/stories260K.onnx --data {data}/shakespeare/tokens.npz --batch 16 --steps 150 "
           "--measure-every 0")
TASKS = {
    "backprop, Adam": f"{MNIST} {MLP} --method exact",
    "backprop, momentum": f"{MNIST} {MLP} --method exact --optimizer momentum",
    "backprop, SGD": f"{MNIST} {MLP} --method exact --optimizer sgd",
    "activities, feedback": f"{MNIST} --preset mnist-activities --epochs 2",
    "local losses, feedback": f"{MNIST} --preset mnist-local --epochs 2",
    "weights, K = 32, Adam": f"{MNIST} --preset mnist-weights --epochs 3",
    "weights, K = 1, SGD": f"{MNIST} --model mlp --hidden 64 --epochs 2 --method weights --law gaussian --tangents 1 "
                           "--optimizer sgd --estimated-head",
    "MeZO": f"{MNIST} --model mlp --hidden 64 --epochs 2 --preset mezo",
    "kwt, norms": f"{SPEAKER} --method weights --train norms",
    "kwt, lora": f"{SPEAKER} --method weights --train lora:4",
    "stories, norms and head": f"{STORIES} --method weights --tangents 8 --train norm|output|head",
    "stories, residual": f"{STORIES} --method activities --prior residual --tangents 0 --correction none",
}


def main(slopewise, data, out="auto_rate", *tasks):
    slopewise, data, out = Path(slopewise).resolve(), Path(data).resolve(), Path(out).resolve()
    out.mkdir(exist_ok=True)

    def run(*words):
        done = subprocess.run([slopewise, *map(str, words)], capture_output=True, text=True)
        if done.returncode and "diverged" not in done.stderr and "the loss is" not in done.stderr:
            print(f"{' '.join(map(str, words))}: {done.stderr}", file=sys.stderr)

    def train(directory, words):
        if not (directory / "results.json").exists():
            run("train", *words, "--threads", 1, "--quiet", "--no-report", "--out", directory)
        return json.loads((directory / "results.json").read_text())

    if any(task.startswith("kwt") for task in tasks or TASKS) and not (out / "few.npz").exists():
        # One of six speakers is left out, the network is trained on the others, and five recordings a digit are his.
        split = ["data", "split", data / "fsdd/features.npz", "--by", "speaker", "--held-out", 0]
        run(*split, "--out", out / "others.npz")
        train(out / "others", ["--model", data / "models/kwt1.onnx", "--data", out / "others.npz", "--method", "exact",
                               "--batch", 50, "--epochs", 3, "--rate", 0.001])
        run(*split, "--shots", 5, "--seed", 1, "--out", out / "few.npz")
    print("| task | best rate of twelve | its test loss, accuracy | auto | loss over the best |\n|---|---|---|---|---|")
    for task in tasks or TASKS:
        words = TASKS[task].format(data=data, out=out).split()
        place = out / "".join(letter if letter.isalnum() else "-" for letter in task)
        place.mkdir(exist_ok=True)
        found = {rate: train(place / rate, [*words, "--rate", rate]) for rate in (*RATES, "auto")}
        grid = {rate: results for rate, results in found.items() if rate != "auto" and results["status"] == "finished"}
        best = min(grid, key=lambda rate: grid[rate]["test_loss"])
        figures = [f"{results['test_loss']:.3f}, {100 - 100 * results['test_error']:.1f} %"
                   for results in (grid[best], found["auto"])]
        print(f"| {task} | {best} | {figures[0]} | {figures[1]} | "
              f"{found['auto']['test_loss'] - grid[best]['test_loss']:+.3f} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
