"""Counts of the base behind each context, on both strands: yardsticks, and a help in training.

A context is ``left`` bases before a base and ``right`` after it. ``ContextCounts`` holds a ladder of
them, from short to long; ``expectation`` shrinks each rung onto the one below it::

    p_k(b | context_k) = (n_k(b) + w_k p_{k-1}(b)) / (n_k + w_k)

which is interpolated Dirichlet smoothing (MacKay and Peto 1995). With ``own`` the base's own
occurrence is taken out of every count first: what the *rest* of the genome says of this base. As
training targets such probabilities carry far less noise than single bases, and a small network on
one small genome has little else to gain from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .bases import Bases, reverse_complement

TWO_SIDED = (((3, 3), 1.0), ((4, 4), 20.0), ((5, 5), 40.0), ((6, 6), 40.0))
ONE_SIDED = (
    ((2, 0), 1.0), ((3, 0), 16.0), ((4, 0), 16.0), ((5, 0), 32.0), ((6, 0), 64.0), ((7, 0), 128.0),
    ((8, 0), 256.0), ((9, 0), 256.0), ((10, 0), 256.0), ((11, 0), 128.0), ((12, 0), 32.0),
)  # fmt: skip


def context_numbers(bases: Bases, left: int, right: int) -> NDArray[np.int64]:
    """For each position (last axis) the number of its context, -1 where a neighbour is no base."""
    length = bases.shape[-1]
    number = np.zeros(bases.shape, np.int64)
    clean = np.ones(bases.shape, bool)
    padded = np.full((*bases.shape[:-1], length + left + right), 4, np.uint8)
    padded[..., left : left + length] = bases
    for offset in [*range(-left, 0), *range(1, right + 1)]:
        neighbour = padded[..., left + offset : left + offset + length]
        number = number * 4 + np.minimum(neighbour, 3)
        clean &= neighbour < 4
    return np.where(clean, number, -1)


def count(bases: Bases, left: int, right: int) -> NDArray[np.float32]:
    """Counts (4^(left + right), 4) of the base behind each context, on both strands."""
    cells = 4 ** (left + right + 1)
    counts = np.zeros(cells, np.float32)
    for strand in (bases, reverse_complement(bases)):
        number = context_numbers(strand, left, right)
        use = (number >= 0) & (strand < 4)
        counts += np.bincount(number[use] * 4 + strand[use], minlength=cells)
    return counts.reshape(-1, 4)


@dataclass(frozen=True)
class ContextCounts:
    """A ladder of counted contexts: ((left, right), weight of the rung below, counts) each."""

    rungs: tuple[tuple[tuple[int, int], float, NDArray[np.float32]], ...]

    @classmethod
    def of(cls, bases: Bases, ladder: Sequence[tuple[tuple[int, int], float]]) -> ContextCounts:
        """Count a training region; rungs of more contexts than 4 a base would hold nothing."""
        most = 4 * len(bases)
        rungs = [rung for rung in ladder if 4 ** sum(rung[0]) <= most]
        return cls(tuple((sides, weight, count(bases, *sides)) for sides, weight in rungs))

    def expectation(self, bases: Bases, *, own: bool) -> NDArray[np.float32]:
        """(…, length) bases to (…, length, 4): what their contexts say of each of them.

        ``own``: the bases are of the counted region, and each is taken out of the counts.
        """
        taken = np.eye(5, 4, dtype=np.float32)[bases] if own else np.float32(0)
        view = np.full((*bases.shape, 4), 0.25, np.float32)
        for (left, right), weight, counts in self.rungs:
            number = context_numbers(bases, left, right)
            others = np.maximum(counts[number] - taken, 0)
            shrunk = (others + weight * view) / (others.sum(-1, keepdims=True) + weight)
            view = np.where(number[..., None] >= 0, shrunk, view)
        return view
