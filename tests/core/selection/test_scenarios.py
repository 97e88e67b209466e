"""Questions whose answers are published, asked of the real catalog (see scenarios.toml)."""

from __future__ import annotations

import sys
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import pytest
from dnallm_core.catalog import catalog
from dnallm_core.choosing import read_requirements, resources_for
from dnallm_core.errors import RequirementError
from dnallm_core.evidence import evidence
from dnallm_core.manifest.model import ModelManifest
from dnallm_core.selection import Selection, decide

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCENARIOS: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("scenarios.toml").read_text(encoding="utf-8")
)["scenario"]
ANSWERED = [each for each in SCENARIOS if "contradiction" not in each]
NAMES = [each["name"] for each in SCENARIOS]


@lru_cache(maxsize=1)
def models() -> tuple[ModelManifest, ...]:
    return tuple(catalog().values())


@cache
def answer(name: str) -> Selection:
    scenario = SCENARIOS[NAMES.index(name)]
    requirements = read_requirements(None, scenario["ask"])
    return decide(requirements, models(), resources_for(requirements), evidence())


def known(names: list[str]) -> list[str]:
    """Those that an installed plugin or the registry has: a plugin's absence is no wrong answer."""
    return [name for name in names if any(model.id == name for model in models())]


def wrong(scenario: dict[str, Any], selection: Selection) -> list[str]:
    """What the answer lacks of what was expected, in sentences."""
    ranked = {each.id: each for each in selection.ranked}
    codes = {each.id: {reason.code for reason in each.reasons} for each in selection.rejected}
    place = {name: "ABC".find(each.tier) if each.tier else 3 for name, each in ranked.items()}
    best = min(place.values(), default=3)
    top = {name for name, tier in place.items() if tier == best and tier < 3}
    found = [
        f"{name} is not in the best tier"
        for name in known(scenario.get("top", []))
        if name not in top
    ]
    any_of = known(scenario.get("top_any", []))
    if any_of and not top & set(any_of):
        found.append(
            f"none of {', '.join(any_of)} is in the best tier, but {', '.join(sorted(top))}"
        )
    found += [f"{name} is in the best tier" for name in scenario.get("not_top", []) if name in top]
    for first, second in scenario.get("before", []):
        if len(known([first, second])) == 2 and not stands(first, ranked, place) < stands(
            second, ranked, place
        ):
            found.append(f"{first} does not stand before {second}")
    for name in known(scenario.get("accepted", [])):
        if name not in ranked:
            found.append(f"{name} is refused: {', '.join(sorted(codes[name]))}")
    for name, code in scenario.get("refused", {}).items():
        if known([name]) and code not in codes.get(name, set()):
            found.append(
                f"{name} is not refused for {code}, but {sorted(codes.get(name, ['ranked']))}"
            )
    for name, grades in scenario.get("grade", {}).items():
        if name in ranked and ranked[name].grade not in set(grades):
            found.append(f"{name} has grade {ranked[name].grade}, not {grades}")
        elif known([name]) and name not in ranked:
            found.append(f"{name} is refused: {', '.join(sorted(codes[name]))}")
    for name, word in scenario.get("warned", {}).items():
        if name in ranked and not any(word in each for each in ranked[name].warnings):
            found.append(f"{name} is not warned of {word}")
    if scenario.get("no_evidence"):
        found += [
            f"{name} has grade {each.grade}" for name, each in ranked.items() if each.grade != "D"
        ]
    if scenario.get("nothing") and ranked:
        found.append(f"{len(ranked)} models are ranked: {', '.join(list(ranked)[:5])}")
    for tool in scenario.get("outside", []):
        if not any(tool in note for note in selection.notes):
            found.append(f"no note names {tool}")
    return found


def stands(name: str, ranked: dict[str, Any], place: dict[str, int]) -> tuple[int, int]:
    """The tier, and beyond a tie the place in it; last where it is refused."""
    tier = place.get(name, 9)
    return tier, list(ranked).index(name) if tier in (1, 2) else 0


def test_there_are_fifty_and_more_each_with_its_source_and_its_reason() -> None:
    assert len(SCENARIOS) >= 50
    assert len(set(NAMES)) == len(SCENARIOS)
    assert all(len(each["from"]) > 20 and len(each["why"]) > 10 for each in SCENARIOS)


@pytest.mark.parametrize("scenario", ANSWERED, ids=[each["name"] for each in ANSWERED])
def test_the_answer_is_the_published_one(scenario: dict[str, Any]) -> None:
    selection = answer(scenario["name"])
    assert wrong(scenario, selection) == [], selection.explain(5)


@pytest.mark.parametrize("scenario", [each for each in SCENARIOS if "contradiction" in each],
                         ids=lambda each: str(each["name"]))  # fmt: skip
def test_demands_that_contradict_each_other_are_both_named(scenario: dict[str, Any]) -> None:
    with pytest.raises(RequirementError) as raised:
        read_requirements(None, scenario["ask"])
    assert all(name in str(raised.value) for name in scenario["contradiction"])


@pytest.mark.parametrize("scenario", ANSWERED, ids=[each["name"] for each in ANSWERED])
def test_every_claim_resolves_to_a_record_with_a_source(scenario: dict[str, Any]) -> None:
    selection = answer(scenario["name"])
    for decision in selection.ranked:
        if decision.tier is None:
            assert decision.evidence == ()
            continue
        assert decision.evidence
        for key in decision.evidence:
            assert key in decision.reasons[0]
            assert "; " in selection.citations[key]
