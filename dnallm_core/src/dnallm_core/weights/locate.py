"""``locate``: a model's weights as verified files in a folder, downloaded if they must be."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DnallmError, PluginError, WeightsUnavailableError
from ..manifest.model import ModelManifest
from ..plugins import package_folder
from . import pins
from .finding import Found, Wanted, find, present
from .progress import Progress
from .storage import sha256_of, stores


@dataclass(frozen=True, slots=True)
class CheckpointFiles:
    """A folder for ``CheckpointFolder``, and where its files come from.

    ``provenance``: ``hub`` and ``revision`` (None where bundled), ``files``: name -> SHA-256.
    """

    folder: Path
    provenance: Mapping[str, Any]


def locate(
    manifest: ModelManifest, *, offline: bool | None = None, progress: Progress | None = None
) -> CheckpointFiles:
    """The verified weights of a model: bundled, in a shared cache, in the user's, or from the hub.

    ``offline=True`` never uses the network (None: as ``HF_HUB_OFFLINE`` says). Raises
    WeightsUnavailableError (why, and what to do) and IntegrityError (bytes that are not the ones
    promised). Where everything is here, no network is touched.
    """
    if manifest.is_bundled:
        return _bundled(manifest)
    if manifest.weights.hub is None:
        raise _nowhere(manifest)
    wanted = Wanted.of(manifest)
    progress = progress if progress is not None else Progress()
    try:
        for store in stores():
            found = find(wanted, store, progress)
            if found is not None:
                _adopt(wanted, found)
                return _files(wanted, found)
    except OSError as error:
        if isinstance(error, DnallmError):
            raise
        raise _unreadable(wanted, error) from error
    from .download import download

    return _files(wanted, download(wanted, stores()[-1], offline, progress))


def is_local(manifest: ModelManifest) -> bool:
    """Whether a model's weights are here, by names and sizes: nothing is hashed or fetched."""
    if manifest.is_bundled:
        return manifest.installed
    if manifest.weights.hub is None:
        return False
    try:
        wanted = Wanted.of(manifest)
        return any(present(wanted, store) is not None for store in stores())
    except (DnallmError, OSError):
        return False


def _files(wanted: Wanted, found: Found) -> CheckpointFiles:
    provenance = {"hub": wanted.hub, "revision": found.revision, "files": found.hashes}
    return CheckpointFiles(found.folder, provenance)


def _adopt(wanted: Wanted, found: Found) -> None:
    """Record what lies here unpinned and unrecorded: copied from elsewhere, or a shared cache's."""
    if wanted.commit is None:
        with suppress(OSError):
            pins.record_commit(wanted.hub, wanted.revision, found.revision)
    for file in wanted.files:
        if wanted.sha256(file, found.revision) is None:
            with suppress(OSError):
                pins.record_hash(wanted.hub, found.revision, file.name, found.hashes[file.name])


def _bundled(manifest: ModelManifest) -> CheckpointFiles:
    package = manifest.implementation.partition(":")[0].partition(".")[0]
    home = package_folder(package)
    if home is None:
        raise PluginError(
            f"{manifest.id} comes inside {manifest.plugin}, which is not installed.",
            distribution=manifest.plugin,
            hint=f"Install it: {manifest.install}" if manifest.install else "",
        )
    folder = home / (manifest.weights.bundled or "")
    if not folder.resolve().is_relative_to(home.resolve()):
        raise WeightsUnavailableError(
            f"The weights of {manifest.id} lead out of {manifest.plugin}: refused.",
            model=manifest.id,
            hint="Report it to the plugin's authors.",
        )
    if not folder.is_dir():
        raise WeightsUnavailableError(
            f"{manifest.plugin} lacks {manifest.weights.bundled}, the weights of {manifest.id}.",
            model=manifest.id,
            hint="Reinstall the plugin.",
        )
    hashes = {
        each.relative_to(folder).as_posix(): sha256_of(each)
        for each in sorted(folder.rglob("*"))
        if each.is_file()
    }
    return CheckpointFiles(folder, {"hub": None, "revision": None, "files": hashes})


def _nowhere(manifest: ModelManifest) -> WeightsUnavailableError:
    page = manifest.weights.url
    where = f"are published at {page}, not on a hub" if page else "are on no hub that is known"
    return WeightsUnavailableError(
        f"The weights of {manifest.id} {where}: dnallm cannot fetch them.",
        model=manifest.id,
        hint=f'Download them yourself, then load("{manifest.family}", weights=FOLDER), '
        f"or --weights FOLDER.",
    )


def _unreadable(wanted: Wanted, error: OSError) -> WeightsUnavailableError:
    return WeightsUnavailableError(
        f"The weights of {wanted.model} cannot be read: {error.filename or 'the cache'}: "
        f"{error.strerror or error}.",
        model=wanted.model,
        hint="Look at the rights of that folder, or set DNALLM_CACHE to another.",
    )
