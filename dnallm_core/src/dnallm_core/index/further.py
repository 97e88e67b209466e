"""Registries beside the one that ships: a company's or a laboratory's, by path or URL.

``DNALLM_REGISTRY`` lists them, separated by spaces: files in the format of ``registry.toml`` or of one
row of ``registry.d/``. Earlier ones win over later ones, all of them over the registry that ships,
and what is installed over them all. ``#sha256=HEX`` behind a place holds it to those bytes. A URL is
asked once a day; in between, and where it cannot be reached, its copy in the cache serves. Nothing
is installed from a registry: it only says what there is.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any

from ..errors import DnallmError, IntegrityError, ManifestError, WeightsUnavailableError
from ..plugins import PluginProblem
from . import KnownPlugin

LARGEST = 50_000_000  # bytes
FRESH = 86_400  # seconds


def further() -> tuple[tuple[KnownPlugin, ...], tuple[PluginProblem, ...]]:
    """The plugins of the further registries, and what is wrong with the others; never raises."""
    known: list[KnownPlugin] = []
    problems = []
    for place in os.environ.get("DNALLM_REGISTRY", "").split():
        try:
            known += read_registry(place)
        except DnallmError as error:
            problems.append(PluginProblem(place, "registry", "registry", str(error)))
    return tuple(known), tuple(problems)


def read_registry(place: str) -> list[KnownPlugin]:
    """The plugins of one registry.

    Raises ManifestError for what is no registry, IntegrityError for other bytes than were promised,
    WeightsUnavailableError for a place that cannot be reached.
    """
    where, _, pin = place.partition("#sha256=")
    content = _fetched(where) if where.startswith(("https://", "http://")) else _file(where)
    found = hashlib.sha256(content).hexdigest()
    if pin and found != pin.lower():
        raise IntegrityError(
            f"The registry {where} has SHA-256 {found}, not {pin}.",
            file=where,
            hint="It has changed since it was pinned: ask whoever keeps it.",
        )
    return parsed(content, where)


def parsed(content: bytes, where: str) -> list[KnownPlugin]:
    """The plugins of a registry's text; every row is validated."""
    from ..manifest.reader import tomllib

    head = content[:200].lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ManifestError(
            [f"{where} answers with a web page, not with a registry."],
            path=where,
            hint="Give the address of the raw file.",
        )
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ManifestError([f"{where}: this is no registry: {error}."], path=where) from error
    entries = table.get("plugins")
    if entries is None and "distribution" in table:
        entries = {table["distribution"]: table}
    if not isinstance(entries, dict):
        raise ManifestError([f"{where}: a registry holds a table `plugins`."], path=where)
    return [_plugin(name, facts, where) for name, facts in entries.items()]


def _plugin(distribution: str, facts: Any, where: str) -> KnownPlugin:
    from pydantic import ValidationError

    from ..manifest.schema import ManifestTable, contradictions

    try:
        rows = {"families": dict(facts["families"]), "models": dict(facts["models"])}
        bare = {
            kind: {key: _without(row, kind) for key, row in table.items()}
            for kind, table in rows.items()
        }
        ManifestTable.model_validate({"schema": 1, "api": ">=1,<2", **bare})
        wrong = [
            f"{where}: {distribution}: {key}: {field}: {what}."
            for table in rows.values()
            for key, row in table.items()
            for field, what in contradictions(row)
        ]
    except ValidationError as error:
        wrong = [
            f"{where}: {distribution}: {'.'.join(map(str, each['loc']))}: {each['msg']}."
            for each in error.errors()[:20]
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        wrong = [f"{where}: {distribution}: this is no row of a registry: {error!r}."]
    if wrong:
        raise ManifestError(wrong, path=where)
    return KnownPlugin(
        distribution=distribution,
        version=str(facts.get("version", "unknown")),
        install=str(facts.get("install", f"pip install {distribution}")),
        summary=str(facts.get("summary", "")),
        digest=str(facts.get("digest", "")),
        tier=str(facts.get("tier", "unchecked")),
        rows=rows,
    )


def _without(row: dict[str, Any], kind: str) -> dict[str, Any]:
    added = {"id", "family"} if kind == "families" else {"id"}
    return {key: value for key, value in row.items() if key not in added}


def _file(where: str) -> bytes:
    path = Path(where).expanduser()
    try:
        if path.stat().st_size > LARGEST:
            raise ManifestError([f"{path}: a registry of that size is not read."], path=path)
        return path.read_bytes()
    except OSError as error:
        raise WeightsUnavailableError(
            f"The registry {path} cannot be read: {error.strerror}.", file=str(path)
        ) from error


def _fetched(url: str) -> bytes:
    import urllib.request

    from ..plugins import _cache_folder

    copy = _cache_folder().parent.parent / "registries" / hashlib.sha256(url.encode()).hexdigest()
    try:
        if time.time() - copy.stat().st_mtime < FRESH:
            return copy.read_bytes()
    except OSError:
        pass
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            content: bytes = answer.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        if copy.exists():
            return copy.read_bytes()
        raise WeightsUnavailableError(
            f"The registry {url} cannot be reached: {error}.", file=url
        ) from error
    if len(content) > LARGEST:
        raise ManifestError([f"{url}: a registry of that size is not read."], path=url)
    parsed(content, url)  # what is no registry is not remembered
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
    except OSError:
        pass
    return content
