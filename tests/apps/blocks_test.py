#!/usr/bin/env python3
"""Exact blocks and residual feedback on transformers from ONNX files, against PyTorch.

Usage: blocks_test.py SLOPEWISE [UNITTEST OPTION]..."""

import json
import os
import sys
import unittest

import numpy as np

import torch_case  # first: it skips these tests where PyTorch is not installed
import torch
from torch import nn
from torch.nn import functional as F

BLOCKS = 5


class Block(nn.Module):
    def __init__(self, width, post_norm):
        super().__init__()
        self.post_norm = post_norm
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def attend(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        return self.out(torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, -1) @ v)

    def think(self, x):
        return self.down(F.gelu(self.up(x)))

    def forward(self, h):
        if self.post_norm:
            h = self.norm1(h + self.attend(h))
            return self.norm2(h + self.think(h))
        h = h + self.attend(self.norm1(h))
        return h + self.think(self.norm2(h))


class Transformer(nn.Module):
    """Post-norm with a class token as KWT has, or pre-norm with an answer for each place."""

    def __init__(self, post_norm, width=8, blocks=BLOCKS):
        super().__init__()
        self.post_norm = post_norm
        self.embed = nn.Linear(4, width)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.blocks = nn.ModuleList(Block(width, post_norm) for _ in range(blocks))
        self.norm = nn.Identity() if post_norm else nn.LayerNorm(width)
        self.head = nn.Linear(width, 3)

    def stem(self, x):
        h = self.embed(x)
        return torch.cat([self.token.expand(h.shape[0], -1, -1), h], 1) if self.post_norm else h + self.token

    def answer(self, h):
        return self.head(h[:, 0] if self.post_norm else self.norm(h))

    def forward(self, x):
        h = self.stem(x)
        for block in self.blocks:
            h = block(h)
        return self.answer(h)


def loss_of(out, y):
    return F.cross_entropy(out.flatten(0, -2), y.flatten())


def feedback(model, x, y, exact, group, ahead):
    """Gradients by name: exact in the last blocks and the head; every group below takes the gradient at their foot
    back through the `ahead` groups above it and through itself."""
    states = [model.stem(x)]
    for block in model.blocks:
        states.append(block(states[-1]))
    if model.post_norm:
        exact = max(exact, 1)  # of the last block only the class token is read
    top = BLOCKS - exact
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {}

    def pull(output, modules, cotangent):
        parameters = [p for module in modules for p in ([module] if isinstance(module, nn.Parameter)
                                                        else module.parameters())]
        for parameter, gradient in zip(parameters, torch.autograd.grad(output, parameters, cotangent)):
            found[names[id(parameter)]] = gradient.numpy()

    def through(h, first, last):
        for block in model.blocks[first:last]:
            h = block(h)
        return h

    foot = states[top].detach().requires_grad_()
    loss = loss_of(model.answer(through(foot, top, BLOCKS)), y)
    g, = torch.autograd.grad(loss, foot, retain_graph=True)
    pull(loss, [*model.blocks[top:], model.norm, model.head], None)
    ends = [e for e in range(top, -1, -group)]
    for number, end in enumerate(ends):
        above = ends[max(number - ahead, 0)]
        h = states[end].detach().requires_grad_()
        cotangent = torch.autograd.grad(through(h, end, above), h, g)[0] if above > end else g
        if number + 1 < len(ends):
            start = ends[number + 1]
            pull(through(states[start].detach(), start, end), model.blocks[start:end], cotangent)
        else:
            pull(through(model.stem(x), 0, end), [model.embed, model.token, *model.blocks[:end]], cotangent)
    return found


class BlocksTest(torch_case.TorchCase):
    def transformer(self, post_norm, rows=6):
        model = Transformer(post_norm)
        with torch.no_grad():  # weights that are alike are exported as one
            for name, parameter in model.named_parameters():
                if "norm" in name:
                    parameter += 0.1 * torch.randn(parameter.shape)
        x = torch.from_numpy(self.random.normal(size=(rows, 7, 4)).astype(np.float32))
        y = torch.from_numpy(self.random.integers(0, 3, rows if post_norm else (rows, 7)))
        self.export(model, x, ["x"])
        np.savez(self.directory / "data.npz", x_train=x, y_train=y, x_test=x, y_test=y)
        return model, x, y

    def test_the_audit_looks_at_blocks(self):
        """As train makes them: the head, the last blocks, residual feedback, each in the bytes that it says."""
        self.transformer(post_norm=False)
        self.done("audit", "--model", "model.onnx", "--data", "data.npz", "--batch", 6, "--samples", 8, "--no-verify", "--time", 4,
                  "--quiet", "--out", "audit")
        methods = {each["name"]: each for each in json.loads((self.directory / "audit/audit.json").read_text())["methods"]}
        for name in ("head only", "last block and head", "last 2 blocks and head", "residual feedback"):
            method = methods[name]
            self.assertGreater(method["predicted"]["slowdown"]["value"], 0, name)
            self.done("train", "--model", "model.onnx", "--data", "data.npz", "--batch", 6, "--steps", 1, "--optimizer", "sgd",
                      "--quiet", "--out", name, *method["options"].split())
            results = json.loads((self.directory / name / "results.json").read_text())
            cost = method["costs"][0]
            self.assertEqual((results["step_bytes"], results["state_bytes"], results["forwards_per_step"]),
                             (cost["step_bytes"], cost["state_bytes"], cost["forwards"]), name)

    def test_the_audit_of_a_part(self):
        """Where nothing below the head trains there is no residual feedback, and no top within the top."""
        self.transformer(post_norm=False)
        self.done("audit", "--model", "model.onnx", "--data", "data.npz", "--batch", 6, "--samples", 8, "--no-verify", "--time", 2,
                  "--train", "head", "--quiet", "--out", "audit")
        names = [each["name"] for each in json.loads((self.directory / "audit/audit.json").read_text())["methods"]]
        for name in ("residual feedback", "head only", "last block and head"):
            self.assertNotIn(name, names)
        self.assertIn("weights K=1", names)
        # The layer of the output is frozen, which activity perturbation needs to train.
        self.done("audit", "--model", "model.onnx", "--data", "data.npz", "--batch", 6, "--samples", 8, "--no-verify", "--time", 2,
                  "--train", "lora:2:blocks.4", "--quiet", "--out", "adapters")
        names = [each["name"] for each in json.loads((self.directory / "adapters/audit.json").read_text())["methods"]]
        self.assertNotIn("activities K=8", names)
        self.assertIn("head only", names)

    def gradient(self, rows, *words):
        """Exact and estimated, by the names of the segments."""
        self.done("gradient", "--model", "model.onnx", "--data", "data.npz", "--batch", rows, "--samples", 1, "--quiet",
                  "--out", "g.npz", *words)
        arrays = np.load(self.directory / "g.npz")
        exact, estimate, at = {}, {}, 0
        for segment in json.loads(self.done("model", "model.onnx", "--json"))["segments"]:
            name = segment["name"]
            exact[name] = arrays["gradient/" + name]
            estimate[name] = arrays["estimate"][at:at + exact[name].size].reshape(exact[name].shape)
            at += exact[name].size
        self.assertEqual(at, arrays["estimate"].size)
        return exact, estimate

    def same(self, found, expected, tolerance=1e-5):
        self.assertEqual(set(found), set(expected))
        for name, gradient in expected.items():
            np.testing.assert_allclose(found[name].reshape(gradient.shape), gradient, atol=tolerance, err_msg=name)

    def test_residual_feedback_is_that_of_pytorch(self):
        for post_norm in [True, False]:
            model, x, y = self.transformer(post_norm)
            truth = feedback(model, x, y, exact=BLOCKS, group=1, ahead=0)
            for exact, group, ahead in [(None, 1, 0), (0, 1, 0), (2, 1, 0), (1, 2, 0), (1, 1, 1), (0, 1, 3), (1, 2, 1)]:
                with self.subTest((post_norm, exact, group, ahead)):
                    words = [] if exact is None else ["--exact-blocks", exact]
                    found, estimate = self.gradient(
                        6, "--estimator", "activities", "--prior", "residual", "--tangents", 0, "--correction", "none",
                        "--block-group", group, "--look-ahead", ahead, *words)
                    self.same(found, truth)
                    self.same(estimate, feedback(model, x, y, exact or 0, group, ahead))

    def test_exact_blocks_have_the_exact_gradient(self):
        for post_norm in [True, False]:
            self.transformer(post_norm)
            for blocks in [0, 2, BLOCKS]:
                for words in [["--estimator", "exact"], ["--law", "rank-one"], ["--estimator", "activities"]]:
                    with self.subTest((post_norm, blocks, words)):
                        exact, estimate = self.gradient(6, *words, "--exact-blocks", blocks)
                        above = [name for name in exact if name.startswith("head") or
                                 any(name.startswith(f"blocks.{b}.") for b in range(BLOCKS - blocks, BLOCKS))]
                        for name in above:
                            np.testing.assert_allclose(estimate[name], exact[name], atol=1e-6, err_msg=name)
                        below = [name for name in exact if name.startswith("embed")]
                        self.assertTrue(all(np.abs(estimate[name] - exact[name]).max() > 1e-5 for name in below))

    def train(self, *words, out="run"):
        self.done("train", "--model", "model.onnx", "--data", "data.npz", "--quiet", "--no-report", "--epochs", 2,
                  "--batch", 3, "--out", out, "--overwrite", *words)
        return json.loads((self.directory / out / "results.json").read_text())

    def test_training(self):
        self.transformer(True)
        whole = self.train("--method", "exact")
        steps = []
        for blocks in [0, 1, 3]:
            exact = ["--method", "exact", "--exact-blocks", blocks]
            found = self.train(*exact)
            steps.append(found["step_bytes"])
            self.assertLess(found["parameters"], whole["parameters"])
            self.assertLess(found["forwards_per_step"], whole["forwards_per_step"])
            self.done("evaluate", "run", "--data", "data.npz")
            self.done("evaluate", "run/model.onnx", "--data", "data.npz")
        self.assertEqual(steps, sorted(steps))
        self.assertLess(steps[0], steps[-1])
        for words in [["--method", "weights"], ["--method", "activities", "--prior", "feedback"],
                      ["--method", "activities", "--prior", "residual", "--tangents", 0, "--correction", "none"],
                      ["--method", "activities", "--prior", "residual", "--correction", "gated"],
                      ["--method", "activities", "--prior", "residual-learned", "--block-group", 2]]:
            for blocks in [[], ["--exact-blocks", 1]]:
                self.assertEqual(self.train(*words, *blocks)["parameters"], whole["parameters"], words)
        # As many as fit.
        fitting = self.train("--method", "exact", "--memory", steps[1])
        self.assertEqual((fitting["config"]["exact-blocks"], fitting["step_bytes"]), (1, steps[1]))
        again = self.directory / "run/config.toml"
        self.assertIn("exact-blocks = 1", again.read_text())

    def test_presets_for_files(self):
        for preset, post_norm in [("kwt-speaker", True), ("stories-shakespeare", False)]:
            self.transformer(post_norm)
            found = self.train("--preset", preset)
            self.assertEqual((found["preset"], found["status"]), (preset, "finished"))
            self.assertGreater(found["config"]["exact-blocks"], 0)

    def test_refusals(self):
        self.transformer(False)
        words = ["train", "--model", "model.onnx", "--data", "data.npz", "--quiet", "--batch", 3, "--out", "run"]
        for message, more in [
                ("expected 0 to 5", ["--exact-blocks", 6]),
                ("hidden layers below the exact blocks",
                 ["--method", "activities", "--exact-blocks", 5, "--train", "blocks|head"]),
                ("expected slopes or exact gradients", ["--method", "zeroth-order", "--exact-blocks", 1]),
                ("no --estimated-head", ["--estimated-head", "--exact-blocks", 1]),
                ("no --checkpointed", ["--method", "exact", "--checkpointed", "--exact-blocks", 1]),
                ("no --micro-batch", ["--method", "exact", "--micro-batch", 1, "--exact-blocks", 1]),
                ("no --exact-blocks beside it", ["--memory", 1e9, "--exact-blocks", 1]),
                ("bytes of a step whose head alone is exact", ["--method", "exact", "--memory", 10]),
                ("--exact-blocks", ["--exact-blocks", "nan"]),
                ("--memory", ["--memory", "nan"]),
                ("no tangents", ["--prior", "residual", "--look-ahead", 1]),
                ("expected the prior 'residual'", ["--block-group", 2]),
                ("others of one size, found none", ["--prior", "residual", "--block-group", 9]),
                ("expected an exact head", ["--prior", "residual", "--estimated-head"]),
                ("expected the matrices of the last blocks by their names",
                 ["--method", "exact", "--train", "lora:2", "--exact-blocks", 1]),
        ]:
            with self.subTest(more):
                self.refused(2, message, *words, *more)
        self.assertFalse((self.directory / "run").exists())
        plain = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
        torch.onnx.export(plain, torch.zeros(1, 4), self.directory / "model.onnx", input_names=["x"], output_names=["y"],
                          dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}})
        x, y = np.zeros((6, 4), np.float32), np.arange(6) % 3
        np.savez(self.directory / "data.npz", x_train=x, y_train=y, x_test=x, y_test=y)
        self.refused(2, "expected blocks that add to what they read, found none", *words, "--prior", "residual")


if __name__ == "__main__":
    torch_case.TorchCase.SLOPEWISE = os.path.abspath(sys.argv.pop(1))
    unittest.main()
