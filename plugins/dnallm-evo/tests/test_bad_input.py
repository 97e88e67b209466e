"""What a user of Evo may get wrong, tried through the command: a sentence each, and nothing written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from dnallm_core.checkpoints.pickled import flatten, read_pickled
from dnallm_core.cli.main import run

GOLDEN = Path(__file__).parent / "golden" / "evo-2" / "evo2_1b_like"
WEIGHTS, SETTINGS = "evo2_1b_base.pt", "evo2-1b-8k.yml"
SCORE = ["score", "evo-2", "in.fa", "--weights", "here", "--device", "cpu", "--quiet"]
GENERATE = ["generate", "evo-2", "--weights", "here", "--device", "cpu", "--quiet", "--seed", "1"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a checkpoint and two sequences; the command runs beside it."""
    (tmp_path / "here").mkdir()
    for name in (WEIGHTS, SETTINGS):
        shutil.copy(GOLDEN / name, tmp_path / "here" / name)
    (tmp_path / "in.fa").write_text(">a\nACGTACGTACGTAAAACCC\n>b\nACGTTTTTTT\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "here"


def in_two(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).unlink()
    (folder / f"{WEIGHTS}.part0").write_bytes(whole[:300_000])
    (folder / f"{WEIGHTS}.part1").write_bytes(whole[300_000:])


def without_an_end(folder: Path) -> None:
    in_two(folder)
    part = folder / f"{WEIGHTS}.part1"
    part.write_bytes(part.read_bytes()[:-5_000])


def in_the_wrong_order(folder: Path) -> None:
    in_two(folder)
    first, second = (folder / f"{WEIGHTS}.part{number}" for number in (0, 1))
    first.rename(folder / "x")
    second.rename(first)
    (folder / "x").rename(second)


def without_the_first(folder: Path) -> None:
    in_two(folder)
    (folder / f"{WEIGHTS}.part0").unlink()


def of_another_size(folder: Path) -> None:
    text = (folder / SETTINGS).read_text()
    (folder / SETTINGS).write_text(text.replace("inner_mlp_size: 112", "inner_mlp_size: 128"))


class Foreign:
    """Something that reading must not run."""

    def __reduce__(self) -> object:
        return Path.touch, (Path("it_ran"),)


def stored(folder: Path, **changed: object) -> None:
    tensors = flatten(read_pickled(folder / WEIGHTS))
    kept = {key: each for key, each in tensors.items() if not key.endswith("_extra_state")}
    torch.save({**kept, **changed}, folder / "new")
    (folder / "new").replace(folder / WEIGHTS)


def with_a_foreign_object(folder: Path) -> None:
    stored(folder, **{"norm.scale": Foreign()})


CASES: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "a truncated part": (without_an_end, ["truncated", "one is cut short"]),
    "parts in the wrong order": (in_the_wrong_order, ["part1: its pieces are in the wrong order"]),
    "a part missing": (without_the_first, [f"{WEIGHTS}.part0 is missing"]),
    "a foreign object where a tensor is needed": (
        with_a_foreign_object, ["norm.scale is needed", "which is no tensor"],
    ),
    "a yaml of another size": (of_another_size, ["112 x 48, the network's is 128 x 48", "4 more"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_checkpoint_that_cannot_be_right_is_a_sentence_of_the_command(
    case: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, words = CASES[case]
    change(here)
    assert run([*SCORE, "-o", "out.tsv"]) == 2
    said = capsys.readouterr().err
    assert all(each in said for each in words), said
    assert "Traceback" not in said
    assert len(said) < 2_500  # of 24 tensors that do not fit, 20 are named
    assert not Path("out.tsv").exists()
    assert not Path("it_ran").exists()


def test_numbers_that_are_not_finite_are_never_written_as_scores(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scale = flatten(read_pickled(here / WEIGHTS))["norm.scale"].clone()
    scale[3] = float("nan")
    stored(here, **{"norm.scale": scale})
    tasks = {
        "out.tsv": SCORE,
        "out.npz": ["embed", *SCORE[1:]],
        "out.fa": [*GENERATE, "--prompt", "ACGT", "--bases", "4"],
    }
    for output, command in tasks.items():
        assert run([*command, "-o", output]) == 3
        assert "not finite" in capsys.readouterr().err
        assert not Path(output).exists()


def test_lower_case_prompts_are_kept_and_said_once_and_one_beyond_the_context_is_told(
    here: Path, recwarn: pytest.WarningsRecorder
) -> None:
    prompts = ["--prompt", "acgtACGT", "--prompt", "tttt"]
    assert run([*GENERATE, *prompts, "--bases", "3", "-o", "out.fa"]) == 0
    said = [str(each.message) for each in recwarn if "lower-case" in str(each.message)]
    assert len(said) == 1
    assert "other tokens than capitals; they are kept" in said[0]
    recwarn.clear()
    prompt = ["--prompt", "ACGT" * 2_048]
    assert run([*GENERATE, *prompt, "--bases", "2", "-o", "long.fa"]) == 0
    assert any("was made for 8,192" in str(each.message) for each in recwarn)


def test_a_40b_on_a_card_of_24_gb_says_on_how_many_it_would_fit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ["select", "--task", "generation", "--memory", "24GB"]
    assert run([*asked, "--why", "evo-2-40b"]) == 0
    said = capsys.readouterr().out
    assert "the device has 24 GB" in said
    assert "on 4 such GPUs" in said
    assert run([*asked, "--dtype", "bfloat16", "--why", "evo-2-40b"]) == 0
    assert "float32" not in capsys.readouterr().out  # which would need twice as much
