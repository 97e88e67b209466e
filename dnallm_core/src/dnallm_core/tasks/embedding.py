"""Embed a file of sequences: a vector a sequence, a window or a token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..models import Embeds, Model
from ..models.batching import TOKENS_A_BATCH, encode, require
from ..models.embedding import check_pooling, embed_encodings, token_vectors
from ..sequences.alphabet import reverse_complement
from ..sequences.files import Record
from ..sequences.tokenizers import Encoding
from .job import PART_BASES, Job
from .memory import BatchLimit
from .pieces import Part, bases_of, in_pieces, windows_for
from .table import Table

ENDINGS = (".tsv", ".tsv.gz", ".csv", ".csv.gz", ".npy", ".npz", ".parquet", ".zarr", ".h5ad")
Prepared = tuple[Part, list[Encoding], list[Encoding] | None]


def embed_file(
    model: Model,
    records: Iterable[Record],
    output: Path,
    *,
    source: Path | str = "-",
    genome: Mapping[str, Any] | None = None,
    pooling: str = "mean",
    layer: int = -1,
    tokens: bool = False,
    both_strands: bool = False,
    window: int | None = None,
    stride: int | None = None,
    batch_tokens: int = TOKENS_A_BATCH,
    total: int | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Write one row a piece: ``name``, ``start``, ``end`` (0-based bp) and ``embedding``.

    With ``tokens``, one row a token that stands for bases. Returns the run's record.
    """
    require(model, Embeds, "has no token states to embed with", "embedding")
    check_pooling(pooling)
    import numpy as np

    cut = windows_for(model, window, stride)
    limit = BatchLimit(batch_tokens)

    def prepare(part: Part) -> Prepared:
        texts = part.sequences
        other = [reverse_complement(each) for each in texts] if both_strands else None
        return (
            part,
            encode(model, texts, names=part.names),
            encode(model, other) if other is not None else None,
        )

    def compute(prepared: Prepared) -> Table:
        part, forward, reverse = prepared
        if tokens:
            return _token_table(model, part, forward, layer, limit)
        vectors = limit.attempt(
            lambda most: embed_encodings(model, forward, pooling=pooling, layer=layer, tokens=most)
        )
        if reverse is not None:
            other = limit.attempt(
                lambda most: embed_encodings(
                    model, reverse, pooling=pooling, layer=layer, tokens=most
                )
            )
            vectors = (vectors + other) * np.float32(0.5)
        return Table({**part.places, "embedding": vectors})

    job = Job(
        "embed",
        model,
        source,
        output,
        {
            "pooling": pooling, "layer": layer, "tokens": tokens, "both_strands": both_strands,
            "window": window, "stride": stride, "batch_tokens": batch_tokens, **(genome or {}),
        },
        overwrite=overwrite,
        quiet=quiet,
        endings=ENDINGS,
    )  # fmt: skip
    return job.carry_out(
        lambda: in_pieces(records, cut, PART_BASES),
        prepare=prepare,
        compute=compute,
        size=bases_of,
        total=total,
    )


def _token_table(
    model: Model, part: Part, encodings: list[Encoding], layer: int, limit: BatchLimit
) -> Table:
    import numpy as np

    found = limit.attempt(lambda most: token_vectors(model, encodings, layer=layer, tokens=most))
    names, starts, ends, vectors = [], [], [], []
    for piece, encoding, states in zip(part, encodings, found, strict=True):
        for (start, end), vector in zip(encoding.offsets, states, strict=True):
            if end > start:
                names.append(piece.name)
                starts.append(piece.start + start)
                ends.append(piece.start + end)
                vectors.append(vector)
    return Table(
        {
            "name": names,
            "start": np.array(starts, dtype=np.int64),
            "end": np.array(ends, dtype=np.int64),
            "embedding": np.stack(vectors),
        }
    )
