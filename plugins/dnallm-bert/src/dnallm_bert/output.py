"""What every encoder of this plugin returns, and the loss of masked-language modelling."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from transformers.modeling_outputs import ModelOutput


@dataclass
class EncoderOutput(ModelOutput):
    """Output of an encoder: what is absent is None.

    ``loss``: where labels were given. ``logits`` (batch, tokens, vocabulary): where there is a
    head. ``last_hidden_state`` (batch, tokens, width): what the head reads. ``pooler_output``
    (batch, width): where the checkpoint stores a pooler. ``hidden_states``, ``attentions``: on
    request, the embedding and one a block, and (batch, heads, tokens, tokens) a block.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    last_hidden_state: Tensor | None = None
    pooler_output: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


def masked_language_loss(logits: Tensor, labels: Tensor | None) -> Tensor | None:
    """Mean cross-entropy over the positions whose label is not -100; None without labels."""
    if labels is None:
        return None
    return functional.cross_entropy(
        logits.flatten(0, 1).float(), labels.flatten().to(logits.device)
    )


def position_ids(attention_mask: Tensor | None) -> Tensor | None:
    """Positions counted over real tokens (batch, tokens), so that left padding shifts nothing.

    None, the network's own 0, 1, 2 ..., where there is no mask.
    """
    if attention_mask is None:
        return None
    return (attention_mask.to(torch.long).cumsum(-1) - 1).clamp(min=0)


def first_token(hidden: Tensor, attention_mask: Tensor | None) -> Tensor:
    """The first real token's state, (batch, width), of (batch, tokens, width)."""
    if attention_mask is None:
        return hidden[:, 0]
    first = attention_mask.to(torch.int8).argmax(-1)
    return hidden[torch.arange(len(hidden), device=hidden.device), first]
