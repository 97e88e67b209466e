"""MutBERT: BERT with rotary positions over single bases, or over the shares of each base.

Long et al., bioRxiv 2025 (10.1101/2025.01.23.634452). Its input is soft: (tokens, vocabulary) shares,
of which a plain sequence is the one-hot case; both are taken here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dnallm_core.checkpoints import CheckpointFolder, KeyRules
from dnallm_core.errors import CheckpointError
from dnallm_core.models import Embeds, Model, PredictsBases
from transformers import PreTrainedConfig, PreTrainedModel

from . import settings
from .attends import ShowsAttention
from .encoder import Encoder, EncoderConfig

_WORDS = "bert.embeddings.word_embeddings.weight"


class MutBert(PredictsBases, Embeds, ShowsAttention, Model):
    """MutBERT and its variants."""

    @classmethod
    def read_config(
        cls,
        folder: CheckpointFolder | None,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]] | None,
    ) -> PreTrainedConfig:
        """The authors' fields, ``rope_scaling`` among them."""
        stated = settings.read(folder, arguments)
        settings.require_bert_sizes(stated)
        settings.require_layout(shapes, _WORDS, "MutBERT", vocabulary=stated["vocab_size"])
        scaling = stated.get("rope_scaling")
        if scaling and scaling.get("type") not in ("linear", "dynamic"):
            raise CheckpointError(
                f"The configuration has rope_scaling {scaling!r}; its type is linear or dynamic."
            )
        return EncoderConfig(
            **settings.fields(stated, settings.BERT_FIELDS),
            position="rotary",
            rotary_base=float(stated.get("rope_theta") or 10000.0),
            rotary_scaling=scaling or None,
            has_pooler="bert.pooler.dense.weight" in (shapes or {}),
        )

    @classmethod
    def build(cls, config: PreTrainedConfig) -> PreTrainedModel:
        """The network of a configuration."""
        return Encoder(config)

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """The names are BERT's; rotary tables of old releases are computed anew."""
        return KeyRules(
            ignore=[
                r"bert\.embeddings\.position_ids",
                r"bert\.encoder\.layer\.\d+\.attention\.self\.rotary_emb\..*",
                r"cls\.seq_relationship\.(weight|bias)",
            ]
        )
