"""Settings of StripedHyena 1 and 2, under their authors' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from dnallm_core.errors import CheckpointError
from transformers import PreTrainedConfig

ATTENTION, SHORT, MEDIUM, LONG = "attention", "short", "medium", "long"


class StripedHyenaConfig(PreTrainedConfig):
    """What both generations say. ``kinds`` names the mixer of every block."""

    attribute_map: ClassVar[dict[str, str]] = {
        "num_hidden_layers": "num_layers",
        "intermediate_size": "inner_mlp_size",
        "max_position_embeddings": "max_seqlen",
    }
    stores_rotary_frequencies: ClassVar[bool] = False

    def __init__(
        self,
        hidden_size: int = 64,
        num_layers: int = 4,
        num_attention_heads: int = 4,
        inner_mlp_size: int = 176,
        vocab_size: int = 512,
        make_vocab_size_divisible_by: int = 8,
        attn_layer_idxs: Sequence[int] = (),
        state_size: int = 8,
        short_filter_length: int = 3,
        short_filter_bias: bool = True,
        hyena_filter_groups: int = 1,
        column_split: bool = False,
        column_split_hyena: bool = True,
        interleave: bool = False,
        hyena_flip_x1x2: bool = False,
        qkv_proj_bias: bool = True,
        mha_out_proj_bias: bool = True,
        hyena_out_proj_bias: bool = True,
        rotary_emb_base: float = 10000,
        use_interpolated_rotary_pos_emb: bool = False,
        rotary_emb_scaling_factor: float = 1,
        eps: float = 1e-6,
        final_norm: bool = True,
        max_seqlen: int = 8192,
        tie_word_embeddings: bool = True,
        **others: Any,
    ) -> None:
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.num_attention_heads = num_attention_heads
        self.inner_mlp_size = inner_mlp_size
        self.vocab_size = vocab_size
        self.make_vocab_size_divisible_by = make_vocab_size_divisible_by
        self.attn_layer_idxs = list(attn_layer_idxs)
        self.state_size = state_size
        self.short_filter_length = short_filter_length
        self.short_filter_bias = short_filter_bias
        self.hyena_filter_groups = hyena_filter_groups
        self.column_split = column_split
        self.column_split_hyena = column_split_hyena
        self.interleave = interleave
        self.hyena_flip_x1x2 = hyena_flip_x1x2
        self.qkv_proj_bias = qkv_proj_bias
        self.mha_out_proj_bias = mha_out_proj_bias
        self.hyena_out_proj_bias = hyena_out_proj_bias
        self.rotary_emb_base = rotary_emb_base
        self.use_interpolated_rotary_pos_emb = use_interpolated_rotary_pos_emb
        self.rotary_emb_scaling_factor = rotary_emb_scaling_factor
        self.eps = eps
        self.final_norm = final_norm
        self.max_seqlen = max_seqlen
        super().__init__(tie_word_embeddings=tie_word_embeddings, **others)

    @property
    def head_size(self) -> int:
        """Width of one head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def rows(self) -> int:
        """Rows of the embedding."""
        multiple = self.make_vocab_size_divisible_by
        return -(-self.vocab_size // multiple) * multiple

    @property
    def rotary_divisor(self) -> float:
        """What positions are divided by (linear interpolation to longer contexts)."""
        return self.rotary_emb_scaling_factor if self.use_interpolated_rotary_pos_emb else 1

    @property
    def kinds(self) -> list[str]:
        """The mixer of every block."""
        raise NotImplementedError

    def has_activation(self, layer: int) -> bool:
        """Whether the block's gated MLP has an activation."""
        return True

    def to_dict(self) -> dict[str, Any]:
        """What ``save_pretrained`` writes: the rows of a network's ``Wqkv`` are split already."""
        return {**super().to_dict(), "column_split": False}


class Evo1Config(StripedHyenaConfig):
    """StripedHyena 1: attention, and Hyena with long filters of complex poles."""

    model_type = "stripedhyena"

    def __init__(self, **settings: Any) -> None:  # transformers would replace an inherited one
        super().__init__(**settings)

    @property
    def kinds(self) -> list[str]:
        """The mixer of every block."""
        return [ATTENTION if i in self.attn_layer_idxs else LONG for i in range(self.num_layers)]


class Evo2Config(StripedHyenaConfig):
    """StripedHyena 2: attention, and Hyena with short, medium and long filters."""

    model_type = "stripedhyena2"
    stores_rotary_frequencies: ClassVar[bool] = True

    def __init__(
        self,
        hcs_layer_idxs: Sequence[int] = (),
        hcm_layer_idxs: Sequence[int] = (),
        hcl_layer_idxs: Sequence[int] = (),
        hcs_filter_length: int = 7,
        hcm_filter_length: int = 128,
        hcs_filter_groups: int | None = None,
        hcm_filter_groups: int | None = None,
        state_size: int = 16,
        short_filter_bias: bool = False,
        column_split_hyena: bool = False,
        interleave: bool = True,
        qkv_proj_bias: bool = False,
        evo2_style_activations: bool = True,
        **others: Any,
    ) -> None:
        self.hcs_layer_idxs = list(hcs_layer_idxs)
        self.hcm_layer_idxs = list(hcm_layer_idxs)
        self.hcl_layer_idxs = list(hcl_layer_idxs)
        self.hcs_filter_length = hcs_filter_length
        self.hcm_filter_length = hcm_filter_length
        self.evo2_style_activations = evo2_style_activations
        super().__init__(
            state_size=state_size,
            short_filter_bias=short_filter_bias,
            column_split_hyena=column_split_hyena,
            interleave=interleave,
            qkv_proj_bias=qkv_proj_bias,
            **others,
        )
        self.hcs_filter_groups = hcs_filter_groups or self.hidden_size
        self.hcm_filter_groups = hcm_filter_groups or self.hidden_size

    @property
    def kinds(self) -> list[str]:
        """The mixer of every block."""
        kinds = dict.fromkeys(self.attn_layer_idxs, ATTENTION)
        kinds.update(dict.fromkeys(self.hcs_layer_idxs, SHORT))
        kinds.update(dict.fromkeys(self.hcm_layer_idxs, MEDIUM))
        kinds.update(dict.fromkeys(self.hcl_layer_idxs, LONG))
        return [kinds[layer] for layer in range(self.num_layers)]

    def has_activation(self, layer: int) -> bool:
        """Only the first block's MLP has one in Evo 2's style."""
        return layer == 0 or not self.evo2_style_activations


_WHOLE = ("hidden_size", "num_layers", "num_attention_heads", "inner_mlp_size")
_ONLY: dict[str, Any] = {
    # What the published models all have, and this code assumes.
    "proj_groups": 1,
    "smeared_gqa": False,
    "mlp_activation": "gelu",
}


def checked(settings: Mapping[str, Any], family: str) -> dict[str, Any]:
    """The authors' settings, sound ones only.

    ``tie_embeddings`` becomes transformers' ``tie_word_embeddings``. Raises CheckpointError naming
    what is missing, impossible, or unknown to this code.
    """
    absent = [name for name in _WHOLE if name not in settings]
    if absent:
        raise CheckpointError(f"{family}'s settings lack {', '.join(absent)}.")
    for name in _WHOLE:
        value = settings[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise CheckpointError(f"{family}'s {name} is {value!r}: no positive whole number.")
    for name, only in _ONLY.items():
        if settings.get(name, only) != only:
            raise CheckpointError(
                f"{family} with {name} = {settings[name]!r} was never published; "
                f"only {only!r} is known."
            )
    width, heads, layers = (settings[_WHOLE[i]] for i in (0, 2, 1))
    if width % heads or (width // heads) % 2:
        raise CheckpointError(f"{family}'s width {width} cannot be split into {heads} even heads.")
    placed: dict[int, str] = {}
    for name in ("attn_layer_idxs", "hcs_layer_idxs", "hcm_layer_idxs", "hcl_layer_idxs"):
        for layer in settings.get(name, ()):
            if not isinstance(layer, int) or not 0 <= layer < layers or layer in placed:
                also = f" and in {placed[layer]}" if layer in placed else ""
                raise CheckpointError(
                    f"{family}'s {name} names block {layer!r}{also}; there are {layers} blocks."
                )
            placed[layer] = name
    if "hcl_layer_idxs" in settings and len(placed) != layers:
        absent_blocks = sorted(set(range(layers)) - set(placed))
        raise CheckpointError(
            f"{family}'s settings say of no kind what blocks {absent_blocks} are."
        )
    values = dict(settings)
    values["tie_word_embeddings"] = bool(values.pop("tie_embeddings", True))
    return values
