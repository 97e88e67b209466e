"""Regions of a genome as input, and what the command says of files that are not what they should be."""

from __future__ import annotations

import csv
import gzip
import json

import pytest
from dnallm_core.cli.main import run

GENOME = ">chr1\n" + "ACGGTTACGATTTACGACCA" * 6 + "\n>chr2\nACGTNACGTA\n"
FLAGS = ["--weights", "toy-0", "--device", "cpu", "--quiet"]


@pytest.fixture
def here(toy, tmp_path, monkeypatch):
    """A folder with a toy checkpoint and a genome."""
    toy("toy")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genome.fa").write_text(GENOME)
    return tmp_path


def _rows(path):
    with path.open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_regions_are_embedded_and_scored_as_the_sequences_that_lie_there(here):
    (here / "genes.bed").write_text("chr1\t10\t40\tfirst\t0\t+\nchr2\t0\t10\tsecond\t0\t-\n")
    (here / "genes.fa").write_text(">first\n" + GENOME[16:46] + "\n>second\nTACGTNACGT\n")
    for command in ("embed", "score"):
        assert run([command, "toy", "genes.fa", "-o", f"{command}-a.tsv", *FLAGS]) == 0
        regions = ["--regions", "genes.bed", "--genome", "genome.fa"]
        assert run([command, "toy", *regions, "-o", f"{command}-b.tsv", *FLAGS]) == 0
        assert _rows(here / f"{command}-a.tsv") == _rows(here / f"{command}-b.tsv")
    settings = json.loads((here / "embed-b.tsv.run.json").read_text())["settings"]
    assert settings["input"] == "genes.bed"
    assert len(settings["genome_sha256"]) == 64


@pytest.mark.parametrize(
    "given", [[], ["genome.fa", "--regions", "genes.bed"], ["--regions", "genes.bed"]]
)
def test_an_input_is_a_file_or_regions_with_their_genome(here, capsys, given):
    assert run(["embed", "toy", *given, "-o", "out.tsv", *FLAGS]) == 2
    assert "Give an input, or --regions with --genome" in capsys.readouterr().err


def _variants(here, *more, name="v.vcf", output="out.tsv"):
    return run(["variants", "toy", name, "--genome", "genome.fa", "-o", output, *FLAGS, *more])


def test_contig_names_of_another_spelling_are_said_and_can_be_mapped(here, capsys):
    (here / "v.vcf").write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n1\t2\t.\tC\tA\n")
    assert _variants(here) == 2
    said = capsys.readouterr().err
    assert "has no contig '1'" in said
    assert "The genome calls it 'chr1'" in said
    assert "--contig-names" in said
    assert _variants(here, "--contig-names", "chr", output="a.tsv") == 0
    (here / "names.txt").write_text("1 chr1\n")
    assert _variants(here, "--contig-names", "names.txt", output="b.tsv") == 0
    assert _rows(here / "a.tsv") == _rows(here / "b.tsv")
    assert _rows(here / "a.tsv")[0]["effect"]


def test_an_unsorted_vcf_with_duplicate_ids_keeps_every_row_in_its_place(here):
    rows = ["chr2\t2\trs1\tC\tA", "chr1\t9\trs1\tG\tT", "chr1\t2\trs1\tC\tA", "chr1\t9\trs1\tG\tT"]
    (here / "v.vcf").write_text("#CHROM\tPOS\tID\tREF\tALT\n" + "\n".join(rows) + "\n")
    assert _variants(here) == 0
    found = _rows(here / "out.tsv")
    assert [
        f"{row['chrom']}\t{row['pos']}\trs1\t{row['ref']}\t{row['alt']}" for row in found
    ] == rows
    assert found[1]["effect"] == found[3]["effect"] != ""


def test_many_disagreements_ask_whether_it_is_another_build(here, capsys):
    lines = [f"chr1\t{pos}\t.\t{'A' if GENOME[pos + 5] != 'A' else 'C'}\tG" for pos in range(1, 40)]
    (here / "v.vcf").write_text("#CHROM\tPOS\tID\tREF\tALT\n" + "\n".join(lines) + "\n")
    assert _variants(here) == 2
    said = capsys.readouterr().err
    assert "record 1" in said
    assert "another build (assembly)?" in said
    assert _variants(here, "--on-mismatch", "report") == 0
    assert "another build (assembly)?" in capsys.readouterr().err
    assert all("the genome has" in row["reason"] for row in _rows(here / "out.tsv"))


def test_a_file_cut_short_and_a_bam_are_sentences(here, capsys):
    whole = gzip.compress(("#CHROM\tPOS\tID\tREF\tALT\n" + "chr1\t2\t.\tC\tA\n" * 5000).encode())
    (here / "v.vcf").write_bytes(whole[: len(whole) // 2])
    assert _variants(here) == 2
    said = capsys.readouterr().err
    assert "v.vcf" in said
    assert "Traceback" not in said
    (here / "v.vcf").write_bytes(gzip.compress(b"BAM\1" + bytes(200)))
    assert _variants(here, output="other.tsv") == 2
    assert "BAM" in capsys.readouterr().err


def test_a_missing_column_names_the_nearest(here, capsys):
    (here / "t.csv").write_text("id,sequense\na,ACGT\n")
    assert run(["embed", "toy", "t.csv", "--column", "sequence", "-o", "o.tsv", *FLAGS]) == 2
    assert "sequense" in capsys.readouterr().err


def test_duplicate_names_are_refused_or_numbered(here, capsys):
    (here / "twice.fa").write_text(">a\nACGT\n>a\nTTGA\n")
    assert run(["embed", "toy", "twice.fa", "-o", "o.tsv", *FLAGS]) == 2
    assert "a" in capsys.readouterr().err
    more = ["--duplicates", "suffix"]
    assert run(["embed", "toy", "twice.fa", "-o", "p.tsv", *more, *FLAGS]) == 0
    assert len({row["name"] for row in _rows(here / "p.tsv")}) == 2


def test_an_output_that_another_run_is_writing_is_left_to_it(here, capsys):
    from dnallm_core.tasks.run import Run

    (here / "in.fa").write_text(">a\nACGT\n")
    with Run(here / "out.tsv", {"task": "embed"}):
        assert run(["embed", "toy", "in.fa", "-o", "out.tsv", *FLAGS]) == 2
    assert "Another run is writing" in capsys.readouterr().err
