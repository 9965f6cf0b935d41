#!/usr/bin/env python3
"""Options of every verb: what numbers and texts they take, and that files keep them. Usage: settings_test.py SLOPEWISE
[UNITTEST OPTION]..."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

import numpy as np

SLOPEWISE = ""
# A path holds any of these.
TEXTS = ("a#b", 'q"uo\'te', "back\\slash", "line\nbreak", " blanks ", "täst-λ", "[one,two]", "tab\t", "{}", "%d", "=", "\x1b[1m",
         "'''", '"""', "#")
TRAIN = {"hidden": [16, 8], "batch": 25, "epochs": 1, "threads": 1, "quiet": True}


def words(settings):
    """The settings as the command line takes them."""
    for name, value in settings.items():
        yield f"--{name}=true" if value is True else f"--{name}"
        if value is not True:
            yield ",".join(map(str, value)) if isinstance(value, list) else str(value)


class SettingsTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        random = np.random.default_rng(1)
        np.savez(self.directory / "data.npz", **{f"{kind}_{part}": random.integers(0, 10, shape, dtype=np.uint8)
                                                 for part in ("train", "test")
                                                 for kind, shape in (("x", (50, 8, 8)), ("y", 50))})

    def call(self, *arguments, code=0):
        done = subprocess.run([SLOPEWISE, *map(str, arguments)], cwd=self.directory, capture_output=True, text=True,
                              timeout=100, env={**os.environ, "COLUMNS": "1000"})
        self.assertEqual(done.returncode, code, (arguments, done.stderr))
        return done

    def refuses(self, verb, name, wrong):
        message = self.call(*verb.split(), f"--{name}", wrong, code=2).stderr
        self.assertTrue(message.startswith(f"slopewise: --{name}: expected "), (verb, name, wrong, message))
        self.assertIn(f"found '{wrong}'", message)
        self.assertIn(f"slopewise {verb} --help", message)

    def refuses_in_file(self, verb, name, typed):
        (self.directory / "file.toml").write_text(f"# a line\n{name} = {typed}\n")
        asked = ["run"] if verb in ("evaluate", "predict", "replay") else []
        message = self.call(verb, *asked, "--config", "file.toml", code=2).stderr
        self.assertTrue(message.startswith(f"slopewise: file.toml, line 2: {name}: expected "), (verb, typed, message))

    # --- numbers

    def test_what_is_no_number(self):
        """One of each kind; what settings_test.cpp asks of all."""
        for verb, name, wrong in (("train", "epochs", "1.5"), ("train", "hidden", "2,"), ("study", "seed", "nan"),
                                  ("data split", "seed", ""), ("bench", "seconds", "-inf"), ("audit", "memory", "8x")):
            self.refuses(verb, name, wrong)
        for verb, name, typed in (("train", "dropout", "nan"), ("evaluate", "threads", '"8x"'), ("compare", "rate", "[]")):
            self.refuses_in_file(verb, name, typed)
        self.refuses("train", "seed", "9007199254740993e0")  # not exact as a double
        self.assertIn("expected once, found it 2 times: 1, 2",
                      self.call("train", "--epochs", 1, "--epochs", 2, code=2).stderr)
        for text, message in (("epochs = 010", "leading zeroes"), ("epochs = 1\nepochs = 2", "line 2"),
                              ("rate = 1\nlearning-rate = 2", "rate: expected once"), ("law = gaussian", "line 1"),
                              ("y = " + "[" * 100000, "deeper than 64")):
            (self.directory / "file.toml").write_text(text)
            self.assertIn(message, self.call("train", "--config", "file.toml", code=2).stderr)

    def test_a_value_that_was_left_out(self):
        for words, message in ((("--epochs",), "--epochs: expected a value, found none"), (("--rate=",), "--rate: expected"),
                               (("--epochs", "--seed", 3), "--epochs: expected a value, found the option --seed"),
                               (("--out", "--quiet"), "--out: expected a value, found the option --quiet"),
                               (("--out", "--rate=1"), "--out: expected a value, found the option --rate=1"),
                               (("-o", "--lr", 1), "--out: expected a value, found the option --lr")):
            result = self.call("train", *words, code=2)
            self.assertIn(message, result.stderr)
            self.assertIn("Try: slopewise train --help", result.stderr)
        self.assertEqual(sorted(path.name for path in self.directory.iterdir()), ["data.npz"])

    def test_numbers_are_decimal(self):
        """A leading zero, a plus and an exact power of ten."""
        self.call("train", "--data", "data.npz", "--epochs", "02", "--batch", "+025", "--hidden", "016,1e1", "--tangents",
                  "0008", "--rate", ".5e-2", "--log-every", "1e3", "--seed", "9223372036854775807", "--threads", 1, "--quiet",
                  "--out", "run")
        config = tomllib.loads((self.directory / "run/config.toml").read_text())["train"]
        self.assertEqual([config[name] for name in ("epochs", "batch", "hidden", "tangents", "rate", "log-every", "seed")],
                         [2, 25, [16, 10], 8, 0.005, 1000, 9223372036854775807])
        self.assertEqual(self.results("run")["steps"], 4)

    # --- types and texts in files

    def results(self, run):
        return json.loads((self.directory / run / "results.json").read_text())

    def test_files_keep_types(self):
        self.call("train", "--data", "data.npz", *words(TRAIN), "--out", "run")
        written = tomllib.loads((self.directory / "run/config.toml").read_text())["train"]
        config = self.results("run")["config"]
        for kept in (written, config):
            for name, value in {**TRAIN, "tangents": 8, "rate": 0.001, "residual": False, "method": "activities",
                                "dropout": 0.0, "out": "run", "seed": 1}.items():
                self.assertEqual((kept[name], type(kept[name])), (value, type(value)), name)
        self.assertEqual({name: value for name, value in config.items() if value is not None}, written)
        self.assertIsNone(config["law"])

    def test_numbers_in_quotes_are_read(self):
        """As older versions wrote some."""
        (self.directory / "old.toml").write_text('[train]\nhidden = "16,8"\nbatch = "25"\nepochs = ["1"]\n')
        self.assertIn("line 4: epochs: expected one value", self.call("train", "--config", "old.toml", code=2).stderr)
        (self.directory / "old.toml").write_text('[train]\nhidden = "16,8"\nbatch = "25"\nepochs = "1"\nrate = "1e-2"\n'
                                                 'residual = "false"\nlaw = "rademacher"\n')
        self.call("train", "--config", "old.toml", "--data", "data.npz", "--quiet", "--threads", 1, "--out", "run")
        config = self.results("run")["config"]
        self.assertEqual([config[name] for name in ("hidden", "batch", "epochs", "rate", "residual", "law")],
                         [[16, 8], 25, 1, 0.01, False, "rademacher"])

    def test_any_path_survives(self):
        """Through config.toml to --config, rerun and --resume."""
        for number, name in enumerate((*TEXTS, "all of it: " + "".join(TEXTS))):
            name = f"{name}{number}{name}"
            data = self.directory / name / "data.npz"
            data.parent.mkdir()
            shutil.copy(self.directory / "data.npz", data)
            out = f"{name}/run"
            self.call("train", "--data", f"{name}/data.npz", *words(TRAIN), "--out", out, "--no-report")
            before = (self.directory / out / "weights.safetensors").read_bytes()
            self.call("rerun", out)
            self.assertEqual((self.directory / f"{out}-2/weights.safetensors").read_bytes(), before, name)
            for again in (("rerun", out, "--overwrite"), ("train", "--resume", out),
                          ("train", "--config", f"{out}/config.toml", "--overwrite")):
                (self.directory / out / "weights.safetensors").unlink()
                self.call(*again)
                self.assertEqual((self.directory / out / "weights.safetensors").read_bytes(), before, name)
            config = self.results(out)["config"]
            self.assertEqual((config["data"], config["out"]), (f"{name}/data.npz", out))
            self.assertEqual(sorted(path.name for path in self.directory.iterdir()), sorted(("data.npz", name)))
            # An argument, not an option.
            self.assertIn(f"{out}/report.html", self.call("report", out).stdout)
            shutil.rmtree(data.parent)

    def test_other_bytes_than_utf8_are_refused_before_the_work(self):
        for verb in ("train", "study"):
            done = subprocess.run([SLOPEWISE.encode(), verb.encode(), b"--out", b"a\xffb"], cwd=self.directory,
                                  capture_output=True, timeout=100)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(b"--out: expected UTF-8", done.stderr)
            shutil.rmtree(self.directory.__fspath__().encode() + b"/a\xffb", ignore_errors=True)


if __name__ == "__main__":
    SLOPEWISE = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
