"""One run of a task: its settings, its parts on disk, and the output that is whole or named partial.

While a run goes on, ``OUTPUT.partial/`` holds its settings and one file for each part that is done.
At the end the parts become ``OUTPUT`` in one rename, ``OUTPUT.run.json`` records how it was made,
and the folder goes. A run that was interrupted goes on from its parts when it is started again with
the same settings; with others it is refused. One that has no part
yet is nothing to keep.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from ..errors import OutputError
from .outputs import INDEXES
from .table import Table, read_part, write_part

COMMAND: ContextVar[Sequence[str] | None] = ContextVar("COMMAND", default=None)
"""The command line that runs, where there is one; it goes into the record."""

REPEATED: ContextVar[Mapping[str, Any] | None] = ContextVar("REPEATED", default=None)
"""The settings of the run that is being repeated, where one is."""


class Run:
    """The state of one run on disk. Use as a context manager: it holds the output's lock."""

    def __init__(
        self, output: Path, settings: Mapping[str, Any], *, overwrite: bool = False
    ) -> None:
        self.output = output
        self.settings = json.loads(json.dumps(settings))
        self.folder = output.with_name(output.name + ".partial")
        self.record_path = output.with_name(output.name + ".run.json")
        self.overwrite = overwrite
        self.resumed_parts = 0

    def __enter__(self) -> Run:
        from filelock import FileLock, Timeout

        refuse_unwritable(self.output, overwrite=self.overwrite)
        self.folder.mkdir(exist_ok=True)
        self._lock = FileLock(self.folder / "lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise OutputError(f"Another run is writing {self.output} just now.") from None
        self._begin()
        return self

    def __exit__(self, *exception: object) -> None:
        self._lock.release()
        if exception[0] is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _begin(self) -> None:
        started = self.folder / "settings.json"
        if started.exists():
            before = json.loads(started.read_text())
            if before == self.settings:
                self.resumed_parts = len(list(self.folder.glob("part-*.npz")))
                return
            if not self.overwrite and any(self.folder.glob("part-*.npz")):
                changed = sorted(
                    key
                    for key in {*before, *self.settings}
                    if before.get(key) != self.settings.get(key)
                )
                self._lock.release()
                raise OutputError(
                    f"{self.folder} holds an unfinished run with other settings "
                    f"({', '.join(changed)}).",
                    hint="Finish it with its own settings, or pass --overwrite to start anew.",
                )
            for part in self.folder.glob("part-*"):
                part.unlink()
        temporary = self.folder / "settings.writing"
        temporary.write_text(json.dumps(self.settings, indent=1, sort_keys=True))
        temporary.replace(started)

    def parts_done(self) -> int:
        """How many parts lie on disk, counted without a gap from the first."""
        number = 0
        while self._part(number).exists():
            number += 1
        return number

    def has(self, number: int) -> bool:
        """Whether a part lies on disk."""
        return self._part(number).exists()

    def save(self, number: int, table: Table) -> None:
        """Put one part on disk, whole."""
        write_part(self._part(number), table)

    def parts(self) -> Iterator[Table]:
        """Every part in order."""
        for number in range(self.parts_done()):
            yield read_part(self._part(number))

    def _part(self, number: int) -> Path:
        return self.folder / part_name(number)

    def finish(self, scratch: Path, record: Mapping[str, Any]) -> None:
        """Record the run and give the finished ``scratch`` file or folder the output's name.

        The output comes last: where it is, its index and its record are too.
        """
        if self.output.is_dir():
            shutil.rmtree(self.output)
        self.output.unlink(missing_ok=True)
        indexes = [Path(f"{scratch}{ending}") for ending in INDEXES]
        if any(each.exists() for each in indexes):  # one of an earlier output would lie
            for ending in INDEXES:
                Path(f"{self.output}{ending}").unlink(missing_ok=True)
        for index, ending in zip(indexes, INDEXES, strict=True):
            if index.exists():
                index.replace(f"{self.output}{ending}")
        content = {**record, "settings": self.settings}
        temporary = self.record_path.with_name(self.record_path.name + ".writing")
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True, default=str) + "\n")
        temporary.replace(self.record_path)
        scratch.replace(self.output)


def part_name(number: int) -> str:
    """The name of a part's file."""
    return f"part-{number:06d}.npz"


def refuse_unwritable(output: Path, *, overwrite: bool) -> None:
    """Raise OutputError where there is no folder to write into, or something that would be replaced."""
    if not output.parent.is_dir():
        raise OutputError(f"There is no folder {output.parent} to write into.")
    if output.exists() and not overwrite:
        raise OutputError(
            f"{output} exists already.", hint="Name another output, or pass --overwrite."
        )


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def folder_digest(folder: Path) -> str:
    """SHA-256 over the files of a checkpoint: names, sizes, and content.

    Of a file beyond 256 MiB, 1,024 stretches of 64 KiB spread evenly over it stand for the rest.
    """
    return _digest_of([each for each in folder.iterdir() if each.is_file()], folder)


def content_digest(path: Path) -> str:
    """SHA-256 over a file, or over the files of a folder tree (Zarr), as ``folder_digest`` takes it.

    Of more than 4 GiB in a tree, 1,024 files spread evenly over it stand for the content of the rest.
    """
    if path.is_file():
        return _digest_of([path], path.parent)
    files = sorted(each for each in path.rglob("*") if each.is_file())
    large = sum(each.stat().st_size for each in files) > 4 << 30
    return _digest_of(files, path, every=max(1, len(files) // 1024) if large else 1)


def _digest_of(files: Sequence[Path], folder: Path, *, every: int = 1) -> str:
    digest = hashlib.sha256()
    for number, path in enumerate(sorted(files)):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()} {size}\n".encode())
        if number % every:
            continue
        with path.open("rb") as file:
            if size <= 256 << 20:
                while block := file.read(1 << 20):
                    digest.update(block)
            else:
                for part in range(1024):
                    file.seek(part * (size - (64 << 10)) // 1023)
                    digest.update(file.read(64 << 10))
    return digest.hexdigest()


def without(
    command: Sequence[str], *, valued: Sequence[str] = (), bare: Sequence[str] = ()
) -> list[str]:
    """A command line without some flags, and without the values of those that take one."""
    kept: list[str] = []
    words = iter(command)
    for word in words:
        if word in valued:
            next(words, None)
        elif word not in bare and not word.startswith(tuple(f"{flag}=" for flag in valued)):
            kept.append(word)
    return kept


def refuse_what_changed(settings: Mapping[str, Any]) -> None:
    """Raise OutputError where the run that is being repeated had other settings than these."""
    recorded = REPEATED.get()
    if recorded is None:
        return
    now = json.loads(json.dumps(settings))
    for key in sorted({*recorded, *now}):
        if recorded.get(key) == now.get(key):
            continue
        if key.endswith("_sha256"):
            name = key.removesuffix("_sha256")
            what = f"{now.get(name) or name} is not what it was: its content has changed"
        elif key in ("weights", "weights_digest", "revision", "files"):
            what = f"the weights of {now.get('model')} are not those of that run ({key})"
        else:
            what = f"{key} was {recorded.get(key)!r} and is {now.get(key)!r}"
        raise OutputError(
            f"The run cannot be repeated: {what}.", hint="Run it as a new one, with another output."
        )


def provenance(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Versions that a result depends on, and what the caller adds."""
    import platform
    from importlib import metadata

    versions: dict[str, str | None] = {}
    for name in ("dnallm-core", "torch", "transformers", "numpy"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    command = COMMAND.get()
    repeat = {"command": list(command), "folder": str(Path.cwd())} if command else {}
    return {"python": platform.python_version(), "versions": versions, **repeat, **extra}
