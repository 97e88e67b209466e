from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from dnallm_core.errors import UnknownModelError
from dnallm_core.manifest.model import Licence, ModelManifest, Scaling, TrainedOn
from dnallm_core.resources import described
from dnallm_core.selection import Requirements, Selection, decide
from hypothesis import given, settings
from hypothesis import strategies as st

Make = Callable[..., ModelManifest]
GB = 10**9


def zoo() -> list[ModelManifest]:
    """Thirty models that differ in everything a requirement can be about."""
    chance = random.Random(7)
    models = []
    for number in range(30):
        kind = chance.choice(["encoder-transformer", "decoder-transformer", "state-space", "hybrid",
                              "long-convolution", "convolutional"])  # fmt: skip
        causal = kind in ("decoder-transformer", "hybrid", "long-convolution")
        growth = chance.choice(["linear", "n-log-n", "quadratic"])
        tasks = ["embedding", "classification", "generation" if causal else "masked-prediction"]
        models.append(
            ModelManifest(
                id=f"model-{number:02}", family=f"family-{number % 7}", title="M", plugin="p",
                architecture=kind, direction="causal" if causal else "bidirectional", objective="x",
                scaling=Scaling(growth, growth), tasks=tuple(tasks), implementation="a:b",
                tokenizer={}, parameters=chance.choice([10**6, 10**8, 7 * GB, 40 * GB]),
                max_length=chance.choice([512, 12_288, 131_072, 10**6, None]),
                length_limit=chance.choice(["hard", "trained", "none"]),
                resolution=chance.choice([1.0, 4.5, 6.0]),
                inputs=chance.choice([("sequence",), ("sequence", "alignment")]),
                licence=chance.choice([Licence("MIT", True), Licence("CC-BY-NC-4.0", False)]),
                trained_on=TrainedOn(tuple(chance.sample(["human", "plant", "virus"], 2))),
                dtypes=chance.choice([("float32", "bfloat16"), ("bfloat16",), ("float8",)]),
                config={"n_layer": 12, "d_model": 512}, installed=chance.random() < 0.5,
                install="pip install p",
            )
        )  # fmt: skip
    return models


ZOO = zoo()
ASKED = st.fixed_dictionaries(
    {},
    optional={
        "task": st.sampled_from(["embedding", "generation", "masked-prediction", "classification"]),
        "trained_on": st.sampled_from(["human", "plant", "virus"]),
        "length": st.integers(1, 2 * 10**6),
        "scaling": st.sampled_from(["linear", "n-log-n", "quadratic"]),
        "resolution": st.sampled_from([1, 5, 6]),
        "inputs": st.sampled_from(["sequence", "alignment"]),
        "licence": st.sampled_from(["any", "commercial", "MIT"]),
        "dtype": st.sampled_from(["float32", "bfloat16"]),
        "batch": st.integers(1, 64),
    },
)


def choose(asked: dict[str, Any], memory: int, models: list[ModelManifest] = ZOO) -> Selection:
    requirements = Requirements.of({**asked, "memory": memory})
    return decide(requirements, models, described(memory))


def accepted(selection: Selection) -> set[str]:
    return {each.id for each in selection.ranked}


@settings(max_examples=120, deadline=None)
@given(ASKED, st.integers(GB, 200 * GB), st.integers(0, 200 * GB))
def test_more_memory_never_refuses_what_fitted(
    asked: dict[str, Any], memory: int, more: int
) -> None:
    assert accepted(choose(asked, memory)) <= accepted(choose(asked, memory + more))


@settings(max_examples=120, deadline=None)
@given(ASKED, st.integers(GB, 200 * GB), st.data())
def test_a_shorter_length_never_refuses_what_fitted(
    asked: dict[str, Any], memory: int, data: st.DataObject
) -> None:
    longer = asked.get("length", 10**5)
    shorter = data.draw(st.integers(1, longer))
    assert accepted(choose({**asked, "length": longer}, memory)) <= accepted(
        choose({**asked, "length": shorter}, memory)
    )


@settings(max_examples=120, deadline=None)
@given(ASKED, st.integers(GB, 200 * GB), st.data())
def test_fewer_demands_never_refuse_what_fitted(
    asked: dict[str, Any], memory: int, data: st.DataObject
) -> None:
    kept = {name: value for name, value in asked.items()
            if name == "length" or data.draw(st.booleans())}  # fmt: skip
    assert accepted(choose(asked, memory)) <= accepted(choose(kept, memory))


@settings(max_examples=60, deadline=None)
@given(ASKED, st.permutations(ZOO))
def test_the_order_of_installation_changes_nothing(
    asked: dict[str, Any], order: list[ModelManifest]
) -> None:
    assert choose(asked, 24 * GB, order).to_dict() == choose(asked, 24 * GB).to_dict()


@settings(max_examples=60, deadline=None)
@given(ASKED)
def test_every_model_gets_one_decision(asked: dict[str, Any]) -> None:
    selection = choose(asked, 24 * GB)
    assert sorted(selection.ids) == [model.id for model in ZOO]
    assert all(each.reasons for each in selection.ranked)
    assert all(each.reasons for each in selection.rejected)


def test_the_envelope_has_its_keys(make: Make) -> None:
    made = choose({"task": "embedding"}, 24 * GB).to_dict()
    assert {"schema", "requirements", "ranked", "rejected", "notes"} <= made.keys()
    assert {"id", "family", "installed", "install", "tier", "grade", "memory_bytes",
            "reasons"} <= made["ranked"][0].keys()  # fmt: skip
    assert made["rejected"][0]["reasons"][0].keys() == {
        "code", "needed", "available", "message", "fix",
    }  # fmt: skip


def test_what_is_not_installed_is_ranked_with_its_command(make: Make) -> None:
    model = make(installed=False, install="pip install toy-plugin")
    selection = choose({}, 24 * GB, [model])
    assert selection.best is not None
    assert not selection.best.installed
    assert "Not installed: pip install toy-plugin" in selection.explain()


def test_without_evidence_it_is_said_and_the_rules_of_thumb_choose(make: Make) -> None:
    encoder = make("encoder", length_limit="none")
    linear = make("linear", length_limit="none", architecture="state-space",
                  scaling=Scaling("linear", "linear"))  # fmt: skip
    short = choose({"task": "classification", "length": 500}, 80 * GB, [encoder, linear])
    long = choose({"task": "classification", "length": "12kb"}, 80 * GB, [encoder, linear])
    assert short.best is not None
    assert short.best.id == "encoder"
    assert long.best is not None
    assert long.best.id == "linear"
    assert "evidence: none published for this; chosen by what it can do" in short.best.reasons
    assert "default: short input with labels: an encoder; this is one" in short.best.reasons
    assert short.best.grade == "D"
    assert short.best.tier is None


def test_the_training_domain_is_a_term_of_the_ranking(make: Make) -> None:
    plant = make("plant", trained_on=TrainedOn(("plant",)))
    human = make("human")
    selection = choose({"task": "embedding", "domain": "plant"}, 80 * GB, [human, plant])
    assert [each.id for each in selection.ranked] == ["plant", "human"]
    assert "domain: trained on plant" in selection.ranked[0].reasons
    assert "domain: has not seen plant" in selection.ranked[1].reasons


def test_among_equals_the_cheaper_comes_first(make: Make) -> None:
    selection = choose({}, 80 * GB, [make("dear", parameters=10**9), make("cheap")])
    assert [each.id for each in selection.ranked] == ["cheap", "dear"]


def test_nothing_to_choose_from_is_an_empty_selection() -> None:
    selection = choose({"task": "embedding"}, GB, [])
    assert selection.best is None
    assert "Nothing fits." in selection.explain()


def test_why_tells_one_models_whole_story(make: Make) -> None:
    model = make(sources=("a paper",))
    told = choose({"task": "embedding", "length": 1000}, 80 * GB, [model]).why("toy")
    assert (
        "task: asked embedding; it does embedding, classification, variant-effect [a paper]" in told
    )
    assert "length: asked 1000; up to 4,096 bp (more is an error) [a paper]" in told
    assert "memory: " in told
    assert "weights 344 MB (exact: parameters x bytes)" in told
    refused = choose({"task": "generation"}, 80 * GB, [model]).why("toy")
    assert refused.startswith("toy is refused:\n  task: does not do generation")
    with pytest.raises(UnknownModelError, match="Did you mean"):
        choose({}, 80 * GB, [model]).why("toyy")


def test_a_time_budget_refuses_what_is_too_slow(make: Make) -> None:
    model = make(parameters=7 * GB, dtypes=("bfloat16",))
    asked = {"gpu": "A100 80GB", "length": 4000, "sequences": 10**6, "time": "1min"}
    requirements = Requirements.of(asked)
    (rejection,) = decide(requirements, [model], described(gpu="A100 80GB")).rejected
    (reason,) = rejection.reasons
    assert reason.code == "time"
    assert (
        "for 1,000,000 sequences of 4,000 bp (roofline by the bfloat16 rate and bandwidth of"
        in reason.message
    )
    assert reason.fix.startswith("fits ")
    assert "ask for time = " in reason.fix


def test_a_length_that_nobody_vouches_for_is_said_and_comes_later(make: Make) -> None:
    unknown = make("a", max_length=None)
    beyond = make("b", max_length=2_000, length_limit="none")
    within = make("c", max_length=10_000, parameters=10**9)
    ranked = choose({"length": 5_000}, 80 * GB, [unknown, beyond, within]).ranked
    assert [each.id for each in ranked] == ["c", "a", "b"]
    assert ranked[1].warnings == ("length: no source states its longest input",)
    assert ranked[2].warnings == ("length: longer input than the 2,000 bp it was trained on",)


def test_terms_that_bind_a_user_are_warned_of(make: Make) -> None:
    model = make(licence=Licence("CC-BY-NC-4.0", False), unverified="the pooling is inferred")
    (decision,) = choose({}, 80 * GB, [model]).ranked
    assert decision.warnings == (
        "unverified: the pooling is inferred",
        "CC-BY-NC-4.0 does not allow commercial use",
    )


def test_selecting_imports_no_heavy_package() -> None:
    code = (
        "import sys; from dnallm_core.choosing import select; "
        "heavy = {'torch', 'numpy', 'transformers', 'pydantic', 'safetensors'} & set(sys.modules); "
        "assert not heavy, heavy; "
        "select(task='embedding', memory='8GB', gpu=None); "
        "heavy = {'torch', 'numpy', 'transformers'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")


def test_the_nearest_refusal_is_the_one_that_misses_least(make: Make) -> None:
    zoo = [make("a-large", parameters=40_000_000_000), make("z-small", parameters=600_000_000)]
    refused = decide(Requirements.of({"memory": "1GB"}), zoo, described(10**9)).rejected
    assert [each.id for each in refused] == ["z-small", "a-large"]
