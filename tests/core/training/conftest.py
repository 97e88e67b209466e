"""Labelled sequences whose answer is known, and the command beside a toy model."""

from __future__ import annotations

import random

import pytest


def planted(count, length=40, seed=0):
    """(sequence, label): "yes" where GATTACA stands in it."""
    chooser = random.Random(seed)
    rows = []
    for number in range(count):
        letters = chooser.choices("ACGT", k=length)
        if number % 2:
            at = chooser.randrange(length - 7)
            letters[at : at + 7] = "GATTACA"
        rows.append(("".join(letters), "yes" if number % 2 else "no"))
    return rows


def ordered(count, length=40, gap=6, seed=0):
    """(sequence, label): the same two motifs in all, "yes" where the first stands before the second.

    Spacing is the same in both, so that no count of short k-mers tells them apart.
    """
    chooser = random.Random(seed)
    rows = []
    for number in range(count):
        letters = chooser.choices("ACGT", k=length)
        first, second = ("GATTACA", "CCTGTGG") if number % 2 else ("CCTGTGG", "GATTACA")
        at = chooser.randrange(length - 14 - gap)
        letters[at : at + 7] = first
        letters[at + 7 + gap : at + 14 + gap] = second
        rows.append(("".join(letters), "yes" if number % 2 else "no"))
    return rows


@pytest.fixture
def write_rows(tmp_path):
    """Write (sequence, label) rows as a table."""

    def write(rows, name="train.csv", header="sequence,label"):
        path = tmp_path / name
        path.write_text("\n".join([header, *(f"{a},{b}" for a, b in rows)]) + "\n")
        return path

    return write


@pytest.fixture
def motif():
    """Rows with a planted motif."""
    return planted


@pytest.fixture
def order():
    """Rows where the order of two motifs is the label."""
    return ordered


@pytest.fixture
def command(toy, tmp_path, monkeypatch, capsys):
    """Run the command in this process beside a toy checkpoint."""
    from dnallm_core.cli.main import run

    toy("toy")
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()

    def call(*arguments):
        code = run([str(each) for each in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call
