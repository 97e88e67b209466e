"""Finding plugins by reading files, and isolating the broken ones.

Two entry-point groups. ``dnallm.manifests`` names a file inside a package
(``evo = "dnallm_evo:dnallm.toml"``); it is found without importing anything: that is discovery.
``dnallm.plugins`` names a pluggy module, loaded only when behaviour is needed (``hooks.py``).

``DNALLM_ONLY=a,b`` allows just those plugins (empty: none), ``DNALLM_DISABLE=a,b`` denies some, by
entry-point or distribution name; ``DNALLM_STRICT=1`` turns every problem into an error.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from .errors import DnallmError, ManifestError, PluginError

MANIFESTS = "dnallm.manifests"

Rows = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class PluginProblem:
    """Why a plugin, or something of it, cannot be used. ``code`` is stable, for programs."""

    distribution: str
    version: str
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}: {self.message}"

    def to_dict(self) -> dict[str, str]:
        """As every ``--json`` shows a problem."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """A plugin that was found and whose manifest is sound."""

    name: str
    distribution: str
    version: str
    path: Path
    digest: str
    rows: Rows


@dataclass(frozen=True, slots=True)
class Discovery:
    """What is installed, and what is wrong with the rest."""

    plugins: tuple[InstalledPlugin, ...]
    problems: tuple[PluginProblem, ...]


def discover(known: dict[str, Rows] | None = None) -> Discovery:
    """Every installed plugin in the order of its name; never raises for a broken one.

    ``known``: rows of manifests by the SHA-256 of their file (the shipped index), which spare the
    validation of files that were validated before.
    """
    plugins: list[InstalledPlugin] = []
    problems: list[PluginProblem] = []
    for entry in _entry_points():
        distribution, version = _origin(entry)
        if not _allowed(entry.name, distribution):
            continue
        try:
            plugins.append(_read(entry, distribution, version, known or {}))
        except DnallmError as error:
            problems.append(PluginProblem(distribution, version, _code(error), str(error)))
        except Exception as error:  # a stranger's metadata may break in any way
            problems.append(
                PluginProblem(
                    distribution,
                    version,
                    "unreadable",
                    f"its manifest cannot be found: {type(error).__name__}: {error}.",
                )
            )
    if problems and os.environ.get("DNALLM_STRICT") == "1":
        raise PluginError(
            "\n".join(str(each) for each in problems),
            distribution=problems[0].distribution,
            version=problems[0].version,
        )
    return Discovery(tuple(plugins), tuple(problems))


def _entry_points() -> Iterable[metadata.EntryPoint]:
    found = metadata.entry_points(group=MANIFESTS)
    return sorted(found, key=lambda entry: (_origin(entry)[0], entry.name))


def _origin(entry: metadata.EntryPoint) -> tuple[str, str]:
    if entry.dist is None:
        return entry.name, "unknown"
    return str(entry.dist.name or entry.name), str(entry.dist.version or "unknown")


def _allowed(name: str, distribution: str) -> bool:
    only = os.environ.get("DNALLM_ONLY")
    names = {name, distribution}
    if only is not None and not names & _listed(only):
        return False
    return not names & _listed(os.environ.get("DNALLM_DISABLE", ""))


def _listed(text: str) -> set[str]:
    return {part.strip() for part in text.split(",") if part.strip()}


def _read(
    entry: metadata.EntryPoint, distribution: str, version: str, known: dict[str, Rows]
) -> InstalledPlugin:
    package, _, file = entry.value.partition(":")
    package, file = package.strip(), file.strip()
    if not file or "." in package:
        raise PluginError(
            f'its entry point {entry.name} = "{entry.value}" names no file of a top-level package.',
            hint='Write "package:dnallm.toml".',
        )
    if Path(file).name != file or file in (".", ".."):
        raise PluginError(f"its manifest {file!r} does not lie in its package.")
    folder = package_folder(package)
    if folder is None:
        raise PluginError(f"its package {package} is not installed.", hint="Reinstall it.")
    path = folder / file
    if path.exists() and not path.resolve().is_relative_to(folder.resolve()):
        raise PluginError(f"its manifest {file!r} leads out of its package.")
    digest = _digest(path)
    rows = known.get(digest)
    if rows is None:
        rows = _validated(path, package, digest)
    return InstalledPlugin(entry.name, distribution, version, path, digest, rows)


def package_folder(package: str) -> Path | None:
    """The folder of an installed top-level package, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _digest(path: Path) -> str:
    try:
        if path.stat().st_size > 8_000_000:
            return ""
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _validated(path: Path, package: str, digest: str) -> Rows:
    """Rows of a manifest, from the user's cache where this very file was validated before."""
    cached = _cache_folder() / f"{package}-{digest}.json"
    try:
        return json.loads(cached.read_bytes())
    except (OSError, ValueError):
        pass
    from .manifest.reader import read_rows  # pydantic, the largest import of a cold start

    rows = read_rows(path, package=package)
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=cached.parent, delete=False) as file:
            json.dump(rows, file)
        Path(file.name).replace(cached)
    except OSError:
        pass  # a cache that cannot be written costs time, nothing else
    return rows


def _cache_folder() -> Path:
    from .manifest.cache import FORMAT

    root = os.environ.get("DNALLM_CACHE")
    if root is None:
        import platformdirs

        root = platformdirs.user_cache_dir("dnallm", appauthor=False)
    return Path(root) / "manifests" / FORMAT


def _code(error: DnallmError) -> str:
    return "manifest" if isinstance(error, ManifestError) else "plugin"
