"""A run on paper, held against runs and against arithmetic."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dnallm_core.cli.main import run
from dnallm_core.errors import RequirementError
from dnallm_core.footprint import prediction
from dnallm_core.footprint.time import duration
from dnallm_core.resources import described
from dnallm_core.tasks.job import PART_BASES
from dnallm_core.tasks.on_paper import PART_BASES as PLANNED
from dnallm_core.tasks.on_paper import estimate

import dnallm_core

CARD = "H100 SXM"


def _model(laboratory):
    laboratory.install()
    return dnallm_core.catalog()["toy-1"]


@pytest.mark.parametrize(("task", "output"), [("embed", "embed"), ("score --per-base",) * 2])
def test_windows_parts_and_bytes_are_those_of_the_run(
    toy, laboratory, tmp_path, monkeypatch, task, output
):
    toy("toy")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dnallm_core.tasks.embedding.PART_BASES", 1000)
    monkeypatch.setattr("dnallm_core.tasks.scoring.PART_BASES", 1000)
    monkeypatch.setattr("dnallm_core.tasks.on_paper.PART_BASES", 1000)
    Path("g.fa").write_text(">c\n" + "ACGTTGCATG" * 1000 + "\n")
    command = [*task.split(), "toy", "g.fa", "--window", "50", "--weights", "toy-0", "--quiet"]
    assert run([*command, "--device", "cpu", "-o", "o.npz", "--shard", "1/1"]) == 0
    shard = Path("o.npz.shard-1-of-1")
    found = estimate(
        _model(laboratory), described(gpu=CARD).devices[0], bases=10_000, window=50, output=output
    )
    record = json.loads((shard / "shard.json").read_text())
    assert found.parts == record["plan"]["parts"] == 10
    assert found.windows == 200
    written = sum(each.stat().st_size for each in shard.glob("part-*")) - 10 * 1100  # zip headers
    assert found.bytes_written == pytest.approx(written, rel=0.35)


def test_parts_are_cut_as_jobs_cut_them():
    assert PLANNED == PART_BASES


def test_hours_are_those_that_selection_predicts(laboratory):
    card = described(gpu=CARD).devices[0]
    model = _model(laboratory)
    one = estimate(model, card, bases=3_000_000, window=50, devices=4, dtype="float32")
    cost = prediction(model, dtype="float32", device=card.kind)
    same = duration(
        model, cost, length=50, sequences=60_000, device=card, dtype="float32", batch=one.batch
    )
    assert (one.hours_low, one.hours_high) == (same.low / 3600, same.high / 3600)
    assert one.hours_basis == same.basis
    assert "roofline by" in one.hours_basis
    assert one.wall_hours_high == pytest.approx(one.hours_high / 4)
    both = estimate(model, card, bases=3_000_000, window=50, both_strands=True, dtype="float32")
    assert both.hours_high == pytest.approx(2 * one.hours_high)
    assert one.shards == 4  # one a device at least
    short = one.hours_high / 10.5
    many = estimate(model, card, bases=3_000_000, window=50, dtype="float32", shard_hours=short)
    assert many.shards == 11


def test_what_does_not_fit_or_has_no_known_rate_is_a_sentence(laboratory):
    model = _model(laboratory)
    with pytest.raises(RequirementError, match=r"no rate of .* is known, and nobody measured it"):
        estimate(model, described(memory=8 * 10**9).devices[0], bases=1000, window=50)
    small = described(memory=10_000, gpu=CARD).devices[0]
    with pytest.raises(RequirementError, match=r"One window of 50 bp needs .* GB in bfloat16"):
        estimate(model, small, bases=1000, window=50)


def test_the_command_says_what_each_number_rests_on(capsys):
    command = ["plan", "evo-2-7b", "--bases", "3Gb", "--window", "8192", "--gpu", CARD]
    assert run([*command, "--devices", "64"]) == 0
    said = capsys.readouterr().out
    assert "366,211, in 22,889 parts" in said
    assert "roofline by" in said
    assert run([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["plan"]["windows"] == 366_211
