"""Standings, grades and tiers from published results (the weights are choices, all of them here).

Inside a group of comparable numbers every result gets its percentile; a benchmark's groups are
averaged to one; benchmarks are combined with the weights below, none with more than half of the
total; a model with few or weakly weighted benchmarks is drawn to a little below the middle. Tier A
is as near to the best values as the leading model, within 0.01; B within 0.03.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ..manifest.model import ModelManifest
from ..selection.requirements import Requirements
from ..selection.selector import Standing
from . import outside
from .query import LONG, Block, find
from .table import Group, Result, Table

INDEPENDENT, RIVAL, OWN = 1.0, 0.7, 0.3  # who ran the benchmark, as seen from the model
SECONDARY = 0.8  # a third party's transcription
LARGEST_SHARE = 0.5  # of one benchmark in the total
PRIOR, PRIOR_WEIGHT = 0.35, 1.0  # where thin evidence is drawn to: a little below the middle
TIER_A, TIER_B = 0.01, 0.03  # of a metric between 0 and 1
AGREEMENT = 0.35  # percentiles of benchmarks that agree differ by no more
CITED = 6  # records named a model
_SUPERSEDED = {"Feng2024-preprint": "Feng2025"}  # the earlier of two editions of one benchmark


class Evidence:
    """The published results, asked for standings, tiers, notes and citations."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.subtasks = tuple(sorted({group.subtask for group in table.groups}))
        self._labels = self._named("models")
        self._family_labels = self._named("families")
        self._places: dict[str, tuple[Group, int]] | None = None
        self._answers: dict[tuple[object, ...], list[_Answer]] = {}

    def standings(
        self, asked: Requirements, models: Collection[ModelManifest]
    ) -> dict[str, Standing]:
        """The standing of each model that has results for what was asked, by id."""
        ids = self._ids(models)
        families = {model.id: model.family for model in models} if self._family_labels else {}
        for answer in self._answers_to(asked):
            found = {}
            scored = answer.scored(self.table)
            for model, labels in ids.items():
                known = tuple(label for label in labels if label in scored)
                if known:
                    of_family = self._family_labels.get(families.get(model, ""), ())
                    more = tuple(label for label in of_family if label in scored)
                    if (known, more) not in answer.judged:
                        rows = [row for label in known for row in scored[label]]
                        relatives = [row for label in more for row in scored[label]]
                        answer.judged[known, more] = _judge(
                            rows, answer.block, self.table, known, relatives
                        )
                    found[model] = answer.judged[known, more]
            if found:
                return found
        return {}

    def tiers(self, standings: Mapping[str, Standing]) -> dict[str, str]:
        """A, B or C for each model, by its distance from the best of them."""
        if not standings:
            return {}
        met: dict[int, list[float]] = {}
        for found in standings.values():
            for place, value in found.values.items():
                met.setdefault(place, []).append(value)
        best = {place: max(values) for place, values in met.items() if len(values) > 1}
        leader = standings[max(sorted(standings), key=lambda name: standings[name].score)]
        widest = max(len(found.values) for found in standings.values())
        return {name: _tier(leader, found, best, widest) for name, found in standings.items()}

    def notes(
        self, asked: Requirements, best: Standing | None, first: Collection[Standing]
    ) -> tuple[str, ...]:
        """What else a user must hear: transfers, lacking evidence, tools outside the zoo.

        ``best``: the standing of the model ranked first; ``first``: those of tier A.
        """
        said = []
        if best is None:
            words = [asked.task, asked.subtask, asked.setting, asked.domain or asked.trained_on]
            shown = ", ".join(word for word in words if word)
            none = "none of the models that fit has" if self._answers_to(asked) else "no model has"
            said.append(f"No evidence: {none} published results for {shown}.")
        elif best.block.transferred:
            said.append(f"Evidence: {best.block.transferred}; no grade above C.")
        if len(first) > 1 and not set.intersection(*(set(each.values) for each in first)):
            said.append("Evidence: the models of tier A were not compared head to head.")
        values = {record: self._record(record) for record in best.records} if best else {}
        said += outside.better(best.block, self.table, values) if best else []
        for says, records in outside.known(asked):
            if not all(key in self._all() for key in records):
                continue  # another table than the one that ships
            sources = dict.fromkeys(
                self.table.sources[self._record(key)[1].source] for key in records
            )
            said.append(f"{says} [{', '.join(records)}: {'; '.join(sources)}]")
        return tuple(said)

    def citations(self, records: Iterable[str]) -> dict[str, str]:
        """For each record's id: what was measured, on what, in which source, with which caveat."""
        cited = {}
        for key in records:
            group, result = self._record(key)
            caveat = self.table.caveats[result.caveat] if result.caveat is not None else ""
            cited[key] = (
                f"{self.table.models[result.model]}: {group.metric} {result.value:g} on "
                f"{group.benchmark} {group.dataset} ({result.setting}); "
                f"{self.table.sources[result.source]}" + (f". Caveat: {caveat}" if caveat else "")
            )
        return cited

    def _answers_to(self, asked: Requirements) -> list[_Answer]:
        """The blocks that speak, the nearest first; the same for the same question."""
        question = (asked.task, asked.subtask, asked.setting, asked.domain or asked.trained_on,
                    (asked.length or 0) >= LONG)  # fmt: skip
        if question not in self._answers:
            self._answers[question] = [_Answer(block) for block in find(self.table.groups, asked)]
        return self._answers[question]

    # --- names --------------------------------------------------------------------------------

    def _named(self, of: str) -> dict[str, tuple[int, ...]]:
        """Places of labels by what they stand for, in lower case: ids and aliases, or families."""
        places: dict[str, list[int]] = {}
        for place, label in enumerate(self.table.models):
            if place in self.table.comparators:
                continue
            row = self.table.names.get(label)
            for name in row.get(of, ()) if row else (label,) if of == "models" else ():
                places.setdefault(name.lower(), []).append(place)
        return {name: tuple(found) for name, found in places.items()}

    def _ids(self, models: Collection[ModelManifest]) -> dict[str, tuple[int, ...]]:
        """The labels that stand for each model, by its id; none for most."""
        found = {}
        labels = self._labels
        for model in models:
            names = {model.id, *model.aliases, model.weights.hub or model.id}
            places = {place for name in names for place in labels.get(name.lower(), ())}
            if places:
                found[model.id] = tuple(sorted(places))
        return found

    def _all(self) -> dict[str, tuple[Group, int]]:
        """The group and the place in it of every record."""
        if self._places is None:
            self._places = {
                f"ev{row[0]:04}": (group, place)
                for group in self.table.groups
                for place, row in enumerate(group.rows)
            }
        return self._places

    def _record(self, key: str) -> tuple[Group, Result]:
        group, place = self._all()[key]
        return group, group.results[place]


class _Answer:
    """A question's block, the results in it by label, and the standings that were asked for."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.judged: dict[tuple[tuple[int, ...], tuple[int, ...]], Standing] = {}
        self._scored: dict[int, list[_Scored]] | None = None

    def scored(self, table: Table) -> dict[int, list[_Scored]]:
        """The block's results by label, made when first needed."""
        if self._scored is None:
            self._scored = _by_label(self.block, table)
        return self._scored


# --- one model's results -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Scored:
    """One result with its percentile and its distance from the group's best model."""

    place: int  # of the group in the block
    group: Group
    result: Result
    percentile: float


def _by_label(block: Block, table: Table) -> dict[int, list[_Scored]]:
    """Every label's results in the block; failed runs are dropped."""
    scored: dict[int, list[_Scored]] = {}
    benchmarks = {group.benchmark for group in block.groups}
    for place, group in enumerate(block.groups):
        if _SUPERSEDED.get(group.benchmark) in benchmarks:
            continue
        usable = [result for result in group.results if not result.failed]
        zoo = [result for result in usable if result.model not in table.comparators]
        rivals = zoo if len(zoo) > 1 else usable  # alone among models: held against the other tools
        if len(rivals) < 2:
            continue  # a number alone compares nothing
        for result in zoo:
            others = [other.value for other in rivals if other is not result]
            below = sum(1.0 if value < result.value else 0.5 * (value == result.value)
                        for value in others)  # fmt: skip
            percentile = below / len(others)
            scored.setdefault(result.model, []).append(_Scored(place, group, result, percentile))
    return scored


def _judge(
    scored: list[_Scored],
    block: Block,
    table: Table,
    labels: tuple[int, ...],
    relatives: list[_Scored],
) -> Standing:
    """A model's standing by its own results; ``relatives`` are of its family, checkpoint not stated.

    Those may agree with its own, which raises the grade; they move neither score nor tier.
    """
    benchmarks = _by_benchmark(scored)
    percentiles = _percentiles(benchmarks)
    weights = _capped({name: _weight(rows) for name, rows in benchmarks.items()})
    total = sum(weights.values())
    mean = sum(weights[name] * percentiles[name] for name in weights)
    score = (mean + PRIOR_WEIGHT * PRIOR) / (total + PRIOR_WEIGHT)
    kin = {name: rows for name, rows in _by_benchmark(relatives).items() if name not in benchmarks}
    of_kin = _percentiles(kin)
    grade = _grade({**benchmarks, **kin}, {**percentiles, **of_kin}, bool(block.transferred))
    parts = [
        f"{name} {percentiles[name]:.2f}"
        for name in sorted(weights, key=lambda name: (-weights[name], name))
    ]
    parts += [f"{name} {of_kin[name]:.2f} of its family, checkpoint not stated" for name in kin]
    shown = _cited(benchmarks, weights) + tuple(rows[0].result.key for rows in kin.values())
    sentence = (
        f"{block.title}: percentile {mean / total:.2f} of the models compared ({', '.join(parts)}); "
        f"grade {grade} [{', '.join(shown)}]"
    )
    for label in labels:
        row = table.names.get(table.models[label])
        if row and "not state" in row["why"]:
            sentence += f"; {table.models[label]}: {row['why']}"
    values = {each.place: each.result.value / each.group.unit for each in scored}
    return Standing(grade, score, sentence, shown, values, block)


def _by_benchmark(scored: Iterable[_Scored]) -> dict[str, list[_Scored]]:
    found: dict[str, list[_Scored]] = {}
    for each in scored:
        found.setdefault(each.group.benchmark, []).append(each)
    return found


def _percentiles(benchmarks: Mapping[str, list[_Scored]]) -> dict[str, float]:
    """The mean percentile in each benchmark."""
    return {
        name: sum(each.percentile for each in rows) / len(rows) for name, rows in benchmarks.items()
    }


def _weight(rows: list[_Scored]) -> float:
    """The weight of one benchmark for one model: the mean of its results' weights."""
    return sum(
        (
            INDEPENDENT
            if row.group.evaluator == "independent"
            else OWN
            if row.result.own_model
            else RIVAL
        )
        * (SECONDARY if row.result.secondary else 1.0)
        for row in rows
    ) / len(rows)


def _capped(weights: dict[str, float]) -> dict[str, float]:
    """No benchmark with more than half of the total, where there are several."""
    if len(weights) < 2:
        return weights
    largest = max(weights, key=weights.__getitem__)
    others = sum(weight for name, weight in weights.items() if name != largest)
    return {**weights, largest: min(weights[largest], others * LARGEST_SHARE / (1 - LARGEST_SHARE))}


def _grade(
    benchmarks: Mapping[str, list[_Scored]], percentiles: Mapping[str, float], transferred: bool
) -> str:
    """A: benchmarks agree, one of them independent. C: one rival's, or the model's own authors'.

    B: one that is independent or mixed, or several by rivals that agree.
    """
    if transferred:
        return "C"
    by_others = {
        name: rows[0].group.evaluator
        for name, rows in benchmarks.items()
        if not all(row.result.own_model for row in rows)
    }
    independent = [name for name, who in by_others.items() if who == "independent"]
    mixed = [name for name, who in by_others.items() if who == "mixed"]
    rivals = [name for name, who in by_others.items() if who == "model-authors"]

    def agree(name: str, others: Iterable[str]) -> bool:
        return any(
            abs(percentiles[name] - percentiles[other]) <= AGREEMENT
            for other in others
            if other != name
        )

    if any(agree(name, benchmarks) for name in independent):
        return "A"
    if independent or mixed or any(agree(name, rivals) for name in rivals):
        return "B"
    return "C"


def _cited(
    benchmarks: Mapping[str, list[_Scored]], weights: Mapping[str, float]
) -> tuple[str, ...]:
    """Ids of the records shown: from every benchmark the first, then more, up to a handful."""
    order = sorted(benchmarks, key=lambda name: (-weights[name], name))
    shown = [benchmarks[name][0].result.key for name in order]
    rest = [row.result.key for name in order for row in benchmarks[name][1:]]
    return tuple((shown + rest)[: max(CITED, len(shown))])


def _tier(leader: Standing, found: Standing, best: Mapping[int, float], widest: int) -> str:
    """By the median distance to the best value in each group, as compared with the leader's.

    A median, because one dataset on which runs failed must not decide. Where few groups are known
    of a model, its percentile may not be far behind either.
    """
    behind = leader.score - found.score
    gap = max(0.0, _gap(found, best) - _gap(leader, best))
    if len(found.values) * 2 < widest or not found.values.keys() & best.keys():
        near, far = (0.05, 0.15) if found.grade == "C" else (0.12, 0.25)
        gap = max(gap, TIER_B if behind > near else 0.0, 1.0 if behind > far else 0.0)
    return "A" if gap <= TIER_A else "B" if gap <= TIER_B else "C"


def _gap(found: Standing, best: Mapping[int, float]) -> float:
    """The median distance to the best, in the groups where there is another model to be behind of."""
    gaps = sorted(best[place] - value for place, value in found.values.items() if place in best)
    if not gaps:
        return 0.0
    return (gaps[(len(gaps) - 1) // 2] + gaps[len(gaps) // 2]) / 2
