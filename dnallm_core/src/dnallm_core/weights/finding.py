"""Look for a model's files in the shared caches and the user's own, without any network."""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import IntegrityError
from ..manifest.model import ModelManifest, WeightFile
from . import pins
from .progress import Progress
from .storage import Receipt, Store, inside, revision_folder, sha256_of, write_receipt


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a manifest asks for, with what the user's record adds to it."""

    model: str
    hub: str
    revision: str  # as the manifest says, `main` where it says nothing
    files: tuple[WeightFile, ...]

    @classmethod
    def of(cls, manifest: ModelManifest) -> Wanted:
        """The files of a manifest whose weights are on a hub."""
        weights = manifest.weights
        for file in weights.files:
            inside(file.name, manifest.id)
        revision = weights.revision or "main"
        revision_folder(revision, manifest.id)
        return cls(manifest.id, weights.hub or "", revision, weights.files)

    @property
    def commit(self) -> str | None:
        """The commit that is held to: the manifest's, or the one recorded at the first download."""
        if is_commit(self.revision):
            return self.revision
        return pins.recorded_commit(self.hub, self.revision)

    def sha256(self, file: WeightFile, commit: str) -> str | None:
        """The hash that a file is held to: published, or recorded at its first download."""
        return file.sha256 or pins.recorded_hash(self.hub, commit, file.name)


@dataclass(frozen=True, slots=True)
class Found:
    """A complete, verified set of files."""

    folder: Path
    revision: str
    hashes: dict[str, str]


def is_commit(revision: str) -> bool:
    """Whether a revision names a commit (whole or shortened) rather than a branch or tag."""
    return 7 <= len(revision) <= 40 and all(each in "0123456789abcdef" for each in revision)


def present(wanted: Wanted, store: Store) -> str | None:
    """The revision that lies whole in ``store``, judged by names and sizes alone, or None."""
    for revision in _candidates(wanted, store):
        if all(_looks_whole(wanted, store, revision, file) for file in wanted.files):
            return revision
    return None


def find(wanted: Wanted, store: Store, progress: Progress) -> Found | None:
    """The verified files in ``store``, or None where one is absent or damaged.

    A file whose receipt still fits is not hashed again. A damaged one is told of, and removed from
    the user's own cache.
    """
    for revision in _candidates(wanted, store):
        hashes = {}
        for file in wanted.files:
            held = verified(wanted, store, revision, file, progress)
            if held is None:
                break
            hashes[file.name] = held
        else:
            return Found(folder_of(wanted, store, revision), revision, hashes)
    return None


def verified(
    wanted: Wanted, store: Store, revision: str, file: WeightFile, progress: Progress
) -> str | None:
    """The SHA-256 of one file that is held and right, or None."""
    path = store.file(wanted.model, revision, file.name)
    status = _regular(path)
    if status is None:
        return None
    expected = wanted.sha256(file, revision)
    receipt = _receipt(wanted, store, revision, file.name)
    if receipt is not None and receipt.bytes == status.st_size:
        untouched = store.shared or receipt.modified == status.st_mtime_ns
        if untouched and expected in (None, receipt.sha256):
            return receipt.sha256
    expected = expected or (receipt.sha256 if receipt is not None else None)
    if expected is None:
        return None  # nothing says what these bytes should be
    found = sha256_of(path)
    if found == expected:
        if not store.shared:
            with suppress(OSError):  # a cache that cannot be written: it is hashed again next time
                give_receipt(wanted, store, revision, file.name, found)
        return found
    _tell_of_damage(wanted, store, path, file.name, progress)
    return None


def give_receipt(wanted: Wanted, store: Store, revision: str, name: str, sha256: str) -> None:
    """Write down that a file was verified just now."""
    status = store.file(wanted.model, revision, name).stat()
    receipt = Receipt(
        sha256=sha256,
        bytes=status.st_size,
        modified=status.st_mtime_ns,
        hub=wanted.hub,
        revision=revision,
        verified=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )
    write_receipt(store.receipt(wanted.model, revision, name), receipt)


def folder_of(wanted: Wanted, store: Store, revision: str) -> Path:
    """The folder that holds all of a model's files: the one that their names share."""
    folder = store.folder(wanted.model, revision)
    parents = [PurePosixPath(file.name).parent.parts for file in wanted.files]
    for level in zip(*parents, strict=False):
        if len(set(level)) > 1:
            break
        folder = folder / level[0]
    return folder


def _candidates(wanted: Wanted, store: Store) -> list[str]:
    """The revision that is held to; where none is recorded, those that lie there."""
    commit = wanted.commit
    return [commit] if commit is not None else store.revisions(wanted.model)


def _looks_whole(wanted: Wanted, store: Store, revision: str, file: WeightFile) -> bool:
    status = _regular(store.file(wanted.model, revision, file.name))
    if status is None or file.bytes not in (None, status.st_size):
        return False
    receipt = _receipt(wanted, store, revision, file.name)
    return receipt is None or receipt.bytes == status.st_size


def _receipt(wanted: Wanted, store: Store, revision: str, name: str) -> Receipt | None:
    receipt = Receipt.read(store.receipt(wanted.model, revision, name))
    return receipt if receipt is not None and receipt.hub == wanted.hub else None


def _regular(path: Path) -> os.stat_result | None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _tell_of_damage(
    wanted: Wanted, store: Store, path: Path, name: str, progress: Progress
) -> None:
    if store.shared:
        progress.say(
            f"{name} of {wanted.model} in the shared cache {store.root} is damaged: its hash is "
            "not the one it should be. It is passed over; tell whoever keeps that cache."
        )
        return
    try:
        path.unlink()
    except OSError as error:
        raise IntegrityError(
            f"{path} is damaged (its hash is not the one it should be) and cannot be removed: "
            f"{error.strerror}.",
            file=name,
            model=wanted.model,
            hint="Remove it, or set DNALLM_CACHE to another folder.",
        ) from error
    progress.say(f"{name} of {wanted.model} was damaged in the cache; it was removed.")
