"""Measured points -> named terms: a small non-negative least-squares fit, held against other points.

Peak bytes above the weights = fixed + per_row x rows + per_length x tokens (filters, which all rows
share; a row that is mixed by itself) + per_token x rows x tokens + per_length_squared x tokens^2
(biases and masks, which all rows share) + per_token_squared x rows x tokens^2; seconds = fixed +
per_token x rows x tokens + per_token_squared x rows x tokens^2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

SQUARES = ("per_length_squared", "per_token_squared")
TERMS = ("fixed", "per_row", "per_length", "per_token", *SQUARES)
FLOOR = 64 * 10**6  # bytes: what allocators and thread pools differ by from run to run
SIMPLER = 0.01  # of the bytes: a simpler fit that is as near is preferred
UNDER = 0.01  # a prediction is lifted until no fitted point lies further above it


class Point(NamedTuple):
    """One run: a batch of ``rows`` by ``tokens``, its peak bytes (weights included) and seconds."""

    rows: int
    tokens: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Fit:
    """Terms in bytes and seconds, and the worst deviations on points that were not fitted."""

    bytes: dict[str, float]
    seconds: dict[str, float]
    over: float  # largest (predicted - measured) / measured beyond the floor, 0 if none
    under: float  # largest (measured - predicted) / measured


def fit(
    points: Sequence[Point],
    held: Sequence[Point],
    weights: int,
    terms: Sequence[str] = TERMS,
    floor: float = FLOOR,
) -> Fit:
    """Fit ``points`` above ``weights`` bytes, and hold the prediction against ``held``.

    ``terms``: those that this kind of network has; the others stay zero, so that noise at short
    lengths is not taken for growth at long ones. Deviations of less than ``floor`` bytes are none.
    """
    amounts = [float(max(0, point.bytes - weights)) for point in points]
    scale = [1.0 / max(point.bytes, floor) for point in points]
    found: dict[str, float] = {}
    for allowed in _simplest_first(terms):
        rows = [
            tuple(
                value if name in allowed else 0.0
                for name, value in zip(TERMS, _row(point), strict=True)
            )
            for point in points
        ]
        found = dict(zip(TERMS, solve(rows, amounts, scale), strict=True))
        gaps = (abs(predicted(found, point) + weights - point.bytes) for point in points)
        if all(
            gap <= max(floor, SIMPLER * point.bytes)
            for gap, point in zip(gaps, points, strict=True)
        ):
            break
    lift = max(
        (point.bytes * (1 - UNDER) - weights - predicted(found, point) for point in points),
        default=0.0,
    )
    found["fixed"] += max(0.0, lift)
    over, under = deviations([found], held, weights, floor)
    return Fit(found, fit_seconds(points), over, under)


def fit_seconds(points: Sequence[Point]) -> dict[str, float]:
    """Seconds by term."""
    timed = [(row[0], row[3], row[5]) for row in map(_row, points)]
    times = [point.seconds for point in points]
    return dict(
        zip(
            ("fixed", "per_token", "per_token_squared"),
            solve(timed, times, [1.0 / max(time, 1e-4) for time in times]),
            strict=True,
        )
    )


def deviations(
    steps: Sequence[Mapping[str, float]], held: Sequence[Point], weights: int, floor: float
) -> tuple[float, float]:
    """The worst of too much and of too little among ``held`` points, as parts of what was measured."""
    over = under = 0.0
    for point in held:
        gap = weights + max(predicted(each, point) for each in steps) - point.bytes
        if abs(gap) > floor:
            over, under = max(over, gap / point.bytes), max(under, -gap / point.bytes)
    return over, under


def _simplest_first(terms: Sequence[str]) -> list[list[str]]:
    """Fewer terms first: squares only where nothing simpler tells what was measured."""
    plain = [name for name in terms if name not in SQUARES]
    rowwise = [name for name in terms if name != "per_length_squared"]
    sets = [plain, rowwise, list(terms)]
    return [each for place, each in enumerate(sets) if each not in sets[:place]]


def predicted(terms: Mapping[str, float], point: Point) -> float:
    """Bytes above the weights."""
    row = _row(point)
    return sum(terms.get(name, 0.0) * value for name, value in zip(TERMS, row, strict=True))


def _row(point: Point) -> tuple[float, ...]:
    return (
        1.0,
        float(point.rows),
        float(point.tokens),
        float(point.rows * point.tokens),
        float(point.tokens) ** 2,
        float(point.rows) * point.tokens**2,
    )


def solve(
    rows: Sequence[Sequence[float]], wanted: Sequence[float], weights: Sequence[float]
) -> list[float]:
    """The non-negative solution of least weighted squares; of so few unknowns, every subset is tried."""
    width = len(rows[0])
    best: tuple[float, list[float]] = (sum((w * y) ** 2 for w, y in zip(weights, wanted, strict=True)),
                                       [0.0] * width)  # fmt: skip
    for size in range(1, width + 1):
        for chosen in combinations(range(width), size):
            solution = _least_squares(rows, wanted, weights, chosen)
            if solution is None or min(solution) < 0:
                continue
            whole = [0.0] * width
            for place, value in zip(chosen, solution, strict=True):
                whole[place] = value
            left = sum(
                (w * (y - sum(a * b for a, b in zip(row, whole, strict=True)))) ** 2
                for row, y, w in zip(rows, wanted, weights, strict=True)
            )
            if left < best[0] * (1 - 1e-9):
                best = (left, whole)
    return best[1]


def _least_squares(
    rows: Sequence[Sequence[float]],
    wanted: Sequence[float],
    weights: Sequence[float],
    chosen: Sequence[int],
) -> list[float] | None:
    """Normal equations of the chosen columns, each scaled to its largest entry."""
    sizes = [max(abs(row[column]) for row in rows) or 1.0 for column in chosen]
    table = [
        [row[column] / size for column, size in zip(chosen, sizes, strict=True)] for row in rows
    ]
    count = len(chosen)
    matrix = [
        [sum(w * w * row[i] * row[j] for row, w in zip(table, weights, strict=True))
         for j in range(count)]
        + [sum(w * w * row[i] * y for row, y, w in zip(table, wanted, weights, strict=True))]
        for i in range(count)
    ]  # fmt: skip
    for pivot in range(count):
        largest = max(range(pivot, count), key=lambda row: abs(matrix[row][pivot]))
        if abs(matrix[largest][pivot]) < 1e-14 * abs(matrix[0][0] or 1.0):
            return None
        matrix[pivot], matrix[largest] = matrix[largest], matrix[pivot]
        for row in range(count):
            if row != pivot:
                factor = matrix[row][pivot] / matrix[pivot][pivot]
                matrix[row] = [
                    a - factor * b for a, b in zip(matrix[row], matrix[pivot], strict=True)
                ]
    return [matrix[i][count] / matrix[i][i] / sizes[i] for i in range(count)]
