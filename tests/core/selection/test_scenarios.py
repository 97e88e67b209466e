"""Fifty questions whose answers are published, asked of the real catalog (see scenarios.toml)."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from dnallm_core.catalog import catalog
from dnallm_core.choosing import read_requirements, resources_for
from dnallm_core.evidence import evidence
from dnallm_core.manifest.model import ModelManifest
from dnallm_core.selection import Decision, Selection, decide

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCENARIOS: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("scenarios.toml").read_text(encoding="utf-8")
)["scenario"]
GRADES = "ABCD"


@lru_cache(maxsize=1)
def models() -> tuple[ModelManifest, ...]:
    return tuple(catalog().values())


def answer(asked: dict[str, Any]) -> Selection:
    """The answer on a described machine, so that it is the same on every one."""
    if not {"memory", "gpu"} & asked.keys():
        asked = {**asked, "memory": "80GB"}
    requirements = read_requirements(None, asked)
    return decide(requirements, models(), resources_for(requirements), evidence())


def named(scenario: dict[str, Any]) -> list[str]:
    """Every family or id prefix whose presence the scenario is about."""
    pairs = [name for pair in scenario.get("before", ()) for name in pair]
    return [*scenario.get("first", ()), *scenario.get("among", ()), *scenario.get("fits", ()),
            *scenario.get("refused", {}), *pairs]  # fmt: skip


def known(name: str) -> bool:
    return any(model.family == name or model.id.startswith(name) for model in models())


def test_there_are_fifty_each_with_its_source() -> None:
    assert len(SCENARIOS) >= 50
    assert all(len(scenario["source"]) > 10 for scenario in SCENARIOS)
    assert len({scenario["name"] for scenario in SCENARIOS}) == len(SCENARIOS)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[each["name"] for each in SCENARIOS])
def test_the_answer_is_the_published_one(scenario: dict[str, Any]) -> None:
    if named(scenario) and not any(known(name) for name in named(scenario)):
        pytest.skip("no installed plugin has a model that this is about")
    selection = answer(scenario["asked"])
    told = selection.explain(5)
    order = [each.id for each in selection.ranked]
    if selection.ranked:
        check_the_first(scenario, selection, told)
    for first, second in scenario.get("before", ()):
        places = [[n for n, each in enumerate(order) if each.startswith(name)]
                  for name in (first, second)]  # fmt: skip
        if all(places):
            assert min(places[0]) < min(places[1]), told
    for prefix, code in scenario.get("refused", {}).items():
        assert not any(each.startswith(prefix) for each in order), told
        for each in selection.rejected:
            if each.id.startswith(prefix):
                assert code in [reason.code for reason in each.reasons], each
    for prefix in scenario.get("fits", ()):
        if known(prefix):
            assert any(each.startswith(prefix) for each in order), told
    for word in scenario.get("notes", ()):
        assert any(word in note for note in selection.notes), selection.notes


def check_the_first(scenario: dict[str, Any], selection: Selection, told: str) -> None:
    best: Decision = selection.ranked[0]
    firsts = [family for family in scenario.get("first", ()) if known(family)]
    if firsts:
        assert best.family in firsts, told
    assert best.family not in scenario.get("not_first", ()), told
    leading = {each.family for each in selection.ranked if each.tier == "A"} | {best.family}
    for family in scenario.get("among", ()):
        if known(family):
            assert family in leading, told
    if "grade_at_most" in scenario:
        assert best.grade is not None
        assert GRADES.index(best.grade) >= GRADES.index(scenario["grade_at_most"]), told


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[each["name"] for each in SCENARIOS])
def test_every_claim_resolves_to_a_record_with_a_source(scenario: dict[str, Any]) -> None:
    selection = answer(scenario["asked"])
    for decision in selection.ranked:
        if decision.tier is None:
            assert decision.evidence == ()
            continue
        assert decision.evidence
        for key in decision.evidence:
            assert key in decision.reasons[0]
            assert "; " in selection.citations[key]
