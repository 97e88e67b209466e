"""Every kind of bad input of a task over files, tried through the command: a sentence each."""

from __future__ import annotations

import csv
import errno
import gzip

import pytest
from dnallm_core.cli.main import run

GENOME = ">chr1\n" + "ACGGTTACGATTTACGACCA" * 6 + "\n>chr2\nACGTNACGTA\n"
HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
FLAGS = ["--weights", "toy-0", "--device", "cpu", "--quiet"]


@pytest.fixture
def here(toy, tmp_path, monkeypatch):
    """A folder with a toy checkpoint and a genome."""
    toy("toy")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genome.fa").write_text(GENOME)
    return tmp_path


def _vcf(*rows):
    return (HEADER + "".join("\t".join(row.split()) + "\t.\t.\t.\n" for row in rows)).encode()


FASTA = b"".join(b">r%d\nACGTACGTAC\n" % number for number in range(4000))
VARIANTS = ["variants", "toy", "in", "--genome", "genome.fa"]
EMBED = ["embed", "toy", "in"]
CASES = {
    "a FASTA cut short": (EMBED, gzip.compress(FASTA)[:-400], ["in ends in the middle", "cut short"]),
    "a VCF cut short": (
        VARIANTS, gzip.compress(_vcf(*["chr1 2 . C A"] * 9000))[:-50], ["in ends in the middle"],
    ),
    "a BAM for a VCF": (
        VARIANTS, gzip.compress(b"BAM\1" + bytes(99)), ["is a BAM file", "variants was expected"],
    ),
    "a BAM for reads": (EMBED, gzip.compress(b"BAM\1" + bytes(99)), ["BAM", "samtools fasta"]),
    "a FASTA for a VCF": (VARIANTS, b">a\nACGT\n", ["is FASTA", "not variants"]),
    "a VCF for sequences": (EMBED, _vcf("chr1 2 . C A"), ["is VCF", "not sequences"]),
    "another spelling": (
        VARIANTS, _vcf("1 2 . C A"), ["no contig '1'", "calls it 'chr1'", "--contig-names"],
    ),
    "a contig that is nowhere": (
        VARIANTS, _vcf("chr9 2 . C A"), ["no contig 'chr9'", "chr1"],
    ),
    "a REF that disagrees": (
        VARIANTS, _vcf(*["chr1 2 . C A"] * 30, "chr1 3 . T A"),
        ["chr1:3:T:A (record 31)", "its REF is T, and the genome has G there"],
    ),
    "REFs of another build": (
        VARIANTS, _vcf(*[f"chr1 {at} . {'A' if GENOME[at + 5] != 'A' else 'C'} G" for at in (3, 4, 5)]),
        ["record 1", "another build (assembly)?"],
    ),
    "a place beyond the end": (VARIANTS, _vcf("chr2 99 . C A"), ["chr2 has 10 bp"]),
    "a row that is none": (VARIANTS, HEADER.encode() + b"chr1\tx\n", ["line 3", "no row of a VCF"]),
    "a missing column": (
        [*EMBED, "--column", "sequence"], b"id,sequense\na,ACGT\n",
        ["no column 'sequence'", "sequense"],
    ),
    "names that stand twice": (
        EMBED, b">a\nACGT\n>b\nAC\n>a\nTT\n", ["two records called a", "record 3", "--duplicates"],
    ),
    "letters that are none": (EMBED, b">a\nACGT\n>b\nAC!T\n", ["Record b", "'!'", "position 3"]),
    "an empty file": (EMBED, b"", ["in is empty"]),
    "a sequence of one long line": (
        EMBED, b">long\n" + b"ACGT" * 500_000 + b"\n", ["long", "2,000,000 bp", "64"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_a_sentence_that_says_where(here, capsys, case):
    command, content, words = CASES[case]
    (here / "in").write_bytes(content)
    assert run([*command, "-o", "out.tsv", *FLAGS]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert len(said) < 1000
    for each in words:
        assert each in said
    assert not (here / "out.tsv").exists()


def test_a_genome_on_one_line_of_100_mb_is_read_in_place(here):
    with (here / "genome.fa").open("wb") as file:
        file.write(b">chr1\n" + b"ACGT" * 25_000_000 + b"\n")
    place = ["--genome", "genome.fa", "--region", "chr1:99999991-100000000", "--window", "20"]
    assert run(["scan", "toy", *place, "-o", "out.tsv", *FLAGS]) == 0
    with (here / "out.tsv").open() as file:
        assert [row["pos"] for row in csv.DictReader(file, delimiter="\t")][-1] == "100000000"


def test_missing_contigs_can_be_listed_with_the_rest(here):
    (here / "in").write_bytes(_vcf("chr9 2 . C A", "chr1 2 . C A,<DEL>,T", "chr2 5 . N A"))
    assert run([*VARIANTS, "--on-mismatch", "report", "-o", "out.tsv", *FLAGS]) == 0
    with (here / "out.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [(row["chrom"], row["alt"], bool(row["effect"])) for row in rows] == [
        ("chr9", "A", False), ("chr1", "A", True), ("chr1", "<DEL>", False), ("chr1", "T", True),
        ("chr2", "A", False),
    ]  # fmt: skip
    assert "no contig 'chr9'" in rows[0]["reason"]
    assert "symbolic" in rows[2]["reason"]
    assert "letter other than" in rows[4]["reason"]


def test_a_full_disk_keeps_what_is_done_and_goes_on_when_there_is_room(here, capsys, monkeypatch):
    from dnallm_core.tasks import embedding
    from dnallm_core.tasks import run as runs

    monkeypatch.setattr(embedding, "PART_BASES", 400)
    (here / "in").write_bytes(FASTA[:4000])
    assert run([*EMBED, "-o", "whole.tsv", *FLAGS]) == 0
    write = runs.write_part
    left = [3]

    def filling(path, table):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, table)

    monkeypatch.setattr(runs, "write_part", filling)
    assert run([*EMBED, "-o", "out.tsv", *FLAGS]) == 3
    said = capsys.readouterr().err
    assert "The disk is full: out.tsv could not be finished" in said
    assert "it goes on from there" in said
    assert len(list((here / "out.tsv.partial").glob("part-*.npz"))) == 3
    monkeypatch.setattr(runs, "write_part", write)
    assert run([*EMBED, "-o", "out.tsv", *FLAGS]) == 0
    assert (here / "out.tsv").read_bytes() == (here / "whole.tsv").read_bytes()
