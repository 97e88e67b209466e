"""Scaled dot-product attention, fused where the weights are not asked for, and its position biases."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None = None,
    *,
    dropout: float = 0.0,
    weights: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """softmax(q k / sqrt(dim) + bias) v of (batch, heads, tokens, dim) tensors, and the softmax.

    ``bias``: added to the scores, of any shape that broadcasts to (batch, heads, tokens, tokens).
    The weights come only where they are asked for: fused attention never holds them.
    """
    if not weights:
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=bias, dropout_p=dropout
        )
        return mixed, None
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    if bias is not None:
        scores = scores + bias
    shares = functional.softmax(scores, dim=-1)
    return functional.dropout(shares, dropout) @ value, shares


def padding_bias(attention_mask: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """(batch, 1, 1, tokens): 0 where real, the dtype's lowest number at padding; None for no mask."""
    if attention_mask is None or bool(attention_mask.all()):
        return None
    lowest = torch.finfo(dtype).min
    bias = torch.zeros(attention_mask.shape, dtype=dtype, device=attention_mask.device)
    return bias.masked_fill(attention_mask == 0, lowest)[:, None, None, :]


def alibi_slopes(heads: int) -> list[float]:
    """Slopes of ALiBi (Press et al. 2022, arXiv:2108.12409): a geometric series in 2^(-8/heads).

    Where the number of heads is no power of two: the series of the power below, then every second
    slope of the power above.
    """

    def series(count: int) -> list[float]:
        return [2.0 ** (-8.0 * (index + 1) / count) for index in range(count)]

    below = 2 ** math.floor(math.log2(heads))
    return series(below) + series(2 * below)[0::2][: heads - below]


def symmetric_alibi(slopes: Tensor, queries: Tensor, keys: int) -> Tensor:
    """-slope |i - j| for the given query positions: (heads, queries, keys)."""
    distance = (queries[:, None] - torch.arange(keys, device=queries.device)).abs()
    return -slopes[:, None, None] * distance


def rotate(states: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021, arXiv:2104.09864), halves paired, on the first dimensions.

    ``states`` (batch, heads, tokens, dim); ``cosine``, ``sine`` (batch or 1, 1, tokens, rotated).
    Dimensions beyond the rotated ones pass unchanged.
    """
    turned, passed = states.split([cosine.shape[-1], states.shape[-1] - cosine.shape[-1]], dim=-1)
    first, second = turned.chunk(2, dim=-1)
    turned = turned * cosine + torch.cat((-second, first), dim=-1) * sine
    return torch.cat((turned, passed), dim=-1) if passed.shape[-1] else turned


def relative_scores(states: Tensor, distances: Tensor, of_keys: bool = False) -> Tensor:
    """s_ij = x_i e(i - j) (Shaw et al. 2018), or x_j e(i - j): (batch, heads, tokens, tokens).

    ``states`` (batch, heads, tokens, dim); ``distances`` (2 max - 1, dim), distance 0 in its middle.
    """
    tokens = states.shape[-2]
    middle = distances.shape[0] // 2
    reach = min(tokens, middle + 1)  # only padding stands further apart than the table goes
    near = distances[middle - reach + 1 : middle + reach]  # distances 1 - reach .. reach - 1
    products = states @ near.to(states.dtype).T  # (batch, heads, tokens, 2 reach - 1)
    place = torch.arange(tokens, device=states.device)
    index = (place[:, None] - place).clamp(1 - reach, reach - 1) + reach - 1  # [i, j] -> column
    if of_keys:
        # row j of the products, column of i - j: gathered as [j, i], then turned
        gathered = products.gather(-1, index.T.expand(*products.shape[:-1], tokens))
        return gathered.transpose(-1, -2)
    return products.gather(-1, index.expand(*products.shape[:-1], tokens))
