"""Reading sequences: every format and compression, the stated rules, and what bad input is told."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
from dnallm_core.errors import SequenceError
from dnallm_core.sequences.files import opening, read_records, read_rows
from hypothesis import given, settings
from hypothesis import strategies as st

FASTA = b">one the first\nACGT\nacgu\n>two\nNNRY\n"


def write(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def pairs(path: Path, **options: object) -> list[tuple[str, str]]:
    return [(each.name, each.sequence) for each in read_records(path, **options)]


def refusal(path: Path | str, **options: object) -> SequenceError:
    with pytest.raises(SequenceError) as refused:
        list(read_records(path, **options))
    return refused.value


def zstd(content: bytes) -> bytes:
    return pytest.importorskip("zstandard").compress(content)


def bgzip(folder: Path, name: str, content: bytes) -> Path:
    pysam = pytest.importorskip("pysam")
    with pysam.BGZFile(str(folder / name), "wb") as file:
        file.write(content)
    return folder / name


# --- FASTA ---------------------------------------------------------------------------------------


def test_fasta_gives_names_descriptions_and_normalised_letters(tmp_path: Path) -> None:
    path = write(tmp_path, "a.fa", FASTA)
    first, second = read_records(path)
    assert first == ("one", "ACGTACGT", "the first", str(path), 0, None)
    assert (second.name, second.sequence, second.description, second.index) == (
        "two",
        "NNRY",
        "",
        1,
    )


def test_lower_case_is_kept_where_asked(tmp_path: Path) -> None:
    assert pairs(write(tmp_path, "a.fa", FASTA), keep_case=True)[0] == ("one", "ACGTacgt")


def test_windows_line_ends_blank_lines_and_byte_order_marks_are_taken(tmp_path: Path) -> None:
    path = write(tmp_path, "a.fa", b"\xef\xbb\xbf\r\n>a x y\r\nAC\r\n\r\nGT\r\n>b\r\nT")
    assert [(each.name, each.sequence, each.description) for each in read_records(path)] == [
        ("a", "ACGT", "x y"),
        ("b", "T", ""),
    ]


def test_a_record_without_a_name_is_called_by_its_number(tmp_path: Path) -> None:
    assert pairs(write(tmp_path, "a.fa", ">\nAC\n>b\nG\n")) == [("1", "AC"), ("b", "G")]


@settings(max_examples=60, deadline=None)
@given(
    sequences=st.lists(st.text("ACGTN", min_size=1, max_size=30), min_size=1, max_size=5),
    width=st.integers(1, 12),
    block=st.integers(1, 20),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
)
def test_fasta_is_read_the_same_in_blocks_of_any_size(
    sequences: list[str], width: int, block: int, end: str, last: bool
) -> None:
    lines = []
    for number, sequence in enumerate(sequences):
        lines.append(f">r{number} d{number}")
        lines += [sequence[at : at + width] for at in range(0, len(sequence), width)]
    text = end.join(lines) + (end if last else "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "BLOCK", block)
        found = list(read_records(io.BufferedReader(io.BytesIO(text.encode()))))
    assert [each.sequence for each in found] == sequences
    assert [each.description for each in found] == [f"d{at}" for at in range(len(sequences))]


def test_duplicate_names_are_an_error_or_numbered_or_kept(tmp_path: Path) -> None:
    path = write(tmp_path, "a.fa", ">a\nA\n>a\nC\n>a_2\nG\n>a\nT\n")
    assert "two records called a; the second is record 2" in refusal(path).sentence
    assert [name for name, _ in pairs(path, duplicates="suffix")] == ["a", "a_2", "a_2_2", "a_3"]
    assert [name for name, _ in pairs(path, duplicates="keep")] == ["a", "a", "a_2", "a"]


def test_an_empty_record_is_an_error_or_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, "a.fa", ">a\nA\n>b\n>c\nG\n")
    error = refusal(path)
    assert error.record == "b"
    assert "Record b of" in error.sentence
    assert "--skip-empty" in error.hint
    assert [(each.name, each.index) for each in read_records(path, skip_empty=True)] == [
        ("a", 0),
        ("c", 2),
    ]


# --- the other formats ---------------------------------------------------------------------------


def test_fastq_gives_names_descriptions_and_letters(tmp_path: Path) -> None:
    path = write(tmp_path, "a.fq", "@r1 1:N:0\nacgu\n+\nIIII\n@r2 2:N:0\nNN\n+r2\n@@\n")
    assert [(each.name, each.sequence, each.description) for each in read_records(path)] == [
        ("r1", "ACGT", "1:N:0"),
        ("r2", "NN", "2:N:0"),
    ]


@settings(max_examples=80, deadline=None)
@given(
    titles=st.lists(
        st.sampled_from(["a", "a b", "a  b", "a b c", "a\tb", "@", "@ x", "a @b", "é ü"]),
        min_size=1,
        max_size=6,
    ),
    block=st.integers(1, 40),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
)
def test_fastq_titles_are_cut_at_their_first_blank_in_blocks_of_any_size(
    titles: list[str], block: int, end: str, last: bool
) -> None:
    text = end.join(f"@{title}{end}ACGT{end}+{end}@+II" for title in titles) + (end if last else "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "BLOCK", block)
        found = list(read_records(io.BufferedReader(io.BytesIO(text.encode())), format="fastq"))
    wanted = [title.split(None, 1) for title in titles]
    assert [each.name for each in found] == [each[0] for each in wanted]
    assert [each.description for each in found] == [
        each[1] if len(each) > 1 else "" for each in wanted
    ]
    assert [each.index for each in found] == list(range(len(titles)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("@a\nAC\n+\nI\n", "line 1 begins a record with 2 bases and 1 qualities"),
        ("@a\nAC\n+\nII\nb\nAC\n+\nII\n", "line 5 is 'b', where a record's title"),
        ("@a\nAC\nAC\nIIII\n", "line 3 is 'AC', where `+` was expected"),
        ("@a\nAC\n+\nII\n@b\nAC\n", "line 5 begins a record that the file's end cuts short"),
        ("@a\nAC\n+\nII\n@b\nAC\n+", "line 5 begins a record that the file's end cuts short"),
    ],
)
def test_broken_fastq_is_refused_with_its_line(content: str, words: str, tmp_path: Path) -> None:
    assert words in refusal(write(tmp_path, "a.fq", content)).sentence


def test_bare_lines_are_sequences_named_by_their_line(tmp_path: Path) -> None:
    assert pairs(write(tmp_path, "a.txt", "ACGT\r\n\nggn")) == [("1", "ACGT"), ("3", "GGN")]


def test_a_column_of_a_table_is_read_with_the_others_as_fields(tmp_path: Path) -> None:
    comma = write(tmp_path, "a.csv", 'id,sequence,label\nx,acgt,"1,5"\ny,NN,0\n')
    assert [(each.name, each.sequence, each.fields) for each in read_records(comma)] == [
        ("x", "ACGT", {"id": "x", "label": "1,5"}),
        ("y", "NN", {"id": "y", "label": "0"}),
    ]
    tab = write(tmp_path, "a.tsv", "promoter\tstrength\nACGT\t0.5\n")
    assert pairs(tab, column="promoter") == [("1", "ACGT")]


def test_a_sequence_longer_than_csvs_own_limit_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "sequence,y\n" + "A" * 300_000 + ",1\n")
    assert len(next(read_records(path)).sequence) == 300_000


def test_parquet_is_read_by_column(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.bin"
    parquet.write_table(arrow.table({"seq": ["acgt", "NN"], "y": [1, 2]}), path)
    assert [(each.sequence, each.fields) for each in read_records(path)] == [
        ("ACGT", {"y": 1}),
        ("NN", {"y": 2}),
    ]
    assert "no column 'sek'" in refusal(path, column="sek").sentence


def test_a_missing_column_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "name,sequence\nx,ACGT\n")
    error = refusal(path, column="sequnce")
    assert error.sentence == f"{path} has no column 'sequnce'."
    assert error.hint == 'Did you mean "sequence"?'
    with pytest.raises(SequenceError, match="no column 'label'"):
        list(read_rows(path, ["label"]))


def test_a_table_without_an_obvious_column_asks_which(tmp_path: Path) -> None:
    error = refusal(write(tmp_path, "a.csv", "x,y\nACGT,1\n"))
    assert "its columns are x, y" in error.sentence


def test_a_row_of_another_width_is_refused_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "sequence,y\nACGT,1\nACGT\n")
    assert "line 3 has 1 fields, and the header 2" in refusal(path).sentence


# --- compression, streams ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gzip", "bz2", "xz", "zstd", "two gzip members"])
def test_compression_is_told_by_content_not_by_name(name: str, tmp_path: Path) -> None:
    content = {
        "gzip": lambda: gzip.compress(FASTA, mtime=0),
        "bz2": lambda: bz2.compress(FASTA),
        "xz": lambda: lzma.compress(FASTA),
        "zstd": lambda: zstd(FASTA[:10]) + zstd(FASTA[10:]),
        "two gzip members": lambda: gzip.compress(FASTA[:10], mtime=0) + gzip.compress(FASTA[10:]),
    }[name]()
    assert pairs(write(tmp_path, "reads", content)) == [("one", "ACGTACGT"), ("two", "NNRY")]


def test_bgzipped_files_are_read(tmp_path: Path) -> None:
    assert pairs(bgzip(tmp_path, "a.fa", FASTA))[1] == ("two", "NNRY")


def test_stdin_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BufferedReader(io.BytesIO(gzip.compress(FASTA, mtime=0))))
    monkeypatch.setattr(sys, "stdin", stream)
    assert [each.source for each in read_records("-")] == ["stdin", "stdin"]


@pytest.mark.parametrize("name", ["gzip", "bz2", "xz", "zstd"])
def test_a_file_cut_short_is_refused(name: str, tmp_path: Path) -> None:
    body = b">a\n" + bytes(b"ACGT"[at * 7 % 11 % 4] for at in range(40_000))
    pack = {"gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zstd": zstd}[name]
    path = write(tmp_path, "a.fa", pack(body)[:-9])
    assert "ends in the middle of its compressed data" in refusal(path).sentence


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(FASTA * 50, mtime=0))
    packed[30] ^= 255
    assert "is damaged" in refusal(write(tmp_path, "a.fa.gz", bytes(packed))).sentence


# --- bad input -----------------------------------------------------------------------------------


def test_a_missing_file_is_named_with_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, "genome.fasta", FASTA)
    error = refusal(tmp_path / "genome.fast")
    assert error.sentence == f"There is no file {tmp_path / 'genome.fast'}."
    assert error.hint == 'Did you mean "genome.fasta"?'


def test_directories_and_empty_files_are_refused(tmp_path: Path) -> None:
    assert "is a directory" in refusal(tmp_path).sentence
    assert "is empty" in refusal(write(tmp_path, "a.fa", b"")).sentence
    assert "is empty" in refusal(write(tmp_path, "b.fa", gzip.compress(b"", mtime=0))).sentence
    assert "holds no sequence" in refusal(write(tmp_path, "c.txt", b"\n\n")).sentence


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"BAM\1\2\0\0\0", "is a BAM file of aligned reads"),
        (gzip.compress(b"BAM\1\2\0\0\0", mtime=0), "is a BAM file of aligned reads"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
        (b"PK\3\4abc", "is a zip archive"),
        (bytes(range(256)), "is binary, not text"),
        (b"##fileformat=VCFv4.2\n", "is VCF, which holds variants"),
        (b"@HD\tVN:1.6\n", "is SAM"),
    ],
)
def test_files_of_other_kinds_are_named(content: bytes, words: str, tmp_path: Path) -> None:
    assert words in refusal(write(tmp_path, "a.fa", content)).sentence


def test_fasta_without_a_title_names_the_line(tmp_path: Path) -> None:
    error = refusal(write(tmp_path, "a.fa", "\n\nACGT\n>a\nAC\n"))
    assert "line 3 is 'ACGT', and no title line comes before it" in error.sentence
    assert (
        "It looks like FASTQ."
        in refusal(write(tmp_path, "b", "@a\nA\n+\nI\n"), format="fasta").hint
    )


def test_a_letter_that_is_none_is_named_with_record_and_place(tmp_path: Path) -> None:
    for name, content in (("a.fa", ">r1\nAC\nGT!\n"), ("a.fq", "@r1\nACGT!\n+\nIIIII\n")):
        error = refusal(write(tmp_path, name, content))
        assert (error.record, error.position, error.character) == ("r1", 5, "!")
    assert refusal(write(tmp_path, "a.txt", "ACGT\nAC?T\n")).record == "2"


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    assert (
        "No format is called 'embl'" in refusal(write(tmp_path, "a", FASTA), format="embl").sentence
    )


def test_a_hundred_megabases_on_one_line_take_little_memory_and_time(tmp_path: Path) -> None:
    path = tmp_path / "long.fa"
    with path.open("wb") as file:
        file.write(b">long\n")
        for _ in range(100):
            file.write(b"ACGT" * 250_000)
    began = time.perf_counter()
    tracemalloc.start()
    (record,) = read_records(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(record.sequence) == 100_000_000
    assert peak < 450_000_000
    assert time.perf_counter() - began < 20
