"""Every way in which weights cannot be had, as a sentence and what to do about it."""

from __future__ import annotations

import errno
import math
import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import errors as refused

from ..errors import DnallmError, IntegrityError, WeightsUnavailableError
from . import hub
from .progress import amount
from .transfer import (
    InterruptedDownloadError,
    RefusedRangeError,
    WrongHashError,
    WrongLengthError,
    delay_asked_for,
)

_AGAIN = "What was fetched is kept: run the same again to go on from there."


@dataclass(frozen=True, slots=True)
class Asked:
    """What was being fetched when it failed."""

    model: str
    hub: str
    revision: str
    file: str
    root: Path
    timeout: float = 10.0

    @property
    def what(self) -> str:
        """``FILE of MODEL``, as every sentence begins."""
        return f"{self.file} of {self.model}"


def explained(error: Exception, asked: Asked) -> DnallmError:
    """The error that the user sees; ``error`` itself where it is one already."""
    if isinstance(error, DnallmError):
        return error
    if isinstance(error, WrongHashError):
        return IntegrityError(
            f"{asked.what} is not the file that was promised: its SHA-256 is {error.found}, "
            f"expected {error.expected}. It was thrown away.",
            file=asked.file,
            model=asked.model,
            hint=_changed(asked),
        )
    if isinstance(error, WrongLengthError):
        return IntegrityError(
            f"{asked.what} came with {error.found:,} bytes, and the hub says {error.expected:,}: it "
            "was thrown away.",
            file=asked.file,
            model=asked.model,
            hint="A proxy may have changed it: try again, or from another network.",
        )
    sentence, hint = _reason(error, asked)
    return WeightsUnavailableError(
        f"{asked.what} cannot be fetched: {sentence}",
        model=asked.model,
        file=asked.file,
        hint=hint,
    )


def _changed(asked: Asked) -> str:
    return (
        f"The file may have changed on the hub under the same revision {asked.revision!r}, or a "
        "proxy altered it: try from another network, look for a newer version of the plugin, and "
        "report it to the plugin's authors if it stays."
    )


def _reason(error: BaseException, asked: Asked) -> tuple[str, str]:
    """(reason, hint)."""
    if isinstance(error, InterruptedDownloadError):
        sentence, hint = _reason(error.cause, asked)
        kept = f"{amount(error.have)} of {amount(error.total)} are here. "
        return kept + sentence, f"{hint} {_AGAIN}".strip()
    if isinstance(error, RefusedRangeError):
        return "the server does not hand out the rest of it.", "Try again later."
    if isinstance(error, hub.NotAHubError):
        return (
            f"{_host(str(error))} does not answer as a hub does.",
            "Is this a network with a login page, or does HF_ENDPOINT name something else?",
        )
    if isinstance(error, refused.OfflineModeIsEnabled):
        return "the network is switched off by HF_HUB_OFFLINE.", "Unset HF_HUB_OFFLINE."
    if isinstance(error, refused.HfHubHTTPError):
        return _answer(error, asked)
    if type(error).__module__.split(".")[0] == hub.http_library().__name__:
        return _connection(error, asked)
    if isinstance(error, OSError):
        return _disk(error, asked)
    return f"{type(error).__name__}: {error}.", "Report it, with what you did."


def _answer(error: refused.HfHubHTTPError, asked: Asked) -> tuple[str, str]:
    """What a status code and the hub's own error code mean."""
    status = error.response.status_code
    page = f"{hub.endpoint()}/{asked.hub}"
    log_in = "log in with `hf auth login` or set HF_TOKEN"
    if isinstance(error, refused.GatedRepoError):
        asks = f"the authors of {asked.hub} ask for consent to their terms"
        if hub.has_token():
            return (
                f"{asks}, and your token's account has not been granted access.",
                f"Ask for it at {page}, or use the token of an account that has it.",
            )
        return f"{asks}, and there is no token here.", f"Accept them at {page}, then {log_in}."
    if status == 401 and error.response.headers.get("X-Error-Message", "").startswith("Invalid"):
        return (
            "the hub does not accept your token.",
            "It may have expired: make a new one, `hf auth login`; or unset HF_TOKEN.",
        )
    if isinstance(error, refused.RepositoryNotFoundError) or status == 401:
        return (
            f"{hub.endpoint()} has no repository {asked.hub}, or it is private.",
            f"Look at {page}. If it is private, {log_in}; if it moved, update the plugin.",
        )
    if isinstance(error, refused.DisabledRepoError):
        return f"the hub has disabled {asked.hub}.", f"See {page}."
    if isinstance(error, refused.RevisionNotFoundError):
        there = ", ".join(hub.branches(asked.hub)[:8])
        return (
            f"{asked.hub} has no revision {asked.revision!r} (any more)."
            + (f" It has {there}." if there else ""),
            "Look for a newer version of the plugin; its authors may have re-pinned it. "
            f"`dnallm cache remove {asked.model} --forget` drops a commit that was recorded here.",
        )
    if isinstance(error, refused.EntryNotFoundError):
        files = hub.listing(asked.hub, asked.revision, timeout=asked.timeout)
        some = ", ".join(files[:8]) + (f" and {len(files) - 8} more" if len(files) > 8 else "")
        return (
            f"{asked.hub} has no such file at revision {asked.revision!r}."
            + (f" It holds {some}." if files else ""),
            "Is this the repository of another model? Look for a newer version of the plugin.",
        )
    if status == 403:
        return (
            f"your token may not read {asked.hub}.",
            "Give it the right to read that repository (a fine-grained token names what it may "
            "read), or use another token.",
        )
    if status == 429:
        wait = delay_asked_for(error) or 0
        until = f" and asks to wait {math.ceil(wait / 60)} minutes" if wait else ""
        more = "" if hub.has_token() else f" A token has a larger quota: {log_in}."
        return f"the hub's quota is used up{until}.", f"Try again then.{more}"
    if status >= 500:
        return (
            f"{_host(str(error.response.url))} is in trouble (it answered {status}).",
            "Try again later; https://status.huggingface.co says how the hub is.",
        )
    return (
        f"{_host(str(error.response.url))} answered {status}.",
        f"Look at {page}, and whether a proxy stands between.",
    )


def _connection(error: BaseException, asked: Asked) -> tuple[str, str]:
    """What went wrong before there was an answer, or in the middle of one."""
    host = _host(hub.endpoint())
    offline = (
        "On a machine without network: `dnallm pull` where there is one, copy the cache folder, "
        "and name it in DNALLM_SHARED_CACHE."
    )
    text = " ".join(str(each) for each in _chain(error))
    name = type(error).__name__
    if name == "ProxyError" or "407" in text:
        return (
            f"the proxy refused the connection to {host}: {error}.",
            "Look at HTTPS_PROXY, HTTP_PROXY and NO_PROXY.",
        )
    if any(isinstance(each, ssl.SSLError) for each in _chain(error)) or "SSL" in text:
        return (
            f"the TLS connection to {host} was refused: {_first_line(error)}.",
            "A company's proxy may re-sign it: name its certificate in SSL_CERT_FILE. "
            "Also check the clock of this machine.",
        )
    if any(isinstance(each, socket.gaierror) for each in _chain(error)) or "Errno -" in text:
        return f"the name {host} cannot be resolved: there is no network, or no DNS.", offline
    if "Timeout" in name:
        return (
            f"{host} sent nothing for too long.",
            "Try again, or raise DNALLM_DOWNLOAD_TIMEOUT (seconds).",
        )
    if name == "ConnectError":
        return f"{host} cannot be reached: {_first_line(error)}.", offline
    if name in ("UnsupportedProtocol", "InvalidURL"):
        return (
            f"{hub.endpoint()!r} is no address of a hub.",
            "Correct HF_ENDPOINT: https://HOST.",
        )
    if name == "TooManyRedirects":
        return f"{host} sends in circles.", "Look at HF_ENDPOINT."
    return f"the connection to {host} broke: {_first_line(error)}.", "Try again."


def _disk(error: OSError, asked: Asked) -> tuple[str, str]:
    """What the disk refused."""
    where = error.filename or asked.root
    elsewhere = "Set DNALLM_CACHE to a folder of yours with room."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        full = "the disk is full" if error.errno == errno.ENOSPC else "your disk quota is used up"
        return f"{full} at {asked.root}.", f"Free some space, or: {elsewhere} {_AGAIN}"
    if error.errno == errno.EFBIG:
        return f"{where} may not become that large here (a limit on file sizes).", elsewhere
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        only = "is read-only" if error.errno == errno.EROFS else "may not be written by you"
        return f"{where} {only}.", elsewhere
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ENOENT):
        return f"the cache {asked.root} is no folder that can be used: {error}.", elsewhere
    return f"{where}: {error.strerror or error}.", elsewhere


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what caused it, the outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0][:200].rstrip(".")


def _host(url: str) -> str:
    return urlsplit(url).netloc or url


def no_space(asked: Asked, needed: int, free: int) -> WeightsUnavailableError:
    """The disk cannot take what is to be fetched; nothing was."""
    return WeightsUnavailableError(
        f"{asked.model} needs {amount(needed)} more at {asked.root}, where {amount(free)} are free.",
        model=asked.model,
        file=asked.file,
        hint="Free some space, or set DNALLM_CACHE to a folder with room.",
    )


def offline(asked: Asked, absent: list[str]) -> WeightsUnavailableError:
    """Files are missing and the network may not be used."""
    because = "HF_HUB_OFFLINE is set" if os.environ.get("HF_HUB_OFFLINE") else "offline was asked"
    return WeightsUnavailableError(
        f"{asked.model} is not here ({', '.join(absent)} of {asked.hub} missing in {asked.root}), "
        f"and {because}.",
        model=asked.model,
        file=absent[0],
        hint=f"With network: `dnallm pull {asked.model}`; then copy the cache folder here, or name "
        "it in DNALLM_SHARED_CACHE.",
    )
