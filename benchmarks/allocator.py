"""What it costs in time to have glibc give freed blocks back: passes under several thresholds, in turn.

    python benchmarks/allocator.py [--seconds 2] [--rounds 3] [--cases tiny] [--settings 1M,16M+64M]

Each turn is a process of its own (a fork, once the libraries are imported) that fixes the size above
which glibc takes a block from the system and gives it back when it is freed (and, after a plus, how much
it leaves free at the heap's end), builds a network in random weights, and passes one batch through it for
some seconds. Printed: the median CPU time of a pass, its ratio to the default allocator's of the same
round, the system's share of it, page faults of a pass, and the peak above the process with its libraries.
What was found is in docs/footprints.md.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import resource
import statistics
import time
from typing import Any

from dnallm_core.catalog import catalog
from dnallm_core.measuring.measure import _fewer_layers
from dnallm_core.measuring.run import (
    _one,
    _peak,
    _reset_peak,
    _resident,
    network,
    random_network,
)

CASES: dict[str, tuple[str, int | None, int, int]] = {  # model, blocks, rows, tokens
    "dnabert-6 23x350": ("dnabert-6", 2, 23, 350),
    "dnabert-6 32x350": ("dnabert-6", 2, 32, 350),
    "dnabert-6 12x350": ("dnabert-6", 2, 12, 350),
    "dnabert-6 4x128": ("dnabert-6", 2, 4, 128),
    "hyenadna 8 kb": ("hyenadna-medium-160k", 2, 1, 8000),
    "caduceus 8 kb": ("caduceus-ps-131k", 2, 1, 8000),
    "mamba-ecoli-tiny 32x512": ("mamba-ecoli-tiny", None, 32, 512),
    "gpn-ecoli-tiny 32x512": ("gpn-ecoli-tiny", None, 32, 512),
}
SETTINGS = ("1M", "16M+64M")
_MMAP, _TRIM = -3, -1  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD of malloc.h


def main() -> None:
    """Take the settings in turn, round by round."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cases", default="")
    parser.add_argument("--settings", default=",".join(SETTINGS))
    options = parser.parse_args()
    settings = ["default", *options.settings.split(",")]
    for case in CASES:
        if not any(part in case for part in options.cases.split(",")):
            continue
        model, layers, rows, tokens = CASES[case]
        manifest = catalog()[model]
        job = {
            "model": model, "device": "cpu", "dtype": "float32", "mode": "inference", "batch": rows,
            "tokens": tokens, "config": _fewer_layers(manifest, layers),
            "inputs": list(manifest.inputs), "threads": options.threads,
        }  # fmt: skip
        network(job)
        found: dict[str, list[tuple[float, float, float, int]]] = {each: [] for each in settings}
        for turn in range(options.rounds):
            for setting in settings if turn % 2 == 0 else reversed(settings):
                found[setting].append(_apart(job, setting, options.seconds, torch))
        for setting in settings:
            ratios = [
                mine[0] / default[0]
                for mine, default in zip(found[setting], found[settings[0]], strict=True)
            ]
            seconds = statistics.median(each[0] for each in found[setting])
            system = statistics.median(each[1] for each in found[setting])
            faults = statistics.median(each[2] for each in found[setting])
            peaks = "/".join(f"{each[3] / 1e6:.0f}" for each in found[setting])
            print(
                f"{case:26} {setting:8} {seconds * 1e3:8.1f} ms  x{statistics.median(ratios):.3f} "
                f"({' '.join(f'{each:.3f}' for each in ratios)})  system {system * 1e3:.1f} ms, "
                f"{faults / 1e3:.1f}k faults  {peaks} MB",
                flush=True,
            )


def _apart(
    job: dict[str, Any], setting: str, seconds: float, torch: Any
) -> tuple[float, float, float, int]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        if setting != "default":
            word, _, trim = setting.partition("+")
            threshold = int(word[:-1]) << 20
            library = ctypes.CDLL(None)
            assert library.mallopt(_MMAP, threshold) == 1
            if trim:
                assert library.mallopt(_TRIM, int(trim[:-1]) << 20) == 1
        torch.set_num_threads(job["threads"])
        implementation, settings = network(job)
        device = torch.device("cpu")
        gc.collect()
        before = _resident(device)
        module = random_network(implementation, settings, torch.float32, device)
        gc.collect()
        _reset_peak(device)
        started, passes = time.perf_counter(), []
        while time.perf_counter() - started < seconds or len(passes) < 3:
            begun = resource.getrusage(resource.RUSAGE_SELF)
            _one(module, job, device)
            ended = resource.getrusage(resource.RUSAGE_SELF)
            user, system = ended.ru_utime - begun.ru_utime, ended.ru_stime - begun.ru_stime
            passes.append((user + system, system, ended.ru_minflt - begun.ru_minflt))
        with os.fdopen(writing, "w") as pipe:
            middle = [statistics.median(each) for each in zip(*passes[1:], strict=True)]
            pipe.write(json.dumps([middle, _peak(device) - before]))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    middle, peak = json.loads(text)
    return (*middle, peak)


if __name__ == "__main__":
    main()
