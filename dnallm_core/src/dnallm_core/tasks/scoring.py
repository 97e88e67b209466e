"""Score a file of sequences by their likelihood, or write their logits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..models import Model, PredictsBases
from ..models.batching import TOKENS_A_BATCH, encode, require
from ..models.likelihood import logits_of, score
from ..sequences.files import Record
from .job import PART_BASES, Job
from .memory import BatchLimit
from .pieces import Part, bases_of, in_pieces, windows_for
from .table import Table

ENDINGS = (".tsv", ".tsv.gz", ".csv", ".csv.gz", ".npz", ".parquet", ".zarr")


def score_file(
    model: Model,
    records: Iterable[Record],
    output: Path,
    *,
    source: Path | str = "-",
    genome: Mapping[str, Any] | None = None,
    per_base: bool = False,
    both_strands: bool = False,
    window: int | None = None,
    stride: int | None = None,
    contigs: Iterable[tuple[str, int]] = (),
    batch_tokens: int = TOKENS_A_BATCH,
    total: int | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Write one row a sequence: ``name``, ``start``, ``end``, ``scored`` bases, ``score`` (nats a
    base) and ``sum`` (nats); with ``per_base`` one row a base: ``chrom``, ``start``, ``end``,
    ``value``. Windows that overlap each give their own row; per base, the window that owns it speaks.
    """
    import numpy as np

    require(model, PredictsBases, "has no head that predicts tokens", "scoring")
    cut = windows_for(model, window, stride)
    limit = BatchLimit(batch_tokens)

    def compute(part: Part) -> Table:
        found = limit.attempt(
            lambda most: score(
                model, part.sequences, reduce="none", both_strands=both_strands, tokens=most
            )
        )
        if per_base:
            return _base_table(part, list(found))
        scored = np.array([np.isfinite(each).sum() for each in found], dtype=np.int64)
        summed = np.array([np.nansum(each) for each in found], dtype=np.float64)
        mean = np.divide(summed, scored, out=np.full(len(part), np.nan), where=scored > 0)
        return Table(
            {
                **part.places,
                "scored": scored,
                "score": mean.astype(np.float32),
                "sum": summed.astype(np.float32),
            }
        )

    job = Job(
        "score",
        model,
        source,
        output,
        {
            "per_base": per_base, "both_strands": both_strands, "window": window,
            "stride": stride, "batch_tokens": batch_tokens, **(genome or {}),
        },
        overwrite=overwrite,
        quiet=quiet,
        endings=(*ENDINGS, ".bw", ".bigwig") if per_base else ENDINGS,
        details={"contigs": list(contigs)},
    )  # fmt: skip
    return job.carry_out(
        lambda: in_pieces(records, cut, PART_BASES, owned=per_base),
        prepare=lambda part: part,
        compute=compute,
        size=bases_of,
        total=total,
    )


def _base_table(part: Part, found: list[Any]) -> Table:
    import numpy as np

    chrom: list[str] = []
    starts, values = [], []
    for piece, value in zip(part, found, strict=True):
        first, last = piece.owned_start, piece.owned_end
        chrom += [piece.name] * (last - first)
        starts.append(np.arange(first, last, dtype=np.int64))
        values.append(np.asarray(value, dtype=np.float32)[first - piece.start : last - piece.start])
    start = np.concatenate(starts)
    return Table(
        {"chrom": chrom, "start": start, "end": start + 1, "value": np.concatenate(values)}
    )


def logits_file(
    model: Model,
    records: Iterable[Record],
    output: Path,
    *,
    source: Path | str = "-",
    genome: Mapping[str, Any] | None = None,
    window: int | None = None,
    stride: int | None = None,
    batch_tokens: int = TOKENS_A_BATCH,
    total: int | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Write one row a token, special ones included: ``name``, ``token`` (its number), ``id``,
    ``start``, ``end`` and ``logits`` (one a vocabulary entry).
    """
    import numpy as np

    require(model, PredictsBases, "has no head that predicts tokens", "scoring")
    cut = windows_for(model, window, stride)
    limit = BatchLimit(batch_tokens)

    def compute(part: Part) -> Table:
        encodings = encode(model, part.sequences)
        found = limit.attempt(lambda most: logits_of(model, encodings, tokens=most))
        names: list[str] = []
        for piece, encoding in zip(part, encodings, strict=True):
            names += [piece.name] * len(encoding.ids)
        places = [
            (number, token, piece.start + start, piece.start + end)
            for piece, encoding in zip(part, encodings, strict=True)
            for number, (token, (start, end)) in enumerate(
                zip(encoding.ids, encoding.offsets, strict=True)
            )
        ]
        number, token, start, end = np.array(places, dtype=np.int64).T
        return Table(
            {
                "name": names, "token": number, "id": token, "start": start, "end": end,
                "logits": np.concatenate(found),
            }
        )  # fmt: skip

    job = Job(
        "logits",
        model,
        source,
        output,
        {"window": window, "stride": stride, "batch_tokens": batch_tokens, **(genome or {})},
        overwrite=overwrite,
        quiet=quiet,
        endings=(*ENDINGS, ".npy", ".h5ad"),
    )
    return job.carry_out(
        lambda: in_pieces(records, cut, PART_BASES // 8),
        prepare=lambda part: part,
        compute=compute,
        size=bases_of,
        total=total,
    )
