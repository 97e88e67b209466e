"""Continue prompts from a file, written as FASTA or a table as they come."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..models import CarriesState, Model
from ..models.batching import require
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
    overwrite: bool = False,
    quiet: bool = False,
    **settings: Any,
) -> dict[str, Any]:
    """Write ``name``, ``sequence`` (prompt left out), ``log_likelihood`` and ``prompt`` length.

    ``samples`` continuations a prompt, each with a seed of its own derived from ``seed``. Further
    settings are those of ``models.generation.generate``.
    """
    import numpy as np

    require(model, CarriesState, "cannot generate: it carries no state", "generation")

    def compute(part: list[tuple[Record, int]]) -> Table:
        found = model.generate(
            [record.sequence for record, _ in part],
            max_new_bases=max_new_bases,
            **{**settings, "streams": [sample for _, sample in part]},
        )
        names = [
            record.name if samples == 1 else f"{record.name}_{sample + 1}"
            for record, sample in part
        ]
        return Table(
            {
                "name": names,
                "sequence": [each.sequence for each in found],
                "log_likelihood": np.array(
                    [each.log_likelihood for each in found], dtype=np.float32
                ),
                "prompt": np.array([len(record.sequence) for record, _ in part], dtype=np.int64),
            }
        )

    job = Job(
        "generate",
        model,
        source,
        output,
        {"max_new_bases": max_new_bases, "samples": samples, **settings},
        overwrite=overwrite,
        quiet=quiet,
        endings=ENDINGS,
    )
    wanted = ((record, sample) for record in prompts for sample in range(samples))
    return job.carry_out(
        lambda: in_parts(wanted, lambda _: 1, PART_PROMPTS),
        prepare=lambda part: part,
        compute=compute,
        size=lambda part: len(part) * max_new_bases,
    )
