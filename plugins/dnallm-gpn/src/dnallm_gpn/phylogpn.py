"""The family PhyloGPN: both releases, told apart by their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from dnallm_core.checkpoints import CheckpointFolder, KeyRules
from dnallm_core.manifest.model import ModelManifest
from dnallm_core.models import Embeds, HasReceptiveField, Model, PredictsRates
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from ._settings import configuration, positive, settings
from .phylogpn_network import (
    PhyloGPNConfig,
    PhyloGPNModel,
    symmetric_bias,
    symmetric_convolution,
    symmetric_embedding,
)

PAD = 5  # "-": what stands beyond a sequence's ends

_KEYS = (
    (r"^_model\.", ""),
    (r"\.parametrizations\.(weight|bias)\.original$", r".\1"),
    # the first release numbers its layers
    (r"^(blocks\.\d+)\.layers\.0\.", r"\1.norm1."),
    (r"^(blocks\.\d+)\.layers\.2\.", r"\1.conv1."),
    (r"^(blocks\.\d+)\.layers\.3\.", r"\1.norm2."),
    (r"^(blocks\.\d+)\.layers\.5\.", r"\1.conv2."),
    (r"^(blocks\.\d+)\.layers\.6\.", r"\1.norm3."),
    (r"^(blocks\.\d+)\.layers\.8\.", r"\1.conv3."),
    (r"^output_layers\.0\.", "output_norm."),
    (r"^output_layers\.2\.", "output_conv."),
    # the present one names them
    (r"layer_norm", "norm"),
)
_CONVERT = {
    r"(blocks\.\d+\.conv\d|output_conv)\.weight": symmetric_convolution,
    r"(blocks\.\d+\.conv\d|output_conv)\.bias": symmetric_bias,
    r"embedding\.weight": symmetric_embedding,
}


class PhyloGPN(PredictsRates, Embeds, HasReceptiveField, Model):
    """Log-rates of substitution from the sequence alone; see ``phylogpn_network``."""

    @classmethod
    def read_config(
        cls,
        folder: CheckpointFolder | None,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]] | None,
    ) -> PreTrainedConfig:
        """The configuration; the first release's numbered layers mean norms over whole rows."""
        found = settings(folder, arguments)
        if any(".layers." in key or "output_layers." in key for key in shapes or ()):
            found["norm"] = "group"
        config = configuration(PhyloGPNConfig, found)
        positive(config, "outer_dim", "inner_dim", "kernel_size", "num_stacks", "stack_size")
        return config

    @classmethod
    def example_config(cls, facts: ModelManifest) -> PreTrainedConfig:
        """Two narrow blocks."""
        return cls.read_config(
            None,
            {
                "outer_dim": 16,
                "inner_dim": 8,
                "kernel_size": 5,
                "num_stacks": 1,
                "stack_size": 2,
            },
            None,
        )

    @classmethod
    def build(cls, config: PreTrainedConfig) -> PreTrainedModel:
        """The network that ``config`` describes."""
        return PhyloGPNModel(config)

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """One set of names; what is stored un-symmetrised is made symmetric (once more is harmless)."""
        return KeyRules(rename=_KEYS, convert=_CONVERT)

    @property
    def shares_windows(self) -> bool:
        """Whether an output is the same in every window that holds its receptive field."""
        return self.module.config.norm != "group"

    def receptive_field(self) -> tuple[int, int]:
        """Bases to the left and right of a position that its rates are computed from."""
        return self.module.receptive_field()

    def substitution_logits(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Log-rates (batch, tokens - both fields, 4) towards A, C, G, T; row i: token i + left field."""
        return self.module(**inputs).logits

    def token_states(self, inputs: Mapping[str, Tensor], layer: int = -1) -> Tensor:
        """Hidden states (batch, tokens, width): beyond a row's ends stand pads, as its authors do it."""
        ids, mask = inputs["input_ids"], inputs.get("attention_mask")
        left, right = self.receptive_field()
        flanked = torch.nn.functional.pad(ids, (left, right), value=PAD)
        flanked_mask = None
        if mask is not None and not bool(mask.all()):
            mask = mask.long()
            ids = ids.masked_fill(mask == 0, PAD)
            flanked = torch.nn.functional.pad(ids, (left, right), value=PAD)
            # a row with flanks of its own: from its first base to both fields behind its last
            places = torch.arange(flanked.shape[1], device=ids.device)
            first = mask.argmax(1, keepdim=True)
            behind = mask.shape[1] - mask.flip(1).argmax(1, keepdim=True)
            flanked_mask = ((places >= first) & (places < behind + left + right)).to(mask.dtype)
        output = self.module(
            input_ids=flanked, attention_mask=flanked_mask, output_hidden_states=layer != -1
        )
        return output.last_hidden_state if layer == -1 else output.hidden_states[layer]
