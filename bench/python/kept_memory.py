"""Begins this program again with glibc told to keep the memory that it frees, as `slopewise bench` has its peers do
(docs/bench.md). Import it before anything else."""

import os
import sys

KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "1000000000000"}
if any(os.environ.get(name) != value for name, value in KEPT.items()):
    os.execve(sys.executable, sys.orig_argv, {**os.environ, **KEPT})
