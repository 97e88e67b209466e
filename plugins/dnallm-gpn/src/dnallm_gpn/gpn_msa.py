"""The family GPN-MSA: a target sequence beside the aligned sequences of other species."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from dnallm_core.checkpoints import CheckpointFolder, KeyRules
from dnallm_core.errors import CheckpointError, SequenceError
from dnallm_core.models import Embeds, Model, PredictsBases, TakesAlignment
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from ._settings import configuration, positive, room_for_one_hot, settings
from .gpn_msa_network import GPNRoFormerConfig, GPNRoFormerForMaskedLM

_IDS = np.zeros(256, dtype=np.int64)  # "-", and whatever is no base, is 0
for _id, _base in enumerate("ACGT", start=1):
    _IDS[ord(_base)] = _IDS[ord(_base.lower())] = _id


class GPNMSA(PredictsBases, Embeds, TakesAlignment, Model):
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
    def build(cls, config: PreTrainedConfig) -> PreTrainedModel:
        """The network that ``config`` describes."""
        return GPNRoFormerForMaskedLM(config)

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """The head's bias is stored once or twice; the sinusoids may be absent."""
        return KeyRules(
            rename=((r"^model\.", ""),),
            tied={"cls.predictions.decoder.bias": "cls.predictions.bias"},
            computed=(r"encoder\.embed_positions\.weight",),
        )

    def aligned_species(self) -> int:
        """How many other species ``aux_features`` holds."""
        config = self.module.config
        return config.n_aux_features // (config.aux_features_vocab_size or 1)

    def encode_alignment(self, rows: list[str]) -> Tensor:
        """Ids int64 (tokens, species): A 1, C 2, G 3, T 4 in either case, everything else 0."""
        return encoded_rows(rows, self.aligned_species())


def encoded_rows(rows: list[str], expected: int) -> Tensor:
    """Ids (tokens, species) of ``expected`` rows of one length; SequenceError where they are not."""
    if len(rows) != expected:
        raise SequenceError(
            f"The model reads {expected} aligned species; {len(rows)} were given.",
            hint="They stand in the order of the alignment that it was trained on.",
        )
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        raise SequenceError(
            f"Aligned rows have one length; these have {min(lengths)} to {max(lengths)}."
        )
    letters = np.frombuffer("".join(rows).encode("ascii", "replace"), dtype=np.uint8)
    return torch.from_numpy(_IDS[letters].reshape(expected, -1).T.copy())
