#!/usr/bin/env python3
"""Runs of `slopewise train --workers --elastic` whose ranks are stopped and killed at random, held to the bits of one
process that nobody disturbs. Usage: soak_workers.py SLOPEWISE [--minutes 10] [--ranks 8] [--steps 2000] [--seed 1]

Every tenth time it is the launcher that is killed, and the run is resumed by hand. Ends with 1 at the first outcome that is not as documented.
"""

import argparse
import collections
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path


def ranks_of(launcher):
    """The processes of its ranks."""
    ranks = {}
    try:
        for mpirun in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split():
            for child in Path(f"/proc/{mpirun}/task/{mpirun}/children").read_text().split():
                for variable in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
                    if variable.startswith(b"OMPI_COMM_WORLD_RANK="):
                        ranks[int(variable.split(b"=")[1])] = int(child)
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return ranks


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("slopewise", type=lambda path: str(Path(path).resolve()))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--ranks", type=int, default=8)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    counts = collections.Counter()
    deadline = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)

        def command(*words):
            return [options.slopewise, "train", *map(str, words), "--quiet", "--no-report", "--threads", "1"]

        task = ["--hidden", "16", "--batch", "64", "--method", "weights", "--tangents", 4, "--estimated-head", "--steps",
                options.steps, "--epochs", 1000000, "--evaluate-every", 1000, "--pieces", 16, "--measure-every", 0]
        subprocess.run(command(*task, "--out", directory / "whole"), check=True)
        same = ("weights.safetensors", "slopes.log")
        whole = [(directory / "whole" / file).read_bytes() for file in same]
        begin = [*task, "--out", directory / "run", "--log-every", 50, "--checkpoint-every", 2]
        words = begin
        metrics = directory / "run/metrics.jsonl"
        environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
        while time.monotonic() < deadline:
            running = subprocess.Popen(command(*words, "--workers", options.ranks, "--elastic", "--rank-timeout", 15),
                                       stderr=subprocess.PIPE, text=True, env=environment)
            resumed = False
            while running.poll() is None:
                time.sleep(chance.uniform(1, 10))
                ranks = ranks_of(running.pid)
                if not ranks or not metrics.exists() or metrics.stat().st_size == 0:
                    continue  # it has not begun
                rank = chance.choice(list(ranks))
                what = chance.choice([signal.SIGKILL, signal.SIGSTOP])
                try:
                    if chance.random() < 0.1:
                        running.kill()
                        counts["launcher killed"] += 1
                        resumed = True
                        break
                    os.kill(ranks[rank], what)
                    counts[f"rank {'0' if rank == 0 else 'other'}, {what.name}"] += 1
                except ProcessLookupError:  # it had ended
                    counts["too late"] += 1
            err = running.communicate(timeout=300)[1]
            if resumed:
                for process in ranks.values():
                    while Path(f"/proc/{process}").exists():
                        time.sleep(0.05)
                words = ["--resume", directory / "run", "--checkpoint-every", 2]
                continue
            if running.returncode == 1 and "to go on: slopewise train --resume" in err:  # the last rank was lost too
                counts["all ranks lost, resumed"] += 1
                words = ["--resume", directory / "run", "--checkpoint-every", 2]
                continue
            if running.returncode == 1 and "before the first step" in err:  # ranks that took long to begin
                counts["ended before the first step"] += 1
                if words is begin:
                    shutil.rmtree(directory / "run", ignore_errors=True)
                continue
            words = begin
            alike = running.returncode == 0 and [(directory / "run" / file).read_bytes() for file in same] == whole
            if not alike:
                raise SystemExit(f"ended with {running.returncode}, bits alike: {alike}\n{err}\n{dict(counts)}")
            counts["runs to the same bits"] += 1
            shutil.rmtree(directory / "run")
    print(dict(counts))


if __name__ == "__main__":
    main()
