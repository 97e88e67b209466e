"""What a network is worth on the held-out region: bits a base, beside what needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..models import Model
from .bases import Bases, SplitGenome, reverse_complement
from .windows import Letters, mask
from .yardsticks import best, one_sided, two_sided

WINDOWS = 480
ROWS = 8
RESAMPLINGS = 2_000
LONGEST = 24  # more than any yardstick's context
SEED = 537
NETWORK = "this network"
BOTH = "this network, mean of both strands' probabilities"


def measured(
    model: Model,
    genome: SplitGenome,
    window: int,
    *,
    windows: int = WINDOWS,
    others: Mapping[str, Bases] | None = None,
) -> dict[str, Any]:
    """Bits a base with 95 % intervals, of the network and of the yardsticks, on the same bases.

    A masked network has bases 4 to 8 apart masked in windows spread evenly over the held-out
    region; a causal one reads such windows and is judged on what follows their first eighth. An
    interval is that of 2,000 resamplings of the windows. ``rows`` are from worst to best, and
    ``margins`` hold the network against the best table and the best of all, window by window.
    ``others``: further genomes; the same of each of them stands in ``elsewhere``.
    """
    letters = Letters.of(model)
    stretches = {"": genome.held_out, **(others or {})}
    gap = np.full(LONGEST, 4, np.uint8)  # no context reaches from one stretch into the next
    joined = np.concatenate([part for each in stretches.values() for part in (each, gap)])
    yardsticks = (one_sided if letters.causal else two_sided)(genome.training, joined)
    found = {}
    at = 0
    for name, bases in stretches.items():
        here = {key: each[at : at + len(bases)] for key, each in yardsticks.items()}
        found[name] = _compared(model, letters, bases, window, windows, here)
        at += len(bases) + LONGEST
    return {**found.pop(""), "elsewhere": found}


def _compared(
    model: Model,
    letters: Letters,
    bases: Bases,
    window: int,
    windows: int,
    yardsticks: Mapping[str, NDArray[np.float64]],
) -> dict[str, Any]:
    windows = max(1, min(windows, len(bases) // window))  # that none lies on another
    starts = np.linspace(0, len(bases) - window, windows).round().astype(np.int64)
    places, bits, both = _answers(model, letters, bases, starts, window)
    tables = {name: each for name, each in yardsticks.items() if "pseudocounts" in name}
    chosen = [best(tables)]
    chosen += [(name, each) for name, each in yardsticks.items() if name not in tables]
    columns = {name: each[places] for name, each in chosen}
    columns[NETWORK] = bits
    if both is not None:
        columns[BOTH] = both
    use = np.isfinite(np.stack(list(columns.values()))).all(0)
    row_of = np.broadcast_to(np.arange(windows)[:, None], places.shape)[use]
    sums = {
        name: np.bincount(row_of, each[use], minlength=windows) for name, each in columns.items()
    }
    counts = np.bincount(row_of, minlength=windows).astype(np.float64)
    drawn = np.random.default_rng(SEED).integers(0, windows, (RESAMPLINGS, windows))
    weights = counts[drawn].sum(1)
    means = {name: each[drawn].sum(1) / weights for name, each in sums.items()}
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "bits": float(sums[name].sum() / counts.sum()),
            "interval": _interval(means[name]),
        }
        for name in sums
    ]
    rows.sort(key=lambda row: -float(row["bits"]))
    own = NETWORK if both is None else BOTH
    least = next(row["name"] for row in reversed(rows) if row["name"] not in (NETWORK, BOTH))
    margins = {
        name: {
            "bits": float((sums[name] - sums[own]).sum() / counts.sum()),
            "interval": _interval(means[name] - means[own]),
        }
        for name in dict.fromkeys((chosen[0][0], least))
    }
    return {
        "bases": int(counts.sum()), "windows": windows, "window": window, "network": own,
        "rows": rows, "margins": margins, "best": least,
        "sentence": " ".join(_sentence(name, margin) for name, margin in margins.items()),
    }  # fmt: skip


def _sentence(name: str, margin: dict[str, Any]) -> str:
    low, high = margin["interval"]
    if low > 0:
        return (
            f"It needs {margin['bits']:.4f} bits a base less ({low:.4f} to {high:.4f}) than {name}."
        )
    if high < 0:
        return (
            f"It does NOT reach {name}, which needs {-margin['bits']:.4f} bits a base less "
            f"({-high:.4f} to {-low:.4f})."
        )
    return f"It is not told apart from {name} ({low:+.4f} to {high:+.4f} bits a base)."


def _interval(values: NDArray[np.float64]) -> list[float]:
    return [float(each) for each in np.percentile(values, [2.5, 97.5])]


def _answers(
    model: Model, letters: Letters, bases: Bases, starts: NDArray[np.int64], window: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64] | None]:
    """Places (windows, window), bits of the network there, and of both strands; NaN: not asked."""
    make = np.random.default_rng(SEED)
    places = starts[:, None] + np.arange(window)
    chosen = bases[places]
    asked = chosen < 4
    if letters.causal:
        asked[:, : window // 8] = False
        logs = _log_probabilities(model, letters, chosen, None)
        return places, _bits(logs, chosen, asked), None
    asked &= np.stack([mask(make, window) for _ in starts])
    own = _log_probabilities(model, letters, chosen, asked)
    turned = _log_probabilities(model, letters, reverse_complement(chosen), asked[:, ::-1])
    both = np.logaddexp(own, turned[:, ::-1, ::-1]) - np.log(2)
    return places, _bits(own, chosen, asked), _bits(both, chosen, asked)


def _bits(logs: NDArray[np.float64], bases: Bases, asked: NDArray[np.bool_]) -> NDArray[np.float64]:
    truth = np.minimum(bases, 3).astype(np.int64)[..., None]
    bits = -np.take_along_axis(logs, truth, -1)[..., 0] / np.log(2)
    return np.where(asked, bits, np.nan)


def _log_probabilities(
    model: Model, letters: Letters, bases: Bases, hidden: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    """(windows, window, 4): of A, C, G, T against one another, as ``Model.score`` normalises."""
    found = np.zeros((*bases.shape, 4))
    columns = letters.table[:4].tolist()
    for row in range(0, len(bases), ROWS):
        some = slice(row, row + ROWS)
        ids = letters.tokens(bases[some], None if hidden is None else hidden[some])
        with torch.inference_mode():
            logits = model.module(input_ids=torch.from_numpy(ids).to(model.device)).logits
        logs = letters.answering(logits, bases.shape[1])[..., columns].double().log_softmax(-1)
        found[some, letters.first :] = logs.cpu().numpy()
    return found
