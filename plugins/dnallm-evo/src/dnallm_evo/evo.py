"""Evo 1, Evo 1.5 and Evo 2: how their checkpoints become a network, and what it can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from dnallm_core.checkpoints import CheckpointFolder, KeyRules
from dnallm_core.errors import CheckpointError
from dnallm_core.manifest.model import ModelManifest
from dnallm_core.models import Advance, CarriesState, Embeds, Model, PredictsBases
from dnallm_core.models.finite import finite

from .configuration import Evo1Config, Evo2Config, StripedHyenaConfig, checked
from .striped_hyena import StripedHyena, StripedState

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel


class StripedHyena1(StripedHyena):
    """StripedHyena as Evo 1 has it."""

    config_class = Evo1Config


class StripedHyena2(StripedHyena):
    """StripedHyena as Evo 2 has it."""

    config_class = Evo2Config


class _Evo(PredictsBases, CarriesState, Embeds, Model):
    """What both generations share."""

    float32_keys: ClassVar[tuple[str, ...]] = (
        r".*\.filter\.(poles|log_poles|residues)",
        r".*\.inv_freq",
    )
    module: StripedHyena
    network: ClassVar[type[StripedHyena]]

    @classmethod
    def build(cls, config: PreTrainedConfig) -> PreTrainedModel:
        """The network with its head."""
        return cls.network(config)

    def advance(self, input_ids: Tensor, state: StripedState | None = None) -> Advance:
        """Continue by some tokens. Hyena blocks carry a constant state, attention its cache."""
        state = state if state is not None else StripedState()
        return Advance(finite(self.module(input_ids, state=state).logits, self.manifest.id), state)

    def token_logits(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Logits (batch, tokens, vocabulary); IntegrityError where they are not finite."""
        return finite(super().token_logits(inputs), self.manifest.id)

    def token_states(self, inputs: Mapping[str, Tensor], layer: int = -1) -> Tensor:
        """Hidden states (batch, tokens, width); IntegrityError where they are not finite."""
        return finite(super().token_states(inputs, layer), self.manifest.id)

    def select_rows(self, state: StripedState, rows: Tensor) -> StripedState:
        """The state of some rows."""
        return state.rows(rows)


class Evo1(_Evo):
    """Evo 1 and 1.5: sharded safetensors or ``.pt``, prefix ``backbone.``, ``config.json``."""

    network = StripedHyena1

    @classmethod
    def read_config(
        cls,
        folder: CheckpointFolder | None,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]] | None,
    ) -> StripedHyenaConfig:
        """``config.json``, or the yml of the authors' package where one lies in the folder."""
        settings = {**(_stated(folder) if folder else {}), **arguments}
        return Evo1Config(**checked(_known(settings, _COMMON), "Evo 1"))

    @classmethod
    def example_config(cls, facts: ModelManifest) -> StripedHyenaConfig:
        """A Hyena block, an attention block, a Hyena block."""
        return cls.read_config(
            None,
            {
                "hidden_size": 16,
                "num_layers": 3,
                "num_attention_heads": 2,
                "inner_mlp_size": 32,
                "vocab_size": 512,
                "attn_layer_idxs": [1],
                "state_size": 4,
                "max_seqlen": 4_096,
                "hyena_layer_idxs": [0, 2],
            },
            None,
        )

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """The prefix goes; stored rotary frequencies are rounded, and not what the authors use."""
        return KeyRules(
            rename=[(r"^(module\.)?backbone\.", "")],
            ignore=[r".*\.rotary_emb\.inv_freq", *_NEVER_USED, *_tied_head(config)],
            convert=_queries_keys_values(config),
        )


class Evo2(_Evo):
    """Evo 2: one flat ``.pt``, whole or in parts, and the yml of the authors' package."""

    network = StripedHyena2

    @classmethod
    def read_config(
        cls,
        folder: CheckpointFolder | None,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]] | None,
    ) -> StripedHyenaConfig:
        """The folder's yml, or arguments under its names (the published config.json is a stub)."""
        settings = {**(_stated(folder) if folder else {}), **arguments}
        if "hidden_size" not in settings:
            raise CheckpointError(
                f"{folder.path if folder else 'The manifest'} says nothing of the network's size: "
                "Evo 2's published config.json is a stub, and its settings stand in a yml file of "
                "the authors' package.",
                hint="Put that yml (evo2-7b-1m.yml ...) beside the weights, give its settings as "
                "config=, or load a listed model by its id.",
            )
        known = _known(settings, (*_COMMON, *_EVO_2))
        if settings.get("model_type") != Evo2Config.model_type:  # not written by save_pretrained
            known.setdefault("column_split", True)
        return Evo2Config(**checked(known, "Evo 2"))

    @classmethod
    def example_config(cls, facts: ModelManifest) -> StripedHyenaConfig:
        """A block of each kind: short, medium and long filters, and attention."""
        return cls.read_config(
            None,
            {
                "hidden_size": 16,
                "num_layers": 4,
                "num_attention_heads": 2,
                "inner_mlp_size": 32,
                "vocab_size": 512,
                "attn_layer_idxs": [3],
                "state_size": 4,
                "max_seqlen": 4_096,
                "hcs_layer_idxs": [0],
                "hcm_layer_idxs": [1],
                "hcl_layer_idxs": [2],
                "hcs_filter_length": 7,
                "hcm_filter_length": 32,
                "hcs_filter_groups": 4,
                "hcm_filter_groups": 4,
                "hcl_filter_groups": 16,
                "num_filters": 16,
                "short_filter_bias": False,
                "qkv_proj_bias": False,
                "column_split": True,
                "interleave": True,
            },
            None,
        )

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """Names are the module's; what training left behind is ignored."""
        return KeyRules(
            rename=[(r"^(module\.)?backbone\.", "")],
            ignore=[*_NEVER_USED, *_tied_head(config)],
            convert=_queries_keys_values(config),
            computed=[r".*\.rotary_emb\.inv_freq"],
        )


# State of FP8 layers, and the time grid of the training code's filters.
_NEVER_USED = (r".*\._extra_state", r".*\.filter\.t")

_COMMON = (
    "hidden_size",
    "num_layers",
    "num_attention_heads",
    "inner_mlp_size",
    "vocab_size",
    "make_vocab_size_divisible_by",
    "attn_layer_idxs",
    "state_size",
    "short_filter_length",
    "short_filter_bias",
    "hyena_filter_groups",
    "column_split",
    "column_split_hyena",
    "qkv_proj_bias",
    "mha_out_proj_bias",
    "rotary_emb_base",
    "use_interpolated_rotary_pos_emb",
    "rotary_emb_scaling_factor",
    "eps",
    "final_norm",
    "max_seqlen",
    "tie_embeddings",
    "proj_groups",
    "smeared_gqa",
    "mlp_activation",
)
_EVO_2 = (
    "hcs_layer_idxs",
    "hcm_layer_idxs",
    "hcl_layer_idxs",
    "hcs_filter_length",
    "hcm_filter_length",
    "hcs_filter_groups",
    "hcm_filter_groups",
    "interleave",
    "hyena_flip_x1x2",
    "hyena_out_proj_bias",
    "evo2_style_activations",
)


def _stated(folder: CheckpointFolder) -> dict[str, Any]:
    """The folder's own settings: its yml if there is one, else its config.json."""
    found = sorted([*folder.path.glob("*.yml"), *folder.path.glob("*.yaml")])
    if not found:
        return dict(folder.config)
    if len(found) > 1:
        names = ", ".join(each.name for each in found)
        raise CheckpointError(
            f"{folder.path} holds several settings: {names}.",
            hint="Keep the one that belongs to the weights.",
        )
    import yaml  # type: ignore[import-untyped]

    try:
        content = yaml.safe_load(found[0].read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise CheckpointError(f"{found[0]} cannot be read as YAML: {error}.") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{found[0]} holds no table of settings.")
    return content


def _known(settings: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The settings that shape the network; the others concern training or the authors' kernels."""
    known = {name: settings[name] for name in names if settings.get(name) is not None}
    if "tie_word_embeddings" in settings:  # as save_pretrained writes it
        known.setdefault("tie_embeddings", settings["tie_word_embeddings"])
    return known


def _tied_head(config: PreTrainedConfig) -> list[str]:
    """A tied head is the embedding, whatever a file stores under its name."""
    return [r"(backbone\.)?unembed\.weight"] if config.tie_word_embeddings else []


def _queries_keys_values(config: PreTrainedConfig) -> dict[str, Any]:
    """Where rows are stored head by head (q, k, v of each), the permutation to Q, K, V."""
    if not config.column_split:
        return {}
    heads = config.num_attention_heads

    def by_part(tensor: Tensor) -> Tensor:
        return tensor.unflatten(0, (heads, 3, -1)).transpose(0, 1).flatten(0, 2)

    return {r".*\.Wqkv\.(weight|bias)": by_part}
