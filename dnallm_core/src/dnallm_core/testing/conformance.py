"""Every check on everything that a plugin declares, one at a time or all together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from importlib import metadata
from typing import Any

from ..catalog import Catalog
from ..errors import DnallmError, PluginError, did_you_mean, nearest
from ..manifest.model import ModelManifest
from ..plugins import MANIFESTS, discover
from . import costs, learns, listed, reproduces, runs, strict, true  # noqa: F401  (they register checks)
from .offline import no_network
from .promise import CHECKS, Broken, Check, NotApplicable
from .report import Record, Report, Status
from .subject import FamilySubject, ModelSubject, PluginSubject


@dataclass(frozen=True, slots=True)
class Case:
    """One check and the id of what it is asked about."""

    subject: str
    check: Check

    @property
    def key(self) -> str:
        """``subject::check``, as a known failure names it."""
        return f"{self.subject}::{self.check.name}"


class Conformance:
    """A plugin under examination.

    ``plugin``: its distribution or entry-point name. ``known_failures``: ``subject::check`` (stars
    stand for anything) -> why it fails; such a breach is excused, and a reason without a breach is
    stale, which is a failure. ``only``: subjects to which families and models are narrowed.
    ``with_weights``: also ask the published weights, where they are already on this machine.
    """

    def __init__(
        self,
        plugin: str,
        *,
        known_failures: Mapping[str, str] | None = None,
        only: Sequence[str] | None = None,
        with_weights: bool = False,
    ) -> None:
        discovery = discover()
        zoo = Catalog(discovery)
        found = [p for p in discovery.plugins if plugin in (p.name, p.distribution)]
        asked = {plugin, *_distributions(plugin)}
        problems = [p for p in discovery.problems if p.distribution in asked]
        if not found and not problems:
            names = [name for p in discovery.plugins for name in (p.distribution, p.name)]
            raise PluginError(
                f"No plugin called {plugin!r} is installed.",
                hint=did_you_mean(nearest(plugin, names)) or "`dnallm plugins` lists them.",
            )
        self.known_failures = dict(known_failures or {})
        self.only = None if only is None else set(only)
        self.with_weights = with_weights
        first = found[0] if found else None
        self.plugin = PluginSubject(
            name=plugin,
            distribution=first.distribution if first else problems[0].distribution,
            version=first.version if first else problems[0].version,
            plugin=first,
            problems=tuple(problems),
            zoo=zoo,
        )
        self._records: dict[str, Record] = {}
        self._broken: dict[str, str] = {}
        self._subjects: dict[str, Any] = {self.plugin.distribution: self.plugin}
        self._families: dict[str, FamilySubject] = {}
        if first is not None:
            self._gather()

    def _gather(self) -> None:
        installed = self.plugin.installed
        place = {"plugin": installed.distribution, "installed": True, "install": ""}
        for key, row in installed.rows["families"].items():
            facts = ModelManifest.from_row({**row, **place})
            self._families[key] = FamilySubject(facts)
            if self.only is None or key in self.only:
                self._subjects[key] = self._families[key]
        for key, row in installed.rows["models"].items():
            if self.only is not None and key not in self.only:
                continue
            facts = ModelManifest.from_row({**row, **place})
            name = key if key not in self._subjects else f"model {key}"
            self._subjects[name] = ModelSubject(
                facts,
                self._families.get(facts.family) or FamilySubject(facts),
                installed.path.parent,
                row,
                self.with_weights,
            )

    def cases(self) -> list[Case]:
        """Everything that is to be asked, in order; nothing of the plugin is imported for it."""
        kinds = {"plugin": PluginSubject, "family": FamilySubject, "model": ModelSubject}
        return [
            Case(name, each)
            for each in sorted(CHECKS, key=lambda each: each.code)
            for name, subject in self._subjects.items()
            if isinstance(subject, kinds[each.about])
        ]

    def run(self, case: Case) -> Record:
        """The record of one case; asked twice, it is run once."""
        if case.key not in self._records:
            self._records[case.key] = self._excused(case, self._examined(case))
        return self._records[case.key]

    def report(self, progress: Callable[[Record], None] | None = None) -> Report:
        """Run everything."""
        for case in self.cases():
            record = self.run(case)
            if progress is not None:
                progress(record)
        return Report(
            self.plugin.distribution,
            self.plugin.version,
            (*self._records.values(), *self.stale()),
        )

    def stale(self) -> Iterator[Record]:
        """Known failures that excuse nothing: nothing fails there any more, or no such check exists."""
        for pattern, reason in self.known_failures.items():
            if any(
                record.status == "excused" and fnmatchcase(key, pattern)
                for key, record in self._records.items()
            ):
                continue
            subject, _, name = pattern.partition("::")
            yield Record(
                subject,
                "C000",
                name,
                "listed",
                "stale",
                f"nothing fails there: {reason!r} is stale",
            )

    def _excused(self, case: Case, record: Record) -> Record:
        if record.status != "failed":
            return record
        for pattern, reason in self.known_failures.items():
            if fnmatchcase(case.key, pattern):
                return replace(record, status="excused", message=f"{reason} [{record.message}]")
        return record

    def _examined(self, case: Case) -> Record:
        subject = self._subjects[case.subject]
        family = _family_of(subject)
        attempts = family.network_attempts if family is not None else []
        start = time.perf_counter()
        status: Status = "passed"
        message = ""
        try:
            with no_network(attempts):
                case.check.run(subject)
        except NotApplicable as reason:
            status, message = "skipped", str(reason)
        except Broken as broken:
            status, message = "failed", str(broken)
        except DnallmError as error:
            status, message = "failed", str(error)
        except Exception as error:  # a stranger's network may fail in any way
            status, message = "failed", f"{type(error).__name__}: {error}"
        return Record(
            case.subject,
            case.check.code,
            case.check.name,
            case.check.tier,
            status,
            message.strip(),
            time.perf_counter() - start,
        )


def check_plugin(plugin: str, **settings: Any) -> Report:
    """Hold an installed plugin to everything that it declares; ``settings`` as ``Conformance``'s."""
    return Conformance(plugin, **settings).report()


def _family_of(subject: Any) -> FamilySubject | None:
    if isinstance(subject, FamilySubject):
        return subject
    return subject.family if isinstance(subject, ModelSubject) else None


def _distributions(name: str) -> set[str]:
    """The distributions whose entry point carries ``name``."""
    entries = metadata.entry_points(group=MANIFESTS, name=name)
    return {str(entry.dist.name) for entry in entries if entry.dist is not None}
