"""Tensors out of files that ``torch.save`` wrote, without running anything that a file names.

``torch.load(weights_only=True)`` comes first. It refuses files that hold more than tensors, as some
published ones do (a training framework's settings, an in-memory file): those are read by the
restricted unpickler (``restricted.py``), in which every other global becomes a ``Placeholder``.

Tensors are views of the memory-mapped file: nothing is read before it is used.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import CheckpointError
from .parts import JoinedParts, in_order, is_part
from .restricted import Placeholder, Storage, Stored, unpickled

_ZIP = b"PK\x03\x04"
_WRAPPERS = ("state_dict", "model_state_dict", "model", "module")
_LOCAL_HEADER = 30  # bytes, then the name and the extra field (APPNOTE.TXT 4.3.7)


__all__ = ["Placeholder", "flatten", "read_pickled"]


def read_pickled(source: Path | str | Iterable[Path] | JoinedParts) -> Any:
    """The tree of containers in a file that ``torch.save`` wrote; tensors are lazily mapped.

    ``source``: a path, or the pieces of one file (in any order if they are numbered
    ``.part0``, ``.part1`` ...; they are never joined by copying). Tensors lie on the CPU in the
    dtype in which they were stored. Objects that are neither tensors nor plain containers are
    ``Placeholder``.

    Raises CheckpointError in a sentence for anything that is no such file, truncated, or broken.
    """
    whole = _opened(source)
    if bytes(whole.buffer(0, min(4, whole.size))) != _ZIP:
        return _legacy(whole)
    if len(whole.paths) == 1:
        try:
            return torch.load(whole.paths[0], map_location="cpu", weights_only=True, mmap=True)
        except (pickle.UnpicklingError, RuntimeError, OSError, ValueError, EOFError):
            pass  # foreign objects, or damage: the reader below tells which
    return _Archive(whole).tree()


def flatten(tree: Any) -> dict[str, Any]:
    """The state dict in a tree: itself, or under ``state_dict``, ``model`` or ``module``.

    Values are tensors, or ``Placeholder`` and plain values where the file held those.
    Raises CheckpointError where no tensors are found.
    """
    found = tree
    for _ in range(4):
        if not isinstance(found, Mapping):
            break
        if any(isinstance(each, Tensor) for each in found.values()):
            return {str(key): value for key, value in found.items()}
        inner = [found[name] for name in _WRAPPERS if isinstance(found.get(name), Mapping)]
        if not inner:
            break
        found = inner[0]
    raise CheckpointError(
        "The file holds no state dict: no table of names and tensors, "
        f"neither itself nor under {', '.join(_WRAPPERS)}."
    )


def _opened(source: Path | str | Iterable[Path] | JoinedParts) -> JoinedParts:
    if isinstance(source, JoinedParts):
        return source
    if isinstance(source, (str, Path)):
        return JoinedParts([Path(source)])
    paths = [Path(each) for each in source]
    return JoinedParts(in_order(paths) if len(paths) > 1 or is_part(paths[0]) else paths)


def _legacy(whole: JoinedParts) -> Any:
    """A file from before torch 1.6, by ``weights_only`` alone."""
    if len(whole.paths) > 1:
        raise _unordered(whole)
    try:
        return torch.load(whole.paths[0], map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the bytes made of the parser
        raise CheckpointError(
            f"{whole.name} is not a file that torch.save wrote, is truncated, or holds objects "
            "that cannot be read without running code.",
        ) from error


def _unordered(whole: JoinedParts) -> CheckpointError:
    """What is wrong with pieces of which the first does not begin a file."""
    hint = "Pieces of one file must be complete and in their order: download them again."
    starts = [
        path
        for path, begin in zip(whole.paths, whole.begins, strict=True)
        if bytes(whole.buffer(begin, min(begin + 4, whole.size))) == _ZIP
    ]
    if starts:
        said = f"the file begins in {starts[0].name}: its pieces are in the wrong order."
    else:
        said = "it does not begin a file that torch.save wrote, nor does another piece."
    return CheckpointError(f"{whole.paths[0]}: {said}", hint=hint)


class _Archive:
    """A zip file of ``torch.save``: one pickle, and a record of plain bytes for each storage."""

    def __init__(self, whole: JoinedParts) -> None:
        self._whole = whole
        self._bytes: dict[str, Tensor] = {}
        try:
            with zipfile.ZipFile(whole) as archive:
                self._records = {each.filename: each for each in archive.infolist()}
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
            in_pieces = is_part(whole.paths[-1])
            raise CheckpointError(
                f"{whole.name} is truncated{' or its pieces are out of order' * in_pieces}: "
                "the list of its contents, which stands at the end, cannot be found.",
                hint=f"There may be a piece after {whole.paths[-1].name}, or one is cut short: "
                "compare their sizes with the published ones and download again."
                if in_pieces
                else "Compare the size with the published one and download again.",
            ) from error
        pickles = [name for name in self._records if name.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1:
            raise CheckpointError(f"{whole.name} is a zip file, but not one that torch.save wrote.")
        self._prefix = pickles[0][: -len("data.pkl")]
        order = self._records.get(f"{self._prefix}byteorder")
        if order is not None and bytes(self._record(order.filename)) != b"little":
            raise CheckpointError(f"{whole.name} was written on a big-endian machine.")

    def tree(self) -> Any:
        """Everything that the file holds."""
        data = bytes(self._record(f"{self._prefix}data.pkl"))
        try:
            return self._mapped(unpickled(data), {})
        except CheckpointError:
            raise
        except Exception as error:  # a pickle can make the unpickler raise anything
            raise CheckpointError(f"{self._whole.name} is broken: {error}.") from error

    def _record(self, name: str) -> memoryview:
        """A record's bytes, in place."""
        record = self._records.get(name)
        if record is None:
            raise CheckpointError(f"{self._whole.name} is broken: it lacks its record {name}.")
        if record.compress_type != zipfile.ZIP_STORED:
            raise CheckpointError(f"{self._whole.name} is compressed; torch.save does not do that.")
        start = record.header_offset
        header = bytes(self._whole.buffer(start, start + _LOCAL_HEADER))
        name_length = int.from_bytes(header[26:28], "little")
        extra_length = int.from_bytes(header[28:30], "little")
        begin = start + _LOCAL_HEADER + name_length + extra_length
        named = bytes(self._whole.buffer(start + _LOCAL_HEADER, begin - extra_length))
        if header[:4] != _ZIP or named != name.encode():
            raise CheckpointError(
                f"{self._whole.name} is broken: {name} is not where its list of contents says.",
                hint="A piece is truncated, or the pieces are out of order.",
            )
        return self._whole.buffer(begin, begin + record.file_size)

    def _storage(self, storage: Storage) -> Tensor:
        """The bytes of a storage; tensors that share it share them."""
        if storage.record not in self._bytes:
            view = self._record(f"{self._prefix}data/{storage.record}")
            flat = torch.empty(0, dtype=torch.uint8)
            if len(view):
                flat = torch.frombuffer(view, dtype=torch.uint8)
            if flat.data_ptr() % 16 and len(self._whole.paths) > 1:
                # A piece may begin anywhere; numbers must not lie across their natural boundaries.
                width = storage.dtype.itemsize if storage.dtype else 16
                flat = flat.clone() if flat.data_ptr() % width else flat
            self._bytes[storage.record] = flat
        return self._bytes[storage.record]

    def _tensor(self, stored: Stored) -> Tensor:
        flat = self._storage(stored.storage)
        width = stored.dtype.itemsize
        counted = stored.storage.dtype.itemsize if stored.storage.dtype else 1
        last = sum((n - 1) * step for n, step in zip(stored.size, stored.stride, strict=True))
        reach = stored.offset + last + 1 if all(stored.size) else 0
        if stored.storage.elements * counted != flat.numel() or reach * width > flat.numel():
            raise CheckpointError(
                f"{self._whole.name} is broken: record {stored.storage.record} has "
                f"{flat.numel():,} bytes, which do not fit its tensor."
            )
        return flat.view(stored.dtype).as_strided(stored.size, stored.stride, stored.offset)

    def _mapped(self, node: Any, seen: dict[int, Any]) -> Any:
        """The tree with mapped tensors in place of their descriptions."""
        if isinstance(node, Stored):
            return self._tensor(node)
        if id(node) in seen:
            return seen[id(node)]
        if isinstance(node, dict):
            table: dict[Any, Any] = {}
            seen[id(node)] = table
            for key, value in node.items():
                table[key] = self._mapped(value, seen)
            return table
        if isinstance(node, list):
            items: list[Any] = []
            seen[id(node)] = items
            items.extend(self._mapped(each, seen) for each in node)
            return items
        if isinstance(node, tuple):
            return tuple(self._mapped(each, seen) for each in node)
        return node
