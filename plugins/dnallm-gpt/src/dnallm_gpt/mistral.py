"""GenomeOcean and BioFM: Mistral in the stock layout, head dimension free of the width."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dnallm_core.checkpoints import KeyRules
from transformers import MistralConfig, MistralForCausalLM, PreTrainedConfig

from ._causal import CausalForward, CausalModel


class GenomeOceanForCausalLM(CausalForward, MistralForCausalLM):
    """Mistral with the house's forward."""


class GenomeOcean(CausalModel):
    """DOEJGI/GenomeOcean-*, m42-health/BioFM-*."""

    config_class = MistralConfig
    network_class = GenomeOceanForCausalLM
    model_types = ("mistral",)
    required = (
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
    )

    @classmethod
    def settings(cls, stated: dict[str, Any]) -> dict[str, Any]:
        """A window of 0 is none: what a manifest writes for JSON's null."""
        if stated.get("sliding_window") == 0:
            stated["sliding_window"] = None
        return stated

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """Stock names; older files also hold the rotary frequencies, which are recomputed."""
        return KeyRules(
            ignore=[r"model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq"],
            tied={"lm_head.weight": "model.embed_tokens.weight"}
            if config.tie_word_embeddings
            else {},
        )
