#!/usr/bin/env python3
"""What all verbs of the command line share. Usage: command_line_test.py SLOPEWISE [UNITTEST OPTION]..."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from terminal import run_on_terminal

SLOPEWISE = ""
QUICK = ["--quick", "--hidden", "16,8", "--batch", "16", "--claims", "memory,prior"]


class CommandLineTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)

    def call(self, *arguments, code=0, message="", **options):
        done = subprocess.run([SLOPEWISE, *map(str, arguments)], cwd=self.directory, capture_output=True, text=True,
                              timeout=120, **options)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(message, done.stderr)
        return done

    def results(self, name):
        document = json.loads((self.directory / name / "results.json").read_text())
        for claim in document["claims"]:
            del claim["seconds"]
        return document

    def test_version_says_what_it_runs_on(self):
        words = [line.split()[0] for line in self.call("--version").stdout.splitlines()]
        self.assertEqual(words, ["slopewise", "compiler", "processor", "instruction", "products", "threads"])

    def test_no_library_comes_from_the_current_directory(self):
        linked = subprocess.run(["ldd", SLOPEWISE], capture_output=True, text=True, check=True).stdout
        names = [line.split()[0] for line in linked.splitlines() if "=>" in line]
        if any(name.startswith("libslopewise") for name in names):
            self.skipTest("a shared build, whose libraries lie beside it")
        self.assertGreater(len(names), 5)
        for name in (*names, "libopenblas.so.0"):
            (self.directory / name).write_text("not a library")
        self.call("--version")

    def test_a_mistyped_name_gets_the_nearest(self):
        for message, arguments in (("unknown verb sutdy; did you mean study?", ["sutdy"]),
                                   ("unknown option --lwa; did you mean --law?", ["gradient", "--lwa", "gaussian"]),
                                   ("did you mean gaussian?", ["gradient", "--law", "gausian"]),
                                   ("did you mean unbiased?", ["study", "--claims", "unbised"]),
                                   ("did you mean always?", ["study", "--color", "alwys"])):
            self.assertIn(message, self.call(*arguments, code=2).stderr)

    def test_names_that_other_programs_have(self):
        """They are taken, on the command line and in files, or answered with the right one."""
        self.call("train", "--lr", "1e-3", "--batch-size", 500, "--num-epochs", 1, "--hidden", 8, "--num-threads", 1, "-q",
                  "-o", "words")
        (self.directory / "file.toml").write_text(
            'learning-rate = 1e-3\nbatch-size = 500\nmax-epochs = 1\nhidden = [8]\nthreads = 1\nquiet = true\noutput-dir = "file"\n')
        self.call("train", "--config", "file.toml")
        for run in ("words", "file"):
            config = json.loads((self.directory / run / "results.json").read_text())["config"]
            self.assertEqual([config[name] for name in ("rate", "batch", "epochs", "out")], [0.001, 500, 1, run])
        for word, meant in (("--batch_size", "--batch-size"), ("--epoch", "--epochs"), ("-seed", "--seed"), ("--optimizr", "--optimizer"),
                            ("--weight", "--weights")):
            self.assertIn(f"unknown option {word}; did you mean {meant}?", self.call("train", word, 1, code=2).stderr)
        for other, own in (("bs", "batch"), ("directions", "tangents"), ("wd", "weight-decay"), ("optim", "optimizer"),
                           ("random-seed", "seed"), ("outdir", "out"), ("weights", "initial"), ("arch", "model")):
            self.call("train", f"--{other}", {"optimizer": "adam", "initial": "none.npz", "model": "mlp"}.get(own, 1), "--epochs", "x",
                      message="--epochs: expected a whole number", code=2)
        self.call("train", "--force", "--epochs", "x", message="--epochs: expected a whole number", code=2)
        for method in ("backprop", "activations"):
            self.call("train", "--method", method, "--epochs", "x", message="--epochs: expected a whole number", code=2)

    def test_words_of_other_programs_that_none_of_ours_stands_for(self):
        """Are answered with what does it here, and with no name that happens to look alike."""
        for words, answer in ((["train", "--device", "cuda"], "the processor does the work; --threads says"),
                              (["train", "--activation", "tanh"], "networks by name have ReLU"),
                              (["train", "--layers", "3"], "--hidden 256,256 says"),
                              (["train", "--load", "x"], "--initial FILE starts from weights"),
                              (["audit", "--lr", "3"], "unknown option --lr; train and compare have it"),
                              (["gradient", "--epochs", "3"], "unknown option --epochs; train and compare have it"),
                              (["report", "--layers", "3"], "unknown option --layers\n"),
                              (["eval"], "unknown verb eval; did you mean evaluate?"), (["fit"], "did you mean train?"),
                              (["version"], "did you mean --version?"), (["data", "list"], "did you mean show?"),
                              (["data", "download"], "did you mean fetch?"), (["download"], "did you mean data fetch?"), (["fetch"], "did you mean data fetch?"),
                              (["data", "fit"], "unknown verb fit\n"), (["train", "--l2", "1"], "unknown option --l2\n"),
                              (["train", "--optimizer", "AdamW"], "did you mean adamw?"),
                              (["gradient", "--method", "exact"], "--estimator says how")):
            self.call(*words, message=answer, code=2)

    def test_help_in_every_way(self):
        self.assertEqual(self.call("help", "train").stdout, self.call("train", "--help").stdout)
        self.assertEqual(self.call("help", "data", "show").stdout, self.call("data", "show", "-h").stdout)
        self.assertEqual(self.call("help").stdout, self.call().stdout)
        self.assertIn("did you mean train?", self.call("help", "tran", code=2).stderr)
        for flag in ("-v", "-V", "--version"):
            for verb in ([], ["train"], ["data", "show"]):
                self.assertEqual(self.call(*verb, flag).stdout, self.call("--version").stdout)

    def test_help_folds_to_the_terminal_and_keeps_rare_options_for_later(self):
        for columns in (50, 80, 200):
            for asked in ("--help", "--help-all"):
                code, sent = run_on_terminal([SLOPEWISE, "train", asked], "stdout", columns)
                self.assertEqual(code, 0)
                words, _, _ = sent.partition("\nExamples:")
                self.assertLessEqual(max(map(len, words.splitlines())), columns)
        few, all_options = (self.call("train", asked).stdout for asked in ("--help", "--help-all"))
        self.assertIn("--epochs", few)
        self.assertNotIn("--beta1", few)
        self.assertIn("slopewise train --help-all", few)
        self.assertIn("--beta1", all_options)

    def test_color_is_obeyed(self):
        environment = {**os.environ, "NO_COLOR": "1"}
        for when, coloured in (("always", True), ("never", False), ("auto", False)):
            done = self.call("study", *QUICK, "--color", when, env=environment)
            self.assertEqual("\x1b[" in done.stdout, coloured, when)

    def test_options_come_from_a_file_unless_given(self):
        (self.directory / "options.toml").write_text(
            '# a comment\nclaims = ["memory", "prior"]\nhidden = [16, 8]\nbatch = 16\nquick = true\nseed = 9\nout = "file"\n')
        self.call("study", "--config", "options.toml")
        self.call("study", "--config", "options.toml", "--seed", 4, "--out", "given")
        self.call("study", *QUICK, "--seed", 4, "--out", "words")
        self.assertEqual(self.results("file")["seed"], 9)
        self.assertEqual(self.results("given")["claims"], self.results("words")["claims"])

    def test_a_file_that_does_not_fit_is_refused(self):
        for text, message in (("sed = 1\n", "sed is no option of study; did you mean seed?"),
                              ("hidden = [0]\n", "options.toml, line 1: hidden: expected a whole number from 1"), ("quick = 3\n", "expected true or false"),
                              ("[gradient]\nseed = 1\n", "expected options of study, found those of gradient"),
                              ('config = "x"\n', "config is no option")):
            (self.directory / "options.toml").write_text(text)
            self.assertIn(message, self.call("study", "--config", "options.toml", code=2).stderr)
        self.assertIn("nowhere.toml", self.call("study", "--config", "nowhere.toml", code=1).stderr)

    def test_a_run_is_repeated_from_its_directory(self):
        self.call("study", *QUICK, "--seed", 5, "--out", "first")
        first = self.results("first")
        self.assertIn("[study]\n", (self.directory / "first/config.toml").read_text())
        self.call("rerun", "first")  # beside it
        self.assertEqual(self.results("first-2")["claims"], first["claims"])
        shutil.move(self.directory / "first/results.json", self.directory / "kept.json")
        self.call("rerun", "first", "--overwrite")
        self.assertEqual(self.results("first")["claims"], first["claims"])
        self.call("rerun", "first/")
        self.assertEqual(self.results("first-3")["claims"], first["claims"])
        self.call("rerun", "first", "--seed", 6, "--out", "second")
        self.assertEqual(self.results("second")["seed"], 6)
        self.assertEqual([claim["id"] for claim in self.results("second")["claims"]], ["memory", "prior"])
        self.call("rerun", "first", "--seed", 7, "-o", "third")
        self.call("rerun", "first", "--seed", 8, "--output-dir=fourth")
        self.assertEqual([self.results(run)["seed"] for run in ("first", "third", "fourth")], [5, 7, 8])

    def test_the_standard_directory_counts_up(self):
        for seed, options in enumerate(([], [], ["--overwrite"]), 1):
            self.call("study", *QUICK, "--seed", seed, *options)
        self.assertEqual([self.results(run)["seed"] for run in ("runs/study", "runs/study-2")], [3, 2])
        self.assertNotIn("\nout =", (self.directory / "runs/study-2/config.toml").read_text())
        self.call("rerun", "runs/study-2", "--overwrite", "--seed", 4)
        self.call("rerun", "runs/study-2", "--seed", 5)
        names = ["runs/study", "runs/study-2", "runs/study-2-2"]
        self.assertEqual([self.results(run)["seed"] for run in names], [3, 4, 5])
        self.assertEqual(sorted(path.name for path in (self.directory / "runs").iterdir()), [Path(run).name for run in names])

    def test_what_cannot_be_repeated(self):
        self.assertIn("nowhere/config.toml", self.call("rerun", "nowhere", code=1).stderr)
        (self.directory / "config.toml").write_text("seed = 1\n")
        self.assertIn("expected the verb's name", self.call("rerun", ".", code=2).stderr)

    def test_bash_completes_verbs_options_and_names(self):
        (self.directory / "completion").write_text(self.call("completion", "bash").stdout)
        for words, expected in ((["slopewise", "gr"], ["gradient"]), (["slopewise", "gradient", "--law"], ["--law"]),
                                (["slopewise", "gradient", "--law", "gaus"], ["gaussian"]),
                                (["slopewise", "data", "sh"], ["show"]),
                                (["slopewise", "data", "show", "--sa"], ["--samples"]),
                                (["slopewise", "train", "--preset", "mnist-c"], ["mnist-cnn"]),
                                (["slopewise", "compare", "local-e"], ["local-exact"]),
                                (["slopewise", "study", "--claims", "memory,unb"], ["memory,unbiased"]),
                                (["slopewise", "report", "run", "--chart", "snr-s"], ["snr-scaling"]),
                                (["slopewise", "train", "--model", "baydin"], ["baydin-cnn"]),
                                (["slopewise", "gradient", "--estimator", "activ"], ["activities"]),
                                (["slopewise", "study", "--out", ""], [])):
            script = 'source ./completion; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _slopewise; printf "%s\\n" "${COMPREPLY[@]}"'
            done = subprocess.run(["bash", "-c", script, "bash", *words], cwd=self.directory, capture_output=True, text=True)
            self.assertEqual((done.stdout.split(), done.stderr), (expected, ""), words)

    def test_zsh_takes_its_completion(self):
        text = self.call("completion", "zsh").stdout
        self.assertTrue(text.startswith("#compdef slopewise\n"))
        if not shutil.which("zsh"):
            self.skipTest("zsh was not found")
        (self.directory / "_slopewise").write_text(text)
        done = subprocess.run(["zsh", "-n", "_slopewise"], cwd=self.directory, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_every_verb_has_a_manual_page_with_every_option(self):
        self.call("manual", "pages")
        for verb in ("study", "gradient", "bench", "data show", "report", "rerun"):
            page = (self.directory / f"pages/slopewise-{verb.replace(' ', '-')}.1").read_text().replace("\\-", "-")
            options = re.findall(r"^  (?:-., )?(--[a-z-]+)", self.call(*verb.split(), "--help-all").stdout, re.MULTILINE)
            self.assertIn("--help", options)
            for option in options:
                self.assertIn(f"\\fB{option}\\fR", page, verb)
            self.assertIn(".SH EXAMPLES", page, verb)

    def test_piped_progress_is_whole_lines_even_when_interrupted(self):
        process = subprocess.Popen([SLOPEWISE, "study", "--claims", "unbiased,snr-scaling"], cwd=self.directory,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        output, progress = process.communicate(timeout=60)
        self.assertEqual((process.returncode, output), (130, ""))
        self.assertTrue(progress.endswith("\n"))
        self.assertNotIn("\r", progress)
        self.assertNotIn("\x1b", progress)
        for line in progress.splitlines():
            self.assertTrue(line.startswith(("study: ", "slopewise: ")), line)


if __name__ == "__main__":
    SLOPEWISE = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
