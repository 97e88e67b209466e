"""Records many at a time are the records one by one, and parts end where the pieces say."""

from __future__ import annotations

import gzip
import random
import sys

import pytest
from dnallm_core.errors import SequenceError
from dnallm_core.sequences.files import Record, in_blocks, read_records
from dnallm_core.sequences.windows import Windows
from dnallm_core.tasks.pieces import bases_of, in_pieces

READS = [
    ("r1 1:N", "ACGT"), ("r2\tx", "acgu"), ("r3", "NNRYK"), ("r1", "TTTT"), ("@odd a b", "A" * 300),
    (" named second", "GGG"), ("", "CC"),
]  # fmt: skip
NAMES = ["r1", "r2", "r3", "r1", "@odd", "named", "7"]


@pytest.fixture
def fastq(tmp_path):
    path = tmp_path / "r.fq.gz"
    text = "".join(f"@{title}\n{bases}\n+\n{'@' * len(bases)}\n" for title, bases in READS)
    path.write_bytes(gzip.compress(text.encode()))
    return path


def test_blocks_hold_what_records_hold(fastq):
    singly = [(each.name, each.sequence) for each in read_records(fastq)]
    assert singly == list(
        zip(NAMES, ["ACGT", "ACGT", "NNRYK", "TTTT", "A" * 300, "GGG", "CC"], strict=True)
    )
    blocks = list(in_blocks(read_records(fastq)))
    together = [pair for each in blocks for pair in zip(each.names, each.sequences, strict=True)]
    assert together == singly
    described = [each.description for each in read_records(fastq)]
    assert described == ["1:N", "x", "", "", "a b", "second", ""]


def test_the_rules_for_names_and_empty_records_hold_in_blocks(fastq, tmp_path):
    named = [each.names for each in in_blocks(read_records(fastq, duplicates="suffix"))]
    assert named == [["r1", "r2", "r3", "r1_2", *NAMES[4:]]]
    with pytest.raises(SequenceError, match="two records called r1"):
        list(in_blocks(read_records(fastq, duplicates="error")))
    path = tmp_path / "empty.fq"
    path.write_text("@a\nAC\n+\nII\n@b\n\n+\n\n@c\nGG\n+\nII\n")
    with pytest.raises(SequenceError, match=r"Record b of .* is empty"):
        list(in_blocks(read_records(path)))
    (block,) = in_blocks(read_records(path, skip_empty=True))
    assert block.names == ["a", "c"]


def test_what_came_before_an_error_comes_before_it():
    def failing():
        yield Record("a", "ACGT")
        yield Record("b", "GG")
        raise ConnectionError("gone")

    blocks = in_blocks(failing())
    assert next(blocks).names == ["a", "b"]
    with pytest.raises(ConnectionError):
        next(blocks)


@pytest.mark.parametrize("windows", [None, Windows(40, 30), Windows(200, 200)])
@pytest.mark.parametrize("most", [1, 90, 1_000_000])
def test_parts_are_a_function_of_the_pieces_alone(windows, most):
    draw = random.Random(4)
    records = [
        Record(f"r{n}", "".join(draw.choices("ACGT", k=draw.randint(1, 120)))) for n in range(700)
    ]
    expected, part = [], []
    for record in records:
        whole = windows is None
        for window in [None] if whole else windows.over(len(record.sequence)):
            start, end = (0, len(record.sequence)) if whole else (window.start, window.end)
            part.append((record.name, start, end, record.sequence[start:end]))
            if sum(last - first for _, first, last, _ in part) >= most:
                expected.append(part)
                part = []
    if part:
        expected.append(part)
    found = list(in_pieces(records, windows, most))
    assert [[each[:4] for each in part] for part in found] == expected
    assert [bases_of(part) for part in found] == [
        sum(end - start for _, start, end, _ in part) for part in expected
    ]
    if windows is not None:
        owned = [piece for part in in_pieces(records, windows, most, owned=True) for piece in part]
        spoken = sum(piece.owned_end - piece.owned_start for piece in owned)
        assert spoken == sum(len(each.sequence) for each in records)


@pytest.mark.parametrize("library", ["isal", "Python's own"])
def test_gzip_that_is_cut_or_damaged_is_a_sentence_whichever_library_reads_it(
    tmp_path, monkeypatch, library
):
    if library == "isal":
        pytest.importorskip("isal")
    else:
        monkeypatch.setitem(sys.modules, "isal", None)
    draw = random.Random(1)
    text = "".join(f">r{n}\n{''.join(draw.choices('ACGT', k=200))}\n" for n in range(900))
    whole = gzip.compress(text.encode())
    path = tmp_path / "in.fa.gz"
    path.write_bytes(whole)
    assert len(list(read_records(path))) == 900
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SequenceError, match="it is cut short"):
        list(read_records(path))
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + b"\xff" * 64 + whole[middle + 64 :])
    with pytest.raises(SequenceError, match=r"is damaged|is no DNA letter|not text"):
        list(read_records(path))
