"""From labels as text to the numbers that are learned, a reader a kind of labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LabelError, did_you_mean, nearest
from ..sequences.files import Record
from . import tokens
from .label_table import LabelTable, as_number

Targets = tuple[tuple[str, ...], NDArray[Any]]
"""Classes (of measurements: quantities), and the targets as ``Labelled`` holds them."""


def targets_of(table: LabelTable, kind: str, known: tuple[str, ...] | None = None) -> Targets:
    """The targets of a table; ``known``: the classes of the training rows, for others.

    Raises LabelError where a value is none of that kind, or no class that is known.
    """
    return _READERS[kind](table, known)


def _classes(table: LabelTable, known: tuple[str, ...] | None) -> Targets:
    texts = table.only_column("Classification reads one column of labels, not {}.")
    for record, text in zip(table.records, texts, strict=True):
        number = as_number(text)
        if number is not None and math.isnan(number):
            raise _not_finite(table, record, text)
    classes = tuple(sorted(set(texts), key=_natural)) if known is None else known
    place = {each: index for index, each in enumerate(classes)}
    for record, text in zip(table.records, texts, strict=True):
        if text not in place:
            raise _never_seen(table, record, text, classes)
    return classes, np.array([place[each] for each in texts], dtype=np.int64)


def _bases(table: LabelTable, known: tuple[str, ...] | None) -> Targets:
    rows = []
    texts = table.only_column("Labels of bases stand in one column, not in {}.")
    for record, text in zip(table.records, texts, strict=True):
        parts = tokens.parts_of(text, len(record.sequence))
        if parts is None:
            raise LabelError(
                f"{table.place(record)} has {len(record.sequence):,} bases, and its labels are not "
                f"as many: {text[:20]!r}.",
                record=record.name,
                hint="A letter a base, or whole numbers parted by spaces; . is a base without one.",
            )
        rows.append(parts)
    named = {part for row in rows for part in row} - {"."}
    classes = tuple(sorted(named, key=_natural)) if known is None else known
    place = {".": tokens.UNLABELLED, **{each: index for index, each in enumerate(classes)}}
    targets = np.empty(len(rows), dtype=object)
    for at, (record, row) in enumerate(zip(table.records, rows, strict=True)):
        for text in set(row):
            if text not in place:
                raise _never_seen(table, record, text, classes)
        targets[at] = np.array([place[part] for part in row], dtype=np.int64)
    return classes, targets


def _several(table: LabelTable, known: tuple[str, ...] | None) -> Targets:
    rows: list[Sequence[str]]
    if len(table.columns) > 1:
        rows, classes = list(table.values), table.columns
    else:
        parted = [row[0].split(";") for row in table.values]
        rows = [[part.strip() for part in row if part.strip()] for row in parted]
        binary = all(part in ("0", "1") for row in rows for part in row)
        if not binary or len({len(row) for row in rows}) != 1:
            return _named_sets(table, rows, known)
        classes = tuple(str(place) for place in range(len(rows[0])))
    if known is not None and len(classes) != len(known):
        raise LabelError(
            f"{table.source} has {len(classes)} labels a row, and the training rows {len(known)}."
        )
    targets = np.zeros((len(rows), len(classes)), dtype=np.float32)
    for at, (record, row) in enumerate(zip(table.records, rows, strict=True)):
        for column, text in enumerate(row):
            number = as_number(text)
            if number not in (0.0, 1.0):
                raise LabelError(
                    f"{table.place(record)} has {text!r} where a label is 0 or 1.",
                    record=record.name,
                )
            targets[at, column] = number
    return known or classes, targets


def _named_sets(
    table: LabelTable, rows: list[Sequence[str]], known: tuple[str, ...] | None
) -> Targets:
    rows = [[part for part in row if part != "-"] for row in rows]  # "-": none of the labels
    named = {part for row in rows for part in row}
    classes = tuple(sorted(named, key=_natural)) if known is None else known
    place = {each: index for index, each in enumerate(classes)}
    targets = np.zeros((len(rows), len(classes)), dtype=np.float32)
    for at, (record, row) in enumerate(zip(table.records, rows, strict=True)):
        for text in row:
            if text not in place:
                raise _never_seen(table, record, text, classes)
            targets[at, place[text]] = 1.0
    return classes, targets


def _measurements(table: LabelTable, known: tuple[str, ...] | None) -> Targets:
    targets = np.zeros((len(table.records), len(table.columns)), dtype=np.float32)
    for at, (record, row) in enumerate(table.rows()):
        for column, text in enumerate(row):
            number = as_number(text)
            if number is None:
                raise LabelError(
                    f"{table.place(record)} has the target {text!r}, which is no number.",
                    record=record.name,
                )
            if not math.isfinite(number):
                raise _not_finite(table, record, text)
            targets[at, column] = number
    return known or table.columns, targets


_READERS: dict[str, Callable[[LabelTable, tuple[str, ...] | None], Targets]] = {
    "classification": _classes,
    "multi-label": _several,
    "regression": _measurements,
    "token-classification": _bases,
}
KINDS = tuple(_READERS)


def _natural(text: str) -> tuple[float, str]:
    number = as_number(text)
    return (math.inf if number is None else number, text)


def _not_finite(table: LabelTable, record: Record, text: str) -> LabelError:
    return LabelError(
        f"{table.place(record)} has the target {text}.",
        record=record.name,
        hint="Remove rows that were not measured.",
    )


def _never_seen(table: LabelTable, record: Record, text: str, classes: Sequence[str]) -> LabelError:
    return LabelError(
        f"{table.place(record)} has the label {text!r}, which no training row has.",
        record=record.name,
        hint=did_you_mean(nearest(text, classes)) or f"Training has {', '.join(classes[:12])}.",
    )
