"""The method by which published results become grades and tiers, on a table made by hand."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dnallm_core.evidence
import pytest
from dnallm_core.evidence.judge import Evidence
from dnallm_core.evidence.table import read_table
from dnallm_core.manifest.model import ModelManifest
from dnallm_core.resources import described
from dnallm_core.selection import Requirements, decide

Make = Callable[..., ModelManifest]
MODELS = ["lab/one", "lab/two", "lab/three", "RivalTool"]


def group(
    benchmark: str, evaluator: str, values: dict[int, float], **changes: Any
) -> dict[str, Any]:
    """Results of models by their place in MODELS; ``own`` names those of their own authors."""
    own, failed = changes.pop("own", ()), changes.pop("failed", ())
    first = len(json.dumps(values)) * 100 + len(benchmark)
    records = [
        [
            first + model,
            model,
            value,
            "fine-tuned",
            0,
            0,
            int(model in own),
            int(model in failed),
            None,
        ]
        for model, value in values.items()
    ]
    facts = {"benchmark": benchmark, "dataset": "d", "kind": "classification", "subtask": "promoter",
             "domain": "human", "metric": "MCC", "evaluator": evaluator, "records": records}  # fmt: skip
    return {**facts, **changes}


def evidence(*groups: dict[str, Any]) -> Evidence:
    models = [[name, name, int(name == "RivalTool")] for name in MODELS]
    return Evidence(
        read_table({"models": models, "sources": ["a paper"], "caveats": [], "groups": groups})
    )


def judged(make: Make, judge: Evidence, **asked: Any) -> dict[str, tuple[str | None, str | None]]:
    """(tier, grade) of each model."""
    models = [make(name.split("/")[1], aliases=(name,)) for name in MODELS[:3]]
    asked = {"task": "classification", "domain": "human", **asked}
    made = decide(Requirements.of(asked), models, described(80 * 10**9), judge)
    return {each.id: (each.tier, each.grade) for each in made.ranked}


def test_one_independent_benchmark_is_b_and_two_that_agree_with_it_a(make: Make) -> None:
    first = group("X", "independent", {0: 0.9, 1: 0.8})
    assert judged(make, evidence(first))["one"] == ("A", "B")
    second = group("Y", "model-authors", {0: 0.7, 1: 0.6})
    assert judged(make, evidence(first, second))["one"] == ("A", "A")


def test_benchmarks_that_contradict_each_other_make_no_a(make: Make) -> None:
    first = group("X", "independent", {0: 0.9, 1: 0.8, 2: 0.7})
    second = group("Y", "model-authors", {0: 0.5, 1: 0.6, 2: 0.7})
    assert judged(make, evidence(first, second))["one"][1] == "B"


def test_a_benchmark_of_the_family_supports_a_models_own_results_and_ranks_nothing(
    make: Make,
) -> None:
    """ "Family (checkpoint not stated)": the second benchmark's place 0 is no checkpoint of the zoo."""
    own = group("X", "model-authors", {0: 0.9, 1: 0.8, 2: 0.7})
    other = group("Y", "independent", {3: 0.9, 1: 0.5, 2: 0.4})
    content = {
        "models": [[name, name, 0] for name in (*MODELS[:3], "Toy (checkpoint not stated)")],
        "sources": ["a paper"], "caveats": [], "groups": [own, other],
    }  # fmt: skip
    table = read_table(content)
    names = {"Toy (checkpoint not stated)": {"models": [], "families": ["toys"], "why": "not said"}}
    models = [make(name.split("/")[1], aliases=(name,)) for name in MODELS[:3]]
    asked = Requirements.of({"task": "classification", "domain": "human"})
    without, supported = (
        decide(
            asked, models, described(80 * 10**9), Evidence(dataclasses.replace(table, names=each))
        )
        for each in ({}, names)
    )
    assert [each.grade for each in without.ranked if each.id == "one"] == ["C"]
    best = supported.ranked[0]
    assert (best.id, best.grade) == ("one", "A")
    assert "Y 1.00 of its family, checkpoint not stated" in best.reasons[0]
    assert [each.id for each in supported.ranked] == [each.id for each in without.ranked]
    assert all(key in supported.citations for key in best.evidence)


def test_the_models_own_authors_alone_are_c(make: Make) -> None:
    assert judged(make, evidence(group("X", "model-authors", {0: 0.9, 1: 0.8}, own=(0,)))) == {
        "one": ("A", "C"), "two": ("C", "C"), "three": (None, "D"),
    }  # fmt: skip


def test_two_rivals_that_agree_are_b(make: Make) -> None:
    both = [group(name, "model-authors", {0: 0.9, 1: 0.8}) for name in ("X", "Y")]
    assert judged(make, evidence(*both))["one"] == ("A", "B")


def test_within_a_hundredth_is_a_tie_that_cost_breaks(make: Make) -> None:
    judge = evidence(group("X", "independent", {0: 0.900, 1: 0.895, 2: 0.875}))
    models = [make("one", aliases=("lab/one",), parameters=10**9),
              make("two", aliases=("lab/two",), parameters=10**6),
              make("three", aliases=("lab/three",), parameters=10**5)]  # fmt: skip
    asked = Requirements.of({"task": "classification", "domain": "human"})
    made = decide(asked, models, described(80 * 10**9), judge)
    assert [(each.id, each.tier) for each in made.ranked] == [
        ("two", "A"), ("one", "A"), ("three", "B"),
    ]  # fmt: skip


def test_a_failed_run_counts_for_nothing(make: Make) -> None:
    judge = evidence(group("X", "independent", {0: 0.1, 1: 0.8}, failed=(0,)))
    assert judged(make, judge)["one"] == (None, "D")


def test_settings_are_never_mixed(make: Make) -> None:
    judge = evidence(group("X", "independent", {0: 0.9, 1: 0.8}))
    assert judged(make, judge, setting="probe")["one"] == (None, "D")


def test_another_domains_evidence_is_no_better_than_c_and_said_so(make: Make) -> None:
    judge = evidence(group("X", "independent", {0: 0.9, 1: 0.8}))
    assert judged(make, judge, domain="mouse")["one"] == ("A", "C")
    asked = Requirements.of({"task": "classification", "domain": "mouse"})
    made = decide(asked, [make("one", aliases=("lab/one",))], described(80 * 10**9), judge)
    assert (
        "Evidence: none serves for mouse; these results are of human; no grade above C."
        in made.notes
    )


def test_no_evidence_is_said_plainly(make: Make) -> None:
    judge = evidence(group("X", "independent", {0: 0.9, 1: 0.8}))
    asked = Requirements.of({"task": "generation", "domain": "virus"})
    model = make("one", aliases=("lab/one",), tasks=("generation",))
    made = decide(asked, [model], described(80 * 10**9), judge)
    assert "No evidence: no model has published results for generation, virus." in made.notes
    assert made.ranked[0].grade == "D"


def test_a_tool_outside_that_does_better_is_named_with_its_record(make: Make) -> None:
    judge = evidence(group("X", "independent", {0: 0.9, 1: 0.8, 3: 0.95}))
    asked = Requirements.of({"task": "classification", "domain": "human"})
    made = decide(asked, [make("one", aliases=("lab/one",))], described(80 * 10**9), judge)
    (note,) = [each for each in made.notes if "RivalTool" in each]
    assert note.startswith(
        "Outside the zoo, RivalTool does better: MCC 0.95 against 0.9 on X d [ev"
    )
    assert note.endswith(": a paper].")


def test_models_that_nobody_compared_are_said_to_be_so(make: Make) -> None:
    judge = evidence(group("X", "model-authors", {0: 0.9, 3: 0.8}, own=(0,)),
                     group("Y", "model-authors", {1: 0.9, 3: 0.8}, own=(1,)))  # fmt: skip
    models = [make("one", aliases=("lab/one",)), make("two", aliases=("lab/two",))]
    asked = Requirements.of({"task": "classification", "domain": "human"})
    made = decide(asked, models, described(80 * 10**9), judge)
    assert {each.tier for each in made.ranked} == {"A"}
    assert "Evidence: the models of tier A were not compared head to head." in made.notes


def test_an_alias_or_the_hub_name_finds_a_models_results(make: Make) -> None:
    judge = evidence(group("X", "independent", {0: 0.9, 1: 0.8}))
    asked = Requirements.of({"task": "classification"})
    models = [make("x", aliases=("LAB/One",)), make("y")]
    found = judge.standings(asked, models)
    assert set(found) == {"x"}


# --- what ships ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> Evidence:
    return dnallm_core.evidence.evidence()


def test_the_shipped_table_is_small_and_whole(shipped: Evidence) -> None:
    folder = Path(dnallm_core.evidence.__file__).parent
    assert (folder / "records.json.gz").stat().st_size < 400_000
    assert sum(len(group.results) for group in shipped.table.groups) > 3_500
    keys = [result.key for group in shipped.table.groups for result in group.results]
    assert len(keys) == len(set(keys))


def test_every_record_has_a_source_that_can_be_shown(shipped: Evidence) -> None:
    sources = {shipped.table.sources[r.source] for g in shipped.table.groups for r in g.results}
    assert all(len(source) > 8 for source in sources)
    assert not [source for source in sources if "index id" in source]


def test_every_label_that_stands_for_models_is_in_the_records(shipped: Evidence) -> None:
    assert set(shipped.table.names) <= set(shipped.table.models)


def test_no_label_is_left_without_a_meaning(shipped: Evidence) -> None:
    """A label is a hub id, or names.json says what it means, or it is no model of the zoo."""
    outside = {"AIDO.DNA", "RAGenome (168M)", "SegmentNT", "SpeciesLM"}
    unexplained = {
        name
        for place, name in enumerate(shipped.table.models)
        if place not in shipped.table.comparators
        and "/" not in name
        and name not in shipped.table.names
    }
    assert unexplained <= outside


def test_rules_on_outside_tools_use_words_and_records_that_exist(shipped: Evidence) -> None:
    path = Path(dnallm_core.evidence.__file__).with_name("outside.json")
    for rule in json.loads(path.read_text())["rules"]:
        assert rule["says"]
        assert rule["records"]
        assert all(key in shipped._all() for key in rule["records"])
        for name, options in rule["when"].items():
            for option in options:
                Requirements.of({name: option})
