from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from dnallm_core.manifest.model import Licence, ModelManifest, Scaling, TrainedOn, Weights
from dnallm_core.resources import described
from dnallm_core.selection import Requirements, decide

Make = Callable[..., ModelManifest]


def refusal(model: ModelManifest, **asked: Any) -> tuple[str, str, str]:
    """(code, message, fix) of the only reason for which the model is refused."""
    asked.setdefault("memory", "80GB") if "gpu" not in asked else None
    requirements = Requirements.of(asked)
    resources = described(requirements.memory, requirements.gpu, requirements.devices)
    selection = decide(requirements, [model], resources)
    assert not selection.ranked
    (rejection,) = selection.rejected
    (reason,) = rejection.reasons
    assert rejection.id == model.id
    assert reason.to_dict().keys() == {"code", "needed", "available", "message", "fix"}
    return reason.code, reason.message, reason.fix


@pytest.mark.parametrize(
    ("changes", "asked", "code", "message", "fix"),
    [
        ({}, {"task": "generation"}, "task",
         "does not do generation; it does embedding, classification, variant-effect",
         "ask for embedding"),
        ({}, {"trained_on": "plant"}, "trained_on", "was not trained on plant; it has seen human",
         "ask for `domain` = plant instead: it ranks by evidence and refuses nothing"),
        ({}, {"length": "12kb"}, "length", "takes at most 4,096 bp; asked are 12,000 bp",
         "fits from windows of 4,096 bp"),
        ({"length_limit": "trained"}, {"length": "12kb"}, "length",
         "was trained on at most 4,096 bp; asked are 12,000 bp", "fits from windows of 4,096 bp"),
        ({}, {"direction": "causal"}, "direction", "is bidirectional, not causal",
         "allow bidirectional"),
        ({}, {"architecture": "hybrid"}, "architecture", "is an encoder-transformer, not a hybrid",
         "allow encoder-transformer"),
        ({}, {"scaling": "linear"}, "scaling",
         "takes quadratic time in length; asked is linear at most", "allow quadratic"),
        ({"resolution": 6.0}, {"resolution": 1}, "resolution",
         "has 6 bp a token; asked are 1 at most", "allow 6 bp a token"),
        ({"inputs": ("sequence", "alignment")}, {"inputs": "sequence"}, "inputs",
         "reads sequence and alignment; at hand is sequence", "give inputs = sequence,alignment"),
        ({"licence": Licence("CC-BY-NC-SA-4.0", False)}, {"licence": "commercial"}, "licence",
         "CC-BY-NC-SA-4.0 does not allow commercial use",
         "ask its authors for terms, or ask for licence = any"),
        ({"licence": Licence(None, None)}, {"licence": "commercial"}, "licence",
         "no licence that anyone declares is not known to allow commercial use",
         "ask its authors for terms, or ask for licence = any"),
        ({}, {"licence": "Apache-2.0"}, "licence", "has MIT, not Apache-2.0", "allow MIT"),
        ({}, {"weights": "bundled"}, "weights",
         "its weights do not ship in a plugin: they are at someone/toy",
         "dnallm pull toy, and ask for weights = local"),
        ({}, {"weights": "local"}, "weights",
         "its weights are not on this machine but at someone/toy", "dnallm pull toy"),
        ({}, {"task": "embedding", "evidence": "B"}, "evidence",
         "has no published evidence for this; asked is B at least", "ask for evidence = D"),
        ({}, {"dtype": "float16"}, "dtype", "is sound in float32, bfloat16, not in float16",
         "ask for dtype = float32"),
        ({"dtypes": ("float8",)}, {}, "dtype",
         "runs in float8; the device (a device with bfloat16 and without FP8) has float32, "
         "bfloat16, float16",
         "a GPU with FP8: compute capability 8.9 or more, as of L4, L40S, H100 or RTX 4090"),
        ({"dtypes": ("bfloat16",)}, {"gpu": "V100", "dtype": "bfloat16"}, "dtype",
         "runs in bfloat16; GPU 0 (NVIDIA V100 16GB) has float32, float16",
         "a device with bfloat16"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_is_missing_and_what_would_do(
    make: Make, changes: dict[str, Any], asked: dict[str, Any], code: str, message: str, fix: str
) -> None:
    assert refusal(make(**changes), **asked) == (code, message, fix)


def test_a_model_too_large_says_how_long_it_may_be_and_on_how_many_devices_it_fits(
    make: Make,
) -> None:
    model = make(
        parameters=7_000_000_000, max_length=131_072, dtypes=("bfloat16",),
        scaling=Scaling("quadratic", "linear"),
    )  # fmt: skip
    code, message, fix = refusal(model, length=131_072, memory="15GB")
    assert code == "memory"
    assert message.startswith("needs 21.6 GB")
    assert message.endswith("GB at 131,072 bp in bfloat16; the device has 15 GB")
    assert fix.startswith("fits up to ")
    assert fix.endswith(", or on 2 such GPUs")


def test_weights_that_alone_are_too_large_say_how_much_a_device_needs(make: Make) -> None:
    model = make(parameters=40_000_000_000, dtypes=("bfloat16",), config={"n_layer": 1})
    _, message, fix = refusal(model, memory="24GB")
    assert message.startswith("needs 8")
    assert "GB at 1,000 bp in bfloat16" in message
    assert fix.startswith("needs a device with 8")
    assert fix.endswith("GB")


def test_several_devices_share_the_weights(make: Make) -> None:
    model = make(parameters=20_000_000_000, dtypes=("bfloat16",))
    assert refusal(model, memory="24GB")[2] == "on 2 such GPUs"
    asked = Requirements.of({"memory": "24GB", "devices": 4})
    (decision,) = decide(asked, [model], described(asked.memory, None, 4)).ranked
    assert decision.devices == 2  # no more than it takes
    assert decision.memory_bytes <= 24 * 10**9


def test_the_second_format_is_taken_where_the_first_does_not_fit(make: Make) -> None:
    model = make(parameters=7_000_000_000)
    asked = Requirements.of({"memory": "24GB"})
    (decision,) = decide(asked, [model], described(asked.memory)).ranked
    assert decision.dtype == "bfloat16"


def test_a_refused_model_lists_every_reason(make: Make) -> None:
    asked = Requirements.of({"task": "generation", "trained_on": "virus", "memory": "200MB"})
    (rejection,) = decide(asked, [make()], described(asked.memory)).rejected
    assert [reason.code for reason in rejection.reasons] == ["task", "trained_on", "memory"]


def test_a_length_beyond_no_limit_is_taken(make: Make) -> None:
    asked = Requirements.of({"length": "1Mb", "memory": "80GB"})
    model = make(length_limit="none", scaling=Scaling("linear", "linear"))
    assert decide(asked, [model], described(asked.memory)).best is not None


def test_bundled_and_local_weights_are_told_apart(make: Make) -> None:
    bundled = make("bundled", weights=Weights(bundled="weights"))
    hub, here = make("hub"), make("here")
    models = [bundled, hub, here]

    def accepted(weights: str) -> set[str]:
        asked = Requirements.of({"weights": weights, "memory": "80GB"})
        made = decide(asked, models, described(asked.memory), local={"here"})
        return {each.id for each in made.ranked}

    assert accepted("bundled") == {"bundled"}
    assert accepted("local") == {"bundled", "here"}
    assert accepted("any") == {"bundled", "hub", "here"}


def test_a_model_that_states_no_domain_is_refused_where_one_is_demanded(make: Make) -> None:
    model = make(trained_on=TrainedOn(()))
    assert refusal(model, trained_on="human")[1] == (
        "was not trained on human; it has seen domains that no source states"
    )


def test_main_memory_is_offered_where_a_gpu_is_too_small(make: Make) -> None:
    resources = dataclasses.replace(described(10**9), host_memory=64 * 10**9)
    (rejection,) = decide(Requirements(), [make(parameters=10**9)], resources).rejected
    assert rejection.reasons[0].fix.endswith(
        ", or slowly in the 64 GB of main memory (--device cpu)"
    )
