"""The user's lock file: the commits and hashes that nobody published, as first seen here.

A manifest that pins a revision and hashes needs nothing of this. Where it does not, the first
download is recorded in ``weights.lock.json`` in the user's data folder (not in the cache, which
people empty), and every later one is held to it::

    {"schema": 1, "repositories": {"owner/name": {
        "revisions": {"main": "COMMIT"},
        "files": {"COMMIT/model.safetensors": "SHA-256"}}}}
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import IntegrityError
from .locks import locked
from .storage import write_json


def lock_file() -> Path:
    """Where the record lies."""
    import platformdirs

    return Path(platformdirs.user_data_dir("dnallm", appauthor=False)) / "weights.lock.json"


def recorded_commit(hub: str, revision: str) -> str | None:
    """The commit that ``revision`` (a branch or tag) was when it was first downloaded."""
    return _repository(_read(), hub)["revisions"].get(revision)


def recorded_hash(hub: str, commit: str, name: str) -> str | None:
    """The SHA-256 that a file without a published one had when it was first downloaded."""
    return _repository(_read(), hub)["files"].get(f"{commit}/{name}")


def record_commit(hub: str, revision: str, commit: str) -> str:
    """Record a commit unless there is one, and return the one that holds."""
    return _record(hub, lambda known: known["revisions"].setdefault(revision, commit))


def record_hash(hub: str, commit: str, name: str, sha256: str) -> str:
    """Record a hash unless there is one, and return the one that holds."""
    return _record(hub, lambda known: known["files"].setdefault(f"{commit}/{name}", sha256))


def forget(hub: str) -> bool:
    """Drop what is recorded of a repository; the next download is a first one again."""
    path = lock_file()
    if hub not in _read()["repositories"]:
        return False
    with locked(path.with_name(f"{path.name}.lock")):
        content = _read()
        content["repositories"].pop(hub, None)
        write_json(path, content)
    return True


def _record(hub: str, change: Callable[[dict[str, Any]], str]) -> str:
    path = lock_file()
    with locked(path.with_name(f"{path.name}.lock")):
        content = _read()
        repository = _repository(content, hub)
        before = json.dumps(repository)
        holds = change(repository)
        if json.dumps(repository) != before:
            content["repositories"][hub] = repository
            write_json(path, content)
    return holds


def _repository(content: dict[str, Any], hub: str) -> dict[str, Any]:
    known = content["repositories"].get(hub) or {}
    return {
        "revisions": dict(known.get("revisions") or {}),
        "files": dict(known.get("files") or {}),
    }


def _read() -> dict[str, Any]:
    path = lock_file()
    try:
        content = json.loads(path.read_bytes())
        if not isinstance(content["repositories"], dict):
            raise ValueError("`repositories` is no table")
    except (FileNotFoundError, NotADirectoryError):
        return {"schema": 1, "repositories": {}}
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"The record of downloads, {path}, cannot be read: {error}.",
            file=str(path),
            hint="Restore it from a backup, or delete it: the next downloads are then recorded anew.",
        ) from error
    return content
