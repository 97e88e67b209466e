"""Labels of single bases: how they are written, and how they pass to tokens and back.

A row's labels are a string with one letter a base (``IIEEEI``), or whole numbers, one a base, parted
by spaces, commas or semicolons; ``.`` is a base that nobody labelled, and counts nowhere. A token
that stands for several bases takes the label that most of its labelled bases have, the first in
order among equals; the answer for a base is the mean over the tokens that stand for it, and where
none does, that of the token before it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNLABELLED = -1
IGNORED = -100  # what cross-entropy leaves out
_PARTED = re.compile(r"[\s,;]+")


def parts_of(text: str, bases: int) -> list[str] | None:
    """One label a base, or None where the text is no such thing."""
    parted = [each for each in _PARTED.split(text.strip("[] \t")) if each]
    if len(parted) == bases and bases > 1:
        return parted
    return list(text) if len(text) == bases else None


def label_tokens(
    offsets: Sequence[tuple[int, int]], labels: NDArray[np.int64], classes: int
) -> list[int]:
    """A label for each token from those of its bases (places of classes; -1: none)."""
    found = []
    for start, end in offsets:
        seen = labels[start:end]
        counts = np.bincount(seen[seen >= 0], minlength=classes)
        found.append(int(counts.argmax()) if counts.any() else IGNORED)
    return found


def answer_bases(
    offsets: Sequence[tuple[int, int]], answers: NDArray[np.float64], bases: int
) -> NDArray[np.float64]:
    """(bases, classes) from (tokens, classes)."""
    total = np.zeros((bases, answers.shape[1]))
    count = np.zeros((bases, 1))
    for (start, end), answer in zip(offsets, answers, strict=True):
        total[start:end] += answer
        count[start:end] += 1
    found = total / np.maximum(count, 1)
    for at in np.flatnonzero(count[:, 0] == 0):
        found[at] = found[at - 1] if at else 1 / answers.shape[1]
    return found


def spelt(labels: Sequence[int], classes: Sequence[str]) -> str:
    """Labels as they are read: letters side by side, or words parted by semicolons."""
    names = ["." if each < 0 else classes[each] for each in labels]
    return ("" if all(len(each) == 1 for each in classes) else ";").join(names)


def flat(rows: Sequence[NDArray[Any]] | NDArray[Any]) -> NDArray[Any]:
    """The bases of rows one after another."""
    return np.concatenate(list(rows))
