"""Score variants over a genome: log-likelihood of the alternative less the reference's.

Harmful is negative. The input is VCF, BCF, a table with chrom, pos, ref and alt, or lines such as
chr1:12345:A:G. What cannot be scored is listed with its reason.

  dnallm variants MODEL variants.vcf --genome genome.fa -o scored.vcf
"""

from __future__ import annotations

import argparse

from .running import _length, add_model, add_output, finish, open_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_model(parser)
    parser.add_argument("input", help="VCF, BCF, CSV, TSV or chrom:pos:ref:alt lines; - for stdin")
    parser.add_argument("--genome", required=True, metavar="FASTA", help="the reference genome")
    parser.add_argument("--window", type=_length, metavar="BP", help="bp around a variant")
    parser.add_argument("--one-strand", action="store_true", help="the forward strand alone")
    parser.add_argument(
        "--on-mismatch", default="error", choices=["error", "report"],
        help="where REF is not what the genome has",
    )  # fmt: skip
    parser.add_argument(
        "--contig-names", metavar="RULE", help='"chr" (chr1 is 1), or a table of two columns'
    )
    add_output(parser, ".tsv .csv .parquet .npz .vcf .vcf.gz")


def run(options: argparse.Namespace) -> int:
    """Score the input."""
    from ..sequences.files import Genome, read_variants
    from ..tasks.variants import score_variants

    with Genome(options.genome, contig_names=contig_names(options.contig_names)) as genome:
        record = score_variants(
            open_model(options),
            read_variants(options.input),
            genome,
            options.output,
            source=options.input,
            window=options.window,
            both_strands=not options.one_strand,
            on_mismatch=options.on_mismatch,
            batch_tokens=options.batch_tokens,
            overwrite=options.overwrite,
            quiet=options.quiet,
        )
    return finish(options, record)


def contig_names(rule: str | None) -> dict[str, str] | str | None:
    """The rule of ``Genome``: None, "chr", or a table file of the user's and the genome's names."""
    if rule is None or rule == "chr":
        return rule
    from pathlib import Path

    lines = Path(rule).read_text(encoding="utf-8").splitlines()
    pairs = [line.split() for line in lines if line.strip()]
    return {pair[0]: pair[1] for pair in pairs if len(pair) > 1}
