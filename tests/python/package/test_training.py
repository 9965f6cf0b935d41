"""Training: data of every kind, what is recorded, how it ends, reports and TensorBoard's files."""

import json
import struct

import numpy as np
import pytest

import slopewise as sw
from slopewise._events import _bytes, _varint, crc32c

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
    assert again._repr_html_().startswith("<iframe") and len(repr(again)) < 100
    shown = runs[0]._repr_html_()
    assert shown.startswith("<iframe") and shown.count('srcdoc="') == 1 and "<html" not in shown
    with pytest.raises(OSError, match="nowhere"):
        sw.report(tmp_path / "nowhere")
    with pytest.raises(ValueError):
        sw.report([])
    pandas = pytest.importorskip("pandas")
    assert isinstance(runs[0].to_pandas(), pandas.DataFrame)


def linear(**options):
    """x W, 6 numbers to 3 logits, from an ONNX file in memory (onnx.proto)."""
    def value(name, width):
        shape = _bytes(1, _bytes(2, b"rows")) + _bytes(1, b"\x08" + _varint(width))
        return _bytes(1, name) + _bytes(2, _bytes(1, b"\x08\x01" + _bytes(2, shape)))

    weight = np.random.default_rng(1).standard_normal((6, 3)).astype("<f4")
    node = _bytes(1, b"x") + _bytes(1, b"w") + _bytes(2, b"y") + _bytes(4, b"MatMul")
    graph = (_bytes(1, node) + _bytes(2, b"linear") + _bytes(11, value(b"x", 6)) + _bytes(12, value(b"y", 3))
             + _bytes(5, b"\x08\x06\x08\x03\x10\x01" + _bytes(8, b"w") + _bytes(9, weight.tobytes())))
    return sw.load(b"\x08\x08" + _bytes(8, b"\x10\x0d") + _bytes(7, graph), **options)


def test_labels_are_judged_unsmoothed_and_where_they_count():
    plain, model = linear(), linear(label_smoothing=0.3, ignore=-100)
    labels, counted = Y.copy(), np.arange(300) < 20  # the last of the batches that are evaluated has no label that counts
    labels[~counted] = -100
    loss, error = sw.evaluate(model, (X, labels))
    assert loss == pytest.approx(plain.loss((X[counted], Y[counted])), rel=1e-5)
    assert model.loss((X[counted], Y[counted])) != pytest.approx(loss, rel=1e-3)
    assert error == np.mean(plain.outputs((X[counted],)).argmax(axis=1) != Y[counted])
    run = sw.train(model, (X, labels), steps=2, batch=300, test={"label": labels, "x": X}, progress=False)
    assert (run.curve[-1]["test_loss"], run.curve[-1]["test_error"]) == sw.evaluate(model, (X, labels))
    with pytest.raises(ValueError, match="-100"):
        sw.evaluate(model, (X[20:40], labels[20:40]))


def test_evaluation_takes_any_number_of_examples(model):
    loss, error = sw.evaluate(model, (X, Y))  # more than one batch, the last a short one
    assert loss == pytest.approx(model.loss((X, Y)), rel=1e-5)
    assert error == np.mean(model.outputs((X,)).argmax(axis=1) != Y)
    numbers = sw.mlp(6, [4], 1, numbers=True)
    assert sw.evaluate(numbers, (X, X[:, :1])) == (pytest.approx(numbers.loss((X, X[:, :1])), rel=1e-5), None)
    square = sw.function(lambda x: float(x @ x), np.ones(3))
    assert sw.evaluate(square, None) == (3.0, None)
    for bad in ((X,), (X, Y[1:]), (X, Y + 5), (X, Y, Y), {"image": X}, (X[:0], Y[:0])):
        with pytest.raises(ValueError):
            sw.evaluate(model, bad)


@pytest.mark.parametrize("schedule, warm_up", [("constant", 0), ("cosine", 2)])
def test_a_rate_that_is_found_is_that_of_its_step(schedule, warm_up):
    """Training is estimate, learn at the schedule's pace, step at its share of the rate that was learned."""
    model, other = sw.mlp(6, [16], 3), sw.mlp(6, [16], 3)
    run = sw.train(model, [(X, Y)], steps=6, estimator=sw.Estimator(model, auto_rate=True, tangents=8), rate=0.5,
                   schedule=schedule, warm_up=warm_up, log_every=1, progress=False)
    source, stepper, rates = sw.Estimator(other, auto_rate=True, tangents=8), sw.Optimizer(other), []
    rate_of = sw.schedule(schedule, 0.5, final_rate=0 if schedule == "constant" else 0.005, steps=6, warm_up=warm_up)
    for step in range(6):
        found = source.estimate((X, Y))
        source.learn(found, rate_of(step) / 0.5)
        rates.append(rate_of(step) / 0.5 * source.rate)
        stepper.step(found, rates[-1])
    assert [line["rate"] for line in run.metrics] == rates and min(rates) > 0
    assert np.array_equal(model.theta, other.theta)
    assert "rate" not in run.results["config"]


@pytest.mark.parametrize("estimator", ["exact", "forward"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_rate_that_needs_no_search(estimator, optimizer):
    """"auto" is Optimizer.step_along, whose first rate is the slope over the curvature along the step, or a third of it."""
    model, other = (sw.mlp(6, [16], 3, dtype="float64") for _ in range(2))
    run = sw.train(model, [(X, Y)], steps=30, estimator=estimator, optimizer=optimizer, rate="auto", log_every=1,
                   progress=False)
    assert run.status == "finished" and run.results["config"]["rate"] == "auto"
    assert run.metrics[-1]["loss"] < run.metrics[0]["loss"]
    source = sw.Estimator(other, estimator, law="rank-one", tangents=8)
    stepper, plain = sw.Optimizer(other, optimizer), sw.Optimizer(other, optimizer)
    found, before = source.estimate((X, Y)), other.theta.copy()
    plain.step(found, 1.0)
    d = before - other.theta
    other.theta = before
    ratio = other.slopes((X, Y), d[np.newaxis])[0] / abs(other.curvatures((X, Y), d[np.newaxis])[0])
    loss, slope = other.jvp((X, Y), d)
    expected = min(ratio * (1 if estimator == "exact" else 1 / 3), 0.05 * loss / slope)
    assert stepper.step_along(found, (X, Y)) == pytest.approx(expected, rel=1e-6)
    assert stepper.step_along(source.estimate((X, Y)), (X, Y), share=0.0) == 0
    assert run.metrics[0]["rate"] == pytest.approx(expected, rel=1e-6)


def test_steps_that_slopes_make_go_a_third_as_far(model):
    """Whatever the estimate holds of them: those of activities are none of its coefficients."""
    rates = []
    for tangents in (0, 8):
        source = sw.Estimator(model, "activities", law="rademacher", tangents=tangents, prior="random-feedback",
                              correction="none" if tangents == 0 else "gated")
        stepper = sw.Optimizer(model)
        for _ in range(5):
            stepper.step(source.estimate((X, Y)), 0)  # of no account
        found, theta = source.estimate((X, Y)), model.theta.copy()
        d = found.dense()
        rate = stepper.step_along(found, (X, Y))
        model.theta = theta
        full = model.slopes((X, Y), d[np.newaxis])[0] / abs(model.curvatures((X, Y), d[np.newaxis])[0])
        loss, slope = model.jvp((X, Y), d)
        rates.append(rate / min(full * (1 if tangents == 0 else 1 / 3), 0.05 * loss / slope))
    assert rates == pytest.approx([1, 1], rel=1e-3)


def test_a_rate_along_steps_wants_a_network(model):
    square = sw.function(lambda x: float(x @ x), np.ones(3))
    with pytest.raises(ValueError, match="network"):
        sw.Optimizer(square).step_along(sw.Estimator(square).estimate())
    with pytest.raises(ValueError, match="share"):
        sw.Optimizer(model).step_along(sw.Estimator(model).estimate((X, Y)), (X, Y), share=-1)
    with pytest.raises(ValueError, match="another"):
        sw.Optimizer(model).step_along(sw.Estimator(sw.mlp(6, [16], 3)).estimate((X, Y)), (X, Y))
    with pytest.raises(ValueError, match="'fast'"):
        sw.train(model, [(X, Y)], steps=1, rate="fast", progress=False)


def test_objects_say_what_a_run_was(model):
    source = sw.Estimator(model, "momentum", law="rademacher", tangents=3, seed=7)
    run = sw.train(model, [(X, Y)], steps=2, estimator=source, optimizer=sw.Optimizer(model, "adam"), progress=False)
    assert run.results["seed"] == 7 and run.results["method"] == "momentum"
    assert run.results["config"] == {"optimizer": "adam", "schedule": "cosine", "law": "rademacher", "tangents": 3,
                                     "rate": 0.01}
    config = sw.train(model, (X, Y), steps=2, batch=1000, seed=5, progress=False).results["config"]
    assert config["batch"] == 300 and config["order_seed"] == 5


def test_objects_of_another_model_are_refused(model):
    other = sw.mlp(6, [16], 3)
    for options in ({"estimator": sw.Estimator(other)}, {"optimizer": sw.Optimizer(other)}):
        with pytest.raises(ValueError, match="another"):
            sw.train(model, (X, Y), steps=1, progress=False, **options)
    found = sw.estimate(other, (X, Y))
    for taker in (lambda: sw.Optimizer(model).step(found, 0.1), lambda: sw.Estimator(model, "momentum").learn(found)):
        with pytest.raises(ValueError, match="another"):
            taker()


def test_what_training_cannot_do_is_refused(model):
    theta = model.theta
    for data, options in (((X, Y), {"log_every": 0}), ((X, Y), {"log_every": -1}), ((X, Y), {"evaluate_every": 0}),
                          ((X, Y), {"evaluate_every": np.nan}), ((X, Y, X), {}), ({}, {}), ((X, 1), {}),
                          ((X, Y), {"batch": 0}), ((X, Y), {"steps": 0}), ((X, Y), {"epochs": np.nan})):
        with pytest.raises(ValueError):
            sw.train(model, data, progress=False, **options)
    assert np.array_equal(model.theta, theta)


def test_an_event_file_takes_no_number_beyond_float32(tmp_path):
    steep = sw.function(lambda x: 1e300 + float(x @ x), np.ones(2))
    run = sw.train(steep, [None], steps=3, log_every=1, tensorboard=tmp_path, progress=False)
    assert run.status == "diverged" and "step 1: loss is 1e+300" in run.results["message"] and len(run.metrics) == 1


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
