"""Capability queries: which models keep what is asked, judged on manifests alone.

One function a requirement that hardware has no part in. The
catalog's queries and the selector's refusals both stand on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import criteria
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
_READERS = {**criteria.READERS, "objective": criteria.one_of("objective", words.OBJECTIVES)}


def keeps(model: ModelManifest, requirements: dict[str, Any]) -> bool:
    """Whether a model keeps every requirement."""
    return all(_RULES[name](model, value) for name, value in requirements.items())


def checked(requirements: Mapping[str, Any]) -> dict[str, Any]:
    """The requirements that were given (not None), read from what people type.

    Raises RequirementError for a name or a word that does not exist (with the nearest), or for a
    value that cannot be read.
    """
    given = {}
    for name, value in requirements.items():
        if name not in _RULES:
            raise criteria.unknown(name, NAMES)
        if value is not None:
            given[name] = _READERS[name](value) if name in _READERS else value
    return given
