"""Nucleotide Transformer 1 and 2, AgroNT, Plant Nucleotide Transformer: ESM over 6-mers.

Dalla-Torre et al., Nat Methods 2025 (10.1038/s41592-024-02523-z); AgroNT: Mendoza-Revilla et al.,
Commun Biol 2024 (10.1038/s42003-024-06465-2). The first version is transformers' ESM as it stands:
pre-LN blocks, learned positions, untied decoder. The second has rotary positions and a gated
feed-forward without biases, down(silu(a) * b) with [a; b] = up(x), in the same places and names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from dnallm_core.checkpoints import CheckpointFolder, KeyRules
from dnallm_core.manifest.model import ModelManifest
from dnallm_core.models import Embeds, Model, PredictsBases
from torch import Tensor, nn
from torch.nn import functional
from transformers import EsmConfig, EsmModel, PreTrainedConfig, PreTrainedModel
from transformers.models.esm.modeling_esm import EsmLMHead, EsmPreTrainedModel

from . import settings
from .attends import ShowsAttention
from .output import EncoderOutput, first_token, masked_language_loss, position_ids


class NucleotideTransformerConfig(EsmConfig):
    """ESM's settings, and those of the second version's feed-forward."""

    model_type = "dnallm-nucleotide-transformer"

    gated_feed_forward: bool = False
    add_bias_fnn: bool = True  # the authors' spelling
    has_pooler: bool = False
    tie_word_embeddings: bool = False


class GatedUp(nn.Module):
    """silu(a) * b of one linear layer's halves, (..., width) to (..., intermediate)."""

    def __init__(self, config: NucleotideTransformerConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(
            config.hidden_size, 2 * config.intermediate_size, bias=config.add_bias_fnn
        )

    def forward(self, hidden: Tensor) -> Tensor:
        """The gated intermediate."""
        gate, value = self.dense(hidden).chunk(2, dim=-1)
        return functional.silu(gate) * value


class NucleotideTransformer(EsmPreTrainedModel):
    """Nucleotide Transformer with its masked-language head."""

    config_class = NucleotideTransformerConfig
    config: NucleotideTransformerConfig
    _tied_weights_keys: ClassVar[dict[str, str]] = {
        "lm_head.decoder.weight": "esm.embeddings.word_embeddings.weight"
    }

    def __init__(self, config: NucleotideTransformerConfig) -> None:
        super().__init__(config)
        self.esm = EsmModel(config, add_pooling_layer=config.has_pooler)
        if config.gated_feed_forward:
            for layer in self.esm.encoder.layer:
                layer.intermediate = GatedUp(config)
                layer.output.dense = nn.Linear(
                    config.intermediate_size, config.hidden_size, bias=config.add_bias_fnn
                )
        del self.esm.contact_head  # for proteins; no Nucleotide Transformer's is trained
        if config.position_embedding_type == "rotary":
            # Stored by the authors and read by nothing; kept, so that files and counts agree.
            self.esm.embeddings.position_embeddings = nn.Embedding(
                config.max_position_embeddings, config.hidden_size, padding_idx=config.pad_token_id
            )
        self.lm_head = EsmLMHead(config)
        self.post_init()

    def get_output_embeddings(self) -> Any:
        """The decoder, which the authors do not tie."""
        return self.lm_head.decoder

    def set_output_embeddings(self, new_embeddings: Any) -> None:
        """Replace the decoder."""
        self.lm_head.decoder = new_embeddings

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

        Learned positions count tokens other than ``<pad>`` from 2 on, and token dropout counts
        ``<mask>``, as ESM does: hence masked-out positions are read as ``<pad>``.
        """
        if input_ids is not None and attention_mask is not None:
            input_ids = input_ids.masked_fill(attention_mask == 0, self.config.pad_token_id)
        given = input_ids if input_ids is not None else inputs_embeds
        rotary = self.config.position_embedding_type == "rotary"
        if given is not None and not rotary:
            room = self.config.max_position_embeddings - self.config.pad_token_id - 1
            settings.require_room(given, attention_mask, room)
        encoded = self.esm(
            input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids(attention_mask) if rotary else None,
            inputs_embeds=inputs_embeds,
            output_hidden_states=output_hidden_states,
            output_attentions=output_attentions,
            return_dict=True,
        )
        hidden = encoded.last_hidden_state  # (batch, tokens, width), after the last norm
        logits = self.lm_head(hidden)  # (batch, tokens, vocabulary)
        pooled = None
        if self.esm.pooler is not None:
            pooled = self.esm.pooler(first_token(hidden, attention_mask)[:, None])
        return EncoderOutput(
            loss=masked_language_loss(logits, labels),
            logits=logits,
            last_hidden_state=hidden,
            pooler_output=pooled,
            hidden_states=encoded.hidden_states,
            attentions=encoded.attentions,
        )


_FIELDS = (
    *settings.SHARED_FIELDS,
    "max_position_embeddings",
    "position_embedding_type",
    "emb_layer_norm_before",
    "token_dropout",
    "rope_theta",
    "tie_word_embeddings",
)
_WORDS = "esm.embeddings.word_embeddings.weight"
_POSITIONS = r"esm\.embeddings\.position_embeddings\.weight"
_FREQUENCIES = "attention.self.rotary_embeddings.inv_freq"


def _row_major(tensor: Tensor) -> Tensor:
    """Many matrices of the published .bin files are stored column-major, converted from JAX."""
    return tensor.contiguous()


class NucleotideTransformerFamily(PredictsBases, Embeds, ShowsAttention, Model):
    """Nucleotide Transformer 1 and 2, AgroNT and Plant Nucleotide Transformer: one layout."""

    float32_keys = (r"esm\.rotary_embeddings\.inv_freq",)

    @classmethod
    def read_config(
        cls,
        folder: CheckpointFolder | None,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]] | None,
    ) -> PreTrainedConfig:
        """ESM's fields; the second version is told by its feed-forward's shape."""
        stated = settings.read(folder, arguments)
        settings.require_bert_sizes(stated)
        position = settings.require_position(stated, {"absolute", "rotary"})
        settings.require_layout(
            shapes, _WORDS, "Nucleotide Transformer", vocabulary=stated["vocab_size"]
        )
        # Without a checkpoint at hand the authors' own field tells: only the second version has it.
        gated, biased, pooler = "add_bias_fnn" in stated, bool(stated.get("add_bias_fnn")), False
        if shapes is not None:
            up = "esm.encoder.layer.0.intermediate.dense"
            rows = shapes.get(f"{up}.weight", (0,))[0]
            gated = rows == 2 * stated["intermediate_size"]
            biased = f"{up}.bias" in shapes
            pooler = "esm.pooler.dense.weight" in shapes
        return NucleotideTransformerConfig(
            **{
                "tie_word_embeddings": False,
                "max_position_embeddings": 1026,
                **settings.fields(stated, _FIELDS),
                "position_embedding_type": position,
            },
            pad_token_id=_or(stated.get("pad_token_id"), 1),
            mask_token_id=_or(stated.get("mask_token_id"), 2),
            gated_feed_forward=gated,
            add_bias_fnn=biased if gated else True,
            has_pooler=pooler,
        )

    @classmethod
    def example_config(cls, facts: ModelManifest) -> PreTrainedConfig:
        """Two narrow layers, of the second version where no table of positions ends the input."""
        second = facts.length_limit != "hard"
        kind = (
            {"position_embedding_type": "rotary", "add_bias_fnn": False}
            if second
            else {"position_embedding_type": "absolute"}
        )
        return cls.read_config(None, {**settings.narrow(facts), **kind}, None)

    @classmethod
    def build(cls, config: PreTrainedConfig) -> PreTrainedModel:
        """The network of a configuration."""
        return NucleotideTransformer(config)

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """The authors store the rotary frequencies once a layer, transformers once a network."""
        return KeyRules(
            rename=[
                (
                    rf"esm\.encoder\.layer\.0\.{_FREQUENCIES.replace('.', '[.]')}",
                    "esm.rotary_embeddings.inv_freq",
                )
            ],
            ignore=[
                r"esm\.embeddings\.position_ids",
                r"esm\.contact_head\.regression\.(weight|bias)",
                rf"esm\.encoder\.layer\.[1-9][0-9]*\.{_FREQUENCIES.replace('.', '[.]')}",
            ],
            convert={r".*": _row_major},
            computed=[
                r"esm\.rotary_embeddings\.inv_freq",
                *([_POSITIONS] if config.position_embedding_type == "rotary" else []),
            ],
        )


def _or(value: Any, default: int) -> int:
    return default if value is None else int(value)
