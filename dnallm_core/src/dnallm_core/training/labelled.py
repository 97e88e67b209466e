"""Labelled sequences: a table or a FASTA file becomes sequences and targets, or a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LabelError
from .label_table import LabelTable
from .targets import KINDS, targets_of


@dataclass(frozen=True)
class Labelled:
    """Sequences with what is to be learned of them.

    ``targets``: classification int64 (n,), places in ``classes``; multi-label float32 (n, classes)
    of 0 and 1; regression float32 (n, classes), a column a quantity; token-classification an object
    a row: int64 (bases,), places in ``classes``, -1 where a base has no label. ``groups`` holds, where
    it was asked for, the value of a column by which rows belong together.
    """

    kind: str
    classes: tuple[str, ...]
    names: tuple[str, ...]
    sequences: tuple[str, ...]
    targets: NDArray[Any]
    groups: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.sequences)

    def rows(self, chosen: Iterable[int]) -> Labelled:
        """The given rows, in that order."""
        places = [int(each) for each in chosen]
        return replace(
            self,
            names=tuple(self.names[each] for each in places),
            sequences=tuple(self.sequences[each] for each in places),
            targets=self.targets[places],
            groups=None if self.groups is None else tuple(self.groups[each] for each in places),
        )

    @property
    def outputs(self) -> int:
        """How many numbers a model must give a sequence."""
        return len(self.classes)


def read_labelled(
    path: Path | str,
    *,
    label: Sequence[str] = (),
    kind: str | None = None,
    column: str | None = None,
    name_column: str | None = None,
    group: str | None = None,
    skip_empty: bool = False,
    like: Labelled | None = None,
) -> Labelled:
    """Read labelled sequences.

    Of a table, ``label`` names the column of labels, or several: of 0 and 1 (multi-label) or of
    measurements (regression). Values parted by ``;`` are several labels of a row, or, where each row
    has as many and all are 0 or 1, a column each. Of FASTA, the label is ``label=VALUE`` in the
    title, or all that follows the name, or what follows the last ``|`` of it. Labels of single bases
    are written as ``tokens`` says. ``kind`` is classification, multi-label, regression or
    token-classification; without it the values tell. ``skip_empty`` leaves rows without a sequence
    out. ``like``: labelled
    sequences (the training ones) whose kind and classes hold here too.

    Raises LabelError, SequenceError.
    """
    if kind is not None and kind not in KINDS:
        raise LabelError(
            f"There is no kind of labels {kind!r}.", hint=f"One of {', '.join(KINDS)}."
        )
    table = LabelTable.read(
        path, label, column=column, name_column=name_column, skip_empty=skip_empty
    )
    found_kind = like.kind if like is not None else kind or table.told_kind()
    classes, targets = targets_of(table, found_kind, None if like is None else like.classes)
    found = Labelled(
        found_kind,
        classes,
        tuple(each.name for each in table.records),
        tuple(each.sequence for each in table.records),
        targets,
        None if group is None else table.fields(group),
    )
    _refuse_contrary(found, table.source)
    if like is None:
        _refuse_unlearnable(found, table.source)
    return found


# --- what nothing can be learned from ---------------------------------------------------------


def _refuse_contrary(found: Labelled, source: str) -> None:
    """Equal sequences with unlike classes; of measurements, replicates may differ."""
    if found.kind == "regression":
        return
    first: dict[str, int] = {}
    for at, sequence in enumerate(found.sequences):
        other = first.setdefault(sequence, at)
        if not np.array_equal(found.targets[other], found.targets[at]):
            raise LabelError(
                f"Rows {other + 1} and {at + 1} of {source} ({found.names[other]} and "
                f"{found.names[at]}) are one sequence with contrary labels.",
                record=found.names[at],
                hint="Decide which is right, or remove both.",
            )


def _refuse_unlearnable(found: Labelled, source: str) -> None:
    if len(found) == 1:
        raise LabelError(f"{source} has one row: there is nothing to learn from it.")
    if found.kind in ("classification", "token-classification") and len(found.classes) < 2:
        what = "row" if found.kind == "classification" else "labelled base"
        label = repr(found.classes[0]) if found.classes else "that says nothing (.)"
        raise LabelError(
            f"Every {what} of {source} has the label {label}: there is nothing to tell apart."
        )
    if found.kind == "multi-label" and not np.any(found.targets != found.targets[0]):
        raise LabelError(
            f"Every row of {source} has the same labels: there is nothing to tell apart."
        )
    if found.kind == "regression":
        same = [
            name
            for name, column in zip(found.classes, found.targets.T, strict=True)
            if np.all(column == column[0])
        ]
        if same:
            raise LabelError(
                f"Every row of {source} has the same {same[0]}: there is nothing to fit."
            )
