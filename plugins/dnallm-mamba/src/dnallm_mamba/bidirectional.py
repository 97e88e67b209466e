"""Both directions of a mixer, and both strands: what Caduceus adds to Mamba (arXiv 2403.03234)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .mamba import SEGMENT, Mamba, MambaSettings, projector, segments


class BiMamba(nn.Module):
    """mamba_fwd(x) + flip(mamba_rev(flip(x))) (section 3.1), without moving x: time runs backwards.

    With shared projections (``bidirectional_weight_tie``) both directions read one projection, and
    their sum is gated and projected once.
    """

    def __init__(
        self,
        settings: MambaSettings,
        bidirectional: bool = True,
        strategy: str = "add",
        tied: bool = True,
    ) -> None:
        super().__init__()
        self.strategy = strategy
        self.mamba_fwd = Mamba(settings)
        self.mamba_rev = (
            Mamba(settings, self.mamba_fwd if tied else None) if bidirectional else None
        )

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, length, d_model) -> the same; ``mask`` (batch, length), 1 where real."""
        forwards, backwards = self.mamba_fwd, self.mamba_rev
        if backwards is None:
            return forwards(hidden, mask)
        one_projection = (
            self.strategy == "add"
            and forwards.in_proj is backwards.in_proj
            and forwards.out_proj is backwards.out_proj
            and forwards.out_proj.bias is None
        )
        if not one_projection:
            left, right = forwards(hidden, mask), backwards(hidden, mask, reverse=True)
            return left + right if self.strategy == "add" else left * right
        length = hidden.shape[1]
        projected = projector(forwards.in_proj, hidden)
        left_to_right: list[Tensor] = []
        carry = None
        for segment in segments(length):
            x, _ = projected(segment).chunk(2, dim=-1)
            y, carry = forwards.scan(x, _cut(mask, segment), carry)
            left_to_right.append(y)
        out: list[Tensor] = []
        carry = None
        for segment in segments(length, reverse=True):
            x, gate = projected(segment).chunk(2, dim=-1)
            y, carry = backwards.scan(x, _cut(mask, segment), carry, reverse=True)
            out.append(forwards.out_proj((left_to_right.pop() + y) * F.silu(gate)))
        return torch.cat(out[::-1], dim=1) if len(out) > 1 else out[0]


class BothStrands(nn.Module):
    """One mixer for both strands (RCPSWrapper, section 3.2): the second sees its strand as its own.

    Strands are (2, batch, length, width) in the first strand's orientation. ``submodule`` is the
    authors' name.
    """

    def __init__(self, submodule: nn.Module) -> None:
        super().__init__()
        self.submodule = submodule

    def forward(self, strands: Tensor, mask: Tensor | None = None) -> Tensor:
        """(2, batch, length, width) -> the same; ``mask`` (batch, length), 1 where real."""
        other_mask = None if mask is None else mask.flip(-1)
        own, other = strands[0], turned(strands[1])
        if strands.shape[2] > SEGMENT:  # one after the other: half the memory
            return torch.stack(
                [self.submodule(own, mask), turned(self.submodule(other, other_mask))]
            )
        masks = None if mask is None or other_mask is None else torch.cat([mask, other_mask])
        own, other = self.submodule(torch.cat([own, other]), masks).chunk(2)
        return torch.stack([own, turned(other)])


def turned(strand: Tensor) -> Tensor:
    """Reverse complement of hidden states: positions and channels flipped."""
    return strand.flip(-2, -1)


def _cut(mask: Tensor | None, segment: slice) -> Tensor | None:
    return None if mask is None else mask[:, segment]
