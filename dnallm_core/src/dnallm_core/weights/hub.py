"""Questions to a hub that speaks the Hugging Face Hub's protocol: what is published, and where.

The session, headers, token, proxies and errors are ``huggingface_hub``'s; the bytes are moved by
``transfer.py``, because ``huggingface_hub`` begins a download that was killed from its start.
"""

from __future__ import annotations

import importlib
import os
import re
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from .. import __version__

_TRUE = {"1", "ON", "YES", "TRUE"}


def http_library() -> ModuleType:
    """The HTTP client that huggingface_hub is built on (httpx in 1.x, httpx2 in 2.x)."""
    return importlib.import_module(HfHubHTTPError.__mro__[1].__module__.split(".")[0])


def endpoint() -> str:
    """The hub's address: ``HF_ENDPOINT`` (a mirror), or huggingface.co."""
    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def is_offline() -> bool:
    """Whether ``HF_HUB_OFFLINE`` or ``TRANSFORMERS_OFFLINE`` forbids the network."""
    asked = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return asked.upper() in _TRUE


def has_token() -> bool:
    """Whether this user has a token at all."""
    from huggingface_hub import get_token

    return get_token() is not None


def headers() -> dict[str, str]:
    """Headers of every request: who asks, with the user's token."""
    made: dict[str, str] = build_hf_headers(library_name="dnallm", library_version=__version__)
    made["Accept-Encoding"] = "identity"  # lengths and ranges count the file's own bytes
    return made


@dataclass(frozen=True, slots=True)
class Published:
    """One file as the hub describes it."""

    url: str
    commit: str
    bytes: int
    etag: str | None

    @property
    def sha256(self) -> str | None:
        """The hash that the hub states: the ETag of a large file is its SHA-256."""
        return self.etag if self.etag and re.fullmatch(r"[0-9a-f]{64}", self.etag) else None


class NotAHubError(Exception):
    """An answer that no hub gives: a login page of a network, a proxy's own page."""


def describe(hub: str, revision: str, name: str, *, timeout: float) -> Published:
    """Ask for one file's commit, size and ETag, without its bytes."""
    url = hf_hub_url(hub, name, revision=revision, endpoint=endpoint())
    answer = get_hf_file_metadata(
        url,
        timeout=timeout,
        library_name="dnallm",
        library_version=__version__,
        endpoint=endpoint(),
    )
    if not answer.commit_hash or answer.size is None:
        raise NotAHubError(url)
    return Published(url, answer.commit_hash, answer.size, answer.etag)


def listing(hub: str, revision: str, *, timeout: float) -> list[str]:
    """Names of the files of a revision; empty where the hub does not say."""
    try:
        information: Any = HfApi(endpoint=endpoint(), library_name="dnallm").model_info(
            hub, revision=revision, timeout=timeout
        )
        return sorted(each.rfilename for each in information.siblings or [])
    except Exception:  # only ever asked to make a message better
        return []


def branches(hub: str) -> list[str]:
    """Names of the branches and tags of a repository; empty where the hub does not say."""
    try:
        found: Any = HfApi(endpoint=endpoint(), library_name="dnallm").list_repo_refs(hub)
        return [each.name for each in (*found.branches, *found.tags)]
    except Exception:  # only ever asked to make a message better
        return []
