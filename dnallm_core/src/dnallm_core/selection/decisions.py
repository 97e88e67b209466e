"""What a selection is: a decision or a rejection for every model, with the reasons, as text or JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import values
from ..errors import UnknownModelError


@dataclass(frozen=True, slots=True)
class Check:
    """One requirement that a model keeps: the fact it was held against, and where that fact stands."""

    code: str
    message: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a model was refused: ``code`` is the requirement's name, ``fix`` the nearest change."""

    code: str
    needed: Any
    available: Any
    message: str
    fix: str

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "code": self.code,
            "needed": _plain(self.needed),
            "available": _plain(self.available),
            "message": self.message,
            "fix": self.fix,
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """A model that fits. ``tier``: A to C by published evidence, None without; ``grade``: A to D.

    ``reasons`` are sentences, one for each term of the ranking; ``terms`` the same as numbers;
    ``evidence`` the ids of the records that the claims rest on; ``memory_bytes`` for one device.
    """

    id: str
    family: str
    title: str
    installed: bool
    install: str
    tier: str | None
    grade: str | None
    dtype: str
    device: str
    devices: int
    memory_bytes: int
    memory_basis: str
    largest_length: int
    reasons: tuple[str, ...]
    terms: Mapping[str, float]
    evidence: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "id": self.id,
            "family": self.family,
            "title": self.title,
            "installed": self.installed,
            "install": self.install or None,
            "tier": self.tier,
            "grade": self.grade,
            "dtype": self.dtype,
            "devices": self.devices,
            "memory_bytes": self.memory_bytes,
            "memory_basis": self.memory_basis,
            "largest_length": self.largest_length,
            "reasons": list(self.reasons),
            "terms": dict(self.terms),
            "evidence": list(self.evidence),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class Rejection:
    """A model that was refused, with every reason."""

    id: str
    family: str
    reasons: tuple[Refusal, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "id": self.id,
            "family": self.family,
            "reasons": [reason.to_dict() for reason in self.reasons],
        }


def _none(model: str) -> Sequence[Check]:
    return ()


@dataclass(frozen=True, slots=True)
class Selection:
    """Every model's decision: ``ranked`` best first, ``rejected`` by how little they miss, ``notes``."""

    requirements: Mapping[str, Any]
    resources: Mapping[str, Any]
    ranked: tuple[Decision, ...]
    rejected: tuple[Rejection, ...]
    notes: tuple[str, ...] = ()
    citations: Mapping[str, str] = field(default_factory=dict)
    checks_of: Callable[[str], Sequence[Check]] = field(default=_none, repr=False, compare=False)

    @property
    def best(self) -> Decision | None:
        """The first of the ranked models, or None where nothing fits."""
        return self.ranked[0] if self.ranked else None

    @property
    def ids(self) -> tuple[str, ...]:
        """Every model that was decided on."""
        return (*(each.id for each in self.ranked), *(each.id for each in self.rejected))

    def to_dict(self) -> dict[str, Any]:
        """The envelope of ``dnallm select --json``."""
        return {
            "schema": 1,
            "requirements": {key: _plain(value) for key, value in self.requirements.items()},
            "resources": dict(self.resources),
            "ranked": [each.to_dict() for each in self.ranked],
            "rejected": [each.to_dict() for each in self.rejected],
            "changes": list(self.changes),
            "notes": list(self.notes),
            "citations": dict(self.citations),
        }

    @property
    def changes(self) -> tuple[str, ...]:
        """Where nothing fits: each requirement that alone stands in the way, and what would meet it.

        Where no model misses by one requirement alone, what the nearest one misses.
        """
        if self.ranked or not self.rejected:
            return ()
        alone: dict[str, list[Rejection]] = {}
        for each in self.rejected:
            codes = {reason.code for reason in each.reasons}
            if len(codes) == 1:
                alone.setdefault(codes.pop(), []).append(each)
        if not alone:
            nearest = self.rejected[0]
            return (f"no single one: the nearest, {nearest.id}, {_refused(nearest.reasons)}",)
        most = sorted(alone.items(), key=lambda item: (-len(item[1]), item[0]))
        return tuple(
            f"{code}: {len(models)} {'model misses' if len(models) == 1 else 'models miss'} by it "
            f"alone; the nearest, {models[0].id}, {_refused(models[0].reasons)}"
            for code, models in most
        )

    def explain(self, shown: int = 10) -> str:
        """The selection as text: what was asked, the first models with every term, what was refused."""
        lines = [f"Asked: {_asked(self.requirements)}.", f"For: {_machine(self.resources)}."]
        for number, each in enumerate(self.ranked[:shown], 1):
            lines += ["", f"{number}. {_headline(each)}", *_indented(each)]
        if len(self.ranked) > shown:
            lines += ["", f"{len(self.ranked) - shown} more fit."]
        if not self.ranked:
            lines += ["", "Nothing fits."]
            if changes := self.changes:
                lines += ["Change one of these requirements:"]
                lines += [f"  {each}" for each in changes]
        if self.rejected:
            lines += ["", f"{len(self.rejected)} refused:"]
            lines += [f"  {code}: {count}" for code, count in _counted(self.rejected)]
            lines += ["  the nearest:"]
            lines += [f"    {each.id}: {_refused(each.reasons)}" for each in self.rejected[:5]]
        lines += [f"\nNote: {note}" for note in self.notes]
        return "\n".join(lines)

    def why(self, model: str) -> str:
        """One model's decision in full: each requirement, the fact it was held against, its source.

        Raises UnknownModelError for an id that is in neither list.
        """
        for each in self.ranked:
            if each.id == model:
                lines = [_headline(each), *_indented(each), "  Held against what was asked:"]
                for check in self.checks_of(model):
                    source = f" [{check.source}]" if check.source else ""
                    lines.append(f"    {check.code}: {check.message}{source}")
                lines += [f"  {key}: {self.citations[key]}" for key in each.evidence
                          if key in self.citations]  # fmt: skip
                return "\n".join(lines)
        for refused in self.rejected:
            if refused.id == model:
                lines = [f"{model} is refused:"]
                for reason in refused.reasons:
                    lines.append(f"  {reason.code}: {reason.message}.")
                    if reason.fix:
                        lines.append(f"    {reason.fix}.")
                return "\n".join(lines)
        raise UnknownModelError(model, self.ids)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (tuple, set, frozenset)) else value


def _asked(requirements: Mapping[str, Any]) -> str:
    parts = []
    for name, value in requirements.items():
        if value is None:
            continue
        if name == "length":
            value = values.show_length(value)
        elif name == "memory":
            value = values.show_memory(value)
        elif name == "time":
            value = values.show_duration(value)
        elif isinstance(value, (tuple, list)):
            value = ", ".join(value)
        parts.append(f"{name} = {value}")
    return "; ".join(parts) or "nothing in particular"


def _machine(resources: Mapping[str, Any]) -> str:
    devices: Sequence[Mapping[str, Any]] = resources.get("devices", ())
    if not devices:
        return str(resources.get("source", "this machine"))
    shown = [f"{each['name']} with {values.show_memory(each['memory'])}" for each in devices]
    listed = shown[0] if len(set(shown)) == 1 else ", ".join(shown)
    return (f"{len(devices)} x " if len(shown) > 1 and len(set(shown)) == 1 else "") + listed


def _headline(each: Decision) -> str:
    tier = f"tier {each.tier}, evidence grade {each.grade}" if each.tier else (
        "no evidence" if each.grade == "D" else "not ranked by evidence"
    )  # fmt: skip
    return f"{each.id} ({each.title}): {tier}"


def _indented(each: Decision) -> list[str]:
    lines = [f"   {reason}" for reason in each.reasons]
    lines += [f"   Note: {warning}" for warning in each.warnings]
    if not each.installed and each.install:
        lines.append(f"   Not installed: {each.install}")
    return lines


def _refused(reasons: Sequence[Refusal]) -> str:
    return "; ".join(
        f"{each.message} ({each.fix})" if each.fix else each.message for each in reasons
    )


def _counted(rejected: Sequence[Rejection]) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for each in rejected:
        for reason in each.reasons:
            counts[reason.code] = counts.get(reason.code, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
