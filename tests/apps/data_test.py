#!/usr/bin/env python3
"""`slopewise data` as a user meets it. Usage: data_test.py SLOPEWISE [UNITTEST OPTION]..."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

from terminal import run_on_terminal

SLOPEWISE = ""
CIFAR_CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()


def images(count, *shape, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def write_idx(path, array):
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes() + array.tobytes())


class DataTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)

    def run_verb(self, *options, **environment):
        return subprocess.run([SLOPEWISE, "data", *map(str, options)], cwd=self.directory, capture_output=True,
                              text=True, timeout=120, env={**os.environ, **environment})

    def show(self, *options, **environment):
        done = self.run_verb("show", *options, **environment)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def refused(self, code, message, *options):
        done = self.run_verb(*options)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertTrue(done.stderr.startswith("slopewise: "), done.stderr)
        self.assertIn(message, done.stderr)
        self.assertEqual(done.stdout, "")

    def check(self, path, name, kind, train, test):
        """That --json says of each set, a pair of images and labels, what NumPy does."""
        document = json.loads(self.show(path, "--json"))
        pixels = train[0].reshape(*train[0].shape, *([1] * (4 - train[0].ndim)))
        classes = len(document["class_names"]) or int(max(train[1].max(), test[1].max())) + 1
        self.assertEqual((document["schema"], document["name"], document["format"]), ("slopewise.data/1", name, kind))
        self.assertEqual((document["image_shape"], document["classes"]), (list(pixels.shape[1:]), classes))
        for key, (x, y) in (("train", train), ("test", test)):
            channels = x.reshape(-1, pixels.shape[3]) / 255
            self.assertEqual(list(document[key]), ["images", "mean", "std", "labels"])
            self.assertEqual(document[key]["images"], len(x))
            np.testing.assert_allclose(document[key]["mean"], channels.mean(axis=0), rtol=1e-12)
            np.testing.assert_allclose(document[key]["std"], channels.std(axis=0), rtol=1e-9)
            self.assertEqual(document[key]["labels"], np.bincount(y.ravel(), minlength=classes).tolist())
        return document

    # --- formats

    def test_idx(self):
        train = images(6, 5, 4), np.array([1, 0, 2, 1, 1, 0], np.uint8)
        test = images(2, 5, 4), np.array([0, 3], np.uint8)
        (self.directory / "tiny").mkdir()
        for name, (x, y) in (("train", train), ("t10k", test)):
            write_idx(self.directory / f"tiny/{name}-images-idx3-ubyte", x)
            write_idx(self.directory / f"tiny/{name}-labels-idx1-ubyte", y)
        self.check("tiny", "tiny", "IDX", train, test)

    def write_cifar(self):
        """Batches of four images; returns all as NumPy arrays (count, 32, 32, 3)."""
        pixels, labels = images(24, 32, 32, 3), (np.arange(24) % 7).astype(np.uint8)
        for i, name in enumerate([f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]):
            part = slice(4 * i, 4 * i + 4)
            planes = pixels[part].transpose(0, 3, 1, 2).reshape(4, -1)
            (self.directory / f"{name}.bin").write_bytes(np.hstack([labels[part, None], planes]).tobytes())
        (self.directory / "batches.meta.txt").write_text("\n".join(CIFAR_CLASSES) + "\n\n")
        return (pixels[:20], labels[:20]), (pixels[20:], labels[20:])

    def test_cifar10(self):
        document = self.check(".", self.directory.name, "CIFAR-10", *self.write_cifar())
        self.assertEqual(document["class_names"], CIFAR_CLASSES)
        self.assertIn("airplane", self.show("."))

    def test_npz(self):
        train, test = (images(9, 6, 6), np.arange(9) % 4), (images(3, 6, 6), np.arange(3))
        for save in (np.savez, np.savez_compressed):
            save(self.directory / "keras.npz", x_train=train[0], y_train=train[1].astype(np.uint8), x_test=test[0],
                 y_test=test[1].astype(np.int64))
            self.check("keras.npz", "keras", "NumPy .npz", train, test)
            save(self.directory / "named.npz", train_images=train[0], train_labels=train[1][:, None],
                 test_images=test[0], test_labels=test[1][:, None], more=np.zeros(3))
            self.check("named.npz", "named", "NumPy .npz", train, test)

    def test_npy(self):
        train, test = (images(9, 6, 5, 3), np.arange(9) % 4), (images(3, 6, 5, 3), np.arange(3))
        for name, (x, y) in (("train", train), ("test", test)):
            np.save(self.directory / f"{name}_images.npy", x)
            np.save(self.directory / f"{name}_labels.npy", y.astype(np.int32))
        self.check(".", self.directory.name, "NumPy", train, test)

    def test_csv(self):
        train, test = (images(9, 8, 8), np.arange(9) % 4), (images(3, 8, 8), np.arange(3))
        for name, (x, y) in (("train", train), ("test", test)):
            rows = np.column_stack([y, x.reshape(len(x), -1)])
            np.savetxt(self.directory / f"{name}.csv", rows, fmt="%d", delimiter=",")
        self.check(".", self.directory.name, "CSV", train, test)
        for name, (x, y) in (("train", train), ("test", test)):
            header = ",".join([f"pixel{i}" for i in range(64)] + ["label"])
            rows = np.column_stack([x.reshape(len(x), -1), y])
            np.savetxt(self.directory / f"{name}.csv", rows, fmt='"%d"', delimiter=",", header=header, comments="")
        self.check(".", self.directory.name, "CSV", train, test)

    def test_an_index_of_rows_is_left_out(self):
        rows = "".join(f"{i},{i / 2},{i * i},{'ab'[i % 2]}\n" for i in range(8))
        (self.directory / "table.csv").write_text(",x,z,kind\n" + rows)
        self.assertIn("left out: the index in column 1\n", self.show("table.csv", "--test-share", 0.25))
        document = json.loads(self.show("table.csv", "--test-share", 0.25, "--json"))
        self.assertEqual((document["columns"], document["left_out"]), (["x", "z"], ["the index in column 1"]))
        (self.directory / "table.csv").write_text("w,x,z,kind\n" + rows)
        self.assertNotIn("left out", self.show("table.csv", "--test-share", 0.25))

    def test_labels_as_words_and_as_one_of_many(self):
        x, y = images(9, 6, 6), np.arange(9) % 3
        words = np.array(["dog", "cat", "ox"])[y]
        for labels in (words, words.astype("S"), words.astype(">U9")[:, None]):
            np.savez(self.directory / "words.npz", x_train=x, y_train=labels, x_val=x[:2], y_val=labels[:2])
            document = json.loads(self.show("words.npz", "--json"))
            self.assertEqual(document["class_names"], ["cat", "dog", "ox"])
            self.assertEqual((document["train"]["labels"], document["test"]["labels"]), ([3, 3, 3], [1, 1, 0]))
        np.savez(self.directory / "objects.npz", X=x, y=words.astype(object))
        self.refused(1, "save them as y.astype(str)", "show", "objects.npz")
        np.savez(self.directory / "hot.npz", X=x, y=np.eye(4)[y])
        self.refused(2, "say --target class or number", "show", "hot.npz", "--test-share", 0.2)
        hot = ["hot.npz", "--test-share", 0.2, "--json", "--target"]
        self.assertEqual(json.loads(self.show(*hot, "class"))["classes"], 4)
        self.assertEqual(json.loads(self.show(*hot, "number"))["outputs"], 4)
        np.savez(self.directory / "nameless.npz", x, y)
        self.refused(1, "numpy.savez(path, X=…, y=…)", "show", "nameless.npz")

    def test_other_verbs_take_them_too(self):
        self.write_cifar()
        options = ["--data", ".", "--model", "logistic", "--batch", "5", "--samples", "2", "--quiet"]
        subprocess.run([SLOPEWISE, "gradient", *options], cwd=self.directory, check=True, timeout=120)
        with np.load(self.directory / "gradient.npz") as file:
            self.assertEqual(file["gradient/linear1.weight"].shape, (10, 3072))

    # --- the picture

    def squares(self, side=8):
        """A class of black images and one of images that are white on the right; returns the archive's name."""
        pixels = np.zeros((4, side, side), np.uint8)
        pixels[2:, :, side // 2:] = 255
        labels = np.array([0, 0, 1, 1], np.uint8)
        np.savez(self.directory / "squares.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
        return "squares.npz"

    def test_the_built_in_digits_are_shown(self):
        text = self.show()
        self.assertIn("built-in digits", text)
        self.assertIn("10000", text)
        self.assertIn("@", text)

    def test_samples_come_from_each_class_in_turn(self):
        lines = self.show(self.squares(), "--samples", 3, COLUMNS="28").splitlines()
        self.assertEqual(lines[-5:], ["0         1         0       ", *4 * ["              @@@@          ".ljust(28)]])
        lines = self.show(self.squares(), "--samples", 2, COLUMNS="20").splitlines()
        self.assertEqual(lines[-5:], ["0         1       ", *4 * ["              @@@@"]])
        self.assertNotIn("@", self.show(self.squares(), "--samples", 0))
        # Four images are all there are.
        self.assertEqual(self.show(self.squares(), "--samples", 9), self.show(self.squares(), "--samples", 4))

    def test_large_images_are_scaled_down(self):
        lines = self.show(self.squares(300), "--samples", 2, COLUMNS="20").splitlines()
        self.assertLessEqual(max(map(len, lines[-8:])), 20)
        self.assertTrue(lines[-1].endswith(9 * "@"), lines[-1])

    def test_many_classes_are_cut_short(self):
        pixels, labels = images(120, 2, 2), np.arange(120)
        np.savez(self.directory / "many.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
        self.assertIn("and 80 more", self.show("many.npz"))
        self.assertEqual(len(json.loads(self.show("many.npz", "--json"))["train"]["labels"]), 120)

    def on_terminal(self, *options, **environment):
        """What a terminal of 30 columns is sent."""
        inherited = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
        code, sent = run_on_terminal([SLOPEWISE, "data", "show", *map(str, options)], "stdout", 30, cwd=self.directory,
                                     env={**inherited, "TERM": "xterm", **environment})
        self.assertEqual(code, 0)
        return sent

    def test_colours_on_a_terminal(self):
        text = self.on_terminal(self.squares(), "--samples", 2)
        self.assertIn("\x1b[38;2;255;255;255m\x1b[48;2;255;255;255m▀▀▀▀\x1b[0m\n", text)
        self.assertIn("\n0         1       \n", text)
        for plain in (self.on_terminal(self.squares(), NO_COLOR="1"), self.on_terminal(self.squares(), TERM="dumb")):
            self.assertNotIn("\x1b", plain)
            self.assertIn("@@@@", plain)

    def test_colours_are_those_of_the_pixels(self):
        pixels = np.broadcast_to(np.array([10, 20, 30], np.uint8), (2, 3, 2, 3)).copy()
        labels = np.zeros(2, np.uint8)
        np.savez(self.directory / "blue.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
        lines = self.on_terminal("blue.npz", "--samples", 1, "--layout", "nhwc").splitlines()
        self.assertEqual(lines[-2:], ["\x1b[38;2;10;20;30m\x1b[48;2;10;20;30m▀▀\x1b[0m",
                                      "\x1b[38;2;10;20;30m\x1b[49m▀▀\x1b[0m"])

    # --- what is refused

    def test_help(self):
        self.assertIn("show", self.run_verb().stdout)
        self.assertIn("cifar-10-batches-bin", self.run_verb("show", "--help").stdout)

    def test_wrong_usage(self):
        self.refused(2, "unknown verb shwo; did you mean show?", "shwo")
        self.refused(2, "unknown verb shwo; did you mean show?\nTry: slopewise data --help", "shwo", "show")
        self.refused(2, "did you mean --samples?\nTry: slopewise data show --help", "show", "--sample", "3")
        self.refused(2, "--samples", "show", "--samples", "-1")
        self.refused(2, "unknown argument b", "show", "a", "b")

    def test_numbers_are_written_as_elsewhere(self):
        random = np.random.default_rng(3)
        x = random.normal(size=(400, 1))
        np.savez(self.directory / "one.npz", x_train=x[:300], y_train=-3 - x[:300, 0], x_test=x[300:] - 9, y_test=x[300:, 0])
        text = self.show("one.npz")
        self.assertIn("rows of 1 number, 1 to predict", text)
        self.assertRegex(text, r"train +300 +0\.0000 +1\.0000")
        self.assertRegex(text, r"test +100 +−[0-9.]+ ")
        self.assertNotIn("-", text)

    def test_options_that_settle_nothing_are_refused(self):
        for option in (["--label", "3"], ["--target", "number"], ["--layout", "nchw"], ["--scale", "none"], ["--test-share", "0.3"]):
            for digits in ([], ["digits"]):
                self.refused(2, f"{option[0]}: expected data of your own (--data PATH), found the built-in digits", "show", *digits,
                             *option)
        np.savez(self.directory / "data.npz", X=images(9, 6, 6), y=np.arange(9) % 3)
        self.refused(2, "--label: expected a table (CSV), a column of which is learned, found NumPy .npz in data.npz", "show",
                     "data.npz", "--label", "y")
        self.write_cifar()
        self.refused(2, "--label: expected a table (CSV)", "show", ".", "--label", "1")
        self.refused(2, "whose format says where channels are, found nhwc", "show", ".", "--layout", "nhwc")
        self.show(".", "--layout", "table")

    def test_what_cannot_be_read(self):
        self.refused(1, "nowhere: expected a data set", "show", "nowhere")
        (self.directory / "notes.txt").write_text("no data")
        self.refused(1, 'found no data set in this directory; looked for IDX', "show", ".")
        self.refused(1, 'found "notes.txt"', "show", ".")
        self.refused(1, "0 columns beside the label", "show", "notes.txt")
        self.refused(1, "/dev/null", "show", "/dev/null")
        (self.directory / "bad.npz").write_bytes(b"PK no archive")
        self.refused(1, "bad.npz", "show", "bad.npz")
        self.write_cifar()
        (self.directory / "data_batch_4.bin").unlink()
        self.refused(1, "data_batch_4.bin", "show", ".")

    # --- data split

    def words(self, people=3, each=12):
        count = people * each
        random = np.random.default_rng(3)
        arrays = {"x": random.normal(size=(count, 4, 2)).astype(np.float16), "y": np.arange(count, dtype=np.uint8) % 4,
                  "speaker": np.repeat(np.arange(people, dtype=np.uint8), each), "names": np.array(["a", "b", "c"])}
        np.savez(self.directory / "words.npz", **arrays)
        return arrays

    def split(self, *options):
        done = self.run_verb("split", "words.npz", "--by", "speaker", "--out", "out.npz", *options)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return np.load(self.directory / "out.npz")

    def test_split_leaves_one_speaker_out(self):
        given = self.words()
        found = self.split("--held-out", 1)
        self.assertEqual(sorted(found.files), ["x_test", "x_train", "y_test", "y_train"])
        own = given["speaker"] == 1
        for name in ["x", "y"]:
            np.testing.assert_array_equal(found[name + "_train"], given[name][~own])
            np.testing.assert_array_equal(found[name + "_test"], given[name][own])

    def test_split_trains_on_few_of_each_class(self):
        given = self.words()
        found = self.split("--held-out", 2, "--shots", 2)
        np.testing.assert_array_equal(np.bincount(found["y_train"]), [2] * 4)
        own = {row.tobytes(): label for row, label in zip(given["x"][24:].astype(np.float32), given["y"][24:])}
        drawn = {}
        for part in ["train", "test"]:
            for row, label in zip(found["x_" + part], found["y_" + part]):
                drawn[row.tobytes()] = label
        self.assertEqual(drawn, own)
        again = self.split("--held-out", 2, "--shots", 2)["x_train"]
        np.testing.assert_array_equal(again, found["x_train"])
        other = self.split("--held-out", 2, "--shots", 2, "--seed", 2)["x_train"]
        self.assertFalse(np.array_equal(other, again))
        self.show("out.npz", "--json")

    def test_what_split_refuses(self):
        self.words()
        ask = ["split", "words.npz", "--by", "speaker", "--out", "out.npz", "--held-out"]
        self.refused(2, "expected one of 3 in 'speaker', from 0 to 2", *ask, 3)
        self.refused(2, "expected fewer than the 3 examples of class 0", *ask, 1, "--shots", 3)
        self.refused(2, "expected another file", *ask[:5], "words.npz", *ask[6:], 1)
        arrays = self.words()
        np.savez(self.directory / "words.npz", **{**arrays, "y": np.array(["a", "b", "c", "d"])[arrays["y"]]})
        self.refused(1, "'y': expected numbers, found words", *ask, 1)
        self.words()
        self.refused(2, "ends in .npz, found out.csv", *ask[:5], "out.csv", *ask[6:], 1)
        self.refused(1, "expected an array 'patient'", "split", "words.npz", "--by", "patient", "--out", "out.npz",
                     "--held-out", 1)
        self.refused(1, "expected a number for each example", "split", "words.npz", "--by", "x", "--out", "out.npz",
                     "--held-out", 1)
        self.refused(2, "--held-out", *ask, "nan")
        np.savez(self.directory / "words.npz", x=np.zeros((4, 2)), speaker=[0, 0, 1, 1])
        self.refused(1, "expected an array y of labels", *ask, 1, "--shots", 1)
        np.savez(self.directory / "words.npz", x=np.zeros((5, 2)), speaker=[0, 0, 1, 1])
        self.refused(1, "expected arrays of 4 examples beside 'speaker'", *ask, 1)
        np.savez(self.directory / "words.npz", x=np.zeros((1, 2)), y=[0], speaker=[1])
        self.refused(2, "and others beside it", *ask, 1)
        (self.directory / "words.npz").write_bytes((self.directory / "words.npz").read_bytes()[:-30])
        self.refused(1, "words.npz", *ask, 1)
        self.assertFalse((self.directory / "out.npz").exists())


if __name__ == "__main__":
    SLOPEWISE = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
