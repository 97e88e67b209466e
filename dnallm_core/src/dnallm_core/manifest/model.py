"""What the rest of dnallm sees of a model: its resolved facts, plain data, no pydantic, no torch.

A plugin writes families and models into ``dnallm.toml``; ``schema.py`` validates them and merges
each model with its family into one *row* (JSON types only). A row travels through the index, the
registry and the command's ``--json``; ``ModelManifest`` is the typed view of one row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One published file; ``bytes`` and ``sha256`` are None where nobody has published them."""

    name: str
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Weights:
    """Where a checkpoint lies: on a hub, or bundled in the plugin (a path inside its package)."""

    hub: str | None = None
    revision: str | None = None
    files: tuple[WeightFile, ...] = ()
    bundled: str | None = None
    gated: bool = False
    url: str | None = None  # a page for people, where the files are on no hub

    @property
    def total_bytes(self) -> int | None:
        """Sum of the published sizes, or None where one is unknown."""
        sizes = [each.bytes for each in self.files]
        return (
            sum(size for size in sizes if size is not None) if sizes and None not in sizes else None
        )


@dataclass(frozen=True, slots=True)
class Licence:
    """SPDX id (or None where the authors declare none) and whether commercial use is allowed."""

    id: str | None = None
    commercial: bool | None = None


@dataclass(frozen=True, slots=True)
class TrainedOn:
    """Domains of the training data, in the selector's words, and which data it was."""

    domains: tuple[str, ...] = ()
    data: str | None = None
    assembly: str | None = None


@dataclass(frozen=True, slots=True)
class Scaling:
    """How time and memory grow with length; the worst term counts."""

    time: str
    memory: str


@dataclass(frozen=True, slots=True)
class Paper:
    """The publication that describes the model."""

    title: str | None = None
    doi: str | None = None
    arxiv: str | None = None
    year: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelManifest:
    """Everything that is known of one model without importing its plugin.

    Lengths are in base pairs. ``max_tokens`` counts tokens, special ones included, and
    ``resolution`` is bp a token (a mean for byte-pair tokenizers). ``installed`` says whether the
    plugin is; ``install`` is the command that installs it; ``tier`` what a registry says was checked of
    this very manifest. A field that no source states is None.
    """

    id: str
    family: str
    title: str
    plugin: str
    architecture: str
    direction: str
    objective: str
    scaling: Scaling
    tasks: tuple[str, ...]
    implementation: str
    tokenizer: Mapping[str, Any] | tuple[Mapping[str, Any], ...]
    reverse_complement: str = "none"
    inputs: tuple[str, ...] = ("sequence",)
    aliases: tuple[str, ...] = ()
    parameters: int | None = None
    max_length: int | None = None
    max_tokens: int | None = None
    length_limit: str = "hard"
    resolution: float | None = None
    special_tokens_in_mean: bool = True
    weights: Weights = field(default_factory=Weights)
    licence: Licence = field(default_factory=Licence)
    trained_on: TrainedOn = field(default_factory=TrainedOn)
    paper: Paper = field(default_factory=Paper)
    dtypes: tuple[str, ...] = ("float32", "bfloat16")
    config: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    check: str | None = None
    footprint: str | None = None
    unverified: str | None = None
    notes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    installed: bool = False
    install: str = ""
    tier: str | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> ModelManifest:
        """The typed view of a row, as the index and ``schema.resolve`` make them."""
        values = dict(row)
        for name, build in _NESTED.items():
            if values.get(name) is not None:
                values[name] = build(values[name])
            else:
                values.pop(name, None)
        for name in _TUPLES:
            if name in values:
                values[name] = tuple(values[name] or ())
        if isinstance(values.get("tokenizer"), list):
            values["tokenizer"] = tuple(values["tokenizer"])
        return cls(**values)

    @property
    def is_bundled(self) -> bool:
        """Whether the weights ship inside the plugin."""
        return self.weights.bundled is not None


def _weights(row: Mapping[str, Any]) -> Weights:
    values = dict(row)
    values["files"] = tuple(WeightFile(**each) for each in values.get("files") or ())
    return Weights(**values)


def _trained_on(row: Mapping[str, Any]) -> TrainedOn:
    return TrainedOn(**{**row, "domains": tuple(row.get("domains") or ())})


_NESTED: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "weights": _weights,
    "licence": lambda row: Licence(**row),
    "trained_on": _trained_on,
    "scaling": lambda row: Scaling(**row),
    "paper": lambda row: Paper(**row),
}
_TUPLES = ("tasks", "inputs", "aliases", "dtypes", "notes", "sources")
