"""Own Wave: dilated convolutions over single bases, each block seeing twice as far as the last.

(batch, tokens) ids -> embedding -> blocks -> norm -> logits. A masked position is zero before every
convolution, as what lies beyond a row's ends is: padding is never seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from dnallm_core.checkpoints import CheckpointFolder, KeyRules
from dnallm_core.errors import CheckpointError
from dnallm_core.manifest.model import ModelManifest
from dnallm_core.models import Embeds, HasReceptiveField, Model, PredictsBases
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import MaskedLMOutput

KERNEL = 3


class OwnWaveConfig(PreTrainedConfig):
    """``width`` channels, ``layers`` blocks."""

    model_type = "own-wave"

    def __init__(
        self, vocab_size: int = 8, width: int = 64, layers: int = 6, **others: Any
    ) -> None:
        self.vocab_size = vocab_size
        self.width = width
        self.layers = layers
        self.num_hidden_layers = layers
        super().__init__(**others)


class Block(nn.Module):
    """x + convolution(gelu(norm(x))), dilated by 2 ** layer."""

    def __init__(self, width: int, layer: int) -> None:
        super().__init__()
        reach = 2**layer
        self.norm = nn.LayerNorm(width)
        self.convolution = nn.Conv1d(width, width, KERNEL, padding=reach, dilation=reach)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(batch, tokens, width) and (batch, tokens, 1) -> (batch, tokens, width)."""
        inner = nn.functional.gelu(self.norm(x)) * mask
        return (x + self.convolution(inner.transpose(1, 2)).transpose(1, 2)) * mask


class OwnWaveForMaskedLM(PreTrainedModel):
    """The network with the head that names the base behind each position."""

    config_class = OwnWaveConfig
    base_model_prefix = "dnallm_own_wave"

    def __init__(self, config: OwnWaveConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.blocks = nn.ModuleList(Block(config.width, layer) for layer in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.vocab_size)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool = False,
        **_: Any,
    ) -> MaskedLMOutput:
        """As every network of dnallm; ``labels`` of -100 don't count."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        mask = mask[..., None].to(self.embedding.weight.dtype)  # (batch, tokens, 1)
        x = self.embedding(input_ids) * mask  # (batch, tokens, width)
        states = [x]
        for block in self.blocks:
            x = block(x, mask)
            states.append(x)
        states[-1] = self.norm(x)  # what the head reads
        logits = self.head(states[-1])  # (batch, tokens, vocabulary)
        loss = None
        if labels is not None:
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        found = MaskedLMOutput(
            loss=loss, logits=logits, hidden_states=tuple(states) if output_hidden_states else None
        )
        found["last_hidden_state"] = states[-1]
        return found


class OwnWave(PredictsBases, Embeds, HasReceptiveField, Model):
    """How a checkpoint becomes the network, and what the network can be asked."""

    @classmethod
    def read_config(
        cls,
        folder: CheckpointFolder | None,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]] | None,
    ) -> PreTrainedConfig:
        """From ``config.json``, or from the manifest's ``config``."""
        stated = {**(folder.config if folder else {}), **arguments}
        absent = [name for name in ("vocab_size", "width", "layers") if name not in stated]
        if absent:
            raise CheckpointError(f"The configuration lacks {', '.join(absent)}.")
        return OwnWaveConfig(**stated)

    @classmethod
    def example_config(cls, facts: ModelManifest) -> PreTrainedConfig:
        """Three narrow blocks, by which the conformance kit runs the network."""
        return OwnWaveConfig(vocab_size=8, width=16, layers=3)

    @classmethod
    def build(cls, config: PreTrainedConfig) -> PreTrainedModel:
        """The network, uninitialised."""
        return OwnWaveForMaskedLM(config)

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """A checkpoint's names are the network's."""
        return KeyRules()

    def receptive_field(self) -> tuple[int, int]:
        """1 + 2 + 4 + ... tokens to either side."""
        reach = 2**self.module.config.layers - 1
        return reach, reach
