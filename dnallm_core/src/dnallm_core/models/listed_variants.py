"""Listed variants, as a VCF holds them: what can be scored is, what cannot is listed with its reason.

Single-nucleotide variants get what ``substitutions`` gives them. Models that read an alignment have
no score for insertions and deletions; symbolic alleles, alleles of unknown bases and rows that
disagree with the genome have none anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from .placed_windows import BASES
from .substitutions import substitutions

if TYPE_CHECKING:
    from ..sequences.alignment import Alignment
    from .base_likelihoods import Window
    from .model import Model


class Listed(NamedTuple):
    """One alternative allele of one row, and its effect in nats or why it has none."""

    row: int  # 0-based place in the input
    position: int  # 1-based
    reference: str
    alternative: str
    effect: float | None
    code: str = ""  # mismatch, indel, symbolic, ambiguous, outside; empty where there is an effect
    reason: str = ""


def listed_effects(
    model: Model,
    sequence: str,
    variants: Iterable[tuple[int, str, str]],
    *,
    window: Window = None,
    both_strands: bool = True,
    alignment: Alignment | None = None,
    contig: str = "",
) -> list[Listed]:
    """Effects of (1-based position, reference allele, alternatives by commas) on one contig.

    One result an alternative, in the order given. Positions that share a base share a forward pass.
    """
    import numpy as np

    judged = [
        each
        for row, (position, ref, alts) in enumerate(variants)
        for each in _judged(row, position, ref, alts, sequence, contig)
    ]
    scored = sorted({each.position - 1 for each in judged if not each.code})
    table = substitutions(
        model,
        sequence,
        positions=scored,
        window=window,
        both_strands=both_strands,
        alignment=alignment,
        contig=contig,
    )
    row_of = {position: row for row, position in enumerate(scored)}
    results = []
    for each in judged:
        if not each.code:
            row = table.effects[row_of[each.position - 1]]
            effect: Any = np.float32(row[BASES.index(each.alternative)])
            each = each._replace(effect=float(effect))
        results.append(each)
    return results


def _judged(
    row: int, position: int, reference: str, alternatives: str, sequence: str, contig: str
) -> Iterator[Listed]:
    """Each alternative with the reason, if there is one, why it cannot be scored."""
    ref = reference.upper()
    where = f"{contig}:{position:,}" if contig else f"position {position:,}"
    found = sequence[max(position - 1, 0) : position - 1 + len(ref)].upper().replace("U", "T")
    for alt in alternatives.upper().split(","):
        unscored = Listed(row, position, ref, alt, None)
        if alt.startswith("<") or set(alt) & set("[]*.<>") or not alt:
            yield unscored._replace(
                code="symbolic", reason=f"{alt or 'an empty allele'} at {where} spells no bases"
            )
        elif position < 1 or position - 1 + len(ref) > len(sequence):
            yield unscored._replace(
                code="outside",
                reason=f"{where} lies outside the contig, which has {len(sequence):,} bp",
            )
        elif not set(ref + alt) <= set(BASES):
            yield unscored._replace(
                code="ambiguous", reason=f"{ref}>{alt} at {where} holds letters that are no base"
            )
        elif found != ref:
            yield unscored._replace(
                code="mismatch", reason=f"the genome has {found} at {where}, not {ref}"
            )
        elif len(ref) != 1 or len(alt) != 1:
            yield unscored._replace(
                code="indel", reason=f"{ref}>{alt} at {where} is no substitution of one base"
            )
        elif ref == alt:
            yield unscored._replace(code="ambiguous", reason=f"{ref} at {where} is not changed")
        else:
            yield unscored
