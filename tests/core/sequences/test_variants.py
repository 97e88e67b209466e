"""Variants: every form in which people write them, none dropped, all held to the genome."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest
from dnallm_core.errors import SequenceError
from dnallm_core.sequences.files import (
    Genome,
    ReferenceCheck,
    Variant,
    parse_variant,
    read_variants,
    variants_of,
)

VCF = """\
##fileformat=VCFv4.2
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
1\t3\trs1\tG\tA,T\t.\t.\t.
2\t1\t.\tacg\ta\t.\t.\t.
1\t2\tsv\tC\t<DEL>,*,G]2:4],.\t.\t.\tEND=9
"""


def write(folder: Path, content: str | bytes, name: str = "a.vcf") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def genome(folder: Path) -> Genome:
    return Genome(write(folder, ">1\nACGTACGTAC\n>2\nACGNTTTTTT\n", "genome.fa"))


def test_vcf_rows_become_one_variant_an_alternative(tmp_path: Path) -> None:
    found = list(read_variants(write(tmp_path, VCF)))
    assert found[:3] == [
        Variant("1", 3, "G", "A", "rs1", record=1),
        Variant("1", 3, "G", "T", "rs1", record=1),
        Variant("2", 1, "ACG", "A", record=2),
    ]
    assert found[0].label == "1:3:G:A"


def test_alleles_that_are_no_sequence_come_out_with_the_reason(tmp_path: Path) -> None:
    reasons = [each.unscorable for each in read_variants(write(tmp_path, VCF))][3:]
    assert reasons == [
        "the symbolic allele <DEL> names no sequence",
        "the allele * is the gap of a deletion in another record",
        "the breakend G]2:4] joins two places",
        "it has no alternative allele",
    ]


@pytest.mark.parametrize("form", ["gzip", "windows", "no header"])
def test_vcf_is_read_compressed_with_any_line_ends_and_without_its_header(
    form: str, tmp_path: Path
) -> None:
    content = {
        "gzip": gzip.compress(VCF.encode()),
        "windows": VCF.replace("\n", "\r\n").encode(),
        "no header": "".join(VCF.splitlines(keepends=True)[2:]).encode(),
    }[form]
    assert len(list(read_variants(write(tmp_path, content)))) == 7


def test_bcf_is_read_through_pysam_or_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pysam = pytest.importorskip("pysam")
    header = pysam.VariantHeader()
    header.add_line("##contig=<ID=1,length=10>")
    path = tmp_path / "a.bcf"
    with pysam.VariantFile(str(path), "wb", header=header) as file:
        file.write(file.new_record(contig="1", start=2, alleles=("G", "A", "T"), id="rs1"))
    found = list(read_variants(path))
    assert found == [Variant("1", 3, "G", alt, "rs1", record=1) for alt in "AT"]
    with path.open("rb") as stream, pytest.raises(SequenceError, match="from a file only"):
        list(read_variants(stream))
    monkeypatch.setitem(sys.modules, "pysam", None)
    with pytest.raises(SequenceError) as refused:
        list(read_variants(path))
    assert 'pip install "dnallm-core[files]"' in refused.value.hint


def test_tables_and_text_of_variants_are_read(tmp_path: Path) -> None:
    table = write(tmp_path, "Chromosome,Position,Ref,Alt,rsid\n1,3,g,a,rs1\n", "a.csv")
    assert list(read_variants(table)) == [Variant("1", 3, "G", "A", "rs1", record=1)]
    text = write(tmp_path, "1:3:G:A\n\nHLA*1:01:4:T:TA\n", "b.txt")
    assert list(read_variants(text)) == [
        Variant("1", 3, "G", "A", record=1),
        Variant("HLA*1:01", 4, "T", "TA", record=2),
    ]


def test_one_variant_is_read_from_text() -> None:
    assert parse_variant("chr1:12,345:a:g") == Variant("chr1", 12345, "A", "G")
    assert parse_variant("chr1:12345A>G") == Variant("chr1", 12345, "A", "G")
    assert parse_variant("chr1-123-A-G") is None
    assert parse_variant("rs123") is None
    with pytest.raises(SequenceError, match="'rs123' is no variant"):
        list(variants_of(["1:3:G:A", "rs123"]))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.vcf", VCF + "1 5 . A G\n", "line 6 is no row of a VCF"),
        ("a.txt", "1:3:G:A\n1:3:G\n", "line 2 is '1:3:G', which is no variant"),
        ("a.csv", "chrom,pos,ref,allele\n1,3,G,A\n", "has no column 'alt'"),
        ("a.csv", "chrom,pos,ref,alt\n1,x,G,A\n", "row 1 has 'x' as its position"),
        ("a.vcf", b"BAM\1\0\0\0", "is a BAM file of aligned reads; variants was expected"),
        ("a.vcf", ">a\nACGT\n", "is FASTA"),
    ],
)
def test_files_that_hold_no_variants_are_refused(
    name: str, content: str | bytes, words: str, tmp_path: Path
) -> None:
    with pytest.raises(SequenceError) as refused:
        list(read_variants(write(tmp_path, content, name)))
    assert words in refused.value.sentence


def test_a_reference_allele_that_disagrees_is_named_with_record_and_place(tmp_path: Path) -> None:
    check = ReferenceCheck(genome(tmp_path))
    good = [Variant("1", 3, "G", "A", record=at) for at in range(1, 31)]
    bad = Variant("1", 4, "G", "A", record=31)
    with pytest.raises(SequenceError) as refused:
        list(check.apply([*good, bad]))
    error = refused.value
    assert (error.record, error.position) == ("31", 4)
    assert error.sentence == (
        "Variant 1:4:G:A (record 31): its REF is G, and the genome has T there."
    )
    assert "build" not in error.hint


def test_many_disagreements_ask_whether_it_is_another_build(tmp_path: Path) -> None:
    check = ReferenceCheck(genome(tmp_path))
    variants = [Variant("1", 4, "G", "A", record=at) for at in range(1, 51)]
    with pytest.raises(SequenceError) as refused:
        list(check.apply(variants))
    assert "50 of 50 variants disagree with genome.fa" in refused.value.hint
    assert "another build" in refused.value.hint


def test_disagreements_can_be_reported_instead_and_nothing_is_dropped(tmp_path: Path) -> None:
    check = ReferenceCheck(genome(tmp_path), on_mismatch="report")
    variants = [
        Variant("1", 3, "G", "A"),
        Variant("1", 4, "G", "A"),
        Variant("1", 10, "CA", "C"),
        Variant("3", 4, "G", "A"),
        Variant("2", 3, "GNT", "G"),
        Variant("1", 3, "G", "<DEL>", unscorable="symbolic"),
    ]
    assert [each.unscorable for each in check.apply(variants)] == [
        "",
        "its REF is G, and the genome has T there",
        "it ends at 11, and 1 has 10 bp",
        f"{tmp_path / 'genome.fa'} has no contig '3'",
        "",
        "symbolic",
    ]
    assert (check.compared, check.mismatched) == (5, 2)


def test_a_missing_contig_says_what_the_genome_calls_it(tmp_path: Path) -> None:
    with pytest.raises(SequenceError) as refused:
        list(ReferenceCheck(genome(tmp_path)).apply([Variant("chr1", 3, "G", "A")]))
    assert "The genome calls it '1'" in refused.value.hint
