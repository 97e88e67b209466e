"""Padding made harmless for networks that read from left to right only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class LeftAligned:
    """Rows with their real tokens moved to the front, as a causal network may safely read them.

    What stands to the right of a token can't change a causal network's output for it. So a padded
    row is moved to the left, padding last, and its outputs are moved back: every real position
    comes out as in the unpadded row, wherever the padding stood, and no layer needs to know.
    Outputs at masked positions are finite and mean nothing.
    """

    def __init__(self, attention_mask: Tensor) -> None:
        """``attention_mask`` is (batch, tokens), 1 where a token is real."""
        import torch

        real = attention_mask.bool()
        self.longest = max(int(real.sum(1).max()), 1)
        order = torch.argsort(~real, dim=1, stable=True)
        self._sources = order[:, : self.longest]
        self._places = (real.cumsum(1) - 1).clamp_(0, self.longest - 1)

    def align(self, input_ids: Tensor) -> Tensor:
        """(batch, tokens) -> (batch, longest real row)."""
        return input_ids.gather(1, self._sources)

    def restore(self, output: Tensor) -> Tensor:
        """(batch, longest real row, width) -> (batch, tokens, width), each token in its place."""
        places = self._places[..., None].expand(-1, -1, output.shape[-1])
        return output.gather(1, places)


def left_aligned(attention_mask: Tensor | None) -> LeftAligned | None:
    """What to do for a mask: None where there is no mask or it is all ones."""
    if attention_mask is None or bool(attention_mask.all()):
        return None
    return LeftAligned(attention_mask)
