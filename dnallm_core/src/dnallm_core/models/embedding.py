"""Embeddings in memory: one vector a sequence, or one a token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import RequirementError
from ..sequences.alphabet import reverse_complement
from .batching import as_list, batches, encode, require
from .protocols import Embeds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from ..sequences.tokenizers import Encoding
    from .model import Model

POOLINGS = ("mean", "max", "first", "last")


class TokenEmbeddings(NamedTuple):
    """``vectors`` (tokens, width) float32 and, for each token, its [start, end) in bp."""

    vectors: NDArray[np.float32]
    offsets: list[tuple[int, int]]


def embed(
    model: Model,
    sequences: str | Sequence[str],
    *,
    pooling: str = "mean",
    layer: int = -1,
    both_strands: bool = False,
    **limits: int,
) -> NDArray[np.float32]:
    """Vectors (n, width) float32, a row a sequence.

    ``pooling``: ``mean`` over tokens (special ones as the manifest's ``special_tokens_in_mean``
    says), ``max``, ``first`` or ``last`` token. ``layer``: 0 the embedding, -1 what the head reads.
    ``both_strands``: the mean of a sequence's vector and its reverse complement's.
    """
    require(model, Embeds, "has no token states to embed with", "embedding")
    check_pooling(pooling)
    listed = as_list(sequences)
    import numpy as np

    vectors = embed_encodings(model, encode(model, listed), pooling=pooling, layer=layer, **limits)
    if both_strands:
        other = encode(model, [reverse_complement(each) for each in listed])
        reverse = embed_encodings(model, other, pooling=pooling, layer=layer, **limits)
        vectors = (vectors + reverse) * np.float32(0.5)
    return vectors


def check_pooling(pooling: str) -> None:
    """Raise RequirementError unless ``pooling`` is one of ``POOLINGS``."""
    if pooling not in POOLINGS:
        raise RequirementError(
            f"There is no pooling {pooling!r}.",
            requirement="pooling",
            hint=f"One of {', '.join(POOLINGS)}.",
        )


def embed_encodings(
    model: Model, encodings: Sequence[Encoding], *, pooling: str, layer: int, **limits: int
) -> NDArray[np.float32]:
    """Vectors (n, width) of what is encoded already."""
    import numpy as np

    result: list[Any] = [None] * len(encodings)
    for batch in batches(model, encodings, **limits):
        states = _states(model, batch.inputs, layer)
        pooled = [
            _pooled(model, states[place], encoding, pooling)
            for place, encoding in enumerate(batch.encodings)
        ]
        for row, vector in zip(batch.rows, _to_numpy(pooled), strict=True):
            result[row] = vector
    if not result:
        return np.empty((0, 0), dtype=np.float32)
    return np.stack(result)


def token_vectors(
    model: Model, encodings: Sequence[Encoding], *, layer: int, **limits: int
) -> list[NDArray[np.float32]]:
    """Vectors (tokens, width) of each encoding."""
    result: list[Any] = [None] * len(encodings)
    for batch in batches(model, encodings, **limits):
        states = _states(model, batch.inputs, layer).float().cpu().numpy()
        for place, row in enumerate(batch.rows):
            result[row] = states[place, : len(batch.encodings[place].ids)]
    return result


def embed_tokens(model: Model, sequence: str, *, layer: int = -1) -> TokenEmbeddings:
    """A vector for every token of one sequence, special tokens included (their offsets are empty)."""
    require(model, Embeds, "has no token states to embed with", "token-embedding")
    encodings = encode(model, [sequence])
    (vectors,) = token_vectors(model, encodings, layer=layer)
    return TokenEmbeddings(vectors, encodings[0].offsets)


def _to_numpy(pooled: list[Tensor]) -> NDArray[np.float32]:
    import torch

    return torch.stack(pooled).float().cpu().numpy()


def _states(model: Model, inputs: dict[str, Tensor], layer: int) -> Tensor:
    import torch

    assert isinstance(model, Embeds)
    with torch.inference_mode():
        try:
            return model.token_states(inputs, layer)
        except IndexError:
            raise RequirementError(
                f"{model.manifest.id} has no layer {layer}.",
                requirement="layer",
                hint="0 is the embedding, 1 the first block, -1 what the head reads.",
            ) from None


def _pooled(model: Model, states: Tensor, encoding: Encoding, pooling: str) -> Tensor:
    """(tokens, width), padding behind the encoding's own tokens -> (width,)."""
    real = states[: len(encoding.ids)]
    if pooling == "first":
        return real[0]
    if pooling == "last":
        return real[-1]
    if not model.manifest.special_tokens_in_mean:
        kept = [i for i, (start, end) in enumerate(encoding.offsets) if end > start]
        if kept:
            real = real[kept]
    return real.float().mean(dim=0) if pooling == "mean" else real.max(dim=0).values
