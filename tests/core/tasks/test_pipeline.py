"""The three threads of a run: what they hold between two parts."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from dnallm_core.tasks.pipeline import Pipeline
from dnallm_core.tasks.progress import Progress
from dnallm_core.tasks.table import Table

BLOCK, BLOCKS = 100_000, 3_000  # bytes, below what glibc maps by itself


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library frees otherwise")
def test_what_a_part_freed_is_not_held_while_the_next_is_computed():
    pins, seen = [], []

    def compute(part):
        seen.append(resident())
        blocks = [bytearray(BLOCK) for _ in range(BLOCKS)]
        pins.append(blocks[-1])  # keeps the heap from ending before it
        return Table({"part": [str(part)]})

    Pipeline(
        enumerate(range(4)),
        prepare=lambda part: part,
        compute=compute,
        size=lambda _: 1,
        save=lambda number, table: None,
        progress=Progress(quiet=True),
    ).go()
    assert max(seen) - seen[0] < BLOCK * BLOCKS / 3
