"""Which rows are learned from and which are held back, so that the figures mean something.

``random`` keeps the shares of the classes; ``identity`` keeps near-duplicates, the other strand
included, on one side; ``group`` keeps the rows of one value of a column together (a gene, a family,
a species), ``chromosome`` is the same for the column of chromosomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LabelError, RequirementError
from .labelled import Labelled
from .resemblance import clusters, leaked

HOWS = ("identity", "random", "group", "chromosome")
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Leakage:
    """How much of a test set has been seen in training: ``rows`` of ``of``, and some of them."""

    rows: int
    of: int
    names: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Leaked rows as a share of the test rows."""
        return self.rows / self.of if self.of else 0.0

    @property
    def sentence(self) -> str:
        """What a user is told."""
        if not self.rows:
            return f"None of the {self.of:,} test sequences has a near-duplicate in training."
        return (
            f"{self.rows:,} of the {self.of:,} test sequences ({self.share:.1%}) have a "
            f"near-duplicate in training ({', '.join(self.names[:3])}"
            + (" …" if self.rows > 3 else "")
            + "): the figures flatter. A split by identity (--split identity, without --test) keeps "
            "such sequences together."
        )


def leakage(training: Labelled, test: Labelled) -> Leakage:
    """Measure how much of ``test`` lies, nearly or wholly, in ``training``."""
    found = leaked(training.sequences, test.sequences)
    return Leakage(len(found), len(test), tuple(test.names[each] for each in found[:10]))


def groups_of(labelled: Labelled, how: str) -> Places:
    """A number a row; rows of one number must stay together under ``how``."""
    if how not in HOWS:
        raise RequirementError(f"There is no split {how!r}.", hint=f"One of {', '.join(HOWS)}.")
    if how == "random":
        return np.arange(len(labelled))
    if how == "identity":
        return clusters(labelled.sequences)
    if labelled.groups is None:
        raise RequirementError(
            f"A split by {how} needs the column that says it.", hint="Name it with --group COLUMN."
        )
    found = np.unique(np.array(labelled.groups), return_inverse=True)[1].ravel()
    if found.max() == 0:
        raise LabelError(
            f"Every row is of one {how}, {labelled.groups[0]!r}: nothing can be parted."
        )
    return found.astype(np.int64)


def held_out(
    labelled: Labelled, how: str, *, share: float = 0.2, seed: int = 0
) -> tuple[Places, Places]:
    """Training rows and held-back rows, about ``share`` of all."""
    if not 0 < share < 1:
        raise RequirementError(f"A share held back lies between 0 and 1, not at {share:g}.")
    number = max(2, round(1 / share))
    (pair, *_) = folds(labelled, groups_of(labelled, how), number=number, seed=seed)
    return pair


def folds(
    labelled: Labelled, groups: Places, *, number: int = 5, seed: int = 0
) -> list[tuple[Places, Places]]:
    """(training, held-back) rows, each row held back once; no group in two folds.

    Whole groups are dealt out, large ones first, each to the fold that then is nearest to the mean
    in rows and in the rows of each class. Raises LabelError where there are too few groups.
    """
    if number < 2:
        raise RequirementError(f"Rows are held back in 2 folds or more, not in {number}.")
    ids, group = np.unique(groups, return_inverse=True)
    group = group.ravel()
    number = min(number, len(ids))
    if number < 2:
        raise LabelError(
            f"All {len(labelled)} rows resemble one another or are of one group: none can be held "
            "back.",
            hint="Give a test file, or say --split random.",
        )
    tallies = _tallies(labelled)
    held = np.zeros((len(ids), tallies.shape[1]))
    np.add.at(held, group, tallies)
    order = np.random.default_rng(seed).permutation(len(ids))
    order = order[np.argsort(-held[order, 0], kind="stable")]
    fair = np.maximum(held.sum(axis=0) / number, 1e-9)
    filled = np.zeros((number, tallies.shape[1]))
    fold = np.zeros(len(ids), dtype=np.int64)
    for each in order:
        # how much worse the fill becomes if the group goes there, in units of a fair share
        cost = (((filled + held[each]) / fair) ** 2 - (filled / fair) ** 2).sum(axis=1)
        fold[each] = int(np.argmin(cost))
        filled[fold[each]] += held[each]
    of_row = fold[group]
    pairs = [
        (np.flatnonzero(of_row != each), np.flatnonzero(of_row == each)) for each in range(number)
    ]
    return [(training, test) for training, test in pairs if len(training) and len(test)]


def _tallies(labelled: Labelled) -> NDArray[np.float64]:
    """What each row adds to a fold: 1 row, and 1 of its class, of each label, or of a quarter."""
    ones = np.ones((len(labelled), 1))
    targets: Any = labelled.targets
    if labelled.kind == "classification":
        return np.hstack([ones, np.eye(len(labelled.classes))[targets]])
    if labelled.kind == "multi-label":
        return np.hstack([ones, targets])
    if labelled.kind == "token-classification":
        places = range(len(labelled.classes))
        return np.hstack([ones, [[np.any(row == each) for each in places] for row in targets]])
    edges = np.quantile(targets[:, 0], [0.25, 0.5, 0.75])
    return np.hstack([ones, np.eye(4)[np.digitize(targets[:, 0], edges)]])


def missing_classes(training: Labelled) -> Sequence[str]:
    """Classes (or labels) that no training row has, so that they can't be learned."""
    if training.kind == "regression":
        return []
    if training.kind == "classification":
        seen = np.asarray(np.isin(np.arange(len(training.classes)), training.targets))
    elif training.kind == "token-classification":
        there = np.concatenate(list(training.targets))
        seen = np.asarray(np.isin(np.arange(len(training.classes)), there))
    else:
        seen = np.asarray(training.targets.any(axis=0))
    return [name for name, here in zip(training.classes, seen, strict=True) if not here]
