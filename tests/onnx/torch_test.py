"""Models as PyTorch exports them: loss and slope against PyTorch's own, in both widths."""

import math
import subprocess
import sys
import tempfile
import unittest
import warnings
from pathlib import Path

import numpy as np

try:
    import torch
    from torch.nn import functional as F
except ImportError:
    print("SKIPPED: PyTorch is not installed")
    sys.exit(77)

from torch_models import MODELS, as_after_training

SLOPE = Path(sys.argv.pop(1))
warnings.filterwarnings("ignore")
torch.manual_seed(1)


class TorchModels(unittest.TestCase):
    def compare(self, name, dtype, tolerance):
        make, example = MODELS[name]
        model = make().to(dtype).eval()
        as_after_training(model)
        if name == "bert":
            model.train()  # its shortcut for evaluation cannot be exported; nothing is dropped
        x = example()
        x = x.to(dtype) if x.is_floating_point() else x
        logits = model(x)
        label = torch.randint(0, logits.shape[-1], logits.shape[:-1])
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.onnx"
            torch.onnx.export(model, x, str(file), input_names=["x"], output_names=["y"], opset_version=14,
                              dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}},
                              training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
            np.savez(Path(folder) / "batch.npz", x=x.numpy(), label=label.numpy().astype(np.int32))
            run = subprocess.run([SLOPE, file, Path(folder) / "batch.npz",
                                  "double" if dtype == torch.float64 else "float", "cross-entropy"],
                                 capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stderr)
        n, loss, slope, pulled = run.stdout.split()

        reference = model.double()
        wide = x.double() if x.is_floating_point() else x
        y = reference(wide)
        expected = F.cross_entropy(y.reshape(-1, y.shape[-1]), label.reshape(-1))
        expected.backward()
        parameters = [p for p in reference.parameters() if p.grad is not None]
        terms = [(p.grad * torch.cos(37 * p.detach() + 1)) for p in parameters]
        exact = sum(float(t.sum()) for t in terms)
        scale = math.sqrt(sum(float((t**2).sum()) for t in terms))
        self.assertEqual(int(n), sum(p.numel() for p in parameters))
        self.assertLessEqual(abs(float(loss) - float(expected)), tolerance * abs(float(expected)))
        self.assertLessEqual(abs(float(slope) - exact), tolerance * max(abs(exact), scale))
        self.assertLessEqual(abs(float(pulled) - exact), tolerance * max(abs(exact), scale))


def add(name, dtype, tolerance):
    def test(self):
        self.compare(name, dtype, tolerance)

    setattr(TorchModels, f"test_{name}_{dtype}".replace("torch.", ""), test)


for each in MODELS:
    add(each, torch.float32, 1e-5)
    add(each, torch.float64, 1e-9)

if __name__ == "__main__":
    unittest.main()
