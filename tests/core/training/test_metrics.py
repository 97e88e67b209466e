"""Every figure against scikit-learn's or SciPy's, and what none can be computed of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from dnallm_core.training import metrics

judge = pytest.importorskip("sklearn.metrics")


def _scores(count=200, ties=True, seed=0):
    generator = np.random.default_rng(seed)
    truth = (generator.random(count) < 0.3).astype(int)
    score = generator.normal(size=count) + truth
    return truth, np.round(score, 1) if ties else score


@pytest.mark.parametrize("ties", [True, False])
def test_areas_agree_with_scikit_learn(ties):
    truth, score = _scores(ties=ties)
    assert metrics.auroc(truth, score) == pytest.approx(judge.roc_auc_score(truth, score))
    expected = judge.average_precision_score(truth, score)
    assert metrics.auprc(truth, score) == pytest.approx(expected)


def test_figures_of_classes_agree_with_scikit_learn():
    generator = np.random.default_rng(1)
    truth = generator.integers(0, 4, 300)
    predicted = generator.dirichlet(np.ones(4), 300) + 0.3 * np.eye(4)[truth]
    predicted /= predicted.sum(1, keepdims=True)
    guess = predicted.argmax(1)
    found = metrics.figures_of("classification")(truth, predicted)
    assert found["accuracy"] == pytest.approx(judge.accuracy_score(truth, guess))
    assert found["mcc"] == pytest.approx(judge.matthews_corrcoef(truth, guess))
    assert found["macro_f1"] == pytest.approx(judge.f1_score(truth, guess, average="macro"))
    expected = judge.roc_auc_score(truth, predicted, multi_class="ovr")
    assert found["auroc"] == pytest.approx(expected)


def test_figures_of_measurements_agree_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(2)
    truth = np.round(generator.normal(size=(100, 1)), 1)
    guess = truth + generator.normal(size=(100, 1))
    found = metrics.figures_of("regression")(truth, guess)
    assert found["pearson"] == pytest.approx(stats.pearsonr(truth[:, 0], guess[:, 0])[0])
    assert found["spearman"] == pytest.approx(stats.spearmanr(truth[:, 0], guess[:, 0])[0])
    assert found["r2"] == pytest.approx(judge.r2_score(truth, guess))


def test_calibration_error_is_none_of_honest_and_half_of_boastful_probabilities():
    right = np.array([1.0, 0.0] * 50)
    assert metrics.calibration_error(np.full(100, 0.5), right) == pytest.approx(0.0)
    assert metrics.calibration_error(np.full(100, 1.0), right) == pytest.approx(0.5)


def test_intervals_hold_the_figure_and_narrow_with_rows():
    widths = []
    for count in (60, 2000):
        truth, score = _scores(count, ties=False)
        likely = 1 / (1 + np.exp(-score))
        predicted = np.stack([1 - likely, likely], 1)
        report = metrics.evaluate("classification", ("no", "yes"), truth, predicted, resamples=100)
        value, low, high = report["figures"]["auroc"]
        assert low <= value <= high
        widths.append(high - low)
    assert widths[1] < widths[0] / 3


def test_a_label_that_no_row_has_gets_no_figure_and_leaves_the_others():
    targets = np.array([[0, 1], [0, 0], [0, 1]], dtype=np.float32)
    predicted = np.array([[0.1, 0.9], [0.2, 0.1], [0.3, 0.8]])
    report = metrics.evaluate("multi-label", ("a", "b"), targets, predicted, resamples=20)
    assert report["labels"]["a"]["auroc"] is None
    assert report["labels"]["b"]["auroc"] == 1.0
    assert report["figures"]["auroc"][0] == 1.0


def test_one_class_alone_gives_none_and_no_false_figure():
    assert math.isnan(metrics.auroc(np.ones(3), np.arange(3.0)))
    assert math.isnan(metrics.auprc(np.zeros(3), np.arange(3.0)))


def test_the_curve_runs_from_corner_to_corner():
    points = metrics.roc_curve(*_scores(1000, ties=False))
    assert points[0] == [0.0, 0.0]
    assert points[-1] == [1.0, 1.0]
    assert len(points) <= 202
