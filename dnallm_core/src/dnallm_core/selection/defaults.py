"""The rules of thumb that choose where evidence does not: defaults, and shown as defaults.

Three of them: short classification goes to encoders; generation and zero-shot scoring to causal
models; more than 10 kb to state-space, long-convolution or hybrid networks.
"""

from __future__ import annotations

from typing import NamedTuple

from ..manifest.model import ModelManifest
from .requirements import Requirements

LONG = 10_000  # bp
SUPERVISED = (
    "classification",
    "regression",
    "token-classification",
    "embedding",
    "token-embedding",
)
SUBQUADRATIC = ("state-space", "long-convolution", "hybrid")


class Default(NamedTuple):
    """One rule that applies to what was asked, and whether a model keeps it."""

    name: str
    sentence: str
    kept: bool


def defaults(asked: Requirements, model: ModelManifest) -> list[Default]:
    """The rules that apply; none where nothing in what was asked calls for one."""
    found = []
    if asked.length is not None and asked.length > LONG:
        found.append(
            Default(
                "long-input",
                "more than 10 kb: state-space, long-convolution or hybrid",
                model.architecture in SUBQUADRATIC,
            )
        )
    elif asked.task in SUPERVISED and asked.setting != "zero-shot":
        found.append(
            Default(
                "short-input",
                "short input with labels: an encoder",
                model.architecture == "encoder-transformer",
            )
        )
    if asked.task in ("generation", "scoring") or (
        asked.setting == "zero-shot" and asked.task == "variant-effect"
    ):
        found.append(
            Default(
                "zero-shot",
                "generation and zero-shot scores: a causal model",
                model.direction == "causal",
            )
        )
    return found
