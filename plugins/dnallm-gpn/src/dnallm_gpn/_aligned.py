"""What the models that read an alignment share: its encoding, and that they ask for it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from dnallm_core.errors import CapabilityError, SequenceError
from dnallm_core.models import Embeds, Model, PredictsBases, TakesAlignment
from torch import Tensor

_IDS = np.zeros(256, dtype=np.int64)  # "-", and whatever is no base, is 0
for _id, _base in enumerate("ACGT", start=1):
    _IDS[ord(_base)] = _IDS[ord(_base.lower())] = _id


class AlignedModel(PredictsBases, Embeds, TakesAlignment, Model):
    """A model whose answers mean nothing without the rows of the other species."""

    def encode_alignment(self, rows: list[str]) -> Tensor:
        """Ids int64 (tokens, species): A 1, C 2, G 3, T 4 in either case, everything else 0."""
        expected = self.aligned_species()
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

    def token_logits(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Logits (batch, tokens, vocabulary); CapabilityError without ``aux_features``."""
        return super().token_logits(self._with_alignment(inputs))

    def token_states(self, inputs: Mapping[str, Tensor], layer: int = -1) -> Tensor:
        """Hidden states (batch, tokens, width); CapabilityError without ``aux_features``."""
        return super().token_states(self._with_alignment(inputs), layer)

    def _with_alignment(self, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        if inputs.get("aux_features") is None:
            raise CapabilityError(
                f"{self.manifest.id} reads an alignment beside the sequence, and none was given.",
                hint="Score substitutions with dnallm_core.models.substitutions and an alignment, "
                "or take a model that reads the sequence alone.",
            )
        return inputs
