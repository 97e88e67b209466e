"""Memory that a process freed and that its C library keeps, given back to the system."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache


def give_back_freed() -> None:
    """Return to the system every whole page that glibc's heap holds and nothing uses.

    Blocks of a network's pass that are freed in another order than they were taken leave holes into
    which the next ones, being aligned, do not fit (before glibc 2.38): the process grows part by part
    though nothing more is alive. Outside glibc nothing is done.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@lru_cache(maxsize=1)
def _trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library, another system
        return None
