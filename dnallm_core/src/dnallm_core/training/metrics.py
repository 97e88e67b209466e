"""What predictions are worth: figures that fit the labels, with bootstrap intervals.

Predictions are probabilities (n, classes) for classification and multi-label, values (n, targets)
for regression. A figure that is not defined on the rows at hand (the AUROC of a class that none
has) is None, never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating[Any]]
Figures = dict[str, float]
RESAMPLES = 400
FIRST = {
    "classification": "auroc",
    "multi-label": "auroc",
    "regression": "pearson",
    "token-classification": "auroc",
}


def evaluate(
    kind: str,
    classes: tuple[str, ...],
    targets: NDArray[Any],
    predicted: Numbers,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    rows: NDArray[np.int64] | None = None,
) -> dict[str, Any]:
    """All figures: ``{"figures": {name: [value, low, high]}, "labels": {class: {name: value}}}``.

    Low and high bound the middle 95 % of ``resamples`` bootstrap resamples of the rows; where several
    numbers belong to a row (its bases), ``rows`` says which, and they are drawn together. With them
    come the confusion matrix (rows true, columns predicted) and the reliability curve.
    """
    compute = figures_of(kind)
    whole = compute(targets, predicted)
    generator = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {name: [] for name in whole}
    for _ in range(resamples):
        drawn_rows = _resample(generator, len(targets), rows)
        for name, value in compute(targets[drawn_rows], predicted[drawn_rows]).items():
            if not math.isnan(value):
                drawn[name].append(value)
    figures = {}
    for name, value in whole.items():
        low, high = np.quantile(drawn[name], [0.025, 0.975]) if drawn[name] else (math.nan,) * 2
        figures[name] = [_plain(value), _plain(low), _plain(high)]
    report: dict[str, Any] = {"rows": len(targets), "figures": figures}
    report["labels"] = {
        name: {figure: _plain(value) for figure, value in values.items()}
        for name, values in zip(classes, by_label(kind, targets, predicted), strict=True)
    }
    if kind == "classification":
        report["confusion"] = confusion(targets, predicted.argmax(1), len(classes)).tolist()
    if kind != "regression":
        report["reliability"] = reliability(kind, targets, predicted)
    return report


def _resample(
    generator: np.random.Generator, count: int, rows: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    if rows is None:
        return generator.integers(0, count, count)
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    ends = np.append(starts[1:], count)
    chosen = generator.integers(0, len(starts), len(starts))
    return np.concatenate([np.arange(starts[each], ends[each]) for each in chosen])


def figures_of(kind: str) -> Callable[[NDArray[Any], Numbers], Figures]:
    """The function that computes a kind's figures of targets and predictions."""
    return {
        "classification": _classification,
        "multi-label": _multi_label,
        "regression": _regression,
    }[kind]


def by_label(kind: str, targets: NDArray[Any], predicted: Numbers) -> list[Figures]:
    """Figures of each class against the rest, each label, or each target."""
    if kind == "regression":
        return [
            _regression(targets[:, [each]], predicted[:, [each]])
            for each in range(targets.shape[1])
        ]
    truth = np.eye(predicted.shape[1])[targets] if kind == "classification" else targets
    return [
        {"auroc": auroc(truth[:, each], predicted[:, each]),
         "auprc": auprc(truth[:, each], predicted[:, each]),
         "share": float(truth[:, each].mean())}
        for each in range(predicted.shape[1])
    ]  # fmt: skip


def _classification(targets: NDArray[Any], predicted: Numbers) -> Figures:
    count = predicted.shape[1]
    table = confusion(targets, predicted.argmax(1), count)
    if count == 2:
        area = auroc(targets, predicted[:, 1])
        precision = auprc(targets, predicted[:, 1])
    else:
        truth = np.eye(count)[targets]
        area = _mean([auroc(truth[:, each], predicted[:, each]) for each in range(count)])
        precision = _mean([auprc(truth[:, each], predicted[:, each]) for each in range(count)])
    return {
        "auroc": area,
        "auprc": precision,
        "mcc": matthews(table),
        "accuracy": float(np.trace(table) / table.sum()),
        "macro_f1": macro_f1(table),
        "calibration_error": calibration_error(
            predicted.max(1), (predicted.argmax(1) == targets).astype(float)
        ),
    }


def _multi_label(targets: NDArray[Any], predicted: Numbers) -> Figures:
    labels = range(targets.shape[1])
    tables = [
        confusion(targets[:, each].astype(int), (predicted[:, each] >= 0.5).astype(int), 2)
        for each in labels
    ]
    seen = [table for table in tables if table[1].sum()]
    return {
        "auroc": _mean([auroc(targets[:, each], predicted[:, each]) for each in labels]),
        "auprc": _mean([auprc(targets[:, each], predicted[:, each]) for each in labels]),
        "mcc": _mean([matthews(table) for table in seen]),
        "accuracy": float(np.mean((predicted >= 0.5) == (targets >= 0.5))),
        "macro_f1": _mean([_f1(table, 1) for table in seen]),
        "calibration_error": calibration_error(predicted.ravel(), targets.ravel()),
    }


def _regression(targets: NDArray[Any], predicted: Numbers) -> Figures:
    columns = range(targets.shape[1])
    pairs = [(targets[:, each].astype(float), predicted[:, each].astype(float)) for each in columns]
    return {
        "pearson": _mean([_correlation(*pair) for pair in pairs]),
        "spearman": _mean([_correlation(_ranks(true), _ranks(guess)) for true, guess in pairs]),
        "r2": _mean([_determination(*pair) for pair in pairs]),
        "rmse": _mean([float(np.sqrt(np.mean((true - guess) ** 2))) for true, guess in pairs]),
    }


# --- single figures ---------------------------------------------------------------------------


def auroc(truth: NDArray[Any], score: Numbers) -> float:
    """Area under the ROC curve: how often a positive outranks a negative, ties half (Mann-Whitney)."""
    positive = truth > 0.5
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return math.nan
    ranked = _ranks(score)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(ranked / (n_positive * n_negative))


def auprc(truth: NDArray[Any], score: Numbers) -> float:
    """Average precision: the sum of precision times the gain in recall, a step a distinct score."""
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(truth[order] > 0.5)
    if not len(hits) or not hits[-1]:
        return math.nan
    last = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    precision = hits[last] / (last + 1)
    return float(np.sum(np.diff(hits[last], prepend=0) * precision) / hits[-1])


def confusion(truth: NDArray[Any], guess: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Counts (count, count): rows true, columns predicted."""
    return np.bincount(truth * count + guess, minlength=count * count).reshape(count, count)


def matthews(table: NDArray[np.int64]) -> float:
    """Matthews' correlation of a confusion matrix, of any number of classes (Gorodkin 2004)."""
    true, guess = table.sum(1).astype(float), table.sum(0).astype(float)
    total, right = table.sum(), np.trace(table)
    below = math.sqrt((total**2 - guess @ guess) * (total**2 - true @ true))
    return float((right * total - true @ guess) / below) if below else 0.0


def macro_f1(table: NDArray[np.int64]) -> float:
    """Mean F1 over the classes that are there, truly or predicted."""
    there = [each for each in range(len(table)) if table[each].sum() + table[:, each].sum()]
    return _mean([_f1(table, each) for each in there])


def _f1(table: NDArray[np.int64], each: int) -> float:
    below = table[each].sum() + table[:, each].sum()
    return float(2 * table[each, each] / below) if below else 0.0


def calibration_error(confidence: Numbers, right: Numbers, bins: int = 10) -> float:
    """Expected calibration error: |confidence - share right|, over equal bins, weighted by rows."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    sure, hit = (np.bincount(place, weights=each, minlength=bins) for each in (confidence, right))
    return float(np.abs(sure - hit).sum() / max(len(confidence), 1))


def reliability(kind: str, targets: NDArray[Any], predicted: Numbers) -> list[list[float]]:
    """[mean confidence, share right, rows] a bin that holds any."""
    if kind == "classification":
        confidence, right = predicted.max(1), (predicted.argmax(1) == targets).astype(float)
    else:
        confidence, right = predicted.ravel(), targets.ravel()
    place = np.minimum((confidence * 10).astype(int), 9)
    return [
        [float(confidence[here].mean()), float(right[here].mean()), int(here.sum())]
        for here in (place == each for each in range(10))
        if here.any()
    ]


def roc_curve(truth: NDArray[Any], score: Numbers) -> list[list[float]]:
    """[false-positive rate, true-positive rate] from (0, 0) to (1, 1), at most 200 points."""
    order = np.argsort(-score, kind="stable")
    hits = truth[order] > 0.5
    last = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    true, false = np.cumsum(hits)[last], np.cumsum(~hits)[last]
    if not true[-1] or not false[-1]:
        return []
    points = [[0.0, 0.0], *np.stack([false / false[-1], true / true[-1]], 1).tolist()]
    step = max(1, len(points) // 200)
    return [*points[:-1:step], points[-1]]


def _ranks(values: Numbers) -> Numbers:
    """Ranks from 1, ties at their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[place.ravel()]


def _correlation(first: Numbers, second: Numbers) -> float:
    first, second = first - first.mean(), second - second.mean()
    below = math.sqrt(float(first @ first) * float(second @ second))
    return float(first @ second) / below if below else math.nan


def _determination(true: Numbers, guess: Numbers) -> float:
    spread = float(((true - true.mean()) ** 2).sum())
    return 1 - float(((true - guess) ** 2).sum()) / spread if spread else math.nan


def _mean(values: list[float]) -> float:
    known = [each for each in values if not math.isnan(each)]
    return float(np.mean(known)) if known else math.nan


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 6)


def first_figure(report: Mapping[str, Any], kind: str) -> list[float | None]:
    """[value, low, high] of the figure that a kind is judged by."""
    found: list[float | None] = report["figures"][FIRST[kind]]
    return found
