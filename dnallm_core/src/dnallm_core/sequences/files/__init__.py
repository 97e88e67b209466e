"""Files of sequences, genomes, regions and variants: streamed, checked, whatever their compression.

``read_records`` reads FASTA, FASTQ, tables and bare lines; ``Genome`` fetches any stretch of a FASTA
file; ``read_regions`` reads BED and GFF; ``read_variants`` VCF, BCF, tables and ``chr:pos:ref:alt``.
Everything that can be wrong with a file is a SequenceError that names the record and the place.
"""

from __future__ import annotations

from .genome import Genome
from .reader import FORMATS, in_blocks, read_records
from .record import Block, Record, Region, Variant
from .reference import ReferenceCheck
from .regions import read_regions, region_records
from .tables import read_rows
from .variants import parse_variant, read_variants, variants_of

__all__ = [
    "FORMATS",
    "Block",
    "Genome",
    "Record",
    "ReferenceCheck",
    "Region",
    "Variant",
    "in_blocks",
    "parse_variant",
    "read_records",
    "read_regions",
    "read_rows",
    "read_variants",
    "region_records",
    "variants_of",
]
