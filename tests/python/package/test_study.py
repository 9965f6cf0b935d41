"""The study: what it measures, shows and leaves, on data of every kind, and how it ends."""

import signal
import threading

import numpy as np
import pytest

import slopewise as sw

QUICK = {"quick": True, "hidden": [8], "progress": False}
RANDOM = np.random.default_rng(5)
IMAGES, LABELS = RANDOM.random((80, 8, 8), np.float32), RANDOM.integers(0, 3, 80)


@pytest.fixture(scope="module")
def found():
    return sw.study((IMAGES, LABELS), claims=["unbiased", "backward-cost"], **QUICK)


def test_it_measures_what_was_asked(found, tmp_path):
    assert list(found.claims) == ["unbiased", "backward-cost"] and found.status == "finished"
    assert set(found.claims) < set(sw.claims())
    claim = found["unbiased"]
    assert claim["predicted"] == 1 and claim["low"] < 1 < claim["high"] and claim["verdict"] == "holds"
    assert found.results["parameters"] == 64 * 8 + 8 + 8 * 3 + 3 and found.results["machine"]["processor"]
    assert "unbiased" in str(found) and "holds" in repr(found)
    assert "<iframe" in found._repr_html_() and "E[g] = ∇" in found.report()
    found.save(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["results.json"]
    assert "E[g] = ∇" in sw.report(tmp_path, tmp_path / "report.html")
    pandas = pytest.importorskip("pandas")
    table = found.to_pandas()
    assert isinstance(table, pandas.DataFrame) and table.loc["unbiased", "predicted_low"] == 1
    assert table.loc["backward-cost", "predicted_high"] == 4


def test_data_of_every_kind(found, tmp_path):
    same = sw.study([IMAGES[..., np.newaxis].astype(np.float64), LABELS.tolist()], claims=["unbiased"], **QUICK)
    assert same["unbiased"]["measured"] == found["unbiased"]["measured"]
    np.savez(tmp_path / "data.npz", x_train=(255 * IMAGES).astype(np.uint8), y_train=LABELS, x_test=IMAGES, y_test=LABELS)
    assert sw.study(tmp_path / "data.npz", claims="memory", **QUICK)["memory"]["verdict"] == "holds"
    assert "digits" in sw.study(claims=["memory"], **QUICK).results["data"]


def test_a_model_of_ones_own():
    x, y = RANDOM.normal(size=(80, 12)).astype(np.float32), RANDOM.integers(0, 3, 80)
    model = sw.mlp(12, [8, 8], 3, seed=2)
    theta = model.theta.copy()
    found = sw.study((x, y), model=model, quick=True, progress=False, name="mine")
    assert np.array_equal(model.theta, theta)
    assert found.results["model"] == "mine" and found.results["parameters"] == model.size
    assert {claim["verdict"] for claim in found.claims.values() if not claim["timed"]} == {"holds"}
    assert "several sizes" in found.left_out["snr-scaling"] and not set(found.left_out) & set(found.claims)
    assert found.left_out["snr-scaling"] in found.report()
    for batches in ({"x": x, "y": y}, iter([(x[:40], y[:40]), (x[40:], y[40:])])):
        if isinstance(batches, dict):
            batches = dict(zip((each.name for each in model.inputs), batches.values()))
        same = sw.study(batches, model=model, claims="unbiased", quick=True, progress=False)
        assert same["unbiased"]["measured"] == found["unbiased"]["measured"]
    assert sw.study(model="logistic", claims="memory", quick=True, progress=False).results["model"] == "logistic 784-10"


MODEL = sw.mlp(64, [8], 3)

BAD = {
    "a claim of perceptrons": (ValueError, "snr-scaling cannot be put to the model", lambda: sw.study(
        (IMAGES.reshape(80, -1), LABELS), model=MODEL, claims="snr-scaling")),
    "a model without data": (ValueError, "data", lambda: sw.study(model=MODEL)),
    "a model and widths": (ValueError, "hidden", lambda: sw.study((IMAGES.reshape(80, -1), LABELS), model=MODEL, hidden=[8])),
    "labels beyond the model's": (ValueError, "3", lambda: sw.study((IMAGES.reshape(80, -1), LABELS + 1), model=MODEL)),
    "a network nobody knows": (ValueError, "mixer", lambda: sw.study(model="mixr")),
    "a function": (ValueError, "found a function", lambda: sw.study((), model=sw.function(lambda t: t.sum(), np.ones(200)))),
    "no widths": (ValueError, "logistic", lambda: sw.study(hidden=[])),
    "a batch of one": (ValueError, "batch", lambda: sw.study(batch=1)),
    "a claim": (ValueError, "unbiased", lambda: sw.study(claims=["unbaised"])),
    "no claim": (ValueError, "claims", lambda: sw.study(claims=[])),
    "no labels": (ValueError, "images, labels", lambda: sw.study((IMAGES,))),
    "other rows": (ValueError, r"\(80,\)", lambda: sw.study((IMAGES, LABELS[1:]))),
    "negative labels": (ValueError, "labels", lambda: sw.study((IMAGES, LABELS - 1))),
    "huge labels": (ValueError, "labels", lambda: sw.study((IMAGES, LABELS + 2**30))),
    "one class": (ValueError, "2 classes", lambda: sw.study((IMAGES, LABELS * 0))),
    "float labels": (TypeError, "labels", lambda: sw.study((IMAGES, LABELS * 1.0))),
    "numbers": (ValueError, "data", lambda: sw.study((np.arange(80.0), LABELS))),
    "none": (ValueError, "data", lambda: sw.study((IMAGES[:0], LABELS[:0]))),
    "rows": (ValueError, "images", lambda: sw.study((IMAGES.reshape(80, -1), LABELS), **QUICK)),
    "NaN": (FloatingPointError, "", lambda: sw.study((IMAGES * np.nan, LABELS), claims=["unbiased"], **QUICK)),
    "no file": (OSError, "nowhere", lambda: sw.study("nowhere")),
    "a number": (TypeError, "", lambda: sw.study(3)),
    "a batch": (ValueError, "batch", lambda: sw.study((IMAGES, LABELS), batch=81)),
    "a width": (ValueError, "", lambda: sw.study((IMAGES, LABELS), **{**QUICK, "hidden": [0]})),
}


@pytest.mark.parametrize("name", list(BAD))
def test_what_is_wrong_is_said(name):
    kind, message, call = BAD[name]
    with pytest.raises(kind, match=message):
        call()


def test_ctrl_c_keeps_what_was_measured():
    handler = signal.getsignal(signal.SIGINT)

    def told(done, what):
        if what == "alignment":
            signal.raise_signal(signal.SIGINT)

    document, interruption = sw._slopewise.study(None, "mlp", (IMAGES, LABELS), ["unbiased", "alignment", "memory"], [64], 64, 1,
                                                      True, told)
    assert '"unbiased"' in document and '"memory"' not in document and "interrupted" in interruption
    timer = threading.Timer(0.2, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        sw.study((IMAGES, LABELS), claims=["snr-scaling"], progress=False)
    timer.join()
    assert signal.getsignal(signal.SIGINT) is handler
    assert sw.study((IMAGES, LABELS), claims=["memory"], **QUICK).status == "finished"


def test_other_threads_leave_ctrl_c_to_python():
    ends = []
    thread = threading.Thread(target=lambda: ends.append(sw.study((IMAGES, LABELS), claims=["unbiased"], **QUICK).status))
    with pytest.raises(KeyboardInterrupt):
        thread.start()
        signal.raise_signal(signal.SIGINT)
    thread.join()
    assert ends == ["finished"]
