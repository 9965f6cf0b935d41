"""The command line beside PyTorch: a test case of tests that export models. Skips the whole file where PyTorch is not there."""

import os
import subprocess
import sys
import tempfile
import unittest
import warnings
from pathlib import Path

import numpy as np

try:
    import torch
except ImportError:
    print("SKIPPED: PyTorch is not installed")
    sys.exit(77)

warnings.filterwarnings("ignore")


class TorchCase(unittest.TestCase):
    SLOPEWISE = ""  # the program

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        torch.manual_seed(1)
        self.random = np.random.default_rng(1)

    def call(self, *words):
        return subprocess.run([TorchCase.SLOPEWISE, *map(str, words)], cwd=self.directory, capture_output=True, text=True,
                              timeout=200, env={**os.environ, "OMP_NUM_THREADS": "1"})

    def done(self, *words):
        result = self.call(*words)
        self.assertEqual((result.returncode, result.stderr), (0, ""), words)
        return result.stdout

    def refused(self, code, message, *words):
        result = self.call(*words)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertIn(message, result.stderr)

    def export(self, model, inputs, names, name="model.onnx"):
        torch.onnx.export(model.eval(), inputs, self.directory / name, opset_version=13, input_names=names,
                          output_names=["y"], dynamic_axes={n: {0: "batch"} for n in [*names, "y"]})
