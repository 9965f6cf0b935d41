#!/usr/bin/env python3
"""`slopewise model`, and networks from ONNX files in other verbs.

Usage: model_test.py SLOPEWISE DOCS [UNITTEST OPTION]..."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

SLOPEWISE = ""
DOCS = Path()


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    """A field of a protobuf message: an integer, text or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name, array):
    dims = b"".join(field(1, extent) for extent in array.shape)
    return dims + field(2, 1) + field(8, name) + field(9, array.astype("<f4").tobytes())


def end(name, extents):
    """An input or output; text is a symbol."""
    shape = b"".join(field(1, field(1 if isinstance(e, int) else 2, e)) for e in extents)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def logistic(weight, bias):
    """y = Gemm(x, weightᵀ, bias), as PyTorch exports a linear layer."""
    node = b"".join(field(1, name) for name in ["x", "weight", "bias"]) + field(2, "y") + field(3, "/linear/Gemm")
    node += field(4, "Gemm") + field(5, field(1, "transB") + field(3, 1) + field(20, 2))
    graph = field(1, node) + field(2, "g") + field(5, tensor("weight", weight)) + field(5, tensor("bias", bias))
    graph += field(11, end("x", ["batch", weight.shape[1]])) + field(12, end("y", ["batch", weight.shape[0]]))
    return field(1, 7) + field(2, "test") + field(7, graph) + field(8, field(1, "") + field(2, 13))


class ModelTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)

    def call(self, *words, code=0):
        run = subprocess.run([SLOPEWISE, *map(str, words)], cwd=self.directory, capture_output=True, text=True)
        self.assertEqual(run.returncode, code, run.stdout + run.stderr)
        return run.stdout if code == 0 else run.stderr

    def write(self, name="model.onnx", weight=np.ones((10, 784)), bias=np.zeros(10)):
        (self.directory / name).write_bytes(logistic(weight, bias))
        return self.directory / name

    def test_says_what_is_in_a_file_and_what_a_step_takes(self):
        self.write()
        text = self.call("model", "model.onnx")
        for words in ["n = 7850", "x (batch, 784)", "y (batch, 10)", "backprop, checkpointed", "cross_entropy"]:
            self.assertIn(words, text)
        document = json.loads(self.call("model", "model.onnx", "--json", "--train", "bias"))
        self.assertEqual(document["parameters"], 10)
        self.assertEqual([s["name"] for s in document["segments"]], ["bias"])
        self.assertEqual([m["what"] for m in document["memory"]],
                         ["loss", "8 slopes", "backprop", "backprop, checkpointed"])
        self.assertTrue(all(m["bytes"] > 0 for m in document["memory"]))

    def test_refuses_what_is_no_model_and_what_does_not_train(self):
        (self.directory / "text.onnx").write_text("no model\n")
        self.assertIn("text.onnx", self.call("model", "text.onnx", code=1))
        self.assertIn("none.onnx", self.call("model", "none.onnx", code=1))
        self.assertIn("FILE", self.call("model", code=2))
        self.write()
        self.assertIn("nothing trains", self.call("model", "model.onnx", "--train", "nobody", code=2))
        self.assertIn("NAME=N", self.call("model", "model.onnx", "--extent", "T", code=2))
        self.assertIn("no output", self.call("model", "model.onnx", "--output", "z", code=2))

    def test_the_documentation_lists_the_operators_that_are_taken(self):
        self.assertIn(self.call("model", "--operators"), (DOCS / "onnx.md").read_text())

    # The same network by its name and from a file: the same gradient.
    def test_gradient_of_a_file(self):
        common = ["--batch", 16, "--samples", 4, "--quiet"]
        self.call("gradient", "--model", "logistic", "--save-parameters", "weights.npz", "--out", "named.npz", *common)
        weights = np.load(self.directory / "weights.npz")
        self.write(weight=weights["linear1.weight"], bias=weights["linear1.bias"])
        self.call("gradient", "--model", "model.onnx", "--out", "file.npz", *common)
        named, file = np.load(self.directory / "named.npz"), np.load(self.directory / "file.npz")
        self.assertAlmostEqual(float(named["loss"]), float(file["loss"]), 6)
        np.testing.assert_allclose(named["gradient"], file["gradient"], atol=1e-6)
        self.call("gradient", "--model", "model.onnx", "--train", "bias", "--out", "bias.npz", *common)
        np.testing.assert_allclose(np.load(self.directory / "bias.npz")["gradient"], file["gradient/bias"], atol=1e-6)

    def test_gradient_refuses_a_file_that_does_not_fit_the_data(self):
        self.write(weight=np.ones((10, 5)))
        self.assertIn("784", self.call("gradient", "--model", "model.onnx", code=2))
        self.write(weight=np.ones((7, 784)), bias=np.zeros(7))
        self.assertIn("10 classes", self.call("gradient", "--model", "model.onnx", code=2))
        self.assertIn("--train", self.call("gradient", "--model", "mlp", "--train", "head", code=2))
        self.assertIn("logistic", self.call("gradient", "--model", "logistik", code=2))


if __name__ == "__main__":
    SLOPEWISE = sys.argv.pop(1)
    DOCS = Path(sys.argv.pop(1))
    unittest.main()
