"""Every substitution of regions: what a saturation mutagenesis would measure, in silico."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models import Model, PredictsRates
from ..models.batching import TOKENS_A_BATCH
from ..models.placed_windows import fitting
from ..models.variants import check_marginal, substitution_effects
from ..sequences.alignment import Alignment
from ..sequences.alphabet import BASES
from ..sequences.files import Genome, Region
from .figures import Drawing
from .genomes import alignment_settings, check_window, contig_of, genome_settings, in_order
from .job import Job
from .memory import BatchLimit
from .outputs import PLACED, ending_of
from .pipeline import in_parts
from .table import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..models.base_likelihoods import Marginal

PART_POSITIONS = 1024
PART_SHARED = 16_384  # positions a part where one pass serves thousands of them
ENDINGS = (
    ".tsv", ".tsv.gz", ".csv", ".csv.gz", ".vcf", ".vcf.gz", ".parquet", ".npz", ".zarr", ".bw",
    ".bigwig",
)  # fmt: skip
BY_PLACE = (".tsv.gz", ".vcf", ".vcf.gz", ".bw", ".bigwig")  # in genome order, each base once
Place = tuple[str, int]  # contig, 0-based position


def scan_regions(
    model: Model,
    genome: Genome,
    regions: Iterable[Region],
    output: Path,
    *,
    alignment: Alignment | None = None,
    alignment_source: str | None = None,
    window: int | None = None,
    both_strands: bool = True,
    marginal: Marginal = "masked",
    figure: Path | None = None,
    batch_tokens: int = TOKENS_A_BATCH,
    overwrite: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Write three rows a base: ``chrom``, ``pos`` (1-based), ``ref``, ``alt``, ``effect`` (nats).

    A bigWig holds one value a base: the mean effect of its three substitutions. Formats in which rows
    are found by their place (``.vcf``, bigWig, and ``.vcf.gz`` and ``.tsv.gz`` with an index beside
    them) hold the regions in genome order, a base once; the others as they are listed. Bases other
    than A, C, G, T have no substitutions. The window of a base depends on its place in the genome
    alone. ``marginal``: of a masked model, ``masked`` masks each base in turn; ``wild-type`` reads all
    bases of a window off one pass without a mask, hundreds of times faster, and is another number.
    ``figure``: a heat map and a logo, PNG or SVG. ``alignment``: for a model that reads one;
    ``alignment_source`` is the path that the record names.
    """
    fitting(model, alignment)
    check_window(model, window)
    check_marginal(model, marginal)
    listed = list(regions)
    if ending_of(output) in BY_PLACE:
        listed = in_order(listed, genome)
    limit = BatchLimit(batch_tokens)
    settings: dict[str, Any] = {
        "window": window, "both_strands": both_strands, "marginal": marginal,
    }  # fmt: skip
    drawing = None if figure is None else Drawing(figure, "scan")
    if drawing is not None:
        drawing.check(sum(each.end - each.start for each in listed))

    def compute(part: list[Place]) -> Table:
        import numpy as np

        positions = np.array([at for _, at in part], dtype=np.int64)
        own = np.empty(len(part), dtype=np.int64)
        effects = np.empty((len(part), 4))
        for name in dict.fromkeys(contig for contig, _ in part):
            rows = [row for row, (contig, _) in enumerate(part) if contig == name]
            # regions may overlap and come in any order
            order, place = np.unique(positions[rows], return_inverse=True)
            bases, found = limit.attempt(
                partial(_effects, model, genome, name, order, alignment, settings)
            )
            own[rows], effects[rows] = bases[place], found[place]
        known = np.flatnonzero(own >= 0)
        chrom = [part[row][0] for row in known]
        return _table(chrom, positions[known], own[known], effects[known])

    job = Job(
        "scan",
        model,
        genome.path,
        output,
        {
            **genome_settings(genome), **alignment_settings(alignment_source),
            "regions": [[each.contig, each.start, each.end] for each in listed],
            **settings, "batch_tokens": batch_tokens,
        },
        overwrite=overwrite,
        quiet=quiet,
        endings=ENDINGS,
        formats=PLACED,
        details={"contigs": list(genome.lengths.items())},
    )  # fmt: skip

    def places() -> Iterator[Place]:
        return ((each.contig, at) for each in listed for at in range(each.start, each.end))

    shares = marginal == "wild-type" or isinstance(model, PredictsRates)
    return job.carry_out(
        lambda: in_parts(places(), lambda _: 1, PART_SHARED if shares else PART_POSITIONS),
        prepare=lambda part: part,
        compute=compute,
        size=len,
        total=sum(each.end - each.start for each in listed),
        drawing=drawing,
    )


def _effects(
    model: Model,
    genome: Genome,
    contig: str,
    positions: NDArray[np.int64],
    alignment: Alignment | None,
    settings: dict[str, Any],
    tokens: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    place = contig_of(genome, genome.contig(contig))
    return substitution_effects(
        model, place, positions, alignment=alignment, **settings, tokens=tokens
    )


def _table(
    chrom: list[str],
    position: NDArray[np.int64],
    own: NDArray[np.int64],
    effects: NDArray[np.float64],
) -> Table:
    """Three rows a base."""
    import numpy as np

    others = np.argsort(np.arange(4) == own[:, None], axis=1, kind="stable")[:, :3]
    values = np.take_along_axis(effects, others, axis=1)  # (bases, 3)
    return Table(
        {
            "chrom": [name for name in chrom for _ in range(3)],
            "pos": np.repeat(position + 1, 3),
            "ref": [BASES[each] for each in own for _ in range(3)],
            "alt": [BASES[each] for each in others.ravel()],
            "effect": values.ravel().astype(np.float32),
        }
    )
