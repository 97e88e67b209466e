"""One question put to several methods: the same rows learned from, the same rows held back."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import OutputError, RequirementError
from . import metrics
from .labelled import Labelled
from .resemblance import near_duplicates
from .splits import Leakage, Places, folds, groups_of, held_out, missing_classes
from .tokens import flat, spelt


@dataclass(frozen=True)
class Trial:
    """Labelled rows and the pairs (training rows, test rows) on which methods are judged.

    ``groups`` are numbers of rows that stay together when training rows are parted once more.
    """

    labelled: Labelled
    pairs: list[tuple[Places, Places]]
    groups: Places
    split: dict[str, Any]
    notes: list[str] = field(default_factory=list)

    def inner_folds(self, training: Places, number: int, seed: int) -> list[tuple[Places, Places]]:
        """Folds of training rows, as places in ``training``, for choosing settings."""
        return folds(self.labelled.rows(training), self.groups[training], number=number, seed=seed)

    @property
    def test_rows(self) -> Places:
        """Every row that is predicted, in the order of the pairs."""
        return np.concatenate([test for _, test in self.pairs])

    def judged(
        self, name: str, role: str, predicted: NDArray[Any], settings: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The entry of a report for predictions of ``test_rows``; ``role``: model or baseline.

        Of labelled bases the predictions are those of all bases of these rows, one after another.
        """
        data = self.labelled
        truth, rows, kind = data.targets[self.test_rows], None, data.kind
        if kind == "token-classification":  # bases, those of one row together
            rows = np.repeat(np.arange(len(truth)), [len(each) for each in truth])
            truth, kind = flat(truth), "classification"
            known = truth >= 0
            truth, rows, predicted = truth[known], rows[known], predicted[known]
        many = 100 if len(truth) > 20_000 else metrics.RESAMPLES
        report = metrics.evaluate(kind, data.classes, truth, predicted, resamples=many, rows=rows)
        curves = {}
        if kind != "regression":
            each_class = np.eye(data.outputs)[truth] if kind == "classification" else truth
            curves = {
                label: metrics.roc_curve(each_class[:, at], predicted[:, at])
                for at, label in enumerate(data.classes)
            }
        elif data.outputs == 1:
            curves = {"points": np.stack([truth[:, 0], predicted[:, 0]], 1)[:500].tolist()}
        return {"name": name, "role": role, "settings": dict(settings), **report, "curves": curves}


def trial_of(
    training: Labelled,
    test: Labelled | None = None,
    *,
    how: str | None = None,
    share: float = 0.2,
    number: int | None = None,
    seed: int = 0,
) -> Trial:
    """Lay out a trial.

    With ``test`` its rows are the test rows. Without, ``number`` folds hold every row back once, or
    (``number`` None) ``share`` of the rows are held back; ``how``: see ``splits``; by identity
    unless said otherwise. How much leaks into training is always measured.
    """
    rule = how or "identity"
    if test is not None:
        if how is not None and how != "identity":
            raise RequirementError(
                "With a test file nothing is split.", hint="Leave out --split, or --test."
            )
        data = _joined(training, test)
        count = len(training)
        pairs = [(np.arange(count), np.arange(count, len(data)))]
        inner = groups_of(training, rule)
        groups = np.concatenate([inner, inner.max() + 1 + np.arange(len(test))])
        rule = "given"
    else:
        data = training
        groups = groups_of(data, rule)
        if number is None:
            pairs = [held_out(data, rule, share=share, seed=seed)]
        else:
            pairs = folds(data, groups, number=number, seed=seed)
    duplicates = near_duplicates(data.sequences)
    leak = _leakage(data, pairs, duplicates)
    split: dict[str, Any] = {
        "how": rule,
        "folds": len(pairs),
        "training_rows": int(np.mean([len(each) for each, _ in pairs])),
        "test_rows": sum(len(each) for _, each in pairs),
        "leaked_rows": leak.rows,
        "leaked_share": leak.share,
    }
    notes = [leak.sentence]
    if rule == "identity":
        chance = folds(data, np.arange(len(data)), number=max(2, len(pairs)), seed=seed)
        other = _leakage(data, chance, duplicates)
        split["random_split_leaks"] = other.share
        notes.append(f"A random split would have leaked {other.share:.1%} of its test sequences.")
    absent = sorted({name for each, _ in pairs for name in missing_classes(data.rows(each))})
    if absent:
        notes.append(
            f"No training row of a fold has {', '.join(absent)}: it can't be learned there."
        )
    return Trial(data, pairs, groups, split, notes)


def prepare_folder(folder: Path, *, overwrite: bool) -> None:
    """Make the folder of a report, or refuse one that holds something."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; a run needs a folder.")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise OutputError(
            f"{folder} holds another run.", hint="Name another folder, or pass --overwrite."
        )
    folder.mkdir(parents=True, exist_ok=True)


def write_predictions(path: Path, trial: Trial, predicted: Mapping[str, NDArray[Any]]) -> None:
    """A row a test sequence: its name, its label, and what each method gave, a column a class.

    Of labelled bases, a column a method: the likeliest label of each base.
    """
    data = trial.labelled
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        columns = [f"{name}: {label}" for name in predicted for label in data.classes]
        ends = np.zeros(0, dtype=np.int64)
        if data.kind == "token-classification":
            columns = list(predicted)
            ends = np.cumsum([len(data.targets[row]) for row in trial.test_rows])
        writer.writerow(["name", "truth", *columns])
        for at, row in enumerate(trial.test_rows):
            if data.kind == "token-classification":
                guesses = [
                    each[ends[at] - len(data.targets[row]) : ends[at]].argmax(1)
                    for each in predicted.values()
                ]
                numbers = [spelt(each, data.classes) for each in guesses]
            else:
                numbers = [f"{value:.6g}" for each in predicted.values() for value in each[at]]
            writer.writerow([data.names[row], truth_text(data, int(row)), *numbers])


def truth_text(data: Labelled, row: int) -> str:
    """The label of a row as text."""
    target = data.targets[row]
    if data.kind == "classification":
        return data.classes[int(target)]
    if data.kind == "token-classification":
        return spelt(target, data.classes)
    if data.kind == "regression":
        return ";".join(f"{each:.6g}" for each in target)
    return ";".join(name for name, here in zip(data.classes, target, strict=True) if here) or "-"


def _joined(training: Labelled, test: Labelled) -> Labelled:
    return Labelled(
        training.kind,
        training.classes,
        training.names + test.names,
        training.sequences + test.sequences,
        np.concatenate([training.targets, test.targets]),
    )


def _leakage(
    data: Labelled, pairs: Sequence[tuple[Places, Places]], duplicates: NDArray[np.int64]
) -> Leakage:
    """Leakage over all pairs, each against its own training rows."""
    found: list[int] = []
    for training, test in pairs:
        side = np.zeros(len(data), dtype=np.int8)
        side[training], side[test] = 1, 2
        for first, second in ((0, 1), (1, 0)):
            across = (side[duplicates[:, first]] == 1) & (side[duplicates[:, second]] == 2)
            found.extend(duplicates[across, second].tolist())
    rows = sorted(set(found))
    of = sum(len(test) for _, test in pairs)
    return Leakage(len(rows), of, tuple(data.names[each] for each in rows[:10]))
