"""Predict the genes of a bacterial genome with pyrodigal, as a table.

    pip install pyrodigal
    python tools/call_genes.py GENOME.fa.gz -o genes.tsv.gz

pyrodigal is under the GPL: only this script uses it, and nothing that ships imports it. What it finds
are predictions. Rows: contig, start (0-based), end, strand, whether an end lies beyond the contig,
start codon, GC content.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import pyrodigal
from dnallm_core.sequences.files import Genome

HEADER = "contig\tstart\tend\tstrand\tpartial\tstart_codon\tgc"


def main() -> None:
    """Train on the longest contig, predict on all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("genome", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    with Genome(arguments.genome) as genome:
        contigs = {name: genome.fetch(name) for name in genome.lengths}
    finder = pyrodigal.GeneFinder()
    finder.train(max(contigs.values(), key=len))
    lines = [f"# predicted by pyrodigal {pyrodigal.__version__} on {arguments.genome.name}", HEADER]
    for name, sequence in contigs.items():
        lines += [
            f"{name}\t{gene.begin - 1}\t{gene.end}\t{'+' if gene.strand > 0 else '-'}\t"
            f"{int(gene.partial_begin or gene.partial_end)}\t{gene.start_type}\t{gene.gc_cont:.3f}"
            for gene in finder.find_genes(sequence)
        ]
    text = ("\n".join(lines) + "\n").encode()
    arguments.output.write_bytes(gzip.compress(text, 9, mtime=0))
    print(f"{len(lines) - 2:,} genes predicted")


if __name__ == "__main__":
    main()
