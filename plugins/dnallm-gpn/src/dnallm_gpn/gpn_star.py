"""The family GPN-Star: a target sequence, its aligned relatives, and the tree that relates them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dnallm_core.checkpoints import CheckpointFolder, KeyRules
from dnallm_core.errors import CheckpointError
from dnallm_core.manifest.model import ModelManifest
from transformers import PreTrainedConfig, PreTrainedModel

from ._aligned import AlignedModel
from ._settings import configuration, positive, settings
from ._tree import tree_settings
from .gpn_star_network import GPNStarConfig, GPNStarForMaskedLM


class GPNStar(AlignedModel):
    """A masked language model of one genome that reads the others clade by clade."""

    @classmethod
    def read_config(
        cls,
        folder: CheckpointFolder | None,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]] | None,
    ) -> PreTrainedConfig:
        """The configuration, with the tree from the files beside the weights."""
        found = settings(folder, arguments)
        kind = found.get("model_type", "GPNStar")
        if kind != "GPNStar":
            raise CheckpointError(f"The configuration's model_type is {kind!r}, not GPNStar.")
        if folder is not None and not found.get("clades"):
            found.update(tree_settings(folder.path, float(found.get("clade_thres", 0.2))))
        config = configuration(GPNStarConfig, found)
        positive(config, "num_hidden_layers", "hidden_size", "num_attention_heads")
        if not config.time_enc.startswith("fire_"):
            raise CheckpointError(
                f"The configuration's time_enc is {config.time_enc!r}; only fire_N is known."
            )
        return config

    @classmethod
    def example_config(cls, facts: ModelManifest) -> PreTrainedConfig:
        """Two narrow layers over six species in three clades."""
        tree = {
            "clades": [0, 0, 1, 1, 1, 2],
            "in_clade": [0.1, 0.1, 0.2, 0.2, 0.2, 0.3],
            "to_clades": [[0.1, 0.5, 0.9]] * 2 + [[0.5, 0.2, 0.8]] * 3 + [[0.9, 0.8, 0.3]],
            "max_evol_dist": 0.9,
        }
        return cls.read_config(
            None,
            {
                "vocab_size": 6,
                "hidden_size": 16,
                "embedding_size": 16,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "intermediate_size": 32,
                "max_position_embeddings": 520,
                **tree,
            },
            None,
        )

    @classmethod
    def build(cls, config: PreTrainedConfig) -> PreTrainedModel:
        """The network that ``config`` describes."""
        return GPNStarForMaskedLM(config)

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """The authors' names but for the prefix; the sinusoids may be absent."""
        return KeyRules(
            rename=((r"^model\.", ""),),
            tied={"cls.predictions.decoder.bias": "cls.predictions.bias"},
            computed=(r"encoder\.embed_positions\.weight",),
        )

    def aligned_species(self) -> int:
        """How many species ``aux_features`` holds: all of the tree but the target."""
        return len(self.module.config.clades or ()) - 1
