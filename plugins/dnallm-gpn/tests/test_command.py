"""``dnallm scan`` and ``dnallm variants`` with alignments, rates and shared masks: one command each."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from dnallm_core.cli.main import run
from dnallm_core.models.substitutions import substitutions
from dnallm_core.sequences.alignment import open_alignment, write_zarr

GOLDEN = Path(__file__).parent / "golden"
MODELS = {
    "gpn": "gpn/gpn_convnet",
    "gpn-msa": "gpn-msa/gpn_msa",
    "phylogpn": "phylogpn/phylogpn",
}
LENGTH = 260


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A genome of two contigs, and ten aligned genomes along the first in three formats."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(3)
    rows = ["".join(draw.choice(list("ACGT"), LENGTH)) for _ in range(10)]
    rows[4] = rows[4][:50] + "-" * 30 + rows[4][80:]
    (tmp_path / "genome.fa").write_text(f">chr1\n{rows[0]}\n")
    (tmp_path / "two.fa").write_text(f">chr1\n{rows[0]}\n>chr2\n{rows[1]}\n")
    names = ["me", *(f"s{number}" for number in range(9))]
    (tmp_path / "a.fa").write_text(
        "".join(f">{name}\n{row}\n" for name, row in zip(names, rows, strict=True))
    )
    blocks = "".join(
        f"s {name}.chr1 0 {len(row.replace('-', ''))} + {LENGTH} {row}\n"
        for name, row in zip(names, rows, strict=True)
    )
    (tmp_path / "a.maf").write_text(f"##maf version=1\na score=1\n{blocks}\n")
    write_zarr(open_alignment(tmp_path / "a.fa", contig="chr1"), tmp_path / "a.zarr")
    return tmp_path


def _rows(path: str) -> list[dict[str, str]]:
    with Path(path).open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _call(command: str, family: str, *arguments: str) -> int:
    more = ["--device", "cpu", "--dtype", "float32", "--quiet"]
    return run([command, family, *arguments, "--weights", str(GOLDEN / MODELS[family]), *more])


@pytest.mark.parametrize("family", MODELS)
def test_a_scan_is_the_substitutions_of_the_stretch(golden, folder, family) -> None:
    more = ["--alignment", "a.fa"] if family == "gpn-msa" else []
    place = ["--genome", "genome.fa", "--region", "chr1:11-30", "--window", "40"]
    assert _call("scan", family, *place, *more, "-o", "scan.tsv") == 0
    found = _rows("scan.tsv")
    assert len(found) == 60
    text = (folder / "genome.fa").read_text().split()[1]
    alignment = open_alignment("a.fa", contig="chr1") if more else None
    expected = list(
        substitutions(
            golden(MODELS[family]).model, text, start=10, end=30, window=40,
            alignment=alignment, contig="chr1",
        )
    )  # fmt: skip
    assert [(int(row["pos"]), row["ref"], row["alt"]) for row in found] == [
        each[:3] for each in expected
    ]
    np.testing.assert_allclose(
        [float(row["effect"]) for row in found], [each[3] for each in expected], atol=5e-5
    )


@pytest.mark.parametrize("family", MODELS)
def test_variants_get_what_the_scan_gives_them_wherever_they_stand(folder, family) -> None:
    """Law 7: not their neighbours, their order nor the part they fall into counts."""
    more = ["--alignment", "a.fa"] if family == "gpn-msa" else []
    place = ["--genome", "genome.fa", "--window", "40", *more]
    assert _call("scan", family, *place, "-o", "scan.tsv") == 0
    scanned = _rows("scan.tsv")
    chosen = [scanned[at] for at in (700, 5, 6, 640, 300, 301, 5)]
    lines = [f"chr1:{row['pos']}:{row['ref']}:{row['alt']}" for row in chosen]
    (folder / "v.txt").write_text("\n".join([*lines, "chr1:1:" + scanned[0]["ref"] + ":<DEL>"]))
    assert _call("variants", family, "v.txt", *place, "-o", "v.tsv") == 0
    found = _rows("v.tsv")
    assert "symbolic" in found[-1]["reason"]
    np.testing.assert_allclose(
        [float(row["effect"]) for row in found[:-1]],
        [float(row["effect"]) for row in chosen],
        atol=5e-5,
    )


def test_every_format_of_an_alignment_gives_the_same_scores(folder) -> None:
    place = ["--genome", "genome.fa", "--region", "chr1:40-90", "--window", "32"]
    found = {}
    for name in ("a.fa", "a.maf", "a.zarr"):
        assert _call("scan", "gpn-msa", *place, "--alignment", name, "-o", f"{name}.tsv") == 0
        found[name] = _rows(f"{name}.tsv")
    assert found["a.fa"] == found["a.maf"] == found["a.zarr"]


def test_an_alignment_is_asked_for_before_any_work(folder, capsys) -> None:
    assert _call("scan", "gpn-msa", "--genome", "genome.fa", "-o", "out.tsv") == 2
    assert "reads an alignment beside the sequence" in capsys.readouterr().err
    arguments = ["--genome", "genome.fa", "--alignment", "a.fa", "-o", "out.tsv"]
    assert _call("scan", "phylogpn", *arguments) == 2
    assert "reads the sequence alone, no alignment" in capsys.readouterr().err
    assert not list(folder.glob("out.tsv*"))


def test_an_indel_is_listed_with_the_reason_that_it_has_no_score(folder) -> None:
    text = (folder / "genome.fa").read_text().split()[1]
    (folder / "v.txt").write_text(f"chr1:20:{text[19]}:{text[19]}AC\n")
    for family in ("gpn-msa", "phylogpn"):
        more = ["--alignment", "a.fa"] if family == "gpn-msa" else []
        arguments = ["v.txt", "--genome", "genome.fa", *more, "-o", f"{family}.tsv"]
        assert _call("variants", family, *arguments) == 0
        (row,) = _rows(f"{family}.tsv")
        assert row["effect"] == ""
        assert "scores substitutions of one base alone" in row["reason"]
    assert _call("variants", "gpn", "v.txt", "--genome", "genome.fa", "-o", "gpn.tsv") == 0
    assert _rows("gpn.tsv")[0]["effect"] != ""


def test_a_genome_that_is_not_the_alignments_is_a_sentence(folder, capsys) -> None:
    text = (folder / "genome.fa").read_text().split()[1]
    swapped = text[:99] + ("A" if text[99] != "A" else "C") + text[100:]
    (folder / "other.fa").write_text(f">chr1\n{swapped}\n")
    arguments = ["--genome", "other.fa", "--alignment", "a.fa", "-o", "out.tsv"]
    assert _call("scan", "gpn-msa", *arguments) == 2
    assert "The alignment's reference is not this genome: at chr1:100" in capsys.readouterr().err


def _variants_of(folder: Path, family: str, rows: list[str], *more: str) -> list[dict[str, str]]:
    """What the command writes of VCF rows, as a table."""
    head = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    (folder / "v.vcf").write_text(head + "".join(f"{row}\t.\t.\t.\n" for row in rows))
    more = ("--alignment", "a.fa", *more) if family == "gpn-msa" and not more else more
    output = folder / f"{family}.tsv"
    arguments = ["v.vcf", "--genome", "genome.fa", "--window", "40", *more, "-o", str(output)]
    assert _call("variants", family, *arguments, "--overwrite") == 0
    return _rows(str(output))


@pytest.mark.parametrize("family", MODELS)
def test_bases_at_the_contigs_edges_are_scored_as_in_the_scan(folder, family) -> None:
    text = (folder / "genome.fa").read_text().split()[1]
    places = [1, 2, LENGTH - 1, LENGTH]
    alts = ["ACGT"[("ACGT".index(text[at - 1]) + 1) % 4] for at in places]
    rows = [f"chr1\t{at}\t.\t{text[at - 1]}\t{alt}" for at, alt in zip(places, alts, strict=True)]
    found = _variants_of(folder, family, rows)
    more = ["--alignment", "a.fa"] if family == "gpn-msa" else []
    arguments = ["--genome", "genome.fa", "--window", "40", *more, "-o", "scan.tsv"]
    assert _call("scan", family, *arguments) == 0
    scanned = {(int(row["pos"]), row["alt"]): row["effect"] for row in _rows("scan.tsv")}
    np.testing.assert_allclose(
        [float(row["effect"]) for row in found],
        [float(scanned[key]) for key in zip(places, alts, strict=True)],
        atol=5e-5,
    )


@pytest.mark.parametrize("family", MODELS)
def test_rows_of_several_alleles_are_split_and_what_has_no_score_keeps_its_place(
    folder, family
) -> None:
    text = (folder / "genome.fa").read_text().split()[1]
    ref = text[19]
    one, two, three = (base for base in "ACGT" if base != ref)
    rows = [f"chr1\t20\t.\t{ref}\t{one},<DEL>,{two},*", f"chr1\t20\t.\t{ref}\t{three}"]
    found = _variants_of(folder, family, rows)
    assert [row["alt"] for row in found] == [one, "<DEL>", two, "*", three]
    assert [row["effect"] != "" for row in found] == [True, False, True, False, True]
    assert "symbolic allele" in found[1]["reason"]
    assert "gap of a deletion" in found[3]["reason"]
    assert [row["record"] for row in found] == ["1"] * 4 + ["2"]


def test_gaps_of_other_species_at_the_variant_count_and_hinder_nothing(folder) -> None:
    text = (folder / "genome.fa").read_text().split()[1]
    other = "A" if text[60] != "A" else "C"
    row = [f"chr1\t61\t.\t{text[60]}\t{other}"]
    (gapped,) = _variants_of(folder, "gpn-msa", row)  # the fifth genome has 30 gaps around it
    filled = (folder / "a.fa").read_text().replace("-" * 30, "ACGTT" * 6)
    (folder / "filled.fa").write_text(filled)
    (whole,) = _variants_of(folder, "gpn-msa", row, "--alignment", "filled.fa")
    assert np.isfinite([float(gapped["effect"]), float(whole["effect"])]).all()
    assert gapped["effect"] != whole["effect"]


def test_an_alignment_that_lacks_a_species_is_refused_with_the_number(folder, capsys) -> None:
    lines = (folder / "a.fa").read_text().splitlines()
    (folder / "fewer.fa").write_text("\n".join(lines[:-2]) + "\n")
    arguments = ["--genome", "genome.fa", "--alignment", "fewer.fa", "-o", "out.tsv"]
    assert _call("scan", "gpn-msa", *arguments) == 2
    assert "reads 9 aligned species; the alignment has 8 beside me" in capsys.readouterr().err


def test_a_changed_alignment_is_not_the_runs(folder, capsys) -> None:
    place = ["--genome", "genome.fa", "--region", "chr1:40-50", "--window", "32"]
    assert _call("scan", "gpn-msa", *place, "--alignment", "a.fa", "-o", "out.tsv") == 0
    text = (folder / "a.fa").read_text()
    (folder / "a.fa").write_text(text.replace("-" * 30, "ACGTT" * 6))
    assert run(["rerun", "out.tsv", "-o", "again.tsv", "--quiet"]) == 2
    assert "a.fa is not what it was: its content has changed" in capsys.readouterr().err
