"""Training: data of every kind, what is recorded, how it ends, reports and TensorBoard's files."""

import json
import struct

import numpy as np
import pytest

import slopewise as sw
from slopewise._events import crc32c

RANDOM = np.random.default_rng(3)
X = RANDOM.standard_normal((300, 6)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] > 0).astype(np.int64) + (X[:, 2] > 0.5)


@pytest.fixture
def model():
    return sw.mlp(6, [16], 3)


def test_it_trains_and_says_so(model):
    lines = []
    run = sw.train(model, (X, Y), epochs=20, batch=50, rate=0.1, tangents=16, test=(X, Y), evaluate_every=5,
                   callback=lines.append, progress=False, name="a run")
    assert run.status == "finished" and run.results["steps"] == 120 and len(run.curve) == 4
    assert [line["step"] for line in run.metrics] == list(range(10, 121, 10)) and lines == run.metrics
    assert run.curve[-1]["test_error"] < 0.3 < run.curve[0]["test_error"] + 0.3
    assert sw.evaluate(model, (X, Y)) == (run.curve[-1]["test_loss"], run.curve[-1]["test_error"])
    assert all(line["gradient_norm_low"] < line["gradient_norm"] < line["gradient_norm_high"] for line in run.metrics)
    assert run.metrics[0]["rate"] > run.metrics[-1]["rate"] and "a run" in repr(run)


def test_the_same_seed_gives_the_same_run():
    ends = []
    for threads in (1, 2):
        before = sw.threads()
        sw.set_threads(threads)
        model = sw.mlp(6, [16], 3)
        sw.train(model, {"label": Y, "image": X}, steps=7, progress=False, optimizer="adam", estimator="momentum")
        sw.set_threads(before)
        ends.append(model.theta)
    assert np.array_equal(*ends)


def test_every_example_of_an_epoch_is_seen_once(model):
    batches = sw._slopewise.Batches(300, 50, 1)
    seen = np.concatenate([batches.indices(step) for step in range(batches.per_epoch)])
    assert sorted(seen) == list(range(300)) and seen.tolist() != sorted(seen)
    assert batches.indices(batches.per_epoch).tolist() != batches.indices(0).tolist()


def test_iterables_are_gone_through_again(model):
    batches = [(X[i:i + 100], Y[i:i + 100]) for i in range(0, 300, 100)]
    assert sw.train(model, batches, epochs=2, progress=False).results["steps"] == 6
    once = sw.train(model, (each for each in batches), steps=5, progress=False)
    assert once.status == "stopped" and once.results["steps"] == 3 and "3 of 5" in once.results["message"]
    numbers = sw.mlp(6, [4], 1, numbers=True)
    assert sw.train(numbers, [[X, X[:, :1]]], epochs=3, test=(X, X[:, :1]), progress=False).curve[-1]["test_error"] is None
    for data, options in (((each for each in batches), {}), ((X, Y[1:]), {}), ((X, Y), {"schedule": "cosin"}),
                          ((X, Y), {"estimator": "backward"}), ((X, Y), {"rate": -1})):
        with pytest.raises(ValueError):
            sw.train(model, data, progress=False, **options)


def test_dataloaders(model):
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    loader = torch.utils.data.DataLoader(data, batch_size=100, shuffle=True)
    assert sw.train(model, loader, epochs=2, progress=False).results["epochs"] == 2


def test_it_ends_as_it_is_told(model):
    def at(step, error):
        def callback(line):
            if line["step"] == step:
                raise error

        return callback

    theta = model.theta
    for error, status in ((StopIteration(), "stopped"), (KeyboardInterrupt(), "interrupted")):
        run = sw.train(model, (X, Y), steps=50, log_every=1, callback=at(3, error), progress=False)
        assert run.status == status and run.results["steps"] == 3 == len(run.metrics)
        assert not np.array_equal(model.theta, theta)
    lost = sw.train(model, [(X, Y), (X * np.nan, Y)], epochs=3, progress=False)
    assert lost.status == "diverged" and lost.results["steps"] == 1 and "step 2" in lost.results["message"]
    with pytest.raises(ArithmeticError):
        sw.train(model, (X, Y), callback=at(10, ArithmeticError()), steps=20, progress=False)


def test_reports(model, tmp_path):
    runs = [sw.train(sw.mlp(6, [16], 3), (X, Y), steps=20, estimator=name, test=(X, Y), progress=False, name=f"{name} < 1")
            for name in ("forward", "exact")]
    page = sw.report(runs, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page and "exact &lt; 1" in page
    with pytest.raises(OSError):
        sw.report(runs, tmp_path / "nowhere" / "report.html")
    with pytest.raises(OSError):
        sw.report(runs, tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
    for run in runs:
        run.save(tmp_path / run.results["method"])
    again = sw.report([tmp_path / "forward", runs[1]])
    assert "2 training runs" in again
    json.loads((tmp_path / "forward" / "results.json").read_text())
    shown = runs[0]._repr_html_()
    assert shown.startswith("<iframe") and shown.count('srcdoc="') == 1 and "<html" not in shown
    with pytest.raises(OSError, match="nowhere"):
        sw.report(tmp_path / "nowhere")
    with pytest.raises(ValueError):
        sw.report([])
    pandas = pytest.importorskip("pandas")
    assert isinstance(runs[0].to_pandas(), pandas.DataFrame)


def fields(data):
    """(number, content) of a protobuf message."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    found = []
    while at < len(data):
        key = varint()
        size = {0: 0, 1: 8, 5: 4}.get(key & 7)
        if key & 7 == 0:
            found.append((key >> 3, varint()))
            continue
        if key & 7 == 2:
            size = varint()
        found.append((key >> 3, data[at:at + size]))
        at += size
    return found


def test_event_files(model, tmp_path):
    assert crc32c(b"123456789") == 0xE3069283 and crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    run = sw.train(model, (X, Y), steps=20, test=(X, Y), tensorboard=tmp_path, progress=False)
    file, = tmp_path.glob("events.out.tfevents.*")
    data, records = file.read_bytes(), []
    while data:
        length, = struct.unpack("<Q", data[:8])
        for content, at in ((data[:8], 8), (data[12:12 + length], 12 + length)):
            crc = crc32c(content)
            assert struct.unpack("<I", data[at:at + 4])[0] == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
        records.append(dict(fields(data[12:12 + length])))
        data = data[16 + length:]
    assert records[0][3] == b"brain.Event:2"
    values = {(record[2], dict(fields(value))[1].decode()): struct.unpack("<f", dict(fields(value))[2])[0]
              for record in records[1:] for _, value in fields(record[5])}
    assert values[10, "loss"] == pytest.approx(run.metrics[0]["loss"])
    assert values[20, "test_error"] == pytest.approx(run.curve[-1]["test_error"])
