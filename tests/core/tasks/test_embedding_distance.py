"""``dnallm variants --effect embedding-distance``: as every other run, recorded, repeated, resumed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from dnallm_core.cli.main import run
from dnallm_core.tasks.run import Run

GENOME = "ACGTTGCAACGGTTACAGTACCATGAACTGGTAACGGATTACA" * 3
VARIANTS = [(3, "G", "C"), (20, "A", "T"), (9, "AC", "TG"), (10, "C", "CTTA"), (30, "GGT", "A")]
FLAGS = ["--weights", "toy-0", "--device", "cpu", "--quiet", "--window", "30"]
COMMAND = ["variants", "toy", "v.txt", "--genome", "genome.fa", "--effect", "embedding-distance"]


@pytest.fixture
def here(toy, tmp_path, monkeypatch):
    model = toy("toy")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dnallm_core.tasks.variants.PART_VARIANTS", 2)
    Path("genome.fa").write_text(f">c\n{GENOME}\n")
    lines = [f"c:{position}:{ref}:{alt}\n" for position, ref, alt in VARIANTS]
    Path("v.txt").write_text("".join(lines))
    return model


def test_the_file_holds_what_memory_gives_and_the_record_says_which_effect(here):
    assert run([*COMMAND, "-o", "o.npz", *FLAGS]) == 0
    expected = here.variant_effects(GENOME, VARIANTS, window=30, effect="embedding-distance")
    np.testing.assert_allclose(np.load("o.npz")["effect"], expected, rtol=1e-4)
    record = json.loads(Path("o.npz.run.json").read_text())
    assert record["settings"]["effect"] == "embedding-distance"


def test_it_is_repeated_to_the_same_bytes(here):
    assert run([*COMMAND, "-o", "o.tsv", *FLAGS]) == 0
    assert run(["rerun", "o.tsv", "-o", "again.tsv", "--quiet"]) == 0
    assert Path("again.tsv").read_bytes() == Path("o.tsv").read_bytes()


def test_interrupted_it_goes_on_and_is_not_mixed_with_likelihoods(here, monkeypatch, capsys):
    saved = []

    def failing(self, number, table, save=Run.save):
        if len(saved) == 1:
            raise ConnectionError("the file system went away")
        saved.append(number)
        save(self, number, table)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", failing)
        assert run([*COMMAND, "-o", "o.tsv", *FLAGS]) != 0
    assert run([*COMMAND[:-2], "-o", "o.tsv", *FLAGS]) == 2
    assert "effect" in capsys.readouterr().err
    assert run([*COMMAND, "-o", "o.tsv", *FLAGS]) == 0
    assert json.loads(Path("o.tsv.run.json").read_text())["resumed_parts"] == 1
    assert run([*COMMAND, "-o", "whole.tsv", *FLAGS]) == 0
    assert Path("o.tsv").read_bytes() == Path("whole.tsv").read_bytes()


def test_the_header_of_a_vcf_says_which_effect(here):
    for name, more, words in (
        ("distance.vcf", [], "Minus the distance of the alleles' embeddings"),
        ("likelihood.vcf", ["--effect", "likelihood"], "Log-likelihood of the alternative less"),
    ):
        assert run([*COMMAND, *more, "-o", name, *FLAGS]) == 0
        assert words in Path(name).read_text()
