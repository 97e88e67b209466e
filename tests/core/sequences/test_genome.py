"""Genomes: any stretch of any contig, whatever the file is compressed with."""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path

import pytest
from dnallm_core.errors import SequenceError
from dnallm_core.sequences.files import Genome, Region, read_regions, region_records
from hypothesis import given
from hypothesis import strategies as st

CHR1 = "ACGTNacgtnRYAACCGGTTACGTACGTAC"
TEXT = ">1 first\n" + "\n".join([CHR1[:10], CHR1[10:20], CHR1[20:]]) + "\n>MT\nGGGGCC\n"


def write(folder: Path, content: str | bytes, name: str = "genome.fa") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def bgzip(folder: Path) -> Path:
    pysam = pytest.importorskip("pysam")
    path = folder / "genome.fa.gz"
    with pysam.BGZFile(str(path), "wb") as file:
        file.write(TEXT.encode())
    return path


@pytest.fixture(scope="module", params=["plain", "windows", "gzip", "bgzip", "indexed"])
def genome(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Genome:
    folder = tmp_path_factory.mktemp("genome")
    if request.param == "bgzip":
        path = bgzip(folder)
    elif request.param == "gzip":
        path = write(folder, gzip.compress(TEXT.encode()))
    else:
        path = write(folder, TEXT.replace("\n", "\r\n") if request.param == "windows" else TEXT)
        if request.param == "indexed":
            write(folder, "1\t30\t9\t10\t11\nMT\t6\t46\t6\t7\n", "genome.fa.fai")
    with Genome(path) as found:
        yield found


def test_contigs_and_their_lengths_are_known(genome: Genome) -> None:
    assert dict(genome.lengths) == {"1": 30, "MT": 6}


@given(data=st.data())
def test_any_stretch_is_the_contigs_own(genome: Genome, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, 30))
    end = data.draw(st.integers(start, 30))
    assert genome.fetch("1", start, end) == CHR1.upper()[start:end]
    assert genome.fetch("MT") == "GGGGCC"


def test_a_stretch_outside_a_contig_is_refused(genome: Genome) -> None:
    with pytest.raises(SequenceError, match="1:29-31 lies outside 1, which has 30 bp"):
        genome.fetch("1", 28, 31)


def test_lower_case_is_kept_where_asked(tmp_path: Path) -> None:
    assert Genome(write(tmp_path, TEXT), keep_case=True).fetch("1", 0, 10) == "ACGTNacgtn"


def test_a_bgzipped_genome_is_read_without_pysam_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bgzip(tmp_path)
    monkeypatch.setitem(sys.modules, "pysam", None)
    assert Genome(path).fetch("1", 4, 6) == "NA"


def test_nothing_is_written_beside_the_users_genome(tmp_path: Path) -> None:
    path = bgzip(tmp_path)
    with Genome(path) as genome:
        genome.fetch("1", 0, 3)
    assert list(tmp_path.iterdir()) == [path]


def test_an_index_older_than_its_genome_is_not_trusted(tmp_path: Path) -> None:
    index = write(tmp_path, "wrong\t3\t3\t3\t4\n", "genome.fa.fai")
    path = write(tmp_path, TEXT)
    os.utime(index, (1, 1))
    assert "MT" in Genome(path).lengths


def test_a_broken_index_is_refused_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT)
    write(tmp_path, "1\tthirty\t9\t10\t11\n", "genome.fa.fai")
    with pytest.raises(SequenceError, match="is no index of a FASTA file: line 1"):
        Genome(path)


def test_lines_of_uneven_width_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match="line 3 of contig a is not as long as those before"):
        Genome(write(tmp_path, ">a\nACGT\nAC\nACGT\n"))


def test_a_genome_that_is_no_fasta_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match="is no FASTA: line 1"):
        Genome(write(tmp_path, "ACGT\n"))


def test_another_spelling_of_a_contig_is_named_and_can_be_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT)
    with pytest.raises(SequenceError) as refused:
        Genome(path).fetch("chr1", 0, 3)
    assert refused.value.sentence == f"{path} has no contig 'chr1'."
    assert "The genome calls it '1'" in refused.value.hint
    assert Genome(path, contig_names="chr").fetch("chr1", 0, 3) == "ACG"
    assert Genome(path, contig_names="chr").fetch("chrM", 0, 3) == "GGG"
    assert Genome(path, contig_names={"NC_1": "1"}).fetch("NC_1", 0, 3) == "ACG"
    with pytest.raises(SequenceError, match=r"has no contig 'chr9'\. It has 1, MT\."):
        Genome(path, contig_names="chr").fetch("chr9", 0, 3)


# --- regions -------------------------------------------------------------------------------------


def test_bed_rows_are_half_open_with_name_and_strand(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "#comment\ntrack name=x\n1\t0\t4\tpeak\t0\t-\r\nMT\t1\t3\n\n",
        "a.bed",
    )
    assert list(read_regions(path)) == [Region("1", 0, 4, "peak", "-"), Region("MT", 1, 3)]


def test_gff_and_gtf_rows_are_closed_and_named_by_their_attributes(tmp_path: Path) -> None:
    gff = (
        "##gff-version 3\n"
        "1\tx\tgene\t1\t4\t.\t+\t.\tID=g%201;Name=n\n"
        "1\tx\texon\t2\t3\t.\t-\t0\tNote=z\n"
    )
    gtf = '1\tx\tgene\t1\t4\t.\t+\t.\tgene_id "g1"; note "a";\n##FASTA\n>1\nACGT\n'
    assert list(read_regions(write(tmp_path, gff, "a.gff"))) == [
        Region("1", 0, 4, "g 1", "+"),
        Region("1", 1, 3, "", "-"),
    ]
    assert list(read_regions(write(tmp_path, gtf, "a.gtf"))) == [Region("1", 0, 4, "g1", "+")]
    assert len(list(read_regions(tmp_path / "a.gff", feature="gene"))) == 1


def test_a_regions_sequence_is_that_of_its_strand(tmp_path: Path) -> None:
    genome = Genome(write(tmp_path, TEXT))
    regions = [Region("1", 0, 4, "a", "-"), Region("1", 5, 9), Region("MT", 0, 2, "m", "+")]
    records = list(region_records(regions, genome, flank=1))
    assert [(each.name, each.sequence) for each in records] == [
        ("a", "NACGT"),
        ("1:6-9", "NACGTN"),
        ("m", "GGG"),
    ]
    assert records[0].description == "1:1-5(-)"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("1 0 4\n", "line 1 has 1 columns; BED has three"),
        ("1\tzero\t4\n", "line 1: 'zero' is no position"),
        ("1\t0\t4\n1\t9\t4\n", "line 2: 1 from 9 to 4 ends before it starts"),
    ],
)
def test_rows_that_are_no_regions_are_refused_with_their_line(
    content: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(SequenceError) as refused:
        list(read_regions(write(tmp_path, content, "a.bed")))
    assert words in refused.value.sentence


def test_a_region_beyond_its_contig_is_refused(tmp_path: Path) -> None:
    genome = Genome(write(tmp_path, TEXT))
    with pytest.raises(SequenceError, match="Region MT:1-9 ends at 9, and MT has 6 bp") as refused:
        list(region_records([Region("MT", 0, 9)], genome))
    assert "another assembly" in refused.value.hint
