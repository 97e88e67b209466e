"""The shape of a network, as far as its cost depends on it, from ``extra.shape`` or its configuration.

A manifest may say it outright::

    [models.some-model.extra.shape]
    layers = 32                 # blocks in all
    width = 4096                # of the residual stream
    heads = 32                  # of attention
    key_value_heads = 32        # of the key-value cache; heads where left out
    head_width = 128            # width / heads where left out
    feed_forward = 11008        # width inside the feed-forward part
    gated = true                # whether that part has two matrices on the way in
    vocabulary = 512            # entries of the head
    inner = 8192                # width inside a state-space or long-convolution block
    state = 16                  # entries of the state a channel
    attention_layers = 5        # blocks that attend (hybrids)
    directions = 2              # passes over the sequence (bidirectional state-space networks)
    strands = 2                 # copies of the stream (reverse-complement equivariant networks)
    fused_attention = true      # false where attention weights are held as a whole
    float32_parameters = 0      # parameters that stay float32 whatever the dtype
    kept = 37.6                 # of what one block keeps a token while it trains, in widths, as counted
    bends = [{ tokens = 16384, of = "batch" }]  # longer inputs (of a row, or all rows) go another way

What it leaves out is looked for in ``config`` under the spellings that configurations use, and else
derived from what is known. Nothing here knows any model by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..manifest.model import ModelManifest

SPELLINGS: dict[str, tuple[str, ...]] = {
    "layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "depth", "layers"),
    "width": ("hidden_size", "d_model", "n_embd", "embed_dim", "embedding_size", "dim", "outer_dim"),
    "heads": ("num_attention_heads", "n_head", "n_heads", "num_heads", "nhead"),
    "key_value_heads": ("num_key_value_heads", "n_kv_heads", "kv_heads"),
    "head_width": ("head_dim",),
    "feed_forward": ("intermediate_size", "inner_mlp_size", "n_inner", "d_inner", "d_ff",
                     "d_intermediate", "ffn_dim"),
    "vocabulary": ("vocab_size", "n_vocab", "vocabulary_size"),
    "state": ("state_size", "d_state", "ssm_state_size"),
    "inner": ("inner_dim",),
}  # fmt: skip
_MEANINGS = {  # spelling -> (name, how early it counts)
    spelling: (name, place)
    for name, all_ in SPELLINGS.items()
    for place, spelling in enumerate(all_)
}
ATTENTION_LISTS = ("attn_layer_idxs", "attention_layers", "attn_layers", "attn_layer_idx")
_ATTENTION_DROPOUTS = ("attention_probs_dropout_prob", "attn_pdrop", "attention_dropout")
_PREFERRED_HEAD_WIDTH = 64


class Bend(NamedTuple):
    """A number of tokens beyond which inputs go through another way: in parts, or with less kept."""

    tokens: int
    of: str  # "row" or "batch"

    def at(self, rows: int) -> float:
        """Tokens of one row at which it is."""
        return self.tokens / rows if self.of == "batch" else float(self.tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes that memory depends on; ``guessed`` names those that no source states."""

    layers: int
    width: int
    heads: int
    key_value_heads: int
    head_width: int
    feed_forward: int
    gated: bool
    vocabulary: int
    inner: int
    state: int
    attention_layers: int
    directions: int
    strands: int
    fused_attention: bool
    float32_parameters: int
    parameters: int | None
    attention_dropout: bool
    kept: float | None
    guessed: tuple[str, ...]
    bends: tuple[Bend, ...] = ()


def shape_of(manifest: ModelManifest) -> Shape:
    """The shape that a manifest states, completed by what follows from it."""
    said: Mapping[str, Any] = manifest.extra.get("shape") or {}
    config = manifest.config
    nested = config.get("ssm_cfg")
    sizes = _sizes(nested) if isinstance(nested, Mapping) else {}
    sizes.update(_sizes(config))
    sizes.update({name: int(said[name]) for name in SPELLINGS if name in said})
    guessed: list[str] = []
    stated = sizes.get

    def known(name: str, otherwise: float) -> int:
        value = sizes.get(name)
        if value is None:
            guessed.append(name)
            return max(1, round(otherwise))
        return value

    kind = manifest.architecture
    layers = known("layers", 12)
    per_layer = 3 if kind == "convolutional" else 7 if kind == "state-space" else 12
    width = known("width", math.sqrt((manifest.parameters or 10**8) / (per_layer * layers)))
    attends = kind in ("encoder-transformer", "decoder-transformer", "hybrid")
    heads = stated("heads") or (max(1, width // _PREFERRED_HEAD_WIDTH) if attends else 1)
    feed_forward = known("feed_forward", 4 * width) if kind != "state-space" else 0
    expand = _first(config, nested, ("expand",)) or 2
    gated = said.get("gated", _is_gated(config))
    if attends and "gated" not in said and "feed_forward" not in guessed:
        gated = gated or _counts_as_gated(manifest, layers, width, feed_forward, stated)
    return Shape(
        layers=layers,
        width=width,
        heads=heads,
        key_value_heads=stated("key_value_heads") or heads,
        head_width=stated("head_width") or max(1, width // heads),
        feed_forward=feed_forward,
        gated=bool(gated),
        vocabulary=known("vocabulary", 16),
        inner=stated("inner") or round(width * expand),
        state=stated("state") or 16,
        attention_layers=_attention_layers(said, config, kind, layers),
        directions=int(said.get("directions", 2 if _two_ways(manifest) else 1)),
        strands=int(said.get("strands", 2 if manifest.reverse_complement == "equivariant" else 1)),
        fused_attention=bool(said.get("fused_attention", manifest.scaling.memory != "quadratic")),
        float32_parameters=int(said.get("float32_parameters", 0)),
        parameters=manifest.parameters,
        attention_dropout=any(
            isinstance(config.get(name), float) and config[name] > 0 for name in _ATTENTION_DROPOUTS
        ),
        kept=said.get("kept"),
        guessed=tuple(guessed),
        bends=tuple(Bend(int(each["tokens"]), str(each["of"])) for each in said.get("bends", ())),
    )


def _sizes(source: Mapping[str, Any]) -> dict[str, int]:
    """The sizes that a configuration states, by our names."""
    found: dict[str, tuple[int, int]] = {}
    for key, value in source.items():
        meaning = _MEANINGS.get(key)
        if meaning is not None and type(value) in (int, float) and value > 0:
            name, place = meaning
            if name not in found or place < found[name][0]:
                found[name] = (place, int(value))
    return {name: value for name, (_, value) in found.items()}


def _first(config: Mapping[str, Any], nested: Any, names: tuple[str, ...]) -> float | None:
    for source in (config, nested if isinstance(nested, Mapping) else {}):
        for name in names:
            if isinstance(source.get(name), (int, float)):
                return float(source[name])
    return None


def _is_gated(config: Mapping[str, Any]) -> bool:
    words = " ".join(
        str(config.get(name, ""))
        for name in ("hidden_act", "mlp_activation", "activation_function")
    )
    return any(word in words for word in ("silu", "swish", "swiglu", "geglu", "glu")) or (
        "inner_mlp_size" in config or "num_key_value_heads" in config
    )


def _counts_as_gated(
    manifest: ModelManifest,
    layers: int,
    width: int,
    wide: int,
    stated: Callable[[str], int | None],
) -> bool:
    """Whether the parameters that are left for the feed-forward parts make three matrices, not two."""
    if manifest.parameters is None:
        return False
    keys = stated("key_value_heads") or stated("heads") or 1
    share = keys / (stated("heads") or 1)
    attention = (2 + 2 * share) * width**2
    embedding = 2 * (stated("vocabulary") or 0) * width  # and perhaps an output layer as large
    left = (manifest.parameters - embedding) / layers - attention
    return 2.6 < left / (width * wide) < 3.5


def _attention_layers(
    said: Mapping[str, Any], config: Mapping[str, Any], kind: str, layers: int
) -> int:
    if "attention_layers" in said:
        return int(said["attention_layers"])
    for name in ATTENTION_LISTS:
        if isinstance(config.get(name), (list, tuple)):
            return len(config[name])
    if kind in ("encoder-transformer", "decoder-transformer"):
        return layers
    return max(1, layers // 8) if kind == "hybrid" else 0


def _two_ways(manifest: ModelManifest) -> bool:
    return manifest.architecture == "state-space" and manifest.direction == "bidirectional"
