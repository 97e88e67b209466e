"""Score every substitution of regions: a saturation mutagenesis in silico.

dnallm scan MODEL --genome genome.fa --region chr1:1001-2000 -o scan.tsv
dnallm scan MODEL --genome genome.fa --marginal wild-type -o genome.parquet
dnallm scan MODEL --genome genome.fa --region chr1:1001-2000 -o scan.vcf.gz --figure scan.png
"""

from __future__ import annotations

import argparse

from .divided import divided
from .running import (
    add_figure,
    add_genome,
    add_model,
    add_output,
    add_region,
    finish,
    open_alignment_of,
    open_genome,
    open_model,
    regions_of,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_model(parser)
    add_genome(parser)
    add_region(parser, "1-based, both included, or a whole contig; may be repeated")
    parser.add_argument("--regions", metavar="FILE", help="BED or GFF")
    parser.add_argument(
        "--marginal", default="masked", choices=["masked", "wild-type"],
        help="masked: each base masked in turn; wild-type: all bases of a window from one pass "
        "without a mask, for whole genomes",
    )  # fmt: skip
    add_figure(parser, "a heat map and a logo")
    add_output(parser, ".tsv .tsv.gz .csv .vcf .vcf.gz .parquet .npz .zarr .bw")


@divided
def run(options: argparse.Namespace) -> int:
    """Scan the regions, or the whole genome where none is named."""
    from ..sequences.files import Region
    from ..tasks.scanning import scan_regions

    with open_genome(options) as genome:
        regions = regions_of(options, genome) or [
            Region(name, 0, length) for name, length in genome.lengths.items()
        ]
        record = scan_regions(
            open_model(options),
            genome,
            regions,
            options.output,
            alignment=open_alignment_of(options, genome),
            alignment_source=options.alignment,
            window=options.window,
            both_strands=not options.one_strand,
            marginal=options.marginal,
            figure=options.figure,
            batch_tokens=options.batch_tokens,
            overwrite=options.overwrite,
            quiet=options.quiet,
        )
    return finish(options, record)
