"""The demonstration's own arithmetic."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def demo():
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("demo", ROOT / "docs/demo/demo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_genetic_code_is_the_standard_one(demo):
    assert len(demo.CODE) == 64
    assert [demo.CODE[c] for c in ("ATG", "TGG", "TAA", "TAG", "TGA", "GGC")] == list("MW***G")


def test_consequences(demo):
    gene = "ATGTTATGGTAA"
    assert demo.consequence(gene, 0, "C") == "start lost"
    assert demo.consequence(gene, 5, "G") == "synonymous"
    assert demo.consequence(gene, 4, "A") == "stop gained"
    assert demo.consequence(gene, 3, "A") == "missense"
    assert demo.consequence(gene, 11, "C") == "stop lost"


def test_the_gene_is_an_open_reading_frame_of_the_data(demo):
    from dnallm_core.sequences.files import Genome

    with Genome(demo.GENOME) as genome:
        gene = genome.sequence(demo.GENE)
    protein = [demo.CODE[gene[at : at + 3]] for at in range(0, len(gene), 3)]
    assert gene.startswith("ATG")
    assert protein[-1] == "*"
    assert "*" not in protein[:-1]
