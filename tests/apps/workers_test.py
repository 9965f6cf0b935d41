#!/usr/bin/env python3
"""`slopewise train` by several ranks. Usage: workers_test.py SLOPEWISE [UNITTEST OPTION]..."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import numpy as np

from train_test import images

SLOPEWISE = ""
# Ranks that wait give way to those that work, of which there are more here than processors; mpirun may be root's.
ENVIRONMENT = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
               "OMP_WAIT_POLICY": "passive"}


def weights(*more):
    """A run of 60 steps along four tangents of weights; more options, which may take the place of these."""
    usual = {"--data": "data.npz", "--hidden": "16,16", "--batch": "50", "--epochs": "10", "--log-every": "5",
             "--threads": "1", "--method": "weights", "--tangents": "4", "--optimizer": "momentum"}
    given = [str(option) for option in more]
    return ["train", *(word for option in usual.items() if option[0] not in given for word in option),
            "--estimated-head", "--no-report", "--quiet", *given]


class WorkersTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        x, y = images(300, 10, 10)
        np.savez(self.directory / "data.npz", x_train=x, y_train=y, x_test=x[:100], y_test=y[:100])

    def run_verb(self, *words, before=()):
        return subprocess.run([*before, SLOPEWISE, *map(str, words)], cwd=self.directory, capture_output=True, text=True,
                              timeout=3000, env=ENVIRONMENT)

    def done(self, *words, **more):
        done = self.run_verb(*words, **more)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
        return done

    def bytes_of(self, name):
        return (self.directory / name).read_bytes()

    def assert_same_run(self, one, other):
        for name in ("weights.safetensors", "slopes.log"):
            self.assertEqual(self.bytes_of(f"{one}/{name}"), self.bytes_of(f"{other}/{name}"), name)

    def wait_until(self, running, holds):
        """Until that holds, or the run has ended."""
        deadline = time.monotonic() + 300
        while running.poll() is None and not holds():
            self.assertLess(time.monotonic(), deadline, "nothing happens")
            time.sleep(0.005)

    def ranks_of(self, running):
        """The processes of ranks, which are children of mpirun, which is a child of this."""
        ranks = {}
        try:
            for mpirun in Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split():
                for child in Path(f"/proc/{mpirun}/task/{mpirun}/children").read_text().split():
                    for variable in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
                        if variable.startswith(b"OMPI_COMM_WORLD_RANK="):
                            ranks[int(variable.split(b"=")[1])] = int(child)
        except (FileNotFoundError, ProcessLookupError):  # one has ended meanwhile
            return {}
        return ranks

    def started(self, *options, workers=3, out="run", environment=ENVIRONMENT):
        """Ranks some steps into a run that is long, and their processes."""
        usual = {"--epochs": 1000000, "--checkpoint-every": 3600}
        given = [*(word for option in usual.items() if option[0] not in options for word in option), *options]
        running = subprocess.Popen([SLOPEWISE, *weights("--out", out, "--workers", workers, *given)],
                                   cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=environment)
        self.addCleanup(running.stdout.close)
        self.addCleanup(running.stderr.close)
        self.addCleanup(lambda: running.poll() is None and (running.terminate(), running.wait(timeout=60)))
        metrics = self.directory / out / "metrics.jsonl"
        self.wait_until(running, lambda: metrics.exists() and metrics.stat().st_size > 0)
        ranks = self.ranks_of(running)
        self.assertEqual(sorted(ranks), list(range(workers)))
        return running, ranks

    def steps_told(self, run):
        return [json.loads(line)["step"] for line in (self.directory / run / "metrics.jsonl").read_text().splitlines()]

    def done_rows(self, run):
        """A row of the log for each step."""
        return subprocess.run([SLOPEWISE, "log", run], cwd=self.directory, capture_output=True, text=True,
                              check=True).stdout.splitlines()[1:]

    def test_any_number_of_ranks_makes_the_same_bits(self):
        told = self.run_verb("scale", "--data", "data.npz", "--hidden", "16,16", "--batch", 50, "--tangents", 4,
                             "--ranks", "2,3,4", "--time", 0.1, "--json", "--quiet")
        predicted = {point["ranks"]: point for point in json.loads(told.stdout)["ranks"]}
        for divide in ("examples", "tangents", "both"):
            self.done(*weights("--divide", divide, "--pieces", 4, "--out", f"{divide}1"))
            for ranks in (2, 3, 4):
                with self.subTest(divide=divide, ranks=ranks):
                    run = f"{divide}{ranks}"
                    self.done(*weights("--divide", divide, "--workers", ranks, "--out", run))
                    self.assert_same_run(run, f"{divide}1")
                    results = json.loads(self.bytes_of(f"{run}/results.json"))
                    self.assertEqual((results["team"]["ranks"], results["config"]["pieces"]), (ranks, 4))
                    team = results["team"]
                    # 4 bytes a message and 4 a number: a loss and four slopes at most; every hundredth step a checksum.
                    self.assertLessEqual(team["bytes_received"], (ranks - 1) * (60 * (4 + 4 * 5) + 12))
                    self.assertEqual(team["bytes_sent"], (ranks - 1) * (60 * (4 + 4 * 5) + 4))
                    # All of it, but for the checksums, is what the run and `slopewise scale` say.
                    self.assertEqual(team["bytes_sent"] + team["bytes_received"] - (ranks - 1) * (4 + 8 + 4),
                                     60 * team["step_bytes"])
                    self.assertEqual(team["step_bytes"], predicted[ranks][divide]["bytes"])
                    self.assertLessEqual(team["most_step_bytes"], 64 + 8 * 4)
        self.done("replay", "tangents4", "--out", "again.safetensors", "--quiet")
        self.assertEqual(self.bytes_of("again.safetensors"), self.bytes_of("tangents1/weights.safetensors"))

    def test_what_learns_from_slopes_is_the_same_on_all_ranks(self):
        for number, options in enumerate((["--rate", "auto", "--optimizer", "sgd"], ["--method", "zeroth-order"],
                                          ["--rate", "auto", "--optimizer", "adam"],
                                          ["--rate", "auto", "--optimizer", "sgd", "--method", "zeroth-order"],
                                          ["--estimator", "momentum-tangent", "--law", "gaussian", "--average", 0.9],
                                          ["--dropout", 0.2, "--clip-quantile", 0.7])):
            with self.subTest(options=options):
                self.done(*weights(*options, "--pieces", 4, "--out", f"one{number}"))
                self.done(*weights(*options, "--workers", 3, "--out", f"three{number}"))
                self.assert_same_run(f"one{number}", f"three{number}")

    def test_gradients_are_shared_to_the_same_bits(self):
        """Methods whose gradients are as long as the weights, which have no log."""
        told = {}
        for name, options in (("exact", ["--method", "exact"]),
                              ("rate", ["--method", "exact", "--rate", "auto"]),
                              ("activities", ["--method", "activities", "--prior", "feedback", "--correction", "gated"]),
                              ("local", ["--method", "local", "--prior", "feedback", "--dropout", 0.2]),
                              ("head", ["--method", "weights"]),
                              ("head-both", ["--method", "weights", "--divide", "both"]),
                              ("head-tangents", ["--method", "weights", "--divide", "tangents"]),
                              ("blocks", ["--method", "weights", "--exact-blocks", 1])):
            run = ["train", "--data", "data.npz", "--hidden", "16,16", "--batch", 50, "--epochs", 2, "--threads", 1,
                   "--tangents", 4, "--no-report", "--quiet", *options]
            self.done(*run, "--pieces", 4, "--out", f"{name}1")
            for ranks in (2, 3, 4):
                with self.subTest(method=name, ranks=ranks):
                    self.done(*run, "--workers", ranks, "--out", f"{name}{ranks}")
                    self.assertEqual(self.bytes_of(f"{name}{ranks}/weights.safetensors"),
                                     self.bytes_of(f"{name}1/weights.safetensors"))
                    self.assertFalse((self.directory / f"{name}{ranks}/slopes.log").exists())
                    team = json.loads(self.bytes_of(f"{name}{ranks}/results.json"))["team"]
                    self.assertEqual(team["bytes_sent"] + team["bytes_received"] - (ranks - 1) * (4 + 8 + 4),
                                     12 * team["step_bytes"])
            told[name] = team["step_bytes"]
        parameters = 100 * 16 + 16 + 16 * 16 + 16 + 16 * 10 + 10
        self.assertEqual(told["exact"], 3 * 2 * (4 + 4 * (1 + parameters)))
        self.assertEqual(told["head"], 3 * 2 * (4 + 4 * (1 + 4 + 170)))
        # What a step sends is said before the first.
        done = self.run_verb("train", "--data", "data.npz", "--hidden", "16,16", "--batch", 50, "--epochs", 1,
                             "--method", "exact", "--no-report", "--out", "said", "--workers", 2)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("2 ranks share the 4 pieces of each step. All of them send 16.09 KiB a step, one 8.047 KiB at most.",
                      done.stdout)

    def test_a_run_without_a_log_goes_on_from_its_checkpoint(self):
        for method, how, more in (("local", signal.SIGINT, []), ("local", signal.SIGKILL, ["--elastic"]),
                                  ("exact", signal.SIGKILL, []), ("activities", signal.SIGSTOP, [])):
            with self.subTest(method=method, how=how):
                run, whole = f"{method}{how}", f"{method}-whole"
                options = ["--method", method, "--epochs", 300, "--checkpoint-every", 0.05]
                if not (self.directory / whole).exists():
                    self.done(*weights(*options, "--pieces", 4, "--out", whole))
                running, ranks = self.started(*options, "--rank-timeout", 1, *more, out=run)
                os.kill(running.pid if how == signal.SIGINT else ranks[1], how)
                err = running.communicate(timeout=300)[1]
                if more:  # the others go on by themselves
                    self.assertEqual(running.returncode, 0, err)
                    self.assertIn("the run goes on with 2 ranks\n", err)
                    self.assertEqual(self.bytes_of(f"{run}/weights.safetensors"),
                                     self.bytes_of(f"{whole}/weights.safetensors"))
                    continue
                self.assertEqual(running.returncode, 130 if how == signal.SIGINT else 1, err)
                self.assertIn(f"to go on: slopewise train --resume {run}\n", err)
                done = self.run_verb("replay", run)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn(f"slopewise: {run}: no slopes.log there; runs have one whose steps are numbers", done.stderr)
                self.done("train", "--resume", run, "--workers", 2, "--quiet", "--no-report")
                self.assertEqual(self.bytes_of(f"{run}/weights.safetensors"),
                                 self.bytes_of(f"{whole}/weights.safetensors"))

    def test_mpirun_and_initial_weights(self):
        self.done(*weights("--out", "first"))
        options = weights("--initial", "first/weights.safetensors", "--pieces", 4)
        self.done(*options, "--out", "one")
        self.done(*options, "--out", "two", before=["mpirun", "--oversubscribe", "-n", "2"])
        self.assert_same_run("one", "two")

    def test_other_numbers_of_ranks_go_on_with_a_run(self):
        self.done(*weights("--pieces", 4, "--out", "whole", "--epochs", 60))
        running = subprocess.Popen([SLOPEWISE, *weights("--out", "run", "--pieces", 4, "--epochs", 60, "--workers", 2,
                                                        "--checkpoint-every", 3600)],
                                   cwd=self.directory, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                   env=ENVIRONMENT)
        log = self.directory / "run/slopes.log"
        self.addCleanup(running.kill)
        self.wait_until(running, lambda: log.exists() and log.stat().st_size >= 5000)
        running.send_signal(signal.SIGINT)
        err = running.communicate(timeout=300)[1]
        self.assertEqual(running.returncode, 130, err)  # as a run by itself, with one message
        self.assertRegex(err, r"\Aslopewise: interrupted at step \d+ of 360; to go on: slopewise train --resume run\n\Z")
        self.done("train", "--resume", "run", "--workers", 3, "--quiet", "--no-report")
        self.assert_same_run("run", "whole")

    def test_ranks_have_all_processors_and_the_threads_that_are_asked_for(self):
        """Pinned as ./run pins one process, all ranks would share its first core."""
        pinned = {**ENVIRONMENT, "OMP_PROC_BIND": "true", "OMP_PLACES": "cores"}
        running, ranks = self.started("--threads", 3, environment=pinned)
        threads = {}
        for rank, process in ranks.items():
            threads[rank] = [int(task.name) for task in Path(f"/proc/{process}/task").iterdir()]
            self.assertEqual(os.sched_getaffinity(process), os.sched_getaffinity(0))
            self.assertNotIn(b"OMP_PROC_BIND", Path(f"/proc/{process}/environ").read_bytes())
        self.assertEqual(len(threads[1]), len(threads[0]))
        self.assertEqual(len(threads[2]), len(threads[0]))
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=300)

    def test_workers_within_ranks_are_refused(self):
        for ranks in ("1", "2"):
            done = self.run_verb(*weights("--workers", 2, "--out", "run"),
                                 before=["mpirun", "--quiet", "--oversubscribe", "-n", ranks])
            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
            self.assertIn(f"--workers: expected a process that mpirun has not started, found one of {ranks} ranks",
                          done.stderr)
            self.assertFalse((self.directory / "run").exists())

    def test_a_rank_that_dies_costs_no_step(self):
        running, ranks = self.started()
        os.kill(ranks[2], signal.SIGKILL)
        out, err = running.communicate(timeout=300)
        self.assertEqual(running.returncode, 1, err)
        self.assertIn(f"slopewise: rank 2 (process {ranks[2]}) was ended by signal 9; to go on: slopewise train "
                      "--resume run\n", err)
        told = self.steps_told("run")
        self.assertGreaterEqual(len(self.done_rows("run")), max(told))
        self.assertEqual(self.run_verb("replay", "run").returncode, 0)

    def test_the_others_go_on_without_ranks_that_are_lost(self):
        running, ranks = self.started("--schedule", "constant", "--pieces", 4, "--elastic", "--rank-timeout", 1,
                                      workers=4)
        log = self.directory / "run/slopes.log"
        for left, (rank, how) in zip((3, 2, 1), ((2, signal.SIGKILL), (1, signal.SIGSTOP), (0, signal.SIGKILL))):
            before, size = ranks, log.stat().st_size
            os.kill(ranks[rank], how)

            def goes_on():
                nonlocal ranks
                ranks = self.ranks_of(running)
                return (len(ranks) == left and not set(ranks.values()) & set(before.values())
                        and log.stat().st_size > size + 1000)

            self.wait_until(running, goes_on)
        os.kill(ranks[0], signal.SIGSTOP)  # the last of them
        err = running.communicate(timeout=300)[1]
        self.assertEqual(running.returncode, 1, err)
        self.assertTrue(err.endswith("slopewise: rank 0 has been stopped for 1 s; to go on: slopewise train --resume run\n"),
                        err)
        self.assertRegex(err, r"slopewise: rank 2 \(process \d+\) was ended by signal 9; the run goes on with 3 ranks\n")
        self.assertRegex(err, r"slopewise: rank 1 is lost; the run goes on with 2 ranks\n")
        self.assertRegex(err, r"slopewise: rank 0 \(process \d+\) was ended by signal 9; the run goes on with 1 rank\n")
        # What one process makes without a break.
        steps = len(self.done_rows("run"))
        self.done(*weights("--out", "whole", "--schedule", "constant", "--pieces", 4, "--epochs", 1000000, "--steps",
                           steps))
        self.assertEqual(self.bytes_of("run/slopes.log"), self.bytes_of("whole/slopes.log"))
        self.done("replay", "run", "--out", "again.safetensors", "--quiet")
        self.assertEqual(self.bytes_of("again.safetensors"), self.bytes_of("whole/weights.safetensors"))

    def test_going_on_without_ranks_needs_ranks_of_its_own(self):
        for before, found in (([], "a run by itself"),
                              (["mpirun", "--quiet", "--oversubscribe", "-n", "2"], "ranks that mpirun has started")):
            done = self.run_verb(*weights("--elastic", "--out", "run"), before=before)
            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
            self.assertIn(f"--elastic: expected --workers of at least 2, found {found}", done.stderr)
            self.assertFalse((self.directory / "run").exists())

    def test_a_rank_that_hangs_is_named(self):
        running, ranks = self.started("--rank-timeout", 1)
        os.kill(ranks[1], signal.SIGSTOP)
        out, err = running.communicate(timeout=300)
        self.assertEqual(running.returncode, 1, err)
        self.assertRegex(err, rf"slopewise: rank 1 \(process {ranks[1]} on .*\) has not answered for [\d.]+ s")
        # Its last step is in the checkpoint.
        told = self.steps_told("run")
        self.assertIn(b'"step":"', self.bytes_of("run/checkpoint.safetensors"))
        checkpoint = self.bytes_of("run/checkpoint.safetensors")
        step = int(checkpoint.split(b'"step":"')[1].split(b'"')[0])
        self.assertGreaterEqual(step, max(told))

    def test_weights_that_were_moved_for_losses_are_not_kept(self):
        running, ranks = self.started("--method", "zeroth-order", "--rank-timeout", 1)
        os.kill(ranks[1], signal.SIGSTOP)
        _, err = running.communicate(timeout=300)
        self.assertEqual(running.returncode, 1, err)
        # They are back within rounding alone; the checkpoint is that of the start, and the log has every step since.
        self.assertIn(b'"step":"0"', self.bytes_of("run/checkpoint.safetensors"))
        self.assertGreaterEqual(len(self.done_rows("run")), max(self.steps_told("run")))

    def test_ranks_that_would_differ_do_not_begin(self):
        said = [subprocess.run([SLOPEWISE, "--version"], capture_output=True, env=environment).stdout
                for environment in (ENVIRONMENT, {**ENVIRONMENT, "DNNL_MAX_CPU_ISA": "AVX2"})]
        if said[0] == said[1]:
            self.skipTest("no narrower processor to stand in for another")
        words = [SLOPEWISE, *weights("--out", "run")]
        done = subprocess.run(["mpirun", "--oversubscribe", "-n", "1", *words, ":", "-n", "1", "env",
                               "DNNL_MAX_CPU_ISA=AVX2", *words], cwd=self.directory, capture_output=True, text=True,
                              timeout=300, env=ENVIRONMENT)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, "ranks 0 and 1: expected the same instruction set and products, found ")
        # Unless they may: what rank 0 has is then sent to all, and its log still makes its weights.
        words = [SLOPEWISE, *(word for word in weights("--out", "mixed", "--mixed", "--epochs", 20) if word != "--quiet")]
        done = subprocess.run(["mpirun", "--oversubscribe", "-n", "1", *words, ":", "-n", "1", "env",
                               "DNNL_MAX_CPU_ISA=AVX2", *words], cwd=self.directory, capture_output=True, text=True,
                              timeout=300, env=ENVIRONMENT)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, "slopewise: ranks differ: .*; rank 0's weights are sent to all every hundred steps")
        self.done("replay", "mixed", "--out", "again.safetensors", "--quiet")
        self.assertEqual(self.bytes_of("again.safetensors"), self.bytes_of("mixed/weights.safetensors"))

    def test_what_cannot_be_shared_is_refused(self):
        for options, message in ((["--method", "exact", "--divide", "tangents"],
                                  "divide: expected --divide examples, as an exact gradient is along no tangents"),
                                 (["--method", "activities", "--divide", "both"],
                                  "--divide examples, as each example has tangents of its own at activities"),
                                 (["--method", "local", "--divide", "tangents"],
                                  "--divide examples, as blocks with losses of their own have tangents of their own"),
                                 (["--method", "zeroth-order", "--divide", "both"],
                                  "--divide examples, or tangents, as differences of losses are divided one way"),
                                 (["--divide", "both", "--pieces", 5],
                                  "pieces: expected a multiple of the 2 parts of the tangents, found 5"),
                                 (["--pieces", 2], "--pieces: expected at least one for each of 3 ranks, found 2"),
                                 (["--pieces", 0], "--pieces: expected at least one for each of 3 ranks, found 0")):
            with self.subTest(options=options):
                done = self.run_verb(*weights("--out", "run", "--workers", 3, *options))
                self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
                self.assertIn(message, done.stderr)
                self.assertEqual(done.stderr.count("slopewise: "), 1, done.stderr)
                self.assertFalse((self.directory / "run").exists())

    def test_a_rank_that_cannot_begin_ends_the_run(self):
        """Rank 1 is where there are no data."""
        (self.directory / "elsewhere").mkdir()
        words = [SLOPEWISE, *weights("--out", "run")]
        done = subprocess.run(["mpirun", "--oversubscribe", "-n", "1", *words, ":", "-n", "1", "-wdir",
                               self.directory / "elsewhere", *words], cwd=self.directory, capture_output=True, text=True,
                              timeout=300, env=ENVIRONMENT)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("slopewise: data.npz: ", done.stderr)

    def test_a_run_that_diverges_ends_once(self):
        done = self.run_verb(*weights("--out", "run", "--workers", 3, "--rate", 1e6, "--optimizer", "sgd"))
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertEqual(done.stderr.count("slopewise: "), 1, done.stderr)
        self.assertEqual(json.loads(self.bytes_of("run/results.json"))["status"], "diverged")


if __name__ == "__main__":
    SLOPEWISE = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
