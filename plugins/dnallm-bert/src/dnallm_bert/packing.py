"""Taking padding out of a batch, rows of equal length side by side, and putting it back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from torch import Tensor


@dataclass(frozen=True)
class Packing:
    """Where the real tokens of a (batch, tokens) batch stand.

    ``groups``: (rows, length) of runs of rows of one length, shortest first; the packed tokens are
    those of the first group's rows, one row after the other, then the second's. ``index``: each
    packed token's place in the flattened batch, None where nothing is padded. ``rows``: the batch
    row of each packed row.
    """

    batch: int
    tokens: int
    groups: list[tuple[int, int]]
    index: Tensor | None
    rows: list[int]

    @property
    def longest(self) -> int:
        """Most real tokens of a row."""
        return self.groups[-1][1]

    def packed(self, states: Tensor) -> Tensor:
        """(real tokens, ...) of (batch, tokens, ...)."""
        flat = states.reshape(self.batch * self.tokens, *states.shape[2:])
        return flat if self.index is None else flat[self.index]

    def padded(self, states: Tensor) -> Tensor:
        """(batch, tokens, ...) of (real tokens, ...), zero where there is padding."""
        if self.index is not None:
            whole = states.new_zeros(self.batch * self.tokens, *states.shape[1:])
            states = whole.index_copy(0, self.index, states)
        return states.view(self.batch, self.tokens, *states.shape[1:])

    def padded_weights(self, shares: list[Tensor], attention_mask: Tensor | None) -> Tensor:
        """(batch, heads, tokens, tokens) of one (rows, heads, length, length) a group."""
        if self.index is None or attention_mask is None:
            return shares[0]
        whole = shares[0].new_zeros(self.batch, shares[0].shape[1], self.tokens, self.tokens)
        each = (row for group in shares for row in group)
        for row, share in zip(self.rows, each, strict=True):
            real = attention_mask[row].nonzero().squeeze(-1)
            whole[row, :, real[:, None], real] = share
        return whole


def pack(batch: int, tokens: int, attention_mask: Tensor | None) -> Packing:
    """The packing of a batch; without padding the batch is one group as it stands."""
    if attention_mask is None or bool(attention_mask.all()):
        return Packing(batch, tokens, [(batch, tokens)], None, list(range(batch)))
    real = attention_mask != 0
    lengths = real.sum(-1)
    order = lengths.argsort(stable=True)
    row, column = real[order].nonzero(as_tuple=True)
    groups = [
        (len(list(run)), length) for length, run in groupby(lengths[order].tolist()) if length
    ]
    index = order[row] * tokens + column
    empty = int((lengths == 0).sum())
    return Packing(batch, tokens, groups or [(0, 0)], index, order.tolist()[empty:])
