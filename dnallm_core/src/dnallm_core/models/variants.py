"""Variant effects in memory: log-likelihood of the alternative less that of the reference.

Harmful is negative, everywhere. Single-nucleotide variants of masked models: the masked marginal,
log P(alternative) - log P(reference) with the base masked (Meier et al. 2021), one forward a
position, whatever the number of alternatives. Every other variant of masked models: the difference
of the two windows' pseudo-log-likelihoods. Causal models: the difference of the two windows'
log-likelihoods, summed over the window. Models of substitution rates: the difference of the two
bases' log-rates at the position. Both strands are averaged unless asked otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import SequenceError
from ..sequences.alphabet import normalised, reverse_complement
from .batching import require
from .likelihood import BASES, base_log_probabilities, score
from .protocols import PredictsBases, PredictsRates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .model import Model

DEFAULT_WINDOW = 512  # bp; what the published masked models score variants with


class VariantLike(Protocol):
    """Anything with VCF's four facts of a variant, position 1-based."""

    pos: int
    ref: str
    alt: str


@dataclass(frozen=True, slots=True)
class PlacedVariant:
    """A variant in its window: ``start`` 0-based inside ``window``."""

    window: str
    start: int
    ref: str
    alt: str

    @property
    def is_substitution(self) -> bool:
        """Whether one base stands for one."""
        return len(self.ref) == len(self.alt) == 1

    @property
    def alternative(self) -> str:
        """The window with the alternative allele in it."""
        return self.window[: self.start] + self.alt + self.window[self.start + len(self.ref) :]

    def reversed(self) -> PlacedVariant:
        """The same variant, read on the other strand."""
        return PlacedVariant(
            reverse_complement(self.window),
            len(self.window) - self.start - len(self.ref),
            reverse_complement(self.ref),
            reverse_complement(self.alt),
        )


def variant_effects(
    model: Model,
    reference: str,
    variants: Iterable[VariantLike | tuple[int, str, str]],
    *,
    window: int | None = None,
    both_strands: bool = True,
    **limits: int,
) -> NDArray[np.float32]:
    """Effects (n,) float32 in nats, in the order of ``variants``.

    ``reference``: the sequence that 1-based positions count on. ``variants``: (position, reference
    allele, alternative allele), or objects with ``pos``, ``ref`` and ``alt``. ``window``: bp around
    the variant that the model sees (default: the reference, 512 bp or what the model takes,
    whichever is least); at the reference's ends the window slides and keeps its size.

    Raises SequenceError where an allele is not what the reference holds or is no sequence.
    """
    import numpy as np

    text = normalised(reference)
    size = window_size(model, window)
    placed = [_place(text, each, size, number) for number, each in enumerate(variants, start=1)]
    effects = placed_effects(model, placed, **limits)
    if both_strands:
        other = placed_effects(model, [each.reversed() for each in placed], **limits)
        effects = (effects + other) / 2
    return effects.astype(np.float32)


def placed_effects(model: Model, placed: Sequence[PlacedVariant], **limits: int) -> NDArray[Any]:
    """Effects (n,) of variants in their windows, on the strand that the windows show."""
    import numpy as np

    effects = np.full(len(placed), np.nan, dtype=np.float64)
    if isinstance(model, PredictsRates):
        return _by_rates(model, placed, effects)
    require(model, PredictsBases, "has no head that predicts tokens", "variant-effect")
    rest = list(range(len(placed)))
    if model.manifest.direction == "bidirectional":
        substitutions = [at for at in rest if placed[at].is_substitution]
        table = _marginals(model, [placed[at] for at in substitutions], limits)
        if table is not None:
            effects[substitutions] = table
            rest = [at for at in rest if not placed[at].is_substitution]
    if rest:
        effects[rest] = _differences(model, [placed[at] for at in rest], limits)
    return effects


def _marginals(model: Model, placed: Sequence[PlacedVariant], limits: dict[str, int]) -> Any:
    """Log P(alt) - log P(ref) at the masked base, a forward for each distinct position."""
    import numpy as np

    if not placed:
        return np.empty(0)
    number_of = {(each.window, each.start): 0 for each in placed}
    for number, key in enumerate(number_of):
        number_of[key] = number
    table = base_log_probabilities(model, list(number_of), **limits)
    if table is None:
        return None
    rows = [number_of[each.window, each.start] for each in placed]
    alternative = table[rows, [BASES.index(each.alt) for each in placed]]
    return alternative - table[rows, [BASES.index(each.ref) for each in placed]]


def _differences(model: Model, placed: Sequence[PlacedVariant], limits: dict[str, Any]) -> Any:
    """Log-likelihood of the alternative window less that of the reference window."""
    import numpy as np

    windows = dict.fromkeys(text for each in placed for text in (each.window, each.alternative))
    summed = score(model, list(windows), reduce="sum", **limits)
    value_of = dict(zip(windows, np.asarray(summed, dtype=np.float64), strict=True))
    return np.array([value_of[each.alternative] - value_of[each.window] for each in placed])


def _by_rates(model: Any, placed: Sequence[PlacedVariant], effects: NDArray[Any]) -> NDArray[Any]:
    import torch

    from .batching import batches, encode

    left, right = model.receptive_field()
    order = list(dict.fromkeys(each.window for each in placed))
    # The network does not pad: N's at both ends give every base of the window a row of its own.
    padded = ["N" * left + window + "N" * right for window in order]
    rates: dict[str, Any] = {}
    with torch.inference_mode():
        for batch in batches(model, encode(model, padded, literal=True)):
            values = model.substitution_logits(batch.inputs).float().cpu()
            for place, row in enumerate(batch.rows):
                rates[order[row]] = torch.log_softmax(values[place], dim=-1).numpy()
    for number, each in enumerate(placed):
        if each.is_substitution:
            row = rates[each.window][each.start]
            effects[number] = row[BASES.index(each.alt)] - row[BASES.index(each.ref)]
    return effects


def window_size(model: Model, window: int | None) -> int:
    """bp that the model sees around a variant: as asked, or 512, or what it takes at most."""
    most = model.manifest.max_length
    if window is not None:
        return window
    return DEFAULT_WINDOW if most is None else min(DEFAULT_WINDOW, most)


def _place(text: str, variant: Any, size: int, number: int) -> PlacedVariant:
    position, ref, alt = (
        variant if isinstance(variant, tuple) else (variant.pos, variant.ref, variant.alt)
    )
    ref, alt = normalised(ref), normalised(alt)
    record = f"variant {number} ({position}:{ref}:{alt})"
    if not set(ref + alt) <= set(BASES) or not ref or not alt or ref == alt:
        raise SequenceError(
            f"{record.capitalize()} cannot be scored: both alleles must be spelt in A, C, G, T, "
            "and differ.",
            record=record,
            position=position,
        )
    at = position - 1
    found = text[max(at, 0) : at + len(ref)]
    if at < 0 or found != ref:
        raise SequenceError(
            f"{record.capitalize()} disagrees with the reference: it has "
            f"{found or 'no base'} at position {position}, not {ref}.",
            record=record,
            position=position,
            hint="Positions are 1-based; is it another assembly?",
        )
    start, end = window_around(at, ref, alt, size, len(text))
    return PlacedVariant(text[start:end], at - start, ref, alt)


def window_around(at: int, ref: str, alt: str, size: int, length: int) -> tuple[int, int]:
    """[start, end) of the bp around alleles that stand at 0-based ``at``.

    Neither the reference window nor the alternative one is longer than ``size``, unless an allele
    alone is. At a contig's ends the window slides and keeps its size. A function of the position,
    the alleles and the settings alone.
    """
    size = min(max(size - max(0, len(alt) - len(ref)), 1), length)
    start = min(max(at - size // 2, 0), length - size)
    return start, max(start + size, at + len(ref))
