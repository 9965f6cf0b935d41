#!/usr/bin/env python3
"""`slopewise study` as a user meets it. Usage: study_test.py SLOPEWISE [UNITTEST OPTION]..."""

import json
import math
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SLOPEWISE = ""
QUICK = ["--quick", "--hidden", "16", "--batch", "16"]
CLAIM_KEYS = ["id", "statement", "equation", "quantity", "predicted", "predicted_low", "predicted_high", "measured",
              "low", "high", "confidence", "verdict", "condition",
              "timed", "seconds", "series"]


class StudyTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)

    def study(self, *options):
        return subprocess.run([SLOPEWISE, "study", *map(str, options)], cwd=self.directory, capture_output=True, text=True,
                              timeout=120)

    def refused(self, code, message, *options):
        done = self.study(*options)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(message, done.stderr)
        self.assertEqual([path for path in self.directory.rglob("*") if path.is_file()], [])

    def test_the_document_is_as_documented(self):
        done = self.study(*QUICK, "--claims", "prior,memory", "--out", "here")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        document = json.loads((self.directory / "here/results.json").read_text())
        self.assertEqual(document["schema"], "slopewise.study/2")
        self.assertEqual((document["data"], document["model"]), ("built-in digits", "mlp 784-16-10"))
        self.assertEqual((document["parameters"], document["batch"], document["quick"]), (12730, 16, True))
        self.assertEqual([claim["id"] for claim in document["claims"]], ["memory", "prior"])
        for claim in document["claims"]:
            self.assertEqual(list(claim), CLAIM_KEYS)
            for series in claim["series"]:
                for row in series["rows"]:
                    self.assertEqual(len(row), len(series["columns"]))
        self.assertIn("prior", done.stdout)
        self.assertIn("here/results.json", done.stdout)

    def test_every_claim_runs(self):
        done = self.study(*QUICK, "--json", "--quiet")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        document = json.loads(done.stdout)
        self.assertEqual(len(document["claims"]), 22)
        self.assertEqual(document, json.loads((self.directory / "runs/study/results.json").read_text()))
        for claim in document["claims"]:
            with self.subTest(claim=claim["id"]):
                self.assert_verdict_follows(claim)

    def assert_verdict_follows(self, claim):
        """As docs/study.md defines it, from what the row shows."""
        end = lambda value, otherwise: otherwise if value is None else value
        least, most = end(claim["predicted_low"], -math.inf), end(claim["predicted_high"], math.inf)
        low, high = end(claim["low"], -math.inf), end(claim["high"], math.inf)
        self.assertLessEqual(low, claim["measured"])
        self.assertLessEqual(claim["measured"], high)
        clear = high < least or most < low
        agrees = not clear if least == most else least <= low and high <= most
        self.assertNotEqual(claim["condition"], "")  # what else was tested
        self.assertTrue({"holds": agrees, "differs": clear, "fails": clear or agrees, "undecided": not clear}[claim["verdict"]],
                        (claim["verdict"], least, most, claim["measured"], low, high))

    def test_quiet_prints_nothing(self):
        done = self.study(*QUICK, "--claims", "memory", "--quiet")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_a_network_by_name(self):
        done = self.study("--quick", "--model", "mixer", "--hidden", "16,16", "--claims", "memory,mean-variance", "--json", "--quiet")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        document = json.loads(done.stdout)
        self.assertEqual((document["model"], document["batch"]), ("mixer", 16))
        self.assertEqual([claim["verdict"] for claim in document["claims"]], ["holds", "holds"])
        done = self.study(*QUICK[:1], "--model", "logistic", "--claims", "memory", "--json", "--quiet", "--out", "logistic")
        self.assertEqual(json.loads(done.stdout)["model"], "logistic 784-10")

    def test_wrong_usage(self):
        self.refused(2, "did you mean mixer?", "--model", "mixr")
        self.refused(1, "nowhere.onnx", "--model", "nowhere.onnx")
        self.refused(2, "learning-rate cannot be put to cnn: it is measured on perceptrons", "--model", "cnn", "--claims",
                     "learning-rate")
        self.refused(2, "a model with hidden layers", "--model", "logistic", "--hidden", "8")
        self.refused(2, "perpetual-motion", "--claims", "perpetual-motion")
        self.refused(2, "--hidden", "--hidden", "0")
        self.refused(2, "--batch", "--batch", "1")
        self.refused(2, "found 20000", "--batch", "20000")
        self.refused(2, "--quikc", "--quikc")

    def test_what_cannot_be_read_or_written(self):
        self.refused(1, "no-such-directory", "--data", "no-such-directory")
        self.refused(1, "found no data set", "--data", ".")
        self.refused(1, "/proc/nowhere", "--out", "/proc/nowhere", "--claims", "memory")

    def test_an_interrupt_leaves_no_document(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process = subprocess.Popen([SLOPEWISE, "study", "--claims", "unbiased", "--out", "run", "--overwrite"],
                                       cwd=self.directory,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            time.sleep(1)
            process.send_signal(number)
            _, message = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 128 + number)
            self.assertIn("interrupted", message)
            self.assertEqual([path.name for path in self.directory.rglob("*") if path.is_file()], ["config.toml"])

    def test_an_interrupt_keeps_the_claims_measured_before(self):
        claims = ["memory", "distributions", "second-order"]  # the first takes no time, the others take seconds
        for attempt in range(12):  # until the signal comes after the first claim and before the last
            process = subprocess.Popen([SLOPEWISE, "study", "--claims", ",".join(claims), "--out", "run", "--overwrite"],
                                       cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            time.sleep(1 + 0.5 * attempt)
            process.send_signal(signal.SIGINT)
            _, message = process.communicate(timeout=60)
            results = self.directory / "run/results.json"
            if process.returncode == 130 and results.exists():
                measured = [claim["id"] for claim in json.loads(results.read_text())["claims"]]
                self.assertEqual(measured, claims[:len(measured)])
                self.assertIn(f"{len(measured)} of 3 claims were measured before", message)
                self.assertTrue((self.directory / "run/report.html").exists())
                return
            results.unlink(missing_ok=True)
        self.fail("no signal came between two claims")


if __name__ == "__main__":
    SLOPEWISE = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
