"""The kit in pytest: subclass, name the plugin, and every promise is a test of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from .conformance import Case, Conformance


class PluginConformance:
    """Hold one plugin to what it declares::

        class TestMine(PluginConformance):
            plugin = "dnallm-mine"
            known_failures = {"my-model::pins_its_weights": "its authors state no commit"}

    A known failure that does not fail is stale, and stale reasons fail.
    """

    plugin: ClassVar[str] = ""
    known_failures: ClassVar[Mapping[str, str]] = {}
    only: ClassVar[Sequence[str] | None] = None
    with_weights: ClassVar[bool] = False

    @classmethod
    def conformance(cls) -> Conformance:
        """The examination that all tests of the class share."""
        found: Conformance | None = cls.__dict__.get("_conformance")
        if found is None:
            found = Conformance(
                cls.plugin,
                known_failures=cls.known_failures,
                only=cls.only,
                with_weights=cls.with_weights,
            )
            cls._conformance = found  # type: ignore[attr-defined]
        return found

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """A test a promise and subject."""
        if "case" in metafunc.fixturenames:
            cases = type(self).conformance().cases()
            ids = [f"{each.check.code}-{each.subject}-{each.check.name}" for each in cases]
            metafunc.parametrize("case", cases, ids=ids)

    def test_promise(self, case: Case) -> None:
        """The promise is kept, cannot be asked here, or is broken for a reason given beforehand."""
        import pytest

        record = type(self).conformance().run(case)
        if record.status == "failed":
            pytest.fail(
                f"{record.code} {record.key}: {record.message}\n\n{case.check.promise}",
                pytrace=False,
            )
        if record.status == "excused":
            pytest.xfail(record.message)
        if record.status == "skipped":
            pytest.skip(record.message)

    def test_no_reason_is_stale(self) -> None:
        """Every known failure still fails."""
        import pytest

        conformance = type(self).conformance()
        for case in conformance.cases():
            conformance.run(case)
        stale = [f"{record.key}: {record.message}" for record in conformance.stale()]
        if stale:
            pytest.fail("\n".join(stale), pytrace=False)
