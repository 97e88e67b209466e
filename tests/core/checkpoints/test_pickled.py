"""The restricted reader: tensors come out, nothing that a file names ever runs."""

from __future__ import annotations

import argparse
import io
import os
import pickle
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from dnallm_core.checkpoints.parts import JoinedParts, in_order
from dnallm_core.checkpoints.pickled import Placeholder, flatten, read_pickled
from dnallm_core.errors import CheckpointError


class Runs:
    """An object whose unpickling calls a function of the attacker's choice."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> Any:
        return self.call


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def in_pieces(path: Path, *cuts: int) -> list[Path]:
    whole = path.read_bytes()
    edges = [0, *cuts, len(whole)]
    pieces = [path.with_name(f"{path.name}.part{i}") for i in range(len(edges) - 1)]
    for piece, start, stop in zip(pieces, edges, edges[1:], strict=False):
        piece.write_bytes(whole[start:stop])
    path.unlink()
    return pieces


def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "a": torch.randn(3, 5),
        "half": torch.randn(7).bfloat16(),
        "ids": torch.arange(4),
        "transposed": torch.randn(4, 6).T,
        "slice": torch.randn(10)[3:7],
        "number": torch.tensor(2.5),
        "none": torch.empty(0, 3),
        "flags": torch.tensor([True, False]),
    }


def assert_equal(found: dict[str, Any], expected: dict[str, torch.Tensor]) -> None:
    assert list(found) == list(expected)
    for key, tensor in expected.items():
        assert found[key].dtype == tensor.dtype
        assert torch.equal(found[key], tensor), key


def test_a_file_of_tensors_comes_out_as_it_was_saved(tmp_path: Path) -> None:
    assert_equal(read_pickled(saved(tmp_path / "w.pt", tensors())), tensors())


def test_a_file_with_foreign_objects_gives_its_tensors_and_inert_placeholders(
    tmp_path: Path,
) -> None:
    content = {
        "state_dict": OrderedDict(tensors()),
        "settings": argparse.Namespace(lr=1),
        "extra": io.BytesIO(b"abc"),
        "path": tmp_path,
        "nested": [{"parameter": torch.nn.Parameter(torch.ones(2))}, ("x", 1, None, 2.5, b"raw")],
    }
    tree = read_pickled(saved(tmp_path / "weights.ckpt", content))
    assert_equal(flatten(tree), tensors())
    assert tree["settings"].stands_for == "argparse.Namespace"
    assert tree["extra"].stands_for == "_io.BytesIO"
    assert repr(tree["extra"]) == "<inert _io.BytesIO>"
    assert isinstance(tree["path"], Placeholder)
    assert torch.equal(tree["nested"][0]["parameter"], torch.ones(2))
    assert tree["nested"][1] == ("x", 1, None, 2.5, b"raw")


def test_tensors_that_share_a_storage_still_share_it(tmp_path: Path) -> None:
    one = torch.randn(4, 4)
    tree = read_pickled(
        saved(tmp_path / "w.pt", {"a": one, "b": one, "row": one[2], "x": io.BytesIO()})
    )
    assert tree["a"].data_ptr() == tree["b"].data_ptr()
    tree["a"][2, 0] = 7.0
    assert tree["row"][0] == 7.0


def test_writing_to_a_tensor_never_reaches_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", {"a": torch.zeros(1000), "x": io.BytesIO()})
    before = path.read_bytes()
    read_pickled(path)["a"].fill_(1.0)
    assert path.read_bytes() == before


def test_nothing_is_copied_where_a_file_lies_in_one_piece(tmp_path: Path) -> None:
    whole = JoinedParts([saved(tmp_path / "w.pt", {"a": torch.ones(100_000), "x": io.BytesIO()})])
    mapped = torch.frombuffer(whole.buffer(0, whole.size), dtype=torch.uint8)
    offset = read_pickled(whole)["a"].data_ptr() - mapped.data_ptr()
    assert 0 < offset < whole.size


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (os.system, ("touch {flag}",)),
        (eval, ("open({flag!r}, 'w')",)),
        (exec, ("open({flag!r}, 'w')",)),
        (open, ("{flag}", "w")),
        (getattr, ("text", "upper")),
        (torch.load, ("{flag}",)),
        (torch.hub.load, ("{flag}", "x")),
        (pickle.loads, (b"cos\nsystem\n(S'touch {flag}'\ntR.",)),
        (__import__, ("antigravity",)),
    ],
)
def test_a_call_in_a_pickle_is_inert(tmp_path: Path, function: Any, args: Any) -> None:
    flag = tmp_path / "it_ran"
    filled = [a.format(flag=str(flag)) if isinstance(a, str) else a for a in args]
    path = saved(tmp_path / "w.pt", {"weight": torch.ones(2), "evil": Runs(function, *filled)})
    tree = read_pickled(path)
    assert isinstance(tree["evil"], Placeholder)
    assert torch.equal(tree["weight"], torch.ones(2))
    assert not flag.exists()


def archive(path: Path, pickled: bytes, **records: bytes) -> Path:
    """A file laid out as torch.save does, with a pickle of one's own."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickled)
        for name, content in records.items():
            file.writestr(f"archive/data/{name.lstrip('r')}", content)
    return path


def storage(record: str = "0", elements: int = 4) -> bytes:
    return (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x00"
        + record.encode()
        + b"X\x03\x00\x00\x00cpuK"
        + bytes([elements])
        + b"tQ"
    )


def tensor(size: int, offset: int = 0, stride: int = 1, **of: Any) -> bytes:
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage(**of)
        + b"K%c(K%ct(K%ct\x89}tR" % (offset, size, stride)
    )


def test_state_given_to_our_own_functions_is_dropped(tmp_path: Path) -> None:
    function = b"ctorch._utils\n_rebuild_tensor_v2\n"
    pickled = b"\x80\x02}X\x01\x00\x00\x00a" + function + b"}X\x01\x00\x00\x00xK\x01sbs."
    read_pickled(archive(tmp_path / "w.pt", pickled))
    again = read_pickled(archive(tmp_path / "v.pt", b"\x80\x02" + tensor(4) + b".", r0=bytes(16)))
    assert again.shape == (4,)


def test_a_tensor_that_reaches_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    for number, bad in enumerate([tensor(5), tensor(4, offset=1), tensor(2, stride=4)]):
        path = archive(tmp_path / f"{number}.pt", b"\x80\x02" + bad + b".", r0=bytes(16))
        with pytest.raises(CheckpointError, match="do not fit its tensor"):
            read_pickled(JoinedParts([path]))


def test_a_storage_whose_record_is_missing_or_of_another_length_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.pt", b"\x80\x02" + tensor(4) + b".")
    with pytest.raises(CheckpointError, match="lacks its record archive/data/0"):
        read_pickled(path)
    path = archive(tmp_path / "b.pt", b"\x80\x02" + tensor(4) + b".", r0=bytes(12))
    with pytest.raises(CheckpointError, match="12 bytes, which do not fit"):
        read_pickled(path)


def test_a_pickle_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "w.pt", b"\x80\x02]r\xff\xff\xff\x7f.")
    with pytest.raises(CheckpointError, match="larger than itself"):
        read_pickled(path)


def test_a_list_that_holds_itself_is_read(tmp_path: Path) -> None:
    loop: list[Any] = [io.BytesIO()]
    loop.append(loop)
    found = read_pickled(saved(tmp_path / "w.pt", loop))
    assert found[1] is found


def test_a_wrapper_without_tensors_is_named_as_such(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", {"epoch": 3, "model": {"lr": 0.1}})
    with pytest.raises(CheckpointError, match="holds no state dict"):
        flatten(read_pickled(path))


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "module"])
def test_a_state_dict_is_found_under_its_wrapper(wrapper: str) -> None:
    assert_equal(flatten({"epoch": 1, wrapper: {"module": tensors()}}), tensors())


def test_pieces_are_read_as_one_file_and_only_seams_are_copied(tmp_path: Path) -> None:
    content = {**tensors(), "big": torch.randn(5000), "x": io.BytesIO()}
    path = saved(tmp_path / "w.pt", content)
    size = path.stat().st_size
    pieces = in_pieces(path, size // 3 + 1, size // 2)
    tree = read_pickled(reversed(pieces))
    assert tree.pop("x").stands_for == "_io.BytesIO"
    content.pop("x")
    assert_equal(tree, content)


def test_ten_pieces_are_ordered_by_number_not_by_name(tmp_path: Path) -> None:
    pieces = [tmp_path / f"w.pt.part{i}" for i in range(12)]
    assert in_order(sorted(pieces)) == pieces


def test_a_missing_piece_is_named(tmp_path: Path) -> None:
    pieces = in_pieces(saved(tmp_path / "w.pt", tensors()), 500, 1000)
    with pytest.raises(CheckpointError, match=r"w\.pt\.part1 is missing"):
        read_pickled([pieces[0], pieces[2]])


def test_pieces_in_the_wrong_order_are_refused(tmp_path: Path) -> None:
    first, second = in_pieces(saved(tmp_path / "w.pt", tensors()), 700)
    for a, b in ((first, second), (second, first)):
        shuffled = JoinedParts([b, a])
        if a is first:
            with pytest.raises(CheckpointError, match="in the wrong order"):
                read_pickled(shuffled)
        else:
            assert_equal(read_pickled(shuffled), tensors())


@pytest.mark.parametrize("which", [0, 1])
def test_a_truncated_piece_is_refused(tmp_path: Path, which: int) -> None:
    pieces = in_pieces(saved(tmp_path / "w.pt", tensors()), 700)
    pieces[which].write_bytes(pieces[which].read_bytes()[:-64])
    with pytest.raises(CheckpointError, match=r"truncated|out of order|broken"):
        read_pickled(pieces)


@pytest.mark.parametrize("keep", [0, 3, 100, 1500])
def test_a_truncated_file_is_refused_in_a_sentence(tmp_path: Path, keep: int) -> None:
    path = saved(tmp_path / "w.pt", tensors())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"w\.pt"):
        read_pickled(path)


def test_a_file_from_before_zip_is_read_if_it_holds_tensors_alone(tmp_path: Path) -> None:
    path = tmp_path / "old.bin"
    torch.save(tensors(), path, _use_new_zipfile_serialization=False)
    assert_equal(read_pickled(path), tensors())


def test_a_file_from_before_zip_with_foreign_objects_is_refused(tmp_path: Path) -> None:
    path, flag = tmp_path / "old.bin", tmp_path / "it_ran"
    content = {"a": torch.ones(1), "x": Runs(os.system, f"touch {flag}")}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match="without running code"):
        read_pickled(path)
    assert not flag.exists()


def test_reading_warns_of_nothing(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", {**tensors(), "x": io.BytesIO()})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_pickled(path)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        read_pickled(tmp_path / "absent.pt")
