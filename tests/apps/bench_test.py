#!/usr/bin/env python3
"""`slopewise bench` as a user meets it. Usage: bench_test.py SLOPEWISE DIRECTORY [UNITTEST OPTION]...

No test asserts a time. Those that need PyTorch look for it in /usr/bin/python3, the default of --python; those that need
ONNX Runtime have npm install it in DIRECTORY, once.
"""

import functools
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

from model_test import logistic

SLOPEWISE = ""
DIRECTORY = Path()
SOURCE = Path(__file__).resolve().parents[2]
MODELS = "mlp-1024,mlp-256,logistic,cnn,deep-64x512"
QUICK = {"--model": "logistic", "--batch": 8, "--rounds": 6}
STEPS = ["loss", "slope", "rank-one", "rademacher", "gaussian", "mezo", "activities", "local", "backprop", "checkpointed"]
WITHOUT_LAYERS = [step for step in STEPS if step not in ("activities", "local")]
ROW = ["model", "batch", "threads", "step", "tangents", "precision", "milliseconds", "low", "high", "over_loss",
       "over_backprop", "over_floor", "over_pytorch_sgd", "peak_bytes"]
MACHINE = ["processor", "instruction_set", "cpus", "slopewise", "onednn", "pytorch", "pytorch_kernels",
           "pytorch_gflops", "onnxruntime", "omp_proc_bind", "omp_places", "warnings", "notes", "products"]
PRODUCT = ["model", "batch", "threads", "float32_gflops", "bf16_gflops", "plain_gflops", "pytorch_gflops",
           "pytorch_kernels", "pytorch_tried"]

# A PyTorch that takes OPENBLAS_CORETYPE as OpenBLAS does and computes at what rates the test likes: {core type: GFLOP/s},
# the first one its own choice; with None the processor lacks an instruction. It must keep the memory that it frees while
# it is timed, and its steps need as many bytes as it may keep.
FAKE_PYTORCH = """#!{executable}
import os, signal, sys
rates = {rates}
asked = os.environ.get("OPENBLAS_CORETYPE")
core_type = asked if asked in rates else next(iter(rates))
print("pytorch", "with-" + core_type, flush=True)
for line in sys.stdin:
    command, step, count = (line.split() + ["", "0"])[:3]
    if command == "kernels":
        answer = {library!r} or "OpenBLAS " + core_type
    elif command == "run":
        if rates[core_type] is None or os.environ.get("MALLOC_MMAP_MAX_") != "0":
            os.kill(os.getpid(), signal.SIGILL)
        rows = int(step.partition(":")[2] or 1)
        answer = " ".join(int(count) * [repr(2 * rows * 1024**2 / rates[core_type] / 1e9)])
    else:
        answer = {{"lacks": "", "peak": os.environ.get("MALLOC_TRIM_THRESHOLD_")}}[command]
    print(answer, flush=True)
"""


def quick(*options):
    """Options for quick work, but for those that are given."""
    left_out = ["--rounds"] if "--seconds" in options else []
    kept = [part for name, value in QUICK.items() if name not in (*options, *left_out) for part in (name, value)]
    return [*map(str, kept), *map(str, options)]


@functools.cache
def has_torch():
    try:
        return subprocess.run(["/usr/bin/python3", "-c", "import torch"], capture_output=True).returncode == 0
    except OSError:
        return False


@functools.cache
def why_no_onnxruntime():
    """Installs ONNX Runtime in DIRECTORY unless it is there; returns "" or why it could not."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            return f"{program} was not found"
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    lock, installed = SOURCE / "apps/bench/onnxruntime/package-lock.json", DIRECTORY / "node_modules/installed-lock.json"
    if installed.exists() and installed.read_bytes() == lock.read_bytes():
        return ""
    shutil.copy(lock, DIRECTORY)
    shutil.copy(lock.with_name("package.json"), DIRECTORY)
    try:
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=DIRECTORY,
                       check=True, timeout=150)
    except subprocess.SubprocessError as error:
        return f"npm could not install onnxruntime-node: {error}"
    shutil.copy(lock, installed)
    return ""


def unnarrowed(warnings):
    """The warnings but for those of the instruction set that these tests themselves may be narrowed to."""
    return [warning for warning in warnings if not warning.startswith(("DNNL_", "ONEDNN_"))]


class BenchTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)

    def bench(self, *options, **environment):
        settings = {"OMP_PROC_BIND": "true", "OMP_PLACES": "cores", **environment}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "OPENBLAS_"))}
        return subprocess.run([SLOPEWISE, "bench", *map(str, options)], cwd=self.directory, capture_output=True,
                              text=True, timeout=120, env={**inherited, **settings})

    def measured(self, *options):
        done = self.bench(*quick(*options), "--json", "--quiet")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return json.loads(done.stdout)

    def files(self):
        return [path for path in self.directory.rglob("*") if path.is_file()]

    def refused(self, code, message, *options):
        done = self.bench(*options)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertTrue(done.stderr.startswith("slopewise: "), done.stderr)
        self.assertIn(message, done.stderr)
        self.assertEqual((done.stdout, self.files()), ("", []))

    def check_ratios(self, rows):
        """That every ratio is that of the milliseconds beside it, or null where there is nothing to divide by."""
        for row in rows:
            for field, step in (("over_loss", "loss"), ("over_backprop", "backprop"),
                                ("over_pytorch_sgd", "pytorch-sgd")):
                base = [other["milliseconds"] for other in rows
                        if other["step"] == step and all(other[key] == row[key] for key in ROW[:3])]
                if base:
                    self.assertAlmostEqual(row[field], row["milliseconds"] / base[0], delta=1e-9 * row[field])
                else:
                    self.assertIsNone(row[field])

    # --- what it writes

    def test_the_document_is_as_documented(self):
        done = self.bench(*quick("--batch", "4,8", "--tangents", "1,3", "--out", "here"))
        self.assertEqual(done.returncode, 0, done.stderr)
        document = json.loads((self.directory / "here/bench.json").read_text())
        self.assertEqual(list(document), ["schema", "machine", "rows"])
        self.assertEqual(document["schema"], "slopewise.bench/2")
        machine = document["machine"]
        self.assertEqual(list(machine), MACHINE)
        self.assertEqual([machine[field] for field in ("pytorch", "pytorch_kernels", "pytorch_gflops")], 3 * [None])
        self.assertEqual((machine["omp_proc_bind"], machine["omp_places"], unnarrowed(machine["warnings"])),
                         ("true", "cores", []))
        for product, batch in zip(machine["products"], (4, 8)):
            self.assertEqual(list(product), PRODUCT)
            self.assertEqual((product["model"], product["batch"], product["threads"]), ("logistic", batch, 1))
            self.assertGreater(product["float32_gflops"], 0)
            self.assertGreater(product["plain_gflops"], 0)
            self.assertEqual([product[field] for field in PRODUCT if field.startswith("pytorch")], 3 * [None])

        expected = [(batch, step, tangents) for batch in (4, 8) for step in WITHOUT_LAYERS
                    for tangents in ((1, 3) if step in STEPS[1:5] else (0,))]
        self.assertEqual([(row["batch"], row["step"], row["tangents"]) for row in document["rows"]], expected)
        for row in document["rows"]:
            self.assertEqual(list(row), ROW)
            self.assertEqual((row["model"], row["threads"], row["precision"]), ("logistic", 1, "float32"))
            self.assertTrue(0 < row["low"] <= row["milliseconds"] <= row["high"])
            self.assertGreater(row["over_floor"], 0)
            self.assertIs(type(row["peak_bytes"]), int)
        self.check_ratios(document["rows"])

        text = (self.directory / "here/bench.txt").read_text()
        self.assertEqual(done.stdout, text)
        for step in STEPS:
            self.assertIn(step, text)
        self.assertIn("activities is left out: the model has no hidden activities\n", text)
        self.assertIn("local is left out: the model has no hidden activities\n", text)

    def test_steps_that_are_left_out_leave_ratios_null(self):
        rows = self.measured("--steps", "rank-one,loss", "--no-memory")["rows"]
        self.assertEqual([row["step"] for row in rows], ["loss", "rank-one"])
        self.assertEqual([row["peak_bytes"] for row in rows], [None, None])
        self.check_ratios(rows)
        rows = self.measured("--steps", "rademacher", "--no-memory")["rows"]
        self.assertEqual([row["over_loss"] for row in rows], [None])

    def test_steps_at_activities(self):
        rows = self.measured("--model", "mlp-256,cnn,mixer", "--batch", 2, "--steps", "activities,local,backprop",
                             "--tangents", 2, "--no-memory")["rows"]
        self.assertEqual([(row["step"], row["tangents"]) for row in rows],
                         3 * [("activities", 2), ("local", 2), ("backprop", 0)])
        for row in rows:
            self.assertGreater(row["over_floor"], 0)
        peaks = [row["peak_bytes"] for row in
                 self.measured("--model", "mlp-256", "--batch", 8, "--steps", "loss,activities,local")["rows"]]
        for peak in peaks[1:]:  # the gradient of 784 · 256 weights is held
            self.assertGreater(peak - peaks[0], 4 * 784 * 256)
        self.refused(2, "--steps: local is left out: the model has no hidden activities", "--model", "logistic",
                     "--steps", "local", "--rounds", 6, "--quiet")

    def test_every_model_runs(self):
        rows = self.measured("--model", MODELS, "--batch", "1", "--steps", "loss", "--no-memory")["rows"]
        self.assertEqual([row["model"] for row in rows], MODELS.split(","))

    def test_memory_of_a_backward_pass_is_more(self):
        rows = self.measured("--model", "mlp-256", "--batch", 256, "--steps", "rank-one,backprop")["rows"]
        forward, backward = (row["peak_bytes"] for row in rows)
        self.assertLess(forward, backward)

    def test_seconds_in_place_of_rounds(self):
        done = self.bench(*quick("--seconds", 0.1, "--steps", "loss", "--no-memory", "--json"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(json.loads(done.stdout)["rows"]), 1)

    def test_quiet_prints_nothing(self):
        done = self.bench(*quick("--steps", "loss", "--no-memory", "--quiet"))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.assertEqual(self.files(), [])

    # --- settings that spoil times

    def warnings(self, *options, **environment):
        done = self.bench(*quick("--steps", "loss", "--no-memory", "--json", *options), **environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads(done.stdout)["machine"]["warnings"]
        for warning in found:
            self.assertIn(f"slopewise: warning: {warning}\n", done.stderr)
        return unnarrowed(found)

    def test_it_warns_of_pinned_kernels(self):
        found = self.warnings(OPENBLAS_CORETYPE="Haswell")
        self.assertEqual(len(found), 1)
        self.assertIn("OPENBLAS_CORETYPE=Haswell", found[0])

    def test_it_warns_of_threads_that_share_a_cpu(self):
        found = self.warnings("--threads", len(os.sched_getaffinity(0)) + 1)
        self.assertEqual(len(found), 1)
        self.assertIn("share", found[0])
        self.assertIn("OMP_PROC_BIND", self.warnings(OMP_PROC_BIND="false")[0])

    # --- what is refused

    def test_wrong_usage(self):
        self.refused(2, "perpetuum", "--model", "perpetuum")
        self.refused(2, "deep-64x512", "--model", "perpetuum")
        self.refused(2, "pytorch-sgd", "--steps", "pytorch-sgd")
        self.refused(2, "--batch", "--batch", "0")
        self.refused(2, "--threads", "--threads", "0")
        self.refused(2, "--tangents", "--tangents", "1,0")
        self.refused(2, "float16", "--tangent-precision", "float16")
        self.refused(2, "--rounds", "--rounds", "5")
        self.refused(2, "--seconds", "--rounds", "6", "--seconds", "1")
        self.refused(2, "--against pytorch", "--python", "python3")
        self.refused(2, "--against onnxruntime", "--against", "pytorch", "--node", "node")
        self.refused(2, "--against onnxruntime", "--onnxruntime", ".")
        self.refused(2, "tensorflow", "--against", "pytorch,tensorflow")
        self.refused(2, "--modle", "--modle", "cnn")

    def test_what_cannot_be_written(self):
        self.refused(1, "/proc/nowhere", *quick("--out", "/proc/nowhere"))

    def test_a_run_can_be_repeated(self):
        self.assertEqual(self.bench(*quick("--no-memory", "--steps", "loss", "--out", "here")).returncode, 0)
        repeated = subprocess.run([SLOPEWISE, "rerun", "here", "--out", "there"], cwd=self.directory, capture_output=True)
        self.assertEqual(repeated.returncode, 0, repeated.stderr)
        steps = [[row["step"] for row in json.loads((self.directory / place / "bench.json").read_text())["rows"]]
                 for place in ("here", "there")]
        self.assertEqual(*steps)

    def test_an_interrupt_leaves_no_document(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen([SLOPEWISE, "bench", *quick("--seconds", 60, "--out", "here", "--overwrite")],
                                       cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            time.sleep(0.5)
            process.send_signal(number)
            _, message = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 128 + number)
            self.assertIn("interrupted", message)
            self.assertEqual([path.name for path in self.files()], ["config.toml"])

    def test_an_interrupt_keeps_whole_tables(self):
        for attempt in range(40):  # until the signal comes after the first table and before the last
            process = subprocess.Popen([SLOPEWISE, "bench", *quick("--batch", "8,16,24,32", "--out", "here")],
                                       cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            time.sleep(0.3 + 0.3 * attempt)
            process.send_signal(signal.SIGINT)
            out, message = process.communicate(timeout=60)
            if process.returncode == 130 and (self.directory / "here/bench.json").exists():
                rows = json.loads((self.directory / "here/bench.json").read_text())["rows"]
                batches = list(dict.fromkeys(row["batch"] for row in rows))
                self.assertEqual(batches, [8, 16, 24, 32][:len(batches)])
                self.assertIn(f"{len(batches)} of 4 tables were measured before", message)
                self.assertEqual(out.count("batch"), len(batches))
                return
            for path in self.directory.glob("here/*"):
                path.unlink()
        self.fail("no signal came between two tables")

    # --- PyTorch

    def test_a_python_without_pytorch(self):
        fake = self.directory / "python"
        fake.write_text("#!/bin/sh\necho absent No module named torch\n")
        fake.chmod(0o755)
        done = self.bench(*quick("--against", "pytorch", "--python", fake))
        self.assertEqual(done.returncode, 1)
        self.assertIn("python3-torch", done.stderr)
        self.assertIn("No module named torch", done.stderr)
        done = self.bench(*quick("--against", "pytorch", "--python", self.directory / "nothing"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot start", done.stderr)

    def test_a_pytorch_that_ends_midway(self):
        fake = self.directory / "python"
        fake.write_text("#!/bin/sh\necho pytorch 0\nread line\necho a library\nread line\n")
        fake.chmod(0o755)
        done = self.bench(*quick("--steps", "loss", "--against", "pytorch", "--python", fake))
        self.assertEqual(done.returncode, 1)
        self.assertIn("ended", done.stderr)

    def fake_pytorch(self, rates, library=""):
        fake = self.directory / "python"
        fake.write_text(FAKE_PYTORCH.format(executable=sys.executable, rates=rates, library=library))
        fake.chmod(0o755)
        return ["--steps", "loss", "--no-memory", "--python", fake, "--against", "pytorch"]

    def test_pytorch_runs_with_its_fastest_kernels(self):
        options = self.fake_pytorch({"Prescott": 7, "Zen": None, "Haswell": 5e8})
        machine = self.measured(*options)["machine"]
        self.assertIsNone(machine["onnxruntime"])
        self.assertEqual((machine["pytorch"], machine["pytorch_kernels"]), ("with-Haswell", "OpenBLAS Haswell"))
        self.assertAlmostEqual(machine["pytorch_gflops"], 5e8, delta=1)
        product = machine["products"][0]
        self.assertEqual(product["pytorch_kernels"], "OpenBLAS Haswell")
        self.assertAlmostEqual(product["pytorch_gflops"], 5e8, delta=1)
        tried = product["pytorch_tried"]
        self.assertEqual(list(tried), ["OpenBLAS Prescott", "OpenBLAS Haswell"])  # Zen cannot run, others are not there
        self.assertAlmostEqual(tried["OpenBLAS Prescott"], 7)
        self.assertFalse([note for note in machine["notes"] if "PyTorch's plain product" in note])

    def test_memory_is_measured_where_what_is_freed_goes_back(self):
        options = self.fake_pytorch({"Prescott": 7})
        options.remove("--no-memory")
        done = self.bench(*quick("--out", "here", *options))
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = json.loads((self.directory / "here/bench.json").read_text())["rows"]
        self.assertEqual([row["peak_bytes"] for row in rows if row["step"].startswith("pytorch")], [65536, 65536])

    def test_a_choice_for_each_batch_and_number_of_threads(self):
        options = self.fake_pytorch({"Prescott": 9, "Haswell": 8})
        products = self.measured(*options, "--batch", "4,8", "--threads", "1,2")["machine"]["products"]
        self.assertEqual([product["pytorch_kernels"] for product in products], 4 * ["OpenBLAS Prescott"])

    def test_another_library_has_no_kernels_to_choose(self):
        machine = self.measured(*self.fake_pytorch({"": 5}, library="MKL"))["machine"]
        self.assertEqual(machine["pytorch_kernels"], "MKL")
        self.assertEqual(list(machine["products"][0]["pytorch_tried"]), ["MKL"])

    def test_a_slow_product_is_told_above_the_table(self):
        done = self.bench(*quick(*self.fake_pytorch({"Prescott": 1e-3}), "--out", "here"))
        self.assertEqual(done.returncode, 0, done.stderr)
        above, _, _ = done.stdout.partition("\nstep ")
        line = next(line for line in above.splitlines() if line.startswith("PyTorch's plain product"))
        self.assertIn("0 % of the packed product's", line)
        notes = json.loads((self.directory / "here/bench.json").read_text())["machine"]["notes"]
        self.assertIn(f"logistic, batch 8, threads 1: {line}", notes)

    @unittest.skipUnless(has_torch(), "python3-torch is not installed")
    def test_pytorch_tells_its_kernels(self):
        slow = self.directory / "python"
        slow.write_text('#!/bin/sh\nOPENBLAS_CORETYPE=Prescott exec /usr/bin/python3 "$@"\n')
        slow.chmod(0o755)
        machine = self.measured("--steps", "loss", "--no-memory", "--against", "pytorch", "--python", slow)["machine"]
        if not machine["pytorch_kernels"].startswith("OpenBLAS "):
            self.skipTest(f"this PyTorch multiplies by {machine['pytorch_kernels']}")
        self.assertEqual(machine["pytorch_kernels"], "OpenBLAS Prescott")
        self.assertEqual(list(machine["products"][0]["pytorch_tried"]), ["OpenBLAS Prescott"])

    @unittest.skipUnless(has_torch(), "python3-torch is not installed")
    def test_against_pytorch(self):
        document = self.measured("--steps", "loss,backprop", "--against", "pytorch")
        machine = document["machine"]
        self.assertIsInstance(machine["pytorch"], str)
        self.assertGreater(machine["pytorch_gflops"], 0)
        tried = machine["products"][0]["pytorch_tried"]
        self.assertEqual(machine["pytorch_kernels"], max(tried, key=tried.get))
        rows = document["rows"]
        self.assertEqual([(row["step"], row["tangents"]) for row in rows],
                         [("loss", 0), ("backprop", 0), ("pytorch-sgd", 0), ("pytorch-forward", 1)])
        for row in rows:
            self.assertEqual(list(row), ROW)
            self.assertIs(type(row["peak_bytes"]), int)
            self.assertTrue(0 < row["low"] <= row["milliseconds"] <= row["high"])
        self.check_ratios(rows)

    @unittest.skipUnless(has_torch(), "python3-torch is not installed")
    def test_the_better_memory_format_of_a_convolution_counts(self):
        rows = self.measured("--model", "cnn", "--batch", 1, "--steps", "loss", "--against", "pytorch",
                             "--no-memory")["rows"]
        self.assertEqual([row["step"] for row in rows], ["loss", "pytorch-sgd", "pytorch-forward"])

    # --- ONNX Runtime

    def fake_node(self, *lines):
        fake = self.directory / "node"
        fake.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        fake.chmod(0o755)
        return [*quick("--steps", "loss", "--no-memory"), "--against", "onnxruntime", "--node", fake]

    def test_a_node_without_onnxruntime(self):
        options = self.fake_node("echo absent Cannot find module")
        done = self.bench(*options, "--onnxruntime", "some/where")
        self.assertEqual(done.returncode, 1)
        self.assertIn("some/where has no onnxruntime-node (Cannot find module)", done.stderr)
        package = json.loads((SOURCE / "apps/bench/onnxruntime/package.json").read_text())
        version = package["dependencies"]["onnxruntime-node"]
        self.assertIn(f"npm install --prefix some/where --ignore-scripts onnxruntime-node@{version};", done.stderr)
        done = self.bench(*options, XDG_CACHE_HOME="/the/cache")
        self.assertIn("/the/cache/slopewise/onnxruntime", done.stderr)
        done = self.bench(*options[:-1], self.directory / "nothing")
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot start", done.stderr)

    @unittest.skipUnless(shutil.which("node"), "node was not found")
    def test_an_empty_directory_has_no_onnxruntime(self):
        done = self.bench(*quick("--against", "onnxruntime", "--onnxruntime", self.directory))
        self.assertEqual(done.returncode, 1)
        self.assertIn("Cannot find module 'onnxruntime-node'", done.stderr)
        self.assertIn("npm install", done.stderr)

    def test_a_peer_that_computes_another_loss(self):
        for answer in ("2.5", "nan", "what"):
            done = self.bench(*self.fake_node("echo onnxruntime 0", "read line", f"echo {answer}", "read line"))
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn("another loss than Slopewise", done.stderr)
            self.assertIn(f"found {answer}", done.stderr)

    def test_the_loss_of_onnxruntime_is_ours(self):
        if reason := why_no_onnxruntime():
            self.skipTest(reason)
        document = self.measured("--model", MODELS, "--batch", "3", "--threads", "1,2", "--steps", "loss", "--against",
                                 "onnxruntime", "--onnxruntime", DIRECTORY)
        self.assertRegex(document["machine"]["onnxruntime"], r"^\d+\.\d+\.\d+$")
        rows = document["rows"]
        self.assertEqual([(row["model"], row["threads"], row["step"]) for row in rows],
                         [(model, threads, step) for model in MODELS.split(",") for threads in (1, 2)
                          for step in ("loss", "onnxruntime-loss")])
        for loss, peer in zip(rows[::2], rows[1::2]):
            self.assertEqual(list(peer), ROW)
            self.assertIs(type(peer["peak_bytes"]), int)
            self.assertAlmostEqual(peer["over_floor"] / loss["over_floor"], peer["over_loss"])
        self.check_ratios(rows)

    def test_a_model_from_a_file(self):
        model = self.directory / "model.onnx"
        model.write_bytes(logistic(np.random.default_rng(1).normal(size=(5, 12)), np.ones(5)))
        peer = why_no_onnxruntime()
        against = [] if peer else ["--against", "onnxruntime", "--onnxruntime", DIRECTORY]
        rows = self.measured("--model", f"{model},logistic", "--batch", "3", "--steps", "loss,slope,backprop", "--train",
                             "weight", *against)["rows"]
        own = [row for row in rows if row["model"] == str(model)]
        self.assertEqual([row["step"] for row in own],
                         ["loss", "slope", "backprop"] + ([] if peer else ["onnxruntime-loss"]))
        self.check_ratios(rows)
        if peer:
            self.skipTest(peer)

    def test_a_file_and_what_does_not_fit_it(self):
        (self.directory / "no.onnx").mkdir()
        self.refused(2, "--train: expected only with a model from an ONNX file", *quick("--train", "head"))
        self.refused(1, "nowhere.onnx", *quick("--model", "nowhere.onnx"))
        self.refused(2, "--against pytorch: expected networks by name", *quick("--model", "nowhere.onnx"), "--against",
                     "pytorch")
        self.refused(2, "--against onnxruntime: expected --loss cross-entropy", *quick("--model", "nowhere.onnx"),
                     "--against", "onnxruntime", "--loss", "squared")

    def test_two_peers_at_once(self):
        if reason := why_no_onnxruntime():
            self.skipTest(reason)
        document = self.measured(*self.fake_pytorch({"Prescott": 5})[:-1], "pytorch,onnxruntime", "--onnxruntime",
                                 DIRECTORY)
        self.assertEqual([row["step"] for row in document["rows"]],
                         ["loss", "pytorch-sgd", "pytorch-forward", "onnxruntime-loss"])


if __name__ == "__main__":
    SLOPEWISE = str(Path(sys.argv.pop(1)).resolve())
    DIRECTORY = Path(sys.argv.pop(1)).resolve()
    unittest.main()
