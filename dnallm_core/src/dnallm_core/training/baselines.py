"""What a model must beat to be worth its cost: counts of k-mers, and a small convolutional net."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .estimators import estimators_for, fit_and_predict
from .labelled import Labelled
from .trial import Trial

if TYPE_CHECKING:
    import torch

    Train = Callable[[Labelled, Labelled, Labelled, int, int], tuple[NDArray[np.float64], int]]
    """Training, validation and test rows, seed, epochs; predictions, and the epoch they are of."""

LONGEST_KMER = 5
_CODES = np.full(256, 4, dtype=np.int64)
_CODES[list(b"ACGT")] = [0, 1, 2, 3]


def codes(sequence: str) -> NDArray[np.int64]:
    """Places of the bases in ACGT; 4 for any other letter."""
    return _CODES[np.frombuffer(sequence.encode(), np.uint8)]


def kmer_frequencies(sequences: Sequence[str], longest: int = LONGEST_KMER) -> NDArray[np.float64]:
    """(n, 4 + 16 + ... + 4^longest): the share of each k-mer among those of its length."""
    rows = []
    for sequence in sequences:
        bases = codes(sequence)
        parts = []
        for k in range(1, longest + 1):
            count = max(len(bases) - k + 1, 0)
            index = np.zeros(count, dtype=np.int64)
            known = np.ones(count, dtype=bool)
            for place in range(k):
                stretch = bases[place : place + count]
                index = index * 4 + stretch
                known &= stretch < 4
            counts = np.bincount(index[known], minlength=4**k)
            parts.append(counts / max(counts.sum(), 1))
        rows.append(np.concatenate(parts))
    return np.array(rows)


def kmer_baseline(trial: Trial, *, seed: int = 0) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Predictions of the test rows by the linear model on k-mer frequencies, and its settings."""
    (linear, _) = estimators_for(trial.labelled.kind)
    features = kmer_frequencies(trial.labelled.sequences)
    predicted, chosen = [], []
    for training, test in trial.pairs:
        found, setting = fit_and_predict(
            linear,
            trial.labelled.rows(training),
            features[training],
            features[test],
            trial.inner_folds(training, 3, seed),
        )
        predicted.append(found)
        chosen.append(setting)
    return np.concatenate(predicted), {"longest_kmer": LONGEST_KMER, "penalty": chosen}


def convolution_baseline(
    trial: Trial, *, seed: int = 0, epochs: int = 40
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Predictions of the test rows by a small convolutional net trained from nothing."""
    return by_pairs(trial, _train, seed, epochs)


def by_pairs(
    trial: Trial, train: Train, seed: int, epochs: int
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """A network for each pair of training and test rows; a fifth of the former stops its training."""
    predicted, stopped = [], []
    data = trial.labelled
    for training, test in trial.pairs:
        (learned, held), *_ = trial.inner_folds(training, 5, seed)
        found, epoch = train(
            data.rows(training[learned]), data.rows(training[held]), data.rows(test), seed, epochs
        )
        predicted.append(found)
        stopped.append(epoch)
    return np.concatenate(predicted), {"epochs": stopped}


def fit_early(
    network: torch.nn.Module,
    examples: int,
    loss_of: Callable[[list[int]], torch.Tensor],
    judged: Callable[[], float],
    *,
    rate: float,
    batch: int,
    patience: int,
    epochs: int,
) -> int:
    """Train by Adam until ``judged`` has not fallen for ``patience`` epochs; the best one, kept.

    ``loss_of``: the loss of some of the examples, by number. Returns the number of the best epoch.
    """
    import torch

    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    best, best_epoch, kept = math.inf, 0, network.state_dict()
    for epoch in range(1, epochs + 1):
        network.train()
        order = torch.randperm(examples).tolist()
        for start in range(0, examples, batch):
            loss = loss_of(order[start : start + batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        network.eval()
        with torch.no_grad():
            now = judged()
        if now < best:
            best, best_epoch = now, epoch
            kept = {name: value.clone() for name, value in network.state_dict().items()}
        elif epoch - best_epoch >= patience:
            break
    network.load_state_dict(kept)
    return best_epoch


def _network(outputs: int) -> torch.nn.Module:
    from torch import nn

    return nn.Sequential(
        nn.Conv1d(4, 64, 11, padding=5),  # (batch, 64, length): motif detectors
        nn.ReLU(),
        nn.MaxPool1d(4, ceil_mode=True),
        nn.Conv1d(64, 64, 9, padding=4),  # their arrangement over some 40 bp
        nn.ReLU(),
        nn.AdaptiveMaxPool1d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(64, outputs),
    )


def _train(
    training: Labelled, validation: Labelled, test: Labelled, seed: int, epochs: int
) -> tuple[NDArray[np.float64], int]:
    """Adam, stopped where the validation loss has not fallen for 6 epochs; its best epoch counts."""
    import torch

    from .objectives import Objective

    objective = Objective.of(training)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(training.outputs)

        def loss_of(rows: list[int]) -> torch.Tensor:
            logits = network(one_hot([training.sequences[each] for each in rows]))
            return objective.loss(logits, objective.encoded(training.targets[rows]))

        def judged() -> float:
            logits = _logits(network, validation)
            return float(objective.loss(logits, objective.encoded(validation.targets)))

        best_epoch = fit_early(
            network,
            len(training),
            loss_of,
            judged,
            rate=1e-3,
            batch=32,
            patience=6,
            epochs=epochs,
        )
        return objective.predictions(_logits(network, test)), best_epoch


def _logits(network: torch.nn.Module, data: Labelled) -> torch.Tensor:
    import torch

    network.eval()
    with torch.inference_mode():
        parts = [
            network(one_hot(data.sequences[start : start + 64]))
            for start in range(0, len(data), 64)
        ]
    return torch.cat(parts)


def one_hot(sequences: Sequence[str]) -> torch.Tensor:
    """(batch, 4, longest); zeros for padding and for what is no base."""
    import torch

    longest = max(map(len, sequences))
    places = np.full((len(sequences), longest), 4, dtype=np.int64)
    for row, sequence in enumerate(sequences):
        places[row, : len(sequence)] = codes(sequence)
    return torch.from_numpy(np.eye(5, 4, dtype=np.float32)[places]).transpose(1, 2).contiguous()
