"""What a decision costs once everything is read: CPU time over that of listing the catalog.

    python benchmarks/selection.py

Prints the median CPU time of a decision on the real catalog and on 10,000 models, as multiples of
the time that ``models`` takes to list the real catalog, all in this process.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from statistics import median

from dnallm_core.catalog import catalog
from dnallm_core.evidence import evidence
from dnallm_core.resources import described
from dnallm_core.selection import Requirements, decide

GB = 10**9


def cpu_seconds(work: Callable[[], object], times: int) -> float:
    """Median CPU seconds of ``work``, after one run that is not counted."""
    work()
    taken = []
    for _ in range(times):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return median(taken)


def main() -> None:
    listing = cpu_seconds(lambda: list(catalog().values()), 7)
    models = list(catalog().values())
    many = [
        dataclasses.replace(
            models[number % len(models)], id=f"m-{number}", aliases=(f"lab/m-{number}",)
        )
        for number in range(10_000)
    ]
    resources, judge = described(24 * GB), evidence()

    def deciding(asked: dict[str, object], among: list[object]) -> Callable[[], object]:
        requirements = Requirements.of(asked)
        return lambda: decide(requirements, among, resources, judge)

    short = {"task": "classification", "domain": "human", "length": 500, "memory": "24GB"}
    variants = {"task": "variant-effect", "length": "1kb", "memory": "24GB"}
    rows = {
        f"listing {len(models)} models": listing,
        f"the next question, {len(models)} models": cpu_seconds(deciding(short, models), 7),
        "10,000 models, warm": cpu_seconds(deciding(variants, many), 3),
    }
    for name, value in rows.items():
        print(f"{name:<40}{1000 * value:>9.1f} ms{value / listing:>8.2f} x")


if __name__ == "__main__":
    main()
