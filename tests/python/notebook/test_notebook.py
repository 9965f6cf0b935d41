"""The example notebook runs, and shows its charts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("nbconvert", reason="no nbconvert (Debian: jupyter-nbconvert)")
pytest.importorskip("ipykernel", reason="no kernel for notebooks (Debian: python3-ipykernel)")

NOTEBOOK = Path(__file__).parents[3] / "examples" / "python" / "notebook.ipynb"


def test_the_notebook(tmp_path):
    made = subprocess.run([sys.executable, "-m", "nbconvert", "--execute", "--to", "notebook", "--output-dir", str(tmp_path),
                           str(NOTEBOOK)], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    cells = json.loads((tmp_path / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    shown = [output["data"]["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    assert len(shown) == 4 and all("".join(each).startswith("<iframe") for each in shown)
    assert any("snr=" in "".join(output.get("text", "")) for output in outputs)
