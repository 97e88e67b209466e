"""RoFormer's encoder as GPN-MSA uses it: ``transformers``' layers, with padding kept out.

Su et al. (2021), arXiv 2104.09864: rotary positions on interleaved pairs of query and key channels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import RoFormerConfig
from transformers.models.roformer.modeling_roformer import RoFormerEncoder


class AlignedRoFormerConfig(RoFormerConfig):
    """RoFormer's settings, and how many channels hold the other species."""

    aux_features_vocab_size: int | None = 5
    n_aux_features: int = 0


class RoFormerStack(RoFormerEncoder):
    """(batch, length, width) and a mask to the last states, all states, and the attention weights."""

    def forward(
        self, x: Tensor, attention_mask: Tensor | None = None, output_attentions: bool = False
    ) -> tuple[Tensor, list[Tensor], tuple[Tensor, ...] | None]:
        """Where ``attention_mask`` (batch, length) is 0, no position attends."""
        added = None
        if attention_mask is not None and not bool(attention_mask.all()):
            added = torch.zeros_like(attention_mask, dtype=x.dtype)
            added = added.masked_fill(attention_mask == 0, torch.finfo(x.dtype).min)
            added = added[:, None, None, :]  # (batch, 1, 1, length)
        output = super().forward(
            x, added, output_hidden_states=True, output_attentions=output_attentions
        )
        return output.last_hidden_state, list(output.hidden_states), output.attentions
