#!/usr/bin/env python3
"""Models from ONNX files in train, evaluate, predict, gradient and compare, against PyTorch and ONNX Runtime.

Usage: onnx_test.py SLOPEWISE ONNXRUNTIME [UNITTEST OPTION]..."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

import numpy as np

import torch_case  # first: it skips these tests where PyTorch is not installed
import torch
from torch import nn
from torch.nn import functional as F

ONNXRUNTIME = Path()

# Reads a model and its inputs, answers with its first output.
RUN = """
const [directory, model, given, out] = process.argv.slice(1);
const fs = require("node:fs");
const load = require("node:module").createRequire(directory + "/here");
const ort = load("onnxruntime-node");
const inputs = JSON.parse(fs.readFileSync(given));
const feeds = {};
for (const [name, { type, dims, data }] of Object.entries(inputs))
  feeds[name] = new ort.Tensor(type, type === "int64" ? data.map(BigInt) : data, dims);
ort.InferenceSession.create(model).then((session) => session.run(feeds)).then((found) => {
  const first = Object.values(found)[0];
  fs.writeFileSync(out, JSON.stringify({ dims: first.dims, data: Array.from(first.data) }));
});
"""


def pictures():
    return nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(96, 3))


class Language(nn.Module):
    """A small transformer: tokens (batch, T) to logits (batch, T, vocabulary)."""

    def __init__(self, vocabulary=11, width=8, length=6):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.place = nn.Parameter(torch.randn(length, width) * 0.1)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary)
        self.register_buffer("mask", torch.full((length, length), float("-inf")).triu(1))

    def forward(self, tokens):
        h = self.embed(tokens) + self.place
        q, k, v = self.qkv(self.norm(h)).chunk(3, -1)
        a = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + self.mask, -1) @ v
        return self.head(h + self.out(a))


class TwoInputs(nn.Module):
    """Tokens and which of them count, to classes."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(9, 5)
        self.head = nn.Linear(5, 4)

    def forward(self, tokens, counts):
        h = self.embed(tokens) * counts.unsqueeze(-1)
        return self.head(h.sum(1) / counts.sum(1, keepdim=True))


class OwnLoss(nn.Module):
    """A model whose output is its loss."""

    def __init__(self):
        super().__init__()
        self.map = nn.Linear(4, 4)

    def forward(self, x):
        return (self.map(x) - x).square().mean(1)


class OnnxTest(torch_case.TorchCase):
    def evaluate(self, *words):
        return json.loads(self.done("evaluate", *words, "--json"))

    def train(self, *words, out="run"):
        self.done("train", "--model", "model.onnx", "--quiet", "--threads", 1, "--no-report", "--out", out, *words)
        return json.loads((self.directory / out / "results.json").read_text())

    def onnxruntime(self, model, inputs):
        """The first output of a model in ONNX Runtime; nothing where that is not installed."""
        if not (ONNXRUNTIME / "node_modules/onnxruntime-node").exists():
            return None
        given = {name: {"type": {"f": "float32", "i": "int64"}[a.dtype.kind], "dims": a.shape,
                        "data": a.reshape(-1).tolist()} for name, a in inputs.items()}
        (self.directory / "given.json").write_text(json.dumps(given))
        subprocess.run(["node", "-e", RUN, str(ONNXRUNTIME), model, "given.json", "found.json"], cwd=self.directory,
                       check=True, timeout=100)
        found = json.loads((self.directory / "found.json").read_text())
        return np.array(found["data"]).reshape(found["dims"])

    def round_trip(self, model, arrays, loss_of, data, ends, loss="cross-entropy", rate=0.1, tolerance=2e-5):
        """Three steps on all examples: as PyTorch's, and what was trained answers alike here and in ONNX Runtime."""
        names = list(arrays)
        before = self.evaluate("model.onnx", "--loss", loss, *data, *ends)
        inputs = [torch.from_numpy(a) for a in arrays.values()]
        self.assertAlmostEqual(before["loss"], float(loss_of(model(*inputs))), delta=tolerance)
        count = len(inputs[0])
        self.train("--overwrite", "--loss", loss, *data, *ends, "--method", "exact", "--optimizer", "sgd", "--schedule", "constant",
                   "--rate", rate, "--batch", count, "--epochs", 3)
        for _ in range(3):
            model.zero_grad()
            loss_of(model(*inputs)).backward()
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter -= rate * parameter.grad
        after = float(loss_of(model(*inputs)))
        for network in ["run", "run/model.onnx"]:
            words = [*data, *ends] if network.endswith(".onnx") else data
            found = self.evaluate(network, *(["--loss", loss] if network.endswith(".onnx") else []), *words, "--set",
                                  "train")
            self.assertAlmostEqual(found["loss"], after, delta=tolerance)
        with torch.no_grad():
            expected = model(*inputs).numpy()
        self.done("predict", "run/model.onnx", "--loss", loss, *data, *ends, "--set", "train", "--out", "answers.npz")
        answers = np.load(self.directory / "answers.npz")
        ours = answers["logits" if loss == "cross-entropy" else "predictions"].reshape(expected.shape)
        np.testing.assert_allclose(ours, expected, atol=tolerance)
        theirs = self.onnxruntime("run/model.onnx", dict(zip(names, arrays.values())))
        if theirs is not None:
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
        return before["loss"], after

    def save(self, **arrays):
        np.savez(self.directory / "data.npz", **arrays)

    # --- what models read

    def test_pictures(self):
        model = pictures()
        x = self.random.normal(size=(20, 2, 8, 8)).astype(np.float32)
        y = self.random.integers(0, 3, 20)
        self.export(model, torch.from_numpy(x), ["x"])
        self.save(x_train=x, y_train=y, x_test=x, y_test=y)
        self.round_trip(model, {"x": x}, lambda out: F.cross_entropy(out, torch.from_numpy(y)),
                        ["--data", "data.npz"], [])

    def tokens(self):
        x = self.random.integers(0, 11, (16, 6))
        y = self.random.integers(0, 11, (16, 6))
        y[:, 0] = -100
        self.save(x_train=x.astype(np.int16), y_train=y.astype(np.int16), x_test=x, y_test=y)
        return x, y

    def test_tokens_with_a_label_each(self):
        model = Language()
        x, y = self.tokens()
        self.export(model, torch.from_numpy(x), ["tokens"])
        target = torch.from_numpy(y)
        self.round_trip(model, {"tokens": x}, lambda out: F.cross_entropy(out.transpose(1, 2), target),
                        ["--data", "data.npz"], ["--ignore-label", -100])
        found = self.evaluate("run", "--data", "data.npz")
        self.assertEqual((found["examples"], found["labels"]), (16, 80))
        lines = self.done("predict", "run", "--data", "data.npz").splitlines()
        self.assertEqual(lines[0], "example,place,class,probability")
        self.assertEqual(len(lines), 1 + 16 * 6)

    def test_several_inputs(self):
        model = TwoInputs()
        tokens = self.random.integers(0, 9, (12, 5))
        counts = (self.random.random((12, 5)) < 0.7).astype(np.float32)
        counts[:, 0] = 1
        y = self.random.integers(0, 4, 12)
        self.export(model, (torch.from_numpy(tokens), torch.from_numpy(counts)), ["tokens", "counts"])
        self.save(tokens_train=tokens, counts_train=counts, y_train=y, tokens_test=tokens, counts_test=counts, y_test=y)
        before, after = self.round_trip(model, {"tokens": tokens, "counts": counts},
                                        lambda out: F.cross_entropy(out, torch.from_numpy(y)),
                                        ["--data", "data.npz"], [])
        np.save(self.directory / "labels.npy", y)
        places = ["--input", "tokens=data.npz:tokens_test", "--input", "counts=data.npz:counts_test", "--input",
                  "label=labels.npy"]
        self.assertAlmostEqual(self.evaluate("model.onnx", *places)["loss"], before, delta=1e-6)
        self.assertAlmostEqual(self.evaluate("run", *places)["loss"], after, delta=2e-5)
        np.savez(self.directory / "a:b.npz", **{"counts:0": counts, "tokens:0:x": tokens})  # as TensorFlow names things
        named = ["--input", "tokens=a:b.npz:tokens:0:x", "--input", "counts=a:b.npz:counts:0", "--input", "label=labels.npy"]
        self.assertAlmostEqual(self.evaluate("model.onnx", *named)["loss"], before, delta=1e-6)
        self.train(*places, "--test-share", 0.25, "--method", "weights", "--epochs", 2, "--batch", 4, out="parted")
        self.done("rerun", "parted", "--out", "again", "--quiet")
        self.assertEqual((self.directory / "parted/model.onnx").read_bytes(),
                         (self.directory / "again/model.onnx").read_bytes())
        self.refused(2, "--input: expected counts, which the model reads", "evaluate", "model.onnx", *places[:2],
                     *places[4:])
        self.refused(2, "the model reads no more", "evaluate", "model.onnx", *places, "--input", "more=labels.npy")
        np.save(self.directory / "half.npy", counts / 2)
        self.refused(1, "expected whole numbers of 32 bits, as the model reads", "evaluate", "model.onnx", "--input",
                     "tokens=half.npy", *places[2:])
        np.save(self.directory / "few.npy", counts[:5])
        self.refused(1, "the input counts has 5 examples, expected 12", "evaluate", "model.onnx", *places[:2], "--input",
                     "counts=few.npy", *places[4:])
        self.refused(1, "examples of the input counts are (), expected (5), as the model reads", "evaluate", "model.onnx", *places[:2],
                     "--input", "counts=labels.npy", *places[4:])

    def test_numbers_to_predict(self):
        for loss, theirs in [("squared", F.mse_loss), ("huber", F.smooth_l1_loss)]:
            with self.subTest(loss):
                model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
                x = self.random.normal(size=(15, 4)).astype(np.float32)
                y = (3 * self.random.normal(size=(15, 2)) + 5).astype(np.float32)
                self.export(model, torch.from_numpy(x), ["x"])
                self.save(x_train=x, y_train=y, x_test=x, y_test=y)
                self.round_trip(model, {"x": x}, lambda out: theirs(out, torch.from_numpy(y)), ["--data", "data.npz"], [],
                                loss=loss, rate=0.01)

    def test_a_model_that_gives_its_loss(self):
        model = OwnLoss()
        x = self.random.normal(size=(10, 4)).astype(np.float32)
        self.export(model, torch.from_numpy(x), ["x"])
        self.save(x_train=x, x_test=x)
        _, after = self.round_trip(model, {"x": x}, lambda out: out.mean(), ["--data", "data.npz"], [], loss="output")
        results = json.loads((self.directory / "run/results.json").read_text())
        self.assertIsNone(results["test_error"])
        self.assertAlmostEqual(results["test_loss"], after, delta=1e-5)

    # --- how they are trained

    def test_every_method_and_trained_set(self):
        x, y = self.tokens()
        model = Language()
        self.export(model, torch.from_numpy(x), ["tokens"])
        first = self.evaluate("model.onnx", "--data", "data.npz", "--ignore-label", -100)["loss"]
        sizes = {}
        for number, words in enumerate([
                ["--method", "weights", "--tangents", 8], ["--method", "weights", "--estimated-head"],
                ["--method", "activities"], ["--method", "activities", "--prior", "feedback"],
                ["--method", "zeroth-order", "--tangents", 4], ["--method", "exact", "--checkpointed"],
                ["--method", "weights", "--train", "head"], ["--method", "weights", "--train", "norms"],
                ["--method", "exact", "--train", "biases"], ["--method", "weights", "--train", "lora:2"],
                ["--method", "exact", "--train", "qkv"]]):
            with self.subTest(words):
                out = f"run{number}"
                found = self.train("--data", "data.npz", "--ignore-label", -100, *words, "--epochs", 30, "--batch", 8,
                                   "--rate", 0.01, out=out)
                self.assertEqual(found["status"], "finished")
                self.assertLess(found["train_loss"], first + 0.02)
                sizes[words[-1]] = found["parameters"]
                again = self.evaluate(out, "--data", "data.npz")
                self.assertAlmostEqual(again["loss"], found["test_loss"], delta=1e-6)
                merged = self.evaluate(out + "/model.onnx", "--data", "data.npz", "--ignore-label", -100)
                self.assertAlmostEqual(merged["loss"], found["test_loss"], delta=1e-5)
                adapter = self.directory / out / "adapter/adapter_model.safetensors"
                self.assertEqual(adapter.exists(), "lora:2" in words)
        # A log of slopes makes the weights again, from the file's.
        self.done("replay", "run1", "--out", "again.safetensors", "--quiet")
        self.assertEqual(self.evaluate("again.safetensors", "--data", "data.npz")["loss"],
                         self.evaluate("run1", "--data", "data.npz")["loss"])
        width, vocabulary = 8, 11
        self.assertEqual(sizes["head"], vocabulary * (width + 1))
        self.assertEqual(sizes["norms"], 2 * width)
        self.assertEqual(sizes["qkv"], 3 * width * (width + 1))

    def test_activities_where_layers_are_frozen(self):
        x = self.random.normal(size=(30, 6)).astype(np.float32)
        y = self.random.integers(0, 3, 30)
        model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 3))
        self.export(model, torch.from_numpy(x), ["x"])
        self.save(x_train=x, y_train=y, x_test=x, y_test=y)
        words = ["--data", "data.npz", "--method", "activities", "--epochs", 2, "--batch", 10]
        for number, (trained, refusal) in enumerate([
                ("all", ""), ("0|4", ""), ("2|4", ""), ("biases", ""), ("head", "at least one hidden layer"),
                ("0", "the layer of the output trains too"), ("lora:2:^0", "the layer of the output trains too"),
                ("lora:2", "")]):
            for prior in ["none", "feedback"]:
                with self.subTest((trained, prior)):
                    what = ["train", "--model", "model.onnx", "--quiet", "--train", trained, "--prior", prior, "--out",
                            f"frozen{number}{prior}", *words]
                    if refusal:
                        self.refused(2, refusal, *what)
                    else:
                        self.done(*what)

    def test_the_file_is_held_to_the_run(self):
        x, _ = self.tokens()
        self.export(Language(), torch.from_numpy(x), ["tokens"])
        words = ["--data", "data.npz", "--ignore-label", -100, "--method", "exact", "--epochs", 1, "--batch", 8]
        self.train(*words)
        self.refused(2, "which the run reads", "train", "--model", "run/model.onnx", "--out", "run",
                     "--overwrite", *words)
        (self.directory / "runs").mkdir()
        (self.directory / "run").rename(self.directory / "runs/train")  # where a run goes without --out
        self.refused(2, "which the run reads", "train", "--model", "runs/train/model.onnx", "--overwrite", *words)
        for verb in [["compare", "backprop", *words[:4], "--epochs", 1], ["bench", "--steps", "loss"]]:
            self.refused(2, "which the run reads", *verb, "--model", "runs/train/model.onnx", "--out", "runs/train",
                         "--overwrite")
        (self.directory / "runs/train").rename(self.directory / "run")
        self.assertTrue((self.directory / "run/model.onnx").exists())
        self.export(Language(), torch.from_numpy(x), ["tokens"])  # other weights
        self.refused(1, "is not the file that was trained: it has changed since", "evaluate", "run")
        # Weights that do not train are in no checkpoint: a run does not go on with others.
        self.refused(1, "its network is not that of this run", "train", "--resume", "run", "--quiet")
        self.export(Language(vocabulary=13), torch.from_numpy(x), ["tokens"])
        self.refused(1, "has changed since", "evaluate", "run")

    def test_images_for_a_model_of_rows(self):
        model = nn.Sequential(nn.Linear(12, 4))
        x = self.random.normal(size=(10, 3, 4)).astype(np.float32)
        y = self.random.integers(0, 4, 10)
        self.export(model, torch.from_numpy(x.reshape(10, 12)), ["x"])
        self.save(x_train=x, y_train=y, x_test=x, y_test=y)
        self.train("--data", "data.npz", "--method", "exact", "--epochs", 1, "--batch", 5)
        self.evaluate("run")
        self.evaluate("run", "--data", "data.npz")
        # The built-in digits are rows of 784 as well, of fewer classes than this model has.
        self.export(nn.Sequential(nn.Linear(784, 12)), torch.zeros(1, 784), ["x"])
        found = self.train("--method", "exact", "--epochs", 1, out="digits")
        self.assertEqual(self.evaluate("digits")["loss"], found["test_loss"])

    def test_examples_without_a_label_that_counts(self):
        x, y = self.tokens()
        y[8:] = -100
        self.save(x_train=x, y_train=y, x_test=x, y_test=y)
        model = Language()
        self.export(model, torch.from_numpy(x), ["tokens"])
        found = self.evaluate("model.onnx", "--data", "data.npz", "--ignore-label", -100)
        loss = F.cross_entropy(model(torch.from_numpy(x)).transpose(1, 2), torch.from_numpy(y))
        self.assertAlmostEqual(found["loss"], float(loss), delta=1e-5)
        self.assertEqual(found["labels"], 40)

    def test_labels_are_smoothed_in_training_alone(self):
        x = self.random.normal(size=(12, 5)).astype(np.float32)
        y = self.random.integers(0, 3, 12)
        model = nn.Linear(5, 3)
        self.export(model, torch.from_numpy(x), ["x"])
        self.save(x_train=x, y_train=y, x_test=x, y_test=y)
        found = self.train("--data", "data.npz", "--method", "exact", "--optimizer", "sgd", "--rate", 1e-12, "--epochs", 1,
                           "--batch", 12, "--label-smoothing", 0.3)
        out, target = model(torch.from_numpy(x)), torch.from_numpy(y)
        self.assertAlmostEqual(found["train_loss"], float(F.cross_entropy(out, target, label_smoothing=0.3)), delta=1e-6)
        self.assertAlmostEqual(found["test_loss"], float(F.cross_entropy(out, target)), delta=1e-6)
        self.assertAlmostEqual(self.evaluate("run")["loss"], found["test_loss"], delta=1e-6)

    def test_compare(self):
        x, _ = self.tokens()
        self.export(Language(), torch.from_numpy(x), ["tokens"])
        self.directory.joinpath("head.toml").write_text('method = "exact"\ntrain = "head"\n')
        self.done("compare", "head.toml", "backprop", "--model", "model.onnx", "--data", "data.npz", "--ignore-label", -100,
                  "--epochs", 2, "--batch", 8, "--quiet", "--out", "compared")
        document = json.loads((self.directory / "compared/compare.json").read_text())
        self.assertLessEqual({"head", "backprop"}, {row["name"] for row in document["rows"]})
        self.assertEqual([row["name"] for row in document["left_out"]], ["local-exact"])
        self.assertEqual(document["model"], "model.onnx")

    def test_gradient_of_tokens(self):
        x, y = self.tokens()
        model = Language()
        self.export(model, torch.from_numpy(x), ["tokens"])
        found = json.loads(self.done("gradient", "--model", "model.onnx", "--data", "data.npz", "--ignore-label", -100,
                                     "--batch", 16, "--samples", 40, "--law", "rank-one", "--json", "--quiet"))
        target = torch.from_numpy(y)
        loss = F.cross_entropy(model(torch.from_numpy(x)).transpose(1, 2), target)
        loss.backward()
        norm = sum(float(p.grad.square().sum()) for p in model.parameters()) ** 0.5
        self.assertAlmostEqual(found["loss"], float(loss), delta=1e-5)
        gradient = np.load(self.directory / "gradient.npz")["gradient"]
        self.assertAlmostEqual(float(np.linalg.norm(gradient)), norm, delta=1e-5 * (1 + norm))

    # --- what forward gradients of it are like

    def smooth(self):
        """A perceptron with its data, one set; the words that name them."""
        x = self.random.normal(size=(90, 6)).astype(np.float32)
        y = self.random.integers(0, 3, 90)
        self.export(nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 16), nn.Tanh(), nn.Linear(16, 3)),
                    torch.from_numpy(x), ["x"])
        self.save(x=x, y=y)
        return ["--model", "model.onnx", "--input", "x=data.npz:x", "--input", "label=data.npz:y"]

    def test_study(self):
        words = self.smooth()
        printed = self.done("study", *words, "--quick", "--out", "study")
        document = json.loads((self.directory / "study/results.json").read_text())
        self.assertEqual((document["model"], document["batch"]), ("model.onnx", 16))
        self.assertEqual(document["parameters"], 6 * 24 + 24 + 24 * 16 + 16 + 16 * 3 + 3)
        for claim in document["claims"]:
            if not claim["timed"]:
                self.assertEqual(claim["verdict"], "holds", (claim["id"], claim["condition"]))
        left_out = ["snr-scaling", "slowdown", "learning-rate", "crossover", "distributions", "special-optimizer", "ranks", "second-order"]
        self.assertEqual([each["id"] for each in document["left_out"]], left_out)
        self.assertEqual(len(document["claims"]), 22 - len(left_out))
        page = (self.directory / "study/report.html").read_text()
        for each in document["left_out"]:
            self.assertTrue(each["reason"] in page, each["reason"])
            self.assertIn(f"  {each['id']}: {each['reason']}", printed)
        self.done("rerun", "study", "--quiet", "--claims", "unbiased", "--out", "again")
        again = json.loads((self.directory / "again/results.json").read_text())
        self.assertEqual(again["claims"][0]["measured"], document["claims"][0]["measured"])
        self.assertEqual(again["left_out"], [])

    def test_study_of_tokens(self):
        x, _ = self.tokens()
        self.export(Language(), torch.from_numpy(x), ["tokens"])
        words = ["study", "--model", "model.onnx", "--data", "data.npz", "--ignore-label", -100, "--quick", "--json", "--quiet"]
        for trained, claims in (("all", "unbiased,uncorrelated-terms,minibatch,memory,alignment"), ("lora:4", "unbiased,prior")):
            found = json.loads(self.done(*words, "--train", trained, "--claims", claims, "--out", trained))
            self.assertEqual(found["model"], "model.onnx" + (", training lora:4" if trained != "all" else ""))
            for claim in found["claims"]:
                self.assertEqual(claim["verdict"], "holds", (claim["id"], claim["condition"]))
        self.refused(2, "activity cannot be put to model.onnx: its variance is known where", *words, "--claims", "activity",
                     "--out", "no")
        self.refused(1, "expected a gradient of 100 entries or more", *words, "--train", "norms", "--out", "no")
        self.assertFalse((self.directory / "no").exists())

    def test_study_of_what_does_not_fit(self):
        words = ["study", "--quick", "--out", "refused", *self.smooth()]
        self.refused(2, "snr-scaling cannot be put to model.onnx", *words, "--claims", "unbiased,snr-scaling")
        self.refused(2, "--hidden: expected only with a model with hidden layers", *words, "--hidden", 8)
        self.refused(2, "--train: expected only with a model from an ONNX file", "study", "--train", "head", "--out", "refused")
        self.refused(2, "--data: expected data like the network's", *words[:6])
        self.refused(2, "label", *words[:8])
        self.refused(2, "", *words, "--train", "no such weight")
        self.refused(2, "batch: expected 2 to 90 examples, found 91", *words, "--batch", 91)
        y = np.arange(90) % 4
        self.save(x=np.ones((90, 6), np.float32), y=y)
        self.refused(1, "3", *words)
        self.save(x=np.ones((90, 6), np.float32), y=y % 3)
        broken = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 3))
        broken[0].weight.data[1, 2] = float("nan")
        self.export(broken, torch.zeros(1, 6), ["x"])
        self.refused(1, "nan", *words)
        self.export(nn.Sequential(nn.Tanh(), nn.Softmax(1)), torch.zeros(1, 6), ["x"])
        self.refused(2, "nothing trains", *words)
        self.assertFalse((self.directory / "refused").exists())

    def test_a_file_without_weights_is_judged_and_does_not_train(self):
        self.save(x=np.linspace(-1, 1, 60).reshape(20, 3).astype(np.float32), y=np.arange(20) % 3)
        self.export(nn.Sequential(nn.Tanh(), nn.Softmax(1)), torch.zeros(1, 3), ["x"])
        data = ["--data", "data.npz", "--test-share", 0.5]
        found = json.loads(self.done("evaluate", "model.onnx", *data, "--json", "--quiet"))
        self.assertEqual((found["parameters"], found["examples"]), (0, 10))
        self.done("predict", "model.onnx", *data, "--out", "answers.csv", "--quiet")
        self.assertEqual(len((self.directory / "answers.csv").read_text().splitlines()), 11)
        self.assertIn("n = 0 parameters", self.done("model", "model.onnx"))
        for verb in ("train", "gradient", "compare", "audit", "study"):
            self.refused(2, "nothing trains", verb, "--model", "model.onnx", *(data[:2] if verb == "gradient" else data))

    def test_gradient_of_one_set(self):
        found = json.loads(self.done("gradient", *self.smooth(), "--samples", 2, "--json", "--quiet"))
        self.assertEqual(found["parameters"], 6 * 24 + 24 + 24 * 16 + 16 + 16 * 3 + 3)

    # --- what does not fit

    def test_refusals(self):
        x, y = self.tokens()
        self.export(Language(), torch.from_numpy(x), ["tokens"])
        train = ["train", "--model", "model.onnx", "--quiet", "--out", "refused", "--data", "data.npz"]
        self.refused(2, "--hidden: expected only with a model of a family", *train, "--hidden", 8)
        self.refused(2, "--dropout", *train, "--dropout", 0.5)
        self.refused(2, "--method local", *train, "--method", "local")
        self.refused(2, "--train: expected only with a model from an ONNX file", "train", "--train", "head", "--quiet")
        self.refused(2, "--loss: expected only with an ONNX file", "evaluate", "nowhere", "--loss", "squared")
        self.refused(1, "label 0 is -100", *train)
        self.refused(2, "--ignore-label: expected one label", *train, "--ignore-label", "1,2")
        self.refused(2, "--data: expected data like the network's", *train[:-2])
        self.save(x_train=x[:, :5], y_train=y, x_test=x, y_test=y)
        self.refused(1, "examples are (5), expected (6), as the model reads", *train)
        self.save(x_train=x, y_train=y[:, :3], x_test=x, y_test=y)
        self.refused(1, "expected labels (6) an example, found 3 numbers", *train)
        self.save(x_train=x + 0.5, y_train=y, x_test=x, y_test=y)
        self.refused(1, "found", *train, "--ignore-label", -100)
        self.save(x_train=x + 100, y_train=y, x_test=x, y_test=y)
        self.refused(2, "", *train, "--ignore-label", -100)
        self.assertFalse((self.directory / "refused/results.json").exists())
        self.refused(2, "no axis that the inputs leave open is called 'rows'", *train, "--extent", "rows=3")
        self.refused(2, "--scale: expected numbers", *train, "--ignore-label", -100, "--scale", "bytes")
        self.export(nn.Linear(4, 1), torch.zeros(1, 4), ["x"])
        self.save(x_train=np.zeros((4, 4), np.float32), y_train=np.zeros(4, int), x_test=x, y_test=y)
        self.refused(2, "expected at least 2 classes along its last axis", *train)


if __name__ == "__main__":
    torch_case.TorchCase.SLOPEWISE = os.path.abspath(sys.argv.pop(1))
    ONNXRUNTIME = Path(sys.argv.pop(1))
    if not (ONNXRUNTIME / "node_modules/onnxruntime-node").exists():
        print("SKIPPED: the comparison with ONNX Runtime, which is not installed")
    unittest.main()
