"""Two more published scores of a substitution: influence, and the distance of embeddings.

Both compare the window with the reference's base and the window with the alternative's, unmasked,
and average both strands; larger is a larger effect, and neither has a sign.

Influence (Benegas et al. 2025, 10.1038/s41587-024-02511-w): at every other position, the largest
change of the log-odds of a base; the mean over positions. Embedding distance (their published code):
Euclidean, over all positions and channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import RequirementError, SequenceError
from .batching import TOKENS_A_BATCH, require
from .contig import Contig
from .placed_windows import BASES, PlacedWindows, base_ids, published_window
from .protocols import Embeds, PredictsBases

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from ..sequences.alignment import Alignment
    from .model import Model

KINDS = ("influence", "embedding-distance")


def window_distances(
    model: Model,
    sequence: str,
    variants: Sequence[tuple[int, str, str]],
    *,
    kind: str,
    window: int | None = None,
    alignment: Alignment | None = None,
    contig: str = "",
) -> NDArray[np.float32]:
    """Distances (n,) float32 of single-base variants (1-based position, reference, alternative).

    Raises RequirementError for an unknown ``kind``, CapabilityError where the model cannot, and
    SequenceError where a variant is no substitution of the base that stands there.
    """
    if kind not in KINDS:
        raise RequirementError(
            f"There is no score {kind!r}.", requirement="kind", hint=f"One of {', '.join(KINDS)}."
        )
    protocol: type = PredictsBases if kind == "influence" else Embeds
    require(model, protocol, "cannot give it", "variant-effect")
    text = sequence.upper().replace("U", "T")
    for position, ref, alt in variants:
        found = text[position - 1 : position] if position > 0 else ""
        if not ref or found != ref.upper() or alt.upper() not in BASES or len(alt) != 1:
            raise SequenceError(
                f"{position}:{ref}:{alt} is no substitution of the base that stands there "
                f"({found or 'none'}).",
                record=contig,
                position=position,
            )
    return distances_along(
        model, Contig.of(text, name=contig), variants, kind=kind,
        window=published_window(model) if window is None else window, alignment=alignment,
    )  # fmt: skip


def distances_along(
    model: Model,
    contig: Contig,
    variants: Sequence[tuple[int, str, str]],
    *,
    kind: str,
    window: int,
    alignment: Alignment | None = None,
    strands: Sequence[bool] = (False, True),
    tokens: int = TOKENS_A_BATCH,
) -> NDArray[np.float32]:
    """The same along a contig that the variants are held to already; the mean of ``strands``."""
    import numpy as np
    import torch

    windows = PlacedWindows(model, contig, window=window, alignment=alignment)
    order = sorted(range(len(variants)), key=lambda number: variants[number][0])
    rows = max(1, tokens // windows.window)
    values: list[Any] = []
    letters = "".join(variants[number][2].upper() for number in order)
    done = 0
    with torch.inference_mode():
        for stretch in windows.stretches([variants[number][0] - 1 for number in order]):
            for first in range(0, len(stretch.positions), rows):
                places = range(first, min(first + rows, len(stretch.positions)))
                alternatives = letters[done : done + len(places)]
                done += len(places)
                found = [
                    _distance(model, stretch, places, alternatives, reverse, kind)
                    for reverse in strands
                ]
                values.append(torch.stack(found).mean(0).float().cpu().numpy())
    result = np.empty(len(variants), dtype=np.float32)
    if values:
        result[order] = np.concatenate(values)
    return result


def _distance(
    model: Any, stretch: Any, places: range, letters: str, reverse: bool, kind: str
) -> Tensor:
    import torch

    before, token = stretch.inputs(places, reverse=reverse)
    after, _ = stretch.inputs(places, reverse=reverse, letters=letters)
    if kind == "embedding-distance":
        first, second = model.token_states(before), model.token_states(after)
        return torch.nn.functional.pairwise_distance(first.flatten(1), second.flatten(1))
    columns = base_ids(model)
    change = (_log_odds(model, before, columns) - _log_odds(model, after, columns)).abs()
    largest = change.max(dim=2).values  # (rows, tokens)
    others = torch.ones_like(largest)
    others.scatter_(1, token[:, None], 0.0)
    return (largest * others).sum(1) / others.sum(1).clamp(min=1)


def _log_odds(model: Any, inputs: dict[str, Tensor], columns: Sequence[int]) -> Tensor:
    """log(p / (1 - p)) of the four bases (rows, tokens, 4)."""
    import torch

    log_p = torch.log_softmax(model.token_logits(inputs)[..., list(columns)].float(), dim=-1)
    return log_p - torch.log(-torch.expm1(log_p))
