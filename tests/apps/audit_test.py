#!/usr/bin/env python3
"""`slopewise audit` as a user meets it. Usage: audit_test.py SLOPEWISE [UNITTEST OPTION]..."""

import json
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SLOPEWISE = ""
# What is audited unless a test says otherwise.
SMALL = {"--hidden": "16,16", "--batch": "32", "--samples": "16", "--time": "4"}


class AuditTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)

    def slopewise(self, *words):
        return subprocess.run([SLOPEWISE, *map(str, words)], cwd=self.directory, capture_output=True, text=True,
                              timeout=200)

    def audit(self, *options):
        standard = [word for name, value in SMALL.items() if name not in options for word in (name, value)]
        return self.slopewise("audit", *standard, *options)

    def document(self, *options):
        done = self.audit(*options, "--json", "--quiet")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return json.loads(done.stdout)

    def refused(self, code, message, *options):
        done = self.audit(*options)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(message, done.stderr)
        self.assertEqual([path for path in self.directory.rglob("*") if path.is_file() and "data" not in path.name], [])

    def test_the_document_is_as_documented(self):
        document = self.document("--out", "here", "--batches", "8", "--ranks", "1,4", "--bandwidth", "8Mb/s")
        self.assertEqual(document, json.loads((self.directory / "here/audit.json").read_text()))
        self.assertEqual(document["schema"], "slopewise.audit/1")
        self.assertEqual((document["parameters"], document["batch"], document["memory"]), (13002, 32, None))
        names = [method["name"] for method in document["methods"]]
        self.assertEqual(names, ["backprop", "checkpointed backprop", "micro-batched backprop", "activities K=8",
                                 "weights K=1", "weights K=8", "weights K=32", "differences K=1", "local losses K=8", "head only"])
        for method in document["methods"]:
            self.assertEqual([cost["batch"] for cost in method["costs"]], [8, 32])
            self.assertIsNone(method["costs"][0]["seconds"])
            self.assertGreater(method["costs"][1]["seconds"], 0)
            if method["predicted"]:
                slowdown = method["predicted"]["slowdown"]
                self.assertLessEqual(slowdown["low"], slowdown["value"])
        self.assertEqual(sum(block["parameters"] for block in document["noise"]["blocks"]), 13002)
        self.assertEqual((document["ranks"]["tangents"], document["ranks"]["bandwidth"]), (8, 1e6))
        one, four = document["ranks"]["steps"]
        self.assertEqual((one["ranks"], four["ranks"]), (1, 4))
        self.assertEqual((four["examples"]["bytes"], four["backprop"]["bytes"]), (6 * 40, 6 * 4 * 13002))
        self.assertLess(four["backprop"]["memory"], one["backprop"]["memory"])
        self.assertAlmostEqual(four["snr_each"] / one["snr"], 4)
        page = (self.directory / "here/report.html").read_text()
        self.assertIn(document["recommendation"]["best"]["method"], page)
        self.assertIn("What a step takes by many ranks", page)

    def test_the_command_it_recommends_runs(self):
        best = self.document("--no-verify")["recommendation"]["best"]
        words = best["command"].split()
        self.assertEqual(words[:2], ["slopewise", "train"])
        done = self.slopewise(*words[1:], "--steps", "3", "--quiet")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        results = json.loads((self.directory / "runs/train/results.json").read_text())
        self.assertEqual(results["step_bytes"] + results["state_bytes"], best["bytes"])

    def test_memory_decides(self):
        free = self.document("--no-verify", "--batch", "512", "--hidden", "64,64,64,64")
        bytes_of = {method["name"]: method["costs"][0]["bytes"] for method in free["methods"]}
        memory = bytes_of["weights K=1"]
        self.assertLess(memory, bytes_of["backprop"])
        tight = self.document("--no-verify", "--batch", "512", "--hidden", "64,64,64,64", "--memory", memory)
        self.assertEqual(tight["noise"]["reference"], "slopes alone")  # and yet its own gradient says what the top does
        self.assertLessEqual(tight["recommendation"]["best"]["bytes"], memory)
        self.assertEqual([method["costs"][0]["fits"] for method in tight["methods"]],
                         [size <= memory for size in bytes_of.values()])
        self.assertTrue(any("backprop fits" in change for change in tight["recommendation"]["changes"]))

    def test_the_top_where_no_more_fits(self):
        """Of a residual network, with the command that trains it in as many bytes as said."""
        deep = ("--no-verify", "--batch", "512", "--hidden", ",".join(["32"] * 8), "--residual", "--samples", "8", "--time", "2",
                "--threads", "1")
        free = self.document(*deep)
        costs = {method["name"]: method["costs"][0]["bytes"] for method in free["methods"]}
        self.assertIn("residual feedback", costs)
        memory = max(costs["last 2 blocks and head"], free["least_bytes"]) + 8 * free["parameters"]  # to look at a step
        self.assertLess(memory, costs["backprop"])
        tight = self.document(*deep, "--memory", memory)
        self.assertLess(costs["last block and head"], costs["backprop"])
        for name in ("head only", "last block and head", "last 2 blocks and head", "residual feedback"):
            method = next(each for each in tight["methods"] if each["name"] == name)
            self.assertEqual(method["costs"][0]["fits"], costs[name] <= memory, name)
            if costs[name] + 8 * free["parameters"] <= memory:
                self.assertGreater(method["predicted"]["decrease"], 0, name)
            done = self.slopewise("train", *deep[1:6], "--optimizer", "sgd", "--threads", "1",
                                  *method["options"].split(), "--steps", "1", "--quiet", "--out", name)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            results = json.loads((self.directory / name / "results.json").read_text())
            self.assertEqual(results["step_bytes"] + results["state_bytes"], costs[name], name)
        self.assertEqual(tight["noise"]["reference"], "slopes alone")  # and yet its own gradient says what the top does
        self.assertLessEqual(tight["recommendation"]["best"]["bytes"], memory)

    def test_without_a_backward_pass(self):
        document = self.document("--no-verify", "--forward-only")
        self.assertEqual(document["noise"]["reference"], "slopes alone")
        self.assertIsNone(document["curvature"]["largest"])
        self.assertIsNone(document["methods"][0]["predicted"])

    def test_figures_are_of_the_seed(self):
        runs = [self.document("--no-verify", "--seed", seed) for seed in (3, 3, 4)]
        figures = [[run["noise"], run["curvature"]] for run in runs]
        self.assertEqual(figures[0], figures[1])
        self.assertNotEqual(figures[0], figures[2])

    def test_what_is_printed(self):
        done = self.audit("--no-verify", "--memory", "1GiB")
        self.assertEqual(done.returncode, 0, done.stderr)
        for line in done.stderr.splitlines():  # where it takes longer than two seconds
            self.assertTrue(line.startswith("audit: "), done.stderr)
        for text in ("Use ", "slopewise train --hidden 16,16", "weights that train", "tr H", "linear1.weight",
                     "runs/audit/audit.json"):
            self.assertIn(text, done.stdout)

    def test_reports_of_one_and_of_several(self):
        for _ in range(2):
            self.assertEqual(self.audit("--no-verify", "--no-report", "--quiet").returncode, 0)
        done = self.slopewise("report", "runs/audit", "runs/audit-2", "--out", "both.html")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        page = (self.directory / "both.html").read_text()
        self.assertIn("2 audits", page)
        (self.directory / "empty").mkdir()
        nothing = self.slopewise("report", "runs/audit", "empty")
        self.assertEqual(nothing.returncode, 1)
        self.assertIn("empty", nothing.stderr)
        (self.directory / "runs/audit/audit.json").write_text('{"schema": "slopewise.audit/1"}')
        broken = self.slopewise("report", "runs/audit")
        self.assertEqual(broken.returncode, 1)
        self.assertIn("expected an audit as documented", broken.stderr)

    def test_a_run_is_not_overwritten_unasked(self):
        self.assertEqual(self.audit("--no-verify", "--quiet", "--out", "here").returncode, 0)
        done = self.audit("--no-verify", "--quiet", "--out", "here")
        self.assertEqual(done.returncode, 2)
        self.assertIn("holds a run", done.stderr)
        self.assertEqual(self.audit("--no-verify", "--quiet", "--out", "here", "--overwrite").returncode, 0)

    def test_refuses_what_cannot_be_audited(self):
        self.refused(2, "--memory: expected at least", "--memory", "10KiB")
        self.refused(2, "--batches: expected 1 to", "--batches", "1000000")
        self.refused(2, "--memory: expected a number from", "--memory", "10 apples")
        self.refused(2, "--time: expected a number from", "--time", "0")
        self.refused(2, "--batch: expected 1 to", "--batch", "100000000")
        self.refused(1, "nowhere", "--data", "nowhere")
        self.refused(2, "a model from an ONNX file", "--train", "head")
        (self.directory / "data.csv").write_text("a,b,label\n" + "1,nan,0\n2,3,1\n" * 40)
        done = self.audit("--data", "data.csv", "--test-share", "0.2", "--batch", "8")
        self.assertIn(done.returncode, (1, 2))
        self.assertIn("data.csv", done.stderr)

    def test_ctrl_c_leaves_nothing(self):
        process = subprocess.Popen([SLOPEWISE, "audit", "--hidden", "512,512", "--time", "600", "--samples", "100000"],
                                   cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, message)
        self.assertEqual([path for path in self.directory.rglob("*") if path.is_file()], [])


if __name__ == "__main__":
    SLOPEWISE = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
