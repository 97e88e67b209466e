"""Plant DNAGPT: GPT-2 in the stock layout, its head tied to the embedding (PDLLMs, 2025).

Learned positions: nothing beyond ``n_positions`` tokens. Also GPT2-Gene.
"""

from __future__ import annotations

from collections.abc import Mapping

from dnallm_core.checkpoints import KeyRules
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedConfig

from ._causal import CausalForward, CausalModel


class PlantDNAGPTForCausalLM(CausalForward, GPT2LMHeadModel):
    """GPT-2 with the house's forward."""

    learned_positions = True


class PlantDNAGPT(CausalModel):
    """zhangtaolab/plant-dnagpt-*."""

    config_class = GPT2Config
    network_class = PlantDNAGPTForCausalLM
    model_types = ("gpt2",)
    required = ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head")
    example = {"n_positions": 520, "n_embd": 16, "n_layer": 2, "n_head": 2}  # noqa: RUF012

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """Stock names, the trunk's with or without its prefix; older files hold the causal mask."""
        return KeyRules(
            rename=[(r"^(?=(wte|wpe|h|ln_f)\.)", "transformer.")],
            ignore=[r"(transformer\.)?h\.\d+\.attn\.(bias|masked_bias)"],
            tied={"lm_head.weight": "transformer.wte.weight"},
        )
