"""Manifests made by hand, so that the selector's tests need no plugin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from dnallm_core.manifest.model import (
    Licence,
    ModelManifest,
    Scaling,
    TrainedOn,
    Weights,
)

ENCODER = {
    "num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 12,
    "intermediate_size": 3072, "vocab_size": 4096,
}  # fmt: skip


def make_model(identifier: str = "toy", **changes: Any) -> ModelManifest:
    """A bidirectional encoder with everything stated; ``changes`` replace fields."""
    facts: dict[str, Any] = {
        "id": identifier,
        "family": "toys",
        "title": "Toy",
        "plugin": "toy-plugin",
        "architecture": "encoder-transformer",
        "direction": "bidirectional",
        "objective": "masked-language-modelling",
        "scaling": Scaling("quadratic", "quadratic"),
        "tasks": ("embedding", "classification", "variant-effect"),
        "implementation": "toy_plugin.network:Toy",
        "tokenizer": {"kind": "character"},
        "parameters": 86_000_000,
        "max_length": 4096,
        "length_limit": "hard",
        "resolution": 1.0,
        "licence": Licence("MIT", True),
        "trained_on": TrainedOn(("human",)),
        "weights": Weights(hub="someone/toy"),
        "config": ENCODER,
        "installed": True,
    }
    return ModelManifest(**{**facts, **changes})


@pytest.fixture
def make() -> Callable[..., ModelManifest]:
    return make_model
