"""What this plugin's networks return: states always, logits where there is a head."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional
from transformers.modeling_outputs import ModelOutput


@dataclass
class NetworkOutput(ModelOutput):
    """``transformers``' fields under ``transformers``' names."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    last_hidden_state: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None

    @classmethod
    def of(
        cls,
        states: Tensor,
        logits: Tensor | None,
        labels: Tensor | None = None,
        hidden_states: tuple[Tensor, ...] | None = None,
        attentions: tuple[Tensor, ...] | None = None,
    ) -> NetworkOutput:
        """The output, with the cross entropy where ``labels`` (-100: not counted) are given."""
        loss = None
        if labels is not None and logits is not None:
            loss = functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten())
        return cls(
            loss=loss,
            logits=logits,
            last_hidden_state=states,
            hidden_states=hidden_states,
            attentions=attentions,
        )
