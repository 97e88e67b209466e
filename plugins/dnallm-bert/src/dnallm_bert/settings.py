"""Reading an authors' configuration: which settings a network takes, and what cannot be."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from dnallm_core.checkpoints import CheckpointFolder
from dnallm_core.errors import CheckpointError, SequenceError
from dnallm_core.manifest.model import ModelManifest
from dnallm_core.models import example_vocabulary
from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]

SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
)
SHARED_FIELDS = (
    *SIZES,
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "initializer_range",
    "layer_norm_eps",
)
"""The fields that every encoder of BERT's kind has, under these names."""
BERT_FIELDS = (
    *SHARED_FIELDS,
    "hidden_act",
    "max_position_embeddings",
    "type_vocab_size",
    "pad_token_id",
)


def read(folder: CheckpointFolder | None, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """``config.json`` with ``arguments`` laid over it; without a folder the arguments alone."""
    settings = {**(folder.config if folder is not None else {}), **arguments}
    if not settings:
        raise CheckpointError(
            f"{folder.path if folder is not None else 'The model'} has no config.json.",
            hint="The authors publish one beside the weights; without it sizes are unknown.",
        )
    return settings


def require(settings: Mapping[str, Any], *names: str) -> None:
    """CheckpointError naming every setting that is absent or no positive whole number."""
    wrong = [
        name
        for name in names
        if isinstance(settings.get(name), bool)
        or not isinstance(settings.get(name), int)
        or settings[name] <= 0
    ]
    if wrong:
        listed = ", ".join(f"{name} = {settings.get(name)!r}" for name in wrong)
        raise CheckpointError(
            f"The configuration must give a positive whole number for {', '.join(wrong)}; "
            f"it says {listed}."
        )


def require_bert_sizes(settings: Mapping[str, Any]) -> None:
    """Every size of a BERT-like network is there, and heads divide the width."""
    require(settings, *SIZES)
    width, heads = settings["hidden_size"], settings["num_attention_heads"]
    if width % heads:
        raise CheckpointError(
            f"The configuration has hidden_size {width}, which {heads} attention heads cannot share."
        )
    if settings.get("is_decoder"):
        raise CheckpointError("The configuration says is_decoder; this network is an encoder.")


def require_position(settings: Mapping[str, Any], allowed: Collection[str]) -> str:
    """The kind of position embedding, one of ``allowed``; "absolute" where none is stated."""
    kind = settings.get("position_embedding_type") or "absolute"
    if kind not in allowed:
        raise CheckpointError(
            f"The configuration has position_embedding_type {kind!r}; "
            f"this network knows {', '.join(sorted(allowed))}."
        )
    return str(kind)


def require_layout(shapes: Shapes | None, key: str, family: str, *, vocabulary: int) -> None:
    """The checkpoint is of this family's layout, and its embedding of the vocabulary's size.

    ``key``: the word embedding's name in the authors' layout.
    """
    if shapes is None:
        return
    if key not in shapes:
        some = ", ".join(sorted(shapes)[:3])
        raise CheckpointError(
            f"This is no {family} checkpoint: it lacks {key} and has {some} ...",
            missing=[key],
            hint="Name the family that the checkpoint is of.",
        )
    rows = shapes[key][0]
    if rows != vocabulary:
        raise CheckpointError(
            f"The configuration has a vocabulary of {vocabulary:,} tokens, "
            f"the embedding {key} has {rows:,} rows.",
            misshapen=[key],
            hint="config.json and the weights are of different checkpoints.",
        )


def fields(settings: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The settings among ``names`` that are stated."""
    return {name: settings[name] for name in names if settings.get(name) is not None}


def narrow(facts: ModelManifest) -> dict[str, Any]:
    """Two narrow layers: the sizes of an example network that reads the model's vocabulary."""
    return {
        "vocab_size": example_vocabulary(facts),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 520,
    }


def require_room(given: Tensor, attention_mask: Tensor | None, most: int) -> None:
    """SequenceError where a row of (batch, tokens, ...) has more real tokens than positions."""
    tokens = given.shape[1]
    if tokens > most and attention_mask is not None:
        tokens = int(attention_mask.sum(-1).max())
    if tokens > most:
        raise SequenceError(
            f"The input has {tokens:,} tokens; the model has positions for {most:,}.",
            hint="Cut it into windows, or choose a model with a longer context.",
        )
