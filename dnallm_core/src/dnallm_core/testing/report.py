"""What a run of the kit found: records, the tier that they grant, and their forms for programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal
from xml.etree import ElementTree

from .promise import TIERS, Tier

Status = Literal["passed", "failed", "skipped", "excused", "stale"]


@dataclass(frozen=True, slots=True)
class Record:
    """One promise held against one subject.

    ``excused``: broken, with a reason given beforehand; ``stale``: such a reason without a breach.
    """

    subject: str
    code: str
    name: str
    tier: Tier
    status: Status
    message: str = ""
    seconds: float = 0.0

    @property
    def key(self) -> str:
        """What a known failure is called: ``subject::check``."""
        return f"{self.subject}::{self.name}"


@dataclass(frozen=True, slots=True)
class Report:
    """All records of one plugin."""

    plugin: str
    version: str
    records: tuple[Record, ...]

    @property
    def failures(self) -> tuple[Record, ...]:
        """Broken promises and stale excuses."""
        return tuple(each for each in self.records if each.status in ("failed", "stale"))

    @property
    def passed(self) -> bool:
        """Whether nothing is broken beyond what was said beforehand."""
        return not self.failures

    def tier(self, subjects: Iterable[str] | None = None) -> Tier | None:
        """The highest tier whose promises, and those of all tiers below, are kept without excuse.

        ``subjects`` narrows it to some. A tier of which nothing was checked is not granted.
        """
        wanted = None if subjects is None else set(subjects)
        granted: Tier | None = None
        for tier in TIERS:
            found = [
                each.status
                for each in self.records
                if each.tier == tier and (wanted is None or each.subject in wanted)
            ]
            if "passed" not in found or {"failed", "excused", "stale"} & set(found):
                break
            granted = tier
        return granted

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "plugin": self.plugin,
            "version": self.version,
            "tier": self.tier(),
            "passed": self.passed,
            "records": [asdict(each) for each in self.records],
        }

    def to_junit(self) -> str:
        """JUnit's XML, as continuous integration reads it."""
        suite = ElementTree.Element(
            "testsuite",
            name=f"dnallm check {self.plugin}",
            tests=str(len(self.records)),
            failures=str(len(self.failures)),
            skipped=str(sum(each.status in ("skipped", "excused") for each in self.records)),
        )
        for each in self.records:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                classname=each.subject,
                name=f"{each.code} {each.name}",
                time=f"{each.seconds:.3f}",
            )
            if each.status in ("failed", "stale"):
                ElementTree.SubElement(case, "failure", message=each.message)
            elif each.status != "passed":
                ElementTree.SubElement(case, "skipped", message=each.message)
        return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
