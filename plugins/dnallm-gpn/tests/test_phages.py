"""Real genomes from alignment to score: skipped where the data or the benchmarks are not at hand."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from dnallm_core.models.substitutions import substitutions
from dnallm_core.sequences.alignment import open_alignment, write_zarr

import dnallm_core

ROOT = Path(__file__).parents[3]
GENOMES = ROOT.parent / "shared/data/phix174_like_phages.fa.gz"
SCRIPT = ROOT / "benchmarks/phage_alignment.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    if not SCRIPT.exists() or not GENOMES.exists():
        pytest.skip("the phage genomes or the benchmarks are not at hand")
    spec = importlib.util.spec_from_file_location("phage_alignment", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_stated_rule_aligns(script: ModuleType) -> None:
    rows = script.laid_along("ACGTACGTTT", ["ACGACGTTT", "ACGTAACGTTT", "ACGTACGTTT"], band=4)
    assert rows == ["ACG-ACGTTT", "ACGTACGTTT", "ACGTACGTTT"]


def test_phage_genomes_are_read_windowed_and_scored(script: ModuleType, tmp_path: Path) -> None:
    genomes = {name: text[:400] for name, text in script.read_fasta(GENOMES).items()}
    assert len(genomes) == 16
    script.write_alignment(genomes, tmp_path / "phages.fa")
    name, reference = next(iter(genomes.items()))
    flat = open_alignment(tmp_path / "phages.fa")
    assert flat.contigs == {name: 400}
    letters = flat.columns(name, 0, 400)
    assert (letters[:, 1:] == letters[:, :1]).mean() > 0.5  # relatives, not noise
    write_zarr(flat, tmp_path / "phages.zarr")
    script.random_checkpoint(tmp_path / "model", species=15, layers=2, width=128)
    model = dnallm_core.load("gpn-msa", weights=tmp_path / "model", device="cpu")
    found = [
        substitutions(model, reference, start=0, end=24, window=128, alignment=each, contig=name)
        for each in (flat, open_alignment(tmp_path / "phages.zarr"))
    ]
    assert np.isfinite(found[0].effects).all()
    np.testing.assert_array_equal(found[0].effects, found[1].effects)
    other = genomes[list(genomes)[5]]
    with pytest.raises(dnallm_core.errors.SequenceError, match="reference is not this genome"):
        substitutions(model, other, end=24, window=128, alignment=flat, contig=name)
