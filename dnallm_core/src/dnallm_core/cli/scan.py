"""Score every substitution of regions: a saturation mutagenesis in silico.

dnallm scan MODEL --genome genome.fa --region chr1:1001-2000 -o scan.tsv
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from .running import _length, add_model, add_output, finish, open_model, parse_region
from .variants import contig_names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_model(parser)
    parser.add_argument("--genome", required=True, metavar="FASTA", help="the genome")
    parser.add_argument(
        "--region", action="append", default=[], metavar="CONTIG:FIRST-LAST",
        help="1-based, both included, or a whole contig; may be repeated",
    )  # fmt: skip
    parser.add_argument("--regions", metavar="FILE", help="BED or GFF")
    parser.add_argument("--window", type=_length, metavar="BP", help="bp around a base")
    parser.add_argument("--one-strand", action="store_true", help="the forward strand alone")
    parser.add_argument("--contig-names", metavar="RULE", help='"chr", or a table of two columns')
    add_output(parser, ".tsv .csv .parquet .npz .zarr .bw")


def run(options: argparse.Namespace) -> int:
    """Scan the regions, or the whole genome where none is named."""
    from ..sequences.files import Genome, Region, read_regions
    from ..tasks.scanning import scan_regions

    with Genome(options.genome, contig_names=contig_names(options.contig_names)) as genome:
        lengths = genome.lengths
        regions = []
        for text in options.region:
            region = parse_region(text)
            length = lengths[genome.contig(region.contig)]
            whole = replace(region, end=length) if region.end < 0 else region
            genome.fetch(whole.contig, whole.start, whole.end)  # outside the contig: a sentence
            regions.append(whole)
        if options.regions:
            regions += list(read_regions(options.regions))
        if not regions:
            regions = [Region(name, 0, length) for name, length in lengths.items()]
        record = scan_regions(
            open_model(options),
            genome,
            regions,
            options.output,
            window=options.window,
            both_strands=not options.one_strand,
            batch_tokens=options.batch_tokens,
            overwrite=options.overwrite,
            quiet=options.quiet,
        )
    return finish(options, record)
