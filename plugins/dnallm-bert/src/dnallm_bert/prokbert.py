"""ProkBERT: Megatron's pre-LN BERT with relative positions, over overlapping k-mers of prokaryotes.

Ligeti et al., Front Microbiol 2024 (10.3389/fmicb.2023.1331233). Scores are
(q k + q e(i - j) + k e(i - j)) / sqrt(dim): ``relative_key_query`` (Huang et al. 2020,
arXiv:2009.13658), which transformers dropped in its fifth release.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dnallm_core.checkpoints import CheckpointFolder, KeyRules
from dnallm_core.models import Embeds, Model, PredictsBases
from transformers import PreTrainedConfig, PreTrainedModel

from . import settings
from .attends import ShowsAttention
from .encoder import Encoder, EncoderConfig

_WORDS = "bert.embeddings.word_embeddings.weight"


class ProkBert(PredictsBases, Embeds, ShowsAttention, Model):
    """ProkBERT mini, mini-c and mini-long."""

    @classmethod
    def read_config(
        cls,
        folder: CheckpointFolder | None,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]] | None,
    ) -> PreTrainedConfig:
        """Megatron BERT's fields."""
        stated = settings.read(folder, arguments)
        settings.require_bert_sizes(stated)
        position = settings.require_position(
            stated, {"absolute", "relative_key", "relative_key_query"}
        )
        settings.require_layout(shapes, _WORDS, "ProkBERT", vocabulary=stated["vocab_size"])
        return EncoderConfig(
            **settings.fields(stated, settings.BERT_FIELDS),
            norm_first=True,
            embedding_norm=False,
            last_norm=True,
            position=position,
            has_pooler="bert.pooler.dense.weight" in (shapes or {}),
        )

    @classmethod
    def build(cls, config: PreTrainedConfig) -> PreTrainedModel:
        """The network of a configuration."""
        return Encoder(config)

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """The names are Megatron BERT's; learned positions are stored and, with relative ones, unused."""
        unused = (
            []
            if config.position == "absolute"
            else [r"bert\.embeddings\.position_embeddings\.weight"]
        )
        return KeyRules(
            ignore=[
                r"bert\.embeddings\.position_ids",
                r"cls\.seq_relationship\.(weight|bias)",
                *unused,
            ]
        )
