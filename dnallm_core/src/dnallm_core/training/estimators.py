"""Linear models and nearest neighbours on fixed features, their settings chosen within training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .extra import needs
from .labelled import Labelled
from .splits import Places

Features = NDArray[np.floating[Any]]
Folds = list[tuple[Places, Places]]
_STRENGTHS = (1e-4, 1e-2, 1.0, 100.0)  # of the penalty; features are standardised
_NEIGHBOURS = (1, 5, 15, 50)


def estimators_for(kind: str) -> tuple[str, str]:
    """The linear model of a kind, and nearest neighbours."""
    return ("ridge" if kind == "regression" else "logistic", "knn")


def fit_and_predict(
    estimator: str, training: Labelled, features: Features, test: Features, inner: Folds
) -> tuple[NDArray[np.float64], float]:
    """Predictions (rows, classes) of ``test``, and the setting that the inner folds chose.

    ``features`` (rows, width) belong to ``training``; the setting with the least loss over the
    ``inner`` folds (log loss, squared error) is refitted on all of it.
    """
    fit = {"logistic": _logistic, "ridge": _ridge, "knn": _neighbours}[estimator]
    settings = _NEIGHBOURS if estimator == "knn" else _STRENGTHS
    losses = np.zeros(len(settings))
    for learned, held in inner:
        part = training.rows(learned)
        first, second = _standardised(features[learned], features[held])
        truth = training.targets[held]
        for at, setting in enumerate(settings):
            predicted = fit(setting, part, first)(second)
            losses[at] += _loss(training.kind, truth, predicted) * len(held)
    chosen = settings[int(np.argmin(losses))]
    first, second = _standardised(features, test)
    return fit(chosen, training, first)(second), float(chosen)


def _standardised(training: Features, other: Features) -> tuple[Features, Features]:
    """Zero mean and unit variance on the training rows, rotated into the space that these span.

    Where there are more features than rows the rotation makes them as many; penalised linear
    models and distances between training rows and others' projections stay the same.
    """
    mean, spread = training.mean(0), training.std(0)
    kept = spread > 1e-12
    first = (training[:, kept] - mean[kept]) / spread[kept]
    second = (other[:, kept] - mean[kept]) / spread[kept]
    if first.shape[1] > first.shape[0]:
        _, _, axes = np.linalg.svd(first, full_matrices=False)
        first, second = first @ axes.T, second @ axes.T
    if first.shape[1] == 0:
        first, second = np.zeros((len(first), 1)), np.zeros((len(second), 1))
    return first, second


def _loss(kind: str, truth: NDArray[Any], predicted: NDArray[Any]) -> float:
    if kind == "regression":
        return float(np.mean((truth - predicted) ** 2))
    likely = np.clip(predicted, 1e-4, 1 - 1e-4)
    if kind == "classification":
        return float(-np.log(likely[np.arange(len(truth)), truth]).mean())
    return float(-np.mean(truth * np.log(likely) + (1 - truth) * np.log(1 - likely)))


Predict = Callable[[Features], NDArray[np.float64]]


def _logistic(strength: float, training: Labelled, features: Features) -> Predict:
    linear = needs("sklearn.linear_model", "probes and baselines")

    def one(targets: NDArray[Any], count: int) -> Predict:
        seen = np.unique(targets)
        if len(seen) == 1:  # of a rare label, perhaps; what was always so is taken to stay so
            sure = np.eye(count)[[int(seen[0])]]
            return lambda other: np.repeat(sure, len(other), axis=0)
        model = linear.LogisticRegression(C=1 / (strength * len(features)), max_iter=300)
        model.fit(features, targets)

        def predict(other: Features) -> NDArray[np.float64]:
            found = np.zeros((len(other), count))
            found[:, model.classes_.astype(int)] = model.predict_proba(other)
            return found

        return predict

    if training.kind == "classification":
        return one(training.targets, training.outputs)
    each = [one(column.astype(int), 2) for column in training.targets.T]
    return lambda other: np.stack([predict(other)[:, 1] for predict in each], axis=1)


def _ridge(strength: float, training: Labelled, features: Features) -> Predict:
    linear = needs("sklearn.linear_model", "probes and baselines")
    model = linear.Ridge(alpha=strength * len(features)).fit(features, training.targets)
    return lambda other: np.asarray(model.predict(other)).reshape(len(other), -1)


def _neighbours(number: float, training: Labelled, features: Features) -> Predict:
    neighbors = needs("sklearn.neighbors", "probes and baselines")
    targets: NDArray[Any] = training.targets
    if training.kind == "classification":
        targets = np.eye(training.outputs)[targets]
    model = neighbors.KNeighborsRegressor(min(int(number), len(features)), weights="uniform")
    model.fit(features, targets)  # the mean of one-hot neighbours is their share
    return lambda other: np.asarray(model.predict(other)).reshape(len(other), -1)
