"""The examples run, and so does what help() opens with."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import slopewise as sw

EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "python").glob("*.py"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_examples(file, capsys):
    try:
        runpy.run_path(str(file), run_name="__main__")
    except SystemExit as end:  # where its data are missing, which it says
        assert not end.code
        pytest.skip(capsys.readouterr().out.strip())
    assert capsys.readouterr().out


def test_the_first_lines_of_help():
    code = "\n".join(line.strip() for line in sw.__doc__.splitlines() if line.startswith("    "))
    names = {"x": np.zeros((3, 784), np.float32), "y": np.zeros(3, int)}
    exec(code, names)
    assert names["g"].loss > 0
