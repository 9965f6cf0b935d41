#!/usr/bin/env python3
"""`slopewise report` as a user meets it. Usage: report_test.py SLOPEWISE [UNITTEST OPTION]..."""

import shutil
import subprocess
import sys
import tempfile
import unittest
from html.parser import HTMLParser
from pathlib import Path

SLOPEWISE = ""


class ReportTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)

    def run_verb(self, *arguments):
        return subprocess.run([SLOPEWISE, *map(str, arguments)], cwd=self.directory, capture_output=True, text=True,
                              timeout=120)

    def study(self, *options):
        done = self.run_verb("study", "--quick", "--hidden", "16", "--batch", "16", "--claims", "memory,prior", "--out",
                             "here", *options)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_a_study_ends_with_its_report(self):
        self.assertIn("here/report.html", self.study("--seed", "3"))
        page = (self.directory / "here/report.html").read_text()
        for text in ("2 of the 2 claims measured hold",
                     "slopewise study --quick --hidden 16 --batch 16 --claims memory,prior --out here --seed 3"):
            self.assertTrue(text in page, text)

    def test_a_report_is_made_again_from_the_results(self):
        self.assertNotIn("report.html", self.study("--no-report"))
        self.assertFalse((self.directory / "here/report.html").exists())
        done = self.run_verb("report", "here")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "Charts: here/report.html\n", ""))
        page = (self.directory / "here/report.html").read_text()
        self.assertEqual(self.run_verb("report", "here", "--out", "copy.html", "--quiet").stdout, "")
        self.assertTrue((self.directory / "copy.html").read_text() == page)

    def test_a_page_loads_nothing_from_elsewhere(self):
        self.study()
        page = (self.directory / "here/report.html").read_text()
        links = []
        parser = HTMLParser()
        parser.handle_starttag = lambda tag, attributes: links.extend(v for k, v in attributes if k in ("src", "href"))
        parser.feed(page)
        self.assertIn("#prior", links)
        self.assertEqual([link for link in links if not link.startswith(("#", "data:"))], [])
        self.assertTrue("default-src 'none'" in page)

    def test_a_training_run_ends_with_its_report(self):
        done = self.run_verb("train", "--hidden", "8", "--epochs", "1", "--out", "trained")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("trained/report.html", done.stdout)
        page = (self.directory / "trained/report.html").read_text()
        self.assertTrue("trained came to a test error of" in page)
        self.assertTrue("slopewise train --hidden 8 --epochs 1 --out trained" in page)

    def test_a_run_is_held_against_one_of_backprop(self):
        for method in ("exact", "activities", "local"):
            done = self.run_verb("train", "--method", method, "--hidden", "8", "--steps", "20", "--out", method, "--no-report")
            self.assertEqual(done.returncode, 0, done.stderr)
        for runs, other in ((["activities", "exact"], "activities"), (["exact", "local"], "local")):
            done = self.run_verb("report", *runs, "--out", "page.html")
            self.assertEqual(done.returncode, 0, done.stderr)
            page = (self.directory / "page.html").read_text()
            self.assertIn("<h1>Does it train as well as backprop?</h1>", page)
            self.assertRegex(page, f"(Yes|No): the best other run, {other}, came to")

    @unittest.skipUnless(shutil.which("node"), "node was not found")
    def test_one_chart_is_an_svg(self):
        self.study("--no-report")
        done = self.run_verb("report", "here", "--chart", "prior")
        if "built without npm" in done.stderr:
            self.skipTest(done.stderr)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(done.stdout.startswith("<svg"))
        self.assertIn("What a prior leaves of the variance", done.stdout)
        self.assertEqual(self.run_verb("report", "here", "--chart", "prior", "--out", "prior.svg").stdout, "")
        self.assertTrue((self.directory / "prior.svg").read_text() == done.stdout)

    def test_what_cannot_be_reported(self):
        self.study("--no-report")
        for code, message, arguments in ((1, "nowhere/results.json", ["nowhere"]), (2, "RUN", []),
                                         (2, "found 2 and 0", ["here", "here"]),
                                         (2, "did you mean prior?", ["here", "--chart", "priro"]),
                                         (2, "ends in .html or .htm, found a.pdf", ["here", "--out", "a.pdf"]),
                                         (2, "ends in .svg, found a.png", ["here", "--chart", "prior", "--out", "a.png"]),
                                         (1, "/proc/nowhere", ["here", "--out", "/proc/nowhere/report.html"])):
            done = self.run_verb("report", *arguments)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(message, done.stderr)


if __name__ == "__main__":
    SLOPEWISE = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
