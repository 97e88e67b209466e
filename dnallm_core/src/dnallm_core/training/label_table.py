"""The labels of a file as text: in which columns they stand, and what kind their values are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import LabelError, did_you_mean, nearest
from ..sequences.files import Record, read_records
from . import tokens

_LABEL_NAMES = ("label", "labels", "class", "target", "y")
_EMPTY = ("", "na", "n/a", "null")
_MOST_WHOLE_NUMBERS = 20  # more different whole numbers than this are measurements, not classes


@dataclass(frozen=True)
class LabelTable:
    """Sequences and their labels as they are written: ``values`` a list a row, a text a column."""

    source: str
    records: tuple[Record, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]

    @classmethod
    def read(
        cls,
        path: Path | str,
        label: Sequence[str] = (),
        *,
        column: str | None = None,
        name_column: str | None = None,
        skip_empty: bool = False,
    ) -> LabelTable:
        """Of a table the columns ``label``; of FASTA what the titles say."""
        source = Path(path).name
        records = tuple(
            read_records(
                path,
                column=column,
                name_column=name_column,
                duplicates="keep",
                skip_empty=skip_empty,
            )
        )
        columns = _label_columns(records[0], list(label), source)
        values = (tuple(_value(record, each, source) for each in columns) for record in records)
        return cls(source, records, tuple(columns), tuple(values))

    def rows(self) -> Iterator[tuple[Record, tuple[str, ...]]]:
        """Each sequence with its labels."""
        return zip(self.records, self.values, strict=True)

    def only_column(self, sentence: str) -> list[str]:
        """The one label of each row; LabelError with the sentence and the number where it has more."""
        if len(self.columns) > 1:
            raise LabelError(sentence.format(len(self.columns)))
        return [row[0] for row in self.values]

    def place(self, record: Record) -> str:
        """Where a record stands, as errors begin."""
        return f"Row {record.index + 1} of {self.source} ({record.name})"

    def fields(self, column: str) -> tuple[str, ...]:
        """What another column says of each row."""
        return tuple(_field(each, column, self.source) for each in self.records)

    def told_kind(self) -> str:
        """The kind of labels, told by the values."""
        flat = [each for row in self.values for each in row]
        if len(self.columns) == 1 and all(
            len(record.sequence) > 5 and tokens.parts_of(text, len(record.sequence)) is not None
            for record, text in zip(self.records, flat, strict=True)
        ):
            return "token-classification"
        if len(self.columns) == 1 and any(";" in each for each in flat):
            return "multi-label"
        numbers = [as_number(each) for each in flat]
        if len(self.columns) > 1:
            if all(each in (0.0, 1.0) for each in numbers):
                return "multi-label"
            if None not in numbers:
                return "regression"
            text = next(text for text, each in zip(flat, numbers, strict=True) if each is None)
            raise LabelError(
                f"Several columns of labels must be of 0 and 1, or of numbers; {self.source} has "
                f"{text!r}."
            )
        if all(each is None for each in numbers):
            return "classification"
        if None in numbers:
            text = next(text for text, each in zip(flat, numbers, strict=True) if each is None)
            other = next(text for text, each in zip(flat, numbers, strict=True) if each is not None)
            raise LabelError(
                f"The labels of {self.source} are of mixed type: {other!r} is a number, {text!r} is "
                "none.",
                column=self.columns[0],
                hint="Correct them, or say --kind classification to take all as names.",
            )
        whole = all(each is not None and (math.isnan(each) or each % 1 == 0) for each in numbers)
        if whole and len(set(flat)) <= _MOST_WHOLE_NUMBERS:
            return "classification"
        return "regression"


def as_number(text: str) -> float | None:
    """The number that a text is, or None."""
    try:
        return float(text)
    except ValueError:
        return None


def _label_columns(first: Record, wanted: list[str], source: str) -> list[str]:
    fields = first.fields
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
