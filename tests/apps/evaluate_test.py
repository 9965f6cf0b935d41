#!/usr/bin/env python3
"""Own data to a trained network, judged and used: `slopewise train`, `evaluate` and `predict`.

Usage: evaluate_test.py SLOPEWISE [UNITTEST OPTION]..."""

import csv
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import unittest
import zlib
from pathlib import Path

import numpy as np

SLOPEWISE = ""
NAMES = ["setosa", "versicolor", "virginica, or so"]


def flowers(count, seed=1):
    """Rows of four measures in different units, and the class that they tell."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    rows = random.normal(size=(count, 4)) + 5 * np.eye(4)[labels]
    return rows * [1, 100, 0.01, 1] + [5, 1e4, 0, -7], labels


def png(pixels):
    """A grey picture as PNG."""
    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
    height, width = pixels.shape
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class EvaluateTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)

    def call(self, *words, limit=None):
        def bound():
            if limit:
                resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        return subprocess.run([SLOPEWISE, *map(str, words)], cwd=self.directory, capture_output=True, text=True,
                              timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"}, preexec_fn=bound)

    def done(self, *words):
        result = self.call(*words)
        self.assertEqual((result.returncode, result.stderr), (0, ""), words)
        return result.stdout

    def refused(self, code, message, *words, **options):
        result = self.call(*words, **options)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertIn(message, result.stderr)

    def train(self, *words):
        self.done("train", "--quiet", "--method", "exact", "--hidden", 16, "--rate", 0.02, "--batch", 20, "--threads", 1,
                  "--no-report", "--out", "run", "--overwrite", *words)
        return json.loads((self.directory / "run/results.json").read_text())

    def write_flowers(self, name="flowers.csv", count=300, seed=1, labelled=True):
        rows, labels = flowers(count, seed)
        with open(self.directory / name, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["a", "b", "c", "d"] + ["Species"] * labelled)
            writer.writerows([*row] + [NAMES[label]] * labelled for row, label in zip(rows, labels))
        return rows, labels

    # --- a table of words and numbers

    def test_own_table_in_three_commands(self):
        rows, labels = self.write_flowers()
        data = ["--data", "flowers.csv", "--label", "species", "--test-share", 0.2]
        results = self.train(*data, "--epochs", 10)
        self.assertLess(results["test_error"], 0.1)
        judged = json.loads(self.done("evaluate", "run", "--json"))
        self.assertEqual((judged["schema"], judged["examples"]), ("slopewise.evaluate/1", 60))
        self.assertEqual(judged["wrong"] / 60, results["test_error"])
        self.assertAlmostEqual(judged["loss"], results["test_loss"], delta=1e-6)
        low, high = judged["accuracy_interval"]
        self.assertTrue(low < judged["accuracy"] <= high)
        self.assertEqual([row["class"] for row in judged["classes"]], NAMES)
        self.assertEqual(np.sum(judged["confusion"]), 60)
        self.assertEqual(np.trace(np.reshape(judged["confusion"], (3, 3))), 60 - judged["wrong"])
        self.assertIn("virginica, or so", self.done("evaluate", "run"))

        # Other rows of the same kind, judged and answered alike.
        new, new_labels = self.write_flowers("new.csv", 90, seed=2)
        judged = json.loads(self.done("evaluate", "run", "--data", "new.csv", "--label", "species", "--json"))
        answers = list(csv.DictReader(self.done("predict", "run", "--data", "new.csv", "--label", "Species",
                                                "--all").splitlines()))
        self.assertEqual([int(row["example"]) for row in answers], list(range(90)))
        wrong = sum(row["class"] != NAMES[label] for row, label in zip(answers, new_labels))
        self.assertEqual(wrong, judged["wrong"])
        for row in answers:
            shares = [float(row[f"p({name})"]) for name in NAMES]
            self.assertAlmostEqual(sum(shares), 1, delta=1e-5)
            self.assertEqual(row["class"], NAMES[int(np.argmax(shares))])
            self.assertEqual(float(row["probability"]), max(shares))

        # The label is the column that the network does not read.
        self.assertEqual(json.loads(self.done("evaluate", "run", "--data", "new.csv", "--json")), judged)

        # Without labels, with the columns alone, the answers are the same.
        self.write_flowers("bare.csv", 90, seed=2, labelled=False)
        bare = list(csv.DictReader(self.done("predict", "run/weights.safetensors", "--data", "bare.csv").splitlines()))
        self.assertEqual([row["class"] for row in bare], [row["class"] for row in answers])

        # And the same as NumPy's from the file of weights.
        self.done("predict", "run", "--data", "bare.csv", "--out", "answers.npz")
        header = (self.directory / "run/weights.safetensors").read_bytes()
        length = int.from_bytes(header[:8], "little")
        tensors = json.loads(header[8:8 + length])
        said = json.loads(tensors["__metadata__"]["data"])
        def tensor(name):
            start, end = tensors[name]["data_offsets"]
            return np.frombuffer(header[8 + length + start:8 + length + end], "<f4").reshape(tensors[name]["shape"])
        x = (new - said["scaling"]["mean"]) / said["scaling"]["deviation"]
        hidden = np.maximum(0, x @ tensor("linear1.weight").T + tensor("linear1.bias"))
        logits = hidden @ tensor("linear2.weight").T + tensor("linear2.bias")
        with np.load(self.directory / "answers.npz") as found:
            np.testing.assert_allclose(found["logits"], logits, rtol=1e-4, atol=1e-4)
            np.testing.assert_array_equal(found["classes"], logits.argmax(axis=1))
            np.testing.assert_allclose(found["probabilities"].sum(axis=1), 1, rtol=1e-5)

    def test_an_index_of_rows_is_not_read(self):
        self.write_flowers()
        def with_index(name, first):
            header, *rows = (self.directory / name).read_text().splitlines()
            rows = [f"{first + i},{row}" for i, row in enumerate(rows)]
            (self.directory / f"indexed_{name}").write_text("\n".join(["," + header] + rows) + "\n")
        with_index("flowers.csv", 0)
        self.train("--data", "indexed_flowers.csv", "--label", "species", "--test-share", 0.2, "--epochs", 5)
        self.write_flowers("new.csv", 90, seed=2)
        self.write_flowers("bare.csv", 90, seed=2, labelled=False)
        for name in ("new.csv", "bare.csv"):
            with_index(name, 1)  # as R counts
        judged = [json.loads(self.done("evaluate", "run", "--data", name, "--json"))["wrong"]
                  for name in ("new.csv", "indexed_new.csv")]
        self.assertEqual(judged[0], judged[1])
        answers = [self.done("predict", "run", "--data", name)
                   for name in ("new.csv", "bare.csv", "indexed_new.csv", "indexed_bare.csv")]
        self.assertEqual(len(set(answers)), 1)

    def test_labels_with_gaps_are_names(self):
        rows, labels = flowers(300)
        np.savez(self.directory / "tens.npz", X=rows, y=10 * labels)
        self.train("--data", "tens.npz", "--test-share", 0.2, "--epochs", 10)
        judged = json.loads(self.done("evaluate", "run", "--data", "tens.npz", "--json"))
        self.assertEqual([row["class"] for row in judged["classes"]], ["0", "10", "20"])
        self.assertGreater(judged["accuracy"], 0.9)
        answers = list(csv.DictReader(self.done("predict", "run", "--data", "tens.npz").splitlines()))
        wrong = sum(int(row["class"]) != 10 * label for row, label in zip(answers, labels))
        self.assertEqual(wrong, judged["wrong"])

    def test_the_split_is_the_seeds(self):
        self.write_flowers()
        def rows(seed):
            document = self.done("data", "show", "flowers.csv", "--label", "species", "--test-share", 0.2, "--seed", seed,
                                 "--json")
            return json.loads(document)["train"]
        self.assertEqual(rows(1), rows(1))
        self.assertNotEqual(rows(1), rows(2))
        self.assertEqual(rows(1)["images"], 240)
        np.testing.assert_allclose(rows(1)["mean"], 0, atol=1e-9)
        np.testing.assert_allclose(rows(1)["std"], 1, rtol=1e-9)

    # --- numbers to predict

    def test_regression(self):
        random = np.random.default_rng(3)
        x = random.normal(size=(400, 3)) * [1, 10, 100]
        y = 50_000 + 2000 * x[:, 0] - 300 * x[:, 1] + 10 * x[:, 2] + random.normal(size=400) * 100
        np.savez(self.directory / "prices.npz", X=x, y=y)
        results = self.train("--data", "prices.npz", "--test-share", 0.25, "--epochs", 40, "--model", "mlp")
        self.assertLess(results["test_error"], 0.02)
        judged = json.loads(self.done("evaluate", "run", "--json"))
        found = judged["outputs"][0]
        self.assertAlmostEqual(1 - found["r2"], results["test_error"], delta=1e-6)
        self.done("predict", "run", "--data", "prices.npz", "--out", "answers.npz")
        with np.load(self.directory / "answers.npz") as answers:
            predictions = answers["predictions"][:, 0]
        self.assertGreater(np.corrcoef(predictions, y)[0, 1] ** 2, 0.98)
        everything = json.loads(self.done("evaluate", "run", "--data", "prices.npz", "--json"))["outputs"][0]
        np.testing.assert_allclose(everything["mean_squared_error"], np.mean((predictions - y) ** 2), rtol=1e-3)
        np.testing.assert_allclose(everything["r2"], 1 - np.mean((predictions - y) ** 2) / np.var(y), rtol=1e-3)
        self.assertIn("R²", self.done("evaluate", "run"))
        self.assertIn("prediction", self.done("predict", "run", "--data", "prices.npz").splitlines()[0])

    # --- pictures

    def test_folders_of_pictures(self):
        random = np.random.default_rng(4)
        for name, level in (("dark", 40), ("light", 200)):
            (self.directory / "photos" / name).mkdir(parents=True)
            for i in range(40):
                pixels = np.clip(random.normal(level, 30, (6, 5)), 0, 255).astype(np.uint8)
                (self.directory / f"photos/{name}/{i}.png").write_bytes(png(pixels))
        results = self.train("--data", "photos", "--test-share", 0.25, "--epochs", 40)
        self.assertEqual(results["test_error"], 0)
        answers = list(csv.DictReader(self.done("predict", "run", "--data", "photos").splitlines()))
        self.assertEqual([row["class"] for row in answers], ["dark"] * 40 + ["light"] * 40)
        # Pictures to answer for need no folders.
        (self.directory / "new").mkdir()
        for i, folder in enumerate(("light", "dark", "light")):
            (self.directory / f"new/{i}.png").write_bytes((self.directory / f"photos/{folder}/{i}.png").read_bytes())
        answers = list(csv.DictReader(self.done("predict", "run", "--data", "new").splitlines()))
        self.assertEqual([row["class"] for row in answers], ["light", "dark", "light"])
        self.refused(1, "expected one for each class", "evaluate", "run", "--data", "new")
        (self.directory / "photos/dark/0.png").write_bytes(png(pixels)[:-20])
        self.refused(1, "not a whole PNG picture", "data", "show", "photos", "--test-share", 0.25)

    # --- layouts, types and orders of arrays

    def test_every_way_to_write_an_array_trains_alike(self):
        random = np.random.default_rng(5)
        x = random.integers(0, 256, (60, 8, 6, 3), dtype=np.uint8)
        y = np.arange(60) % 3
        ways = {"bytes": x, "fortran": np.asfortranarray(x), "int64": x.astype(">i8"), "first": x.transpose(0, 3, 1, 2),
                "float64": x.astype("f8"), "half": x.astype("f2"), "unit": (x / 255).astype("f8")}
        losses = {}
        for name, array in ways.items():
            np.savez(self.directory / f"{name}.npz", data=array, target=y)
            losses[name] = self.train("--data", f"{name}.npz", "--test-share", 0.2, "--epochs", 1)["test_loss"]
        for name, loss in losses.items():
            self.assertAlmostEqual(loss, losses["bytes"], delta=1e-6, msg=name)
        np.savez(self.directory / "open.npz", data=random.integers(0, 256, (30, 8, 8, 8), dtype=np.uint8), target=y[:30])
        show = ["data", "show", "open.npz", "--test-share", 0.2]
        self.refused(2, "--layout nchw or nhwc", *show)
        self.assertIn("(8, 8, 8)", self.done(*show, "--layout", "nchw"))

    # --- memory

    def test_data_larger_than_memory_train(self):
        """600 MB of images in a process that may have 500 MB of memory for its own."""
        images = np.lib.format.open_memmap(self.directory / "x_train.npy", "w+", "u1", (75_000, 100, 80))
        labels = np.arange(75_000) % 10
        images[:, 0, :10] = 255 * np.eye(10, dtype=np.uint8)[labels]
        images.flush()
        del images
        np.save(self.directory / "y_train.npy", labels)
        np.save(self.directory / "x_test.npy", np.zeros((100, 100, 80), np.uint8))
        np.save(self.directory / "y_test.npy", np.arange(100) % 10)
        result = self.call("train", "--data", ".", "--method", "exact", "--hidden", 16, "--steps", 30, "--threads", 1,
                           "--no-report", "--out", "run", limit=None)
        self.assertEqual(result.returncode, 0, result.stderr)
        results = json.loads((self.directory / "run/results.json").read_text())
        self.assertLess(results["peak_bytes"], 300e6)
        self.assertEqual(results["run_bytes"], results["peak_bytes"] - results["base_bytes"])
        self.assertIn("beside data", result.stdout)

    # --- what is refused

    def test_what_is_refused(self):
        self.write_flowers()
        data = ["--data", "flowers.csv", "--label", "species"]
        self.refused(2, "--test-share 0.2 sets a fifth of it apart", "train", *data)
        self.refused(2, "--label: expected a column", "train", "--data", "flowers.csv",
                     "--label", "spec", "--test-share", 0.2)
        self.refused(2, "expected images (height, width, channels)", "train", *data, "--test-share", 0.2, "--model", "cnn")
        self.assertFalse((self.directory / "runs").exists())
        self.refused(1, "nowhere", "evaluate", "nowhere")
        self.refused(1, "no weights.safetensors", "evaluate", ".")
        self.train(*data, "--test-share", 0.2, "--epochs", 1)
        (self.directory / "narrow.csv").write_text("a,b,Species\n1,2,setosa\n3,4,setosa\n")
        self.refused(1, "the columns are a, b, expected a, b, c, d", "evaluate", "run", "--data", "narrow.csv", "--label", "species")
        (self.directory / "other.csv").write_text("a,b,c,d,Species\n1,2,3,4,rose\n")
        self.refused(1, "found the class \"rose\"", "evaluate", "run", "--data", "other.csv", "--label", "species")
        self.refused(2, "--out: expected a name that ends in .csv or .npz", "predict", "run", "--out", "answers.txt")
        np.savez(self.directory / "bare.npz", a=np.zeros(3, np.float32))
        self.refused(1, "says nothing of the network", "evaluate", "bare.npz")
        # What a file holds bounds what is made of what it says.
        for hidden, message in ((300_000 * [1], "300000 hidden layers, found 4 tensors in the file"),
                                ([10**9], "found 131 numbers in the file")):
            weights = (self.directory / "run/weights.safetensors").read_bytes()
            length = int.from_bytes(weights[:8], "little")
            header = json.loads(weights[8:8 + length])
            network = json.loads(header["__metadata__"]["network"])
            header["__metadata__"] = {**header["__metadata__"], "network": json.dumps({**network, "hidden": hidden})}
            del header["__metadata__"]["crc32"]
            text = json.dumps(header).encode()
            (self.directory / "more.safetensors").write_bytes(
                len(text).to_bytes(8, "little") + text + weights[8 + length:])
            self.refused(1, message, "evaluate", "more.safetensors")
        for verb in ("evaluate", "predict"):
            self.assertIn("Examples:", self.done(verb, "--help"))

    # The run's own data are read as the run read them, also where its weights are named.
    def test_options_that_would_change_the_runs_data_are_refused(self):
        self.write_flowers()
        self.train("--data", "flowers.csv", "--label", "species", "--test-share", 0.2, "--epochs", 1)
        self.assertEqual(self.done("evaluate", "run", "--json").replace("run/", ""),
                         self.done("evaluate", "run/weights.safetensors", "--json").replace("run/", ""))
        for option in [("--seed", 99), ("--test-share", 0.5), ("--label", "a"), ("--layout", "nchw"),
                       ("--target", "number"), ("--scale", "none"), ("--unpack-ratio", 5)]:
            self.refused(2, f"{option[0]}: expected only with --data", "evaluate", "run", *option)
        self.refused(2, "--seed: expected only with --data", "predict", "run", "--seed", 2)

    def test_arrays_of_a_directory_are_called_so_in_any_case(self):
        random = np.random.default_rng(6)
        for names in [("Data", "Target"), ("Images", "labels"), ("X", "Y"), ("X_Train", "Y_Train", "x_test", "y_test")]:
            folder = self.directory / names[0]
            folder.mkdir()
            for inputs, targets in zip(names[::2], names[1::2]):
                np.save(folder / f"{inputs}.npy", random.normal(size=(60, 4)))
                np.save(folder / f"{targets}.npy", np.arange(60) % 3)
            share = ["--test-share", 0.2] if len(names) == 2 else []
            self.assertIn("NumPy", self.done("data", "show", names[0], *share))

    # Targets that never vary are 0 in the units that are learned, not the noise of their mean.
    def test_targets_that_do_not_vary(self):
        random = np.random.default_rng(5)
        np.savez(self.directory / "flat.npz", X=random.normal(size=(80, 3)), y=np.full(80, 0.1))
        self.train("--data", "flat.npz", "--test-share", 0.25, "--epochs", 60, "--model", "mlp", "--target", "number")
        found = json.loads(self.done("evaluate", "run", "--json"))["outputs"][0]
        self.assertLess(found["mean_squared_error"], 0.01)

    def test_bombs_pipes_and_devices(self):
        (self.directory / "bomb.csv").write_bytes(gzip.compress(b"1,2\n" * 60_000_000, 9))
        self.refused(1, "--unpack-ratio", "data", "show", "bomb.csv", "--test-share", 0.2)
        np.savez_compressed(self.directory / "bomb.npz", X=np.zeros((1000, 300, 300), np.uint8), y=np.arange(1000) % 2)
        self.refused(1, "--unpack-ratio", "data", "show", "bomb.npz", "--test-share", 0.2)
        self.done("data", "show", "bomb.npz", "--test-share", 0.2, "--unpack-ratio", 2000)
        os.mkfifo(self.directory / "pipe")
        for path in ("pipe", "/dev/zero"):
            for words in (["data", "show", path], ["evaluate", path], ["train", "--initial", path],
                          ["train", "--config", path], ["data", "fetch", "mnist", "--sums", path, "--out", "x"]):
                with self.subTest(words):
                    self.refused(1, "which may have no end", *words)

    def test_deep_json(self):
        (self.directory / "results.json").write_text("[" * 100_000)
        self.refused(1, "nested deeper than 64", "report", ".")
        deep = ('{"a":' + "[" * 100_000).encode()
        (self.directory / "deep.safetensors").write_bytes(len(deep).to_bytes(8, "little") + deep)
        self.refused(1, "not a whole safetensors file", "evaluate", "deep.safetensors")

    def test_deep_toml(self):
        (self.directory / "config.toml").write_text("a." * 100_000 + "a = 1\n")
        for words in (["train", "--config", "config.toml"], ["rerun", "."], ["compare", "config.toml"]):
            with self.subTest(words):
                self.refused(2, "nested deeper than 64", *words)


if __name__ == "__main__":
    SLOPEWISE = os.path.abspath(sys.argv.pop(1))
    unittest.main()
