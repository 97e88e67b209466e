"""One run, many workers: what is missing is handed out in shards, and the parts become the output.

The coordinator holds the output's lock and loads no model. Parts lie in ``OUTPUT.partial`` as in any
run, so that one that was interrupted goes on, under other workers or under none.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from .job import explaining_a_full_disk
from .outputs import PLACED, writer_for
from .plan import Plan
from .progress import Progress
from .run import Run, provenance, refuse_unwritable, refuse_what_changed
from .shards import Which, finish_shard, missing_parts, shard_path, shard_settings

SHARDS_A_WORKER = 8  # of equal length: who is slower takes fewer


class Crew(Protocol):
    """Workers that compute the parts of one job."""

    @property
    def size(self) -> int:
        """How many workers there are."""
        ...

    def describe(self) -> tuple[dict[str, Any], Plan]:
        """The job's facts (``Work.facts``, and ``warning``) and its plan."""
        ...

    def compute(self, shards: Sequence[Sequence[int]], folder: Path) -> Iterator[int]:
        """Put the parts of ``shards`` into ``folder``; each one's number when it is there.

        A worker that is lost is replaced. Errors of workers are raised here.
        """
        ...

    def account(self) -> list[dict[str, Any]]:
        """Who computed how much, for the record."""
        ...


def coordinate(
    crew: Crew,
    output: Path,
    *,
    shard: Which | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Carry out a run, or one shard of it, with a crew; the record of the run."""
    target = output if shard is None else shard_path(output, shard)
    refuse_unwritable(target, overwrite=overwrite)
    writer_for(output, PLACED, PLACED)  # what nothing writes is refused before models are loaded
    began = time.monotonic()
    facts, plan = crew.describe()
    settings = facts["settings"]
    refuse_what_changed(settings)
    write = writer_for(output, facts["endings"], facts["formats"])
    numbers = list(range(len(plan))) if shard is None else plan.shard(*shard)
    progress = Progress(sum(plan.sizes[n] for n in numbers), unit=plan.unit, quiet=quiet)
    kept = settings if shard is None else shard_settings(facts, plan, shard)
    with explaining_a_full_disk(target), Run(target, kept, overwrite=overwrite) as run:
        missing = missing_parts(run, numbers)
        progress.skip(sum(plan.sizes[n] for n in set(numbers) - set(missing)))
        ready = time.monotonic()
        for number in crew.compute(plan_of(plan, missing, crew.size), run.folder):
            progress.add(plan.sizes[number])
        progress.close()
        more = {
            "seconds": round(time.monotonic() - began, 3),
            "seconds_until_ready": round(ready - began, 3),
            "workers": crew.account(),
        }
        if shard is not None:
            return finish_shard(run, output, facts, plan, shard, more)
        scratch = run.folder / "whole"
        write(scratch, run.parts(), {"name": output.name, "settings": settings, **facts["details"]})
        record = _record(run, facts, plan, more, time.monotonic() - began)
        run.finish(scratch, record)
    if facts.get("warning"):
        record["warning"] = facts["warning"]
    return record


def plan_of(plan: Plan, missing: Sequence[int], workers: int) -> list[list[int]]:
    """The shards that workers are fed with, in order."""
    return [each for each in plan.divided(missing, SHARDS_A_WORKER * workers) if each]


def _record(
    run: Run, facts: Mapping[str, Any], plan: Plan, more: Mapping[str, Any], seconds: float
) -> dict[str, Any]:
    return {
        **provenance({}),
        "versions": facts["identity"]["versions"],
        "model": facts["model"],
        "resumed_parts": run.resumed_parts,
        "parts": len(plan),
        "done": plan.total,
        **more,
        "seconds": round(seconds, 3),
    }
