#!/usr/bin/env python3
"""`slopewise scale` as a user meets it. Usage: scale_test.py SLOPEWISE [UNITTEST OPTION]..."""

import json
import subprocess
import sys
import unittest
from pathlib import Path

SLOPEWISE = ""
TASK = ["--hidden", "16", "--batch", "32", "--tangents", "4", "--threads", "1", "--time", "0.1"]


class ScaleTest(unittest.TestCase):
    def scale(self, *options):
        return subprocess.run([SLOPEWISE, "scale", *TASK, *map(str, options)], capture_output=True, text=True,
                              timeout=300)

    def document(self, *options):
        done = self.scale("--json", "--quiet", *options)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stderr)
        return json.loads(done.stdout)

    def test_a_table(self):
        done = self.scale("--ranks", "1,2")
        self.assertEqual(done.returncode, 0, done.stderr)
        for words in ("12730 parameters on 32 examples along 4 tangents (rank-one)", "50 µs and\n10 Gbit/s between them",
                      "examples divided", "tangents divided", "backprop", "steps for one of backprop"):
            self.assertIn(words, done.stdout)
        quiet = self.scale("--ranks", "1", "--quiet")
        self.assertEqual((quiet.returncode, quiet.stdout, quiet.stderr), (0, "", ""))

    def test_figures_add_up(self):
        document = self.document("--ranks", "1,4,1000", "--latency", "20ms", "--bandwidth", "8Mb/s", "--overhead", "1ms")
        self.assertEqual((document["schema"], document["parameters"], document["law"]),
                         ("slopewise.scale/1", 12730, "rank-one"))
        self.assertEqual((document["latency"], document["bandwidth"], document["overhead"]), (0.02, 1e6, 0.001))
        self.assertEqual([point["ranks"] for point in document["ranks"]], [1, 4, 1000])
        for point in document["ranks"]:
            for way in ("examples", "tangents", "backprop"):
                step = point[way]
                self.assertAlmostEqual(step["seconds"], step["compute"] + step["wire"])
                self.assertEqual(step["wire"] > 0, point["ranks"] > 1)
        four = document["ranks"][1]
        # A rank but 0 sends a loss and four slopes, of which each gets back what rank 0 makes.
        self.assertEqual(four["examples"]["bytes"], 2 * 3 * (4 + 4 * 5))
        self.assertAlmostEqual(four["examples"]["wire"], 2 * (0.02 + 3 * 0.001) + four["examples"]["bytes"] / 1e6)
        self.assertAlmostEqual(four["backprop"]["wire"], 4 * 0.021 + 2 * 3 / 4 * 4 * 12730 / 1e6)
        self.assertGreater(document["snr"], 4 / 4 / 12730)  # at least that of one of K / n

    def test_what_does_not_fit_is_refused(self):
        for options, message in ((["--latency", "5h"], "--latency: expected a number from 0 to 1000 in us, ms, s"),
                                 (["--bandwidth", "10GB/s"], "--bandwidth: expected a number"),
                                 (["--bandwidth", "0"], "--bandwidth: expected a number"),
                                 (["--latency", "nan"], "--latency: expected a number"),
                                 (["--ranks", "0"], "--ranks: expected"),
                                 (["--ranks", "2,-1"], "--ranks: expected"),
                                 (["--tangents", "0"], "--tangents: expected at least 1"),
                                 (["--model", "nowhere.onnx"], "nowhere.onnx")):
            with self.subTest(options=options):
                done = subprocess.run([SLOPEWISE, "scale", *options], capture_output=True, text=True)
                self.assertIn(done.returncode, (1, 2), done.stderr)
                self.assertEqual(done.stdout, "")
                self.assertIn(message, done.stderr)


if __name__ == "__main__":
    SLOPEWISE = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
