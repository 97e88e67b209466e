"""HyenaDNA: how its checkpoints become a network, and what the network can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from dnallm_core.checkpoints import CheckpointFolder, KeyRules
from dnallm_core.errors import CheckpointError
from dnallm_core.manifest.model import ModelManifest
from dnallm_core.models import Advance, CarriesState, Embeds, Model, PredictsBases
from dnallm_core.models.finite import finite

from .configuration import HyenaDNAConfig
from .network import BlockState, HyenaDNAForCausalLM

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel

_KEYS = KeyRules(
    rename=[
        # The original layout: a Lightning checkpoint of the training code.
        (r"^model\.backbone\.", "hyena.backbone."),
        (r"^model\.lm_head\.", "lm_head."),
        # Trained with gradient checkpointing, whose wrapper adds a level.
        (r"\.(mixer|mlp)\.layer\.", r".\1."),
    ],
    ignore=[
        # One sine acts three times; the training code stores it under each of its places.
        r".*\.implicit_filter\.(?!1\.)\d+\.freq",
        r".*\.pos_emb\.t",
        r".*\.pos_emb\.z",
    ],
    computed=[r".*\.modulation\.deltas"],
)
_LEARNED = KeyRules(
    rename=_KEYS.rename, ignore=_KEYS.ignore[:-1], computed=_KEYS.computed
)  # positions that were trained must be read


class HyenaDNA(PredictsBases, CarriesState, Embeds, Model):
    """HyenaDNA in both published layouts: ``-hf`` safetensors, and Lightning ``weights.ckpt``."""

    float32_keys: ClassVar[tuple[str, ...]] = (r".*\.filter_fn\..*",)
    module: HyenaDNAForCausalLM

    @classmethod
    def read_config(
        cls,
        folder: CheckpointFolder | None,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]] | None,
    ) -> HyenaDNAConfig:
        """Settings in the ``-hf`` form, or in that of the training code (with a ``layer`` table)."""
        stated = {**(folder.config if folder else {}), **arguments}
        layer = stated.get("layer") or {}
        if not isinstance(layer, Mapping):
            raise CheckpointError(f"HyenaDNA's setting layer is {layer!r}, not a table.")
        original = bool(layer) or "max_seq_len" not in stated
        settings = {name: stated[name] for name in _SAME if name in stated}
        if original:
            settings.update({ours: layer[name] for name, ours in _LAYER.items() if name in layer})
            settings["tie_word_embeddings"] = True
            settings["learned_positions"] = bool(layer.get("lr_pos_emb", 0.0))
        absent = [name for name in ("d_model", "n_layer", "max_seq_len") if name not in settings]
        if absent:
            raise CheckpointError(
                f"HyenaDNA's settings lack {', '.join(absent)}.",
                hint="They stand in the checkpoint's config.json (max_seq_len is layer.l_max there).",
            )
        for name, only in {
            "hyena_order": 2,
            "order": 2,
            "modulate": True,
            "local_order": 3,
        }.items():
            value = layer.get(name, stated.get(name, only))
            if value != only:
                raise CheckpointError(
                    f"HyenaDNA with {name} = {value!r} was never published; only {only!r} is known."
                )
        for name in ("d_model", "n_layer", "max_seq_len"):
            if not isinstance(settings[name], int) or settings[name] < 1:
                raise CheckpointError(f"HyenaDNA's {name} is {settings[name]!r}: no whole number.")
        return HyenaDNAConfig(**settings)

    @classmethod
    def example_config(cls, facts: ModelManifest) -> HyenaDNAConfig:
        """Two narrow layers with room for 2,050 tokens."""
        return cls.read_config(
            None,
            {
                "d_model": 16,
                "d_inner": 32,
                "n_layer": 2,
                "vocab_size": 12,
                "filter_order": 16,
                "emb_dim": 5,
                "max_seq_len": 2_050,
            },
            None,
        )

    @classmethod
    def build(cls, config: PreTrainedConfig) -> PreTrainedModel:
        """The network with its head."""
        return HyenaDNAForCausalLM(config)

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """The ``-hf`` names are the module's."""
        return _LEARNED if config.learned_positions else _KEYS

    def advance(self, input_ids: Tensor, state: list[BlockState] | None = None) -> Advance:
        """Continue by some tokens; the state grows by one vector a token and block."""
        state = state or self.module.new_state(input_ids.shape[0])
        return Advance(finite(self.module(input_ids, state=state).logits, self.manifest.id), state)

    def token_logits(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Logits (batch, tokens, vocabulary); IntegrityError where they are not finite."""
        return finite(super().token_logits(inputs), self.manifest.id)

    def token_states(self, inputs: Mapping[str, Tensor], layer: int = -1) -> Tensor:
        """Hidden states (batch, tokens, width); IntegrityError where they are not finite."""
        return finite(super().token_states(inputs, layer), self.manifest.id)

    def select_rows(self, state: list[BlockState], rows: Tensor) -> list[BlockState]:
        """The state of some rows."""
        return [BlockState(each.tail[rows], each.history[rows], each.used) for each in state]


_SAME = (
    "d_model",
    "n_layer",
    "d_inner",
    "max_seq_len",
    "vocab_size",
    "pad_vocab_size_multiple",
    "emb_dim",
    "filter_order",
    "num_inner_mlps",
    "short_filter_order",
    "activation_freq",
    "train_freq",
    "use_bias",
    "layer_norm_epsilon",
    "embed_dropout",
    "initializer_range",
    "pad_token_id",
    "tie_word_embeddings",
    "learned_positions",
)
_LAYER = {
    "l_max": "max_seq_len",
    "emb_dim": "emb_dim",
    "filter_order": "filter_order",
    "w": "activation_freq",
    "num_inner_mlps": "num_inner_mlps",
}
