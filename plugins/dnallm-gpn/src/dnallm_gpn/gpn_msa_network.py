"""GPN-MSA's network (``model_type`` GPNRoFormer): a sequence beside its aligned relatives.

Benegas, Albors, Aw, Ye, Song (2025), Nature Biotechnology, 10.1038/s41587-024-02511-w. The target's
row and the rows of the other species are one-hot, side by side in the channels; a post-norm RoFormer
encoder and BERT's masked-language-modelling head follow.
"""

from __future__ import annotations

from torch import Tensor
from transformers.models.roformer.modeling_roformer import (
    RoFormerOnlyMLMHead,
    RoFormerPreTrainedModel,
)

from ._dilated import OneHotEmbedding
from ._output import NetworkOutput
from ._roformer import AlignedRoFormerConfig, RoFormerStack


class GPNRoFormerConfig(AlignedRoFormerConfig):
    """Settings under their authors' names; the defaults are those of the authors' class."""

    model_type = "GPNRoFormer"

    vocab_size: int = 6
    tie_word_embeddings: bool = False


class GPNRoFormerForMaskedLM(RoFormerPreTrainedModel):
    """Ids (batch, length) and ``aux_features`` (batch, length, species) to logits of each base.

    Without ``aux_features`` the species' channels stay zero, as its authors' switch for it does.
    """

    config_class = GPNRoFormerConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    _tied_weights_keys = {"cls.predictions.decoder.bias": "cls.predictions.bias"}  # noqa: RUF012

    def __init__(self, config: GPNRoFormerConfig) -> None:
        super().__init__(config)
        self.embedding = OneHotEmbedding(
            config.vocab_size,
            config.hidden_size,
            config.aux_features_vocab_size,
            config.n_aux_features,
        )
        self.encoder = RoFormerStack(config)
        self.cls = RoFormerOnlyMLMHead(config)
        self.cls.predictions.bias = self.cls.predictions.decoder.bias  # one tensor, two names
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        aux_features: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = False,
        output_attentions: bool | None = False,
        **_: object,
    ) -> NetworkOutput:
        """See ``Model.module`` of the core."""
        x = self.embedding(input_ids, aux_features, self.dtype)  # (batch, length, width)
        x, states, attentions = self.encoder(x, attention_mask, bool(output_attentions))
        logits = self.cls(x)
        kept = tuple(states) if output_hidden_states else None
        return NetworkOutput.of(x, logits, labels, kept, attentions)
