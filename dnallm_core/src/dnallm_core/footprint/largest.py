"""The largest of several polynomials of the length, as pieces that follow each other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

Polynomial = tuple[float, float, float]  # constant, a token, a token squared


class Piece(NamedTuple):
    """Polynomial ``which`` is the largest for more than ``after`` tokens and ``until`` at most."""

    which: int
    after: float
    until: float


def largest(polynomials: Sequence[Polynomial]) -> list[Piece]:
    """Pieces from 0 to infinity; of equal ones the first counts."""
    cuts = {0.0, math.inf}
    for place, one in enumerate(polynomials):
        for other in polynomials[place + 1 :]:
            cuts.update(_crossings(one, other))
    borders = sorted(cuts)
    pieces: list[Piece] = []
    for after, until in itertools.pairwise(borders):
        middle = (after + until) / 2 if until < math.inf else 2 * after + 1
        which = max(range(len(polynomials)), key=lambda each: _at(polynomials[each], middle))
        if pieces and pieces[-1].which == which:
            pieces[-1] = pieces[-1]._replace(until=until)
        else:
            pieces.append(Piece(which, after, until))
    return pieces


def _at(polynomial: Polynomial, tokens: float) -> float:
    constant, linear, square = polynomial
    return constant + (linear + square * tokens) * tokens


def _crossings(one: Polynomial, other: Polynomial) -> list[float]:
    """Positive numbers of tokens at which two are equal."""
    constant, linear, square = (a - b for a, b in zip(one, other, strict=True))
    if square == 0:
        found = [-constant / linear] if linear else []
    else:
        inside = linear * linear - 4 * square * constant
        root = math.sqrt(inside) if inside >= 0 else math.nan
        found = [(-linear - root) / (2 * square), (-linear + root) / (2 * square)]
    return [each for each in found if math.isfinite(each) and each > 0]
