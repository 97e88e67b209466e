"""Capability queries: which models keep what is asked, judged on manifests alone.

One function a requirement of the table in DESIGN's section 7 that hardware has no part in. The
catalog's queries and the selector's refusals both stand on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import RequirementError, did_you_mean, nearest
from .manifest import words
from .manifest.model import ModelManifest


def can_do(model: ModelManifest, task: str) -> bool:
    """Whether the implementation can be asked for ``task``."""
    return task in model.tasks


def takes_length(model: ModelManifest, length: int) -> bool:
    """Whether an input of ``length`` bp is within what the model was made for."""
    return model.length_limit == "none" or model.max_length is None or length <= model.max_length


def scales_within(model: ModelManifest, ceiling: str) -> bool:
    """Whether time grows no faster than ``ceiling``."""
    return words.GROWTHS.index(model.scaling.time) <= words.GROWTHS.index(ceiling)


def resolves(model: ModelManifest, resolution: float) -> bool:
    """Whether a token stands for at most ``resolution`` bp."""
    return model.resolution is not None and model.resolution <= resolution


def needs_only(model: ModelManifest, inputs: tuple[str, ...]) -> bool:
    """Whether ``inputs`` (and a sequence) are all that it reads."""
    return set(model.inputs) <= {"sequence", *inputs}


def is_licensed(model: ModelManifest, licence: str) -> bool:
    """Whether its terms satisfy ``any``, ``commercial`` or one of some SPDX ids (by commas)."""
    if licence == "any":
        return True
    if licence == "commercial":
        return model.licence.commercial is True
    wanted = {part.strip().lower() for part in licence.split(",")}
    return (model.licence.id or "").lower() in wanted


_RULES: dict[str, Callable[[ModelManifest, Any], bool]] = {
    "task": can_do,
    "trained_on": lambda model, domain: domain in model.trained_on.domains,
    "length": takes_length,
    "direction": lambda model, direction: model.direction == direction,
    "architecture": lambda model, architecture: model.architecture == architecture,
    "objective": lambda model, objective: model.objective == objective,
    "scaling": scales_within,
    "resolution": resolves,
    "inputs": needs_only,
    "licence": is_licensed,
    "family": lambda model, family: model.family == family,
    "plugin": lambda model, plugin: model.plugin == plugin,
    "installed": lambda model, installed: model.installed is installed,
}
NAMES = tuple(_RULES)
_WORDS = {
    "task": words.TASKS,
    "trained_on": words.DOMAINS,
    "direction": words.DIRECTIONS,
    "architecture": words.ARCHITECTURES,
    "objective": words.OBJECTIVES,
    "scaling": words.GROWTHS,
}


def keeps(model: ModelManifest, requirements: dict[str, Any]) -> bool:
    """Whether a model keeps every requirement."""
    return all(_RULES[name](model, value) for name, value in requirements.items())


def checked(requirements: dict[str, Any]) -> dict[str, Any]:
    """The requirements that were given (not None), names and words proved to exist."""
    given = {name: value for name, value in requirements.items() if value is not None}
    for name, value in given.items():
        if name not in _RULES:
            raise RequirementError(
                f"There is no requirement {name!r}.",
                requirement=name,
                hint=did_you_mean(nearest(name, _RULES)) or f"There are: {', '.join(NAMES)}.",
            )
        options = _WORDS.get(name)
        if options and value not in options:
            raise RequirementError(
                f"{name} cannot be {value!r}.",
                requirement=name,
                hint=did_you_mean(nearest(str(value), options)) or f"One of {', '.join(options)}.",
            )
    if isinstance(given.get("length"), str):
        given["length"] = parse_length(given["length"])
    if isinstance(given.get("inputs"), str):
        given["inputs"] = tuple(part.strip() for part in given["inputs"].split(","))
    return given


_UNITS = {"": 1, "b": 1, "bp": 1, "k": 1_000, "kb": 1_000, "kbp": 1_000, "m": 1_000_000,
          "mb": 1_000_000, "mbp": 1_000_000, "g": 1_000_000_000, "gb": 1_000_000_000,
          "gbp": 1_000_000_000}  # fmt: skip


def parse_length(text: str | int) -> int:
    """Base pairs from ``12000``, ``"12_000"``, ``"12kb"`` or ``"1.5Mb"``."""
    import re

    found = re.fullmatch(r"\s*([0-9][0-9_,]*(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", str(text))
    unit = _UNITS.get(found[2].lower()) if found else None
    if found is None or unit is None:
        raise RequirementError(
            f"{text!r} is no length.", requirement="length", hint='Write 12000, "12kb" or "1Mb".'
        )
    length = round(float(found[1].replace("_", "").replace(",", "")) * unit)
    if length < 1:
        raise RequirementError(f"A length of {length} bp is none.", requirement="length")
    return length
