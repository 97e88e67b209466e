"""BigBird as transformers has it, for GENA-LM's models of 4,096 tokens: every row at its own length.

Zaheer et al. 2020 (arXiv:2007.14062): from 11 blocks of 64 tokens on, attention is to a window, to
the first and last block and to a few others. Which ones they are, and whether attention is sparse at
all, depends on the length that the network is given; so rows of different length go through it one
length at a time, and a row's result doesn't depend on its batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import BigBirdConfig, BigBirdModel
from transformers.models.big_bird.modeling_big_bird import (
    BigBirdOnlyMLMHead,
    BigBirdPreTrainedModel,
)

from . import settings
from .decoder import TiedDecoder
from .output import EncoderOutput, masked_language_loss
from .packing import pack


class DnaBigBirdConfig(BigBirdConfig):
    """BigBird's settings, and whether the checkpoint stores a pooler."""

    model_type = "dnallm-big-bird"

    has_pooler: bool = False


class DnaBigBird(TiedDecoder, BigBirdPreTrainedModel):
    """BigBird with its masked-language head."""

    config_class = DnaBigBirdConfig
    config: DnaBigBirdConfig

    def __init__(self, config: DnaBigBirdConfig) -> None:
        super().__init__(config)
        self.bert = BigBirdModel(config, add_pooling_layer=config.has_pooler)
        self.cls = BigBirdOnlyMLMHead(config)
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
        if given is None:
            raise ValueError("The network needs input_ids or inputs_embeds.")
        settings.require_room(given, attention_mask, self.config.max_position_embeddings)
        packing = pack(given.shape[0], given.shape[1], attention_mask)
        packed = packing.packed(given)
        outputs, start = [], 0
        for rows, length in packing.groups:
            group = packed[start : start + rows * length].unflatten(0, (rows, length))
            start += rows * length
            outputs.append(self._at_one_length(group, output_hidden_states, output_attentions))

        def whole(layers: list[Tensor]) -> Tensor:
            return packing.padded(torch.cat([layer.flatten(0, 1) for layer in layers]))

        hidden = whole([each.last_hidden_state for each in outputs])  # (batch, tokens, width)
        logits = self.cls(hidden)  # (batch, tokens, vocabulary)
        pooled = None
        if self.bert.pooler is not None:
            sorted_rows = torch.cat([each.pooler_output for each in outputs])
            pooled = sorted_rows[torch.tensor(packing.rows, device=hidden.device).argsort()]
        states = attentions = None
        if output_hidden_states:
            layers = zip(*(each.hidden_states for each in outputs), strict=True)
            states = (*[whole(list(layer)) for layer in layers][:-1], hidden)
        if output_attentions:
            weights = zip(*(each.attentions for each in outputs), strict=True)
            attentions = tuple(
                packing.padded_weights(list(each), attention_mask) for each in weights
            )
        return EncoderOutput(
            loss=masked_language_loss(logits, labels),
            logits=logits,
            last_hidden_state=hidden,
            pooler_output=pooled,
            hidden_states=states,
            attentions=attentions,
        )

    def _at_one_length(
        self, group: Tensor, hidden_states: bool | None, attentions: bool | None
    ) -> Any:
        """Rows of one length without padding; sparse attention where the length allows it."""
        config, length = self.config, group.shape[1]
        shortest = (5 + 2 * config.num_random_blocks) * config.block_size
        sparse = config.attention_type == "block_sparse" and length > shortest
        self.bert.set_attention_type("block_sparse" if sparse else "original_full")
        name = "inputs_embeds" if group.is_floating_point() else "input_ids"
        output = self.bert(
            **{name: group},
            attention_mask=torch.ones(group.shape[:2], device=group.device, dtype=torch.long),
            output_hidden_states=hidden_states,
            output_attentions=attentions,
            return_dict=True,
        )
        # The network pads to whole blocks, and cuts its last states alone back.
        states = output.hidden_states
        weights = output.attentions
        return EncoderOutput(
            last_hidden_state=output.last_hidden_state[:, :length],
            pooler_output=output.pooler_output,
            hidden_states=tuple(each[:, :length] for each in states) if hidden_states else None,
            attentions=tuple(each[..., :length, :length] for each in weights)
            if attentions
            else None,
        )
