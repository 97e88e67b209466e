"""VCF and TSV with an index: sorted, declared, and fetched by place with pysam."""

from __future__ import annotations

import csv
import gzip
import json

import numpy as np
import pytest
from dnallm_core.cli.main import run
from dnallm_core.tasks.outputs import genome_order
from dnallm_core.tasks.outputs.genome_order import in_genome_order

pysam = pytest.importorskip("pysam")
GENOME = ">chr2 the second comes first\n" + "ACGGTTACGATTTACGACCA" * 6 + "\n>chr1\nACGTNACGTA\n"
FLAGS = ["--weights", "toy-0", "--device", "cpu", "--quiet"]
HEADER = '##fileformat=VCFv4.2\n##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">\n'
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
UNSORTED = """\
chr2\t6\t.\tT\tTA\t.\t.\t.
chr1\t2\trs1\tC\tA,T\t.\tPASS\tDP=3
chr2\t5\t.\tT\tA,<DEL>\t.\t.\t.
chr2\t2\tfirst\tC\tA\t.\t.\tDP=9
chr2\t2\tsecond\tC\tG\t.\t.\tDP=8
"""


@pytest.fixture
def here(toy, tmp_path, monkeypatch):
    """A folder with a toy checkpoint, a genome and an unsorted VCF."""
    toy("toy")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genome.fa").write_text(GENOME)
    (tmp_path / "v.vcf").write_text(HEADER + COLUMNS + UNSORTED)
    return tmp_path


def _scan(output, *more):
    place = ["--genome", "genome.fa", "--window", "40", *more]
    assert run(["scan", "toy", *place, "-o", output, *FLAGS]) == 0


def _variants(source, output, *more):
    arguments = [source, "--genome", "genome.fa", "--window", "40", *more]
    assert run(["variants", "toy", *arguments, "-o", output, *FLAGS]) == 0


def _table(path):
    text = path.read_bytes()
    text = gzip.decompress(text) if path.suffix == ".gz" else text
    return list(csv.DictReader(text.decode().splitlines(), delimiter="\t"))


def test_a_scan_to_vcf_is_fetched_by_region_and_holds_what_the_table_holds(here):
    _scan("scan.tsv")
    _scan("scan.vcf.gz")
    rows = _table(here / "scan.tsv")
    with pysam.VariantFile("scan.vcf.gz") as file:
        assert {name: each.length for name, each in file.header.contigs.items()} == {
            "chr2": 120, "chr1": 10,
        }  # fmt: skip
        assert file.header.info["DNALLM"].number == "A"
        found = [(row.chrom, str(row.pos), row.ref, row.alts[0]) for row in file]
        assert found == [(row["chrom"], row["pos"], row["ref"], row["alt"]) for row in rows]
        some = list(file.fetch("chr2", 99, 101))  # 0-based: bases 100 and 101
    assert [row.pos for row in some] == [100] * 3 + [101] * 3
    expected = [float(row["effect"]) for row in rows if row["pos"] in ("100", "101")]
    np.testing.assert_allclose([row.info["DNALLM"][0] for row in some], expected, rtol=1e-5)


def test_a_scan_to_a_compressed_table_is_fetched_by_region_and_read_whole(here):
    _scan("scan.tsv")
    _scan("scan.tsv.gz")
    assert _table(here / "scan.tsv.gz") == _table(here / "scan.tsv")
    with pysam.TabixFile("scan.tsv.gz") as file:
        assert list(file.contigs) == ["chr2", "chr1"]
        rows = [line.split("\t") for line in file.fetch("chr1", 5, 6)]
    assert [row[:3] for row in rows] == [["chr1", "6", "A"]] * 3


def test_regions_in_any_order_that_overlap_are_sorted_and_each_base_stands_once(here):
    regions = [
        flag
        for each in ("chr1:1-4", "chr2:30-60", "chr2:50-70", "chr2:1-10")
        for flag in ("--region", each)
    ]
    _scan("scan.vcf.gz", *regions)
    with pysam.VariantFile("scan.vcf.gz") as file:
        places = [(row.chrom, row.pos) for row in file][::3]
    assert places == [
        *(("chr2", at) for at in [*range(1, 11), *range(30, 71)]),
        *(("chr1", at) for at in range(1, 5)),
    ]
    bigwig = pytest.importorskip("pyBigWig")
    _scan("scan.bw", *regions)
    values = bigwig.open("scan.bw").values("chr2", 0, 120)
    assert [at + 1 for at, each in enumerate(values) if each == each] == [
        *range(1, 11), *range(30, 71),
    ]  # fmt: skip


def test_an_unsorted_vcf_comes_out_sorted_with_all_that_its_rows_say(here):
    _variants("v.vcf", "out.tsv")
    _variants("v.vcf", "out.vcf.gz")
    with pysam.VariantFile("out.vcf.gz") as file:
        assert list(file.header.contigs) == ["chr2", "chr1"]
        rows = list(file)
        assert [row.id for row in file.fetch("chr2", 1, 2)] == ["first", "second"]
    assert [(row.chrom, row.pos, row.id) for row in rows] == [
        ("chr2", 2, "first"), ("chr2", 2, "second"), ("chr2", 5, None), ("chr2", 6, None),
        ("chr1", 2, "rs1"),
    ]  # fmt: skip
    assert rows[4].info["DP"] == 3
    effects = {
        (row["chrom"], int(row["pos"]), row["alt"]): float(row["effect"] or "nan")
        for row in _table(here / "out.tsv")
    }
    for row in rows:
        expected = [effects[row.chrom, row.pos, alt] for alt in row.alts]
        given = [np.nan if each is None else each for each in row.info["DNALLM"]]
        np.testing.assert_allclose(given, expected, rtol=1e-5)
    assert rows[2].info["DNALLM_WHY"] == (".", "the_symbolic_allele_<DEL>_names_no_sequence")


def test_a_plain_vcf_keeps_its_order_and_declares_its_contigs(here):
    _variants("v.vcf", "out.vcf")
    with pysam.VariantFile("out.vcf") as file:
        assert {name: each.length for name, each in file.header.contigs.items()} == {
            "chr2": 120, "chr1": 10,
        }  # fmt: skip
        assert [row.pos for row in file] == [6, 2, 5, 2, 2]
    assert not list(here.glob("out.vcf.*i"))


def test_a_table_of_variants_is_sorted_for_its_index_and_loses_no_row(here):
    _variants("v.vcf", "out.tsv")
    _variants("v.vcf", "out.tsv.gz")
    plain, sorted_ = _table(here / "out.tsv"), _table(here / "out.tsv.gz")
    assert sorted(map(str, plain)) == sorted(map(str, sorted_))
    with pysam.TabixFile("out.tsv.gz") as file:
        assert [line.split("\t")[2] for line in file.fetch("chr2", 1, 2)] == ["first", "second"]


@pytest.mark.parametrize("kind", ["lines", "table", "bcf", "cut", "gzip"])
def test_every_kind_of_input_becomes_a_vcf(here, kind):
    rows = [line.split("\t") for line in UNSORTED.splitlines()]
    name = {"lines": "v.txt", "table": "v.csv", "bcf": "v.bcf", "cut": "v.cut", "gzip": "v.gz"}[
        kind
    ]
    if kind == "lines":
        (here / name).write_text("".join(f"{r[0]}:{r[1]}:{r[3]}:{r[4]}\n" for r in rows[3:]))
    elif kind == "table":
        lines = [f"{r[0]},{r[1]},{r[2]},{r[3]},{r[4]}" for r in rows[3:]]
        (here / name).write_text("\n".join(["chrom,pos,id,ref,alt", *lines]) + "\n")
    elif kind == "bcf":
        contigs = "##contig=<ID=chr1>\n##contig=<ID=chr2>\n"
        plain = UNSORTED.replace(",<DEL>", "")  # of which pysam makes a BCF that it cannot read
        (here / "v.vcf").write_text(HEADER + contigs + COLUMNS + plain)
        with (
            pysam.VariantFile("v.vcf") as read,
            pysam.VariantFile(name, "wb", header=read.header) as written,
        ):
            for row in read:
                written.write(row)
    elif kind == "gzip":
        (here / name).write_bytes(gzip.compress((here / "v.vcf").read_bytes()))
    else:
        (here / name).write_text("".join("\t".join(row[:5]) + "\n" for row in rows))
    _variants(name, "out.vcf.gz")
    with pysam.VariantFile("out.vcf.gz") as file:
        rows = list(file.fetch("chr2", 1, 2))
        assert [row.alts for row in rows] == [("A",), ("G",)]
        assert all(row.info["DNALLM"][0] is not None for row in rows)
        if kind in ("bcf", "gzip"):
            assert [row.info["DP"] for row in rows] == [9, 8]


def test_effects_of_an_earlier_run_are_replaced(here):
    _variants("v.vcf", "once.vcf")
    _variants("once.vcf", "twice.vcf")
    assert (here / "once.vcf").read_text() == (here / "twice.vcf").read_text()


def test_an_overwritten_output_has_the_index_of_its_own_rows(here):
    _scan("scan.tsv.gz")
    (here / "scan.tsv.gz.csi").write_text("of long ago")
    _scan("scan.tsv.gz", "--region", "chr1:3-4", "--overwrite")
    assert not (here / "scan.tsv.gz.csi").exists()
    with pysam.TabixFile("scan.tsv.gz") as file:
        assert list(file.contigs) == ["chr1"]


def test_the_same_rows_are_the_same_bytes(here):
    for name in ("scan.vcf.gz", "scan.tsv.gz"):
        _scan(name)
        before = (here / name).read_bytes()
        assert run(["rerun", name, "--quiet"]) == 0
        assert (here / name).read_bytes() == before


def test_a_contig_too_long_for_a_tbi_gets_a_csi(tmp_path):
    from dnallm_core.tasks.outputs.indexed import write
    from dnallm_core.tasks.table import Table

    rows = Table({"chrom": ["big", "big"], "pos": np.array([5, 600_000_000])})
    write(tmp_path / "whole", [rows], {"contigs": [("big", 700_000_000)]})
    (tmp_path / "whole").rename(tmp_path / "out.tsv.gz")
    (tmp_path / "whole.csi").rename(tmp_path / "out.tsv.gz.csi")
    made = str(tmp_path / "out.tsv.gz")
    with pysam.TabixFile(made, index=f"{made}.csi") as file:
        assert list(file.fetch("big", 599_999_999, 600_000_001)) == ["big\t600000000"]


def test_more_lines_than_memory_takes_are_sorted_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(genome_order, "IN_MEMORY", 7)
    draw = np.random.default_rng(0)
    rows = [
        (str(draw.choice(["b", "a", "c"])), int(draw.integers(0, 9)), f"row\t{number}")
        for number in range(50)
    ]
    names, lines = in_genome_order(iter(rows), ["a", "b"], tmp_path)
    assert names == ["a", "b", "c"]
    expected = sorted(rows, key=lambda row: ("abc".index(row[0]), row[1]))
    assert list(lines) == [row[2] for row in expected]
    assert list(tmp_path.iterdir()) == []


def test_an_alignment_that_has_changed_is_not_taken_for_that_of_the_run(here):
    from dnallm_core.tasks.genomes import alignment_settings

    (here / "a.zarr" / "x").mkdir(parents=True)
    (here / "a.zarr" / "x" / "0").write_text("ACGT")
    before = alignment_settings("a.zarr")
    (here / "a.zarr" / "x" / "0").write_text("ACGA")
    assert alignment_settings("a.zarr") != before
    assert json.dumps(alignment_settings(None)) == '{"alignment": null}'
