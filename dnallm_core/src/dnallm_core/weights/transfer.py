"""Move one published file into a ``.partial`` file, continuing where an earlier process stopped.

The partial's name is fixed, and a note beside it says of which published file it is the beginning
(size and ETag), so that a process that was killed at any moment costs nothing but the bytes in
flight. A range is only asked for with ``If-Range`` where the server gave a strong ETag, and what
comes back is checked for the range that was asked.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from huggingface_hub.utils import (  # type: ignore[attr-defined]
    get_session,
    hf_raise_for_status,
)

from . import hub
from .progress import Progress
from .storage import write_json


@dataclass(frozen=True)
class Patience:
    """How long to wait for a hub: seconds without a byte, attempts without progress."""

    stall: float = 30.0
    attempts: int = 5
    first_wait: float = 1.0
    longest_wait: float = 300.0

    @classmethod
    def from_environment(cls) -> Patience:
        """``DNALLM_DOWNLOAD_TIMEOUT`` (or ``HF_HUB_DOWNLOAD_TIMEOUT``) and ``DNALLM_DOWNLOAD_WAIT``
        in seconds, ``DNALLM_DOWNLOAD_ATTEMPTS`` a number.
        """
        return cls(
            stall=_number("DNALLM_DOWNLOAD_TIMEOUT", _number("HF_HUB_DOWNLOAD_TIMEOUT", cls.stall)),
            attempts=max(int(_number("DNALLM_DOWNLOAD_ATTEMPTS", cls.attempts)), 1),
            first_wait=_number("DNALLM_DOWNLOAD_WAIT", cls.first_wait),
        )


def _number(variable: str, otherwise: float) -> float:
    try:
        return float(os.environ[variable])
    except (KeyError, ValueError):
        return otherwise


class WrongLengthError(Exception):
    """The server's file is of another length than the hub says."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(expected, found)
        self.expected, self.found = expected, found


class WrongHashError(Exception):
    """All bytes came, and they are others than were promised."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(expected, found)
        self.expected, self.found = expected, found


class RefusedRangeError(Exception):
    """The server would not continue where the partial ends."""


class InterruptedDownloadError(Exception):
    """The last attempt that failed, and what was there by then."""

    def __init__(self, cause: Exception, have: int, total: int) -> None:
        super().__init__(cause)
        self.cause, self.have, self.total = cause, have, total


def fetch(
    published: hub.Published,
    partial: Path,
    *,
    sha256: str | None,
    progress: Progress,
    patience: Patience,
) -> str:
    """Complete ``partial`` and return its SHA-256; every byte that is there already is kept.

    ``sha256``: what it must be, or None where nobody has published it. A wrong hash of a file that
    was put together from several answers is tried once more from its start before it counts.

    Raises WrongHashError, WrongLengthError, InterruptedDownloadError, OSError (the disk) and what
    huggingface_hub raises for refusals.
    """
    partial.parent.mkdir(parents=True, exist_ok=True)
    note = partial.with_name(f"{partial.name}.json")
    download = _Download(published, partial, note, progress, patience)
    found = download.complete()
    if sha256 is not None and found != sha256 and download.in_pieces:
        progress.say(f"{partial.stem}: its hash is wrong; fetching it once more from its start.")
        download.start_over()
        found = download.complete()
    if sha256 is not None and found != sha256:
        discard(partial)
        raise WrongHashError(sha256, found)
    return found


def discard(partial: Path) -> None:
    """Remove a partial file and its note."""
    partial.unlink(missing_ok=True)
    partial.with_name(f"{partial.name}.json").unlink(missing_ok=True)


class _Download:
    """The bytes of one file so far, with their hash."""

    def __init__(
        self,
        published: hub.Published,
        partial: Path,
        note: Path,
        progress: Progress,
        patience: Patience,
    ) -> None:
        self.published = published
        self.partial = partial
        self.note = note
        self.progress = progress
        self.patience = patience
        self.have = 0
        self.in_pieces = False
        self.digest = hashlib.sha256()
        self.validator: str | None = None
        self._pick_up()

    def complete(self) -> str:
        """Fetch what is missing; attempts are counted anew after every one that brought bytes."""
        http: Any = hub.http_library()
        self.progress.begin(self.partial.stem, self.published.bytes, self.have)
        failed, wait = 0, self.patience.first_wait
        while self.have < self.published.bytes:
            before = self.have
            try:
                self._continue()
                continue
            except http.ProxyError:
                raise
            except (http.TransportError, RefusedRangeError) as error:
                cause: Exception = error
            except OSError as error:  # huggingface_hub's HTTP errors; or the disk, which is raised
                asked = delay_asked_for(error)
                if asked is None:
                    raise
                if asked > self.patience.longest_wait:
                    raise
                wait = max(wait, asked)
                cause = error
            if self.have > before:
                failed, wait = 0, max(self.patience.first_wait, 0)
            failed += 1
            if failed >= self.patience.attempts:
                raise InterruptedDownloadError(cause, self.have, self.published.bytes) from cause
            self.progress.say(
                f"{self.partial.stem}: {brief(cause)}; trying again in {wait:.3g} s "
                f"({failed} of {self.patience.attempts - 1})."
            )
            time.sleep(wait)
            wait = min(wait * 2, self.patience.longest_wait)
        self.progress.end()
        return self.digest.hexdigest()

    def start_over(self) -> None:
        """Throw away what is there."""
        self.progress.advance(-self.have)
        self.have, self.in_pieces, self.validator = 0, False, None
        self.digest = hashlib.sha256()
        self.partial.write_bytes(b"")
        self._write_note()

    def _pick_up(self) -> None:
        """Take over what an earlier process left, if it is the beginning of this very file."""
        try:
            noted = json.loads(self.note.read_bytes())
            same = (noted["bytes"], noted["etag"]) == (self.published.bytes, self.published.etag)
            left = self.partial.stat().st_size
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            same, left, noted = False, 0, {}
        if not same or left > self.published.bytes:
            if left:
                self.progress.say(
                    f"{self.partial.stem}: what was here is of another file: starting over."
                )
            self.partial.write_bytes(b"")
            self._write_note()
            return
        with self.partial.open("rb") as file:
            while piece := file.read(1 << 20):
                self.digest.update(piece)
                self.have += len(piece)
        self.in_pieces = self.have > 0
        self.validator = noted.get("validator")

    def _write_note(self) -> None:
        write_json(
            self.note,
            {
                "bytes": self.published.bytes,
                "etag": self.published.etag,
                "validator": self.validator,
            },
        )

    def _continue(self) -> None:
        """One request, from where the partial ends to where the answer does."""
        http: Any = hub.http_library()
        headers = hub.headers()
        if self.have:
            headers["Range"] = f"bytes={self.have}-"
            if self.validator:
                headers["If-Range"] = self.validator
        timeout = http.Timeout(self.patience.stall)
        with (
            get_session().stream(
                "GET", self.published.url, headers=headers, timeout=timeout, follow_redirects=True
            ) as answer,
            self.partial.open("r+b", buffering=0) as file,
        ):
            if answer.status_code == 416:
                self._cut(file)
                raise RefusedRangeError
            if answer.status_code not in (200, 206):
                answer.read()
                hf_raise_for_status(answer)
                raise hub.NotAHubError(str(answer.url))
            self._check_extent(answer, file)
            file.seek(self.have)
            if self.have:
                self.in_pieces = True
            for piece in answer.iter_bytes():
                if self.have + len(piece) > self.published.bytes:
                    raise WrongLengthError(self.published.bytes, self.have + len(piece))
                _write(file, piece)
                self.digest.update(piece)
                self.have += len(piece)
                self.progress.advance(len(piece))
            if self.have < self.published.bytes:
                raise http.RemoteProtocolError("the connection ended early")
            os.fsync(file.fileno())

    def _check_extent(self, answer: Any, file: BinaryIO) -> None:
        """Whether the answer is the range that was asked for, of a file of the right length."""
        if answer.status_code == 200:
            if self.have:
                self.progress.say(f"{self.partial.stem}: the server sends the file from its start.")
                self._cut(file)
            length = answer.headers.get("Content-Length", "")
            encoded = answer.headers.get("Content-Encoding", "identity") != "identity"
            if length.isdigit() and not encoded and int(length) != self.published.bytes:
                raise WrongLengthError(self.published.bytes, int(length))
            etag = answer.headers.get("ETag", "")
            self.validator = etag if etag.startswith('"') else None  # a weak one proves nothing
            self._write_note()
            return
        extent, _, total = answer.headers.get("Content-Range", "").partition("/")
        if total.isdigit() and int(total) != self.published.bytes:
            raise WrongLengthError(self.published.bytes, int(total))
        if not extent.startswith(f"bytes {self.have}-"):
            self._cut(file)
            raise RefusedRangeError

    def _cut(self, file: BinaryIO) -> None:
        self.progress.advance(-self.have)
        file.truncate(0)
        self.have, self.in_pieces, self.validator = 0, False, None
        self.digest = hashlib.sha256()


def _write(file: BinaryIO, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[file.write(view) :]


def delay_asked_for(error: OSError) -> float | None:
    """Seconds to wait before trying again after a refusal; None where trying again is no use."""
    answer = getattr(error, "response", None)
    if answer is None or answer.status_code not in (408, 429, 500, 502, 503, 504):
        return None
    asked = answer.headers.get("Retry-After", "").strip()
    if asked.isdigit():
        return float(asked)
    if asked:
        return _until(asked)
    quota = answer.headers.get("RateLimit", "")  # the hub's own: "api";r=0;t=55
    if answer.status_code == 429 and ";t=" in quota:
        seconds = quota.rpartition(";t=")[2].split(";")[0]
        return float(seconds) if seconds.isdigit() else 0.0
    return 0.0


def _until(date: str) -> float:
    from email.utils import parsedate_to_datetime

    try:
        return max(parsedate_to_datetime(date).timestamp() - time.time(), 0.0)
    except ValueError:
        return 0.0


def brief(error: Exception) -> str:
    """A failed attempt in a few words, for the line that says it is tried again."""
    answer = getattr(error, "response", None)
    if answer is not None:
        return f"the server answered {answer.status_code}"
    if isinstance(error, RefusedRangeError):
        return "the server would not continue where it stopped"
    name = type(error).__name__
    if "Timeout" in name:
        return "the connection stalled"
    if name == "ConnectError":
        return "the server could not be reached"
    return "the connection broke"
