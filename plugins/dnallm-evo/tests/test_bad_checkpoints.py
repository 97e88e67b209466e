"""Checkpoints that cannot be right are refused in a sentence that says what is wrong."""

from __future__ import annotations

import os
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from dnallm_core.checkpoints.pickled import flatten, read_pickled
from dnallm_core.errors import CheckpointError

import dnallm_core

GOLDEN = Path(__file__).parent / "golden" / "evo-2" / "evo2_1b_like"
WEIGHTS = "evo2_1b_base.pt"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (WEIGHTS, "evo2-1b-8k.yml"):
        shutil.copy(GOLDEN / name, tmp_path / name)
    return tmp_path


def cut(folder: Path, *at: int) -> list[Path]:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).unlink()
    edges = [0, *at, len(whole)]
    parts = []
    for number, (start, stop) in enumerate(pairwise(edges)):
        parts.append(folder / f"{WEIGHTS}.part{number}")
        parts[-1].write_bytes(whole[start:stop])
    return parts


def load(folder: Path, **more: Any) -> Any:
    return dnallm_core.load("evo-2", weights=folder, device="cpu", dtype="float32", **more)


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "evo2-1b-8k.yml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@torch.no_grad()
def test_a_file_in_parts_gives_the_numbers_of_the_whole(folder: Path) -> None:
    ids = torch.tensor([[65, 67, 71, 84] * 20])
    whole = load(folder).module(ids).logits
    cut(folder, 200_001, 400_003)
    assert torch.equal(load(folder).module(ids).logits, whole)


def test_a_missing_part_is_named(folder: Path) -> None:
    cut(folder, 200_000, 400_000)[1].unlink()
    with pytest.raises(CheckpointError, match=r"part1 is missing"):
        load(folder)


def test_a_missing_last_part_is_refused(folder: Path) -> None:
    cut(folder, 200_000, 400_000)[2].unlink()
    with pytest.raises(CheckpointError, match="truncated") as refused:
        load(folder)
    assert "a piece after evo2_1b_base.pt.part1" in refused.value.hint


def test_a_missing_first_part_is_named_though_one_is_left(folder: Path) -> None:
    cut(folder, 300_000)[0].unlink()
    with pytest.raises(CheckpointError, match="part0 is missing"):
        load(folder)


@pytest.mark.parametrize("which", [0, 1])
def test_a_truncated_part_is_refused(folder: Path, which: int) -> None:
    part = cut(folder, 300_000)[which]
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"truncated|broken|out of order"):
        load(folder)


def test_parts_in_the_wrong_order_are_refused(folder: Path) -> None:
    first, second = cut(folder, 300_000)
    first.rename(folder / "x")
    second.rename(first)
    (folder / "x").rename(second)
    with pytest.raises(CheckpointError, match=r"begins in .*part1: its pieces are in the wrong"):
        load(folder)


class Runs:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def replace_weights(folder: Path, **objects: Any) -> None:
    tensors = flatten(read_pickled(folder / WEIGHTS))  # mapped: the file itself must stay
    tensors = {k: v for k, v in tensors.items() if not k.endswith("_extra_state")}
    torch.save({**tensors, **objects}, folder / "new")
    (folder / "new").replace(folder / WEIGHTS)


def test_foreign_objects_are_inert_and_harmless_where_nothing_needs_them(folder: Path) -> None:
    evil = Runs(f"touch {folder / 'it_ran'}")
    replace_weights(folder, **{"blocks.0.projections._extra_state": evil})
    load(folder)
    assert not (folder / "it_ran").exists()


def test_a_foreign_object_under_a_needed_key_is_refused(folder: Path) -> None:
    replace_weights(folder, **{"norm.scale": Runs(f"touch {folder / 'it_ran'}")})
    with pytest.raises(CheckpointError, match=r"norm\.scale"):
        load(folder)
    assert not (folder / "it_ran").exists()


def test_settings_of_another_size_are_refused_with_both_shapes(folder: Path) -> None:
    edit(folder, "inner_mlp_size: 112", "inner_mlp_size: 128")
    with pytest.raises(CheckpointError, match=r"112 x 48, the network's is 128 x 48"):
        load(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("hidden_size: 48", "hidden_width: 48", "says nothing of the network's size"),
        ("num_layers: 8", "", "lack num_layers"),
        ("num_layers: 8", "num_layers: 9", r"what blocks \[8\] are"),
        ("num_layers: 8", "num_layers: eight", "num_layers is 'eight'"),
        ("hcs_layer_idxs: [0,4,7]", "hcs_layer_idxs: [0,4,6]", "names block 6 and in hcs"),
        ("num_attention_heads: 3", "num_attention_heads: 5", "into 5 even heads"),
        ("proj_groups: 1", "proj_groups: 4", "proj_groups = 4 was never published"),
        ("num_layers: 8", "num_layers: [", "cannot be read as YAML"),
    ],
)
def test_unusable_settings_are_named(folder: Path, old: str, new: str, message: str) -> None:
    edit(folder, old, new)
    with pytest.raises(CheckpointError, match=message):
        load(folder)


def test_several_settings_files_are_refused(folder: Path) -> None:
    shutil.copy(folder / "evo2-1b-8k.yml", folder / "evo2-7b-1m.yml")
    with pytest.raises(CheckpointError, match=r"several settings: evo2-1b-8k\.yml, evo2-7b"):
        load(folder)


@torch.no_grad()
def test_settings_may_be_given_under_the_authors_names(folder: Path) -> None:
    import yaml

    settings = yaml.safe_load((folder / "evo2-1b-8k.yml").read_text())
    ids = torch.tensor([[65, 67, 71, 84]])
    expected = load(folder).module(ids).logits
    (folder / "evo2-1b-8k.yml").unlink()
    assert torch.equal(load(folder, config=settings).module(ids).logits, expected)
    (folder / "config.json").write_text('{"name": "evo2_1b_base"}')
    with pytest.raises(CheckpointError, match="a stub"):
        load(folder)
