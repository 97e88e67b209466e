"""BERT in the shapes that transformers no longer has: pre-LN, rotary or relative positions, soft input.

One network for GENA-LM, MutBERT and ProkBERT; each family's file says which shape is its. Blocks
are BERT's (Devlin et al. 2019) with the norm behind (post-LN) or before (pre-LN, Xiong et al. 2020,
arXiv:2002.04745) attention and feed-forward; names are BERT's, those of the pre-LN norms Megatron's.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.models.bert.modeling_bert import BertLMPredictionHead, BertOnlyMLMHead, BertPooler

from . import settings
from .attention import attend, padding_bias, relative_scores, rotate
from .decoder import TiedDecoder
from .output import EncoderOutput, first_token, masked_language_loss, position_ids
from .rotary import rotary_table


class EncoderConfig(PreTrainedConfig):
    """BERT's sizes, and the shape: where the norms are and how positions enter."""

    model_type = "dnallm-encoder"

    vocab_size: int = 32000
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = None
    tie_word_embeddings: bool = True
    norm_first: bool = False
    embedding_norm: bool = True
    last_norm: bool = False
    position: str = "absolute"  # absolute, rotary, relative_key, relative_key_query
    rotary_dim: int | None = None  # the whole head where None
    rotary_base: float = 10000.0
    rotary_scaling: dict[str, Any] | None = None  # {"type": "linear" or "dynamic", "factor": ...}
    has_pooler: bool = False


class Embeddings(nn.Module):
    """Words, token types and, where they are learned, positions."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.word_embeddings = nn.Embedding(config.vocab_size, width)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, width)
        self.position_embeddings = (
            nn.Embedding(config.max_position_embeddings, width)
            if config.position == "absolute"
            else None
        )
        self.LayerNorm = (
            nn.LayerNorm(width, eps=config.layer_norm_eps) if config.embedding_norm else None
        )
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, words: Tensor, positions: Tensor) -> Tensor:
        """(batch, tokens, width) of embedded words and (batch or 1, tokens) positions."""
        hidden = words + self.token_type_embeddings.weight[0]
        if self.position_embeddings is not None:
            hidden = hidden + self.position_embeddings(positions)
        if self.LayerNorm is not None:
            hidden = self.LayerNorm(hidden)
        return self.dropout(hidden)


class SelfAttention(nn.Module):
    """Attention with rotary positions, relative ones (Shaw et al. 2018; Huang et al. 2020), or none."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.position = config.position
        self.dropout = nn.Dropout(config.attention_probs_dropout_prob)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        if config.position.startswith("relative"):
            self.distance_embedding = nn.Embedding(
                2 * config.max_position_embeddings - 1, width // config.num_attention_heads
            )

    def forward(
        self,
        hidden: Tensor,
        bias: Tensor | None,
        table: tuple[Tensor, Tensor] | None,
        weights: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """Mixed states (batch, tokens, width), and the weights where asked for."""
        query, key, value = (
            each(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for each in (self.query, self.key, self.value)
        )  # (batch, heads, tokens, dim)
        if table is not None:
            query, key = rotate(query, *table), rotate(key, *table)
        if self.position.startswith("relative"):
            distances = self.distance_embedding.weight
            scores = relative_scores(query, distances)
            if self.position == "relative_key_query":
                scores = scores + relative_scores(key, distances, of_keys=True)
            scores = scores * query.shape[-1] ** -0.5
            bias = scores if bias is None else scores + bias
        dropout = self.dropout.p if self.training else 0.0
        mixed, shares = attend(query, key, value, bias, dropout=dropout, weights=weights)
        return mixed.transpose(1, 2).flatten(2), shares


class Project(nn.Module):
    """A projection back to the width, its residual and, in a post-LN block, its norm."""

    def __init__(self, config: EncoderConfig, inner: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, config.hidden_size)
        self.LayerNorm = (
            None
            if config.norm_first
            else nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        )
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, inner: Tensor, residual: Tensor) -> Tensor:
        """(batch, tokens, width)."""
        hidden = self.dropout(self.dense(inner)) + residual
        return hidden if self.LayerNorm is None else self.LayerNorm(hidden)


class Attention(nn.Module):
    """Attention with its projection; ``ln`` before it in a pre-LN block."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.ln = (
            nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
            if config.norm_first
            else nn.Identity()
        )
        self.self = SelfAttention(config)
        self.output = Project(config, config.hidden_size)


class Intermediate(nn.Module):
    """The feed-forward's first half."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACT2FN[config.hidden_act]

    def forward(self, hidden: Tensor) -> Tensor:
        """(batch, tokens, intermediate)."""
        return self.activation(self.dense(hidden))


class Block(GradientCheckpointingLayer):
    """Attention and feed-forward, post-LN or pre-LN."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.ln = (
            nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
            if config.norm_first
            else nn.Identity()
        )
        self.intermediate = Intermediate(config)
        self.output = Project(config, config.intermediate_size)

    def forward(
        self,
        hidden: Tensor,
        bias: Tensor | None,
        table: tuple[Tensor, Tensor] | None,
        weights: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """(batch, tokens, width), and the attention weights where asked for."""
        mixed, shares = self.attention.self(self.attention.ln(hidden), bias, table, weights)
        hidden = self.attention.output(mixed, hidden)
        return self.output(self.intermediate(self.ln(hidden)), hidden), shares


class Blocks(nn.Module):
    """The stack, with the norm behind it where there is one."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.ln = (
            nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
            if config.last_norm
            else nn.Identity()
        )


class Trunk(nn.Module):
    """Embeddings, blocks and, where the checkpoint stores one, the pooler."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Blocks(config)
        self.pooler = BertPooler(config) if config.has_pooler else None


class Encoder(TiedDecoder, PreTrainedModel):
    """The network with its masked-language head."""

    config_class = EncoderConfig
    config: EncoderConfig
    base_model_prefix = "bert"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules: ClassVar[list[str]] = ["Block"]

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.bert = Trunk(config)
        self.cls = BertOnlyMLMHead(config)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, BertLMPredictionHead):
            nn.init.zeros_(module.bias)

    def get_input_embeddings(self) -> Any:
        """The word embeddings."""
        return self.bert.embeddings.word_embeddings

    def set_input_embeddings(self, value: Any) -> None:
        """Replace the word embeddings."""
        self.bert.embeddings.word_embeddings = value

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        **_: Any,
    ) -> EncoderOutput:
        """Logits and states of (batch, tokens) ids; labels (same shape, -100 ignored) give a loss.

        Ids may also be (batch, tokens, vocabulary) shares of each token: their mixed embedding.
        """
        words = self._words(input_ids) if inputs_embeds is None else inputs_embeds
        config = self.config
        if config.position != "rotary":
            settings.require_room(words, attention_mask, config.max_position_embeddings)
        positions = position_ids(attention_mask)
        if positions is None:
            positions = torch.arange(words.shape[1], device=words.device)[None]
        bias = padding_bias(attention_mask, words.dtype)
        table = None
        if config.position == "rotary":
            dim = config.rotary_dim or config.hidden_size // config.num_attention_heads
            table = rotary_table(
                positions,
                dim,
                base=config.rotary_base,
                scaling=config.rotary_scaling,
                trained=config.max_position_embeddings,
                dtype=words.dtype,
            )
        show = bool(output_attentions) or config._attn_implementation == "eager"
        hidden = self.bert.embeddings(words, positions)
        states, attentions = [hidden], []
        for block in self.bert.encoder.layer:
            hidden, shares = block(hidden, bias, table, show)
            states.append(hidden)
            attentions.append(shares)
        hidden = states[-1] = self.bert.encoder.ln(hidden)  # (batch, tokens, width)
        logits = self.cls(hidden)  # (batch, tokens, vocabulary)
        pooled = None
        if self.bert.pooler is not None:
            pooled = self.bert.pooler(first_token(hidden, attention_mask)[:, None])
        return EncoderOutput(
            loss=masked_language_loss(logits, labels),
            logits=logits,
            last_hidden_state=hidden,
            pooler_output=pooled,
            hidden_states=tuple(states) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )

    def _words(self, input_ids: Tensor | None) -> Tensor:
        if input_ids is None:
            raise ValueError("The network needs input_ids or inputs_embeds.")
        words = self.bert.embeddings.word_embeddings
        if input_ids.is_floating_point():
            return input_ids.to(words.weight.dtype) @ words.weight
        return words(input_ids)
