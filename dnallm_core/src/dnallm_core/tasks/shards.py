"""One shard of a run: some of its parts, computed anywhere, and a record of what computed them.

``OUTPUT.shard-3-of-16/`` holds the parts and ``shard.json``; ``merging`` joins the shards of a run.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import RequirementError
from .job import explaining_a_full_disk
from .outputs import writer_for
from .plan import Plan
from .progress import Progress
from .run import Run, file_digest, part_name, provenance
from .work import Work

RECORD = "shard.json"
SCHEMA = 1


class Which(NamedTuple):
    """Shard ``number`` (from 1) ``of`` so many."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number} of {self.of}"


def which(text: str) -> Which:
    """``3/16`` as people type it. Raises RequirementError for anything else."""
    number, slash, of = text.partition("/")
    if slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of):
        return Which(int(number), int(of))
    raise RequirementError(
        f"{text!r} is no shard.", requirement="shard", hint="Write 3/16 for the third of sixteen."
    )


def shard_path(output: Path, shard: Which) -> Path:
    """Where a shard of ``output`` goes."""
    return output.with_name(f"{output.name}.shard-{shard.number}-of-{shard.of}")


def shard_settings(facts: Mapping[str, Any], plan: Plan, shard: Which) -> dict[str, Any]:
    """What must be the same for an interrupted shard to go on."""
    return {
        **facts["settings"],
        **facts["identity"],
        "shard": str(shard),
        "plan": plan.digest,
    }


def one_shard(work: Work, shard: Which) -> dict[str, Any]:
    """Carry out one shard in this process; what it has done is kept if it is interrupted."""
    writer_for(work.output, work.endings, work.formats)
    began = time.monotonic()
    plan = work.plan()
    facts = {**work.facts(), "warning": work.closing()}
    numbers = plan.shard(*shard)
    progress = Progress(sum(plan.sizes[n] for n in numbers), unit=work.unit, quiet=work.quiet)
    target = shard_path(work.output, shard)
    settings = shard_settings(facts, plan, shard)
    with explaining_a_full_disk(target), Run(target, settings, overwrite=work.overwrite) as run:
        missing = missing_parts(run, numbers)
        progress.skip(sum(plan.sizes[n] for n in set(numbers) - set(missing)))
        if missing:
            work.compute_some(missing, run.save, progress)
        progress.close()
        more = {"seconds": round(time.monotonic() - began, 3)}
        return finish_shard(run, work.output, facts, plan, shard, more)


def missing_parts(run: Run, numbers: Sequence[int]) -> list[int]:
    """Which of ``numbers`` are not on disk yet."""
    for part in (run.folder / "whole").glob("part-*.npz"):  # a shard that was being finished
        part.replace(run.folder / part.name)
    return [number for number in numbers if not run.has(number)]


def finish_shard(
    run: Run,
    output: Path,
    facts: Mapping[str, Any],
    plan: Plan,
    shard: Which,
    more: Mapping[str, Any],
) -> dict[str, Any]:
    """Give the parts of ``run`` the shard's name, whole, and return its record."""
    folder = run.folder / "whole"
    folder.mkdir(exist_ok=True)
    names = [part_name(number) for number in plan.shard(*shard)]
    for name in names:
        (run.folder / name).replace(folder / name)
    record = {
        "schema": SCHEMA,
        "shard": shard.number,
        "of": shard.of,
        "name": output.name,
        "plan": {
            "digest": plan.digest, "parts": len(plan), "total": plan.total, "unit": plan.unit,
        },
        "parts": {name: file_digest(folder / name) for name in names},
        "resumed_parts": run.resumed_parts,
        **provenance({}),
        **facts,
        **more,
    }  # fmt: skip
    (folder / RECORD).write_text(json.dumps(record, indent=1, default=str) + "\n")
    if run.output.is_dir():
        shutil.rmtree(run.output)
    folder.replace(run.output)
    return {**record, "output": str(run.output)}
