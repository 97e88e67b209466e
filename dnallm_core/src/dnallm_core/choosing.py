"""``select``: what the task needs and what this machine has -> the models that fit, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from . import values
from .catalog import Catalog, catalog
from .errors import RequirementError
from .footprint.records import Records, overlay_path
from .manifest.model import ModelManifest
from .resources import Resources, described, this_machine
from .selection.decisions import Selection
from .selection.requirements import Requirements, read_file
from .selection.selector import decide


def select(
    requirements: str | Path | Mapping[str, Any] | None = None,
    *,
    zoo: Catalog | None = None,
    resources: Resources | None = None,
    **given: Any,
) -> Selection:
    """A decision for every model of the catalog, best first, for what is asked.

    ``given``: requirements by name (``task="variant-effect", length="12kb", memory="24GB"``);
    ``requirements``: a TOML file or a mapping of them, which ``given`` overrules. The machine is
    this one unless ``memory``, ``gpu`` or ``resources`` describes another.

    Raises RequirementError for what is unknown, unreadable or contradictory.
    """
    asked = read_requirements(requirements, given)
    models = zoo if zoo is not None else catalog()
    manifests = list(models.values())
    return decide(
        asked,
        manifests,
        resources if resources is not None else resources_for(asked),
        evidence=_evidence() if asked.task else None,
        footprint=Records(overlay_path()),
        local=_local(asked, manifests),
    )


def read_requirements(
    source: str | Path | Mapping[str, Any] | None, given: Mapping[str, Any]
) -> Requirements:
    """The requirements of a file or mapping, overruled by those given; lengths read where asked."""
    table = dict(source) if isinstance(source, Mapping) else read_file(source) if source else {}
    merged = {key.replace("-", "_"): value for key, value in table.items()}
    merged.update({key: value for key, value in given.items() if value is not None})
    if merged.get("lengths_from") is not None:
        from .selection.lengths import read_lengths

        found = read_lengths(str(merged["lengths_from"]))
        merged.setdefault("sequences", found.number)
        said = Requirements.of({"length": merged.setdefault("length", found.longest)}).length
        if said is not None and said < found.longest:
            raise RequirementError(
                f"length = {values.show_length(said)} and lengths_from contradict each other: the "
                f"longest entry of {merged['lengths_from']} has {values.show_length(found.longest)}.",
                requirement="length",
                hint="Leave one of the two out.",
            )
    return Requirements.of(merged)


def resources_for(asked: Requirements) -> Resources:
    """What was described, else this machine."""
    if asked.memory is None and asked.gpu is None and asked.devices is None:
        return this_machine()
    return described(asked.memory, asked.gpu, asked.devices)


def _evidence() -> Any:
    from . import evidence

    return evidence.evidence()


def _local(asked: Requirements, manifests: Collection[ModelManifest]) -> Collection[str]:
    """Ids of the models whose weights are here; looked for only where it was asked."""
    if asked.weights != "local":
        return ()
    try:
        from .weights import is_local
    except ImportError:
        return ()
    return {model.id for model in manifests if is_local(model)}
