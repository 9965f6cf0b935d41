"""Estimators by scikit-learn's convention, held to its own checks."""

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="no scikit-learn (Debian: python3-sklearn)")
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import slopewise as sw
from slopewise.sklearn import SlopewiseClassifier, SlopewiseRegressor

RANDOM = np.random.default_rng(7)
X = RANDOM.standard_normal((120, 5))
LABELS = np.array(["low", "middle", "high"])[np.digitize(X[:, 0] + X[:, 1], [-0.7, 0.7])]
NUMBERS = 3 + X[:, 0] - 2 * np.abs(X[:, 1])


def classifier(**options):
    return SlopewiseClassifier(**{"hidden": (16,), "steps": 80, "random_state": 1, **options})


def regressor(**options):
    return SlopewiseRegressor(**{"hidden": (16,), "steps": 120, "random_state": 1, **options})


@parametrize_with_checks([classifier(), regressor()])
def test_scikit_learns_own_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def test_words_are_told_apart():
    made = classifier(steps=300).fit(X, LABELS)
    assert made.classes_.tolist() == ["high", "low", "middle"] and made.score(X, LABELS) > 0.8
    proba = made.predict_proba(X)
    assert proba.shape == (120, 3) and proba.sum(axis=1) == pytest.approx(1)
    assert np.array_equal(made.classes_[proba.argmax(axis=1)], made.predict(X))
    assert made.run_.status == "finished" and made.run_.metrics[-1]["loss"] < 0.5
    again = classifier(steps=300).fit(X.astype(np.float32).astype(float), LABELS.astype(object))
    assert again.score(X, LABELS) > 0.8


@pytest.mark.parametrize("estimator", ["exact", "forward"])
def test_any_estimator_fits(estimator):
    made = regressor(estimator=estimator, steps=400, tangents=16).fit(X, NUMBERS)
    assert made.score(X, NUMBERS) > 0.7
    with pytest.raises(ValueError, match="estimator"):
        regressor(estimator="backward").fit(X, NUMBERS)


def test_one_seed_one_fit_and_copies_say_the_same():
    made = classifier().fit(X, LABELS)
    for copy in (clone(made).fit(X, LABELS), pickle.loads(pickle.dumps(made))):
        assert np.array_equal(copy.predict_proba(X), made.predict_proba(X))
    other = classifier(random_state=2).fit(X, LABELS)
    assert not np.array_equal(other.theta_, made.theta_)
    assert pickle.loads(pickle.dumps(classifier())).get_params() == classifier().get_params()
    one, two = regressor(random_state=np.random.RandomState(3)), regressor(random_state=np.random.RandomState(3))
    assert np.array_equal(one.fit(X, NUMBERS).theta_, two.fit(X, NUMBERS).theta_)


def test_targets_of_every_shape():
    flat = regressor().fit(X, NUMBERS)
    with pytest.warns(DataConversionWarning):
        column = regressor().fit(X, NUMBERS[:, np.newaxis])
    assert np.array_equal(column.predict(X), flat.predict(X)) and flat.predict(X).shape == (120,)
    both = regressor(steps=400).fit(X, np.stack([NUMBERS, 1000 * X[:, 2]], axis=1))
    assert both.predict(X).shape == (120, 2) and both.score(X, np.stack([NUMBERS, 1000 * X[:, 2]], axis=1)) > 0.8
    with pytest.warns(DataConversionWarning):
        assert classifier().fit(X, LABELS[:, np.newaxis]).predict(X).shape == (120,)
    constant = regressor().fit(X, np.full(120, 5.0))
    assert constant.predict(X) == pytest.approx(5, abs=2)
    alone = regressor().fit(X[:1], NUMBERS[:1])
    assert alone.predict(X[:1]) == pytest.approx(NUMBERS[:1], abs=1)
    columns = regressor().fit(np.hstack([X, np.full((120, 1), 1e9)]), NUMBERS)
    assert np.isfinite(columns.predict(np.hstack([X, np.full((120, 1), 1e9)]))).all()


def test_data_frames_keep_their_names():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcde"))
    made = classifier().fit(frame, pandas.Series(LABELS, dtype="category"))
    assert made.feature_names_in_.tolist() == list("abcde")
    assert np.array_equal(made.predict(frame), classifier().fit(X, LABELS).predict(X))
    with pytest.raises(ValueError, match="feature names"):
        made.predict(frame[list("edcba")])


def test_pipelines_and_searches():
    search = GridSearchCV(make_pipeline(StandardScaler(), classifier()), {"slopewiseclassifier__hidden": [(4,), (8, 8)]}, cv=2)
    assert search.fit(X, LABELS).best_score_ > 0.5


BAD = {
    "one class": ("one class, 'low'", lambda: classifier().fit(X, np.full(120, "low"))),
    "a single sample": ("one class", lambda: classifier().fit(X[:1], LABELS[:1])),
    "NaN": ("NaN", lambda: classifier().fit(np.where(X > 2, np.nan, X), LABELS)),
    "infinite targets": ("infinity", lambda: regressor().fit(X, np.where(X[:, 0] > 1, np.inf, 0))),
    "other rows": ("inconsistent", lambda: classifier().fit(X, LABELS[1:])),
    "none": ("0 sample", lambda: classifier().fit(X[:0], LABELS[:0])),
    "no columns": ("0 feature", lambda: classifier().fit(X[:, :0], LABELS)),
    "one axis": ("2D", lambda: regressor().fit(X[:, 0], NUMBERS)),
    "numbers for labels": ("continuous", lambda: classifier().fit(X, NUMBERS)),
    "a width": ("", lambda: classifier(hidden=(0,)).fit(X, LABELS)),
    "no steps": ("steps", lambda: classifier(steps=0).fit(X, LABELS)),
    "a rate": ("rate", lambda: classifier(rate=-1).fit(X, LABELS)),
    "other columns": ("features", lambda: classifier().fit(X, LABELS).predict(X[:, :3])),
}


@pytest.mark.parametrize("name", list(BAD))
def test_what_is_wrong_is_said(name):
    message, call = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_it_must_be_fitted():
    for made in (classifier(), regressor()):
        with pytest.raises(NotFittedError):
            made.predict(X)


def test_a_fit_that_fails_leaves_the_one_before():
    made = classifier().fit(X, LABELS)
    before = made.predict_proba(X)
    with pytest.raises(ValueError):
        made.set_params(rate=-1).fit(X + 5, LABELS)
    assert np.array_equal(made.predict_proba(X), before)
    with pytest.raises(ValueError):
        (never := classifier(rate=-1)).fit(X, LABELS)
    with pytest.raises(NotFittedError):
        never.predict(X)


def test_how_a_fit_may_end(monkeypatch):
    with pytest.warns(ConvergenceWarning, match="diverged"):
        regressor(optimizer="sgd", estimator="exact", rate=1e12, schedule="constant").fit(X, 1e3 * NUMBERS)

    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(sw.Estimator, "estimate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        classifier().fit(X, LABELS)
