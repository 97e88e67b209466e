"""Continue prompts from a file, written as FASTA or a table as they come."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..models import CarriesState, Model
from ..models.batching import require
from ..models.lineage import tagged
from ..sequences.files import Record
from .job import Job
from .pipeline import in_parts
from .table import Table

PART_PROMPTS = 16
ENDINGS = (".fa", ".fasta", ".tsv", ".tsv.gz", ".csv", ".csv.gz", ".parquet")


def generate_file(
    model: Model,
    prompts: Iterable[Record],
    output: Path,
    *,
    source: Path | str = "-",
    max_new_bases: int,
    samples: int = 1,
    tag: str = "",
    overwrite: bool = False,
    quiet: bool = False,
    **settings: Any,
) -> dict[str, Any]:
    """Write ``name``, ``sequence`` (prompt left out), ``log_likelihood`` and ``prompt`` length.

    ``samples`` continuations a prompt, each from a random stream of its own. ``tag``: a lineage that
    every prompt begins with, for a model that was trained with such. Further
    settings are those of ``models.generation.generate``.
    """
    import numpy as np

    require(
        model,
        CarriesState,
        "cannot continue a sequence: it keeps no state of what came before",
        "generation",
    )

    listed = prompts if Path(source).is_file() else list(prompts)
    before = tagged(model, tag) if tag else ""

    def compute(part: list[Record]) -> Table:
        # all samples of a prompt in one call, which gives each a random stream of its own
        repeated = [(record, sample) for record in part for sample in range(samples)]
        found = model.generate(
            [before + record.sequence for record, _ in repeated],
            max_new_bases=max_new_bases,
            **settings,
        )
        names = [
            record.name if samples == 1 else f"{record.name}_{sample + 1}"
            for record, sample in repeated
        ]
        return Table(
            {
                "name": names,
                "sequence": [each.sequence for each in found],
                "log_likelihood": np.array(
                    [each.log_likelihood for each in found], dtype=np.float32
                ),
                "prompt": np.array(
                    [len(record.sequence) for record, _ in repeated], dtype=np.int64
                ),
            }
        )

    job = Job(
        "generate",
        model,
        source,
        output,
        {
            "max_new_bases": max_new_bases,
            "samples": samples,
            "tag": before,
            **_known(listed),
            **settings,
        },
        overwrite=overwrite,
        quiet=quiet,
        endings=ENDINGS,
    )
    return job.carry_out(
        lambda: in_parts(listed, lambda _: samples, PART_PROMPTS),
        prepare=lambda part: part,
        compute=compute,
        size=lambda part: len(part) * samples * max_new_bases,
    )


def _known(prompts: Iterable[Record]) -> dict[str, str]:
    """Prompts that come from no file are known by their own hash."""
    if not isinstance(prompts, list):
        return {}
    text = json.dumps([[each.name, each.sequence] for each in prompts])
    return {"prompts_sha256": hashlib.sha256(text.encode()).hexdigest()}
