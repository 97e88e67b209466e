"""BERT as transformers has it, for families that publish stock checkpoints: GROVER, Plant DNABERT.

GROVER: Sanabria et al., Nat Mach Intell 2024. Plant DNABERT: Liu et al., Mol Plant 2025. The
network is BERT's (Devlin et al. 2019): learned positions, post-LN blocks, tied decoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from dnallm_core.checkpoints import CheckpointFolder, KeyRules
from dnallm_core.manifest.model import ModelManifest
from dnallm_core.models import Embeds, Model, PredictsBases
from torch import Tensor
from transformers import BertConfig, BertModel, PreTrainedConfig, PreTrainedModel
from transformers.models.bert.modeling_bert import BertOnlyMLMHead, BertPreTrainedModel

from . import settings
from .attends import ShowsAttention
from .decoder import TiedDecoder
from .output import EncoderOutput, first_token, masked_language_loss, position_ids


class DnaBertConfig(BertConfig):
    """BERT's settings, whether the checkpoint stores a pooler, and how often the bias is added."""

    model_type = "dnallm-bert"

    has_pooler: bool = False
    decoder_bias_twice: bool = False


class DnaBert(TiedDecoder, BertPreTrainedModel):
    """BERT with its masked-language head; positions are counted over real tokens."""

    config_class = DnaBertConfig
    config: DnaBertConfig

    def __init__(self, config: DnaBertConfig) -> None:
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=config.has_pooler)
        self.cls = BertOnlyMLMHead(config)
        self.post_init()

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
        """Logits and states of (batch, tokens) ids; labels (same shape, -100 ignored) give a loss."""
        given = input_ids if input_ids is not None else inputs_embeds
        if given is not None:
            settings.require_room(given, attention_mask, self.config.max_position_embeddings)
        encoded = self.bert(
            input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids(attention_mask),
            inputs_embeds=inputs_embeds,
            output_hidden_states=output_hidden_states,
            output_attentions=output_attentions,
            return_dict=True,
        )
        hidden = encoded.last_hidden_state  # (batch, tokens, width)
        logits = self.cls(hidden)  # (batch, tokens, vocabulary)
        if self.config.decoder_bias_twice:
            logits = logits + self.cls.predictions.bias
        pooled = None
        if self.bert.pooler is not None:
            pooled = self.bert.pooler(first_token(hidden, attention_mask)[:, None])
        return EncoderOutput(
            loss=masked_language_loss(logits, labels),
            logits=logits,
            last_hidden_state=hidden,
            pooler_output=pooled,
            hidden_states=encoded.hidden_states,
            attentions=encoded.attentions,
        )


_WORDS = "bert.embeddings.word_embeddings.weight"
POOLER = "bert.pooler.dense.weight"


class StockBert(PredictsBases, Embeds, ShowsAttention, Model):
    """A family whose checkpoints are stock BERT's."""

    decoder_bias_twice: ClassVar[bool] = False
    pooler_expected: ClassVar[bool] = False
    """Whether the published files hold a pooler: what counts where no checkpoint is at hand."""

    @classmethod
    def read_config(
        cls,
        folder: CheckpointFolder | None,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]] | None,
    ) -> PreTrainedConfig:
        """BERT's own fields; a pooler where the checkpoint stores one."""
        stated = settings.read(folder, arguments)
        settings.require_bert_sizes(stated)
        settings.require_position(stated, {"absolute"})
        settings.require_layout(shapes, _WORDS, cls.__name__, vocabulary=stated["vocab_size"])
        return DnaBertConfig(
            **settings.fields(stated, settings.BERT_FIELDS),
            has_pooler=cls.pooler_expected if shapes is None else POOLER in shapes,
            decoder_bias_twice=cls.decoder_bias_twice,
        )

    @classmethod
    def example_config(cls, facts: ModelManifest) -> PreTrainedConfig:
        """Two narrow layers."""
        return cls.read_config(None, settings.narrow(facts), None)

    @classmethod
    def build(cls, config: PreTrainedConfig) -> PreTrainedModel:
        """The network of a configuration."""
        return DnaBert(config)

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """The keys are the network's own; ``position_ids`` is a plain 0, 1, 2 ... of old releases."""
        return KeyRules(ignore=[r"bert\.embeddings\.position_ids", r"cls\.seq_relationship\..*"])


class Grover(StockBert):
    """GROVER: byte-pair tokens of the human genome."""

    pooler_expected = True


class PlantDnabert(StockBert):
    """Plant DNABERT: single bases, 6-mers or byte pairs of plant genomes."""
