"""Attention weights of the encoders, on request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dnallm_core.models import Attends
from torch import Tensor


class ShowsAttention(Attends):
    """Attention weights by running the network once without fused attention."""

    module: Any

    def attention_weights(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """One (batch, heads, tokens, tokens) a layer; rows sum to 1 over the real tokens."""
        fused = self.module.config._attn_implementation
        self.module.set_attn_implementation("eager")
        try:
            return tuple(self.module(**inputs, output_attentions=True).attentions)
        finally:
            self.module.set_attn_implementation(fused)
