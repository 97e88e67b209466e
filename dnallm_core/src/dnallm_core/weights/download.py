"""Fetch what is missing of a model into the user's cache, one process at a time a file."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ..errors import DnallmError, IntegrityError
from ..manifest.model import WeightFile
from . import hub, pins, refusals
from .finding import Found, Wanted, folder_of, give_receipt, is_commit, verified
from .locks import locked
from .progress import Progress
from .storage import Store
from .transfer import Patience, WrongLengthError, brief, delay_asked_for, discard, fetch

_Answer = TypeVar("_Answer")


def download(wanted: Wanted, store: Store, offline: bool | None, progress: Progress) -> Found:
    """Complete a model's files in ``store``.

    Every file is asked about before the first byte of any is fetched: what is refused, missing or
    too large for the disk is said at once.
    """
    patience = Patience.from_environment()
    commit = wanted.commit
    asked = _asked(wanted, store, commit, wanted.files[0].name, patience)
    if hub.is_offline() if offline is None else offline:
        raise refusals.offline(asked, _absent(wanted, store, commit, progress))
    try:
        if commit is None:
            commit = _first_commit(wanted, patience, progress)
        absent = _absent(wanted, store, commit, progress)
        published = {}
        for file in wanted.files:
            if file.name in absent:
                asked = _asked(wanted, store, commit, file.name, patience)
                published[file.name] = _described(wanted, commit, file, patience, progress)
        _check_space(wanted, store, commit, published, asked)
        hashes = {}
        for file in wanted.files:
            asked = _asked(wanted, store, commit, file.name, patience)
            hashes[file.name] = _one(
                wanted, store, commit, file, published.get(file.name), patience, progress
            )
    except DnallmError:
        raise
    except Exception as error:
        raise refusals.explained(error, asked) from error
    return Found(folder_of(wanted, store, commit), commit, hashes)


def _asked(
    wanted: Wanted, store: Store, commit: str | None, name: str, patience: Patience
) -> refusals.Asked:
    return refusals.Asked(
        wanted.model, wanted.hub, commit or wanted.revision, name, store.root, patience.stall
    )


def _absent(wanted: Wanted, store: Store, commit: str | None, progress: Progress) -> list[str]:
    if commit is None:
        return [file.name for file in wanted.files]
    return [
        file.name
        for file in wanted.files
        if verified(wanted, store, commit, file, progress) is None
    ]


def _first_commit(wanted: Wanted, patience: Patience, progress: Progress) -> str:
    """The commit that an unpinned revision is today, recorded for all later downloads."""
    first = wanted.files[0].name
    answer = _patiently(
        lambda: hub.describe(wanted.hub, wanted.revision, first, timeout=patience.stall),
        first,
        patience,
        progress,
    )
    try:
        commit = pins.record_commit(wanted.hub, wanted.revision, answer.commit)
    except OSError as error:
        _say_unrecorded(error, progress)
        return answer.commit
    progress.say(
        f"{wanted.model}: no revision of {wanted.hub} is pinned; {wanted.revision} is {commit} "
        f"today, which is recorded in {pins.lock_file()} and held to from now on."
    )
    return commit


def _described(
    wanted: Wanted, commit: str, file: WeightFile, patience: Patience, progress: Progress
) -> hub.Published:
    """What the hub says of a file, if it agrees with what is known of it."""
    answer = _patiently(
        lambda: hub.describe(wanted.hub, commit, file.name, timeout=patience.stall),
        file.name,
        patience,
        progress,
    )
    what = f"{file.name} of {wanted.model}"
    if is_commit(commit) and not answer.commit.startswith(commit):
        raise IntegrityError(
            f"The hub answers with revision {answer.commit} where {commit} of {wanted.hub} was "
            "asked for.",
            file=file.name,
            model=wanted.model,
            hint="Look at HF_ENDPOINT: a mirror that does this cannot be trusted.",
        )
    if file.bytes is not None and answer.bytes != file.bytes:
        raise IntegrityError(
            f"{what} has {answer.bytes:,} bytes on the hub, and {file.bytes:,} were promised: it "
            "is another file. Nothing was fetched.",
            file=file.name,
            model=wanted.model,
            hint="Look for a newer version of the plugin, and report it to its authors.",
        )
    expected = wanted.sha256(file, commit)
    if expected is not None and answer.sha256 not in (None, expected):
        raise IntegrityError(
            f"{what} has changed on the hub under the same revision {commit!r}: its SHA-256 is "
            f"{answer.sha256} there, expected {expected}. Nothing was fetched.",
            file=file.name,
            model=wanted.model,
            hint="Look for a newer version of the plugin, and report it to its authors."
            if file.sha256
            else "That is what the first download here had; to accept the new file: "
            f"`dnallm cache remove {wanted.model} --forget`.",
        )
    return answer


def _check_space(
    wanted: Wanted,
    store: Store,
    commit: str,
    published: dict[str, hub.Published],
    asked: refusals.Asked,
) -> None:
    needed = 0
    for name, answer in published.items():
        partial = store.partial(wanted.model, commit, name)
        have = partial.stat().st_size if partial.is_file() else 0
        needed += max(answer.bytes - have, 0)
    store.root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(store.root).free
    if needed > free:
        raise refusals.no_space(asked, needed, free)


def _one(
    wanted: Wanted,
    store: Store,
    commit: str,
    file: WeightFile,
    published: hub.Published | None,
    patience: Patience,
    progress: Progress,
) -> str:
    """Fetch one file unless it is here, or comes to be while another process holds its lock."""

    def wait() -> None:
        progress.say(f"{file.name}: another process is fetching it; waiting for that.")

    if published is None:
        held = verified(wanted, store, commit, file, progress)
        if held is not None:
            return held
        published = _described(wanted, commit, file, patience, progress)
    with locked(store.lock(wanted.model, commit, file.name), on_wait=wait):
        held = verified(wanted, store, commit, file, progress)
        if held is not None:
            return held
        partial = store.partial(wanted.model, commit, file.name)
        expected = wanted.sha256(file, commit)
        try:
            found = fetch(
                published,
                partial,
                sha256=expected or published.sha256,
                progress=progress,
                patience=patience,
            )
        except WrongLengthError:
            discard(partial)
            raise
        if expected is None:
            _record(wanted, commit, file.name, found, progress)
        target = store.file(wanted.model, commit, file.name)
        _land(partial, target)
        give_receipt(wanted, store, commit, file.name, found)
    return found


def _land(partial: Path, target: Path) -> None:
    """From ``incoming`` to ``weights`` in one step: the file is whole there, or absent."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(target)
    discard(partial)


def _record(wanted: Wanted, commit: str, name: str, sha256: str, progress: Progress) -> None:
    try:
        holds = pins.record_hash(wanted.hub, commit, name, sha256)
    except OSError as error:
        _say_unrecorded(error, progress)
        return
    if holds != sha256:
        raise IntegrityError(
            f"{name} of {wanted.model} has the SHA-256 {sha256}, and another download recorded "
            f"{holds}.",
            file=name,
            model=wanted.model,
            hint=f"`dnallm cache remove {wanted.model} --forget` drops what was recorded.",
        )
    progress.say(
        f"{name}: nobody has published a hash of it; SHA-256 {sha256} is recorded in "
        f"{pins.lock_file()} and held to from now on."
    )


def _say_unrecorded(error: OSError, progress: Progress) -> None:
    progress.say(
        f"What was downloaded cannot be recorded in {pins.lock_file()} "
        f"({error.strerror or error}): later downloads are not held to it."
    )


def _patiently(
    ask: Callable[[], _Answer], name: str, patience: Patience, progress: Progress
) -> _Answer:
    """``ask``, again after a stall, a server's trouble or a quota; refusals and no network at once."""
    http: Any = hub.http_library()
    wait = patience.first_wait
    for attempt in range(1, patience.attempts + 1):
        try:
            return ask()
        except (http.TimeoutException, http.ReadError, http.RemoteProtocolError) as error:
            failure: Exception = error
        except OSError as error:
            delay = delay_asked_for(error)
            if delay is None or delay > patience.longest_wait:
                raise
            wait, failure = max(wait, delay), error
        if attempt == patience.attempts:
            raise failure
        progress.say(f"{name}: {brief(failure)}; trying again in {wait:.3g} s.")
        time.sleep(wait)
        wait = min(wait * 2, patience.longest_wait)
    raise AssertionError("unreachable")
