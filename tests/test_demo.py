"""The demonstration's own arithmetic; the whole of it, page and notebook, under ``environment``."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "docs/demo"


@pytest.fixture(scope="module")
def story():
    spec = importlib.util.spec_from_file_location("story", DEMO / "story.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_genetic_code_is_the_standard_one(story):
    assert len(story.CODE) == 64
    assert [story.CODE[c] for c in ("ATG", "TGG", "TAA", "TAG", "TGA", "GGC")] == list("MW***G")


def test_consequences(story):
    gene = "ATGTTATGGTAA"
    assert story.consequence(gene, 0, "C") == "start lost"
    assert story.consequence(gene, 5, "G") == "synonymous"
    assert story.consequence(gene, 4, "A") == "stop gained"
    assert story.consequence(gene, 3, "A") == "missense"
    assert story.consequence(gene, 11, "C") == "stop lost"


def test_the_predicted_genes_are_reading_frames_of_the_held_out_stretch(story):
    from dnallm_core.sequences.alphabet import reverse_complement

    sequence, genes = story.held_out()
    assert len(sequence) == 493_892
    assert len(genes) > 400
    whole = 0
    for gene in genes:
        text = sequence[gene.start : gene.end]
        text = text if gene.strand == "+" else reverse_complement(text)
        protein = [story.CODE[text[at : at + 3]] for at in range(0, len(text), 3)]
        assert len(text) % 3 == 0
        whole += protein[-1] == "*" and "*" not in protein[:-1]
    assert whole / len(genes) > 0.99
    chosen = story.chosen_gene(genes)
    assert sequence[chosen.start : chosen.start + 3] in ("ATG", "GTG", "TTG")


def test_a_spectrum_counts_the_words_of_both_strands(story):
    shares = story.spectrum(["AAAAC"], 4)
    assert shares.shape == (256,)
    assert shares.sum() == 1
    assert sorted(shares[shares > 0]) == [0.25] * 4


def test_frames_from_start_to_stop_are_found_on_both_strands(story):
    from dnallm_core.sequences.alphabet import reverse_complement

    frame = "ATG" + "GCC" * 30 + "TAA"
    assert story.reading_frames(["CC" + frame + "C"]) == [96]
    assert story.reading_frames([reverse_complement(frame)]) == [96]


def test_the_area_under_the_curve_counts_pairs(story):
    assert story.auroc([-2.0, -1.0], [0.0, 1.0]) == 1.0
    assert story.auroc([1.0], [0.0]) == 0.0
    assert story.auroc([0.0], [0.0]) == 0.5


@pytest.mark.environment
def test_the_page_holds_its_pictures_and_shows_in_a_browser(tmp_path):
    pytest.importorskip("matplotlib")
    subprocess.run(
        [sys.executable, DEMO / "demo.py", "--quick", "--output", tmp_path], check=True,
        capture_output=True, timeout=900,
    )  # fmt: skip
    page = (tmp_path / "demo.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert page.count("<h2>") == 4
    assert "http" not in page.replace("http://www.w3.org", "")
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no browser here: the page was made, and not looked at")
    picture = tmp_path / "seen.png"
    subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--screenshot={picture}",
         "--window-size=1000,3200", (tmp_path / "demo.html").as_uri()],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    assert picture.stat().st_size > 50_000


@pytest.mark.environment
def test_the_notebook_runs(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.reads((DEMO / "demo.ipynb").read_text(), as_version=4)
    os.environ.setdefault("MPLBACKEND", "Agg")
    nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(DEMO)}}
    ).execute()
    assert any("have neighbours" in str(cell.get("outputs")) for cell in notebook.cells)
