"""Counted steps -> those of them that can be the peak, each as a sum of terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .fitting import Point, fit


@dataclass(frozen=True, slots=True)
class StepFit:
    """A step that is the peak of some inputs: where in the network it is, and its terms."""

    name: str
    part: str
    terms: dict[str, float]


def envelope(
    points: Sequence[Point],
    steps: Sequence[Mapping[str, tuple[str, int]]],
    terms: Sequence[str],
    floor: float,
) -> list[StepFit]:
    """The steps that hold most at one of ``points``, fitted over all of them.

    ``steps``: what every step held at each point, in bytes, after its part of the network.
    """
    names = [name for name in steps[0] if all(name in each for each in steps)]
    peaks = {max(names, key=lambda name: each[name][1]) for each in steps}
    found = []
    for name in names:
        if name in peaks:
            held = [
                point._replace(bytes=each[name][1])
                for point, each in zip(points, steps, strict=True)
            ]
            found.append(StepFit(name, steps[0][name][0], fit(held, (), 0, terms, floor).bytes))
    return found
