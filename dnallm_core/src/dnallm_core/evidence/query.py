"""Which groups of results speak of what was asked; where none does, the nearest, and it is said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..selection.requirements import Requirements
from .table import Group

LONG = 10_000  # bp from which results on long inputs count
POOLED = frozenset({"pooled", "pathogenic-mixed", "average"})
"""Mixtures whose ranking says little (a rule that knows only a variant's type does as well)."""

RELATED: dict[str, tuple[str, ...]] = {"noncoding-mendelian": ("noncoding",)}
"""Subtasks whose results count for another: ClinVar's non-coding variants are Mendelian ones."""

# the evidence's kinds that speak of a task; long-range results by the setting they were made in
KINDS: dict[str, tuple[str, ...]] = {
    "embedding": ("embedding",),
    "token-embedding": ("token-classification",),
    "classification": ("classification",),
    "regression": ("classification",),
    "token-classification": ("token-classification",),
    "masked-prediction": (),
    "scoring": ("zero-shot-fitness",),
    "variant-effect": ("variant-effect", "zero-shot-fitness"),
    "generation": ("generation",),
}
_LONG_SETTINGS = {
    "classification": ("fine-tuned", "LoRA"),
    "regression": ("fine-tuned", "LoRA"),
    "embedding": ("probe",),
    "scoring": ("zero-shot",),
    "generation": ("zero-shot",),
}
_TUNED = frozenset({"fine-tuned", "LoRA"})  # one table often holds both
# where a domain has no results of its own: the nearest that may have
_NEAREST: dict[str, tuple[str, ...]] = {
    "human": ("mouse", "multi"),
    "mouse": ("human", "multi"),
    "animal-other": ("mouse", "human", "multi"),
    "yeast": ("fungi", "multi"),
    "fungi": ("yeast", "multi"),
    "protist": ("fungi", "multi"),
    "plant": ("multi",),
    "prokaryote": ("multi",),
    "virus": (),
    "multi": (),
}


@dataclass(frozen=True, slots=True)
class Block:
    """The groups that speak, in words: what they are of, and what had to be let go to find any."""

    groups: tuple[Group, ...]
    setting: str | None
    subtask: str | None
    domain: str | None
    transferred: str = ""

    @property
    def title(self) -> str:
        """``splice-site, fine-tuned, human``."""
        parts = (self.subtask, self.setting, self.domain)
        return ", ".join(part for part in parts if part) or "all of it"


def find(groups: Iterable[Group], asked: Requirements) -> list[Block]:
    """The blocks of evidence for what was asked, the exact one first; none where nobody published."""
    domain = asked.domain or asked.trained_on
    of_task = [group for group in groups if _speaks_of(group, asked)]
    blocks = []
    for where in (domain, *_NEAREST.get(domain or "", ())):
        for subtask in (asked.subtask, None) if asked.subtask else (None,):
            wanted = (subtask, *RELATED.get(subtask or "", ()))
            found = [
                group
                for group in of_task
                if (where is None or group.domain == where)
                and (group.subtask in wanted if subtask else group.subtask not in POOLED)
            ]
            long = [group for group in found if group.kind == "long-range"]
            if long and subtask is None:
                found = long  # short inputs say nothing of long ones
            setting = asked.setting or _usual_setting(found)
            found = [group for group in found if _made_in(group, setting)]
            if found:
                said = _said(asked, domain, where, subtask)
                blocks.append(Block(tuple(found), setting, subtask, where, said))
    return blocks


def _speaks_of(group: Group, asked: Requirements) -> bool:
    task = asked.task or ""
    if group.kind == "long-range":
        settings = set(_LONG_SETTINGS.get(task, ()))
        if (asked.length or 0) < LONG or not group.settings & settings:
            return False
    elif group.kind not in KINDS.get(task, ()):
        return False
    if task == "token-embedding" and "probe" not in group.settings:
        return False
    if task in ("classification", "regression"):
        return (task == "regression") == _is_regression(group)
    return True


def _is_regression(group: Group) -> bool:
    return "regression" in group.subtask or any(
        word in group.metric for word in ("Spearman", "Pearson", "R2")
    )


def _made_in(group: Group, setting: str | None) -> bool:
    if setting is None or setting in group.settings:
        return True
    return setting in _TUNED and len(group.settings & _TUNED) == 2


def _usual_setting(groups: list[Group]) -> str | None:
    """The setting in which most results were made: settings are never mixed."""
    counts: dict[str, int] = {}
    for group in groups:
        for row in group.rows:
            counts[row[3]] = counts.get(row[3], 0) + 1
    return max(sorted(counts), key=counts.__getitem__, default=None)


def _said(asked: Requirements, domain: str | None, where: str | None, subtask: str | None) -> str:
    lost = []
    if where != domain:
        lost.append(f"none serves for {domain}; these results are of {where}")
    if asked.subtask and subtask is None:
        lost.append(f"none serves for {asked.subtask}; these results are of the task at large")
    return "; ".join(lost)
