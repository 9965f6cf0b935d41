"""Perceptrons by scikit-learn's convention: fit, predict, score, in its pipelines, searches and validations.

    from slopewise.sklearn import SlopewiseClassifier

    classifier = SlopewiseClassifier(hidden=(64,), tangents=16, random_state=1).fit(x, y)
    print(classifier.score(x_test, y_test), classifier.run_.metrics[-1]["loss"])

Needs scikit-learn 1.2 or later (Debian: python3-sklearn).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from slopewise._estimate import Estimator
from slopewise._model import Model, mlp
from slopewise._train import train

__all__ = ["SlopewiseClassifier", "SlopewiseRegressor"]


def _scaling(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each column, 1 where that is nothing but rounding, as of a constant."""
    mean, deviation = columns.mean(axis=0), columns.std(axis=0)
    nothing = 10 * np.finfo(columns.dtype).eps * np.abs(mean)
    return mean, np.where(deviation > nothing, deviation, 1)


class _Perceptron(BaseEstimator):
    """What the classifier and the regressor share."""

    def __init__(self, hidden: Sequence[int] = (100,), *, estimator: str = "activities", law: str = "rademacher",
                 tangents: int = 8, optimizer: str = "adam", rate: float = 1e-2, schedule: str = "cosine",
                 steps: int = 500, batch: int = 64, random_state: Any = None) -> None:
        self.hidden = hidden
        self.estimator = estimator
        self.law = law
        self.tangents = tangents
        self.optimizer = optimizer
        self.rate = rate
        self.schedule = schedule
        self.steps = steps
        self.batch = batch
        self.random_state = random_state

    def _train(self, x: np.ndarray, y: np.ndarray, outputs: int) -> None:
        """Fits to y: labels (rows,), or numbers (rows, outputs). What was fitted before stays where this raises."""
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        mean, scale = _scaling(x)
        model = self._network(x.shape[1], outputs, seed, "float32")
        source = Estimator(model, self.estimator, law=self.law, tangents=self.tangents, seed=seed)
        run = train(model, ((x - mean) / scale, y), steps=self.steps, batch=self.batch, rate=self.rate, schedule=self.schedule,
                    optimizer=self.optimizer, estimator=source, seed=seed, progress=False, name=type(self).__name__)
        if run.status == "interrupted":
            raise KeyboardInterrupt
        if run.status != "finished":
            warnings.warn(f"{run.status}: {run.results['message']}; the weights are those before", ConvergenceWarning,
                          stacklevel=3)
        self.run_, self.theta_, self.mean_, self.scale_, self._outputs = run, model.theta, mean, scale, outputs

    def _network(self, inputs: int, outputs: int, seed: int, dtype: str) -> Model:
        return mlp(inputs, list(self.hidden), outputs, numbers=self._numbers, seed=seed, dtype=dtype)

    def _answers(self, x: Any) -> np.ndarray:
        """The network's outputs (rows, outputs), in double: what it says of a row hardly depends on those beside it."""
        check_is_fitted(self, "theta_")
        x = self._validate_data(x, reset=False, dtype=np.float64)
        model = self._network(x.shape[1], self._outputs, 1, "float64")
        model.theta = self.theta_
        return model.outputs(((x - self.mean_) / self.scale_,))


_PARAMETERS = """hidden: the widths of the rectified layers, at least one for "activities". estimator, law, tangents: what
    makes gradients, one of estimators(), laws(), and how many tangents K; "exact" is backprop. optimizer, rate, schedule,
    steps, batch: of train. random_state: of the first weights, the order of examples and the tangents; None: others each
    time.

    Columns are scaled by their mean and deviation in the training data. """


class SlopewiseClassifier(ClassifierMixin, _Perceptron):
    __doc__ = f"""A perceptron that tells classes apart, trained by gradient estimates (see train).

    {_PARAMETERS}After fit: `classes_`, the labels; `theta_`, the weights, (n,);
    `run_`, what train said of it; `mean_` and `scale_` of the columns; `n_features_in_` and, from a DataFrame,
    `feature_names_in_`.
    """

    _numbers = False

    def fit(self, X: Any, y: Any) -> SlopewiseClassifier:
        """Trains on X (rows, columns) and labels y (rows,), of any type that sorts. ValueError for what does not fit, a NaN,
        or labels of one class; KeyboardInterrupt for Ctrl-C; a ConvergenceWarning where the loss does not stay finite."""
        x, y = self._validate_data(X, y, dtype=np.float64)
        check_classification_targets(y)
        classes, labels = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y: expected labels of 2 classes or more, found one class, {classes[0]!r}")
        self._train(x, labels, len(classes))
        self.classes_ = classes
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each of `classes_`, (rows, classes)."""
        logits = self._answers(X)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """The label of the largest probability for each row, (rows,)."""
        best = self._answers(X).argmax(axis=1)
        return self.classes_[best]


class SlopewiseRegressor(RegressorMixin, _Perceptron):
    __doc__ = f"""A perceptron that predicts numbers by least squares, trained by gradient estimates (see train).

    {_PARAMETERS}So are the targets. After fit: `theta_`, the weights, (n,); `run_`, what
    train said of it; `mean_` and `scale_` of the columns, `target_mean_` and `target_scale_` of the targets; `n_features_in_` and,
    from a DataFrame, `feature_names_in_`.
    """

    _numbers = True

    def fit(self, X: Any, y: Any) -> SlopewiseRegressor:
        """Trains on X (rows, columns) and numbers y (rows,) or (rows, outputs). ValueError for what does not fit or a NaN;
        KeyboardInterrupt for Ctrl-C; a ConvergenceWarning where the loss does not stay finite."""
        x, y = self._validate_data(X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        targets = y.reshape(len(y), -1).astype(np.float64)
        mean, scale = _scaling(targets)
        self._train(x, (targets - mean) / scale, targets.shape[1])
        self.target_mean_, self.target_scale_, self._flat = mean, scale, y.ndim == 1
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The numbers for each row: (rows,), or (rows, outputs) as they were in fit."""
        answers = self._answers(X) * self.target_scale_ + self.target_mean_
        return answers.ravel() if self._flat else answers

    def _more_tags(self) -> dict[str, bool]:
        return {"multioutput": True}
