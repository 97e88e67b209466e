"""The selector: requirements x manifests x resources -> a decision for every model. Pure.

Hard requirements first, each refusal with its number and the nearest change; then the rest ranked by
published evidence, training domain, the rules of thumb, resolution and cost, every term printed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .. import values
from ..footprint.records import Records
from ..footprint.time import Time, duration
from ..manifest import words
from ..manifest.model import ModelManifest
from ..resources.machine import Resources
from .decisions import Check, Decision, Refusal, Rejection, Selection
from .defaults import Default, defaults
from .hardware import Fit, fit
from .refusals import capability_refusals, kept
from .requirements import Requirements

if TYPE_CHECKING:
    from ..evidence.query import Block


@dataclass(frozen=True, slots=True)
class Standing:
    """What published evidence says of one model in what was asked: a grade, and where it ranks."""

    grade: str  # A to C
    score: float  # 0 to 1: the weighted percentile
    sentence: str
    records: tuple[str, ...]
    values: Mapping[int, float]  # between 0 and 1, by the place of a comparable group
    block: Block  # the groups that it is of


class Judge(Protocol):
    """Where standings come from (``dnallm_core.evidence``)."""

    def standings(
        self, asked: Requirements, models: Collection[ModelManifest]
    ) -> Mapping[str, Standing]:
        """The standing of each model that has evidence for what was asked, by id."""
        ...

    def tiers(self, standings: Mapping[str, Standing]) -> Mapping[str, str]:
        """A, B or C for each model, by its distance from the best of them."""
        ...

    def notes(
        self, asked: Requirements, best: Standing | None, first: Collection[Standing]
    ) -> tuple[str, ...]:
        """What a user must hear: tools outside the zoo that do better, evidence that is lacking."""
        ...

    def citations(self, records: Iterable[str]) -> Mapping[str, str]:
        """The sources of records by their ids."""
        ...


def decide(
    asked: Requirements,
    manifests: Iterable[ModelManifest],
    resources: Resources,
    evidence: Judge | None = None,
    footprint: Records | None = None,
    local: Collection[str] = (),
) -> Selection:
    """A decision for every manifest. The order of ``manifests`` makes no difference.

    ``local``: ids of models whose weights are on this machine. Nothing is read or probed here but
    measured footprints through ``footprint``.
    """
    records = footprint or Records()
    fitting: list[tuple[ModelManifest, Fit]] = []
    rejected: list[Rejection] = []
    models = sorted(manifests, key=lambda model: model.id)
    standings = evidence.standings(asked, models) if evidence is not None and asked.task else {}
    for model in models:
        refusals = capability_refusals(asked, model, local)
        if asked.evidence is not None:
            refusals += _too_little_evidence(asked.evidence, standings.get(model.id))
        place = fit(asked, model, resources, records)
        if isinstance(place, Refusal):
            refusals.append(place)
        else:
            refusals += _too_slow(asked, model, place)
        if refusals:
            rejected.append(Rejection(model.id, model.family, tuple(refusals)))
        elif isinstance(place, Fit):
            fitting.append((model, place))
    judged = {model.id: standings[model.id] for model, _ in fitting if model.id in standings}
    tiers = evidence.tiers(judged) if evidence is not None else {}
    ranked = [
        (_key(asked, model, place, standings.get(model.id), tiers.get(model.id)),
         _decision(asked, model, place, standings.get(model.id), tiers.get(model.id)))
        for model, place in fitting
    ]  # fmt: skip
    ranked.sort(key=lambda pair: pair[0])
    decisions = tuple(decision for _, decision in ranked)
    notes: list[str] = []
    if evidence is not None and asked.task:
        best = judged.get(decisions[0].id) if decisions else None
        first = [judged[name] for name, tier in tiers.items() if tier == "A"]
        notes += evidence.notes(asked, best, first)
    notes += resources.problems

    def checks_of(name: str) -> list[Check]:
        return next(
            [*kept(asked, model), *_hardware_checks(place)]
            for model, place in fitting
            if model.id == name
        )

    cited = [record for decision in decisions for record in decision.evidence]
    return Selection(
        requirements=asked.to_dict(),
        resources=resources.to_dict(),
        ranked=decisions,
        rejected=tuple(sorted(rejected, key=lambda each: (*_misses(each), each.id))),
        notes=tuple(notes),
        citations=evidence.citations(cited) if evidence is not None else {},
        checks_of=checks_of,
    )


def _misses(rejection: Rejection) -> tuple[int, float]:
    """By how little: how many reasons there are, then how many times more of each is needed."""
    factor = 1.0
    for reason in rejection.reasons:
        if isinstance(reason.needed, (int, float)) and isinstance(reason.available, (int, float)):
            low, high = sorted((float(reason.needed), float(reason.available)))
            factor *= high / low if low > 0 else high + 1
    return len(rejection.reasons), factor


def _too_little_evidence(least: str, standing: Standing | None) -> list[Refusal]:
    grade = standing.grade if standing else "D"
    if words.GRADES.index(grade) <= words.GRADES.index(least):
        return []
    what = f"has evidence of grade {grade}" if standing else "has no published evidence"
    return [
        Refusal(
            "evidence", least, grade if standing else None,
            f"{what} for this; asked is {least} at least", f"ask for evidence = {grade}",
        )
    ]  # fmt: skip


def _too_slow(asked: Requirements, model: ModelManifest, place: Fit) -> list[Refusal]:
    if asked.time is None or asked.sequences is None:
        return []
    time = _duration(asked, model, place)
    if time.low <= asked.time:
        return []
    share = int(asked.sequences * asked.time / time.low)
    return [
        Refusal(
            "time", asked.time, time.low,
            f"takes {values.show_duration(time.low)} or more for {asked.sequences:,} sequences of "
            f"{values.show_length(place.length)} ({time.basis}); asked are "
            f"{values.show_duration(asked.time)}",
            f"fits {share:,} sequences, or ask for time = {values.show_duration(time.low)}",
        )
    ]  # fmt: skip


# --- ranking ------------------------------------------------------------------------------------

_TIERS = {"A": 0, "B": 1, "C": 2, None: 3}
_FINE = ("variant-effect", "token-embedding", "token-classification", "masked-prediction")


def _wanted_domain(asked: Requirements) -> str | None:
    domain = asked.domain or asked.trained_on
    return domain if domain != "multi" else None


def _key(
    asked: Requirements,
    model: ModelManifest,
    place: Fit,
    standing: Standing | None,
    tier: str | None,
) -> tuple[float | str, ...]:
    """Best first. Tier A is a tie: what is better supported than C, a length within what the model
    is known for, training domain, then cost.

    Tiers B and C go by percentile, then cost.

    Without evidence: training domain, the rules of thumb, resolution, what is installed (the cost
    of what is not is known less exactly), cost.
    """
    domain = _wanted_domain(asked)
    foreign = 0.0 if domain is None or domain in model.trained_on.domains else 1.0
    foreign += 2.0 * (_untried(asked, model) is not None)
    cost = float(place.memory * place.devices)
    if standing is not None and tier == "A":
        return (0, float(standing.grade == "C"), foreign, cost, model.id)
    if standing is not None:
        return (_TIERS[tier], -round(standing.score, 2), cost, model.id)
    broken = float(sum(not rule.kept for rule in defaults(asked, model)))
    coarse = float(asked.task in _FINE and (model.resolution or 99.0) > 1.0)
    absent = float(not model.installed)
    return (_TIERS[tier], foreign, broken, coarse, absent, cost, model.id)


def _decision(
    asked: Requirements,
    model: ModelManifest,
    place: Fit,
    standing: Standing | None,
    tier: str | None,
) -> Decision:
    terms: dict[str, float] = {}
    reasons = []
    if standing is not None:
        reasons.append(f"evidence: {standing.sentence}")
        terms["evidence"] = round(standing.score, 3)
    elif asked.task:
        reasons.append("evidence: none published for this; chosen by what it can do")
    if set(model.inputs) > {"sequence"} and asked.inputs is None:
        more = " and ".join(each for each in model.inputs if each != "sequence")
        reasons.append(f"inputs: it also needs {more}")
    domain = _wanted_domain(asked)
    if domain is not None:
        seen = domain in model.trained_on.domains
        reasons.append(f"domain: {'trained on' if seen else 'has not seen'} {domain}")
        terms["domain"] = float(seen)
    for rule in defaults(asked, model):
        reasons.append(_rule(rule, model))
        terms[f"default:{rule.name}"] = float(rule.kept)
    if asked.task in _FINE and model.resolution is not None:
        reasons.append(f"resolution: {model.resolution:g} bp a token")
        terms["resolution"] = model.resolution
    reasons.append(_cost(place))
    terms["memory_bytes"] = float(place.memory)
    if asked.sequences is not None:
        reasons.append(_time(asked, model, place))
    return Decision(
        id=model.id,
        family=model.family,
        title=model.title,
        installed=model.installed,
        install=model.install,
        tier=tier,
        grade=standing.grade if standing else ("D" if asked.task else None),
        dtype=place.dtype,
        device=place.device.name,
        devices=place.devices,
        memory_bytes=place.memory,
        memory_basis=place.cost.basis,
        largest_length=_largest(model, place),
        reasons=tuple(reasons),
        terms=terms,
        evidence=standing.records if standing else (),
        warnings=_warnings(asked, model),
    )


def _rule(rule: Default, model: ModelManifest) -> str:
    verdict = "this is one" if rule.kept else f"this is a {model.direction} {model.architecture}"
    return f"default: {rule.sentence}; {verdict}"


def _cost(place: Fit) -> str:
    spread = f" on each of {place.devices} devices" if place.devices > 1 else ""
    return (
        f"cost: {values.show_memory(place.memory)} of "
        f"{values.show_memory(place.device.memory)} at {values.show_length(place.length)} in "
        f"{place.dtype}{spread} ({place.cost.basis})"
    )


def _time(asked: Requirements, model: ModelManifest, place: Fit) -> str:
    time = _duration(asked, model, place)
    if time.high == float("inf"):
        return f"time: unknown: {time.basis}"
    return (
        f"time: {values.show_duration(time.low)} to {values.show_duration(time.high)} for "
        f"{asked.sequences or 1:,} sequences ({time.basis})"
    )


def _duration(asked: Requirements, model: ModelManifest, place: Fit) -> Time:
    return duration(
        model,
        place.cost,
        length=place.length,
        sequences=asked.sequences or 1,
        device=place.device,
        dtype=place.dtype,
        batch=asked.batch or 1,
        training=asked.mode == "training",
        decoding=asked.task == "generation",
    )


def _largest(model: ModelManifest, place: Fit) -> int:
    fits = place.cost.longest(place.device.memory, place.devices)
    if model.max_length is None or model.length_limit == "none":
        return fits
    return min(fits, model.max_length)


def _hardware_checks(place: Fit) -> list[Check]:
    footprint = place.cost.at(place.length, place.devices)
    parts = ", ".join(
        f"{term.name} {values.show_memory(term.bytes)} ({term.basis})"
        for term in footprint.terms
        if term.bytes
    )
    return [
        Check("dtype", f"{place.dtype}; {place.device.name} has it", place.device.basis),
        Check(
            "memory",
            f"{values.show_memory(footprint.total)} of {values.show_memory(place.device.memory)}: "
            f"{parts}",
            place.device.basis,
        ),
    ]


def _untried(asked: Requirements, model: ModelManifest) -> str | None:
    """Whether the length asked is beyond what is known of the model, in words."""
    if asked.length is None:
        return None
    if model.max_length is None:
        return "no source states its longest input" if asked.length > 1_000 else None
    if asked.length > model.max_length:
        return f"longer input than the {values.show_length(model.max_length)} it was trained on"
    return None


def _warnings(asked: Requirements, model: ModelManifest) -> tuple[str, ...]:
    found = []
    untried = _untried(asked, model)
    if untried is not None:
        found.append(f"length: {untried}")
    if model.unverified:
        found.append(f"unverified: {model.unverified}")
    if asked.licence is None and model.licence.commercial is False:
        found.append(f"{model.licence.id} does not allow commercial use")
    elif asked.licence is None and model.licence.id is None:
        found.append("no licence is declared for its weights")
    if model.weights.gated:
        found.append("its weights are given out on request")
    return tuple(found)
