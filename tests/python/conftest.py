"""Tests import from each other, and the models of tests/onnx."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path += [str(HERE / "package"), str(HERE.parent / "onnx")]
