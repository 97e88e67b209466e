"""Tensors of a checkpoint by name, read when asked for: safetensors, and pickled files safely."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import CheckpointError
from .folder import CheckpointFolder

if TYPE_CHECKING:
    from torch import Tensor

_LARGEST_HEADER = 100_000_000  # bytes; the format's own limit


class TensorSource(Protocol):
    """What every kind of checkpoint file offers."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Names and shapes of all tensors; an impossible shape for what is none."""
        ...

    def tensor(self, key: str) -> Tensor:
        """The tensor as stored, memory-mapped where the format allows."""
        ...


def open_tensors(folder: CheckpointFolder) -> TensorSource:
    """The tensors of a checkpoint folder, whatever its layout; ``CheckpointError`` if unreadable."""
    files = folder.weight_files
    if files[0].suffix == ".safetensors":
        return _Safetensors(files)
    return _Pickled(files)


def read_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file: name -> dtype, shape, offsets. Reads no tensor."""
    try:
        with path.open("rb") as file:
            size_field = file.read(8)
            (length,) = struct.unpack("<Q", size_field)
            if length > _LARGEST_HEADER:
                raise ValueError("the header's length is impossible")
            header = json.loads(file.read(length))
        if not isinstance(header, dict):
            raise TypeError("the header is no table")
    except (OSError, ValueError, TypeError, struct.error) as error:
        raise CheckpointError(
            f"{path} is no readable safetensors file: {error}.",
            hint="It may be truncated, or a pointer file of a repository cloned without its data.",
        ) from error
    header.pop("__metadata__", None)
    ends = [entry["data_offsets"][1] for entry in header.values()]
    expected = 8 + length + max(ends, default=0)
    actual = path.stat().st_size
    if actual != expected:
        raise CheckpointError(
            f"{path} has {actual:,} bytes; its header speaks of {expected:,}.",
            hint="The file is truncated or damaged; fetch it again.",
        )
    return header


class _Safetensors:
    def __init__(self, files: tuple[Path, ...]) -> None:
        self._file_of: dict[str, Path] = {}
        self._opened: dict[Path, Any] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        for path in files:
            for key, entry in read_header(path).items():
                if key in self._file_of:
                    raise CheckpointError(
                        f"{key} stands in {self._file_of[key].name} and again in {path.name}."
                    )
                self._file_of[key] = path
                self.shapes[key] = tuple(entry["shape"])

    def tensor(self, key: str) -> Tensor:
        path = self._file_of[key]
        if path not in self._opened:
            from safetensors import safe_open

            self._opened[path] = safe_open(str(path), framework="pt", device="cpu")
        return self._opened[path].get_tensor(key)


class _Pickled:
    def __init__(self, files: tuple[Path, ...]) -> None:
        from .pickled import flatten, read_pickled

        self._tensors: dict[str, Any] = {}
        if files[0].suffix.startswith(".part"):
            self._tensors.update(flatten(read_pickled(files)))
        else:
            for path in files:
                self._tensors.update(flatten(read_pickled(path)))
        import torch

        self.shapes = {
            key: tuple(value.shape)
            for key, value in self._tensors.items()
            if isinstance(value, torch.Tensor)
        }
        # What is no tensor keeps its place with an impossible shape: it may be ignored by the
        # family's rules, and is refused where the network needs it.
        self.shapes.update({key: (-1,) for key in self._tensors if key not in self.shapes})

    def tensor(self, key: str) -> Tensor:
        value = self._tensors[key]
        if self.shapes[key] == (-1,):
            raise CheckpointError(
                f"{key} is needed, and the checkpoint holds {value!r} there, which is no tensor.",
                hint="Objects of foreign classes are never built; convert the file to safetensors.",
            )
        return value
