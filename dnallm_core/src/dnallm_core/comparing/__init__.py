"""Models side by side: facts, memory and time against length, and the evidence that both have."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..evidence import evidence
from ..footprint import Records, prediction
from ..footprint.records import overlay_path
from ..footprint.time import duration
from ..manifest.model import ModelManifest
from ..resources import Resources, this_machine
from ..selection.requirements import Requirements

LENGTHS = (512, 2_048, 8_192, 32_768, 131_072, 1_000_000)


@dataclass(frozen=True, slots=True)
class Column:
    """One model: its memory in bytes and seconds a sequence (an interval) at each length.

    None beyond what it takes, and where no time can be told.
    """

    manifest: ModelManifest
    dtype: str
    memory: tuple[int | None, ...]
    time: tuple[tuple[float, float] | None, ...]
    basis: str
    time_basis: str

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
    device: str
    evidence: tuple[Row, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "lengths": list(self.lengths),
            "device": self.device,
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
                    "seconds": [None if pair is None else list(pair) for pair in each.time],
                    "time_basis": each.time_basis,
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
    resources: Resources | None = None,
    records: Records | None = None,
) -> Comparison:
    """Models side by side, in the order given; what a batch needs, and a sequence takes, on a device.

    The device is the best of ``resources``, of this machine unless said.
    """
    records = records or Records(overlay_path())
    device = (resources or this_machine()).best
    columns = []
    for model in manifests:
        usable = [each for each in model.dtypes if each in device.dtypes] or list(model.dtypes)
        used = dtype or usable[0]
        cost = prediction(model, batch=batch, dtype=used, device=device.kind, records=records)
        memory: list[int | None] = []
        time: list[tuple[float, float] | None] = []
        basis = ""
        for length in LENGTHS:
            if not _takes(model, length):
                memory.append(None)
                time.append(None)
                continue
            memory.append(cost.total(length))
            taken = duration(
                model, cost, length=length, sequences=1, device=device, dtype=used, batch=batch
            )
            basis = taken.basis
            time.append((taken.low, taken.high) if taken.high < math.inf else None)
        columns.append(
            Column(model, used, tuple(memory), tuple(time), f"{cost.basis}, in {used}", basis)
        )
    return Comparison(tuple(columns), LENGTHS, device.name, tuple(_evidence(manifests)))


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
