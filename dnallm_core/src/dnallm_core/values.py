"""Values that people type: lengths, memory, durations, counts, words; and how they are shown."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .errors import RequirementError, did_you_mean, nearest

_NUMBER = re.compile(r"\s*([0-9][0-9_,]*(?:\.[0-9]+)?(?:[eE][0-9]+)?)\s*([A-Za-z]*)\s*")
_LENGTHS = {"": 1, "b": 1, "bp": 1, "nt": 1, "k": 10**3, "kb": 10**3, "kbp": 10**3, "m": 10**6,
            "mb": 10**6, "mbp": 10**6, "g": 10**9, "gb": 10**9, "gbp": 10**9}  # fmt: skip
_MEMORIES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
             "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
             "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}  # fmt: skip
_DURATIONS = {"": 1, "s": 1, "sec": 1, "second": 1, "seconds": 1, "min": 60, "m": 60, "minute": 60,
              "minutes": 60, "h": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400,
              "days": 86400}  # fmt: skip
_LONGEST = 10**12  # bp; the largest known genomes are below 2 * 10^11


def _measured(
    value: object, units: dict[str, int], requirement: str, noun: str, examples: str
) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise RequirementError(
            f"{requirement}: {value!r} is no {noun}.", requirement=requirement, hint=examples
        )
    if isinstance(value, (int, float)):
        number = float(value)
    else:
        found = _NUMBER.fullmatch(value)
        unit = units.get(found[2].lower()) if found else None
        if found is None or unit is None:
            raise RequirementError(
                f"{requirement}: {value!r} is no {noun}.", requirement=requirement, hint=examples
            )
        number = float(found[1].replace("_", "").replace(",", "")) * unit
    if not 0 < number < float("inf"):
        raise RequirementError(
            f"{requirement}: a {noun} of {value} is impossible: it must be above zero.",
            requirement=requirement,
            hint=examples,
        )
    return number


def length(value: object, requirement: str = "length") -> int:
    """Base pairs from ``12000``, ``"12_000"``, ``"12kb"`` or ``"1.5Mb"``."""
    hint = 'Write 12000, "12kb" or "1Mb".'
    number = _measured(value, _LENGTHS, requirement, "length", hint)
    if number != int(number) and not isinstance(value, str):
        raise RequirementError(
            f"{requirement}: {value!r} is no whole number of bp.",
            requirement=requirement,
            hint=hint,
        )
    if not 1 <= number <= _LONGEST:
        raise RequirementError(
            f"{requirement}: no sequence has {value} bp.", requirement=requirement, hint=hint
        )
    return round(number)


def memory(value: object, requirement: str = "memory") -> int:
    """Bytes from ``"24GB"`` (10^9), ``"24GiB"`` (2^30), or a number of bytes."""
    hint = 'Write "24GB", "24GiB" or bytes.'
    number = _measured(value, _MEMORIES, requirement, "amount of memory", hint)
    if number < 2**20:
        raise RequirementError(
            f"{requirement}: {value!r} is {show_memory(round(number))}, in which nothing runs.",
            requirement=requirement,
            hint=hint,
        )
    return round(number)


def duration(value: object, requirement: str = "time") -> float:
    """Seconds from ``"90s"``, ``"15min"``, ``"2h"``, or a number of seconds."""
    return _measured(value, _DURATIONS, requirement, "duration", 'Write "90s", "15min" or "2h".')


def count(value: object, requirement: str) -> int:
    """A whole number of at least one."""
    hint = "Write a whole number, 1 or more."
    number = _measured(value, {"": 1}, requirement, "number", hint)
    if number != int(number) or number < 1:
        raise RequirementError(
            f"{requirement}: {value!r} is no whole number.", requirement=requirement, hint=hint
        )
    return int(number)


def word(value: object, words: Iterable[str], requirement: str) -> str:
    """One of ``words``, letter case and underscores forgiven."""
    options = list(words)
    typed = str(value).strip().replace("_", "-").lower()
    for each in options:
        if each.lower() == typed:
            return each
    near = nearest(typed, options)
    raise RequirementError(
        f"{requirement}: there is no {value!r}.",
        requirement=requirement,
        hint=did_you_mean(near) or f"One of: {', '.join(options)}.",
    )


def show_length(bases: float) -> str:
    """``131,072 bp``."""
    return f"{int(bases):,} bp"


def show_memory(amount: float) -> str:
    """``83 GB``, ``1.42 GB``, ``310 MB``: 10^9 and 10^6, three figures."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if amount >= size:
            number = amount / size
            return f"{number:.3g} {unit}" if number < 999.5 else f"{number:.0f} {unit}"
    return f"{amount:.0f} B"


def show_duration(seconds: float) -> str:
    """``35 s``, ``12 min``, ``3.5 h``."""
    for unit, size in (("d", 86400 * 2), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / (86400 if unit == 'd' else size):.2g} {unit}"
    return f"{seconds:.2g} s"
