"""Where weights lie: the user's cache and shared ones, their layout, and receipts of what was verified.

::

    ROOT/weights/MODEL/REVISION/FILE                    whole, verified files only
    ROOT/weights/MODEL/REVISION/.verified/FILE.json     the receipt: hash, size, where it came from
    ROOT/incoming/MODEL/REVISION/FILE.partial           what a download has so far, resumable
    ROOT/incoming/MODEL/REVISION/FILE.partial.json      of which published file that is the beginning
    ROOT/locks/                                         one lock a file between processes

``ROOT`` is ``DNALLM_CACHE`` (by default the user's cache folder); ``DNALLM_SHARED_CACHE`` lists
folders of the same layout that are read first and never written to. A file moves from ``incoming``
to ``weights`` in one step once its hash is right, so that what lies there is whole or absent.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from ..errors import WeightsUnavailableError

_CHUNK = 1 << 20


def cache_root() -> Path:
    """The folder that everything downloaded goes to: ``DNALLM_CACHE``, or the user's cache."""
    root = os.environ.get("DNALLM_CACHE")
    if root:
        return Path(root).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("dnallm", appauthor=False))


def stores() -> tuple[Store, ...]:
    """The shared caches of ``DNALLM_SHARED_CACHE`` in their order, then the user's own."""
    shared = os.environ.get("DNALLM_SHARED_CACHE", "").split(os.pathsep)
    return (
        *(Store(Path(each).expanduser().absolute(), shared=True) for each in shared if each),
        Store(cache_root()),
    )


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was true of a file when it was verified."""

    sha256: str
    bytes: int
    modified: int  # nanoseconds: a file that was touched since is hashed again
    hub: str
    revision: str
    verified: str  # date and time, UTC

    @classmethod
    def read(cls, path: Path) -> Receipt | None:
        """The receipt at ``path``, or None where there is none that can be read."""
        try:
            return cls(**json.loads(path.read_bytes()))
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class Store:
    """One cache folder."""

    root: Path
    shared: bool = False

    def folder(self, model: str, revision: str) -> Path:
        """Where the files of a model's revision lie."""
        return self.root / "weights" / model_folder(model) / revision_folder(revision, model)

    def file(self, model: str, revision: str, name: str) -> Path:
        """Where one file lies. Refuses names and links that lead out of the cache."""
        return self._inside(self.folder(model, revision) / inside(name, model), model, name)

    def receipt(self, model: str, revision: str, name: str) -> Path:
        """Where the receipt of one file lies."""
        folder = self.folder(model, revision) / ".verified"
        return self._inside(folder / f"{inside(name, model)}.json", model, name)

    def partial(self, model: str, revision: str, name: str) -> Path:
        """Where the beginning of one file is collected."""
        folder = self.root / "incoming" / model_folder(model) / revision_folder(revision, model)
        return self._inside(folder / f"{inside(name, model)}.partial", model, name)

    def lock(self, model: str, revision: str, name: str) -> Path:
        """The lock that a process holds while it downloads one file."""
        key = hashlib.sha256(f"{revision}/{name}".encode()).hexdigest()[:16]
        return self.root / "locks" / f"{model_folder(model)}-{key}.lock"

    def revisions(self, model: str) -> list[str]:
        """Revisions of a model of which something lies here, the newest first."""
        home = self.root / "weights" / model_folder(model)
        try:
            found = [each for each in home.iterdir() if each.is_dir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        found.sort(key=lambda each: each.stat().st_mtime_ns, reverse=True)
        return [each.name for each in found]

    def _inside(self, path: Path, model: str, name: str) -> Path:
        """``path``, unless a link on the way leads out of this cache."""
        target = Path(os.path.realpath(path))
        if not target.is_relative_to(os.path.realpath(self.root)):
            raise WeightsUnavailableError(
                f"{path} is a link that leads out of the cache, to {target}: it is not followed.",
                model=model,
                file=name,
                hint="Remove the link, or load that folder with weights=FOLDER.",
            )
        return path


def inside(name: str, model: str) -> PurePosixPath:
    """A file's name as a path below a folder; refuses every name that could lead elsewhere."""
    parts = name.split("/")
    if (
        not name
        or any(part in ("", ".", "..") for part in parts)
        or parts[0] == ".verified"
        or re.search(r'[\\:*?"<>|\x00-\x1f]', name)
    ):
        raise WeightsUnavailableError(
            f"The manifest of {model} names the file {name!r}, which is no plain path below its "
            "repository: it is refused.",
            model=model,
            file=name,
            hint="Report it to the plugin's authors.",
        )
    return PurePosixPath(*parts)


def model_folder(model: str) -> str:
    """The name of a model's folder: its id, with ``/`` written as ``--``."""
    name = model.replace("/", "--")
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise WeightsUnavailableError(
            f"{model!r} cannot be the name of a folder: its weights are not stored.", model=model
        )
    return name


def revision_folder(revision: str, model: str) -> str:
    """The name of a revision's folder: the revision, percent-encoded; none that leads elsewhere."""
    name = quote(revision, safe="")
    if not name or name.startswith("."):
        raise WeightsUnavailableError(
            f"The manifest of {model} names the revision {revision!r}, which is refused.",
            model=model,
            hint="Report it to the plugin's authors.",
        )
    return name


def sha256_of(path: Path, advance: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file, hexadecimal; ``advance`` is told of every piece read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
            if advance is not None:
                advance(len(piece))
    return digest.hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Write a small file in one step: readers see the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # not tempfile, whose files nobody else may read: a shared cache has many readers
    beside = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        with beside.open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=1, sort_keys=True)
            file.write("\n")
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def write_receipt(path: Path, receipt: Receipt) -> None:
    """Write a receipt in one step."""
    write_json(path, asdict(receipt))
