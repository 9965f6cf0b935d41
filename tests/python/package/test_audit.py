"""The audit: what it finds, shows and leaves, on data of every kind, and how it ends."""

import json
import signal
import threading

import numpy as np
import pytest

import slopewise as sw
from test_training import X, Y, linear

QUICK = {"seconds": 1, "samples": 8, "progress": False}


@pytest.fixture(scope="module")
def found():
    return sw.audit(sw.mlp(6, [16, 8], 3), (X, Y), batches=[20], tried="weights K=8", name="a model < 1",
                    **{**QUICK, "seconds": 4})


def test_it_says_how_to_train(found, tmp_path):
    model = sw.mlp(6, [16, 8], 3)
    assert found.best.method in found.sentence and found.best.rate > 0 and found.best.bytes > 0
    assert [method["name"] for method in found.methods][:2] == ["backprop", "checkpointed backprop"]
    assert "local losses K=8" in [method["name"] for method in found.methods]
    assert found.results["loss"] > 0 and found.results["parameters"] == model.size
    backprop = sw.Estimator(model, "exact").demand(64)
    assert found.methods[0]["costs"][1]["step_bytes"] >= backprop.bytes and found.methods[0]["costs"][0]["batch"] == 20
    tried = {method["name"] for method in found.methods if method["tried"]}
    assert {"backprop", "checkpointed backprop", "weights K=8"} >= tried  # a busy machine may have no time for any
    assert "weights K=8" in str(found) and found.sentence in repr(found)
    for choice in filter(None, (found.best, found.second)):
        assert choice.command.startswith("slopewise") and f"{choice.rate:.3g}" in choice.command
        if choice.options is None:
            with pytest.raises(ValueError, match="command line"):
                choice.estimator(model)
            continue
        run = sw.train(model, (X, Y), estimator=choice.estimator(model), optimizer="sgd", schedule="constant",
                       rate=choice.rate, steps=3, progress=False)
        assert run.status == "finished" and run.results["method"] == choice.options["name"]
        assert eval(choice.command, {"slopewise": sw, "model": model, "data": (X, Y)}).status == "finished"


def test_it_is_shown_and_kept(found, tmp_path):
    page = found.report()
    assert "How should this model be trained in this memory?" in page and "a model &lt; 1" in page
    assert found._repr_html_().startswith("<iframe") and "<html" not in found._repr_html_()
    found.save(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["audit.json"]
    document = json.loads((tmp_path / "audit.json").read_text())
    assert document["schema"] == "slopewise.audit/1" and document["machine"]["processor"]
    assert "2 audits" in sw.report([tmp_path, found], tmp_path / "report.html")
    with pytest.raises(ValueError, match="audits alone"):
        sw.report([found, sw.train(sw.mlp(6, [4], 3), (X, Y), steps=2, progress=False)])
    pandas = pytest.importorskip("pandas")
    table = found.to_pandas()
    assert isinstance(table, pandas.DataFrame) and list(table.index) == [each["name"] for each in found.methods]
    assert table.loc["backprop", "bytes"] > 0 and table.loc["backprop", "slowdown"] == pytest.approx(1, rel=0.5)
    assert np.isnan(table.loc["weights K=32", "tried_rate"]) and table["snr"].dtype == float


def test_the_same_seed_finds_the_same(found):
    """Whatever the data come as; times aside."""
    def figures(result):
        keep = {key: result.results[key] for key in ("loss", "noise", "curvature", "examples")}
        return json.dumps([keep, [method["predicted"] for method in result.methods]])

    batches = [(X[:100], Y[:100]), [X[100:], Y[100:]]]
    kinds = [{"image": X, "label": Y}, batches, (each for each in batches), (X.astype(np.float64), Y.tolist()),
             (np.asfortranarray(X), Y.astype(np.uint8))]
    seen = [figures(sw.audit(sw.mlp(6, [16, 8], 3), data, verify=False, **QUICK)) for data in kinds]
    assert all(each == seen[0] for each in seen)
    double = sw.audit(sw.mlp(6, [16, 8], 3, dtype="float64"), (X, Y), verify=False, **QUICK)
    assert double.results["examples"] == json.loads(seen[0])[0]["examples"]


def test_dataloaders():
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    loader = torch.utils.data.DataLoader(data, batch_size=100)
    assert sw.audit(sw.mlp(6, [4], 3), loader, verify=False, **QUICK).results["data"] == "image 300×6, label 300"


def test_it_starts_from_the_weights_as_they_are_and_leaves_them():
    model = linear()
    first = sw.audit(model, (X, Y), batch=300, verify=False, **QUICK)
    assert first.results["loss"] == pytest.approx(model.loss((X, Y)), rel=1e-5)
    named = sw.mlp(6, [8, 8], 3)
    assert "local losses K=8" in [each["name"] for each in sw.audit(named, (X, Y), verify=False, **QUICK).methods]
    sw.train(named, (X, Y), steps=30, rate=0.1, progress=False)
    theta = named.theta
    later = sw.audit(named, (X, Y), batch=300, verify=False, **QUICK)
    assert later.results["loss"] == pytest.approx(named.loss((X, Y)), rel=1e-5)
    assert "local losses K=8" not in [each["name"] for each in later.methods]
    assert np.array_equal(named.theta, theta)


def test_numbers_and_forward_only_and_little_memory():
    numbers = sw.mlp(6, [8], 2, numbers=True)
    target = X[:, :2].astype(np.float32)
    slopes = sw.audit(numbers, (X, target), forward_only=True, verify=False, **QUICK)
    assert slopes.results["noise"]["reference"] == "slopes alone" and slopes.results["forward_only"]
    least = slopes.results["least_bytes"]
    tight = sw.audit(numbers, (X, target), memory=least + 1, verify=False, **QUICK)
    assert tight.best is None and tight.results["memory"] == least + 1
    assert not tight.methods[0]["costs"][0]["fits"] and tight.results["noise"]["reference"] == "slopes alone"
    assert tight.results["recommendation"]["best"] is None and "audit" in tight.report()
    with pytest.raises(ValueError, match="^memory: expected at least"):
        sw.audit(numbers, (X, target), memory=1, **QUICK)


BAD = {
    "a function": (ValueError, "function", lambda m: sw.audit(sw.function(len, [0.0]), (X, Y))),
    "no labels": (ValueError, "label", lambda m: sw.audit(m, (X,))),
    "other rows": (ValueError, "300", lambda m: sw.audit(m, (X, Y[1:]))),
    "none": (ValueError, "", lambda m: sw.audit(m, (X[:0], Y[:0]))),
    "arrays in a list": (ValueError, "tuple or a dict", lambda m: sw.audit(m, [X, Y])),
    "an array": (ValueError, "tuple or a dict", lambda m: sw.audit(m, X)),
    "rows of a dict": (ValueError, "label", lambda m: sw.audit(m, {"image": X})),
    "no batches": (ValueError, "none", lambda m: sw.audit(m, [])),
    "another width": (ValueError, r"\(300, 6\)|\(rows, 6\)", lambda m: sw.audit(m, (X[:, 1:], Y))),
    "words": (TypeError, "image", lambda m: sw.audit(m, (X.astype(str), Y))),
    "float labels": (TypeError, "label", lambda m: sw.audit(m, (X, Y.astype(float)))),
    "labels out of range": (ValueError, "label", lambda m: sw.audit(m, (X, Y + 7), verify=False, **QUICK)),
    "NaN": (FloatingPointError, "", lambda m: sw.audit(m, (X * np.nan, Y), **QUICK)),
    "no time": (ValueError, "seconds", lambda m: sw.audit(m, (X, Y), seconds=0)),
    "NaN seconds": (ValueError, "seconds", lambda m: sw.audit(m, (X, Y), seconds=np.nan)),
    "few samples": (ValueError, "samples", lambda m: sw.audit(m, (X, Y), samples=1)),
    "no batch": (ValueError, "batch", lambda m: sw.audit(m, (X, Y), batch=0)),
    "a large batch": (ValueError, "^batches: expected 1 to 300", lambda m: sw.audit(m, (X, Y), batches=[301])),
    "an empty batch": (ValueError, "batches", lambda m: sw.audit(m, (X, Y), batches=[0])),
    "a method": (ValueError, "backprop", lambda m: sw.audit(m, (X, Y), tried=["magic"])),
    "no memory": (ValueError, "memory", lambda m: sw.audit(m, (X, Y), memory=0)),
}


@pytest.mark.parametrize("name", list(BAD))
def test_what_is_wrong_is_said(name):
    kind, message, call = BAD[name]
    with pytest.raises(kind, match=message):
        call(sw.mlp(6, [4], 3))


def test_ctrl_c_ends_it():
    model = sw.mlp(6, [16], 3)
    handler = signal.getsignal(signal.SIGINT)
    timer = threading.Timer(0.3, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        sw.audit(model, (X, Y), **{**QUICK, "seconds": 60, "samples": 10**6})
    timer.join()
    assert signal.getsignal(signal.SIGINT) is handler
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert sw.audit(model, (X, Y), verify=False, **QUICK).best


def test_progress_is_told_and_what_it_raises_is_raised():
    seen = []
    core, arrays = sw.mlp(6, [4], 3)._core, {"image": X, "label": Y}
    options = {"batch": 64, "seed": 1, "memory": 0, "forward_only": False, "verify": False, "seconds": 1.0, "samples": 8,
               "batches": [], "tried": []}
    sw._slopewise.audit(core, arrays, told=lambda done, what: seen.append((done, what)), **options)
    assert seen and all(0 <= done <= 1.0001 for done, _ in seen) and {"costs"} <= {what for _, what in seen}

    def raising(done, what):
        raise ArithmeticError(what)

    with pytest.raises(ArithmeticError, match="costs"):
        sw._slopewise.audit(core, arrays, told=raising, **options)
