#!/usr/bin/env python3
"""`slopewise compare` as a user meets it. Usage: compare_test.py SLOPEWISE [UNITTEST OPTION]..."""

import csv
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from terminal import run_on_terminal

SLOPEWISE = ""
TASK = ["--hidden", "16,16", "--batch", "500", "--threads", "1"]
SHORT = [*TASK, "--epochs", "1", "--tune", "0"]
SMALL = [*SHORT, "--seeds", "1"]
CONTROLS = {"frozen", "local-exact"}
ROW_KEYS = ["name", "method", "preset", "control", "test_error", "spread", "test_loss", "seconds", "forwards",
            "seconds_to_97", "seconds_to_98", "seeds", "diverged", "epochs", "step_ms", "slopes", "step_bytes", "parameters", "cosine", "snr",
            "rate", "note", "command"]


class CompareTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.out = self.directory / "out"

    def compare(self, *options):
        return subprocess.run([SLOPEWISE, "compare", *map(str, options)], cwd=self.directory, capture_output=True, text=True,
                              timeout=200)

    def done(self, *options):
        """Runs it to its end; returns compare.json and the rows by name."""
        run = self.compare(*options, *([] if "--resume" in options else ["--out", "out"]))
        self.assertEqual(run.returncode, 0, run.stderr)
        document = self.read("compare.json")
        return document, {row["name"]: row for row in document["rows"]}

    def read(self, path):
        return json.loads((self.out / path).read_text())

    def refused(self, code, message, *options):
        run = self.compare(*options)
        self.assertEqual(run.returncode, code, run.stderr)
        self.assertIn(message, run.stderr)
        self.assertEqual([path for path in self.directory.rglob("*") if path.is_file() and path.suffix != ".toml"], [])

    def test_files_are_as_documented(self):
        run = self.compare("backprop", "activities-feedback", *SHORT, "--seeds", "2", "--out", "out")
        self.assertEqual(run.returncode, 0, run.stderr)
        document = self.read("compare.json")
        self.assertEqual(document["schema"], "slopewise.compare/1")
        self.assertEqual((document["status"], document["data"], document["model"]), ("finished", "built-in digits", "mlp"))
        self.assertEqual((document["seeds"], document["tuned_rates"], document["left_out"]), (2, 0, []))
        rows = {row["name"]: row for row in document["rows"]}
        self.assertEqual(set(rows), {"backprop", "activities-feedback"} | CONTROLS)
        report = subprocess.run([SLOPEWISE, "report", "out"], cwd=self.directory, capture_output=True, text=True)
        self.assertEqual((report.returncode, report.stdout), (0, "Charts: out/report.html\n"), report.stderr)
        page = (self.out / "report.html").read_text()
        for text in ("Does any method train as well as backprop?", "frozen (control)", "Options that differ"):
            self.assertTrue(text in page, text)
        answer = page.split('<p class="answer">')[1].split("</p>")[0]
        self.assertRegex(answer, "^(Yes|Within the spread of the seeds|No): the best of the others, activities-feedback, came "
                                 "to .*, backprop to ")
        report = subprocess.run([SLOPEWISE, "report", "out", "out"], cwd=self.directory, capture_output=True, text=True)
        self.assertEqual(report.returncode, 2)
        self.assertIn("expected a comparison alone", report.stderr)
        self.assertEqual({name for name, row in rows.items() if row["control"]}, CONTROLS)
        errors = [row["test_error"] for row in document["rows"]]
        self.assertEqual(errors, sorted(errors))
        for name, row in rows.items():
            self.assertEqual(list(row), ROW_KEYS)
            runs = [self.read(f"{name}-seed{seed}/results.json") for seed in (1, 2)]
            for seed, each in enumerate(runs, 1):
                self.assertEqual((each["schema"], each["name"]), ("slopewise.train/1", f"{name}-seed{seed}"))
                self.assertEqual((each["seed"], each["status"]), (seed, "finished"))
                self.assertEqual(each["config"]["validation"], 0)
            errors = [each["test_error"] for each in runs]
            self.assertAlmostEqual(row["test_error"], statistics.mean(errors), delta=1e-12)
            self.assertAlmostEqual(row["spread"], statistics.stdev(errors), delta=1e-12)
            self.assertEqual(row["cosine"][1], statistics.mean(each["cosine"][1] for each in runs))
            lines = [json.loads(line) for line in (self.out / f"{name}-seed1/metrics.jsonl").read_text().splitlines()]
            self.assertEqual([line["step"] for line in lines if "cosine" in line], [0, 10, 20])
        # The true gradient, one with noise, and one that lacks the hidden layers.
        self.assertGreater(min(rows["backprop"]["cosine"]), 0.999999)
        self.assertTrue(0 < rows["activities-feedback"]["cosine"][0] < 0.999)
        self.assertTrue(0 < rows["frozen"]["cosine"][0] < 0.9)
        self.assertEqual((rows["frozen"]["slopes"], rows["activities-feedback"]["slopes"]), (0, 8))

        with open(self.out / "compare.csv", newline="") as file:
            table = list(csv.DictReader(file))
        self.assertEqual([row["name"] for row in table], [row["name"] for row in document["rows"]])
        for row in table:
            self.assertEqual(float(row["test_error"]), rows[row["name"]]["test_error"])
            self.assertEqual(float(row["snr_end"]), rows[row["name"]]["snr"][2])
        text = (self.out / "compare.md").read_text()
        self.assertIn("frozen (control) |", text)
        self.assertIn(rows["backprop"]["command"], text)
        self.assertIn(text[:text.index("\nThe first run")], run.stdout)

    def test_a_command_repeats_its_row(self):
        _, rows = self.done("activities-feedback", *SMALL, "--label-smoothing", "0.1")
        command = rows["activities-feedback"]["command"].split()
        self.assertEqual(command[:2], ["slopewise", "train"])
        subprocess.run([SLOPEWISE, *command[1:], "--quiet", "--out", "again"], cwd=self.directory, check=True, timeout=100)
        again = json.loads((self.directory / "again/results.json").read_text())
        self.assertEqual((again["test_error"], again["test_loss"]), tuple(
            rows["activities-feedback"][key] for key in ("test_error", "test_loss")))

    def test_a_flag_said_to_be_false_stays_so(self):
        (self.directory / "mine.toml").write_text('method = "exact"\ncheckpointed = false\n')
        _, rows = self.done("mine.toml", *SMALL, "--data", "digits", "--preset", "mnist-deep", "--residual=false")
        self.assertNotIn("--residual", rows["mine"]["command"])
        self.assertNotIn("--checkpointed", rows["mine"]["command"])
        config = self.read("mine-seed1/results.json")["config"]
        self.assertEqual((config["residual"], config["checkpointed"]), (False, False))
        resumed = self.compare("--resume", "out", "--seeds", 2)
        self.assertEqual(resumed.returncode, 0, resumed.stderr)
        self.assertEqual(self.read("mine-seed2/results.json")["config"]["residual"], False)

    def test_the_task_is_the_same_for_all(self):
        (self.directory / "mine.toml").write_text('method = "exact"\nhidden = [8]\ndropout = 0.5\nrate = 0.01\nbatch = 100\n')
        self.done("mnist-backprop", "mine.toml", "--data", "digits", *SMALL, "--label-smoothing", "0.05")
        for name in ("mnist-backprop", "mine", *CONTROLS):
            config = self.read(f"{name}-seed1/results.json")["config"]
            self.assertEqual([config[key] for key in ("hidden", "dropout", "label-smoothing", "batch")],
                             [[16, 16], 0, 0.05, 500], name)
        self.assertEqual(self.read("mine-seed1/results.json")["config"]["rate"], 0.01)

    def test_a_row_of_a_preset_goes_on_by_its_comparisons_data(self):
        _, rows = self.done("mnist-local", *SMALL, "--data", "digits")
        self.assertEqual(rows["mnist-local"]["preset"], "mnist-local")
        self.done("--resume", "out")

    def test_a_preset_gives_the_task(self):
        self.done("backprop", *SMALL, "--data", "digits", "--preset", "mnist-backprop")
        for name in ("backprop", *CONTROLS):
            config = self.read(f"{name}-seed1/results.json")["config"]
            self.assertEqual([config[key] for key in ("hidden", "dropout", "input-dropout", "label-smoothing", "epochs")],
                             [[16, 16], 0.1, 0.1, 0.1, 1], name)
        self.assertEqual(self.read("frozen-seed1/results.json")["method"], "activities")

    def test_rates_are_chosen_on_images_held_out(self):
        _, rows = self.done("backprop", *TASK, "--epochs", "1", "--seeds", "1", "--tune", "3", "--validation", "500")
        for name, row in rows.items():
            tried = [self.read(f"tuning/{name}-x{factor}/results.json") for factor in ("0.5", "1", "2")]
            self.assertEqual([each["config"]["rate"] for each in tried], [0.001, 0.002, 0.004])
            self.assertEqual({each["config"]["validation"] for each in tried}, {500})
            self.assertEqual({len(each["curve"]) for each in tried}, {1})
            best = min(tried, key=lambda each: (each["test_error"], each["test_loss"]))
            self.assertEqual(row["rate"], best["config"]["rate"])
            judged = self.read(f"{name}-seed1/results.json")
            self.assertEqual((judged["config"]["validation"], judged["config"]["rate"]), (0, row["rate"]))
            self.assertNotIn(judged["seed"], [each["seed"] for each in tried])

    def test_as_many_epochs_as_fit(self):
        document, rows = self.done("backprop", *TASK, "--seconds", "1", "--evaluate-every", "1000", "--seeds", "1", "--tune", "0")
        self.assertEqual(document["budget_seconds"], 1)
        for planned in self.read("plan.json")["rows"]:
            fit = max(1, int(1 / planned["epoch_seconds"]))
            self.assertEqual(rows[planned["name"]]["epochs"], fit)
            self.assertEqual(self.read(f"{planned['name']}-seed1/results.json")["epochs"], fit)
            self.assertIn(f"--epochs {fit} " if fit != 15 else "", rows[planned["name"]]["command"] + " ")
            self.assertNotIn("--seconds", rows[planned["name"]]["command"])

    def test_as_many_steps_as_fit_in_the_work(self):
        document, rows = self.done("backprop", "mezo", *TASK, "--forwards", 80, "--seeds", 2, "--tune", 1)
        self.assertEqual((document["budget_forwards"], document["budget_seconds"], document["budget_bytes"]), (80, None, None))
        for name, row in rows.items():
            results = self.read(f"{name}-seed1/results.json")
            self.assertEqual(results["steps"], int(80 / results["forwards_per_step"]), name)
            self.assertAlmostEqual(row["forwards"], results["steps"] * results["forwards_per_step"], delta=1e-9)
            self.assertTrue(80 - results["forwards_per_step"] < row["forwards"] <= 80, name)
            self.assertIn(f"--steps {results['steps']} ", row["command"] + " ")
            # Rates are chosen by runs of as many steps, whatever is held out.
            self.assertEqual(self.read(f"tuning/{name}-x1/results.json")["steps"], results["steps"])
        self.assertEqual(self.read("mezo-seed1/results.json")["forwards_per_step"], 2)
        text = (self.out / "compare.md").read_text()
        best = document["rows"][0]
        self.assertIn(f"Least test error within 80 forward passes on a batch: {best['name']}, ", text)
        if best["name"] != "backprop":
            self.assertIn(" backprop: ", text)

    def test_rows_that_need_too_much_memory_are_left_out(self):
        document, rows = self.done("backprop", "mezo", *SMALL)
        least = min(row["step_bytes"] for row in rows.values())
        self.assertEqual(rows["mezo"]["step_bytes"], least)
        document, rows = self.done("backprop", "mezo", *SMALL, "--step-bytes", least, "--overwrite")
        self.assertEqual((set(rows), document["budget_bytes"]), ({"mezo"}, least))
        self.assertEqual({row["name"] for row in document["left_out"]}, {"backprop"} | CONTROLS)
        self.assertIn("more than --step-bytes", document["left_out"][0]["why"])
        self.refused_budget("--forwards", 10, "--seconds", 10)
        self.refused_budget("--forwards", 10, "--epochs", 1)

    def refused_budget(self, *options):
        run = self.compare("mezo", *TASK, *options, "--out", "other")
        self.assertEqual(run.returncode, 2, run.stderr)
        self.assertIn("--forwards", run.stderr)
        self.assertFalse((self.directory / "other").exists())

    def test_resumed(self):
        (self.directory / "mine.toml").write_text('method = "exact"\noptimizer = "momentum"\nrate = 0.05\n')
        before, _ = self.done("mine.toml", *SMALL)
        (self.directory / "mine.toml").unlink()
        made = {path: path.stat().st_mtime_ns for path in self.out.rglob("results.json")}
        lost = self.out / "mine-seed1/results.json"
        lost.unlink()
        (self.out / "compare.json").unlink()
        after, rows = self.done("--resume", "out")
        self.assertEqual(self.read("mine-seed1/results.json")["config"]["rate"], 0.05)
        for path, time_made in made.items():
            self.assertEqual(path.stat().st_mtime_ns == time_made, path != lost, path)
        same = ("name", "test_error", "test_loss", "cosine", "snr", "rate", "epochs")
        self.assertEqual(*[[[row[key] for key in same] for row in document["rows"]] for document in (before, after)])
        _, rows = self.done("--resume", "out", "--seeds", "2")
        self.assertEqual({row["seeds"] for row in rows.values()}, {2})
        run = self.compare("--resume", "out", "--epochs", "2")
        self.assertEqual(run.returncode, 2)
        self.assertIn("found --epochs", run.stderr)
        run = self.compare("backprop", *SMALL, "--out", "out")
        self.assertEqual(run.returncode, 2)
        self.assertIn("slopewise compare --resume out", run.stderr)
        self.done("backprop", *SMALL, "--label-smoothing", "0.25", "--overwrite")  # its runs have the names of those there
        for name in ("backprop", *CONTROLS):
            self.assertEqual(self.read(f"{name}-seed1/results.json")["config"]["label-smoothing"], 0.25)

    def test_an_interrupt_keeps_what_is_done(self):
        process = subprocess.Popen([SLOPEWISE, "compare", "backprop", *SHORT, "--seeds", "1000", "--out", "out"],
                                   cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 100
        while not (self.out / "compare.csv").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=100)
        self.assertEqual(process.returncode, 130, message)
        self.assertIn("to go on: slopewise compare --resume out", message)
        document = self.read("compare.json")
        self.assertEqual((document["status"], [row["name"] for row in document["rows"]]), ("interrupted", ["backprop"]))
        finished = len(list(self.out.glob("backprop-seed*/results.json")))
        self.assertGreaterEqual(finished, 1)
        self.assertEqual(document["rows"][0]["seeds"], finished)
        document, rows = self.done("--resume", "out", "--seeds", "2")
        self.assertEqual((document["status"], {row["seeds"] for row in rows.values()}), ("finished", {2}))

    def test_a_row_that_diverges(self):
        (self.directory / "wild.toml").write_text('method = "exact"\noptimizer = "sgd"\nrate = 1e5\n')
        document, rows = self.done("wild.toml", *SMALL)
        self.assertEqual(document["rows"][-1]["name"], "wild")
        self.assertEqual((rows["wild"]["test_error"], rows["wild"]["diverged"]), (None, 1))
        self.assertIn("diverged with 1 of 1 seeds, first at step", rows["wild"]["note"])
        self.assertIn("diverged", (self.out / "compare.md").read_text())
        self.assertIsNotNone(rows["frozen"]["test_error"])

    def test_rows_that_do_not_fit_are_left_out_unless_asked_for(self):
        residual = [*SMALL, "--residual"]
        document, rows = self.done(*residual)
        self.assertEqual([row["name"] for row in document["left_out"]], ["activities-mirror"])
        self.assertEqual(set(rows), {"backprop", "backprop-checkpointed", "activities", "activities-feedback",
                                     "local-feedback", "weights", "zeroth-order"} | CONTROLS)
        run = self.compare("activities-mirror", *residual, "--out", "asked")
        self.assertEqual(run.returncode, 2)
        self.assertIn("row activities-mirror", run.stderr)

    def test_a_table_on_a_terminal(self):
        code, sent = run_on_terminal([SLOPEWISE, "compare", "backprop", *SMALL, "--rate", "1e-6", "--quiet=false"], "stdout", 100,
                                     cwd=self.directory, stderr=subprocess.DEVNULL, env={**os.environ, "NO_COLOR": "1"})
        self.assertEqual(code, 0)
        lines = sent.splitlines()
        self.assertTrue(lines[0].startswith("row "), sent)
        self.assertLessEqual(max(map(len, lines[:lines.index("")])), 100)
        self.assertNotIn("|", sent)
        self.assertNotIn("97 %", sent)  # which no run comes near
        self.assertNotIn("97 %", (self.directory / "runs/compare/compare.md").read_text())

    def test_wrong_usage(self):
        self.refused(2, "did you mean backprop?", "backprob")
        self.refused(2, "found it twice", "backprop", "backprop")
        self.refused(1, "none.toml", "none.toml")
        self.refused(2, "--epochs", "--seconds", "1", "--epochs", "1")
        self.refused(2, "--method", "--method", "exact")
        self.refused(2, "--seeds", "--seeds", "0")
        self.refused(2, "--workers: expected one process, as rows are compared by what one takes, found 2", "--workers", "2")
        self.refused(2, "at most 9500, which leaves one batch", *TASK, "--validation", "9501")
        self.refused(2, "--preset", "--preset", "mnist")
        self.refused(2, "row kwt-speaker: expected --model ", "kwt-speaker")
        self.refused(2, "found no --data", "stories-shakespeare", "--model", "mlp")
        self.refused(2, "--preset kwt-speaker: expected --model ", "backprop", "--preset", "kwt-speaker")
        self.refused(2, "row mnist-local: expected --data mnist, which the preset is for (slopewise data fetch mnist)",
                     "mnist-local", *SMALL)
        self.refused(1, "config.toml", "--resume", "nowhere")
        (self.directory / "odd.toml").write_text("tangent = 3\n")
        self.refused(2, "row odd, line 1: tangent is no option of train", "odd.toml", *SMALL)
        (self.directory / "odd.toml").write_text('preset = "mnist-local"\n')
        self.refused(2, "row odd: preset: expected options, found a preset; name mnist-local itself as a row", "odd.toml", *SMALL)
        (self.directory / "frozen.toml").write_text("tangents = 3\n")
        self.refused(2, "another name", "frozen.toml", *SMALL)

    def test_a_directory_goes_on_by_what_it_holds(self):
        def call(code, *words):
            run = subprocess.run([SLOPEWISE, *words, "--quiet"], cwd=self.directory, capture_output=True, text=True, timeout=200)
            self.assertEqual(run.returncode, code, run.stderr)
            return run.stderr

        call(0, "train", *TASK, "--epochs", "1", "--out", "a run", "--no-report")
        self.assertIn("to go on with it: slopewise train --resume 'a run'\n", call(2, "compare", "backprop", *SMALL, "--out", "a run"))
        call(0, "compare", "backprop", *TASK, "--epochs", "1", "--seeds", "1", "--tune", "1", "--out", "out")
        self.assertIn("to go on with it: slopewise compare --resume out\n", call(2, "train", *TASK, "--out", "out"))
        (self.out / "backprop-seed1/mine.txt").write_text("kept")
        # Runs that are not its own, and what links lead to.
        call(0, "train", *TASK, "--epochs", "1", "--out", "precious", "--no-report")
        call(0, "train", *TASK, "--epochs", "1", "--out", "out/long-seed1", "--no-report")
        (self.out / "frozen-seed7").symlink_to("../precious")
        (self.out / "self-seed1").symlink_to(".")
        theirs = {path: path.read_bytes() for run in ("precious", "out/long-seed1") for path in (self.directory / run).iterdir()}
        # Another verb's run takes the place of the comparison and of its runs, but not of what people put there.
        call(0, "train", *TASK, "--epochs", "1", "--out", "out/", "--overwrite", "--no-report")
        self.assertEqual({path: path.read_bytes() for path in theirs}, theirs)
        self.assertEqual(sorted(path.name for path in self.out.iterdir()),
                         ["backprop-seed1", "checkpoint.safetensors", "config.toml", "frozen-seed7", "long-seed1", "metrics.jsonl",
                          "results.json", "self-seed1", "weights.safetensors"])
        self.assertEqual([path.name for path in (self.out / "backprop-seed1").iterdir()], ["mine.txt"])
        call(0, "study", "--quick", "--claims", "unbiased", "--out", "study", "--no-report")
        self.assertNotIn("to go on", call(2, "train", *TASK, "--out", "study"))

    def test_lists_its_rows(self):
        run = self.compare("--list-rows")
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertEqual(len(run.stdout.splitlines()), 10)
        self.assertEqual({line.split()[0] for line in run.stdout.splitlines() if "control" in line}, CONTROLS)


if __name__ == "__main__":
    SLOPEWISE = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
