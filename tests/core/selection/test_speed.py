"""What a selection may cost, in CPU time of this process (medians, because machines are shared)."""

from __future__ import annotations

import dataclasses
import time
from statistics import median

from dnallm_core.catalog import catalog
from dnallm_core.evidence import evidence
from dnallm_core.manifest.model import ModelManifest
from dnallm_core.resources import described
from dnallm_core.selection import Requirements, decide

GB = 10**9


def seconds(asked: dict[str, object], models: list[ModelManifest], times: int) -> float:
    requirements, resources = Requirements.of(asked), described(24 * GB)
    judge, taken = evidence(), []
    decide(requirements, models, resources, judge)
    for _ in range(times):
        start = time.process_time()
        decide(requirements, models, resources, judge)
        taken.append(time.process_time() - start)
    return median(taken)


def test_ten_thousand_models_take_a_second() -> None:
    base = list(catalog().values())
    assert base
    many = [
        dataclasses.replace(
            base[number % len(base)], id=f"m-{number}", aliases=(f"lab/m-{number}",)
        )
        for number in range(10_000)
    ]
    asked = {"task": "variant-effect", "length": "1kb", "memory": "24GB"}
    assert seconds(asked, many, 1) < 1.0


def test_the_next_question_takes_twenty_milliseconds() -> None:
    models = list(catalog().values())
    asked = {"task": "classification", "domain": "human", "length": 500, "memory": "24GB"}
    assert seconds(asked, models, 7) < 0.020
