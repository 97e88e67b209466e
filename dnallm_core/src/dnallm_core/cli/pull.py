"""Download and verify the weights of models, and hold each once to its authors' numbers.

Interrupted downloads go on where they stopped. HF_ENDPOINT names a mirror, DNALLM_CACHE the folder
that weights go to, DNALLM_SHARED_CACHE folders that are looked at first.
"""

from __future__ import annotations

import argparse
import importlib.util
from typing import Any

from ..catalog import Catalog, catalog
from ..errors import DnallmError
from ..manifest.model import ModelManifest
from ..weights import CheckpointFiles, Progress, locate
from .output import print_json, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("models", nargs="+", metavar="MODEL", help="ids or aliases of models")
    parser.add_argument(
        "--offline", action="store_true", help="use no network: verify what is here, or say why not"
    )
    parser.add_argument(
        "--no-check", action="store_true", help="do not hold the model to its authors' numbers"
    )
    parser.add_argument("--quiet", action="store_true", help="tell nothing of the progress")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Pull every model; the exit code is that of the first failure."""
    zoo = catalog()
    manifests = [zoo[name] for name in options.models]
    pulled: list[dict[str, Any]] = []
    code = 0
    for manifest in manifests:
        try:
            pulled.append(_pull(zoo, manifest, options))
        except DnallmError as error:
            if len(manifests) == 1 and not options.json:
                raise
            code = code or error.exit_code
            say(f"dnallm: {error}")
            pulled.append(_entry(manifest, error=error))
            continue
        if not options.json:
            print(pulled[-1]["folder"])
    if options.json:
        print_json({"models": pulled})
    return code


def _pull(zoo: Catalog, manifest: ModelManifest, options: argparse.Namespace) -> dict[str, Any]:
    progress = Progress(quiet=options.quiet)
    files = locate(manifest, offline=options.offline or None, progress=progress)
    if options.no_check or manifest.is_bundled or manifest.check is None:
        return _entry(manifest, files)
    reason, verdict = _checked(zoo, manifest, files)
    if reason:
        progress.say(f"{manifest.id}: not yet held to its authors' numbers: {reason}")
    return _entry(manifest, files, verdict)


def _checked(
    zoo: Catalog, manifest: ModelManifest, files: CheckpointFiles
) -> tuple[str, dict[str, Any] | None]:
    """(why it could not be checked, the verdict)."""
    from dataclasses import asdict

    from ..weights.check import expected, remembered

    on_cpu = {**files.provenance, "device": "cpu", "dtype": "float32"}
    if not manifest.installed:
        return f"{manifest.plugin} is not installed; loading it will.", None
    if not expected(manifest):
        return "", None
    verdict = remembered(manifest, on_cpu)
    if verdict is None or not verdict.passed:
        if importlib.util.find_spec("torch") is None:
            return "torch is not installed; loading it will.", None
        held, free = manifest.weights.total_bytes, _memory_available()
        if held is not None and free is not None and 2 * held > free:
            return "this machine's memory is too small for it; loading it elsewhere will.", None
        from ..loading import load

        load(manifest.id, device="cpu", dtype="float32", offline=True, zoo=zoo)
        verdict = remembered(manifest, on_cpu)
    return "", asdict(verdict) if verdict is not None else None


def _entry(
    manifest: ModelManifest,
    files: CheckpointFiles | None = None,
    verdict: dict[str, Any] | None = None,
    error: DnallmError | None = None,
) -> dict[str, Any]:
    provenance = files.provenance if files is not None else {}
    return {
        "id": manifest.id,
        "folder": str(files.folder) if files is not None else None,
        "hub": provenance.get("hub"),
        "revision": provenance.get("revision"),
        "files": dict(provenance.get("files", {})),
        "check": verdict,
        "error": {"code": type(error).__name__, "message": str(error)} if error else None,
    }


def _memory_available() -> int | None:
    """Bytes of memory that a new process can have, where the system says."""
    from pathlib import Path

    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None
