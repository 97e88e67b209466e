"""What needs no network: tables of counts, a ladder of them, and a mixture of orders.

All count both strands of the training region and are then frozen, as a network is. Each answers for
every base of a stretch, in bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .bases import Bases, reverse_complement
from .contexts import ONE_SIDED, TWO_SIDED, ContextCounts, context_numbers, count

Bits = NDArray[np.float64]  # (length,) -log2 P(base); NaN where the base is not known
PSEUDOCOUNTS = (1.0, 4.0, 16.0, 64.0)
FLANKS = (2, 3, 4, 5, 6)
ORDERS = (3, 4, 5, 6, 7, 8, 9, 10, 11)
MIXED = (1, 2, 3, 4, 6, 8, 9, 10, 11, 12, 14, 16, 20)
"""The orders that are mixed; those above 12 are counted by sorting."""
LEARNED_ON = 200_000  # bases of the training region on which the mixture's weights are fitted


def bits_of(probabilities: NDArray[np.float32], bases: Bases) -> Bits:
    """(length, 4) probabilities to bits a base."""
    known = bases < 4
    chosen = np.take_along_axis(probabilities, np.minimum(bases, 3)[:, None].astype(np.int64), -1)[
        :, 0
    ]
    return np.where(known, -np.log2(np.maximum(chosen, 1e-12), dtype=np.float64), np.nan)


def two_sided(training: Bases, held_out: Bases) -> dict[str, Bits]:
    """Tables of 2 + 2 to 6 + 6 neighbours, and the ladder that shrinks 6 + 6 onto shorter ones."""
    found = {}
    for flank in _supported(FLANKS, 2, training):
        for pseudocount in PSEUDOCOUNTS:
            name = f"{flank} + {flank} neighbours, {pseudocount:g} pseudocounts"
            found[name] = _table(training, held_out, flank, flank, pseudocount)
    ladder = ContextCounts.of(training, TWO_SIDED)
    found["interpolated, 3 + 3 to 6 + 6"] = bits_of(
        ladder.expectation(held_out, own=False), held_out
    )
    return found


def one_sided(training: Bases, held_out: Bases) -> dict[str, Bits]:
    """Tables of order 3 to 11, the ladder of orders 2 to 12, and two mixtures of orders."""
    found = {}
    for order in _supported(ORDERS, 1, training):
        for pseudocount in PSEUDOCOUNTS:
            name = f"order {order}, {pseudocount:g} pseudocounts"
            found[name] = _table(training, held_out, order, 0, pseudocount)
    ladder = ContextCounts.of(training, ONE_SIDED)
    found["interpolated, orders 2 to 12"] = bits_of(
        ladder.expectation(held_out, own=False), held_out
    )
    short = [order for order in MIXED if order <= 11]
    found["mixture of orders 1 to 11"] = OrderMixture(training, short).bits(held_out)
    found["mixture of orders 1 to 20"] = OrderMixture(training).bits(held_out)
    return found


def best(found: Mapping[str, Bits], among: str = "") -> tuple[str, Bits]:
    """The least on the whole stretch, of those whose names begin so."""
    names = [name for name in found if name.startswith(among)]
    name = min(names, key=lambda each: float(np.nanmean(found[each])))
    return name, found[name]


def _supported(sizes: Sequence[int], sides: int, training: Bases) -> list[int]:
    """The sizes with at most 4 contexts a base; longer ones hold next to nothing."""
    kept = [size for size in sizes if 4 ** (size * sides) <= 4 * len(training)]
    return kept or list(sizes[:1])


_counted: dict[tuple[int, int, int], NDArray[np.float32]] = {}


def _table(training: Bases, held_out: Bases, left: int, right: int, pseudocount: float) -> Bits:
    """P(base | context), the pseudocounts spread by the bases' shares."""
    key = (id(training), left, right)
    if key not in _counted:
        _counted.clear()  # the tables of one size are enough
        _counted[key] = count(training, left, right)
    counts = _counted[key]
    share = counts.sum(0, dtype=np.float64) / counts.sum(dtype=np.float64)
    number = context_numbers(held_out, left, right)
    seen = np.where(number[:, None] >= 0, counts[number], 0)
    smoothed = (seen + pseudocount * share) / (seen.sum(1, keepdims=True) + pseudocount)
    return bits_of(smoothed, held_out)


class OrderMixture:
    """An order-mixing compressor: P(b) is proportional to the product of P_k(b)^(w_k).

    Geometric, or logistic, mixing (Mattern 2012; the PAQ line of compressors). Which weights are
    used depends on the longest of its orders that saw the context. The weights are fitted on the
    training region, a base's own occurrence taken out of the counts.
    """

    def __init__(self, training: Bases, orders: Sequence[int] = MIXED) -> None:
        short = _supported([order for order in orders if order <= 12], 1, training)
        orders = [order for order in orders if order in short or order > 12]
        self.tables = {order: count(training, order, 0) for order in short}
        strands = (training, reverse_complement(training))
        self.sorted = {
            order: np.sort(np.concatenate([_words(strand, order)[0] for strand in strands]))
            for order in orders
            if order > 12
        }
        start = max(0, len(training) // 2 - LEARNED_ON // 2)
        stretch = training[start : start + LEARNED_ON]
        self.weights = torch.full((len(orders) + 1, len(orders)), 1.0 / 3)
        self._fit(stretch)

    def bits(self, bases: Bases) -> Bits:
        """Of each base, given those before it."""
        logs, rows = self._inputs(bases, own=False)
        with torch.no_grad():
            mixed = self._mixed(logs, rows).exp()
        return bits_of(mixed.numpy(), bases)

    def _fit(self, bases: Bases) -> None:
        logs, rows = self._inputs(bases, own=True)
        known = torch.from_numpy(bases < 4)
        truth = torch.from_numpy(bases.astype(np.int64)).clamp(max=3)
        self.weights.requires_grad_(True)
        optimizer = torch.optim.Adam([self.weights], lr=0.03)
        for _ in range(200):
            optimizer.zero_grad()
            mixed = self._mixed(logs, rows).gather(1, truth[:, None])[:, 0]
            loss = -mixed[known].mean()
            loss.backward()
            optimizer.step()
        self.weights.requires_grad_(False)

    def _mixed(self, logs: Tensor, rows: Tensor) -> Tensor:
        return (logs * self.weights[rows][..., None]).sum(1).log_softmax(-1)

    def _inputs(self, bases: Bases, *, own: bool) -> tuple[Tensor, Tensor]:
        """(length, orders, 4) log-probabilities, and which weights each position takes."""
        taken = np.eye(5, 4, dtype=np.float32)[bases] if own else np.float32(0)
        columns = []
        longest = np.zeros(len(bases), np.int64)
        counted = [*self.tables, *self.sorted]
        for place, order in enumerate(counted):
            counts = np.maximum(self._counts(bases, order) - taken, 0)
            total = counts.sum(-1, keepdims=True)
            columns.append(np.log((counts + 1 / 16) / (total + 1 / 4)).astype(np.float32))
            longest = np.where(total[:, 0] > 0, place + 1, longest)
        return torch.from_numpy(np.stack(columns, 1)), torch.from_numpy(longest)

    def _counts(self, bases: Bases, order: int) -> NDArray[np.float32]:
        if order in self.tables:
            number = context_numbers(bases, order, 0)
            return np.where(number[:, None] >= 0, self.tables[order][number], 0)
        words = self.sorted[order]
        number = context_numbers(bases, order, 0)
        wanted = number[:, None] * 4 + np.arange(4)
        low = np.searchsorted(words, wanted, "left")
        high = np.searchsorted(words, wanted, "right")
        return np.where(number[:, None] >= 0, high - low, 0).astype(np.float32)


def _words(bases: Bases, order: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Each context with its base, as one number; those with an unknown base left out."""
    number = context_numbers(bases, order, 0)
    use = (number >= 0) & (bases < 4)
    return number[use] * 4 + bases[use], use
