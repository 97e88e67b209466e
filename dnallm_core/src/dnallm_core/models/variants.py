"""Variant effects in memory: log-likelihood of the alternative less that of the reference.

Harmful is negative, everywhere. Single-nucleotide variants of masked models: the masked marginal,
log P(alternative) - log P(reference) with the base masked (Meier et al. 2021), one forward a
position, whatever the number of alternatives. Every other variant of masked models: the difference
of the two windows' pseudo-log-likelihoods. Causal models: the difference of the two windows'
log-likelihoods, summed over the window; variants near one another share a pass over the reference,
and an alternative is run from where it parts from it. Models of substitution rates: the difference
of the two bases' log-rates at the position. Both strands are averaged unless asked otherwise. Which
window a variant is read in: ``variant_windows``. In place of likelihoods any model that embeds gives
minus the distance of embeddings: ``embedding_distances``.

Models of rates and models that read an alignment have no score for anything but substitutions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from ..errors import CapabilityError, RequirementError, SequenceError
from ..sequences.alphabet import BASES, normalised
from .base_likelihoods import log_likelihoods, scores_substitutions
from .batching import require
from .carried_differences import carried_differences
from .contig import Contig
from .embedding_distances import embedding_distances
from .likelihood import score
from .masked_likelihood import base_log_probabilities
from .protocols import CarriesState, PredictsBases, PredictsRates, TakesAlignment
from .variant_windows import PlacedVariant, placed_variants, window_size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..sequences.alignment import Alignment
    from .base_likelihoods import Marginal
    from .model import Model

Effect = Literal["likelihood", "embedding-distance"]
EFFECTS: tuple[str, ...] = get_args(Effect)


class VariantLike(Protocol):
    """Anything with VCF's four facts of a variant, position 1-based."""

    pos: int
    ref: str
    alt: str


def variant_effects(
    model: Model,
    reference: str,
    variants: Iterable[VariantLike | tuple[int, str, str]],
    *,
    window: int | None = None,
    both_strands: bool = True,
    alignment: Alignment | None = None,
    contig: str = "",
    effect: Effect = "likelihood",
    **limits: int,
) -> NDArray[np.float32]:
    """Effects (n,) float32 in nats, in the order of ``variants``.

    ``reference``: the sequence that 1-based positions count on. ``variants``: (position, reference
    allele, alternative allele), or objects with ``pos``, ``ref`` and ``alt``. ``window``: bp around
    the variant that the model sees (see ``variant_windows``; default: that of the model's authors;
    where they state none, 512 bp, or 1,024 for a causal model), never more than the reference or
    what the model takes. ``alignment`` and ``contig`` (the reference's name in it): for models that
    read one. ``effect``: the model's likelihood of the alternative less that of the reference, or
    minus the distance of their embeddings (of no unit).

    Raises SequenceError where an allele is not what the reference holds, is no sequence, or is one
    that the model has no score for.
    """
    text = normalised(reference)
    checked = [_checked(model, text, each, number) for number, each in enumerate(variants, start=1)]
    effects = contig_effects(
        model,
        Contig.of(text, name=contig),
        checked,
        window=window,
        both_strands=both_strands,
        alignment=alignment,
        effect=effect,
        **limits,
    )
    return effects.astype("float32")


def contig_effects(
    model: Model,
    contig: Contig,
    variants: Sequence[tuple[int, str, str]],
    *,
    window: int | None = None,
    both_strands: bool = True,
    alignment: Alignment | None = None,
    effect: Effect = "likelihood",
    **limits: int,
) -> NDArray[np.float64]:
    """Effects (n,) of variants whose alleles are spelt in A, C, G and T, held to the contig already.

    (1-based position, reference allele, alternative), in any order. NaN where ``why_not`` says why.
    """
    import numpy as np

    check_effect(effect)
    effects = np.full(len(variants), np.nan, dtype=np.float64)
    rest = list(range(len(variants)))
    if effect == "embedding-distance":
        rest = [at for at in rest if not why_not(model, *variants[at][1:])]
        effects[rest] = embedding_distances(
            model, contig, [variants[at] for at in rest], window=window,
            both_strands=both_strands, alignment=alignment, **limits,
        )  # fmt: skip
        return effects
    if scores_substitutions(model):
        single = [at for at in rest if len(variants[at][1]) == len(variants[at][2]) == 1]
        if single:
            places = np.array([variants[at][0] - 1 for at in single], dtype=np.int64)
            positions, row = np.unique(places, return_inverse=True)
            table = log_likelihoods(
                model, contig, positions, window=window, both_strands=both_strands,
                alignment=alignment, marginal="masked", **limits,
            )  # fmt: skip
            ref = np.array([BASES.index(variants[at][1]) for at in single])
            alt = np.array([BASES.index(variants[at][2]) for at in single])
            effects[single] = table[row, alt] - table[row, ref]
        rest = sorted({*rest} - {*single})
    rest = [at for at in rest if not why_not(model, *variants[at][1:])]
    if rest:
        size = window_size(model, window)
        causal = model.manifest.direction == "causal"
        asked = [variants[at] for at in rest]
        placed = [
            each
            for reverse in ((False, True) if both_strands else (False,))
            for each in placed_variants(contig, asked, size, causal=causal, reverse=reverse)
        ]
        effects[rest] = placed_effects(model, placed, **limits).reshape(-1, len(rest)).mean(axis=0)
    return effects


def substitution_effects(
    model: Model,
    contig: Contig,
    positions: NDArray[np.int64],
    *,
    window: int | None = None,
    both_strands: bool = True,
    alignment: Alignment | None = None,
    marginal: Marginal = "masked",
    **limits: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Every substitution at sorted 0-based positions of a contig.

    ``marginal``: ``wild-type`` reads a masked model's answer for each base with nothing masked, see
    ``base_likelihoods``. Returns the contig's own base (n,) as its number in ACGT, -1 where it has
    none, and effects (n, 4) towards A, C, G, T in nats: 0 at the own base, NaN rows where there is
    none.

    Raises CapabilityError where the model has no wild-type marginals.
    """
    import numpy as np

    check_marginal(model, marginal)
    effects = np.full((len(positions), 4), np.nan)
    if not len(positions):
        return positions, effects
    low = int(positions[0])
    letters = np.frombuffer(contig.letters(low, int(positions[-1]) + 1).encode(), dtype=np.uint8)
    number = np.full(256, -1, dtype=np.int64)
    number[np.frombuffer(BASES.encode(), dtype=np.uint8)] = range(len(BASES))
    own = number[letters[positions - low]]
    known = np.flatnonzero(own >= 0)
    settings: dict[str, Any] = {
        "window": window, "both_strands": both_strands, "alignment": alignment, **limits,
    }  # fmt: skip
    if not len(known):
        return own, effects
    if scores_substitutions(model):
        table = log_likelihoods(model, contig, positions[known], marginal=marginal, **settings)
        effects[known] = table - table[np.arange(len(known)), own[known]][:, None]
        return own, effects
    asked = [
        (int(positions[row]) + 1, BASES[own[row]], other)
        for row in known
        for other in BASES
        if other != BASES[own[row]]
    ]
    effects[known] = 0.0
    rows, columns = np.nonzero((np.arange(4) != own[:, None]) & (own >= 0)[:, None])
    effects[rows, columns] = contig_effects(model, contig, asked, **settings)
    return own, effects


def check_effect(effect: str) -> None:
    """Raise RequirementError unless ``effect`` is one of ``EFFECTS``."""
    if effect not in EFFECTS:
        raise RequirementError(
            f"There is no effect {effect!r}.",
            requirement="effect",
            hint=f"One of {', '.join(EFFECTS)}.",
        )


def check_marginal(model: Model, marginal: str) -> None:
    """Raise CapabilityError where wild-type marginals are asked of a model that has none."""
    if marginal == "wild-type" and not scores_substitutions(model):
        raise CapabilityError(
            f"{model.manifest.id} has no wild-type marginals: they are a masked model's, whose "
            "tokens are single bases.",
            hint="Leave --marginal out: each model's own score of a variant is taken.",
        )


def why_not(model: Model, ref: str, alt: str) -> str:
    """Why the model has no score for such alleles, or ""."""
    if len(ref) == len(alt) == 1 or not isinstance(model, (PredictsRates, TakesAlignment)):
        return ""
    return f"{model.manifest.id} scores substitutions of one base alone"


def placed_effects(model: Model, placed: Sequence[PlacedVariant], **limits: int) -> NDArray[Any]:
    """Effects (n,) of variants in their windows, on the strand that the windows show."""
    import numpy as np

    require(model, PredictsBases, "has no head that predicts tokens", "variant-effect")
    effects = np.full(len(placed), np.nan, dtype=np.float64)
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

    if isinstance(model, CarriesState) and model.manifest.direction == "causal":
        found = carried_differences(model, placed, **limits)
        if found is not None:
            return found
    windows = dict.fromkeys(text for each in placed for text in (each.window, each.alternative))
    summed = score(model, list(windows), reduce="sum", **limits)
    value_of = dict(zip(windows, np.asarray(summed, dtype=np.float64), strict=True))
    return np.array([value_of[each.alternative] - value_of[each.window] for each in placed])


def _checked(model: Model, text: str, variant: Any, number: int) -> tuple[int, str, str]:
    position, ref, alt = (
        variant if isinstance(variant, tuple) else (variant.pos, variant.ref, variant.alt)
    )
    ref, alt = normalised(ref), normalised(alt)
    record = f"Variant {number} ({position}:{ref}:{alt})"
    if not set(ref + alt) <= set(BASES) or not ref or not alt or ref == alt:
        raise SequenceError(
            f"{record} cannot be scored: both alleles must be spelt in A, C, G, T, and differ.",
            record=record,
            position=position,
        )
    at = position - 1
    found = text[max(at, 0) : at + len(ref)]
    if at < 0 or found != ref:
        raise SequenceError(
            f"{record} disagrees with the reference: it has "
            f"{found or 'no base'} at position {position}, not {ref}.",
            record=record,
            position=position,
            hint="Positions are 1-based; is it another assembly?",
        )
    reason = why_not(model, ref, alt)
    if reason:
        raise SequenceError(
            f"{record} cannot be scored: {reason}.", record=record, position=position
        )
    return position, ref, alt
