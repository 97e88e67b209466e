"""Both directions of a mixer, and both strands: what Caduceus adds to Mamba (arXiv 2403.03234)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .mamba import groups_of_rows, projector, segments


class BiMamba(nn.Module):
    """mamba_fwd(x) + flip(mamba_rev(flip(x))) (section 3.1), without moving x: time runs backwards.

    ``mixer`` is the kind, Mamba or Mamba2, and ``settings`` its settings. With shared projections
    (``tied``, the authors' bidirectional_weight_tie) both directions read one projection, and their
    sum is projected once.
    """

    def __init__(
        self,
        mixer: type[Any],
        settings: Any,
        bidirectional: bool = True,
        strategy: str = "add",
        tied: bool = True,
    ) -> None:
        super().__init__()
        self.strategy = strategy
        self.mamba_fwd = mixer(settings)
        self.mamba_rev = (
            mixer(settings, self.mamba_fwd if tied else None) if bidirectional else None
        )

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, length, d_model) -> the same; ``mask`` (batch, length), 1 where real."""
        own, other = self.mamba_fwd, self.mamba_rev
        if other is None:
            return own(hidden, mask)
        one_projection = (
            self.strategy == "add"
            and own.in_proj is other.in_proj
            and own.out_proj is other.out_proj
            and own.out_proj.bias is None
        )
        if not one_projection:
            left, right = own(hidden, mask), other(hidden, mask, reverse=True)
            return left + right if self.strategy == "add" else left * right
        return groups_of_rows(lambda *rows: both_ways(own, other, *rows), hidden, mask)


def both_ways(own: Any, other: Any, hidden: Tensor, mask: Tensor | None) -> Tensor:
    """The sum of two mixers of one projection, forwards and backwards: projected in and out once."""
    projected = projector(own.in_proj, hidden)
    lefts: Tensor | None = None
    carry = None
    for segment in segments(hidden):
        left, carry = own.scan(projected(segment), _cut(mask, segment), carry)
        lefts = _put(lefts, segment, left, hidden.shape[1])
    out: Tensor | None = None
    carry = None
    for segment in segments(hidden, reverse=True):
        part = projected(segment)
        right, carry = other.scan(part, _cut(mask, segment), carry, reverse=True)
        assert lefts is not None
        summed = own.gated_sum(lefts[:, segment], other, right, part)
        out = _put(out, segment, own.out_proj(summed), hidden.shape[1])
    assert out is not None
    return out


def _put(whole: Tensor | None, segment: slice, part: Tensor, length: int) -> Tensor:
    """``part`` in its place in one tensor of all segments: many small ones would scatter the heap."""
    if part.shape[1] == length:
        return part
    if whole is None:
        whole = part.new_empty(part.shape[0], length, part.shape[2])
    whole[:, segment] = part
    return whole


class BothStrands(nn.Module):
    """One mixer for both strands (RCPSWrapper, section 3.2); ``submodule`` is the authors' name."""

    def __init__(self, submodule: nn.Module) -> None:
        super().__init__()
        self.submodule = submodule

    def forward(self, own: Tensor, other: Tensor, mask: Tensor | None = None) -> tuple[Any, Any]:
        """Two (batch, length, width), each in its strand's own orientation -> the same.

        ``mask`` (batch, length), 1 where real, in the orientation of the first.
        """
        masks = None if mask is None else torch.cat([mask, mask.flip(-1)])
        own, other = self.submodule(torch.cat([own, other]), masks).chunk(2)
        return own, other


def turned(strand: Tensor) -> Tensor:
    """Reverse complement of hidden states: positions and channels flipped."""
    return strand.flip(-2, -1)


def _cut(mask: Tensor | None, segment: slice) -> Tensor | None:
    return None if mask is None else mask[:, segment]
