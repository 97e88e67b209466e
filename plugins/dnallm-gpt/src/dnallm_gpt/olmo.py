"""Omni-DNA (arXiv 2502.03499): the first OLMo, in the layout of its own training code.

Pre-norm blocks without biases: queries, keys and values from one matrix, rotary positions in the
half-split form, SwiGLU from one matrix (values first, gate second). The norm is RMSNorm with a
weight or LayerNorm without, as the configuration says. The head is the embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from dnallm_core.checkpoints import CheckpointFolder, KeyRules
from dnallm_core.errors import CheckpointError
from torch import Tensor, nn
from transformers import Cache, DynamicCache, GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.masking_utils import create_causal_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils import can_return_tuple

from ._attention import plain_attention
from ._causal import CausalModel, CausalOutput, real_positions

# --- configuration ----------------------------------------------------------------------------


class OmniDNAConfig(PreTrainedConfig):
    """Sizes under the names of OLMo's configuration."""

    model_type = "omni-dna"
    keys_to_ignore_at_inference = ("past_key_values",)
    attribute_map = {  # noqa: RUF012 - a contract of transformers
        "hidden_size": "d_model",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "max_position_embeddings": "max_sequence_length",
    }

    vocab_size: int = 4096
    embedding_size: int = 4096  # rows of the embedding; the authors may pad the vocabulary
    d_model: int = 1024
    n_layers: int = 16
    n_heads: int = 16
    mlp_ratio: int = 8
    mlp_hidden_size: int | None = None  # of values and gate together
    layer_norm_type: str = "rms"
    layer_norm_with_affine: bool = True
    layer_norm_eps: float = 1e-5
    rope_theta: float = 10_000.0
    max_sequence_length: int = 250
    weight_tying: bool = True
    initializer_range: float = 0.02
    pad_token_id: int | None = None


# --- layers -----------------------------------------------------------------------------------


class Norm(nn.Module):
    """RMSNorm (``rms``) or LayerNorm (``default``), with a weight or without."""

    def __init__(self, config: OmniDNAConfig) -> None:
        super().__init__()
        self.kind, self.epsilon = config.layer_norm_type, config.layer_norm_eps
        self.weight = (
            nn.Parameter(torch.ones(config.d_model)) if config.layer_norm_with_affine else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) scaled over the last axis."""
        if self.kind == "default":
            return F.layer_norm(x, x.shape[-1:], self.weight, None, self.epsilon)
        wide = x.float()
        scaled = (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.epsilon)).to(
            x.dtype
        )
        return scaled if self.weight is None else self.weight * scaled


def rotated(x: Tensor, position_ids: Tensor, theta: float) -> Tensor:
    """Rotary positions in float32: dimension i turns with i + half (Su et al. 2021, half-split)."""
    half = x.shape[-1] // 2
    steps = torch.arange(half, device=x.device, dtype=torch.float32)
    angle = position_ids[:, None, :, None].float() * theta ** (-steps / half)
    first, second = x.float().split(half, dim=-1)  # (batch, heads, tokens, half)
    sine, cosine = angle.sin(), angle.cos()
    turned = (first * cosine - second * sine, second * cosine + first * sine)
    return torch.cat(turned, dim=-1).to(x.dtype)


class Block(GradientCheckpointingLayer):
    """x + attention(norm x), then x + SwiGLU(norm x)."""

    is_causal = True

    def __init__(self, config: OmniDNAConfig, layer: int) -> None:
        super().__init__()
        width = config.d_model
        inner = config.mlp_hidden_size or config.mlp_ratio * width
        self.config, self.layer = config, layer
        self.head_width = width // config.n_heads
        self.attn_norm, self.ff_norm = Norm(config), Norm(config)
        self.att_proj = nn.Linear(width, 3 * width, bias=False)
        self.attn_out = nn.Linear(width, width, bias=False)
        self.ff_proj = nn.Linear(width, inner, bias=False)
        self.ff_out = nn.Linear(inner // 2, width, bias=False)

    def forward(
        self,
        x: Tensor,
        position_ids: Tensor,
        mask: Tensor | None = None,
        cache: Cache | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """(batch, tokens, width), and the attention's weights where they are computed."""
        batch, tokens, width = x.shape
        query, key, value = (
            each.view(batch, tokens, -1, self.head_width).transpose(1, 2)
            for each in self.att_proj(self.attn_norm(x)).split(width, dim=-1)
        )  # (batch, heads, tokens, head width)
        query = rotated(query, position_ids, self.config.rope_theta)
        key = rotated(key, position_ids, self.config.rope_theta)
        if cache is not None:
            key, value = cache.update(key, value, self.layer)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, plain_attention
        )
        mixed, weights = attend(
            self, query, key, value, mask, dropout=0.0, scaling=self.head_width**-0.5, **kwargs
        )
        x = x + self.attn_out(mixed.reshape(batch, tokens, width))
        values, gate = self.ff_proj(self.ff_norm(x)).chunk(2, dim=-1)
        return x + self.ff_out(F.silu(gate) * values), weights


# --- network ----------------------------------------------------------------------------------


class OmniDNAForCausalLM(PreTrainedModel, GenerationMixin):
    """OLMo with its head."""

    config_class = OmniDNAConfig
    base_model_prefix = "transformer"
    supports_gradient_checkpointing = True
    _no_split_modules = ("Block",)
    _skip_keys_device_placement = ("past_key_values",)
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True

    def __init__(self, config: OmniDNAConfig) -> None:
        super().__init__(config)
        rows = max(config.embedding_size, config.vocab_size)
        parts: dict[str, nn.Module] = {
            "wte": nn.Embedding(rows, config.d_model),
            "blocks": nn.ModuleList(Block(config, index) for index in range(config.n_layers)),
            "ln_f": Norm(config),
        }
        if not config.weight_tying:
            parts["ff_out"] = nn.Linear(config.d_model, rows, bias=False)
        self.transformer = nn.ModuleDict(parts)
        self.gradient_checkpointing = False
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, Norm) and module.weight is not None:
            from transformers import initialization

            initialization.ones_(module.weight)

    def get_input_embeddings(self) -> nn.Module:
        """The token embedding."""
        return self.transformer["wte"]

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embedding."""
        self.transformer["wte"] = value

    def get_output_embeddings(self) -> None:
        """None: where the head is the embedding, there is no second matrix."""
        return

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalOutput:
        """Ids (batch, tokens) to hidden states and logits of the next token."""
        x = inputs_embeds if inputs_embeds is not None else self.transformer["wte"](input_ids)
        if past_key_values is None and use_cache:
            past_key_values = DynamicCache(config=self.config)
        past = past_key_values.get_seq_length() if past_key_values is not None else 0
        if position_ids is None and attention_mask is not None and attention_mask.ndim == 2:
            position_ids = real_positions(attention_mask)[:, -x.shape[1] :]
        if position_ids is None:
            position_ids = torch.arange(past, past + x.shape[1], device=x.device)[None]
        mask = create_causal_mask(
            config=self.config,
            inputs_embeds=x,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            position_ids=position_ids,
        )
        states, attentions = [x], []  # (batch, tokens, width)
        for block in self.transformer["blocks"].children():
            x, weights = block(x, position_ids, mask=mask, cache=past_key_values, **kwargs)
            states.append(x)
            attentions.append(weights)
        x = self.transformer["ln_f"](x)
        states[-1] = x
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        head = self.transformer["wte" if self.config.weight_tying else "ff_out"]
        logits = F.linear(x[:, kept], head.get_parameter("weight"))  # (batch, tokens, vocabulary)
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=logits.shape[-1])
        return CausalOutput(
            loss=loss,
            logits=logits,
            last_hidden_state=x,
            past_key_values=past_key_values,
            hidden_states=tuple(states) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )


# --- family -----------------------------------------------------------------------------------

_FIXED: Mapping[str, Any] = {
    "activation_type": "swiglu",
    "alibi": False,
    "rope": True,
    "block_type": "sequential",
    "include_bias": False,
    "bias_for_layer_norm": False,
    "attention_layer_norm": False,
    "multi_query_attention": False,
    "clip_qkv": None,
    "scale_logits": False,
    "norm_after": False,
    "embedding_layer_norm": False,
}
"""What OLMo's configuration could say otherwise, and Omni-DNA's never does."""


class OmniDNA(CausalModel):
    """zehui127/Omni-DNA-*."""

    config_class = OmniDNAConfig
    network_class = OmniDNAForCausalLM
    model_types = ("olmo-gfm", "hf_olmo", "olmo", "omni-dna")
    required = ("vocab_size", "d_model", "n_layers", "n_heads", "layer_norm_type")
    example = {  # noqa: RUF012
        "d_model": 16,
        "n_layers": 2,
        "n_heads": 2,
        "mlp_hidden_size": 64,
        "layer_norm_type": "rms",
        "max_sequence_length": 4096,
    }

    @classmethod
    def settings(cls, stated: dict[str, Any]) -> dict[str, Any]:
        """OLMo's settings, those of another OLMo refused."""
        other = [
            f"{name} = {stated[name]!r}"
            for name, value in _FIXED.items()
            if name in stated and stated[name] != value
        ]
        if stated["layer_norm_type"] not in ("rms", "default"):
            other.append(f"layer_norm_type = {stated['layer_norm_type']!r}")
        if stated.get("n_kv_heads") not in (None, stated["n_heads"]):
            other.append(f"n_kv_heads = {stated['n_kv_heads']!r}")
        if other:
            raise CheckpointError(f"This OLMo is not Omni-DNA's: {', '.join(other)}.")
        names = {name for name in OmniDNAConfig.__annotations__ if name != "initializer_range"}
        kept = {name: stated[name] for name in names if stated.get(name) is not None}
        return {"embedding_size": stated["vocab_size"], **kept}

    @classmethod
    def read_config(
        cls,
        folder: CheckpointFolder | None,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]] | None,
    ) -> PreTrainedConfig:
        """config.json under OLMo's names."""
        config = super().read_config(folder, arguments, shapes)
        config.tie_word_embeddings = False  # the head reads the embedding; nothing is to be tied
        return config

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """The authors' names, less the wrapper's prefix; the rotary cache is recomputed."""
        return KeyRules(rename=[(r"^model\.", "")], ignore=[r".*rotary_emb\..*"])
