#!/usr/bin/env python3
"""`slopewise train` as a user meets it. Usage: train_test.py SLOPEWISE [UNITTEST OPTION]..."""

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
from pathlib import Path

import numpy as np

from terminal import run_on_terminal

SLOPEWISE = ""
PRESETS = Path(__file__).resolve().parents[2] / "presets"
TIMES = {"seconds", "step_ms"}
# How often runs are killed in all, at random moments.
KILLS = int(os.environ.get("SLOPEWISE_KILLS", 30))


def images(count, *shape, seed=1):
    """Images whose brightest rows say their labels, with noise; and the labels."""
    noise = np.random.default_rng(seed)
    labels = np.arange(count) % 10
    pixels = noise.integers(0, 100, (count, *shape), dtype=np.uint8)
    rows = shape[0] // 10
    for image, label in zip(pixels, labels):
        image[rows * label:rows * (label + 1)] += 120
    return pixels, labels.astype(np.uint8)


def small(*more):
    """A run of 36 steps on data.npz, in well under a second; more options, which may take the place of these."""
    usual = {"--data": "data.npz", "--hidden": "16,16", "--batch": "25", "--epochs": "3", "--log-every": "5",
             "--threads": "1"}
    given = [str(option) for option in more]
    return [word for option in usual.items() if option[0] not in given for word in option] + given


class TrainTest(unittest.TestCase):
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

    def train(self, *options, limit=None):
        def bound_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it; the program has to by itself
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        return subprocess.run([SLOPEWISE, "train", *map(str, options)], cwd=self.directory, capture_output=True,
                              text=True, timeout=4 * max(KILLS, 30), preexec_fn=bound_files if limit else None)

    def trained(self, *options):
        """Trains, and returns what results.json says."""
        done = self.train(*options, "--out", "run", "--overwrite")
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.results("run")

    def refused(self, code, message, *options):
        done = self.train(*options)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertTrue(done.stderr.startswith("slopewise: "), done.stderr)
        self.assertIn(message, done.stderr)
        self.assertEqual(done.stdout, "")

    def start(self, *options):
        running = subprocess.Popen([SLOPEWISE, "train", *map(str, options)], cwd=self.directory,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(running.stdout.close)
        self.addCleanup(running.stderr.close)
        self.addCleanup(running.kill)
        return running

    def results(self, run):
        return json.loads((self.directory / run / "results.json").read_text())

    def metrics(self, run):
        return [json.loads(line) for line in (self.directory / run / "metrics.jsonl").read_text().splitlines()]

    def wait_for(self, path, running):
        """Until the file has something in it, or the run has ended."""
        file, deadline = self.directory / path, time.monotonic() + 300
        while (not file.exists() or file.stat().st_size == 0) and running.poll() is None:
            self.assertLess(time.monotonic(), deadline, f"no {path}")
            time.sleep(0.002)

    def snapshot(self, run="run"):
        return {path.name: path.read_bytes() for path in (self.directory / run).iterdir()}

    def assert_same_weights(self, one, other):
        name = "weights.safetensors"
        self.assertEqual((self.directory / one / name).read_bytes(), (self.directory / other / name).read_bytes())

    def assert_same_run(self, one, other):
        """Equal to the bit, but for times."""
        untimed = lambda line: {key: value for key, value in line.items() if key not in TIMES}
        self.assertEqual([untimed(line) for line in self.metrics(one)], [untimed(line) for line in self.metrics(other)])
        self.assert_same_weights(one, other)
        for key in ("status", "steps", "test_error", "test_loss", "train_loss", "preset", "method", "seed"):
            self.assertEqual(self.results(one)[key], self.results(other)[key], key)
        curve = lambda run: [untimed(point) for point in self.results(run)["curve"]]
        self.assertEqual(curve(one), curve(other))

    # --- a run and its files

    def test_a_run_directory(self):
        done = self.train(*small("--out", "runs/first", "--method", "exact", "--measure-every", 10))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("test error", done.stdout)
        self.assertIn("runs/first", done.stdout)
        self.assertEqual(sorted(path.name for path in (self.directory / "runs/first").iterdir()),
                         ["checkpoint.safetensors", "config.toml", "metrics.jsonl", "report.html", "results.json",
                          "weights.safetensors"])
        results = self.results("runs/first")
        self.assertEqual(list(results)[:5], ["schema", "version", "name", "preset", "method"])
        expected = {"schema": "slopewise.train/1", "name": "first", "preset": "", "method": "exact", "seed": 1,
                    "parameters": 100 * 16 + 16 + 16 * 16 + 16 + 16 * 10 + 10, "slopes": 0, "status": "finished",
                    "message": "", "epochs": 3, "steps": 36}
        self.assertEqual({key: results[key] for key in expected}, expected)
        self.assertEqual([point["step"] for point in results["curve"]], [12, 24, 36])
        self.assertEqual(results["curve"][-1]["test_error"], results["test_error"])
        self.assertEqual(results["config"]["hidden"], [16, 16])
        self.assertGreater(results["peak_bytes"], results["step_bytes"])
        lines = self.metrics("runs/first")
        self.assertEqual([line["step"] for line in lines], [5, 10, 15, 20, 25, 30, 35])
        self.assertEqual(list(lines[0]), ["step", "epoch", "seconds", "loss", "rate", "step_ms"])
        for key in ("gradient_norm", "gradient_norm_low", "gradient_norm_high", "snr", "tangent_share",
                    "minibatch_share"):
            self.assertIn(key, lines[1])
        self.assertEqual(lines[1]["tangent_share"], 0)

    def test_every_method_model_and_option_runs(self):
        for options in (["--method", "exact", "--checkpointed"],
                        ["--method", "weights", "--tangents", 2, "--clip-quantile", 0.8],
                        ["--method", "weights", "--law", "gaussian", "--estimated-head"],
                        ["--method", "zeroth-order", "--tangents", 2],
                        ["--method", "activations", "--prior", "mirror", "--one-by-one"],
                        ["--method", "activities", "--prior", "feedback", "--correction", "gated"],
                        ["--method", "activities", "--prior", "random-feedback", "--correction", "none", "--tangents", 0],
                        ["--method", "local", "--prior", "feedback", "--groups", 2, "--residual", "--dropout", 0.1],
                        ["--model", "logistic", "--method", "weights"],
                        ["--model", "cnn", "--channels", "4,6p", "--hidden", 12, "--method", "local"],
                        ["--model", "mixer", "--patch", 5, "--hidden", 6, "--method", "activities"]):
            with self.subTest(options=options):
                results = self.trained(*small("--epochs", 1, *options, "--measure-every", 6,
                                              "--check-against-backprop", 12))
                self.assertEqual(results["steps"], 12)
                last = self.metrics("run")[-1]
                self.assertLessEqual(abs(last["cosine"]), 1 + 1e-6)

    def test_bfloat16_trains_to_the_same_bits_on_any_number_of_threads(self):
        if "bf16" not in subprocess.run([SLOPEWISE, "--version"], capture_output=True, text=True).stdout:
            self.skipTest("this processor does not multiply bfloat16")
        weights = {}
        for method in ("exact", "weights", "activities", "local"):
            for precision in ("--precision", "--tangent-precision"):
                runs = []
                for threads in (1, 2):
                    self.trained(*small("--hidden", "300,70", "--epochs", 1, "--method", method, precision, "bf16",
                                        "--threads", threads))
                    runs.append((self.directory / "run" / "weights.safetensors").read_bytes())
                    shutil.rmtree(self.directory / "run")
                with self.subTest(method=method, precision=precision):
                    self.assertTrue(runs[0] == runs[1])
                weights[method, precision] = runs[0]
            with self.subTest(method=method):
                self.trained(*small("--hidden", "300,70", "--epochs", 1, "--method", method))
                plain = (self.directory / "run" / "weights.safetensors").read_bytes()
                shutil.rmtree(self.directory / "run")
                self.assertNotEqual(weights[method, "--precision"], plain)
                # Backprop has no tangents, and those of a block of one layer enter behind its weights.
                self.assertEqual(weights[method, "--tangent-precision"] != plain, method in ("weights", "activities"))

    def test_options_of_a_run_that_held_nothing_out_do_not_make_it_stop_by_test_images(self):
        plain = self.trained(*small("--method", "exact", "--epochs", 1, "--rate", 0.01))
        self.assertEqual(plain["config"]["validation"], 0)
        shutil.copy(self.directory / "run" / "config.toml", self.directory / "plain.toml")
        held = self.train("--config", "plain.toml", "--target-accuracy", 60, "--out", "held", "--epochs", 50)
        self.assertEqual(held.returncode, 0, held.stderr)
        self.assertEqual(self.results("held")["config"]["validation"], 30)

    def test_stops_at_the_accuracy_asked_for(self):
        """On held-out images, by default a tenth of the training images; the test set is judged once, at the end."""
        options = small("--method", "exact", "--epochs", 50, "--rate", 0.01)
        results = self.trained(*options, "--target-accuracy", 60)
        self.assertEqual((results["status"], results["config"]["validation"]), ("reached", 30))
        self.assertLess(results["epochs"], 50)
        last = results["curve"][-1]["test_error"]
        self.assertLessEqual(last, 0.4)
        self.assertEqual(last, results["validation_error"])
        self.assertAlmostEqual(last * 30, round(last * 30), delta=1e-9)  # of 30 images
        self.assertAlmostEqual(results["test_error"] * 100, round(results["test_error"] * 100), delta=1e-9)  # of 100
        # The accuracy that it has, on 30 images, is reached, whatever its rounding.
        shutil.copytree(self.directory / "run", self.directory / "had")
        shutil.rmtree(self.directory / "run")
        again = self.trained(*options, "--target-accuracy", 100 - 100 * last)
        self.assertEqual((again["status"], again["steps"]), ("reached", results["steps"]))
        # Other test images change how good it is, and not when it ends.
        arrays = dict(np.load(self.directory / "data.npz"))
        arrays["y_test"] = (arrays["y_test"] + 5) % 10
        np.savez(self.directory / "other.npz", **arrays)
        other = self.train(*options[2:], "--target-accuracy", 60, "--data", "other.npz", "--out", "other")
        self.assertEqual(other.returncode, 0, other.stderr)
        self.assertEqual(self.results("other")["steps"], results["steps"])
        self.assertGreater(self.results("other")["test_error"], results["test_error"] + 0.2)
        # A run that is where it should be takes no further step.
        before = self.snapshot()["weights.safetensors"]
        self.assertEqual(self.train("--resume", "run").returncode, 0)
        self.assertEqual(self.results("run")["steps"], results["steps"])
        self.assertEqual(self.snapshot()["weights.safetensors"], before)

    def test_evaluations_may_be_more_frequent_than_steps(self):
        for every, steps in ((0.001, range(1, 13)), (0.125, (2, 3, 5, 6, 8, 9, 11, 12)), (7, (12,))):
            results = self.trained(*small("--method", "exact", "--epochs", 1, "--evaluate-every", every))
            self.assertEqual([point["step"] for point in results["curve"]], list(steps))

    def test_seconds_choose_the_epochs(self):
        results = self.trained(*small("--method", "exact", "--epochs", 100000), "--seconds", 0.3)
        self.assertEqual(results["status"], "finished")
        self.assertLess(results["epochs"], 100000)
        self.assertNotEqual(results["config"]["epochs"], 100000)

    def test_steps_alone_say_how_long(self):
        # Three steps an epoch, and more of them than the default's epochs have.
        options = ["--data", "data.npz", "--hidden", 4, "--batch", 100, "--method", "exact", "--steps", 60]
        self.assertEqual(self.trained(*options)["steps"], 60)
        self.assertEqual(self.trained(*options, "--epochs", 2)["steps"], 6)
        self.assertEqual(self.trained(*options, "--seconds", 1000)["steps"], 60)

    def test_initial_weights(self):
        first = self.trained(*small("--method", "exact", "--rate", 0.01))
        (self.directory / "run").rename(self.directory / "first")
        more = self.trained(*small("--method", "exact", "--rate", 1e-30, "--epochs", 1, "--initial",
                                   "first/weights.safetensors"))
        self.assertEqual(more["test_loss"], first["test_loss"])
        shutil.rmtree(self.directory / "run")
        self.refused(1, "of another shape: linear1.weight is (16, 100), expected (17, 100)",
                     *small("--hidden", 17, "--initial", "first/weights.safetensors"))
        self.refused(1, "left over: linear3.bias, linear3.weight",
                     *small("--hidden", "16", "--initial", "first/weights.safetensors"))
        self.refused(1, "missing: block1.linear1.weight", *small("--method", "local", "--initial",
                                                                 "first/weights.safetensors"))
        self.refused(1, "nowhere", *small("--initial", "nowhere"))
        np.savez(self.directory / "broken.npz", **{"linear1.weight": np.full((10, 100), -np.inf), "linear1.bias": np.zeros(10)})
        self.refused(1, "broken.npz: linear1.weight, number 1: found -inf, expected a finite number",
                     *small("--method", "exact", "--hidden", "0", "--initial", "broken.npz"))
        self.assertFalse((self.directory / "run").exists())

    def test_initial_weights_of_any_format_and_verb(self):
        """What train writes gradient reads, and back, by the names in the files."""
        first = self.trained(*small("--method", "exact", "--rate", 0.01))
        (self.directory / "run").rename(self.directory / "first")
        gradient = ["gradient", "--data", "data.npz", "--model", "mlp", "--hidden", "16,16", "--batch", "25", "--samples",
                    "1", "--quiet", "--threads", "1"]
        for option in ("--initial", "--parameters"):
            done = subprocess.run([SLOPEWISE, *gradient, option, "first/weights.safetensors", "--save-parameters",
                                   "again.npz"], cwd=self.directory, capture_output=True, text=True, timeout=120)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        (self.directory / "again.npz").rename(self.directory / "again.weights")
        checkpoint = self.directory / "first/checkpoint.safetensors"
        for initial in ("again.weights", checkpoint):
            more = self.trained(*small("--method", "exact", "--rate", 1e-30, "--epochs", 1, "--initial", initial))
            self.assertEqual(more["test_loss"], first["test_loss"])
            shutil.rmtree(self.directory / "run")

    def test_a_preset_says_what_to_fetch(self):
        self.refused(1, "slopewise data fetch mnist", "--preset", "mnist-local")
        self.refused(1, "slopewise data fetch cifar10", "--preset", "cifar10-local")
        for preset in ("kwt-speaker", "stories-shakespeare"):
            for given, found in (([], "neither"), (["--data", "digits"], "no --model"), (["--model", "mlp"], "no --data")):
                self.refused(2, f"--preset {preset}: expected --model ", "--preset", preset, *given)
                self.refused(2, f"found {found}", "--preset", preset, *given)
        self.assertFalse((self.directory / "run").exists())

    def test_threads_change_nothing(self):
        self.trained(*small())
        (self.directory / "run").rename(self.directory / "one")
        self.trained(*small("--threads", 2))
        self.assert_same_run("one", "run")

    def test_a_new_run_takes_the_place_of_an_old_one(self):
        self.trained(*small())
        before = self.snapshot()
        self.refused(2, "run holds a run; expected another directory, or --overwrite to replace it; to go on with it: "
                     "slopewise train --resume run", *small("--out", "run", "--seed", 2))
        self.assertEqual(self.snapshot(), before)
        self.refused(1, "nowhere", *small("--data", "nowhere", "--out", "run", "--overwrite"))
        self.assertEqual(self.snapshot(), before)
        running = self.start(*small("--epochs", 3000, "--out", "run", "--seed", 2, "--overwrite"))
        while b"\nseed = 2\n" not in (self.directory / "run/config.toml").read_bytes() and running.poll() is None:
            time.sleep(0.002)
        time.sleep(0.05)
        running.kill()
        running.wait()
        self.assertEqual(sorted(self.snapshot()), [".slopewise.lock", "checkpoint.safetensors", "config.toml", "metrics.jsonl"])

    def test_one_run_at_a_time_in_a_directory(self):
        running = self.start(*small("--epochs", 30000, "--out", "run"))
        self.wait_for("run/metrics.jsonl", running)
        for options in (small("--out", "run", "--overwrite"), ["--resume", "run"]):
            self.refused(1, f"run: another run (process {running.pid}) is writing there", *options)
        self.assertIsNone(running.poll())
        running.kill()
        running.wait()
        self.assertEqual(self.train(*small("--out", "run", "--overwrite")).returncode, 0)

    def test_runs_without_a_directory_of_their_own_count_up(self):
        started = [self.start(*small("--seed", seed, "--no-report")) for seed in range(1, 5)]
        self.assertEqual([running.communicate(timeout=60)[1] for running in started], [""] * 4)
        names = ["train", "train-2", "train-3", "train-4"]
        self.assertEqual(sorted(path.name for path in (self.directory / "runs").iterdir()), names)
        self.assertEqual({self.results(f"runs/{name}")["seed"] for name in names}, {1, 2, 3, 4})
        self.assertEqual({self.results(f"runs/{name}")["name"] for name in names}, set(names))

    def test_a_refused_run_leaves_nothing(self):
        self.refused(1, "nowhere", *small("--data", "nowhere", "--out", "a/b/run"))
        self.refused(1, "nowhere", *small("--data", "nowhere"))
        self.assertEqual(list(self.directory.iterdir()), [self.directory / "data.npz"])

    # --- what is told

    def test_quiet_prints_nothing(self):
        done = self.train(*small("--quiet", "--out", "run"))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_piped_output_is_plain(self):
        self.assertNotIn("\x1b", self.train(*small("--out", "run")).stdout)

    def test_a_reader_that_leaves_costs_the_table_alone(self):
        done = subprocess.run(f"{SLOPEWISE} train {' '.join(small('--out', 'run'))} > /dev/full", shell=True,
                              cwd=self.directory, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot write to standard output", done.stderr)
        self.assertEqual(self.results("run")["status"], "finished")

    def test_progress_on_a_terminal(self):
        code, sent = run_on_terminal([SLOPEWISE, "train", *small("--epochs", 30000, "--seconds", 4, "--out", "run")],
                                     "stderr", 160, cwd=self.directory, stdout=subprocess.DEVNULL)
        self.assertEqual(code, 0)
        self.assertRegex(sent, r"train .*% .*steps/s.*left.*loss .*, error .* %.*\|gradient\| .* to ")

    # --- presets

    def test_presets_are_listed(self):
        done = self.train("--list-presets")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(sorted(line.split()[0] for line in done.stdout.splitlines()),
                         sorted(path.stem for path in PRESETS.glob("*.toml")))
        self.assertTrue(all(len(line.split()) > 3 for line in done.stdout.splitlines()), done.stdout)
        self.assertEqual(list(self.directory.iterdir()), [self.directory / "data.npz"])

    def test_every_preset_trains(self):
        """One epoch on a few images of the shape that the preset is for."""
        for name, shape in (("gray", (28, 28)), ("colour", (32, 32, 3))):
            (x, y), (x_test, y_test) = images(400, *shape), images(100, *shape, seed=2)
            np.savez(self.directory / f"{name}.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
        for preset in sorted(path.stem for path in PRESETS.glob("*.toml")):
            if preset.startswith(("kwt-", "stories-")):
                continue  # for models from files: blocks_test.py
            with self.subTest(preset=preset):
                data = "colour.npz" if preset.startswith("cifar10") else "gray.npz"
                results = self.trained("--preset", preset, "--data", data, "--epochs", 1)
                self.assertEqual((results["preset"], results["epochs"]), (preset, 1))

    def test_a_preset_gives_way_to_the_command_line(self):
        results = self.trained("--preset", "mnist-backprop", *small("--epochs", 1))
        self.assertEqual((results["method"], results["config"]["hidden"]), ("exact", [16, 16]))
        self.refused(2, "--preset: expected one of", "--preset", "mnist-magic")

    def test_a_flag_gives_way_when_it_is_said_to_be_false(self):
        (self.directory / "plain.toml").write_text("residual = false\n")
        weights = {}
        for name, options in (("preset", []), ("option", ["--residual=false"]), ("config", ["--config", "plain.toml"])):
            with self.subTest(name):
                done = self.train("--preset", "mnist-deep", *small("--epochs", 1), *options, "--out", name)
                self.assertEqual(done.returncode, 0, done.stderr)
                said = "true" if name == "preset" else "false"
                self.assertIn(f"\nresidual = {said}\n", (self.directory / name / "config.toml").read_text())
                weights[name] = (self.directory / name / "weights.safetensors").read_bytes()
        self.assertEqual(weights["option"], weights["config"])
        self.assertNotEqual(weights["option"], weights["preset"])
        again = subprocess.run([SLOPEWISE, "rerun", "preset", "--residual=false", "--out", "again"], cwd=self.directory,
                               capture_output=True, text=True, timeout=120)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual((self.directory / "again/weights.safetensors").read_bytes(), weights["option"])
        flags = [self.results(run)["config"]["residual"] for run in ("preset", "option", "config", "again")]
        self.assertEqual(flags, [True, False, False, False])

    @unittest.skipUnless((PRESETS / "cifar10-local.toml").exists(), "no preset for CIFAR-10")
    def test_cifar10_batches(self):
        for i, name in enumerate([f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]):
            pixels, labels = images(60, 32, 32, 3, seed=i)
            planes = pixels.transpose(0, 3, 1, 2).reshape(60, -1)
            (self.directory / f"{name}.bin").write_bytes(np.hstack([labels[:, None], planes]).tobytes())
        results = self.trained("--preset", "cifar10-local", "--data", ".", "--epochs", 1, "--batch", 50)
        self.assertEqual(results["steps"], 6)

    # --- rates that need no search

    def test_every_method_finds_its_rate(self):
        for method in (["--method", "exact"], ["--method", "exact", "--optimizer", "momentum", "--exact-blocks", 1],
                       ["--method", "exact", "--checkpointed", "--micro-batch", 5, "--optimizer", "adamw"],
                       ["--method", "activities", "--prior", "feedback"], ["--method", "local"],
                       ["--method", "weights", "--tangents", 8], ["--method", "weights", "--estimator", "momentum"],
                       ["--method", "weights", "--optimizer", "sgd", "--clip-quantile", 0.9],
                       ["--method", "weights", "--optimizer", "sgd", "--memory", "20MiB"],
                       ["--method", "exact", "--optimizer", "adamw", "--weight-decay", 3],
                       ["--method", "zeroth-order", "--optimizer", "sgd", "--tangents", 8]):
            with self.subTest(method=method):
                results = self.trained(*small(*method, "--rate", "auto", "--epochs", 8, "--log-every", 1))
                self.assertEqual(results["config"]["rate"], "auto")
                losses = [line["loss"] for line in self.metrics("run") if "loss" in line]
                self.assertLess(sum(losses[-10:]), sum(losses[:10]))
                self.assertTrue(any(line["rate"] > 0 for line in self.metrics("run") if "rate" in line))
        for method in (["--optimizer", "adam"], ["--one-sided", "--optimizer", "sgd"]):
            done = self.train(*small("--method", "zeroth-order", *method, "--rate", "auto"))
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn("--rate auto: of differences of losses expected --optimizer sgd, both sides", done.stderr)

    def test_a_run_that_will_hardly_lower_its_loss_says_so_early(self):
        tiny = small("--hidden", "200,200", "--method", "weights", "--law", "gaussian", "--tangents", 1, "--optimizer", "sgd",
                     "--rate", "auto", "--epochs", 4, "--out", "tiny")
        done = self.train(*tiny)
        self.assertEqual(done.returncode, 0, done.stderr)
        reach = self.results("tiny")["reach"]
        self.assertEqual(reach["step"], 20)
        self.assertLess(reach["decrease"], 0.1 * reach["loss"])
        self.assertRegex(done.stderr, r"slopewise: step 20: by the slopes so far the 28 steps left lower the loss of [\d.]+ "
                                      r"by [\d.]+ at most.*--tangents")
        self.assertEqual(self.train(*tiny, "--quiet", "--overwrite").stderr, "")
        well = self.train(*small("--method", "exact", "--rate", "auto", "--epochs", 8, "--out", "well"))
        self.assertNotIn("at most", well.stderr)
        reach = self.results("well")["reach"]
        self.assertGreater(reach["decrease"], reach["loss"])
        # Where few steps are left there is nothing to foresee.
        for options in (["--rate", "auto"], ["--optimizer", "sgd", "--rate", 0.1, "--measure-every", 20]):
            done = self.train(*small("--method", "exact", "--steps", 20, "--out", "short", "--overwrite", *options))
            self.assertNotIn("at most", done.stderr)
            self.assertIsNone(self.results("short")["reach"])
        # Of a rate that was given from the first measurement on, of plain descent alone.
        for number, (optimizer, foreseen) in enumerate((("sgd", True), ("adam", False))):
            self.train(*small("--method", "exact", "--optimizer", optimizer, "--rate", 1e-9, "--measure-every", 5, "--out",
                              f"given{number}"))
            reach = self.results(f"given{number}")["reach"]
            self.assertEqual(reach is not None, foreseen)
            if foreseen:
                self.assertEqual(reach["step"], 5)
                self.assertLess(reach["decrease"], 1e-6)

    # --- interrupted and resumed

    def test_killed_runs_go_on_to_the_same_end(self):
        methods = (["--method", "exact", "--average", 0.9],
                   ["--method", "weights", "--tangents", 4, "--clip-quantile", 0.7],
                   ["--method", "local", "--prior", "feedback", "--correction", "gated", "--dropout", 0.1],
                   ["--method", "activities", "--prior", "mirror", "--optimizer", "nesterov"],
                   # Steps along implicit gradients, which change packed weights in place.
                   ["--method", "weights", "--rate", "auto", "--optimizer", "sgd", "--hidden", "730,730"],
                   ["--method", "weights", "--rate", "auto", "--tangents", 4])
        moments = random.Random(1)
        for number, method in enumerate(methods):
            options = small("--epochs", 2 * max(KILLS, 30), "--log-every", 7, "--measure-every", 21, *method)
            with self.subTest(method=method):
                whole = f"whole{number}"
                self.assertEqual(self.train(*options, "--out", whole).returncode, 0)
                run = f"run{number}"
                resume = [*options, "--checkpoint-every", 0, "--out", run]
                for _ in range(KILLS // len(methods)):
                    running = self.start(*resume)
                    self.wait_for(f"{run}/metrics.jsonl", running)
                    time.sleep(moments.uniform(0, 0.3))
                    running.kill()
                    running.wait()
                    resume = ["--resume", run]
                done = self.train("--resume", run, "--quiet", "--checkpoint-every", 60)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
                self.assert_same_run(whole, run)
                self.assertEqual(sorted(self.snapshot(run)), sorted(self.snapshot(whole)))  # nothing half-written

    def test_an_interrupt_makes_a_checkpoint(self):
        options = small("--epochs", 3000, "--method", "exact", "--out", "run")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            running = self.start(*options)
            self.wait_for("run/metrics.jsonl", running)
            time.sleep(0.1)
            running.send_signal(number)
            out, err = running.communicate(timeout=60)
            self.assertEqual((running.returncode, out), (128 + number, ""))
            self.assertRegex(err, r"slopewise: interrupted at step \d+ of 36000; to go on: slopewise train --resume run\n")
            results = self.results("run")
            self.assertEqual(results["status"], "interrupted")
            self.assertFalse((self.directory / "run/weights.safetensors").exists())
            options = ["--resume", "run"]
            (self.directory / "run/metrics.jsonl").unlink()  # made again once signals are heeded
        self.assertGreater(results["steps"], 0)

    def test_pipes_that_nobody_reads(self):
        """As `slopewise train 2>&1 | head -1`: what cannot be told is told by the exit code, and nothing is lost."""
        running = self.start(*small("--epochs", 300, "--method", "exact", "--out", "run"))
        running.stdout.close()
        running.stderr.close()
        self.assertEqual(running.wait(timeout=60), 128 + signal.SIGPIPE)
        self.assertEqual(self.results("run")["status"], "finished")
        self.assertEqual(sorted(self.snapshot()), ["checkpoint.safetensors", "config.toml", "metrics.jsonl", "report.html",
                                                   "results.json", "weights.safetensors"])

    def test_a_finished_run_stays_as_it_is(self):
        self.trained(*small("--preset", "mnist-backprop"))
        shutil.copytree(self.directory / "run", self.directory / "copy")
        self.assertEqual(self.train("--resume", "copy").returncode, 0)
        self.assert_same_run("run", "copy")
        self.assertEqual(self.results("copy")["name"], "copy")

    def test_a_torn_line_of_metrics_is_left_out(self):
        self.trained(*small())
        shutil.copytree(self.directory / "run", self.directory / "torn")
        with open(self.directory / "torn/metrics.jsonl", "a") as file:
            file.write('[1, 2]\n{"step": "x"}\n{"step": 40, "loss": 1}\n{"step": 3')
        self.assertEqual(self.train("--resume", "torn").returncode, 0)
        self.assert_same_run("run", "torn")

    def test_what_cannot_be_resumed(self):
        self.refused(1, "nowhere/checkpoint.safetensors", "--resume", "nowhere")
        self.assertFalse((self.directory / "nowhere").exists())
        self.refused(1, "./checkpoint.safetensors", "--resume", ".")
        self.trained(*small())
        before = self.snapshot()
        for option in (["--rate", 0.1], ["--seed", 2], ["--hidden", 32], ["--preset", "mnist-backprop"],
                       ["--out", "other"], ["--residual"]):
            self.refused(2, f"beside it, found {option[0]}", "--resume", "run", *option)
        self.assertEqual(self.snapshot(), before)

    # --- damage

    def test_damaged_checkpoints_are_refused_and_nothing_is_overwritten(self):
        self.trained(*small())
        whole = (self.directory / "run/checkpoint.safetensors").read_bytes()
        length = struct.unpack("<Q", whole[:8])[0]
        random = np.random.default_rng(3)
        bad = [b"", whole[:7], whole[:100], whole[:-1], whole + b"\0", struct.pack("<Q", 1 << 62) + whole[8:],
               struct.pack("<Q", length + 1) + whole[8:], whole.replace(b"F32", b"F64", 1),
               whole.replace(b"[16,16]", b"[32,8 ]"), (self.directory / "run/weights.safetensors").read_bytes()]
        for _ in range(12):
            flipped = bytearray(whole)
            flipped[random.integers(len(whole))] ^= 1 << random.integers(8)
            bad.append(bytes(flipped))
        for content in bad:
            (self.directory / "run/checkpoint.safetensors").write_bytes(content)
            before = self.snapshot()
            self.refused(1, "run/checkpoint.safetensors: ", "--resume", "run")
            self.assertEqual(self.snapshot(), before)

    def test_another_runs_checkpoint_is_that_runs(self):
        """A checkpoint says itself what it is of, so that beside another config.toml it still goes on as it began."""
        self.trained(*small("--method", "exact"))
        (self.directory / "run").rename(self.directory / "one")
        self.trained(*small("--method", "weights", "--hidden", 8))
        shutil.copy(self.directory / "one/checkpoint.safetensors", self.directory / "run")
        self.assertEqual(self.train("--resume", "run").returncode, 0)
        self.assert_same_weights("one", "run")

    def test_a_full_disk(self):
        """Files that may not grow beyond some size, as on a disk that is full: what was there stays."""
        self.trained(*small("--method", "exact"))
        before = self.snapshot()
        done = self.train(*small("--method", "exact", "--seed", 2, "--out", "run", "--overwrite"), limit=4096)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("checkpoint.safetensors", done.stderr)
        self.assertEqual(self.snapshot(), before)

    # --- what goes wrong

    def test_a_diverging_run_says_where_and_what_to_do(self):
        for options, remedy in ((["--method", "exact", "--optimizer", "sgd"], "--clip-norm"),
                                # So deep that the first step already makes what is measured after it infinite.
                                (["--method", "exact", "--optimizer", "sgd", "--measure-every", 1, "--hidden",
                                  ",".join(["16"] * 9)], "--clip-norm"),
                                (["--method", "weights", "--optimizer", "sgd"], "--clip-slope")):
            done = self.train(*small("--schedule", "constant", "--rate", 1e6, "--out", "run", "--overwrite", *options))
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertRegex(done.stderr, r"slopewise: step \d+: .*; lower --rate")
            self.assertIn(remedy, done.stderr)
            results = self.results("run")
            self.assertEqual(results["status"], "diverged")
            self.assertIn(results["message"], done.stderr)
            self.assertFalse((self.directory / "run/weights.safetensors").exists())
        self.assertIn("lower --rate", self.train(*small("--schedule", "constant", "--rate", 1e6, "--optimizer", "sgd",
                                                        "--method", "exact", "--seconds", 5)).stderr)

    def test_wrong_usage(self):
        for options in (["--precision", "bf16"], ["--tangent-precision", "bf16"]):
            done = subprocess.run([SLOPEWISE, "train", *small(*options, "--out", "run")], cwd=self.directory,
                                  env={**os.environ, "DNNL_MAX_CPU_ISA": "AVX2"}, capture_output=True, text=True)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("precision bf16: this processor does not multiply bfloat16", done.stderr)
            self.assertFalse((self.directory / "run").exists())
        if "bf16" in subprocess.run([SLOPEWISE, "--version"], capture_output=True, text=True).stdout:
            self.refused(2, "precision bf16: expected slopes", "--method", "zeroth-order", "--precision", "bf16")
        for message, options in (("--method", ["--method", "magic"]), ("--rate", ["--rate", -1]),
                                 ("did you mean --tangents?", ["--tangent", 3]),
                                 ("--channels: expected numbers", ["--model", "cnn", "--channels", "4x"]),
                                 ("--tangents: expected at least 1", ["--method", "weights", "--tangents", 0]),
                                 ("--one-sided: expected --method zeroth-order", ["--one-sided"]),
                                 ("--per-deviation: expected", ["--method", "zeroth-order", "--per-deviation"]),
                                 ("at least 2 tangents", ["--method", "zeroth-order", "--one-sided", "--per-deviation",
                                                          "--tangents", 1]),
                                 ("input-span: expected the law", ["--method", "weights", "--estimator", "input-span",
                                                                   "--law", "gaussian"]),
                                 ("--rank", ["--law", "low-rank", "--rank", 0]),
                                 ("micro-batch: expected exact", ["--method", "weights", "--micro-batch", 2]),
                                 ("warm-up", ["--epochs", 1, "--warm-up", 1]),
                                 ("expected --model cnn", ["--model", "mlp", "--channels", "4"])):
            self.refused(2, message, "--data", "data.npz", *options)
        self.refused(2, "batch: expected 1 to 300, the examples there are, found 301", "--data", "data.npz", "--batch", 301)

    def test_what_cannot_be_read_or_written(self):
        self.refused(1, "nowhere", "--data", "nowhere")
        self.refused(1, "/proc/nowhere", *small("--out", "/proc/nowhere"))
        self.assertEqual(list(self.directory.iterdir()), [self.directory / "data.npz"])


if __name__ == "__main__":
    SLOPEWISE = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
