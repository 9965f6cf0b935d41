"""Bars: tqdm's where it is installed, else the command line's."""

import subprocess
import sys

import pytest

CODE = """
import sys, time
if {without}:
    sys.modules["tqdm"] = sys.modules["tqdm.auto"] = None
from slopewise._progress import Bar
try:
    with Bar("work", 4, "step", shown={shown}) as bar:
        bar.to(1, "the first")
        time.sleep({seconds})
        bar.to(2)
        if {fails}:
            raise ArithmeticError
except ArithmeticError:
    pass
"""


def shown_by(without, shown=True, seconds=0, fails=False):
    code = CODE.format(without=without, shown=shown, seconds=seconds, fails=fails)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "", done.stderr
    return done.stderr


def test_without_tqdm_it_is_the_command_lines():
    assert "work: stopped at 50 %" in shown_by(True, seconds=2.2, fails=True)
    assert shown_by(True) == ""  # nothing of what takes no time


def test_tqdms():
    pytest.importorskip("tqdm")
    done, failed = shown_by(False), shown_by(False, fails=True)
    assert "4/4" in done and "the first" in done and "2/4" in failed and "4/4" not in failed


def test_quiet():
    assert shown_by(False, shown=False) == "" == shown_by(True, shown=False)
