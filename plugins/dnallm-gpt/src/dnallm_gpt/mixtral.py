"""Mistral-DNA: Mixtral, a mixture of experts, in the layout with one matrix an expert.

``transformers`` 5 stacks the experts of a block into one tensor; here each expert keeps its own
linear layers under its published name, so that files load and save as they are and adapters find
them.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from dnallm_core.checkpoints import KeyRules
from torch import Tensor, nn
from transformers import MixtralConfig, MixtralForCausalLM, PreTrainedConfig
from transformers.activations import ACT2FN
from transformers.models.mixtral.modeling_mixtral import MixtralDecoderLayer

from ._causal import CausalForward, CausalModel


class Expert(nn.Module):
    """A gated feed-forward network: w2(act(w1 x) * w3 x)."""

    def __init__(self, config: MixtralConfig) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.w1 = nn.Linear(width, inner, bias=False)
        self.w2 = nn.Linear(inner, width, bias=False)
        self.w3 = nn.Linear(width, inner, bias=False)
        self.activation = ACT2FN[config.hidden_act]

    def forward(self, x: Tensor) -> Tensor:
        """(tokens, width), token by token."""
        return self.w2(self.activation(self.w1(x)) * self.w3(x))


class SparseExperts(nn.Module):
    """Each token goes through its k best experts, weighted by the router's renormalised softmax."""

    def __init__(self, config: MixtralConfig) -> None:
        super().__init__()
        self.active = config.num_experts_per_tok
        self.gate = nn.Linear(config.hidden_size, config.num_local_experts, bias=False)
        self.experts = nn.ModuleList(Expert(config) for _ in range(config.num_local_experts))

    def forward(self, hidden: Tensor) -> Tensor:
        """(batch, tokens, width), token by token."""
        x = hidden.reshape(-1, hidden.shape[-1])  # (tokens, width)
        probability = self.gate(x).float().softmax(-1)  # (tokens, experts)
        weight, chosen = probability.topk(self.active, dim=-1)  # (tokens, active)
        weight = (weight / weight.sum(-1, keepdim=True)).to(x.dtype)
        mixed = torch.zeros_like(x)
        for index, expert in enumerate(self.experts):
            token, rank = (chosen == index).nonzero(as_tuple=True)
            mixed.index_add_(0, token, expert(x[token]) * weight[token, rank, None])
        return mixed.view_as(hidden)


class MistralDNALayer(MixtralDecoderLayer):
    """Mixtral's block, its experts under their published name."""

    def __init__(self, config: MixtralConfig, layer_idx: int) -> None:
        super().__init__(config, layer_idx)
        del self.mlp
        self.block_sparse_moe = SparseExperts(config)

    @property
    def mlp(self) -> SparseExperts:
        """The name that the stock block's forward reads."""
        return self.block_sparse_moe

    @mlp.deleter
    def mlp(self) -> None:
        self._modules.pop("mlp")


class MistralDNAForCausalLM(CausalForward, MixtralForCausalLM):
    """Mixtral with the house's forward and separate experts."""

    _no_split_modules = ("MistralDNALayer",)

    def __init__(self, config: MixtralConfig) -> None:
        super().__init__(config)
        self.model.layers = nn.ModuleList(
            MistralDNALayer(config, index) for index in range(config.num_hidden_layers)
        )
        self.post_init()


class MistralDNA(CausalModel):
    """RaphaelMourad/Mistral-DNA-v1-*."""

    config_class = MixtralConfig
    network_class = MistralDNAForCausalLM
    model_types = ("mixtral",)
    required = (
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "num_local_experts",
        "num_experts_per_tok",
    )
    example = {**CausalModel.example, "num_local_experts": 4, "num_experts_per_tok": 2}  # noqa: RUF012

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """The published names are the network's."""
        return KeyRules(
            tied={"lm_head.weight": "model.embed_tokens.weight"}
            if config.tie_word_embeddings
            else {},
        )
