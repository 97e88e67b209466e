"""Pictures of a scan: drawn beside the output, from the same rows, or refused before any work."""

from __future__ import annotations

import numpy as np
import pytest
from dnallm_core.cli.main import run
from dnallm_core.errors import OutputError, RequirementError
from dnallm_core.tasks.figures import LINE, MOST, Drawing, _lines
from dnallm_core.tasks.table import Table

pytest.importorskip("matplotlib")
FLAGS = ["--weights", "toy-0", "--device", "cpu", "--quiet"]


@pytest.fixture
def here(toy, tmp_path, monkeypatch):
    toy("toy")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genome.fa").write_text(">chr1\n" + "ACGGTTACGATTTACGACCA" * 4 + "\n")
    return tmp_path


def _scan(*more):
    place = ["--genome", "genome.fa", "--window", "30"]
    return run(["scan", "toy", *place, *more, *FLAGS])


def test_a_scan_draws_its_heat_map_and_logo_whatever_its_output(here):
    place = ["--region", "chr1:5-24", "--region", "chr1:40-60"]
    assert _scan(*place, "-o", "a.tsv", "--figure", "a.svg") == 0
    drawn = (here / "a.svg").read_text()
    assert drawn.count("<image") >= 2  # a heat map a stretch
    assert _scan(*place, "-o", "a.bw", "--figure", "b.svg") == 0
    assert (here / "b.svg").exists()
    assert _scan(*place, "-o", "a.vcf.gz", "--figure", "a.png") == 0
    assert (here / "a.png").read_bytes().startswith(b"\x89PNG")
    assert not list(here.glob(".*writing*"))


def test_a_picture_that_cannot_be_is_refused_before_any_work(here, capsys, monkeypatch):
    assert _scan("-o", "a.tsv", "--figure", "a.txt") == 2
    assert "its ending names no picture" in capsys.readouterr().err
    assert _scan("-o", "a.tsv", "--figure", "a.png", "--shard", "1/2") == 2
    assert "of a run in one process" in capsys.readouterr().err
    monkeypatch.setattr("dnallm_core.tasks.figures.MOST", 50)
    assert _scan("-o", "a.tsv", "--figure", "a.png") == 2
    assert "A figure shows 50 bases at most" in capsys.readouterr().err
    assert not list(here.glob("a.*"))
    with pytest.raises(OutputError, match="no folder"):
        Drawing(here / "nowhere" / "a.png", "scan")
    with pytest.raises(RequirementError, match="bases at most"):
        Drawing(here / "a.png", "scan").check(MOST + 1)


def test_letters_are_as_high_as_what_is_known_of_them(here, monkeypatch):
    """One base at which every other is impossible has 2 bits; one at which all are equal has none."""
    taken = {}
    monkeypatch.setattr(
        "dnallm_core.tasks.figures._figure",
        lambda path, places, letters, heights, effects, unit: taken.update(
            letters=letters, heights=heights, effects=effects
        ),
    )
    table = Table(
        {
            "chrom": ["c"] * 6, "pos": np.array([1, 1, 1, 2, 2, 2]), "ref": list("GGGAAA"),
            "alt": list("ACTCGT"), "effect": np.array([-50, -50, -50, 0, 0, 0], np.float32),
        }
    )  # fmt: skip
    Drawing(here / "a.png", "scan").draw([table])
    assert taken["letters"] == ["G", "A"]
    np.testing.assert_allclose(taken["heights"].T, [[0, 0, 2, 0], [0, 0, 0, 0]], atol=1e-6)
    assert np.isnan(taken["effects"][2, 0])


def test_stretches_are_lines_of_their_own_and_long_ones_are_wrapped():
    places = [("c", at) for at in range(1, LINE + 11)] + [("c", 900), ("d", 901)]
    assert _lines(places) == [
        (0, LINE), (LINE, LINE + 10), (LINE + 10, LINE + 11), (LINE + 11, LINE + 12),
    ]  # fmt: skip
