"""Published benchmark results: what they say of a model in a task, and how far they can be trusted.

The records ship as data (``records.json.gz``, each with its source); ``names.json`` says which models
a benchmark's labels stand for, ``outside.json`` which tools outside the zoo are known to do better.
The method: filter to what was asked, rank inside groups of comparable numbers, average a benchmark's
groups to one percentile, weigh the benchmarks by who ran them, grade, and form tiers.
"""

from __future__ import annotations

from functools import lru_cache

from .judge import Evidence
from .table import read_table

__all__ = ["Evidence", "evidence", "subtasks"]


@lru_cache(maxsize=1)
def evidence() -> Evidence:
    """The published evidence, read once a process."""
    return Evidence(read_table())


def subtasks() -> tuple[str, ...]:
    """The words that ``subtask`` may have: those of the records."""
    return evidence().subtasks
