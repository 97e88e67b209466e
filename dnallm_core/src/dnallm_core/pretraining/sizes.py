"""The configuration that ``--size`` names: that of a listed model of the family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..catalog import Catalog
from ..errors import RequirementError, UnknownModelError, did_you_mean, nearest
from ..manifest.model import ModelManifest


def family_of(zoo: Catalog, name: str) -> ModelManifest:
    """What a family declares; UnknownModelError where there is none of that name."""
    facts = zoo.family(name)
    if facts is None:
        close = did_you_mean(nearest(name, zoo.families))
        raise UnknownModelError(name, zoo.families, hint=close or "`dnallm models` lists families.")
    return facts


def configuration(zoo: Catalog, facts: ModelManifest, size: str) -> Mapping[str, Any]:
    """Of the model of this family whose id is ``size``, or ends with it (``tiny``).

    Raises RequirementError where none or several are meant, and lists the sizes that there are.
    """
    own = {name: zoo[name] for name, row in zoo.rows.items() if row["family"] == facts.family}
    chosen = [name for name in own if name == size]
    chosen = chosen or [name for name in own if name.endswith(f"-{size}")]
    usable = [name for name in chosen if own[name].config]
    if len(usable) == 1:
        return own[usable[0]].config
    there = ", ".join(name for name in own if own[name].config) or "none"
    problem = "no one configuration" if chosen else "no model"
    raise RequirementError(
        f"{facts.title or facts.family} has {problem} of size {size!r}.",
        requirement="size",
        hint=f"Sizes of {facts.family}: {there}; or give --config FILE.json.",
    )
