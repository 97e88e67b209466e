"""Labelled sequences: a table or a FASTA file becomes sequences and targets, or a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LabelError, did_you_mean, nearest
from ..sequences.files import Record, read_records
from . import tokens

KINDS = ("classification", "multi-label", "regression", "token-classification")
_LABEL_NAMES = ("label", "labels", "class", "target", "y")
_EMPTY = ("", "na", "n/a", "null")
_MOST_WHOLE_NUMBERS = 20  # more different whole numbers than this are measurements, not classes


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
    like: Labelled | None = None,
) -> Labelled:
    """Read labelled sequences.

    Of a table, ``label`` names the column of labels, or several: of 0 and 1 (multi-label) or of
    measurements (regression). Values parted by ``;`` are several labels of a row, or, where each row
    has as many and all are 0 or 1, a column each. Of FASTA, the label is ``label=VALUE`` in the
    title, or all that follows the name, or what follows the last ``|`` of it. Labels of single bases
    are written as ``tokens`` says. ``kind`` is classification, multi-label, regression or
    token-classification; without it the values tell. ``like``: labelled
    sequences (the training ones) whose kind and classes hold here too.

    Raises LabelError, SequenceError.
    """
    if kind is not None and kind not in KINDS:
        raise LabelError(
            f"There is no kind of labels {kind!r}.", hint=f"One of {', '.join(KINDS)}."
        )
    source = Path(path).name
    records = list(read_records(path, column=column, name_column=name_column, duplicates="keep"))
    columns = _label_columns(records, list(label), source)
    values = [[_value(record, each, source) for each in columns] for record in records]
    if like is not None:
        kind = like.kind
    if kind is None:
        kind = _told(records, values, columns, source)
    if kind == "classification":
        classes, targets = _classes(records, values, columns, source, like)
    elif kind == "multi-label":
        classes, targets = _several(records, values, columns, source, like)
    elif kind == "token-classification":
        classes, targets = _bases(records, values, columns, source, like)
    else:
        classes, targets = _measurements(records, values, columns, source, like)
    found = Labelled(
        kind,
        classes,
        tuple(each.name for each in records),
        tuple(each.sequence for each in records),
        targets,
        None if group is None else tuple(_field(each, group, source) for each in records),
    )
    _refuse_contrary(found, source)
    if like is None:
        _refuse_unlearnable(found, source)
    return found


# --- which values -----------------------------------------------------------------------------


def _label_columns(records: list[Record], wanted: list[str], source: str) -> list[str]:
    fields = records[0].fields
    if fields is None:
        return wanted or ["label"]
    for each in wanted:
        if each not in fields:
            raise _no_column(source, each, list(fields))
    if wanted:
        return wanted
    lowered = {each.lower(): each for each in reversed(list(fields))}
    for each in _LABEL_NAMES:
        if each in lowered:
            return [lowered[each]]
    raise LabelError(
        f"{source} has no column called label: its columns are {', '.join(fields) or 'none'}.",
        hint="Say which one holds the labels (--label).",
    )


def _no_column(source: str, column: str, columns: list[str]) -> LabelError:
    hint = did_you_mean(nearest(column, columns)) or f"Its columns are {', '.join(columns)}."
    return LabelError(f"{source} has no column {column!r}.", column=column, hint=hint)


def _field(record: Record, column: str, source: str) -> str:
    if record.fields is None:
        pairs = dict(each.split("=", 1) for each in record.description.split() if "=" in each)
        if column not in pairs:
            raise LabelError(f"The title of {record.name} in {source} has no {column}=.")
        return pairs[column]
    if column not in record.fields:
        raise _no_column(source, column, list(record.fields))
    return str(record.fields[column])


def _value(record: Record, column: str, source: str) -> str:
    """One label as text; never empty."""
    if record.fields is not None:
        value = record.fields[column]
        if isinstance(value, (list, tuple, np.ndarray)):
            value = ";".join(str(each) for each in value)
        text = "" if value is None else str(value).strip()
    else:
        text = _from_title(record, column)
    if text.lower() in _EMPTY:
        raise LabelError(
            f"Row {record.index + 1} of {source} ({record.name}) has no label.",
            record=record.name,
            column=column,
            hint="Remove such rows, or give them one.",
        )
    return text


def _from_title(record: Record, column: str) -> str:
    for word in record.description.split():
        if word.startswith(f"{column}="):
            return word.partition("=")[2]
    if record.description:
        return record.description
    return record.name.rpartition("|")[2] if "|" in record.name else ""


# --- which kind -------------------------------------------------------------------------------


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _told(records: list[Record], values: list[list[str]], columns: list[str], source: str) -> str:
    """The kind, told by the values."""
    flat = [each for row in values for each in row]
    if len(columns) == 1 and all(
        len(record.sequence) > 5 and tokens.parts_of(text, len(record.sequence)) is not None
        for record, text in zip(records, flat, strict=True)
    ):
        return "token-classification"
    if len(columns) == 1 and any(";" in each for each in flat):
        return "multi-label"
    numbers = [_number(each) for each in flat]
    if len(columns) > 1:
        if all(each in (0.0, 1.0) for each in numbers):
            return "multi-label"
        if None not in numbers:
            return "regression"
        raise LabelError(
            f"Several columns of labels must be of 0 and 1, or of numbers; {source} has "
            f"{next(text for text, each in zip(flat, numbers, strict=True) if each is None)!r}."
        )
    if all(each is None for each in numbers):
        return "classification"
    if None in numbers:
        text = next(text for text, each in zip(flat, numbers, strict=True) if each is None)
        other = next(text for text, each in zip(flat, numbers, strict=True) if each is not None)
        raise LabelError(
            f"The labels of {source} are of mixed type: {other!r} is a number, {text!r} is none.",
            column=columns[0],
            hint="Correct them, or say --kind classification to take all as names.",
        )
    whole = all(each is not None and (math.isnan(each) or each % 1 == 0) for each in numbers)
    if whole and len(set(flat)) <= _MOST_WHOLE_NUMBERS:
        return "classification"
    return "regression"


# --- targets ----------------------------------------------------------------------------------


def _classes(
    records: list[Record],
    values: list[list[str]],
    columns: list[str],
    source: str,
    like: Labelled | None,
) -> tuple[tuple[str, ...], NDArray[Any]]:
    if len(columns) > 1:
        raise LabelError(f"Classification reads one column of labels, not {len(columns)}.")
    texts = [row[0] for row in values]
    for record, text in zip(records, texts, strict=True):
        number = _number(text)
        if number is not None and math.isnan(number):
            raise _not_finite(record, text, source)
    classes = like.classes if like is not None else tuple(sorted(set(texts), key=_natural))
    place = {each: index for index, each in enumerate(classes)}
    for record, text in zip(records, texts, strict=True):
        if text not in place:
            raise _never_seen(record, text, source, classes)
    return classes, np.array([place[each] for each in texts], dtype=np.int64)


def _bases(
    records: list[Record],
    values: list[list[str]],
    columns: list[str],
    source: str,
    like: Labelled | None,
) -> tuple[tuple[str, ...], NDArray[Any]]:
    if len(columns) > 1:
        raise LabelError(f"Labels of bases stand in one column, not in {len(columns)}.")
    rows = []
    for record, (text,) in zip(records, values, strict=True):
        parts = tokens.parts_of(text, len(record.sequence))
        if parts is None:
            raise LabelError(
                f"Row {record.index + 1} of {source} ({record.name}) has {len(record.sequence):,} "
                f"bases, and its labels are not as many: {text[:20]!r}.",
                record=record.name,
                hint="A letter a base, or whole numbers parted by spaces; . is a base without one.",
            )
        rows.append(parts)
    named = {part for row in rows for part in row} - {"."}
    classes = like.classes if like is not None else tuple(sorted(named, key=_natural))
    place = {".": tokens.UNLABELLED, **{each: index for index, each in enumerate(classes)}}
    targets = np.empty(len(rows), dtype=object)
    for at, (record, row) in enumerate(zip(records, rows, strict=True)):
        for text in set(row):
            if text not in place:
                raise _never_seen(record, text, source, classes)
        targets[at] = np.array([place[part] for part in row], dtype=np.int64)
    return classes, targets


def _several(
    records: list[Record],
    values: list[list[str]],
    columns: list[str],
    source: str,
    like: Labelled | None,
) -> tuple[tuple[str, ...], NDArray[Any]]:
    if len(columns) > 1:
        rows, classes = values, tuple(columns)
    else:
        rows = [[part.strip() for part in row[0].split(";") if part.strip()] for row in values]
        binary = all(part in ("0", "1") for row in rows for part in row)
        if binary and len({len(row) for row in rows}) == 1:
            classes = tuple(str(place) for place in range(len(rows[0])))
        else:
            return _named_sets(records, rows, source, like)
    if like is not None and len(classes) != len(like.classes):
        raise LabelError(
            f"{source} has {len(classes)} labels a row, and the training rows {len(like.classes)}."
        )
    targets = np.zeros((len(rows), len(classes)), dtype=np.float32)
    for at, (record, row) in enumerate(zip(records, rows, strict=True)):
        for column, text in enumerate(row):
            number = _number(text)
            if number not in (0.0, 1.0):
                raise LabelError(
                    f"Row {record.index + 1} of {source} ({record.name}) has {text!r} where a "
                    "label is 0 or 1.",
                    record=record.name,
                )
            targets[at, column] = number
    return (classes if like is None else like.classes), targets


def _named_sets(
    records: list[Record], rows: list[list[str]], source: str, like: Labelled | None
) -> tuple[tuple[str, ...], NDArray[Any]]:
    rows = [[part for part in row if part != "-"] for row in rows]  # "-": none of the labels
    named = {part for row in rows for part in row}
    classes = like.classes if like is not None else tuple(sorted(named, key=_natural))
    place = {each: index for index, each in enumerate(classes)}
    targets = np.zeros((len(rows), len(classes)), dtype=np.float32)
    for at, (record, row) in enumerate(zip(records, rows, strict=True)):
        for text in row:
            if text not in place:
                raise _never_seen(record, text, source, classes)
            targets[at, place[text]] = 1.0
    return classes, targets


def _measurements(
    records: list[Record],
    values: list[list[str]],
    columns: list[str],
    source: str,
    like: Labelled | None,
) -> tuple[tuple[str, ...], NDArray[Any]]:
    targets = np.zeros((len(values), len(columns)), dtype=np.float32)
    for at, (record, row) in enumerate(zip(records, values, strict=True)):
        for column, text in enumerate(row):
            number = _number(text)
            if number is None:
                raise LabelError(
                    f"Row {record.index + 1} of {source} ({record.name}) has the target {text!r}, "
                    "which is no number.",
                    record=record.name,
                )
            if not math.isfinite(number):
                raise _not_finite(record, text, source)
            targets[at, column] = number
    return (tuple(columns) if like is None else like.classes), targets


def _natural(text: str) -> tuple[float, str]:
    number = _number(text)
    return (math.inf if number is None else number, text)


def _not_finite(record: Record, text: str, source: str) -> LabelError:
    return LabelError(
        f"Row {record.index + 1} of {source} ({record.name}) has the target {text}.",
        record=record.name,
        hint="Remove rows that were not measured.",
    )


def _never_seen(record: Record, text: str, source: str, classes: Sequence[str]) -> LabelError:
    return LabelError(
        f"Row {record.index + 1} of {source} ({record.name}) has the label {text!r}, which no "
        "training row has.",
        record=record.name,
        hint=did_you_mean(nearest(text, classes)) or f"Training has {', '.join(classes[:12])}.",
    )


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
