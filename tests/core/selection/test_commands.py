from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dnallm_core.catalog import catalog
from dnallm_core.cli.main import run
from dnallm_core.cli.select import _nothing
from dnallm_core.comparing import compare
from dnallm_core.comparing.picture import draw
from dnallm_core.selection import Refusal, Rejection, Selection


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(list(arguments))
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_select_explains_itself(command: Any) -> None:
    code, out, _ = command("select", "--task", "embedding", "--memory", "8GB", "--top", "2")
    assert code == 0
    assert out.startswith("Asked: task = embedding; memory = 8 GB.")
    assert "\n1. " in out
    assert "\n3. " not in out


def test_select_prints_the_envelope(command: Any) -> None:
    code, out, _ = command("select", "--task", "embedding", "--memory", "8GB", "--json")
    made = json.loads(out)
    assert code == 0
    assert made["schema"] == 1
    assert made["requirements"]["task"] == "embedding"
    assert made["ranked"][0]["reasons"]


def test_where_nothing_fits_the_whole_json_comes_with_code_4(command: Any) -> None:
    code, out, err = command("select", "--memory", "2MB", "--json")
    made = json.loads(out)
    assert code == 4
    assert made["ranked"] == []
    assert len(made["rejected"]) == len(catalog())
    assert all(reason["fix"] for each in made["rejected"] for reason in each["reasons"])
    assert err.startswith("dnallm: nothing fits. The nearest is ")


def test_where_nothing_fits_each_requirement_that_alone_stands_in_the_way_is_named(
    command: Any,
) -> None:
    code, out, err = command(
        "select", "--task", "variant-effect", "--length", "10Mb", "--memory", "1GB"
    )
    assert code == 4
    told = out.partition("Nothing fits.\nChange one of these requirements:\n")[2].partition("\n\n")[
        0
    ]
    assert [line.strip().partition(":")[0] for line in told.splitlines()] == ["memory"]
    assert "models miss by it alone; the nearest, " in told
    assert "needs" in told
    assert err.startswith("dnallm: nothing fits. ")
    _, out, _ = command("select", "--length", "10Mb", "--memory", "1GB", "--json")
    assert json.loads(out)["changes"][0].startswith("memory: ")


def test_where_no_requirement_alone_stands_in_the_way_the_nearest_model_is_named() -> None:
    two = (
        Refusal("length", 9, 1, "reads 1 bp", ""),
        Refusal("memory", 9, 1, "needs 9 GB", "a card"),
    )
    found = Selection(
        requirements={}, resources={}, ranked=(), rejected=(Rejection("m", "f", two),)
    )
    assert found.changes == ("no single one: the nearest, m, reads 1 bp; needs 9 GB (a card)",)


def test_an_empty_house_says_so() -> None:
    nothing = Selection(requirements={}, resources={}, ranked=(), rejected=())
    assert _nothing(nothing) == (
        "dnallm: there is no model to choose from: no plugin is installed and no registry read."
    )


def test_why_takes_an_alias(command: Any) -> None:
    name = next((model for model in catalog().values() if model.aliases), None)
    if name is None:
        pytest.skip("no installed model has an alias")
    _, out, _ = command("select", "--memory", "900GB", "--why", name.aliases[0])
    assert name.id in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--task", "embeding"), 'Did you mean "embedding"'),
        (("--length", "long"), "'long' is no length."),
        (("--gpu", "RTX 9999"), "no card in the table is called 'RTX 9999'"),
        (("--memory", "0GB"), "it must be above zero"),
        (("--requirements", "absent.toml"), "There is no requirements file absent.toml."),
        (("--lengths-from", "absent.bed"), "There is no file absent.bed."),
        (("--devices", "2"), "devices needs memory or gpu"),
    ],
)
def test_bad_input_is_a_sentence_and_code_2(
    command: Any, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = command("select", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("dnallm: ")
    assert message in err


def test_a_file_and_flags_go_together(command: Any, tmp_path: Path) -> None:
    path = tmp_path / "need.toml"
    path.write_text('task = "embedding"\nlength = 100\nmemory = "8GB"\n')
    _, out, _ = command("select", "--requirements", str(path), "--length", "300", "--json")
    asked = json.loads(out)["requirements"]
    assert (asked["task"], asked["length"]) == ("embedding", 300)


def test_lengths_come_from_a_bed_file(command: Any, tmp_path: Path) -> None:
    path = tmp_path / "regions.bed"
    path.write_text("track x\nchr1\t0\t500\nchr1\t1000\t3000\tname\n")
    _, out, _ = command("select", "--lengths-from", str(path), "--memory", "8GB", "--json")
    asked = json.loads(out)["requirements"]
    assert (asked["length"], asked["sequences"]) == (2000, 2)


def test_a_length_below_the_longest_entry_contradicts_the_file(
    command: Any, tmp_path: Path
) -> None:
    path = tmp_path / "regions.bed"
    path.write_text("chr1\t0\t500\n")
    code, _, err = command(
        "select", "--lengths-from", str(path), "--length", "400", "--memory", "8GB"
    )
    assert code == 2
    assert "length = 400 bp and lengths_from contradict each other: the longest entry" in err
    code, _, _ = command(
        "select", "--lengths-from", str(path), "--length", "600", "--memory", "8GB"
    )
    assert code == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [("chr1 5\n", ":1: neither FASTA nor a BED line"),
     ("chr1 9 5\n", ":1: the region ends where or before"),
     ("", "holds no regions"), (">a\n>b\n", "holds no bases")],
)  # fmt: skip
def test_a_file_without_lengths_is_refused(
    command: Any, tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "regions.bed"
    path.write_text(text)
    code, _, err = command("select", "--lengths-from", str(path))
    assert code == 2
    assert message in err


def test_compare_shows_facts_memory_and_evidence(command: Any, tmp_path: Path) -> None:
    ids = list(catalog())[:2]
    if len(ids) < 2:
        pytest.skip("fewer than two models are known")
    picture = tmp_path / "memory.svg"
    code, out, _ = command("compare", *ids, "--svg", str(picture))
    assert code == 0
    assert "Memory of one batch:" in out
    assert picture.read_text().startswith("<svg")
    code, out, _ = command("compare", *ids, "--json")
    made = json.loads(out)
    assert [each["id"] for each in made["models"]] == ids
    assert len(made["models"][0]["memory_bytes"]) == len(made["lengths"])


def test_compare_needs_two(command: Any) -> None:
    code, _, err = command("compare", "one")
    assert code == 2
    assert "compare needs two models or more." in err


def test_evidence_is_compared_where_both_have_results() -> None:
    models = [model for model in catalog().values() if model.weights.hub]
    found = compare(models)
    for row in found.evidence:
        assert len(row.standings) > 1
        assert any(tier == "A" for tier, _ in row.standings.values())
    lines = sum(any(each.memory) for each in found.models)
    lines += sum(any(each.time) for each in found.models)  # of whom a time is known here
    assert lines > len(models) / 2
    assert draw(found).count("<polyline") == lines
