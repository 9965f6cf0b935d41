#!/usr/bin/env python3
"""What the command line does where memory and threads are short. Usage: limits_test.py SLOPEWISE [UNITTEST OPTION]..."""

import os
import resource
import subprocess
import sys
import tempfile
import unittest

SLOPEWISE = ""
VERBS = (
    ["--version"],
    ["gradient", "--samples", "3", "--model", "logistic"],
    ["gradient", "--samples", "3", "--model", "logistic", "--precision", "float64"],
    ["train", "--epochs", "1", "--hidden", "16", "--batch", "512", "--no-report"],
    ["study", "--quick", "--hidden", "16,8", "--batch", "16", "--claims", "memory"],
    ["data", "show", "digits"],
)


class LimitsTest(unittest.TestCase):
    def call(self, arguments, bytes_of_memory, **environment):
        with tempfile.TemporaryDirectory() as directory:
            return subprocess.run(
                [SLOPEWISE, *arguments], cwd=directory, capture_output=True, text=True, timeout=60,
                env={**os.environ, "OMP_NUM_THREADS": "2", **environment},
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (bytes_of_memory, bytes_of_memory)))

    def test_memory_that_is_too_small_is_said(self):
        """As under `ulimit -v`: a verb works or says what does not fit; it neither hangs nor crashes."""
        ended = set()
        for kilobytes in (100_000, 200_000, 300_000, 500_000, 1_000_000):
            for arguments in VERBS:
                with self.subTest(verb=" ".join(arguments), kilobytes=kilobytes):
                    done = self.call(arguments, kilobytes * 1024)
                    if "error while loading shared libraries" in done.stderr:  # the system's loader, before the program
                        self.assertEqual(done.returncode, 127)
                        continue
                    self.assertIn(done.returncode, (0, 1), done.stderr)
                    ended.add(done.returncode)
                    if done.returncode == 1:
                        self.assertRegex(done.stderr, "out of memory|cannot load OpenBLAS|Thread creation failed|cannot start a thread")
        self.assertEqual(ended, {0, 1})

    def test_libraries_that_would_crash_get_their_memory_or_are_not_asked(self):
        """oneDNN does, where code that it writes finds no place: in some 3 MB of limits, wherever they are."""
        for kilobytes in range(165_000, 195_000, 1_000):
            with self.subTest(kilobytes=kilobytes):
                done = self.call(["train", "--steps", "2", "--method", "exact", "--threads", "2", "--no-report"], kilobytes * 1024)
                self.assertIn(done.returncode, (0, 1, 127), done.stderr)

    def test_a_thread_that_cannot_be_started_is_said(self):
        done = self.call(VERBS[1], 4 << 30, OMP_STACKSIZE="100G")
        self.assertEqual(done.returncode, 1)
        self.assertIn("Thread creation failed", done.stderr)


if __name__ == "__main__":
    SLOPEWISE = os.path.abspath(sys.argv.pop(1))
    unittest.main()
