"""The family GPN-MSA: a target sequence beside the aligned sequences of other species."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dnallm_core.checkpoints import CheckpointFolder, KeyRules
from dnallm_core.errors import CheckpointError
from dnallm_core.manifest.model import ModelManifest
from transformers import PreTrainedConfig, PreTrainedModel

from ._aligned import AlignedModel
from ._settings import configuration, positive, room_for_one_hot, settings
from .gpn import GPN
from .gpn_msa_network import GPNRoFormerConfig, GPNRoFormerForMaskedLM
from .gpn_network import GPNConfig


class GPNMSA(AlignedModel):
    """A masked language model of one genome that reads the others column by column."""

    @classmethod
    def read_config(
        cls,
        folder: CheckpointFolder | None,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]] | None,
    ) -> PreTrainedConfig:
        """The configuration under its authors' names."""
        found = settings(folder, arguments)
        kind = found.get("model_type", "GPNRoFormer")
        if kind == "GPN" and found.get("n_aux_features"):
            return GPN.read_config(folder, arguments, shapes)  # the later class, for alignments
        if kind != "GPNRoFormer":
            raise CheckpointError(
                f"The configuration's model_type is {kind!r}; GPN-MSA's is GPNRoFormer.",
                hint='A single-sequence GPN is loaded with the family "gpn".'
                if kind in ("GPN", "ConvNet")
                else "",
            )
        config = configuration(GPNRoFormerConfig, found)
        positive(config, "num_hidden_layers", "hidden_size", "num_attention_heads")
        room_for_one_hot(config)
        return config

    @classmethod
    def example_config(cls, facts: ModelManifest) -> PreTrainedConfig:
        """Two narrow layers over five aligned species."""
        return cls.read_config(
            None,
            {
                "vocab_size": 6,
                "hidden_size": 64,
                "embedding_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "intermediate_size": 32,
                "max_position_embeddings": 520,
                "n_aux_features": 25,
                "aux_features_vocab_size": 5,
            },
            None,
        )

    @classmethod
    def build(cls, config: PreTrainedConfig) -> PreTrainedModel:
        """The network that ``config`` describes."""
        if isinstance(config, GPNConfig):
            return GPN.build(config)
        return GPNRoFormerForMaskedLM(config)

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """The head's bias is stored once or twice; the sinusoids may be absent."""
        if isinstance(config, GPNConfig):
            return GPN.key_rules(config, shapes)
        return KeyRules(
            rename=((r"^model\.", ""),),
            tied={"cls.predictions.decoder.bias": "cls.predictions.bias"},
            computed=(r"encoder\.embed_positions\.weight",),
        )

    def aligned_species(self) -> int:
        """How many other species ``aux_features`` holds."""
        config = self.module.config
        return config.n_aux_features // (config.aux_features_vocab_size or 1)
