"""Measure one model: choose the runs, run each in a process of its own, fit the terms."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import DnallmError, ResourceError
from ..footprint import prediction, shape_of
from ..footprint.shape import ATTENTION_LISTS, SPELLINGS
from ..footprint.terms import BYTES
from ..manifest.model import ModelManifest
from .counting import SHORTEST, Counted, count_terms
from .fitting import SIMPLER, Fit, Point, deviations, fit, fit_seconds

LENGTHS = (128, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)  # tokens
BATCHES = (1, 4)
NOISE = 2 * 10**6  # bytes by which two runs differ
SPREAD = 5 * 10**6  # bytes by which the constant above what is counted may differ from run to run
SLOW = 60.0  # seconds of one run after which longer ones are left out


@dataclass(frozen=True, slots=True)
class Measurement:
    """A record for ``footprints.json``, with the points and the table it was held against."""

    model: str
    record: dict[str, Any]
    points: tuple[Point, ...]
    held: tuple[Point, ...]
    fits: tuple[Fit | None, ...]

    def table(self) -> list[tuple[int, int, int, int, float]]:
        """(rows, tokens, measured, predicted, deviation) of each point that was not fitted."""
        from .fitting import predicted

        weights = int(self.record["measured"]["built"])
        rows = []
        for point in self.held:
            if steps := self.record["steps"]:
                above = max(predicted(each["terms"], point) for each in steps)
                above += self.record["terms"].get("fixed", 0.0)
            else:
                passed = [tokens / (point.rows if of == "batch" else 1) < point.tokens
                          for tokens, of in self.record["shape"]["bends"]]  # fmt: skip
                place = next((place for place, gone in enumerate(passed) if not gone), len(passed))
                found = self.fits[place]
                assert found is not None
                above = predicted(found.bytes, point)
            amount = round(weights + above)
            deviation = (amount - point.bytes) / point.bytes
            rows.append((point.rows, point.tokens, point.bytes, amount, deviation))
        return rows


def measure(
    manifest: ModelManifest,
    *,
    device: str = "cpu",
    dtype: str = "float32",
    mode: str = "inference",
    lengths: Sequence[int] | None = None,
    batches: Sequence[int] = BATCHES,
    alone: Sequence[int] = (),
    more: Sequence[tuple[int, int]] = (),
    layers: int | None = None,
    memory: int | None = None,
    changes: Mapping[str, Any] | None = None,
    threads: int | None = None,
    budget: float = 300.0,
    timed: bool | None = None,
    runner: Runner | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Measurement:
    """Run ``manifest``'s network with random weights over lengths (tokens) and batches, and fit.

    Every other length is fitted, the rest are held against the fit. ``alone``: more lengths, of one
    row each; ``more``: (rows, tokens) of more runs. ``layers``: build so many blocks
    only (the peak of inference does not depend on their number; ``changes`` are settings that make
    them so where no single number does); ``memory``: bytes that a run may take, by prediction;
    ``budget``: seconds for all runs; ``timed``: whether times count (if the machine is quiet, unless
    said).
    """
    changes = {**_fewer_layers(manifest, None if changes else layers), **(changes or {})}
    timed = _is_quiet() if timed is None else timed
    jobs = [
        (rows, tokens)
        for tokens in (lengths or _lengths(manifest))
        for rows in batches
        if memory is None or _expected(manifest, rows, tokens, dtype, mode, device) <= memory
    ]
    jobs += [(1, tokens) for tokens in alone] + [each for each in more if each not in jobs]
    jobs.sort(key=lambda job: (job[0] * job[1], job[0]))
    points: list[Point] = []
    stretch = shape_of(manifest).layers / layers if layers else 1.0
    first: dict[str, Any] = {}
    started = time.monotonic()
    with contextlib.nullcontext(runner) if runner else Runner() as running:
        for rows, tokens in jobs:
            if points and (time.monotonic() - started > budget or points[-1].seconds > SLOW):
                break
            job = {
                "model": manifest.id, "device": device, "dtype": dtype, "mode": mode,
                "batch": rows, "tokens": tokens, "config": changes,
                "inputs": list(manifest.inputs), "threads": threads, "repeats": 1, "exact": True,
            }  # fmt: skip
            result = running.run(job)
            first = first or result
            seconds = result["seconds"]
            if timed:  # as users run it, and the first pass is no time to go by
                seconds = timing(running, job, stretch)
            points.append(Point(rows, tokens, result["bytes"], seconds))
            tell(f"{rows} x {tokens:,} tokens: {result['bytes'] / 1e6:,.0f} MB, {seconds:.2f} s")
    if len(points) < 3:
        raise ResourceError(
            f"Only {len(points)} runs of {manifest.id} were possible: too few to fit.",
            hint="Give it more memory or time, or shorter --lengths.",
        )
    return conclude(manifest, points, first, device, dtype, mode, layers, timed, changes)


def timing(running: Runner, job: Mapping[str, Any], stretch: float) -> float:
    """Seconds of the whole network's pass: what its few blocks took, times as many as it has more."""
    found = running.run({**job, "exact": False, "clock": True, "repeats": 2})
    return float(found["seconds"] + (stretch - 1) * found["in_blocks"])


def conclude(
    manifest: ModelManifest,
    points: Sequence[Point],
    first: Mapping[str, Any],
    device: str,
    dtype: str,
    mode: str,
    layers: int | None,
    timed: bool,
    changes: Mapping[str, Any] | None = None,
) -> Measurement:
    """Fit what was run, each way through the network by itself, and make the record of it.

    ``first``: what a run said of itself: ``weights`` as built in bytes, ``device_name``, ``versions``.
    ``changes``: settings of the network as it was built. Where what is counted without memory
    (``counting``) and what was measured differ by a constant alone, the counted terms are recorded
    with that constant: they hold at any length, and for every step by itself.
    """
    bends = shape_of(manifest).bends
    ways: list[list[Point]] = [[] for _ in range(len(bends) + 1)]
    for point in points:
        passed = (bend.at(point.rows) < point.tokens for bend in bends)
        ways[next((place for place, gone in enumerate(passed) if not gone), len(bends))].append(
            point
        )
    fits: list[Fit | None] = []
    fitted: list[Point] = []
    held: list[Point] = []
    for way in ways:
        if len({point.tokens for point in way}) < 2:
            fits.append(None)
            continue
        used, kept = _split(way)
        fits.append(fit(used, kept, int(first["weights"]), _terms(manifest), NOISE))
        fitted += used
        held += kept
    counted, workspace = None, 0.0
    if device == "cpu" and mode == "inference" and not bends:
        counted, workspace = _counted(manifest, dtype, changes or {}, points, int(first["weights"]))
    if counted is not None:
        held, fitted = [*fitted, *held], []  # nothing was fitted to them but the constant
    record = _record(
        manifest, fits, points, first, device, dtype, mode, layers, timed, counted, workspace, held
    )
    return Measurement(manifest.id, record, tuple(fitted), tuple(held), tuple(fits))


class Runner:
    """The process that runs jobs, started when first needed; a context manager that ends it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait()

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """The result of one job; its failure is an error with what it said."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dnallm_core.measuring.run"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        result: dict[str, Any] = json.loads(line) if line else {"error": "its process ended"}
        if "error" in result:
            raise DnallmError(
                f"A run of {job['model']} with {job['batch']} x {job['tokens']} tokens failed: "
                f"{result['error']}."
            )
        return result


def _split(points: list[Point]) -> tuple[list[Point], list[Point]]:
    """Every other length is held against the fit of the rest; the ends are fitted."""
    lengths = sorted({point.tokens for point in points})
    held = set(lengths[1:-1:2]) if len(lengths) >= 4 else set()
    return (
        [point for point in points if point.tokens not in held],
        [point for point in points if point.tokens in held],
    )


def _terms(manifest: ModelManifest) -> list[str]:
    """The terms that a network of this kind has."""
    terms = ["fixed", "per_row", "per_token"]
    if manifest.architecture in ("long-convolution", "hybrid"):
        terms.append("per_length")  # filters as long as the input
    if manifest.architecture == "state-space":
        terms.append("per_length")  # rows that are mixed one after the other
    if shape_of(manifest).attention_layers:
        # masks and biases that all rows share, or each has; scores where they are not fused
        terms += ["per_length_squared", "per_token_squared"]
    return terms


def _most_tokens(manifest: ModelManifest) -> int:
    most = manifest.max_tokens
    if most is None and manifest.max_length is not None:
        most = int(manifest.max_length / (manifest.resolution or 1.0))
    return most or 8192


def _lengths(manifest: ModelManifest) -> list[int]:
    most = _most_tokens(manifest)
    chosen = [length for length in LENGTHS if length <= most]
    if len(chosen) < 4:
        chosen = sorted({max(8, most * part // 8) for part in (1, 2, 4, 6, 8)})
    elif chosen[-1] < most <= 2 * chosen[-1]:
        chosen.append(most)
    return chosen


def _expected(
    manifest: ModelManifest, rows: int, tokens: int, dtype: str, mode: str, device: str
) -> int:
    cost = prediction(manifest, batch=rows, dtype=dtype, mode=mode, device=device)
    return cost.total(int(tokens * (manifest.resolution or 1.0)))


def _fewer_layers(manifest: ModelManifest, layers: int | None) -> dict[str, Any]:
    if layers is None:
        return {}
    for spelling in SPELLINGS["layers"]:
        if isinstance(manifest.config.get(spelling), int):
            kept = {  # lists that name blocks name those that are left
                name: [block for block in value if block < layers]
                for name, value in manifest.config.items()
                if name.endswith("_idxs") and isinstance(value, (list, tuple))
            }
            return {spelling: layers, **kept}
    raise DnallmError(
        f"{manifest.id} does not state its number of layers in a way that can be changed.",
        hint="Leave --layers out.",
    )


def _counted(
    manifest: ModelManifest,
    dtype: str,
    changes: Mapping[str, Any],
    points: Sequence[Point],
    weights: int,
) -> tuple[Counted | None, float]:
    """What is counted, and the constant by which a process holds more; None where it is no constant."""
    asked = sorted({*points[::3], points[-1]})
    try:
        counted = count_terms(
            manifest,
            dtype,
            changes,
            _terms(manifest),
            _most_tokens(manifest),
            min(SHORTEST, min(point.tokens for point in points)),
            [(point.rows, point.tokens) for point in asked],
        )
    except Exception:  # a network that cannot run without memory: what was measured is all there is
        return None, 0.0
    more = [point.bytes - weights - counted.at(point) for point in asked]
    off = [abs(counted.at(point) - peak) for point, peak in zip(asked, counted.peaks, strict=True)]
    slack = max(SPREAD, SIMPLER * max(point.bytes for point in points))
    if max(more) - min(more) > slack or max(off) > slack or min(more) < 0:
        return None, 0.0
    return counted, max(more)


def counted_record(counted: Counted) -> list[dict[str, Any]]:
    """The steps of a record."""
    return [
        {"part": each.part, "name": each.name, "terms": _shortened(each.terms)}
        for each in counted.steps
    ]


def _record(
    manifest: ModelManifest,
    fits: Sequence[Fit | None],
    points: Sequence[Point],
    first: Mapping[str, Any],
    device: str,
    dtype: str,
    mode: str,
    layers: int | None,
    timed: bool,
    counted: Counted | None,
    workspace: float,
    held: Sequence[Point],
) -> dict[str, Any]:
    shape = shape_of(manifest)
    whole = shape.layers
    weights = first["weights"]
    if layers and manifest.parameters:
        weights = manifest.parameters * BYTES[dtype]
    seconds = fit_seconds(points)
    over = max(each.over for each in fits if each)
    under = max(each.under for each in fits if each)
    terms = fits[0].bytes if fits[0] else {}
    steps = counted_record(counted) if counted is not None else []
    if counted is not None:
        terms = {"fixed": workspace}
        over, under = deviations(
            [each["terms"] for each in steps], held, round(first["weights"] + workspace), NOISE
        )
    measured: dict[str, Any] = {
        "device_name": first["device_name"],
        "versions": first["versions"],
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "runs": len(points),
        "exact": True,
        "built": first["weights"],
        "points": [[p.rows, p.tokens, p.bytes, _short(p.seconds)] for p in points],
        "held_over": round(over, 4),
        "held_under": round(under, 4),
    }
    if not timed:
        measured["seconds"] = "left out: the machine was busy"
    if layers:
        measured["layers"] = (
            f"{layers} of {whole} blocks; the blocks' seconds scaled to all of them"
        )
    return {
        "device": device.partition(":")[0],
        "dtype": dtype,
        "mode": mode,
        "family": manifest.family,
        "implementation": manifest.implementation,
        "shape": dataclasses.asdict(shape),
        "attention_layers": _attention_layers(manifest, layers, shape.attention_layers),
        "terms": {
            "weights": weights,
            **_shortened(terms),
        },
        "steps": steps,
        "beyond": [each and _shortened(each.bytes) for each in fits[1:]],
        "seconds": {name: _short(value) for name, value in seconds.items() if value}
        if timed
        else {},
        "measured": measured,
    }


def _attention_layers(manifest: ModelManifest, layers: int | None, whole: int) -> int:
    """How many of the blocks that were built attend."""
    if layers is None:
        return whole
    for name in ATTENTION_LISTS:
        if isinstance(manifest.config.get(name), (list, tuple)):
            return sum(place < layers for place in manifest.config[name])
    return min(layers, whole)


def _is_quiet() -> bool:
    """Whether nothing else keeps the processors busy: times would mean nothing."""
    if not hasattr(os, "getloadavg"):
        return True
    return os.getloadavg()[0] <= 1.2 * (os.cpu_count() or 1)


def _shortened(terms: Mapping[str, float]) -> dict[str, float]:
    return {name: _short(value) for name, value in terms.items() if value}


def _short(value: float) -> float:
    """Four figures: more than the measurement holds."""
    return float(f"{value:.4g}")
