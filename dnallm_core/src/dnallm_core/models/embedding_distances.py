"""How far an allele moves its window's states: minus the distance of embeddings, harmful negative.

The Euclidean distance, over all tokens and channels of the last layer, between the reference window
and the alternative one, nothing masked. Alleles of unlike lengths are left out of it: tokens before
them are counted from the window's beginning, tokens behind them from its end. Strands are averaged;
where the network is equivariant one gives the other's number. Windows are those of ``variant_windows``.

A distance has no sign of its own: an allele that improves a site is as far as one that harms it.
Models that read an alignment: substitutions of one base alone, see ``window_distances``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import CapabilityError
from .batching import ROWS_A_BATCH, TOKENS_A_BATCH, batches, encode, require
from .placed_windows import base_ids
from .protocols import Embeds, TakesAlignment
from .variant_windows import PlacedVariant, placed_variants, window_size
from .window_distances import distances_along

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from ..sequences.alignment import Alignment
    from ..sequences.tokenizers import Encoding
    from .contig import Contig
    from .model import Model


def embedding_distances(
    model: Model,
    contig: Contig,
    variants: Sequence[tuple[int, str, str]],
    *,
    window: int | None = None,
    both_strands: bool = True,
    alignment: Alignment | None = None,
    tokens: int = TOKENS_A_BATCH,
    rows: int = ROWS_A_BATCH,
) -> NDArray[np.float64]:
    """Minus the distances (n,) of variants (1-based position, reference allele, alternative).

    Raises CapabilityError where the model has no states, or its tokens are not single bases.
    """
    import numpy as np

    check_states(model)
    if not variants:
        return np.empty(0)
    equivariant = model.manifest.reverse_complement == "equivariant"
    strands = (False, True) if both_strands and not equivariant else (False,)
    size = window_size(model, window)
    if isinstance(model, TakesAlignment):
        return -distances_along(
            model, contig, variants, kind="embedding-distance", window=size, alignment=alignment,
            strands=strands, tokens=tokens,
        ).astype("float64")  # fmt: skip
    causal = model.manifest.direction == "causal"
    placed = [
        each
        for reverse in strands
        for each in placed_variants(contig, list(variants), size, causal=causal, reverse=reverse)
    ]
    found = np.empty(len(placed))
    for chosen in _batches(placed, tokens, rows):
        found[chosen] = _distances(model, [placed[at] for at in chosen], tokens, rows)
    return -found.reshape(len(strands), -1).mean(axis=0)


def check_states(model: Model) -> None:
    """Raise CapabilityError where the model has no states, or its tokens are not single bases."""
    require(model, Embeds, "has no token states to embed with", "embedding")
    base_ids(model)


def _batches(placed: Sequence[PlacedVariant], tokens: int, rows: int) -> Iterator[list[int]]:
    """Variants of one window together, so that it is read once; rows of about one batch."""
    order = sorted(range(len(placed)), key=lambda at: (len(placed[at].window), placed[at].window))
    chosen: list[int] = []
    texts: set[str] = set()
    for at in order:
        each = placed[at]
        texts |= {each.window, each.alternative}
        chosen.append(at)
        longest = max(len(each.window), len(each.alternative))
        if len(texts) >= min(rows, tokens // longest):
            yield chosen
            chosen, texts = [], set()
    if chosen:
        yield chosen


def _distances(model: Any, several: list[PlacedVariant], tokens: int, rows: int) -> list[float]:
    """The distance of each variant's two windows."""
    import torch

    texts = list(dict.fromkeys(text for one in several for text in (one.window, one.alternative)))
    encodings = encode(model, texts)
    states: list[Any] = [None] * len(texts)
    with torch.inference_mode():
        for batch in batches(model, encodings, tokens=tokens, rows=rows):
            found = model.token_states(batch.inputs)
            if found.shape[1] != batch.inputs["input_ids"].shape[1]:
                raise CapabilityError(f"{model.manifest.id} gives no state for each base.")
            for place, row in enumerate(batch.rows):
                states[row] = found[place, : len(encodings[row].ids)].float()
        number = {text: row for row, text in enumerate(texts)}
        values = []
        for one in several:
            reference = number[one.window]
            first = _first_base(encodings[reference])
            values.append(_apart(one, first, states[reference], states[number[one.alternative]]))
        return torch.stack(values).tolist()


def _first_base(encoding: Encoding) -> int:
    return next(token for token, (start, end) in enumerate(encoding.offsets) if end > start)


def _apart(one: PlacedVariant, first: int, reference: Tensor, alternative: Tensor) -> Tensor:
    """The distance of states (tokens, width), a base a token from ``first`` on."""
    import torch

    if len(one.ref) == len(one.alt):
        return (reference - alternative).double().norm()
    begin = first + one.start
    before = reference[:begin] - alternative[:begin]
    behind = reference[begin + len(one.ref) :] - alternative[begin + len(one.alt) :]
    return torch.cat([before, behind]).double().norm()
