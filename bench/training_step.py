#!/usr/bin/env python3
"""Training's step along rank-one tangents of the weights over bench's, of mlp-1024 with batch 64 on one thread.

Usage: training_step.py SLOPEWISE DATA [ROUNDS]

DATA: MNIST's directory. Each round times both, one after the other; prints the ratios, their median and their range.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

TRAIN = ("--model mlp-1024 --method weights --law rank-one --tangents 1 --optimizer sgd --rate 1e-6 --schedule constant "
         "--batch 64 --threads 1 --steps 700 --log-every 100 --measure-every 0 --evaluate-every 100 --no-report --quiet")
BENCH = "--model mlp-1024 --batch 64 --threads 1 --tangents 1 --steps rank-one --rounds 8 --no-memory"


def main():
    program, data = (str(Path(path).resolve()) for path in sys.argv[1:3])
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 10
    environment = {**os.environ, "OMP_PROC_BIND": "true", "OMP_PLACES": "cores"}
    ratios = []
    with tempfile.TemporaryDirectory() as directory:

        def call(*words):
            subprocess.run([program, *words], cwd=directory, env=environment, check=True, capture_output=True)

        for _ in range(rounds):
            call("train", "--data", data, *TRAIN.split(), "--out", "train", "--overwrite")
            lines = map(json.loads, (Path(directory) / "train/metrics.jsonl").read_text().splitlines())
            steps = [line["step_ms"] for line in lines if "step_ms" in line]
            call("bench", *BENCH.split(), "--out", "bench", "--overwrite")
            row = json.loads((Path(directory) / "bench/bench.json").read_text())["rows"][0]
            ratios.append(statistics.median(steps[1:]) / row["milliseconds"])  # without the first, which warms up
            print(f"{ratios[-1]:.3f}", flush=True)
    print(f"median {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")


if __name__ == "__main__":
    main()
