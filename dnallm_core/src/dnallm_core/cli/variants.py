"""Score variants over a genome: log-likelihood of the alternative less the reference's.

Harmful is negative; with --effect embedding-distance it is minus how far the states move. The input is
VCF, BCF, a table with chrom, pos, ref and alt, or lines such as chr1:12345:A:G. What cannot be scored is
listed with its reason.

  dnallm variants MODEL variants.vcf --genome genome.fa -o scored.vcf
  dnallm variants MODEL variants.vcf --genome genome.fa --alignment species.maf -o scored.vcf
"""

from __future__ import annotations

import argparse

from .divided import divided
from .running import (
    Readings,
    add_genome,
    add_model,
    add_output,
    finish,
    open_alignment_of,
    open_genome,
    open_model,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_model(parser)
    parser.add_argument("input", help="VCF, BCF, CSV, TSV or chrom:pos:ref:alt lines; - for stdin")
    add_genome(parser)
    parser.add_argument(
        "--on-mismatch", default="error", choices=["error", "report"],
        help="where REF is not what the genome has",
    )  # fmt: skip
    parser.add_argument(
        "--effect", default="likelihood", choices=["likelihood", "embedding-distance"],
        help="the difference of log-likelihoods, or minus the distance of the windows' embeddings",
    )  # fmt: skip
    add_output(parser, ".tsv .tsv.gz .csv .parquet .npz .vcf .vcf.gz")


@divided
def run(options: argparse.Namespace) -> int:
    """Score the input."""
    from ..sequences.files import read_variants
    from ..tasks.variants import score_variants

    with open_genome(options) as genome:
        record = score_variants(
            open_model(options),
            Readings(lambda: read_variants(options.input)),
            genome,
            options.output,
            source=options.input,
            alignment=open_alignment_of(options, genome),
            alignment_source=options.alignment,
            window=options.window,
            both_strands=not options.one_strand,
            effect=options.effect,
            on_mismatch=options.on_mismatch,
            batch_tokens=options.batch_tokens,
            overwrite=options.overwrite,
            quiet=options.quiet,
        )
    return finish(options, record)
