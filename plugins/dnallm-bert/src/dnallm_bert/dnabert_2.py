"""DNABERT-2 and DNABERT-S: BERT with ALiBi and a gated feed-forward, over byte pairs, unpadded.

Zhou et al., ICLR 2024 (arXiv:2306.15006); DNABERT-S: Zhou et al., Bioinformatics 2025
(10.1093/bioinformatics/btaf188), the same network without head, with a pooler. The blocks are
MosaicBERT's: post-LN, symmetric ALiBi, wo(gelu(a) * b) with [a; b] = gated_layers(x). Padding is
taken out before the blocks and comes back as zeros, as in the authors' code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from dnallm_core.checkpoints import CheckpointFolder, KeyRules
from dnallm_core.errors import CheckpointError
from dnallm_core.manifest.model import ModelManifest
from dnallm_core.models import Embeds, Model, PredictsBases
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from . import settings
from .attends import ShowsAttention
from .attention import alibi_slopes, attend, symmetric_alibi
from .output import EncoderOutput, first_token, masked_language_loss
from .packing import Packing, pack

_LARGEST_BIAS = 2**25  # elements; longer inputs get their bias a block of queries at a time


class Dnabert2Config(PreTrainedConfig):
    """The authors' settings, and which heads the checkpoint stores."""

    model_type = "dnallm-dnabert-2"

    vocab_size: int = 4096
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.0
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = None
    tie_word_embeddings: bool = True
    has_head: bool = True
    has_pooler: bool = False


class Embeddings(nn.Module):
    """Token and token-type embeddings, normalised; there are no positions."""

    def __init__(self, config: Dnabert2Config) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, words: Tensor) -> Tensor:
        """(tokens, width) of embedded (tokens, width)."""
        return self.dropout(self.LayerNorm(words + self.token_type_embeddings.weight[0]))


class SelfAttention(nn.Module):
    """Attention of every row to itself, rows of one length at a time."""

    def __init__(self, config: Dnabert2Config) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.dropout = nn.Dropout(config.attention_probs_dropout_prob)
        self.Wqkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)

    def forward(
        self, hidden: Tensor, packing: Packing, bias: Tensor | None, weights: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """Mixed states (tokens, width) of (tokens, width), and the weights of each group."""
        projected = self.Wqkv(hidden).view(len(hidden), 3, self.heads, -1)
        mixed, shares, start = [], [], 0
        for rows, length in packing.groups:
            group = projected[start : start + rows * length]
            query, key, value = group.view(rows, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            context, share = self._attend(query, key, value, bias, weights)
            mixed.append(context.transpose(1, 2).reshape(rows * length, -1))
            if share is not None:
                shares.append(share)
            start += rows * length
        return mixed[0] if len(mixed) == 1 else torch.cat(mixed), shares

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        dropout = self.dropout.p if self.training else 0.0
        length = query.shape[-2]
        if bias is not None:
            near = bias[None, :, :length, :length]
            return attend(query, key, value, near, dropout=dropout, weights=weights)
        slopes = torch.tensor(alibi_slopes(self.heads), device=query.device)
        block = max(1, _LARGEST_BIAS // (self.heads * length))
        mixed, shares = [], []
        for place in torch.arange(length, device=query.device).split(block):
            near = symmetric_alibi(slopes, place, length)[None].to(query.dtype)
            part, share = attend(
                query[:, :, place], key, value, near, dropout=dropout, weights=weights
            )
            mixed.append(part)
            if share is not None:
                shares.append(share)
        return torch.cat(mixed, dim=2), torch.cat(shares, dim=2) if shares else None


class SelfOutput(nn.Module):
    """Projection, residual and norm behind the attention."""

    def __init__(self, config: Dnabert2Config) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, mixed: Tensor, residual: Tensor) -> Tensor:
        """(tokens, width)."""
        return self.LayerNorm(self.dropout(self.dense(mixed)) + residual)


class GatedFeedForward(nn.Module):
    """LayerNorm(wo(gelu(a) * b) + x) with [a; b] = gated_layers(x)."""

    def __init__(self, config: Dnabert2Config) -> None:
        super().__init__()
        self.gated_layers = nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=False)
        self.wo = nn.Linear(config.intermediate_size, config.hidden_size)
        self.layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, hidden: Tensor) -> Tensor:
        """(tokens, width)."""
        gate, value = self.gated_layers(hidden).chunk(2, dim=-1)
        return self.layernorm(self.wo(self.dropout(functional.gelu(gate) * value)) + hidden)


class Attention(nn.Module):
    """Attention with its output; the names are the authors'."""

    def __init__(self, config: Dnabert2Config) -> None:
        super().__init__()
        self.self = SelfAttention(config)
        self.output = SelfOutput(config)


class Block(GradientCheckpointingLayer):
    """Attention and feed-forward, each with its norm behind it."""

    def __init__(self, config: Dnabert2Config) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.mlp = GatedFeedForward(config)

    def forward(
        self, hidden: Tensor, packing: Packing, bias: Tensor | None, weights: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """(tokens, width), and the attention weights of each group where asked for."""
        mixed, shares = self.attention.self(hidden, packing, bias, weights)
        return self.mlp(self.attention.output(mixed, hidden)), shares


class Blocks(nn.Module):
    """The stack."""

    def __init__(self, config: Dnabert2Config) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))


class Pooler(nn.Module):
    """tanh(dense(first token))."""

    def __init__(self, config: Dnabert2Config) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, first: Tensor) -> Tensor:
        """(batch, width)."""
        return torch.tanh(self.dense(first))


class Encoder(nn.Module):
    """Embeddings, blocks and, where stored, the pooler."""

    def __init__(self, config: Dnabert2Config) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Blocks(config)
        self.pooler = Pooler(config) if config.has_pooler else None


class Transform(nn.Module):
    """LayerNorm(gelu(dense(x)))."""

    def __init__(self, config: Dnabert2Config) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, hidden: Tensor) -> Tensor:
        """(tokens, width)."""
        return self.LayerNorm(functional.gelu(self.dense(hidden)))


class Predictions(nn.Module):
    """Transform, and a decoder that shares its weight with the embedding; its bias is its own."""

    def __init__(self, config: Dnabert2Config) -> None:
        super().__init__()
        self.transform = Transform(config)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """(tokens, vocabulary)."""
        return self.decoder(self.transform(hidden))


class Head(nn.Module):
    """The masked-language head under the authors' name."""

    def __init__(self, config: Dnabert2Config) -> None:
        super().__init__()
        self.predictions = Predictions(config)


class Dnabert2(PreTrainedModel):
    """DNABERT-2 with its masked-language head, or DNABERT-S with its pooler."""

    config_class = Dnabert2Config
    config: Dnabert2Config
    base_model_prefix = "bert"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules: ClassVar[list[str]] = ["Block"]

    def __init__(self, config: Dnabert2Config) -> None:
        super().__init__(config)
        self.bert = Encoder(config)
        self.cls = Head(config) if config.has_head else None
        if config.has_head:
            self._tied_weights_keys = {
                "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight"
            }
        self.post_init()

    def get_input_embeddings(self) -> Any:
        """The word embeddings."""
        return self.bert.embeddings.word_embeddings

    def set_input_embeddings(self, value: Any) -> None:
        """Replace the word embeddings."""
        self.bert.embeddings.word_embeddings = value

    def get_output_embeddings(self) -> Any:
        """The decoder, where there is a head."""
        return self.cls.predictions.decoder if self.cls is not None else None

    def set_output_embeddings(self, new_embeddings: Any) -> None:
        """Replace the decoder."""
        if self.cls is not None:
            self.cls.predictions.decoder = new_embeddings

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
        """States of (batch, tokens) ids, exactly 0 at padding, and logits where there is a head."""
        words = self.get_input_embeddings()(input_ids) if inputs_embeds is None else inputs_embeds
        packing = pack(words.shape[0], words.shape[1], attention_mask)
        hidden = self.bert.embeddings(packing.packed(words))  # (real tokens, width)
        bias = self._alibi(packing.longest, hidden)
        show = bool(output_attentions) or self.config._attn_implementation == "eager"
        states, attentions = [hidden], []
        for block in self.bert.encoder.layer:
            hidden, shares = block(hidden, packing, bias, show)
            if output_hidden_states:
                states.append(hidden)
            if output_attentions:
                attentions.append(packing.padded_weights(shares, attention_mask))
        last = packing.padded(hidden)  # (batch, tokens, width)
        logits = None
        if self.cls is not None:  # (batch, tokens, vocabulary), 0 at padding
            logits = packing.padded(self.cls.predictions(hidden))
        pooler = self.bert.pooler
        hidden_states = (*(packing.padded(state) for state in states[:-1]), last)
        return EncoderOutput(
            loss=masked_language_loss(logits, labels) if logits is not None else None,
            logits=logits,
            last_hidden_state=last,
            pooler_output=pooler(first_token(last, attention_mask)) if pooler is not None else None,
            hidden_states=hidden_states if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )

    def _alibi(self, longest: int, like: Tensor) -> Tensor | None:
        """The bias (heads, longest, longest) that all blocks share, unless it is too large to keep."""
        heads = self.config.num_attention_heads
        if heads * longest * longest > _LARGEST_BIAS:
            return None
        slopes = torch.tensor(alibi_slopes(heads), device=like.device)
        place = torch.arange(longest, device=like.device)
        return symmetric_alibi(slopes, place, longest).to(like.dtype)


_WORDS = "embeddings.word_embeddings.weight"


class MosaicBert(Embeds, ShowsAttention, Model):
    """What DNABERT-2 and DNABERT-S share: the network and its layout."""

    has_head: ClassVar[bool] = True

    @classmethod
    def read_config(
        cls,
        folder: CheckpointFolder | None,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]] | None,
    ) -> PreTrainedConfig:
        """The authors' fields; ``position_embedding_type`` is stated there and read by nobody."""
        stated = settings.read(folder, arguments)
        settings.require_bert_sizes(stated)
        if (act := stated.get("hidden_act", "gelu")) != "gelu":
            raise CheckpointError(
                f"The configuration has hidden_act {act!r}; the network has gelu."
            )
        names = {_unprefixed(key) for key in shapes or ()}
        if shapes is not None:
            prefix = "bert." if f"bert.{_WORDS}" in shapes else ""
            mosaic = f"{prefix}encoder.layer.0.attention.self.Wqkv.weight"
            if mosaic not in shapes:
                settings.require_layout(shapes, mosaic, cls.__name__, vocabulary=0)
            settings.require_layout(
                shapes, prefix + _WORDS, cls.__name__, vocabulary=stated["vocab_size"]
            )
        return Dnabert2Config(
            **settings.fields(stated, (*settings.SHARED_FIELDS, "type_vocab_size")),
            has_head=cls.has_head,
            has_pooler="bert.pooler.dense.weight" in names if names else not cls.has_head,
        )

    @classmethod
    def example_config(cls, facts: ModelManifest) -> PreTrainedConfig:
        """Two narrow layers."""
        return cls.read_config(None, settings.narrow(facts), None)

    @classmethod
    def build(cls, config: PreTrainedConfig) -> PreTrainedModel:
        """The network of a configuration."""
        return Dnabert2(config)

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """DNABERT-S is published as the bare encoder: without the prefix."""
        return KeyRules(
            rename=[(r"^(?!bert\.|cls\.)", "bert.")],
            ignore=[r"(bert\.)?embeddings\.position_ids"],
        )


class Dnabert2Family(PredictsBases, MosaicBert):
    """DNABERT-2."""


class DnabertS(MosaicBert):
    """DNABERT-S: embeddings that tell species apart; there is no head that predicts bases."""

    has_head = False


def _unprefixed(key: str) -> str:
    return key if key.startswith(("bert.", "cls.")) else f"bert.{key}"
