"""The folder of a training run: one run's, held by one process, gone on with where it was cut."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ..errors import OutputError
from ..weights.locks import locked

LOCK = "run.lock"


@contextmanager
def run_folder(
    folder: Path, settings: Mapping[str, Any], *, overwrite: bool = False
) -> Iterator[bool]:
    """Hold a folder for a run; True where an interrupted run of the same settings goes on.

    Leaving the block without an error marks the run as finished and removes what only an interrupted
    one needs. A run that ended before its first checkpoint, as by a flag that the model refuses, is
    no run: its folder is taken. Raises OutputError for a folder that another process trains into,
    that holds another run, or anything else.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; a run needs a folder.")
    record = folder / "run.json"
    if not record.exists() and folder.is_dir() and _content(folder) and not overwrite:
        raise OutputError(
            f"{folder} is not empty, and holds no run.",
            hint="Name another folder, or pass --overwrite.",
        )
    with ExitStack() as held:
        try:
            held.enter_context(locked(folder / LOCK, patient=False))
        except BlockingIOError:
            raise OutputError(
                f"Another run is training into {folder} just now.",
                hint="Wait until it ends, or name another folder.",
            ) from None
        yield _begun(folder, json.loads(json.dumps(settings, default=str)), overwrite)
        content = json.loads(record.read_text())
        record.write_text(json.dumps({**content, "finished": True}, indent=1) + "\n")
        shutil.rmtree(folder / "work", ignore_errors=True)
        (folder / LOCK).unlink(missing_ok=True)


def _begun(folder: Path, wanted: dict[str, Any], overwrite: bool) -> bool:
    record = folder / "run.json"
    if record.exists() and not overwrite and not _never_began(folder):
        before = json.loads(record.read_text())
        if before.get("finished"):
            raise OutputError(
                f"{folder} holds another run, which is finished.",
                hint="Name another folder, or pass --overwrite.",
            )
        old = before.get("settings", {})
        changed = sorted(key for key in {*old, *wanted} if old.get(key) != wanted.get(key))
        if changed:
            raise OutputError(
                f"{folder} holds another run, unfinished, with other settings "
                f"({', '.join(changed)}).",
                hint="Finish it with its own settings, name another folder, or pass --overwrite.",
            )
        return True
    shutil.rmtree(folder / "work", ignore_errors=True)
    record.write_text(json.dumps({"finished": False, "settings": wanted}, indent=1) + "\n")
    return False


def _never_began(folder: Path) -> bool:
    """Whether a run has left its settings and copies of what it began with, and no more."""
    began = any((folder / "work").rglob("checkpoint-*"))
    began = began or any((folder / "work").rglob("finished.json"))
    return (
        not began
        and _content(folder) <= {"run.json", "work"}
        and (not json.loads((folder / "run.json").read_text()).get("finished"))
    )


def _content(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()} - {LOCK}
