"""One view over the models of installed plugins and, for the rest, the registry's rows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from . import capabilities, index, values
from .errors import PluginError, UnknownModelError
from .manifest.model import ModelManifest
from .plugins import Discovery, InstalledPlugin, PluginProblem, discover


class Catalog(Mapping[str, ModelManifest]):
    """Models by id, in the order of their ids.

    An id that two plugins claim stands as ``distribution/id`` for each; ``problems`` says so, and
    the bare id is an error. An installed manifest wins over the registry's row.
    """

    def __init__(self, discovery: Discovery, known: tuple[index.KnownPlugin, ...] = ()) -> None:
        self.plugins: tuple[InstalledPlugin, ...] = discovery.plugins
        self.known = known
        self._problems = list(discovery.problems)
        self._tiers = {each.digest: each.tier for each in reversed(known) if each.digest}
        self._models, self._clashes = self._gathered("models")
        self._families, self._family_clashes = self._gathered("families")

    @property
    def problems(self) -> tuple[PluginProblem, ...]:
        """What is wrong with installed plugins, one entry each."""
        return tuple(self._problems)

    # --- as a mapping -------------------------------------------------------------------------

    def __getitem__(self, name: str) -> ModelManifest:
        return ModelManifest.from_row(self.row(name))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._id_of(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def row(self, name: str) -> dict[str, Any]:
        """The plain row of a model by id, ``distribution/id`` or alias (letter case ignored)."""
        key = self._id_of(name)
        if key is None:
            if name.lower() in self._clashes:
                raise PluginError(
                    f"{name!r} is claimed by {' and '.join(self._clashes[name.lower()])}.",
                    hint=f"Say which: {' or '.join(f'{d}/{name}' for d in self._clashes[name.lower()])}.",
                )
            raise UnknownModelError(name, [*self._models, *self._aliases, *self._families])
        return self._models[key]

    @property
    def rows(self) -> Mapping[str, dict[str, Any]]:
        """The plain rows of all models by id."""
        return self._models

    # --- questions ----------------------------------------------------------------------------

    def family(self, name: str) -> ModelManifest | None:
        """What a family declares for any checkpoint of it, or None for an unknown family."""
        key = name.lower()
        if key in self._family_clashes:
            owners = self._family_clashes[key]
            raise PluginError(
                f"The family {name!r} is claimed by {' and '.join(owners)}.",
                hint=f"Say which: {' or '.join(f'{owner}/{key}' for owner in owners)}.",
            )
        row = self._families.get(key)
        return ModelManifest.from_row(row) if row is not None else None

    @property
    def _distributions(self) -> tuple[str, ...]:
        installed = {each.distribution for each in self.plugins}
        return tuple(sorted(installed | {each.distribution for each in self.known}))

    @property
    def families(self) -> tuple[str, ...]:
        """Ids of all families."""
        return tuple(self._families)

    def query(
        self,
        *,
        task: str | None = None,
        length: int | str | None = None,
        direction: str | None = None,
        architecture: str | None = None,
        objective: str | None = None,
        scaling: str | None = None,
        resolution: float | None = None,
        inputs: tuple[str, ...] | str | None = None,
        licence: str | None = None,
        trained_on: str | None = None,
        family: str | None = None,
        plugin: str | None = None,
        installed: bool | None = None,
    ) -> list[ModelManifest]:
        """The models that keep everything asked, in the order of their ids.

        ``length`` in bp or as ``"12kb"``; ``scaling`` a ceiling on time; ``resolution`` bp a token
        at most; ``inputs`` what is at hand beside a sequence. Raises RequirementError for a word
        that does not exist.
        """
        asked = {key: value for key, value in locals().items() if key != "self"}
        return [ModelManifest.from_row(row) for row in self.rows_keeping(asked)]

    def rows_keeping(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The plain rows of the models that keep ``asked``: requirements by name, as for ``query``."""
        requirements = capabilities.checked(asked)
        for name, known in (("family", self.families), ("plugin", self._distributions)):
            if name in requirements:
                requirements[name] = values.word(requirements[name], known, name)
        if not requirements:
            return list(self._models.values())
        return [
            row
            for row in self._models.values()
            if capabilities.keeps(ModelManifest.from_row(row), requirements)
        ]

    # --- how it comes about -------------------------------------------------------------------

    def _gathered(self, kind: str) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
        claims: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        for plugin in self.plugins:
            place = {
                "plugin": plugin.distribution,
                "installed": True,
                "install": "",
                "tier": self._tiers.get(plugin.digest),
            }
            for key, row in plugin.rows.get(kind, {}).items():
                claims.setdefault(key, []).append((plugin.distribution, {**row, **place}))
        installed = {plugin.distribution for plugin in self.plugins}
        for known in self.known:
            if known.distribution in installed:
                continue
            place = {
                "plugin": known.distribution,
                "installed": False,
                "install": known.install,
                "tier": known.tier,
            }
            for key, row in known.rows.get(kind, {}).items():
                if key not in claims:  # what is installed wins over what is only known
                    claims[key] = [(known.distribution, {**row, **place})]
        gathered: dict[str, dict[str, Any]] = {}
        clashes: dict[str, list[str]] = {}
        for key in sorted(claims):
            owners = claims[key]
            if len(owners) == 1:
                gathered[key] = owners[0][1]
                continue
            clashes[key] = [owner for owner, _ in owners]
            for owner, row in owners:
                gathered[f"{owner}/{key}"] = {**row, "id": f"{owner}/{key}"}
            noun = "model" if kind == "models" else "family"
            version = next(p.version for p in self.plugins if p.distribution == owners[-1][0])
            self._problems.append(
                PluginProblem(
                    owners[-1][0],
                    version,
                    "clash",
                    f"the {noun} {key!r} is declared by {' and '.join(clashes[key])}; it stands as "
                    f"{' and '.join(f'{owner}/{key}' for owner in clashes[key])}.",
                )
            )
        return gathered, clashes

    @cached_property
    def _aliases(self) -> dict[str, str | None]:
        aliases: dict[str, str | None] = {}
        for key, row in self._models.items():
            for alias in (f"{row['plugin']}/{key}", *row.get("aliases", ())):
                lower = alias.lower()
                aliases[lower] = key if aliases.get(lower, key) == key else None
        return aliases

    def _id_of(self, name: str) -> str | None:
        if name in self._models:
            return name
        lower = name.lower()
        if lower in self._models:
            return lower
        found = self._aliases.get(lower, "")
        if found is None:
            owners = sorted(
                key
                for key, row in self._models.items()
                if lower in (alias.lower() for alias in row.get("aliases", ()))
            )
            raise PluginError(
                f"{name!r} is a name of {' and of '.join(owners)}.", hint="Use one of those ids."
            )
        return found or None


def catalog() -> Catalog:
    """The models of this environment: installed plugins read now, the registry for the rest."""
    known = index.read()
    discovery = discover({each.digest: each.rows for each in known})
    if os.environ.get("DNALLM_REGISTRY"):
        from .index.further import further

        more, problems = further()
        discovery = Discovery(discovery.plugins, (*discovery.problems, *problems))
        known = (*more, *known)
    return Catalog(discovery, known)
