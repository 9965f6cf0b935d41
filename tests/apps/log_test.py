#!/usr/bin/env python3
"""The log of slopes as a user meets it: `slopewise train --log-slopes`, `replay`, `log`. Usage: log_test.py SLOPEWISE
[UNITTEST OPTION]..."""

import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib
from pathlib import Path

import numpy as np

from train_test import images

SLOPEWISE = ""
# How many runs are killed; more by hand.
KILLS = int(os.environ.get("SLOPEWISE_KILLS", "5"))


def weights(*more):
    """A run of 36 steps along two tangents of weights; more options, which may take the place of these."""
    usual = {"--data": "data.npz", "--hidden": "16,16", "--batch": "25", "--epochs": "3", "--log-every": "5",
             "--threads": "1", "--method": "weights", "--tangents": "2", "--optimizer": "sgd"}
    given = [str(option) for option in more]
    return [word for option in usual.items() if option[0] not in given for word in option] + ["--estimated-head", *given]


def philox(counters, key):
    """Philox4x32-10 of a table of counters of four words."""
    low, low_words = np.uint64(32), np.uint64(0xFFFFFFFF)
    words = counters.astype(np.uint64)
    keys = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        one, other = words[:, 0] * np.uint64(0xD2511F53), words[:, 2] * np.uint64(0xCD9E8D57)
        words = np.stack([other >> low ^ words[:, 1] ^ np.uint64(keys[0]), other & low_words,
                          one >> low ^ words[:, 3] ^ np.uint64(keys[1]), one & low_words], axis=1)
        keys = [(keys[0] + 0x9E3779B9) & 0xFFFFFFFF, (keys[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return words


def rademacher(seed, step, k, size):
    """Tangent k of a step under the law of that name, as docs/log.md has it."""
    entry = np.arange(size)
    group, rest = entry // 2048, entry % 2048
    block = 16 * group + rest % 16
    words = philox(np.stack([block, block * 0, block * 0 + step, block * 0 + k], axis=1), seed)
    bit = words[entry, rest // 512] >> (rest % 512 // 16).astype(np.uint64) & np.uint64(1)
    return np.where(bit, np.float32(-1), np.float32(1))


class LogTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.shared.cleanup)
        x, y = images(300, 10, 10)
        x_test, y_test = images(100, 10, 10, seed=2)
        np.savez(Path(cls.shared.name) / "data.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        shutil.copy(Path(self.shared.name) / "data.npz", self.directory)

    def run_verb(self, *words, limit=None):
        def bound_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        return subprocess.run([SLOPEWISE, *map(str, words)], cwd=self.directory, capture_output=True, text=True,
                              timeout=120, preexec_fn=bound_files if limit else None)

    def done(self, *words):
        done = self.run_verb(*words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def refused(self, code, message, *words):
        done = self.run_verb(*words)
        self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
        self.assertIn(message, done.stderr)

    def bytes_of(self, name):
        return (self.directory / name).read_bytes()

    def rows(self, log):
        return [line.split(",") for line in self.done("log", log).stdout.splitlines()]

    def test_a_run_leaves_a_log_that_makes_its_weights_again(self):
        for number, options in enumerate(([], ["--optimizer", "adam", "--average", 0.9], ["--rate", "auto"],
                                          ["--rate", "auto", "--optimizer", "adam"], ["--method", "zeroth-order"],
                                          ["--method", "zeroth-order", "--rate", "auto"], ["--law", "gaussian", "--clip-slope", 0.5])):
            with self.subTest(options=options):
                run = f"run{number}"
                self.done("train", *weights("--out", run, *options))
                (self.directory / "data.npz").rename(self.directory / "away")
                shutil.copy(self.directory / run / "slopes.log", self.directory / "alone.log")
                for source in (run, "alone.log"):
                    told = self.done("replay", source, "--out", "again.safetensors", "--quiet")
                    self.assertEqual((told.stdout, told.stderr), ("", ""))
                    self.assertEqual(self.bytes_of("again.safetensors"), self.bytes_of(f"{run}/weights.safetensors"))
                (self.directory / "away").rename(self.directory / "data.npz")
                self.done("evaluate", "again.safetensors", "--data", "data.npz")

    def test_the_weights_of_any_step(self):
        self.done("train", *weights("--out", "run"))
        self.done("train", *weights("--out", "part", "--schedule", "constant", "--steps", 20))
        self.done("train", *weights("--out", "more", "--schedule", "constant"))
        self.done("replay", "more", "--to", 20, "--out", "at20.safetensors")
        self.assertEqual(self.bytes_of("at20.safetensors"), self.bytes_of("part/weights.safetensors"))
        self.assertRegex(self.done("replay", "run", "--to", 0).stdout,
                         r"^The weights after step 0, of the checksum [0-9a-f]{8}\n$")
        self.refused(1, "--to: expected a step up to 36, found 37", "replay", "run", "--to", 37)
        self.refused(2, "--to", "replay", "run", "--to", -2)
        self.refused(1, "nowhere", "replay", "nowhere")
        self.refused(1, "slopes.log", "replay", ".")
        self.refused(1, "expected a log of slopes", "replay", "data.npz")
        self.refused(1, "cannot write", "replay", "run", "--out", "run")
        self.refused(2, "--out: expected a name that ends in .safetensors, found w.npz", "replay", "run", "--out", "w.npz")

    def test_initial_weights(self):
        self.done("train", *weights("--out", "first"))
        self.done("train", *weights("--out", "run", "--initial", "first/weights.safetensors", "--seed", 2))
        self.refused(1, "expected the weights its run began with", "replay", "run")
        self.done("replay", "run", "--initial", "first/weights.safetensors", "--out", "again.safetensors")
        self.assertEqual(self.bytes_of("again.safetensors"), self.bytes_of("run/weights.safetensors"))

    def test_what_a_log_says(self):
        self.done("train", *weights("--out", "run", "--log-every", 1))
        rows = self.rows("run")
        self.assertEqual(rows[0], ["step", "loss", "rate", "number1", "number2"])
        self.assertEqual([int(row[0]) for row in rows[1:]], list(range(1, 37)))
        metrics = [json.loads(line) for line in (self.directory / "run/metrics.jsonl").read_text().splitlines()]
        for row, line in zip(rows[1:], metrics, strict=True):
            self.assertEqual([np.float32(row[1]), np.float32(row[2])], [np.float32(line["loss"]),
                                                                        np.float32(line["rate"])])
            self.assertAlmostEqual(np.sqrt(np.mean(np.square(np.float64(row[3:])))) / line["slope_rms"], 1, places=6)
        document = json.loads(self.done("log", "run/slopes.log", "--json").stdout)
        self.assertEqual((document["schema"], document["damage"]), ("slopewise.log/1", ""))
        self.assertEqual(document["header"]["estimator"]["name"], "forward")
        self.assertEqual([np.float32(x) for x in document["steps"][35]["numbers"]],
                         [np.float32(x) for x in rows[36][3:]])

    def test_another_program_writes_rounds_that_are_applied(self):
        """A loss that Slopewise knows nothing of, its slopes, and a log of them, from docs/log.md alone."""
        size, seed, tangents = 4040, 12345678901234567, 3
        theta = np.linspace(1, 2, size, dtype=np.float32)
        goal = np.cos(np.arange(size))
        np.savez(self.directory / "start.npz", **{"map.weight": theta[:4000].reshape(40, 100), "map.bias": theta[4000:]})
        text = json.dumps({
            "parameters": [{"name": "map.weight", "shape": [40, 100], "rows": 40,
                            "initializer": {"kind": "zero", "fan_in": 100, "fan_out": 40, "gain": 1}},
                           {"name": "map.bias", "shape": [40], "bias_of": 0}],
            "initial": {"seed": 0, "crc32": zlib.crc32(theta.tobytes())},
            "estimator": {"name": "forward", "law": "rademacher", "tangents": tangents, "seed": seed, "epsilon": 0.001,
                          "learning_share": 0, "isotropic_share": 0, "subspace": 1, "clip_slope": None,
                          "clip_quantile": 1, "auto_rate": False},
            "optimizer": {"name": "sgd", "momentum": 0, "beta1": 0, "beta2": 0, "epsilon": 1, "weight_decay": 0,
                          "clip_norm": None},
            "average": 0, "examples": 1, "strings": {}}).encode()
        log = b"SLOPELOG" + struct.pack("<III", 1, tangents, len(text)) + text
        header = zlib.crc32(log)
        log += struct.pack("<I", header)
        for step in range(20):
            away = theta - goal
            v = [rademacher(seed, step, k, size) for k in range(tangents)]
            slopes = [np.float32(away @ each / size) for each in v]
            rate = np.float32(1 / (1 + step))
            for slope, each in zip(slopes, v):
                theta = theta + np.float32(-float(rate) * float(slope) / tangents) * each
            record = struct.pack(f"<ff{tangents}f", away @ away / 2 / size, rate, *slopes)
            log += record + struct.pack("<I", zlib.crc32(record, zlib.crc32(struct.pack("<Q", step), header)))
        (self.directory / "rounds.log").write_bytes(log)
        done = self.done("replay", "rounds.log", "--initial", "start.npz", "--out", "end.safetensors")
        self.assertEqual(done.stdout, f"The weights after step 20, of the checksum {zlib.crc32(theta.tobytes()):08x}: "
                         "end.safetensors\n")
        document = json.loads(self.done("log", "rounds.log", "--json").stdout)
        self.assertEqual([np.float32(x) for x in document["steps"][-1]["numbers"]], slopes)
        self.refused(1, "expected the weights its run began with", "replay", "rounds.log")

    def test_twenty_bytes_hold_a_step_along_two_tangents(self):
        self.done("train", *weights("--out", "run"))
        size = (self.directory / "run/slopes.log").stat().st_size
        header = struct.unpack("<I", self.bytes_of("run/slopes.log")[16:20])[0]
        self.assertEqual(size, 24 + header + 20 * 36)

    def test_where_there_is_a_log(self):
        for options in (["--method", "exact"], ["--method", "activities"], ["--method", "local"]):
            self.done("train", *weights("--out", "none", *options))
            self.assertFalse((self.directory / "none/slopes.log").exists())
            for verb in ("replay", "log"):
                self.refused(1, "none: no slopes.log there; runs have one whose steps are numbers along tangents of weights "
                                "alone", verb, "none")
            shutil.rmtree(self.directory / "none")
            self.refused(2, "--log-slopes on: expected steps along tangents of weights alone", "train",
                         *weights("--out", "none", *options, "--log-slopes", "on"))
            self.assertFalse((self.directory / "none").exists())
        self.refused(2, "an exact gradient of the last layer", "train",
                     *[word for word in weights("--log-slopes", "on") if word != "--estimated-head"])
        self.done("train", *weights("--out", "off", "--log-slopes", "off"))
        self.assertFalse((self.directory / "off/slopes.log").exists())
        self.done("train", *weights("--out", "on", "--log-slopes", "on"))
        self.assertEqual(self.bytes_of("off/weights.safetensors"), self.bytes_of("on/weights.safetensors"))
        self.done("train", *weights("--out", "on", "--overwrite", "--method", "exact"))
        self.assertFalse((self.directory / "on/slopes.log").exists())

    def wait_until(self, running, holds):
        """Until that holds, or the run has ended."""
        deadline = time.monotonic() + 60
        while running.poll() is None and not holds():
            self.assertLess(time.monotonic(), deadline, "nothing happens")
            time.sleep(0.001)

    def test_nothing_that_was_finished_is_lost_by_kill_9(self):
        """The checkpoint is that of the start, so that all there is is the log's."""
        options = weights("--epochs", 250, "--checkpoint-every", 3600, "--optimizer", "adam")
        self.done("train", *options, "--out", "whole")
        moments = random.Random(1)
        for number in range(KILLS):
            with self.subTest(number):
                running = subprocess.Popen([SLOPEWISE, "train", *options, "--out", "run"], cwd=self.directory,
                                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                metrics = self.directory / "run/metrics.jsonl"
                self.wait_until(running, metrics.exists)
                time.sleep(moments.uniform(0, 0.25))
                running.kill()
                running.wait()
                told = [json.loads(line)["step"] for line in metrics.read_text().splitlines() if line.endswith("}")]
                before = self.rows("run")[1:]
                self.assertGreaterEqual(len(before), max(told, default=0))
                # One part of the rest, killed again, then all of it.
                again = subprocess.Popen([SLOPEWISE, "train", "--resume", "run"], cwd=self.directory,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                time.sleep(moments.uniform(0, 0.1))
                again.kill()
                again.wait()
                middle = self.rows("run")[1:]
                self.assertEqual(middle[:len(before)], before)
                told = self.done("train", "--resume", "run", "--quiet")
                self.assertEqual((told.stdout, told.stderr), ("", ""))
                for name in ("weights.safetensors", "slopes.log"):
                    self.assertEqual(self.bytes_of(f"run/{name}"), self.bytes_of(f"whole/{name}"), name)
                curves = [json.loads(self.bytes_of(f"{run}/results.json"))["curve"] for run in ("run", "whole")]
                self.assertEqual(*[[(point["step"], point["test_loss"], point["train_loss"]) for point in curve]
                                   for curve in curves])
                shutil.rmtree(self.directory / "run")

    def interrupted(self):
        """The directory of a run that was killed early."""
        running = subprocess.Popen([SLOPEWISE, "train", *weights("--epochs", 250, "--checkpoint-every", 3600), "--out",
                                    "run"], cwd=self.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        log = self.directory / "run/slopes.log"
        self.wait_until(running, lambda: log.exists() and log.stat().st_size >= 5000)
        running.kill()
        running.wait()
        return log

    def test_a_damaged_tail_is_cut_and_said(self):
        log = self.interrupted()
        shutil.copytree(self.directory / "run", self.directory / "copy")
        self.done("train", "--resume", "copy", "--quiet")
        whole = self.bytes_of("copy/weights.safetensors")
        good = log.read_bytes()
        flipped = bytearray(good)
        flipped[-30] ^= 4
        for damaged, said in ((good[:-3], "a part of a record, 17 of 20 bytes,"), (bytes(flipped), "a damaged record"),
                              (good + b"more", "a part of a record, 4 of 20 bytes,")):
            with self.subTest(said=said):
                shutil.rmtree(self.directory / "copy")
                shutil.copytree(self.directory / "run", self.directory / "copy")
                (self.directory / "copy/slopes.log").write_bytes(damaged)
                self.assertIn(said, self.done("log", "copy").stderr)
                self.assertIn(said, self.done("replay", "copy").stderr)
                self.assertIn(said, self.done("train", "--resume", "copy").stderr)
                self.assertEqual(self.bytes_of("copy/weights.safetensors"), whole)
                self.done("replay", "copy", "--out", "again.safetensors")
                self.assertEqual(self.bytes_of("again.safetensors"), whole)

    def test_a_message_that_nobody_reads_stops_nothing(self):
        """A damaged tail is said before the first step."""
        log = self.interrupted()
        log.write_bytes(log.read_bytes() + b"more")
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([SLOPEWISE, "train", "--resume", "run"], cwd=self.directory, stdout=subprocess.DEVNULL,
                              stderr=writer, timeout=120)
        os.close(writer)
        self.assertEqual(json.loads(self.bytes_of("run/results.json"))["status"], "finished")
        self.assertEqual(done.returncode, 0)

    def test_a_run_goes_on_without_a_log_that_is_not_its_own(self):
        self.done("train", *weights("--out", "other", "--seed", 5))
        self.done("train", *weights("--out", "run", "--epochs", 3))
        whole = self.bytes_of("run/weights.safetensors")
        good = self.bytes_of("run/slopes.log")
        log = self.directory / "run/slopes.log"
        for damaged, said in ((self.bytes_of("other/slopes.log"), "found another's"),
                              (good[:-40], "its 34 steps end before the checkpoint's 36"),
                              (b"no log", "expected a log of slopes"), (None, "missing")):
            with self.subTest(said=said):
                log.unlink() if damaged is None else log.write_bytes(damaged)
                told = self.done("train", "--resume", "run").stderr
                self.assertIn(said, told)
                self.assertIn("the run goes on without it", told)
                self.assertEqual(self.bytes_of("run/weights.safetensors"), whole)

    def test_a_full_disk_ends_the_run_and_loses_nothing(self):
        """A limit on the size of files stands in for it: the log of a small network outgrows its checkpoint."""
        options = weights("--model", "logistic", "--hidden", 0, "--epochs", 500, "--log-every", 6000,
                          "--measure-every", 0, "--evaluate-every", 500, "--checkpoint-every", 3600)
        done = self.run_verb("train", *options, "--out", "run", limit=60000)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertIn("slopes.log: cannot be written: File too large", done.stderr)
        log = self.bytes_of("run/slopes.log")
        header = 24 + struct.unpack("<I", log[16:20])[0]
        self.assertEqual((len(log) - header) % 20, 0)
        self.assertGreater(len(log), 60000 - 20)
        self.assertEqual(sorted(path.name for path in (self.directory / "run").iterdir() if path.name[0] != "."),
                         ["checkpoint.safetensors", "config.toml", "metrics.jsonl", "slopes.log"])
        self.assertEqual(self.done("train", "--resume", "run").stderr, "")
        self.done("train", *options, "--out", "whole")
        for name in ("weights.safetensors", "slopes.log"):
            self.assertEqual(self.bytes_of(f"run/{name}"), self.bytes_of(f"whole/{name}"), name)


if __name__ == "__main__":
    SLOPEWISE = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
