"""Bytes alive at each step of a forward pass, counted on tensors without memory: of any size, at once.

Where attention is one kernel and nothing else has large workspaces, what a process holds is the
weights, what is counted here, and a constant (15 to 22 MB in the networks that were measured).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..manifest.model import ModelManifest
from .envelope import StepFit, envelope
from .fitting import Point, predicted
from .steps import Steps

ROWS = (1, 8)
LENGTHS = 5
MOST_TOKENS = 16_384  # of a row: what grows with a square has shown it by then
SHORTEST = 48
EXACT = 10**5  # bytes by which a fitted count may be off


def counted_steps(
    manifest: ModelManifest,
    dtype: str,
    changes: Mapping[str, Any],
    points: Sequence[tuple[int, int]],
) -> list[dict[str, tuple[str, int]]]:
    """For each (rows, tokens): what every step of a pass holds above the weights, and its part."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    from ..testing.counting import Counting
    from .run import inputs_of, network, random_network

    implementation, settings = network({"model": manifest.id, "config": dict(changes)})
    device = torch.device("cpu")
    found = []
    with warnings.catch_warnings(), FakeTensorMode(allow_non_fake_inputs=True):
        warnings.simplefilter("ignore")
        module = random_network(implementation, settings, getattr(torch, dtype), device)
        for rows, tokens in points:
            job = {"batch": rows, "tokens": tokens, "inputs": list(manifest.inputs)}
            inputs = inputs_of(module, job, device)
            counting = Counting()

            def peak(counting: Counting = counting) -> int:
                most, counting.peak = counting.peak, counting.alive
                return most

            steps = Steps(module, peak)
            with torch.no_grad(), counting:
                kept = module(**inputs)
            steps.finish()
            steps.leave()
            del kept
            found.append({name: (steps.parts[name], most) for name, most in steps.bytes.items()})
    return found


@dataclass(frozen=True, slots=True)
class Counted:
    """Steps that can be the peak, and the peaks of the points that were asked for."""

    steps: list[StepFit]
    peaks: list[int]

    def at(self, point: Point) -> float:
        """Bytes above the weights, without the constant."""
        return max(predicted(each.terms, point) for each in self.steps)


def count_terms(
    manifest: ModelManifest,
    dtype: str,
    changes: Mapping[str, Any],
    terms: Sequence[str],
    longest: int,
    shortest: int = SHORTEST,
    asked: Sequence[tuple[int, int]] = (),
) -> Counted:
    """The steps that are the peak of some batch, from ``shortest`` to ``longest`` tokens a row."""
    longest = max(min(longest, MOST_TOKENS), 2 * shortest)
    ratio = (longest / shortest) ** (1 / (LENGTHS - 1))
    lengths = sorted({round(shortest * ratio**place) for place in range(LENGTHS)})
    points = [(rows, tokens) for rows in ROWS for tokens in lengths]
    found = counted_steps(manifest, dtype, changes, [*points, *asked])
    steps = envelope([Point(*each, 0, 0.0) for each in points], found[: len(points)], terms, EXACT)
    return Counted(steps, [max(most for _, most in each.values()) for each in found[len(points) :]])
