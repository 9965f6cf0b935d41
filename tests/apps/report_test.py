#!/usr/bin/env python3
"""`slopewise report` as a user meets it. Usage: report_test.py SLOPEWISE [UNITTEST OPTION]..."""

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

    def test_what_cannot_be_reported(self):
        self.study("--no-report")
        for code, message, arguments in ((1, "nowhere/results.json", ["nowhere"]), (2, "RUN", []),
                                         (2, "found 2 and 0", ["here", "here"]),
                                         (1, "/proc/nowhere", ["here", "--out", "/proc/nowhere/report.html"])):
            done = self.run_verb("report", *arguments)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(message, done.stderr)


if __name__ == "__main__":
    SLOPEWISE = sys.argv.pop(1)
    unittest.main()
