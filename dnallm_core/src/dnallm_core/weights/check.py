"""The check vector: a downloaded model must give the numbers that its authors' own code gave.

A plugin carries ``{"MODEL": [{"sequence", "pooling", "values", "source"}]}`` for the real, published
weights. The first time that a model is loaded after a download its answers are held against them;
the verdict is remembered beside the cache under the hashes of the files, so that it is asked once.

The rule: the largest absolute difference over the largest absolute expected value. The authors'
values are float32 from a CPU, where another order of summation moves the last digits only; a GPU's
convolutions round to TF32, and half-precision formats keep 8 or 11 bits. Wrong weights, a wrong
layer or a wrong tokenizer are off by tenths.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import IntegrityError, PluginError
from ..manifest.model import ModelManifest
from ..plugins import package_folder
from .storage import cache_root, model_folder, write_json

TOLERANCE = {"cpu": 2e-4, "gpu": 2e-3, "half": 5e-2}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a check: ``deviation`` relative to the largest expected value."""

    model: str
    passed: bool
    deviation: float
    tolerance: float
    sequences: int
    checked: str  # date and time, UTC


def expected(manifest: ModelManifest) -> list[dict[str, Any]]:
    """The check vectors of a model; none where its plugin carries none.

    Raises PluginError where the plugin names a file that is not there or holds something else.
    """
    if manifest.check is None or not manifest.installed:
        return []
    package = manifest.implementation.partition(":")[0].partition(".")[0]
    home = package_folder(package)
    path = (home or Path(package)) / manifest.check
    try:
        held = json.loads(path.read_bytes()).get(manifest.id.rpartition("/")[2], [])
        return [
            {**each, "values": [float(value) for value in each["values"]]}
            for each in held
            if each.get("sequence") and each.get("pooling", "mean") == "mean"
        ]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise PluginError(
            f"{manifest.plugin} names check vectors in {manifest.check}, which cannot be read: "
            f"{type(error).__name__}: {error}.",
            distribution=manifest.plugin,
            hint="Reinstall the plugin, or report it to its authors.",
        ) from error


def hold(
    manifest: ModelManifest,
    provenance: Mapping[str, Any],
    embed: Callable[[str], Sequence[float]],
) -> Verdict | None:
    """Hold a model's answers to its authors' once, and remember; None where there is nothing to ask.

    ``provenance``: ``files`` (name -> SHA-256), ``device`` and ``dtype``. ``embed`` gives the mean
    over a sequence's token states. Raises IntegrityError, which says by how much, on a mismatch.
    """
    vectors = expected(manifest)
    if not vectors:
        return None
    tolerance = _tolerance(provenance)
    path = _memory(manifest, provenance, vectors, tolerance)
    remembered = _recall(path)
    if remembered is not None and remembered.passed:
        return remembered
    worst = max(_deviation(manifest, embed(each["sequence"]), each) for each in vectors)
    verdict = Verdict(
        model=manifest.id,
        passed=worst <= tolerance,
        deviation=worst,
        tolerance=tolerance,
        sequences=len(vectors),
        checked=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )
    if path is not None and math.isfinite(worst):
        with suppress(OSError):  # a cache that cannot be written: it is asked again, nothing else
            write_json(path, asdict(verdict))
    if not verdict.passed:
        raise IntegrityError(
            f"{manifest.id} does not give its authors' numbers: the embedding is off by "
            f"{worst:.3g} of the largest value, where {tolerance:g} is allowed "
            f"({vectors[0].get('source', 'no source given')}).",
            model=manifest.id,
            hint="The files have the hashes they should have, so the plugin and these weights do "
            "not belong together: update the plugin and report it. check=False (--no-check) loads "
            "it all the same.",
        )
    return verdict


def remembered(manifest: ModelManifest, provenance: Mapping[str, Any]) -> Verdict | None:
    """The verdict that is remembered of these files, or None."""
    vectors = expected(manifest)
    if not vectors:
        return None
    return _recall(_memory(manifest, provenance, vectors, _tolerance(provenance)))


def _tolerance(provenance: Mapping[str, Any]) -> float:
    if provenance.get("dtype", "float32") != "float32":
        return TOLERANCE["half"]
    return TOLERANCE["cpu" if str(provenance.get("device", "cpu")) == "cpu" else "gpu"]


def _memory(
    manifest: ModelManifest,
    provenance: Mapping[str, Any],
    vectors: list[dict[str, Any]],
    tolerance: float,
) -> Path | None:
    """Where the verdict is kept; None where the files' hashes are not known."""
    files = provenance.get("files")
    if not files:
        return None
    key = json.dumps([dict(files), vectors, tolerance], sort_keys=True)
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return cache_root() / "checks" / f"{model_folder(manifest.id)}-{digest}.json"


def _recall(path: Path | None) -> Verdict | None:
    try:
        return Verdict(**json.loads(path.read_bytes())) if path is not None else None
    except (OSError, ValueError, TypeError):
        return None


def _deviation(manifest: ModelManifest, given: Sequence[float], vector: Mapping[str, Any]) -> float:
    wanted = vector["values"]
    if len(given) != len(wanted):
        raise IntegrityError(
            f"{manifest.id} gives {len(given)} numbers for a sequence, its authors' code "
            f"{len(wanted)}: it is another network.",
            model=manifest.id,
            hint="Update the plugin, and report it to its authors.",
        )
    largest = max(abs(value) for value in wanted) or 1.0
    worst = max(abs(float(ours) - theirs) for ours, theirs in zip(given, wanted, strict=True))
    finite = all(math.isfinite(value) for value in given)
    return worst / largest if finite else math.inf
