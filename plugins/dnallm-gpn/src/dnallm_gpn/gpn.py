"""The family GPN: both published networks, told apart by ``model_type``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dnallm_core.checkpoints import CheckpointFolder, KeyRules
from dnallm_core.errors import CheckpointError
from dnallm_core.manifest.model import ModelManifest
from dnallm_core.models import Embeds, HasReceptiveField, Model, PredictsBases, PredictsMaskedBases
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from ._cone import masked_logits
from ._settings import configuration, positive, room_for_one_hot, settings
from .convnet import ConvNetConfig, ConvNetForMaskedLM
from .gpn_network import GPNConfig, GPNForMaskedLM

_CONVNET_KEYS = (
    (r"^(model\.)?encoder\.(\d+)\.conv\.1\.", r"layers.\2.convolution."),
    (r"^(model\.)?encoder\.(\d+)\.conv\.4\.", r"layers.\2.convolution_norm."),
    (r"^(model\.)?encoder\.(\d+)\.ffn\.0\.", r"layers.\2.linear."),
    (r"^(model\.)?encoder\.(\d+)\.ffn\.2\.", r"layers.\2.linear_norm."),
    (r"^cls\.decoder\.0\.", "head.linear."),
    (r"^cls\.decoder\.2\.", "head.norm."),
    (r"^cls\.decoder\.3\.", "head.decoder."),
)
_GPN_KEYS = (
    (r"^(model\.)?embeddings\.word_embeddings\.", "embedding."),
    # the convolutional encoder
    (r"^(model\.)?encoder\.layer\.(\d+)\.conv\.0\.", r"layers.\2.convolution_norm."),
    (r"^(model\.)?encoder\.layer\.(\d+)\.conv\.2\.", r"layers.\2.convolution."),
    (r"^(model\.)?encoder\.layer\.(\d+)\.conv\.5\.", r"layers.\2.linear."),
    (r"^(model\.)?encoder\.layer\.(\d+)\.ffn\.0\.", r"layers.\2.feed_forward_norm."),
    (r"^(model\.)?encoder\.layer\.(\d+)\.ffn\.1\.", r"layers.\2.feed_forward_in."),
    (r"^(model\.)?encoder\.layer\.(\d+)\.ffn\.3\.", r"layers.\2.feed_forward_out."),
    # ByteNet
    (r"^(model\.)?encoder\.layer\.(\d+)\.layer\.0\.", r"layers.\2.norm_in."),
    (r"^(model\.)?encoder\.layer\.(\d+)\.layer\.2\.", r"layers.\2.linear_in."),
    (r"^(model\.)?encoder\.layer\.(\d+)\.layer\.3\.", r"layers.\2.norm_middle."),
    (r"^(model\.)?encoder\.layer\.(\d+)\.layer\.6\.", r"layers.\2.convolution."),
    (r"^(model\.)?encoder\.layer\.(\d+)\.layer\.8\.", r"layers.\2.norm_out."),
    (r"^(model\.)?encoder\.layer\.(\d+)\.layer\.10\.", r"layers.\2.linear_out."),
    (r"^model\.", ""),
    (r"^ln_f\.", "final_norm."),
    (r"^cls\.", "head."),
)
_HEAD = ("cls.", "head.")
_CLASSIFIER = r"(classifier|score)\..*"


class GPN(PredictsBases, PredictsMaskedBases, Embeds, HasReceptiveField, Model):
    """Masked language models of convolutions over single bases; see ``convnet`` and ``gpn_network``."""

    @classmethod
    def read_config(
        cls,
        folder: CheckpointFolder | None,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]] | None,
    ) -> PreTrainedConfig:
        """The configuration of whichever of the two networks the settings or the keys name."""
        found = settings(folder, arguments)
        kind = found.get("model_type") or _model_type(found, shapes)
        if shapes is not None and "has_head" not in found:
            found["has_head"] = any(key.startswith(_HEAD) for key in shapes)
        if kind == "ConvNet":
            convnet = configuration(ConvNetConfig, found)
            positive(convnet, "n_layers", "hidden_size", "kernel_size", "dilation_cycle")
            room_for_one_hot(convnet)
            return convnet
        if kind == "GPN":
            config = configuration(GPNConfig, found)
            positive(config, "num_hidden_layers", "hidden_size", "dilation_cycle")
            for name, words in _CHOICES.items():
                if getattr(config, name) not in words:
                    raise CheckpointError(
                        f"The configuration's {name} is {getattr(config, name)!r}; GPN knows "
                        f"{', '.join(words)}."
                    )
            if config.embedding == "one_hot":
                room_for_one_hot(config)
            return config
        hint = "GPN's are ConvNet and GPN."
        if kind == "GPNRoFormer":
            hint = 'That is GPN-MSA\'s network: load it with the family "gpn-msa".'
        raise CheckpointError(f"The configuration's model_type is {kind!r}.", hint=hint)

    @classmethod
    def example_config(cls, facts: ModelManifest) -> PreTrainedConfig:
        """A few narrow dilated convolutions."""
        return cls.read_config(
            None,
            {
                "model_type": "ConvNet",
                "vocab_size": 7,
                "n_layers": 3,
                "hidden_size": 16,
                "kernel_size": 5,
                "dilation_cycle": 3,
                "dilation_max": 4,
            },
            None,
        )

    @classmethod
    def build(cls, config: PreTrainedConfig) -> PreTrainedModel:
        """The network that ``config`` describes."""
        if isinstance(config, ConvNetConfig):
            return ConvNetForMaskedLM(config)
        return GPNForMaskedLM(config)

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """The authors' numbered modules by what they are; a fine-tuned classifier is left out."""
        rename = _CONVNET_KEYS if isinstance(config, ConvNetConfig) else _GPN_KEYS
        ignore = () if config.has_head else (_CLASSIFIER,)
        return KeyRules(rename=rename, ignore=ignore, computed=(r"encoder\.embed_positions\..*",))

    def receptive_field(self) -> tuple[int, int]:
        """Bases to the left and right of a position that can change its output."""
        bounded = self.module.receptive_field()
        if bounded is None:  # the RoFormer encoder attends to all that it can hold
            return (self.module.config.max_position_embeddings - 1,) * 2
        return bounded

    def masked_logits(self, input_ids: Tensor, positions: Tensor, mask_id: int) -> Tensor:
        """Logits (positions, vocabulary) at each position with that position alone masked.

        ``input_ids`` (tokens,); ``positions`` (n,). Only what the mask changes and the output needs
        is computed anew; the rest is shared.
        """
        if self.module.receptive_field() is None:
            return super().masked_logits(input_ids, positions, mask_id)
        return masked_logits(self.module, input_ids, positions, mask_id)


_CHOICES = {"encoder": ("convnet", "bytenet", "roformer"), "embedding": ("one_hot", "embedding")}


def _model_type(found: Mapping[str, Any], shapes: Mapping[str, Any] | None) -> str | None:
    """The network where no ``model_type`` says it: by a setting that only one has, or by keys."""
    if "n_layers" in found or any(".0.conv.1." in key for key in shapes or ()):
        return "ConvNet"
    if "encoder" in found or any("ln_f." in key for key in shapes or ()):
        return "GPN"
    return None
