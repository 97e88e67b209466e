"""A checkpoint as its authors published it: a folder with weights, configuration, tokenizer."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import CheckpointError

_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")


class CheckpointFolder:
    """Files of one checkpoint. Nothing is read before it is asked for."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise CheckpointError(f"There is no checkpoint at {self.path}: no such folder.")
        if not self.path.is_dir():
            raise CheckpointError(
                f"{self.path} is a file; a checkpoint is the folder that holds it.",
                hint=f"Give {self.path.parent} instead.",
            )

    def has(self, name: str) -> bool:
        """Whether the folder holds a file of that name."""
        return (self.path / name).is_file()

    def json(self, name: str) -> Any:
        """A JSON file's content; ``CheckpointError`` where it is missing or unreadable."""
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise CheckpointError(f"{self.path} holds no {name}.") from None
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{self.path / name} cannot be read as JSON: {error}.") from error

    @cached_property
    def config(self) -> dict[str, Any]:
        """``config.json``, or an empty dict where there is none."""
        if not self.has("config.json"):
            return {}
        content = self.json("config.json")
        if not isinstance(content, dict):
            raise CheckpointError(f"{self.path / 'config.json'} holds no table of settings.")
        return content

    @cached_property
    def weight_files(self) -> tuple[Path, ...]:
        """The files that hold the tensors.

        safetensors first, the index's shards where there is an index, numbered parts in order;
        a folder with both safetensors and pickled copies is read from the safetensors.
        """
        for index in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
            if self.has(index):
                names = sorted(set(self.json(index)["weight_map"].values()))
                for name in names:
                    if Path(name).name != name:
                        raise CheckpointError(f"{index} names a file outside the folder: {name!r}.")
                absent = [name for name in names if not self.has(name)]
                if absent:
                    raise CheckpointError(
                        f"{self.path} lacks {len(absent)} of {len(names)} shards: "
                        f"{', '.join(absent)}."
                    )
                return tuple(self.path / name for name in names)
        files = sorted(each for each in self.path.iterdir() if each.is_file())
        for suffix in _SUFFIXES:
            found = tuple(each for each in files if each.suffix == suffix)
            if found:
                return found
        parts = tuple(each for each in files if each.suffix.startswith(".part"))
        if parts:
            return parts
        raise CheckpointError(
            f"{self.path} holds no weights.",
            hint=f"Looked for {', '.join('*' + each for each in _SUFFIXES)} and *.part0.",
        )
