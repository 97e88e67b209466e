"""Plant DNAGemma: Gemma in the stock layout (PDLLMs, 2025).

Rotary positions, one key-value head for twelve query heads, norms that multiply by (1 + weight),
embeddings multiplied by sqrt(width); the head is tied to the embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dnallm_core.checkpoints import KeyRules
from transformers import GemmaConfig, GemmaForCausalLM, PreTrainedConfig

from ._causal import CausalForward, CausalModel


class PlantDNAGemmaForCausalLM(CausalForward, GemmaForCausalLM):
    """Gemma with the house's forward."""


class PlantDNAGemma(CausalModel):
    """zhangtaolab/plant-dnagemma-*."""

    config_class = GemmaConfig
    network_class = PlantDNAGemmaForCausalLM
    model_types = ("gemma",)
    required = (
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
    )
    example = {**CausalModel.example, "head_dim": 8}  # noqa: RUF012

    @classmethod
    def settings(cls, stated: dict[str, Any]) -> dict[str, Any]:
        """``hidden_activation`` decides, else the tanh GELU: ``hidden_act`` alone was never read.

        So did the ``transformers`` that the checkpoints were written with (4.39 to 4.45).
        """
        chosen = stated.pop("hidden_activation", None)
        return {**stated, "hidden_act": chosen or "gelu_pytorch_tanh"}

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """Stock names; older files also hold the rotary frequencies, which are recomputed."""
        return KeyRules(
            ignore=[r"model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq"],
            tied={"lm_head.weight": "model.embed_tokens.weight"},
        )
