"""What a model of labelled bases must beat: a linear model on the bases nearby, and a small CNN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .baselines import by_pairs, codes, fit_early, one_hot
from .extra import needs
from .labelled import Labelled
from .tokens import IGNORED, flat
from .trial import Trial

if TYPE_CHECKING:
    from torch import Tensor

NEARBY = 7  # bases on either side
MOST = 30_000  # bases to fit the linear model on


def window_baseline(trial: Trial, *, seed: int = 0) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Logistic regression on which base stands where, up to 7 away; (bases, classes) of the test rows."""
    linear = needs("sklearn.linear_model", "probes and baselines")
    data, found = trial.labelled, []
    for training, test in trial.pairs:
        rows = data.rows(training)
        features, labels = _windows(rows), flat(rows.targets)
        known = np.flatnonzero(labels >= 0)
        chosen = np.random.default_rng(seed).permutation(known)[:MOST]
        model = linear.LogisticRegression(C=1.0, max_iter=200).fit(features[chosen], labels[chosen])
        other = _windows(data.rows(test))
        answers = np.zeros((len(other), data.outputs))
        answers[:, model.classes_.astype(int)] = model.predict_proba(other)
        found.append(answers)
    return np.concatenate(found), {"nearby": NEARBY, "bases": min(MOST, len(known))}


def convolution_token_baseline(
    trial: Trial, *, seed: int = 0, epochs: int = 30
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """A small convolutional net with an answer a base, trained from nothing."""
    return by_pairs(trial, _train, seed, epochs)


def _windows(rows: Labelled) -> NDArray[np.float64]:
    """(bases, (2 x 7 + 1) x 4): the bases nearby, zeros beyond the ends."""
    parts = []
    for sequence in rows.sequences:
        padded = np.pad(codes(sequence), NEARBY, constant_values=4)
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * NEARBY + 1)
        parts.append(np.eye(5, 4)[windows].reshape(len(sequence), -1))
    return np.concatenate(parts)


def _train(
    training: Labelled, validation: Labelled, test: Labelled, seed: int, epochs: int
) -> tuple[NDArray[np.float64], int]:
    import torch
    from torch import nn
    from torch.nn.functional import cross_entropy

    def padded(rows: Labelled) -> Tensor:
        longest = max(map(len, rows.sequences))
        labels = np.full((len(rows), longest), IGNORED)
        for at, each in enumerate(rows.targets):
            labels[at, : len(each)] = np.where(each < 0, IGNORED, each)
        return torch.from_numpy(labels)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Conv1d(4, 64, 11, padding=5), nn.ReLU(), nn.Conv1d(64, 64, 9, padding=4), nn.ReLU(),
            nn.Dropout(0.1), nn.Conv1d(64, training.outputs, 1),
        )  # fmt: skip

        def loss_of(rows: list[int]) -> Tensor:
            chosen = training.rows(rows)
            return cross_entropy(network(one_hot(chosen.sequences)), padded(chosen))

        def judged() -> float:
            answers = network(one_hot(validation.sequences))
            return float(cross_entropy(answers, padded(validation)))

        best_epoch = fit_early(
            network,
            len(training),
            loss_of,
            judged,
            rate=2e-3,
            batch=16,
            patience=5,
            epochs=epochs,
        )
        found = []
        with torch.no_grad():
            for sequence in test.sequences:
                answers = network(one_hot([sequence]))[0].softmax(0).T  # (bases, classes)
                found.append(answers.double().numpy())
    return np.concatenate(found), best_epoch
