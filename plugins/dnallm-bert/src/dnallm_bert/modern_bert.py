"""ModernBERT as transformers has it: ModernGENA, Plant DNAModernBERT, ModernBERT-DNA.

Warner et al. 2024 (arXiv:2412.13663): pre-LN, rotary positions, gated feed-forward, attention to all
tokens in every third block and to a window in the others. ModernGENA: Kuratov et al. 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dnallm_core.checkpoints import CheckpointFolder, KeyRules
from dnallm_core.errors import CheckpointError
from dnallm_core.models import Embeds, Model, PredictsBases
from torch import Tensor
from transformers import (
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedConfig,
    PreTrainedModel,
)

from . import settings
from .attends import ShowsAttention
from .output import EncoderOutput, masked_language_loss, position_ids


class DnaModernBertConfig(ModernBertConfig):
    """ModernBERT's settings."""

    model_type = "dnallm-modernbert"


class DnaModernBert(ModernBertForMaskedLM):
    """ModernBERT with its masked-language head; positions are counted over real tokens."""

    config_class = DnaModernBertConfig
    config: DnaModernBertConfig

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
        encoded = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids(attention_mask),
            inputs_embeds=inputs_embeds,
            output_hidden_states=output_hidden_states,
            output_attentions=output_attentions,
            return_dict=True,
        )
        hidden = encoded.last_hidden_state  # (batch, tokens, width), after the last norm
        logits = self.decoder(self.head(hidden))  # (batch, tokens, vocabulary)
        return EncoderOutput(
            loss=masked_language_loss(logits, labels),
            logits=logits,
            last_hidden_state=hidden,
            hidden_states=encoded.hidden_states,
            attentions=encoded.attentions,
        )


_NOT_OURS = (
    "architectures",
    "auto_map",
    "model_type",
    "torch_dtype",
    "dtype",
    "transformers_version",
    "_name_or_path",
    "_attn_implementation",
    "reference_compile",
)
_WORDS = "model.embeddings.tok_embeddings.weight"


class ModernBert(PredictsBases, Embeds, ShowsAttention, Model):
    """A family whose checkpoints are stock ModernBERT's."""

    @classmethod
    def read_config(
        cls,
        folder: CheckpointFolder | None,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]] | None,
    ) -> PreTrainedConfig:
        """ModernBERT's own fields, in the spelling of any release."""
        stated = settings.read(folder, arguments)
        settings.require_bert_sizes(stated)
        settings.require_layout(shapes, _WORDS, "ModernBERT", vocabulary=stated["vocab_size"])
        kept = {key: value for key, value in stated.items() if key not in _NOT_OURS}
        kept.setdefault("pad_token_id", None)
        kept["sparse_prediction"] = False  # a saving of training: only masked tokens get logits
        try:
            return DnaModernBertConfig(**kept)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"The configuration is no ModernBERT's: {error}") from error

    @classmethod
    def build(cls, config: PreTrainedConfig) -> PreTrainedModel:
        """The network of a configuration."""
        return DnaModernBert(config)

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """The keys are the network's own."""
        return KeyRules()
