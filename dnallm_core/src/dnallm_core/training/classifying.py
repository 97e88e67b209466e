"""Predict with a trained model over a file: resumable, a row a sequence."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..models.batching import TOKENS_A_BATCH
from ..models.heads import Row
from ..sequences.files import Record
from ..tasks.job import PART_BASES, Job
from ..tasks.memory import BatchLimit
from ..tasks.pipeline import in_parts
from ..tasks.table import Table
from .tokens import spelt
from .trained import TrainedModel, predict_bases

ENDINGS = (".tsv", ".tsv.gz", ".csv", ".csv.gz", ".parquet")
Prepared = tuple[list[Record], list[Row]]


def classify_file(
    trained: TrainedModel,
    records: Iterable[Record],
    output: Path,
    *,
    source: Path | str = "-",
    batch_tokens: int = TOKENS_A_BATCH,
    overwrite: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Write ``name``, the answer (not for regression), and a number a class, label or target.

    Of a model of single bases: the likeliest label of each, and the mean of their probabilities.
    """
    limit = BatchLimit(batch_tokens)
    kind = trained.objective.kind

    def prepare(part: list[Record]) -> Prepared:
        return part, trained.network.rows(
            [each.sequence for each in part], [each.name for each in part]
        )

    def bases(part: list[Record], rows: list[Row]) -> Table:
        found = limit.attempt(
            lambda most: predict_bases(
                trained.network, trained.objective, rows,
                [each.sequence for each in part], tokens=most,
            )
        )  # fmt: skip
        return Table(
            {
                "name": [each.name for each in part],
                "labels": [spelt(each.argmax(1).tolist(), trained.classes) for each in found],
                "confidence": np.array([each.max(1).mean() for each in found], dtype=np.float32),
            }
        )

    def compute(prepared: Prepared) -> Table:
        part, rows = prepared
        if kind == "token-classification":
            return bases(part, rows)
        outputs = limit.attempt(lambda most: trained.network.outputs(rows, tokens=most))
        found = trained.objective.predictions(outputs)
        columns: dict[str, Any] = {"name": [each.name for each in part]}
        if kind == "classification":
            columns["label"] = [trained.classes[at] for at in found.argmax(1)]
        elif kind == "multi-label":
            columns["labels"] = [
                ";".join(n for n, p in zip(trained.classes, row, strict=True) if p >= 0.5) or "-"
                for row in found
            ]
        before = "" if kind == "regression" else "p_"
        for at, name in enumerate(trained.classes):
            columns[before + name] = found[:, at].astype(np.float32)
        return Table(columns)

    job = Job(
        "classify",
        trained.model,
        source,
        output,
        {"batch_tokens": batch_tokens, "classes": list(trained.classes), "kind": kind},
        overwrite=overwrite,
        quiet=quiet,
        endings=ENDINGS,
    )
    return job.carry_out(
        lambda: in_parts(records, lambda record: len(record.sequence), PART_BASES),
        prepare=prepare,
        compute=compute,
        size=lambda part: sum(len(each.sequence) for each in part),
    )
