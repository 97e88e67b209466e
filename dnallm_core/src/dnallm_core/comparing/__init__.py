"""Models side by side: facts, memory against length, and the published evidence that both have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..evidence import evidence
from ..footprint import Records, prediction
from ..footprint.records import overlay_path
from ..manifest.model import ModelManifest
from ..selection.requirements import Requirements

LENGTHS = (512, 2_048, 8_192, 32_768, 131_072, 1_000_000)


@dataclass(frozen=True, slots=True)
class Column:
    """One model: its memory in bytes at each length, None beyond what it takes."""

    manifest: ModelManifest
    dtype: str
    memory: tuple[int | None, ...]
    basis: str

    @property
    def id(self) -> str:
        """The model's id."""
        return self.manifest.id


@dataclass(frozen=True, slots=True)
class Row:
    """One block of evidence: (tier, grade) of each model that has results in it."""

    title: str
    standings: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Models held against one another."""

    models: tuple[Column, ...]
    lengths: tuple[int, ...]
    evidence: tuple[Row, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "lengths": list(self.lengths),
            "models": [
                {
                    "id": each.id,
                    "family": each.manifest.family,
                    "architecture": each.manifest.architecture,
                    "direction": each.manifest.direction,
                    "max_length": each.manifest.max_length,
                    "length_limit": each.manifest.length_limit,
                    "parameters": each.manifest.parameters,
                    "resolution": each.manifest.resolution,
                    "tasks": list(each.manifest.tasks),
                    "licence": each.manifest.licence.id,
                    "dtype": each.dtype,
                    "memory_bytes": list(each.memory),
                    "memory_basis": each.basis,
                }
                for each in self.models
            ],
            "evidence": [
                {
                    "block": row.title,
                    "standings": {
                        model: {"tier": tier, "grade": grade}
                        for model, (tier, grade) in row.standings.items()
                    },
                }
                for row in self.evidence
            ],
        }


def compare(
    manifests: Sequence[ModelManifest],
    *,
    dtype: str | None = None,
    batch: int = 1,
    records: Records | None = None,
) -> Comparison:
    """Models side by side, in the order given; memory for ``batch`` sequences on the CPU."""
    records = records or Records(overlay_path())
    columns = []
    for model in manifests:
        used = dtype or model.dtypes[0]
        cost = prediction(model, batch=batch, dtype=used, records=records)
        memory = tuple(cost.total(length) if _takes(model, length) else None for length in LENGTHS)
        columns.append(Column(model, used, memory, f"{cost.basis}, in {used}"))
    return Comparison(tuple(columns), LENGTHS, tuple(_evidence(manifests)))


def _takes(model: ModelManifest, length: int) -> bool:
    return model.max_length is None or length <= model.max_length or model.length_limit == "none"


def _evidence(manifests: Sequence[ModelManifest]) -> list[Row]:
    """The blocks in which two or more of the models have results, and their tiers among these."""
    judge = evidence()
    questions = {
        (_TASK[group.kind], group.subtask, setting, group.domain)
        for group in judge.table.groups
        if group.kind in _TASK
        for setting in sorted(group.settings)
    }
    rows = []
    for task, subtask, setting, domain in sorted(questions):
        asked = Requirements(task=task, subtask=subtask, setting=setting, domain=domain)
        found = {
            model: standing
            for model, standing in judge.standings(asked, manifests).items()
            if not standing.block.transferred
        }
        if len(found) > 1:
            tiers = judge.tiers(found)
            title = f"{task}: {subtask}, {setting}, {domain}"
            rows.append(Row(title, {key: (tiers[key], found[key].grade) for key in sorted(found)}))
    return rows


_TASK = {
    "embedding": "embedding",
    "classification": "classification",
    "token-classification": "token-classification",
    "variant-effect": "variant-effect",
    "generation": "generation",
    "zero-shot-fitness": "scoring",
}
