"""What lies in a cache: listed, hashed again, removed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import WeightsUnavailableError
from .locks import locked
from .storage import Receipt, Store, model_folder, sha256_of


@dataclass(frozen=True, slots=True)
class Holding:
    """One revision of one model in one cache; ``partial_bytes`` of downloads that stopped."""

    model: str  # as the folder is called: the id, with `/` written as `--`
    revision: str
    store: Store
    files: dict[str, Receipt | None]
    bytes: int
    partial_bytes: int

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self.store.folder(self.model, self.revision)

    @property
    def hub(self) -> str | None:
        """The repository that it came from."""
        return next((each.hub for each in self.files.values() if each is not None), None)


def holdings(store: Store) -> Iterator[Holding]:
    """Everything in a cache, by model and revision."""
    weights, incoming = store.root / "weights", store.root / "incoming"
    pairs = {
        (revision.parent.name, revision.name)
        for area in (weights, incoming)
        for revision in _folders(area)
    }
    for model, revision in sorted(pairs):
        files: dict[str, Receipt | None] = {}
        held = 0
        for path in _files(weights / model / revision):
            name = path.relative_to(weights / model / revision).as_posix()
            if not name.startswith(".verified/"):
                files[name] = Receipt.read(
                    weights / model / revision / ".verified" / f"{name}.json"
                )
                held += path.stat().st_size
        partial = sum(
            path.stat().st_size
            for path in _files(incoming / model / revision)
            if path.suffix == ".partial"
        )
        yield Holding(model, revision, store, files, held, partial)


def damaged(holding: Holding) -> list[str]:
    """Files whose bytes are not those of their receipt, and files without one, by hashing all."""
    return [
        name
        for name, receipt in holding.files.items()
        if receipt is None or sha256_of(holding.folder / name) != receipt.sha256
    ]


def remove(store: Store, model: str) -> int:
    """Remove all of a model from the user's cache; the bytes that became free.

    Raises WeightsUnavailableError where another process is downloading it.
    """
    folder = model_folder(model)
    found = [each for each in holdings(store) if each.model == folder]
    freed = sum(each.bytes + each.partial_bytes for each in found)
    for lock in (store.root / "locks").glob(f"{folder}-*.lock"):
        try:
            with locked(lock, patient=False):
                pass
        except BlockingIOError as error:
            raise WeightsUnavailableError(
                f"{model} is being downloaded by another process: nothing was removed.",
                model=model,
                hint="Wait for it, or stop it.",
            ) from error
    for area in ("weights", "incoming"):
        home = store.root / area / folder
        if home.is_symlink():
            home.unlink()
        elif home.is_dir():
            shutil.rmtree(home)
    for verdict in (store.root / "checks").glob(f"{folder}-*.json"):
        verdict.unlink()
    return freed


def _folders(area: Path) -> Iterator[Path]:
    for model in _children(area):
        yield from (each for each in _children(model) if each.is_dir())


def _children(folder: Path) -> list[Path]:
    try:
        return [each for each in folder.iterdir() if not each.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _files(folder: Path) -> list[Path]:
    return sorted(each for each in folder.rglob("*") if each.is_file()) if folder.is_dir() else []
