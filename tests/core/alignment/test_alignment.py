"""Alignments: every format gives the same rows, and what is wrong with one is said."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from dnallm_core.errors import OutputError, SequenceError
from dnallm_core.sequences.alignment import (
    Alignment,
    FastaAlignment,
    MafAlignment,
    ZarrAlignment,
    checked_reference,
    open_alignment,
    write_zarr,
)

# chr1 of "me" is ACGTACGTAC; the second block lies on its reverse strand
MAF = """\
##maf version=1
a score=1
s me.chr1    0 4 + 10 AC-GT
s you.c.1    5 5 + 90 ACTGT
i you.c.1    N 0 C 0
s they.x     1 2 + 50 A---T

a score=2
s me.chr1    1 3 - 10 TAC
s you.c.1   50 2 + 90 T-C
e they.x     9 9 + 50 I
"""
# the reverse strand's TAC at 1 to 4 is GTA at 6 to 9 of the forward strand
ROWS = ["ACGT--GTA-", "ACGT--G-A-", "A--T------"]


@pytest.fixture
def maf(tmp_path: Path) -> Path:
    path = tmp_path / "a.maf"
    path.write_text(MAF)
    return path


def _bgzip(text: bytes, member: int) -> bytes:
    """BGZF with members of ``member`` bytes, and the empty one at the end."""
    parts = []
    for start in range(0, len(text) + member, member):
        piece = text[start : start + member]
        deflate = zlib.compressobj(wbits=-15)
        body = deflate.compress(piece) + deflate.flush()
        head = b"\x1f\x8b\x08\x04" + bytes(6) + b"\x06\x00BC\x02\x00"
        tail = struct.pack("<II", zlib.crc32(piece), len(piece))
        parts.append(head + struct.pack("<H", len(body) + 25) + body + tail)
    return b"".join(parts)


def test_maf_blocks_are_laid_along_the_reference(maf: Path) -> None:
    alignment = open_alignment(maf)
    assert isinstance(alignment, MafAlignment)
    assert (alignment.reference, alignment.species) == ("me", ("you", "they"))
    assert alignment.contigs == {"chr1": 10}
    assert alignment.fetch("chr1", 0, 10) == ROWS
    for start in range(10):
        for end in range(start, 11):
            assert alignment.fetch("chr1", start, end) == [row[start:end] for row in ROWS]


@pytest.mark.parametrize("member", [7, 50, 1000])
def test_bgzipped_maf_reads_the_same(tmp_path: Path, member: int) -> None:
    path = tmp_path / "a.maf.gz"
    path.write_bytes(_bgzip(MAF.encode(), member))
    alignment = open_alignment(path)
    assert alignment.fetch("chr1", 0, 10) == ROWS
    assert alignment.fetch("chr1", 2, 8) == [row[2:8] for row in ROWS]


def test_plain_gzip_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "a.maf.gz"
    path.write_bytes(gzip.compress(MAF.encode()))
    with pytest.raises(SequenceError, match=r"no stretch can be found.*bgzip > a\.maf\.bgz"):
        open_alignment(path)


def test_a_damaged_bgzip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.maf.gz"
    whole = _bgzip(MAF.encode(), 60)
    path.write_bytes(whole[:90] + b"\xff" * 20 + whole[110:])
    with pytest.raises(SequenceError, match="damaged at byte"):
        open_alignment(path)


def test_the_first_row_of_a_species_and_the_first_block_over_a_position_count(tmp_path) -> None:
    path = tmp_path / "a.maf"
    path.write_text(
        "##maf version=1\na\ns me.1 2 3 + 9 AAA\ns you.1 0 3 + 9 CCC\ns you.2 0 3 + 9 GGG\n\n"
        "a\ns me.1 0 4 + 9 TTAA\ns you.1 3 4 + 9 TTTT\n"
    )
    assert open_alignment(path).fetch("1", 0, 6) == ["TTAAA-", "TTCCC-"]


def test_species_are_ordered_and_missing_ones_named(maf: Path) -> None:
    alignment = open_alignment(maf, species=["they", "you"])
    assert alignment.fetch("chr1", 0, 10) == [ROWS[0], ROWS[2], ROWS[1]]
    with pytest.raises(SequenceError, match="lacks 1 of the 2 species asked for: them"):
        alignment.select(["them", "you"])
    padded = alignment.select(["them", "you"], missing="gap")
    assert padded.fetch("chr1", 0, 3) == ["ACG", "---", "ACG"]


def test_a_genome_whose_name_holds_a_dot_is_found_when_it_is_named(tmp_path) -> None:
    path = tmp_path / "a.maf"
    path.write_text("##maf\na\ns G.1.chr1 0 2 + 2 AC\ns you.1 0 2 + 9 AG\n")
    alignment = open_alignment(path, reference="G.1", species=["you"])
    assert alignment.fetch("chr1", 0, 2) == ["AC", "AG"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (">x\nACGT\n", "is no MAF file"),
        ("##maf\n", "holds no alignment blocks"),
        ("##maf\na\ns me.1 0 2 + 9 ACG\n", "line 3: me.1 says 2 bases and shows 3"),
        ("##maf\na\ns me.1 0 x + 9 AC\n", "line 3: this is no row"),
        ("##maf\na\ns me.1 0 2 + 9 AC\ns b.1 0 3 + 9 ACG\n", "3 columns in a block of 2"),
    ],
)
def test_what_is_no_maf_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "a.maf"
    path.write_text(text)
    with pytest.raises(SequenceError, match=sentence):
        open_alignment(path)


def test_aligned_fasta_counts_on_its_reference(tmp_path: Path) -> None:
    path = tmp_path / "a.fa"
    path.write_text(">me some words\nAC-G\nT-\n>you\nACTG\nT-\n>they\nA..-\nTA\n")
    alignment = open_alignment(path, contig="chr1")
    assert isinstance(alignment, FastaAlignment)
    assert alignment.contigs == {"chr1": 4}
    assert alignment.fetch("chr1", 0, 4) == ["ACGT", "ACGT", "A--T"]
    other = open_alignment(path, reference="they")
    assert other.fetch("they", 0, 3) == ["ATA", "AT-", "AT-"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (">a\nACG\n>b\nAC\n", "'a' has 3 columns and 'b' 2"),
        (">a\nACG\n>a\nACG\n", "two records called 'a'"),
        ("ACGT\n", "does not begin with '>'"),
        (">\nAC\n", "a record without a name"),
        ("", "holds no sequences"),
    ],
)
def test_what_is_no_aligned_fasta_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "a.fa"
    path.write_text(text)
    with pytest.raises(SequenceError, match=sentence):
        open_alignment(path)


def test_an_unknown_reference_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.fa"
    path.write_text(">mouse\nACG\n")
    with pytest.raises(SequenceError, match=r"no record 'mouse1'.*Did you mean \"mouse\""):
        open_alignment(path, reference="mouse1")


def test_the_published_layout_holds_bytes_and_no_names(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    letters = np.array([list("AaG-"), list("CC-N"), list("TTtt")], dtype="S1")
    group = zarr.open_group(tmp_path / "89.zarr", mode="w")
    group.create_array("1", data=letters.view(np.uint8).reshape(3, 4))
    alignment = open_alignment(tmp_path / "89.zarr")
    assert isinstance(alignment, ZarrAlignment)
    assert not alignment.named
    assert alignment.fetch("chr1", 0, 3) == ["ACT", "aCT", "G-t", "-Nt"]
    named = alignment.select(["x", "y", "z"])
    assert named.species == ("x", "y", "z")
    with pytest.raises(SequenceError, match=r"holds 3 species beside the reference.*2 are asked"):
        alignment.select(["x", "y"])


def test_single_characters_are_read_as_bytes_too(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    letters = np.array([list("AC"), list("G-")], dtype="S1")
    array = group.create_array("1", shape=letters.shape, dtype="S1", chunks=(2, 2))
    array[:] = letters
    assert open_alignment(tmp_path / "a.zarr").fetch("1", 0, 2) == ["AG", "C-"]


def test_any_alignment_becomes_zarr_and_back(maf: Path, tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    write_zarr(open_alignment(maf), tmp_path / "b.zarr", step=3)
    again = open_alignment(tmp_path / "b.zarr")
    assert (again.reference, again.species) == ("me", ("you", "they"))
    assert again.fetch("chr1", 0, 10) == ROWS
    with pytest.raises(OutputError, match="exists already"):
        write_zarr(open_alignment(maf), tmp_path / "b.zarr")


def test_a_zarr_group_of_something_else_is_refused(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    zarr.open_group(tmp_path / "empty.zarr", mode="w")
    with pytest.raises(SequenceError, match="holds no array"):
        open_alignment(tmp_path / "empty.zarr")
    group = zarr.open_group(tmp_path / "wide.zarr", mode="w")
    group.create_array("1", data=np.zeros((3, 2), dtype=np.int32))
    with pytest.raises(SequenceError, match="1 holds int32, not one byte a letter"):
        open_alignment(tmp_path / "wide.zarr")
    with pytest.raises(SequenceError, match="cannot be read as a Zarr group"):
        open_alignment(tmp_path)


def test_stretches_and_contigs_outside_are_refused(maf: Path) -> None:
    alignment = open_alignment(maf)
    with pytest.raises(SequenceError, match="6 to 11 is no stretch of chr1, which has 10 bp"):
        alignment.fetch("chr1", 5, 11)
    with pytest.raises(SequenceError, match="no contig 'chr11'"):
        alignment.fetch("chr11", 0, 1)
    assert alignment.fetch("1", 0, 1) == ["A", "A", "A"]


def test_the_reference_row_is_held_against_the_genome(maf: Path) -> None:
    alignment = open_alignment(maf)
    assert alignment.fetch("chr1", 0, 5, reference="acGTn")[0] == "acGTn"
    with pytest.raises(
        SequenceError, match=r"at chr1:3 it has G, the genome C, and 1 more"
    ) as info:
        alignment.fetch("chr1", 0, 5, reference="ACCAT")
    assert info.value.position == 3
    with pytest.raises(SequenceError, match="gives 2 positions of x; the genome has 3"):
        checked_reference("AC", "ACG", "x", 0)


def test_no_file_and_no_known_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match="There is no alignment at"):
        open_alignment(tmp_path / "none.maf")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(SequenceError, match="of no known alignment format"):
        open_alignment(tmp_path / "a.txt")


def test_the_base_class_is_an_interface() -> None:
    with pytest.raises(NotImplementedError):
        Alignment().columns("1", 0, 1)
