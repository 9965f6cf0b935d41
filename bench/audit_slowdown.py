#!/usr/bin/env python3
"""Predicted beside measured slowdowns of `slopewise audit`, case by case: docs/audit.md has the table.

Usage: audit_slowdown.py SLOPEWISE [DATA]; DATA holds models/kwt1.onnx and fsdd/features.npz, without which the cases
of networks of this library are run alone.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path


def cases(data):
    for words in ("--model logistic", "--hidden 16", "--hidden 64", "--hidden 256,256"):
        yield words, [*words.split(), "--batch", "128", "--time", "40"]
    if data:
        for trained in ("head", "norms", "lora:4", "all"):
            yield f"kwt1, {trained}", ["--model", data / "models/kwt1.onnx", "--data", data / "fsdd/features.npz",
                                       "--test-share", "0.1", "--train", trained, "--batch", "16", "--time", "150"]


def main(slopewise, data=None):
    print("| case | n | method | predicted | 95 % | measured | over predicted |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        for name, words in cases(data and Path(data).resolve()):
            done = subprocess.run([Path(slopewise).resolve(), "audit", *map(str, words), "--json", "--quiet", "--no-report",
                                   "--try", "weights K=1,weights K=8"],
                                  cwd=directory, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"{name}: {done.stderr}")
            document = json.loads(done.stdout)
            for method in document["methods"]:
                if not method["tried"] or method["exact"]:
                    continue
                slowdown, measured = method["predicted"]["slowdown"], method["tried"]["slowdown"]
                found = "none" if measured is None else f"{measured:.3g} | {measured / slowdown['value']:.2f}"
                print(f"| {name} | {document['parameters']} | {method['name']} | {slowdown['value']:.3g} | "
                      f"{slowdown['low']:.3g} to {slowdown['high']:.3g} | {found} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
