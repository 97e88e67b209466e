"""Tier *true*, costs: growth counted over lengths, and recorded memory against what is certain."""

from __future__ import annotations

import json
from typing import Any

from ..manifest import words
from .promise import NotApplicable, check, require
from .subject import FamilySubject, ModelSubject

LONGEST = 2048  # tokens; the counted growth is exact, so that no longer ones are needed
# time: (f(4n) - f(2n)) / (f(2n) - f(n)); memory, whose worst moment may be another: f(4n) / f(2n).
# Both are 2 for linear, a little more for n log n, 4 for quadratic.
MOST = {"linear": 2.08, "n-log-n": 2.5, "quadratic": 4.6}
LEAST = {"linear": 0.0, "n-log-n": 0.0, "quadratic": 2.15}

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "float8": 1}


@check("C221", "true", "family")
def check_time_grows_as_declared(subject: FamilySubject) -> None:
    """Operations, counted over three lengths, grow as the manifest's ``scaling.time`` says."""
    _grows(subject, "time")


@check("C222", "true", "family")
def check_memory_grows_as_declared(subject: FamilySubject) -> None:
    """Bytes alive at once, counted over three lengths, grow as ``scaling.memory`` says, or slower."""
    _grows(subject, "memory")


@check("C223", "true", "model")
def check_recorded_memory_holds_the_weights(subject: ModelSubject) -> None:
    """Recorded costs speak of weights that are those of the network in that dtype."""
    for record in _records(subject):
        terms = record.get("terms") or {}
        exact = subject.parameters * _BYTES.get(record.get("dtype", ""), 4)
        stated = float(terms.get("weights", 0))
        require(
            0.98 * exact <= stated <= 1.25 * exact + 2e6,
            f"{record.get('device')} {record.get('dtype')}: {stated:,.0f} bytes recorded for "
            f"weights of {exact:,}",
        )
        negative = [name for name, value in terms.items() if value < 0]
        require(not negative, f"{', '.join(negative)} is negative")


@check("C224", "true", "model")
def check_recorded_memory_holds_the_activations(subject: ModelSubject) -> None:
    """Recorded costs on a CPU are at least the bytes that a forward pass is counted to hold."""
    import torch

    from .counting import count

    records = [
        each
        for each in _records(subject)
        if each.get("device") == "cpu" and each.get("mode", "inference") == "inference"
        and each.get("dtype") == "float32"
    ]  # fmt: skip
    if not records:
        raise NotApplicable("nothing is recorded of a CPU in float32")
    if subject.parameters > 20_000_000:
        raise NotApplicable("it is too large to be run here")
    torch.manual_seed(0)
    module = subject.family.implementation.build(subject.config).eval()
    tokens = min(512, subject.facts.max_tokens or 512)
    ids = torch.full((1, tokens), subject.family.ids_of_bases[0])
    counted = count(lambda: module(**subject.family.inputs(ids))).peak
    for record in records:
        stated = _amount(record["terms"], tokens) + max(
            (_amount(each["terms"], tokens) for each in record.get("steps", ())), default=0.0
        )
        require(
            stated >= 0.9 * counted,
            f"{stated:,.0f} bytes recorded for {tokens} tokens, {counted:,} counted",
        )


def _amount(terms: dict[str, float], tokens: int) -> float:
    """Bytes of one row above the weights."""
    squares = terms.get("per_length_squared", 0) + terms.get("per_token_squared", 0)
    lengths = terms.get("per_length", 0) + terms.get("per_token", 0)
    return terms.get("fixed", 0) + terms.get("per_row", 0) + (lengths + squares * tokens) * tokens


def _grows(subject: FamilySubject, what: str) -> None:
    from .counting import count

    declared = getattr(subject.facts.scaling, what)
    found = []
    for length in subject.lengths(LONGEST):
        ids = subject.ids(length)
        counted = count(lambda ids=ids: subject.call(ids))
        found.append(counted.operations if what == "time" else float(counted.peak))
    steps = (found[1], found[2]) if what == "memory" else (found[1] - found[0], found[2] - found[1])
    ratio = steps[1] / steps[0] if steps[0] > 0 else 2.0
    least = LEAST[declared] if what == "time" else 0.0
    closest = next(word for word in words.GROWTHS if ratio <= MOST[word] or word == "quadratic")
    require(
        least <= ratio <= MOST[declared],
        f"declared {declared}; counted, a doubling of the length costs {ratio:.2f} times as much, "
        f"which is {closest}",
    )


def _records(subject: ModelSubject) -> list[dict[str, Any]]:
    if not subject.facts.footprint:
        raise NotApplicable("no costs are recorded of it")
    try:
        content = json.loads((subject.folder / subject.facts.footprint).read_bytes())
        records = list(content["models"].get(subject.facts.id, ()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        require(False, f"{subject.facts.footprint} cannot be used: {type(error).__name__}: {error}")
        raise
    if not records:
        raise NotApplicable("no costs are recorded of it")
    return records
