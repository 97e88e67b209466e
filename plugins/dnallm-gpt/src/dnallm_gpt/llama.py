"""GENERator (version 1 and 2), METAGENE-1, OmniNA and Carbon: Llama in the stock layout.

Rotary positions in the half-split form, grouped-query attention, RMSNorm, SwiGLU without biases,
a head of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from dnallm_core.checkpoints import KeyRules
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedConfig

from ._causal import CausalForward, CausalModel


class GENERatorForCausalLM(CausalForward, LlamaForCausalLM):
    """Llama with the house's forward."""


class StockLlama(CausalModel):
    """Any checkpoint in Llama's stock layout."""

    config_class = LlamaConfig
    network_class = GENERatorForCausalLM
    model_types: ClassVar[Sequence[str]] = ("llama",)
    required = (
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
    )

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """Stock names; older files also hold the rotary frequencies, which are recomputed."""
        return KeyRules(
            ignore=[r"model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq"],
            tied={"lm_head.weight": "model.embed_tokens.weight"}
            if config.tie_word_embeddings
            else {},
        )


class GENERator(StockLlama):
    """GenerTeam/GENERator-* and GENERator-v2-*; its vocabulary is 6-mers that do not overlap."""

    model_types = ("llama", "generator")
