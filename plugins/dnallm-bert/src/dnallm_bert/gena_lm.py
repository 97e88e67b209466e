"""GENA-LM: pre-LN BERT over byte pairs of up to 36 kb of human and other genomes.

Fishman et al., NAR 2025 (10.1093/nar/gkae1310). Learned positions, a norm behind the embedding, and
behind the last block only where the configuration says ``last_layer_norm``.
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
from .big_bird import DnaBigBird, DnaBigBirdConfig
from .encoder import Encoder, EncoderConfig

_BIG_BIRD = (
    "attention_type",
    "block_size",
    "num_random_blocks",
    "rescale_embeddings",
    "use_bias",
)
_WORDS = "bert.embeddings.word_embeddings.weight"
_LAST = "bert.encoder.last_layer_ln.weight"


class GenaLm(PredictsBases, Embeds, ShowsAttention, Model):
    """GENA-LM's BERT and BigBird models; those with DeepSpeed's sparse attention are refused."""

    @classmethod
    def read_config(
        cls,
        folder: CheckpointFolder | None,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]] | None,
    ) -> PreTrainedConfig:
        """The authors' fields; the last norm follows ``pre_layer_norm`` where it is not stated."""
        stated = settings.read(folder, arguments)
        settings.require_bert_sizes(stated)
        if stated.get("sparse_config_cls") or stated.get("sparse_attention"):
            raise CheckpointError(
                "This GENA-LM has DeepSpeed's sparse attention, which is not implemented here.",
                hint="The models with full attention load, gena-lm-bert-large-t2t for one.",
            )
        if stated.get("model_type") == "big_bird":
            settings.require_layout(shapes, _WORDS, "GENA-LM", vocabulary=stated["vocab_size"])
            return DnaBigBirdConfig(
                **settings.fields(stated, (*settings.BERT_FIELDS, *_BIG_BIRD)),
                has_pooler="bert.pooler.weight" in (shapes or {}),
            )
        position = settings.require_position(
            stated, {"absolute", "rotary", "relative_key", "relative_key_query"}
        )
        settings.require_layout(shapes, _WORDS, "GENA-LM", vocabulary=stated["vocab_size"])
        norm_first = bool(stated.get("pre_layer_norm", False))
        last_norm = norm_first and bool(stated.get("last_layer_norm", norm_first))
        pooler = False
        if shapes is not None:
            norm_first = "bert.encoder.layer.0.pre_attention_ln.weight" in shapes
            last_norm = _LAST in shapes
            pooler = "bert.pooler.dense.weight" in shapes
        return EncoderConfig(
            **settings.fields(stated, settings.BERT_FIELDS),
            norm_first=norm_first,
            last_norm=last_norm,
            position=position,
            rotary_dim=stated.get("rotary_dim"),
            rotary_base=float(stated.get("rotary_base") or 10000.0),
            has_pooler=pooler,
        )

    @classmethod
    def build(cls, config: PreTrainedConfig) -> PreTrainedModel:
        """BERT, or BigBird where the configuration is one's."""
        return DnaBigBird(config) if isinstance(config, DnaBigBirdConfig) else Encoder(config)

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """GENA-LM's names of the pre-LN norms are its own; its next-sentence head is used by nothing."""
        return KeyRules(
            rename=[
                (r"\.pre_attention_ln\.", ".attention.ln."),
                (r"\.post_attention_ln\.", ".ln."),
                (r"\.last_layer_ln\.", ".ln."),
            ],
            ignore=[
                r"bert\.embeddings\.(position_ids|token_type_ids)",
                r"bert\.encoder\.layer\.\d+\.attention\.self\.rotary_emb\.inv_freq",
                r"cls\.seq_relationship\.(weight|bias)",
            ],
        )
