"""What Python code does to a library: arrays of every kind, errors, threads, forks, and many calls."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc

import numpy as np
import pytest

import slopewise as sw
from test_models import batch_of


@pytest.fixture
def model():
    return sw.mlp(6, [8, 7], 3)


def unaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)
    made = np.frombuffer(memory, array.dtype, array.size, offset=1).reshape(array.shape)
    made[...] = array
    return made


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


LAYOUTS = {
    "float64": lambda x: x.astype(np.float64),
    "half": lambda x: x.astype(np.float16),
    "columns first": np.asfortranarray,
    "every other": lambda x: np.repeat(x, 2, axis=0)[::2],
    "backwards": lambda x: np.flip(np.ascontiguousarray(np.flip(x))),
    "big endian": lambda x: x.astype(">f4"),
    "unaligned": unaligned,
    "read only": read_only,
    "lists": lambda x: x.tolist(),
    "subclass": lambda x: x.view(np.matrix) if x.ndim == 2 else x,
    "memory view": lambda x: memoryview(np.ascontiguousarray(x)),
}


@pytest.mark.parametrize("name", list(LAYOUTS))
def test_arrays_of_every_layout_are_read_as_they_are(name, model):
    x, label = batch_of(model)
    x = x.astype(np.float16).astype(np.float32)  # what a half can hold
    assert model.loss((LAYOUTS[name](x), label)) == model.loss((x, label))
    g = model.gradient((x, label))
    v = g.astype(np.float16).astype(np.float32)
    assert model.jvp((x, label), LAYOUTS[name](v)) == model.jvp((x, label), v)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64, bool, ">i2"])
def test_integers_of_every_width(dtype, model):
    x, label = batch_of(model)
    assert model.loss((x, label.astype(dtype))) == model.loss((x, label))


def test_arrays_of_the_right_kind_are_not_copied():
    model = sw.mlp(1024, [4], 2)
    x, label = np.zeros((4096, 1024), np.float32), np.zeros(4096, np.int32)
    model.loss((x, label))

    def peak(array):
        tracemalloc.start()
        model.loss((array, label))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(x) < x.nbytes / 100
    assert peak(x.astype(np.float64)) >= x.nbytes


BAD = {
    "complex": (TypeError, "image", lambda m, x, y: m.loss((x.astype(complex), y))),
    "words": (TypeError, "image", lambda m, x, y: m.loss((x.astype(str), y))),
    "objects": (TypeError, "image", lambda m, x, y: m.loss((x.astype(object), y))),
    "float labels": (TypeError, "label.*integers", lambda m, x, y: m.loss((x, y.astype(float)))),
    "large labels": (ValueError, "label.*2147483647", lambda m, x, y: m.loss((x, y + 2**40))),
    "large unsigned labels": (ValueError, "label", lambda m, x, y: m.loss((x, y.astype(np.uint64) + 2**63))),
    "labels out of range": (ValueError, "label 11", lambda m, x, y: m.loss((x, y * 0 + 11))),
    "negative labels": (ValueError, "label -1", lambda m, x, y: m.loss((x, y * 0 - 1))),
    "wrong width": (ValueError, r"\(rows, 6\), found \(5, 5\)", lambda m, x, y: m.loss((x[:, 1:], y))),
    "wrong rows": (ValueError, r"\(5,\), found \(4,\)", lambda m, x, y: m.loss((x, y[1:]))),
    "wrong axes": (ValueError, "image", lambda m, x, y: m.loss((x[0], y))),
    "a number": (ValueError, "image", lambda m, x, y: m.loss(3.0)),
    "nothing": (ValueError, "image", lambda m, x, y: m.loss(None)),
    "empty": (ValueError, "image.*none", lambda m, x, y: m.loss((x[:0], y[:0]))),
    "no columns": (ValueError, "image", lambda m, x, y: m.loss((x[:, :0], y))),
    "no label": (ValueError, "label", lambda m, x, y: m.loss((x,))),
    "too many": (ValueError, "3", lambda m, x, y: m.loss((x, y, y))),
    "another name": (ValueError, "did you mean image", lambda m, x, y: m.loss({"imagee": x, "label": y})),
    "NaN": (FloatingPointError, "image", lambda m, x, y: m.loss((x * np.nan, y))),
    "infinite": (FloatingPointError, "image", lambda m, x, y: m.loss((x + np.inf, y))),
    "NaN in tangents": (FloatingPointError, "", lambda m, x, y: m.jvp((x, y), np.full(m.size, np.nan))),
    "short tangents": (ValueError, "tangents", lambda m, x, y: m.slopes((x, y), np.zeros((2, 3)))),
    "no tangents": (ValueError, "tangents", lambda m, x, y: m.slopes((x, y), np.zeros((0, m.size)))),
    "a law": (ValueError, "did you mean gaussian", lambda m, x, y: sw.estimate(m, (x, y), law="gausian")),
    "an estimator": (ValueError, "estimator", lambda m, x, y: sw.estimate(m, (x, y), estimator="backward")),
    "an option": (TypeError, "nonsense", lambda m, x, y: sw.estimate(m, (x, y), nonsense=1)),
    "no slopes": (ValueError, "tangents", lambda m, x, y: sw.estimate(m, (x, y), tangents=0)),
    "a step": (TypeError, "", lambda m, x, y: sw.estimate(m, (x, y), step=-1)),
    "a network": (ValueError, "did you mean", lambda m, x, y: sw.network("mlq", 6, 3)),
    "a width": (ValueError, "float16", lambda m, x, y: sw.mlp(6, dtype="float16")),
    "a negative width": (ValueError, "", lambda m, x, y: sw.mlp(6, [-1])),
    "no file": (OSError, "nowhere.onnx", lambda m, x, y: sw.load("nowhere.onnx")),
    "no ONNX": (OSError, "memory", lambda m, x, y: sw.load(b"abc")),
    "a loss": (ValueError, "cross-entropy", lambda m, x, y: sw.load(b"abc", loss="cross")),
    "saving": (ValueError, "ONNX", lambda m, x, y: m.save("model.onnx")),
    "a rate": (ValueError, "rate", lambda m, x, y: sw.Optimizer(m).step(m.gradient((x, y)), -1)),
    "a schedule": (ValueError, "cosine", lambda m, x, y: sw.schedule("cosin", 1)),
    "threads": (ValueError, "threads", lambda m, x, y: sw.set_threads(0)),
    "points": (ValueError, r"\(n,\)", lambda m, x, y: sw.function(len, np.zeros((2, 2)))),
    "an epsilon": (ValueError, "epsilon", lambda m, x, y: sw.function(len, [0.0], epsilon=0)),
    "values": (ValueError, r"\(3,\)", lambda m, x, y: sw.estimate(sw.function(np.sum, [0.0], vectorised=True))),
    "no value": (TypeError, "", lambda m, x, y: sw.function(lambda t: None, [0.0]).loss()),
    "NaN of a function": (FloatingPointError, "nan", lambda m, x, y: sw.function(lambda t: np.nan, [0.0]).loss()),
    "a NaN factor": (ValueError, "factor", lambda m, x, y: sw.estimate(m, (x, y)).add_to(np.nan)),
    "an infinite factor": (ValueError, "factor", lambda m, x, y: sw.estimate(m, (x, y)).add_to(-np.inf)),
    "a large factor": (ValueError, "factor.*float32", lambda m, x, y: sw.estimate(m, (x, y)).add_to(1e300)),
    "a factor of a vector": (ValueError, "factor", lambda m, x, y: m.add(np.ones(m.size), np.nan)),
    "a NaN gradient": (FloatingPointError, "gradient", lambda m, x, y: m.add(np.full(m.size, np.nan), 1)),
    "a large gradient": (FloatingPointError, "gradient", lambda m, x, y: m.add(np.full(m.size, 1e300), 1)),
    "a large theta": (FloatingPointError, "theta", lambda m, x, y: setattr(m, "theta", np.full(m.size, -1e300))),
    "a large parameter": (FloatingPointError, "linear1.bias", lambda m, x, y: m.parameters.update(
        {"linear1.bias": np.full(m.parameters["linear1.bias"].shape, 1e39)})),
    "a function's batch": (ValueError, "batch", lambda m, x, y: sw.function(len, [0.0]).loss(x)),
}


@pytest.mark.parametrize("name", list(BAD))
def test_what_is_wrong_is_said(name, model):
    kind, message, call = BAD[name]
    x, label = batch_of(model)
    before = model.loss((x, label))
    with pytest.raises(kind, match=message):
        call(model, x, label)
    assert model.loss((x, label)) == before


def test_what_a_function_raises_comes_through():
    class Own(Exception):
        pass

    def raising(error):
        def f(theta):
            raise error

        return f

    for error in (Own("x"), KeyboardInterrupt(), StopIteration()):
        with pytest.raises(type(error)):
            sw.estimate(sw.function(raising(error), [0.0, 1.0]), tangents=2)


def test_a_function_that_asks_for_itself_is_told():
    f = sw.function(lambda theta: f.loss(), [0.0])
    with pytest.raises(RuntimeError, match="at work"):
        f.loss()


def test_arrays_may_go_before_estimates_do():
    model = sw.mlp(6, [8, 7], 3)
    g = sw.estimate(model, batch_of(model), law="rank-one", tangents=3)
    dense, theta = g.dense(), model.theta
    optimizer, source = sw.Optimizer(model), sw.Estimator(model)
    del model
    gc.collect()
    np.full(10**6, 1.0)
    assert np.array_equal(g.dense(), dense)
    g.add_to(1.0)
    assert g._model.theta == pytest.approx(theta + dense, rel=1e-5, abs=1e-6)
    optimizer.step(dense, 1.0)
    assert source.estimate(batch_of(g._model)).dense().shape == dense.shape


def test_threads_take_turns():
    shared = sw.mlp(20, [64, 64], 3)
    batches = [batch_of(shared, 32, seed) for seed in range(8)]
    expected = [(shared.loss(b), shared.gradient(b), sw.estimate(shared, b, tangents=2, step=0).dense()) for b in batches]
    g = sw.estimate(shared, batches[0], tangents=2, step=1)
    wrong = []

    def work(i):
        own = sw.mlp(20, [64, 64], 3)
        for repeat in range(10):
            at = (i + repeat) % len(batches)
            for model in (shared, own):
                estimate = sw.estimate(model, batches[at], tangents=2, step=0)
                found = (model.loss(batches[at]), model.gradient(batches[at]), estimate.dense())
                if not all(np.array_equal(a, b) for a, b in zip(found, expected[at])):
                    wrong.append((i, repeat))
            g.dense()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_function_serves_several_threads():
    f = sw.function(lambda theta: time.sleep(0.0005) or float(theta @ theta), np.ones(3))
    found = []
    threads = [threading.Thread(target=lambda: found.append(sw.estimate(f, tangents=2, step=0).slopes.tolist()))
               for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(each == found[0] for each in found)


def test_python_goes_on_while_the_library_works():
    model = sw.mlp(1024, [1024, 1024], 10)
    batch = batch_of(model, 1024)
    interval = sys.getswitchinterval()
    seen = []

    def work(started, done):
        started.set()
        model.gradient(batch)
        done.set()

    sys.setswitchinterval(1000)  # nobody is asked to give the lock away
    try:
        while len(seen) < 50 and False not in seen:  # a busy machine may wake this thread late
            started, done = threading.Event(), threading.Event()
            thread = threading.Thread(target=work, args=(started, done))
            thread.start()
            started.wait()
            seen.append(done.is_set())
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert False in seen


def test_a_forked_process_works_on():
    model = sw.mlp(300, [256, 256], 3)
    batch = batch_of(model, 300)
    sw.set_threads(2)
    sw.audit(sw.mlp(6, [4], 3), batch_of(sw.mlp(6, [4], 3), 50), batch=20, samples=8, verify=False, seconds=1, progress=True)
    expected = model.loss(batch), model.gradient(batch)
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        same = model.loss(batch) == expected[0] and np.array_equal(model.gradient(batch), expected[1])
        small, data = sw.mlp(6, [8, 7], 3), batch_of(sw.mlp(6, [8, 7], 3), 100)
        same = same and sw.audit(small, data, samples=8, verify=False, seconds=1, progress=False).methods
        same = same and sw.train(small, data, steps=3, progress=False).status == "finished"
        try:
            sw.set_threads(2)
            same = False
        except RuntimeError:
            pass
        os._exit(0 if same and sw.threads() == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_many_calls_leave_nothing_behind():
    model = sw.mlp(3, [4], 2)
    x, label = batch_of(model, 2)
    batch = (x, label)
    f = sw.function(lambda theta: 1.0, [0.0, 1.0])

    def calls(count):
        for _ in range(count):
            g = sw.estimate(model, batch, law="rank-one", tangents=2)
            g.add_to(1e-6)
            g.dense()
            model.loss({"image": x, "label": label})
            f.loss()
            try:
                model.loss((x, x))
            except TypeError:
                pass

    def held():
        gc.collect()
        objects = (x, label, batch, model, f, np.dtype(np.float32), np.dtype(np.int32), None)
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[1])
        return [sys.getrefcount(each) for each in objects[:5]], [sys.getrefcount(each) for each in objects[5:]], pages

    calls(200)
    before = held()
    calls(3000)
    for _ in range(10**5):
        model.loss(batch)
    after = held()
    assert after[0] == before[0]
    assert all(abs(a - b) < 300 for a, b in zip(after[1], before[1]))
    assert after[2] - before[2] < 256  # pages: 1 MiB


def test_others_keep_their_threads_of_openblas():
    code = """
import ctypes
blas = ctypes.CDLL("libopenblas.so.0")
blas.openblas_set_num_threads(3)
import numpy as np, slopewise as sw
def f(theta):
    seen.append(blas.openblas_get_num_threads())
    return 0.0
seen = [blas.openblas_get_num_threads()]
sw.function(f, [0.0]).loss()
sw.tangents([(4,)], "frame", 3)
sw.mlp(4, [5], 3).loss((np.zeros((2, 4)), [0, 1]))
seen.append(blas.openblas_get_num_threads())
print(seen)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "[3, 1, 3]", run.stderr
