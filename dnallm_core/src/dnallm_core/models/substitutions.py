"""Every substitution of a stretch: log-likelihood of each other base less that of the reference's.

Harmful is negative. As the models' authors score: a masked model with the base masked, in a window
around it, one forward pass for the three alternatives; a model of rates from one pass over the
unmasked sequence. Both strands are averaged.

Work is shared where that is exact. Where a model's receptive field lies within the window, windows
change nothing: a model of rates then scores thousands of bases in one pass, and a model that
``PredictsMaskedBases`` computes for each mask only what it changes. ``window="whole"`` asks for that
also where the field is wider than the published window: every base is then scored with all the
context that the network can see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import SequenceError
from .base_likelihoods import context_of, log_likelihoods
from .contig import Contig
from .placed_windows import BASES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..sequences.alignment import Alignment
    from .base_likelihoods import Window
    from .model import Model

__all__ = ["Substitutions", "context_of", "substitutions"]


@dataclass(frozen=True)
class Substitutions:
    """Effects of every substitution at some positions of a contig.

    ``positions`` (n,) 0-based; ``reference``: their bases; ``effects`` (n, 4) float32 in nats
    towards A, C, G, T, with 0 at the reference's own and NaN where the reference is no base.
    """

    positions: NDArray[np.int64]
    reference: str
    effects: NDArray[np.float32]

    def __iter__(self) -> Iterator[tuple[int, str, str, float]]:
        """(1-based position, reference base, alternative, effect), three a base."""
        for position, base, row in zip(self.positions, self.reference, self.effects, strict=True):
            for alternative, effect in zip(BASES, row, strict=True):
                if base in BASES and alternative != base:
                    yield int(position) + 1, base, alternative, float(effect)


def substitutions(
    model: Model,
    sequence: str,
    *,
    start: int = 0,
    end: int | None = None,
    positions: Sequence[int] | None = None,
    window: Window = None,
    both_strands: bool = True,
    alignment: Alignment | None = None,
    contig: str = "",
    offset: int = 0,
) -> Substitutions:
    """Every substitution in [start, end) of a contig, or at some 0-based ``positions`` of it.

    ``sequence``: the contig (its letters may be of either case), or as much of it as ``context_of``
    says, beginning at ``offset``; positions always count on the contig. ``window``: bp, default that
    of the model's authors, or ``whole`` (see above); ``alignment`` and ``contig``: for models that
    read one.

    Raises CapabilityError where the model cannot, SequenceError where stretch, sequence or alignment
    are no good.
    """
    import numpy as np

    piece = Contig.of(sequence, name=contig, start=offset)
    if positions is None:
        first = max(start, offset) if end is None else start
        last = piece.end if end is None else end
        if not offset <= first <= last <= piece.end:
            raise SequenceError(
                f"{start + 1:,} to {last:,} is no stretch of a sequence of {len(sequence):,} bp"
                + (f" that begins at {offset + 1:,}." if offset else "."),
                record=contig,
            )
        positions = range(first, last)
    wanted = np.asarray(positions, dtype=np.int64)
    if len(wanted) and (wanted.min() < offset or wanted.max() >= piece.end):
        raise SequenceError(
            f"A position lies outside a sequence of {len(sequence):,} bp (they are 0-based here).",
            record=contig,
        )
    reference = "".join(sequence[each - offset].upper().replace("U", "T") for each in wanted)
    scored = np.unique([p for p, base in zip(wanted, reference, strict=True) if base in BASES])
    effects = np.full((len(wanted), 4), np.nan, dtype=np.float32)
    if len(scored):
        table = log_likelihoods(
            model, piece, scored, window=window, both_strands=both_strands, alignment=alignment
        )
        own = [BASES.index(sequence[each - offset].upper().replace("U", "T")) for each in scored]
        ratios = (table - table[np.arange(len(scored)), own][:, None]).astype(np.float32)
        known = np.array([base in BASES for base in reference])
        effects[known] = ratios[np.searchsorted(scored, wanted[known])]
    return Substitutions(wanted, reference, effects)
