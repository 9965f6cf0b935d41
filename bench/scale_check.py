#!/usr/bin/env python3
"""What `slopewise scale` predicts of a step beside what `slopewise train --workers` takes, on networks that are made slow
by bench/mpi_latency.c. Needs mpicc. Usage: scale_check.py SLOPEWISE [--ranks 1,2,3,4] [--milliseconds 1,5,20]
[OPTION OF BOTH]...

More ranks than processors take turns: a rank's own time then counts as often as ranks share one processor.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("slopewise", type=lambda path: str(Path(path).resolve()))
    parser.add_argument("--ranks", default="1,2,3,4")
    parser.add_argument("--milliseconds", default="1,5,20")
    parser.add_argument("--steps", type=int, default=200)
    own, task = parser.parse_known_args()
    processors = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as directory:
        library = Path(directory) / "latency.so"
        subprocess.run(["mpicc", "-O2", "-shared", "-fPIC", "-o", library, Path(__file__).parent / "mpi_latency.c"],
                       check=True)
        print("one-way  ranks  divided   predicted  measured  predicted/measured")
        for milliseconds in own.milliseconds.split(","):
            told = subprocess.run([own.slopewise, "scale", *task, "--threads", "1", "--ranks", own.ranks, "--latency",
                                   f"{milliseconds}ms", "--json", "--quiet"], check=True, capture_output=True)
            for point in json.loads(told.stdout)["ranks"]:
                ranks = point["ranks"]
                for divide in ("examples", "tangents", "both") if ranks > 1 else ("examples",):
                    step = point[divide]
                    predicted = step["wire"] + step["compute"] * max(1, ranks / processors)
                    run = Path(directory) / f"{divide}-{ranks}-{milliseconds}"
                    subprocess.run([own.slopewise, "train", *task, "--threads", "1", "--method", "weights",
                                    "--estimated-head", "--steps", str(own.steps), "--epochs", "1000000",
                                    "--evaluate-every", "1000000", "--measure-every", "0", "--log-every", "10",
                                    "--rate", "1e-6", "--no-report", "--quiet", "--out", run, "--divide", divide,
                                    *(["--workers", str(ranks)] if ranks > 1 else [])], check=True,
                                   env={**os.environ, "LD_PRELOAD": str(library), "OMP_WAIT_POLICY": "passive",
                                        "SLOPEWISE_LATENCY": str(float(milliseconds) / 1000)})
                    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
                    measured = statistics.median(line["step_ms"] for line in lines)
                    print(f"{milliseconds:>4} ms  {ranks:5}  {divide:8}  {1000 * predicted:6.2f} ms  {measured:5.2f} ms "
                          f"{1000 * predicted / measured:9.2f}", flush=True)


if __name__ == "__main__":
    main()
