"""Attribute an answer to the bases of sequences in a file, or of regions of a genome."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..models import Model
from ..models.attribution import METHODS, Attribution, Question, attribution, needed
from ..models.batching import TOKENS_A_BATCH, encode
from ..sequences.files import Record
from ..sequences.tokenizers import Encoding
from .figures import Drawing
from .job import Job
from .memory import BatchLimit
from .pieces import Part, bases_of, in_pieces
from .table import Table

PART_BASES = 2048  # an integral takes some ten to hundred passes over a sequence
ENDINGS = (
    ".tsv", ".csv", ".csv.gz", ".parquet", ".npz", ".zarr", ".bw", ".bigwig",
)  # fmt: skip
MISSED = 0.05  # of what the shares come to without their signs, beyond which it is said

__all__ = ["METHODS", "attribute_file"]


def attribute_file(
    model: Model,
    records: Iterable[Record],
    output: Path,
    *,
    ask: Callable[[Encoding], Question],
    asked: Mapping[str, Any],
    source: Path | str = "-",
    genome: Mapping[str, Any] | None = None,
    contigs: Iterable[tuple[str, int]] = (),
    places: Mapping[str, tuple[str, int]] | None = None,
    method: str = "integrated-gradients",
    steps: int = 64,
    figure: Path | None = None,
    batch_tokens: int = TOKENS_A_BATCH,
    overwrite: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Write one row a base: ``chrom``, ``start``, ``end`` (0-based bp), ``base`` and ``value``.

    ``ask``: the question put to each sequence, ``asked``: what the record says of it. ``places``:
    where on a contig the records of regions begin, by name; other records are contigs of their own.
    ``figure``: a picture of the letters, PNG or SVG, as high as their shares.
    """
    needed()
    limit = BatchLimit(batch_tokens)
    missed = [0, 0]  # sequences, and those whose shares miss the difference

    def prepare(part: Part) -> tuple[Part, list[Encoding]]:
        return part, encode(model, part.sequences, names=part.names)

    def compute(prepared: tuple[Part, list[Encoding]]) -> Table:
        import numpy as np

        part, encodings = prepared
        chrom: list[str] = []
        bases: list[str] = []
        starts, values = [], []
        for name, text, encoding in zip(part.names, part.sequences, encodings, strict=True):
            found = limit.attempt(partial(_attributed, model, ask(encoding), method, steps))
            missed[0] += 1
            missed[1] += bool(found.missed > MISSED * np.abs(found.bases).sum() + 1e-6)
            contig, first = (places or {}).get(name, (name, 0))
            shares = np.zeros(len(text))
            shares[: len(found.bases)] = found.bases
            chrom += [contig] * len(text)
            bases += list(text)
            starts.append(np.arange(first, first + len(text), dtype=np.int64))
            values.append(shares.astype(np.float32))
        start = np.concatenate(starts)
        return Table(
            {
                "chrom": chrom, "start": start, "end": start + 1, "base": bases,
                "value": np.concatenate(values),
            }
        )  # fmt: skip

    def closing() -> str:
        if method != "integrated-gradients" or not missed[1]:
            return ""
        return (
            f"The shares of {missed[1]:,} of {missed[0]:,} sequences miss the difference that they "
            f"explain by more than {100 * MISSED:.0f} % of their size: take more --steps than {steps}."
        )

    job = Job(
        "attribute",
        model,
        source,
        output,
        {"method": method, "steps": steps, "batch_tokens": batch_tokens, **asked, **(genome or {})},
        overwrite=overwrite,
        quiet=quiet,
        endings=ENDINGS,
        details={"contigs": list(contigs)},
    )
    return job.carry_out(
        lambda: in_pieces(records, None, PART_BASES),
        prepare=prepare,
        compute=compute,
        size=bases_of,
        closing=closing,
        drawing=None if figure is None else Drawing(figure, "attribution"),
    )


def _attributed(
    model: Model, question: Question, method: str, steps: int, tokens: int
) -> Attribution:
    return attribution(model, question, method=method, steps=steps, tokens=tokens)
