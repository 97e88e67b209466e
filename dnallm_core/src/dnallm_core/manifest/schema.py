"""What a plugin may declare: the pydantic models of ``dnallm.toml``, and how they become rows.

Every field's description is its documentation: the JSON schema and ``docs/manifest.md`` are
generated from this file.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .words import (
    Architecture,
    Direction,
    Domain,
    Dtype,
    Growth,
    Input,
    LengthLimit,
    Objective,
    ReverseComplement,
    Task,
)

SCHEMA = 1
API = 1  # the interface number that this core implements

Identifier = Annotated[str, Field(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$", max_length=80)]
_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_.+=-]*"  # never begins with a dot: no "..", nothing hidden
InsidePath = Annotated[str, Field(pattern=rf"^{_SEGMENT}(/{_SEGMENT})*$", max_length=200)]
Positive = Annotated[int, Field(gt=0)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class FileTable(_Table):
    """One published file."""

    name: InsidePath = Field(description="Path inside the repository.")
    bytes: Positive | None = Field(None, description="Its size, where published.")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None, description="Its SHA-256, where published."
    )


class WeightsTable(_Table):
    """Where a checkpoint lies."""

    hub: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = Field(
        None, description="Repository on the Hugging Face Hub, `owner/name`."
    )
    revision: str | None = Field(
        None, description="Commit (or branch) to load; absent where no source states one."
    )
    files: list[FileTable] = Field(
        default_factory=list, description="What loading needs, and nothing else."
    )
    bundled: InsidePath | None = Field(
        None, description="A folder inside the plugin's package that holds the checkpoint."
    )
    gated: bool = Field(False, description="Whether the hub asks for an account's consent.")
    url: str | None = Field(None, description="A page for people, where no hub has the files.")

    @model_validator(mode="after")
    def _one_place(self) -> WeightsTable:
        if self.bundled and (self.hub or self.files):
            raise ValueError("weights are either bundled or on a hub, not both")
        if self.hub and not self.files:
            raise ValueError("weights on a hub need the list of their files")
        return self


class LicenceTable(_Table):
    """Under which terms the weights may be used."""

    id: str | None = Field(None, description="SPDX id; absent where the authors declare none.")
    commercial: bool | None = Field(None, description="Whether commercial use is allowed.")


class TrainedOnTable(_Table):
    """What the model has seen."""

    domains: list[Domain] = Field(default_factory=list, description="Every domain of the data.")
    data: str | None = Field(None, description="Which data, in a phrase.")
    assembly: str | None = Field(None, description="Genome assembly, where there is one.")


class ScalingTable(_Table):
    """How cost grows with length; the worst term counts."""

    time: Growth
    memory: Growth


class PaperTable(_Table):
    """The publication that describes the family or model."""

    title: str | None = None
    doi: str | None = None
    arxiv: str | None = None
    year: int | None = None


Tokenizer = dict[str, Any]


class _Facts(_Table):
    """What a family may say for all its models, and a model for itself."""

    title: str | None = Field(None, description="The name people say.")
    architecture: Architecture | None = Field(None, description="The kind of network.")
    direction: Direction | None = Field(
        None, description="Whether a token's output depends on both sides or on the left alone."
    )
    objective: Objective | None = Field(None, description="What pre-training predicted.")
    implementation: (
        Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")] | None
    ) = Field(None, description="`package.module:Class`, imported when a model is loaded.")
    reverse_complement: ReverseComplement | None = Field(
        None,
        description="`equivariant`: the reverse complement's output is the output's; `augmented`: "
        "trained with both strands; `none`.",
    )
    inputs: list[Input] | None = Field(None, description="What the network reads.")
    tokenizer: Tokenizer | list[Tokenizer] | None = Field(
        None,
        description="Rules of the tokenizer by `kind`; several tables are told apart by their "
        "`vocabulary_size`.",
    )
    scaling: ScalingTable | None = Field(None, description="How cost grows with length.")
    tasks: list[Task] | None = Field(None, description="What the implementation can be asked.")
    special_tokens_in_mean: bool | None = Field(
        None, description="Whether special tokens enter mean pooling."
    )
    resolution: Annotated[float, Field(gt=0)] | None = Field(
        None, description="bp a token; for byte-pair tokenizers their mean."
    )
    max_length: Positive | None = Field(None, description="Longest input in bp.")
    max_tokens: Positive | None = Field(
        None, description="Longest input in tokens, special ones included."
    )
    length_limit: LengthLimit | None = Field(
        None,
        description="`hard`: more is an error; `trained`: it runs, with a warning; `none`.",
    )
    licence: LicenceTable | None = Field(None, description="Terms of the weights.")
    trained_on: TrainedOnTable | None = Field(None, description="The training data.")
    paper: PaperTable | None = Field(None, description="The publication.")
    dtypes: list[Dtype] | None = Field(
        None, description="Number formats that are sound for it, the authors' own first."
    )
    config: dict[str, Any] | None = Field(
        None, description="The network's settings under the authors' names."
    )
    extra: dict[str, Any] | None = Field(
        None,
        description="Further facts; `shape` holds what the memory prediction needs where `config` "
        "does not say it.",
    )
    check: InsidePath | None = Field(
        None, description="JSON file of vectors that the authors' own code gave."
    )
    footprint: InsidePath | None = Field(None, description="JSON file of measured costs.")
    unverified: str | None = Field(None, description="What of this is inferred, in a sentence.")
    notes: list[str] | None = Field(None, description="What a user must know.")
    sources: list[str] | None = Field(None, description="Where these facts stand.")


_ESSENTIAL = (
    "title",
    "architecture",
    "direction",
    "objective",
    "implementation",
    "tokenizer",
    "scaling",
    "tasks",
)


class FamilyTable(_Facts):
    """One published line of models with one implementation."""

    @model_validator(mode="after")
    def _whole(self) -> FamilyTable:
        absent = [name for name in _ESSENTIAL if getattr(self, name) is None]
        if absent:
            raise ValueError(f"lacks {', '.join(absent)}")
        return self


class ModelTable(_Facts):
    """One checkpoint of a family; what it does not say is as its family says."""

    family: Identifier = Field(description="The family's id in this file.")
    aliases: list[str] = Field(
        default_factory=list, description="Hub id and other names that people use."
    )
    parameters: Positive | None = Field(None, description="Number of distinct trained parameters.")
    weights: WeightsTable | None = Field(None, description="Where the checkpoint lies.")


class ManifestTable(_Table):
    """A plugin's ``dnallm.toml``."""

    schema_: Annotated[int, Field(alias="schema", description="Format of this file: 1.")]
    api: str = Field(description='Interface numbers that the code works with, as ">=1,<2".')
    families: dict[Identifier, FamilyTable] = Field(description="Families by id.")
    models: dict[Identifier, ModelTable] = Field(default_factory=dict, description="Models by id.")


def contradictions(row: dict[str, Any]) -> list[tuple[str, str]]:
    """(field, what is wrong) for values that cannot all be true of one model."""
    found = []
    causal = row["direction"] == "causal"
    if causal and row["objective"] == "masked-language-modelling":
        found.append(("objective", "a causal model is not trained by masking"))
    if not causal and row["objective"] == "causal-language-modelling":
        found.append(("objective", "a bidirectional model does not predict the next token"))
    if not causal and "generation" in row["tasks"]:
        found.append(("tasks", "generation needs a causal model"))
    if causal and "masked-prediction" in row["tasks"]:
        found.append(("tasks", "masked-prediction needs a bidirectional model"))
    if "sequence" not in row["inputs"]:
        found.append(("inputs", "every model reads a sequence"))
    if not row["tasks"]:
        found.append(("tasks", "a model that can do nothing is no model"))
    return found


def resolve(table: ManifestTable) -> dict[str, dict[str, dict[str, Any]]]:
    """Rows of plain JSON types: ``{"families": {id: row}, "models": {id: row}}``."""
    families = {
        key: {**_dump(family), "id": key, "family": key} for key, family in table.families.items()
    }
    models = {}
    for key, model in table.models.items():
        base = families.get(model.family, {})
        own = _dump(model)
        models[key] = {
            **base,
            **own,
            "id": key,
            "title": own.get("title") or base.get("title", key),
            "extra": {**base.get("extra", {}), **own.get("extra", {})},
            "notes": [*base.get("notes", []), *own.get("notes", [])],
            "sources": [*base.get("sources", []), *own.get("sources", [])],
        }
    for row in (*families.values(), *models.values()):
        row.setdefault("inputs", ["sequence"])
    return {"families": families, "models": models}


def _dump(table: _Facts) -> dict[str, Any]:
    return table.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
