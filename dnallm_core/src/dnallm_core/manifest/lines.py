"""Which line of a TOML file a value stands on: parsers keep no positions, so a scan finds them."""

from __future__ import annotations

import re
from collections.abc import Sequence

_HEADER = re.compile(r"^\s*\[\[?\s*(?P<path>[^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"^\s*(?P<key>\"[^\"]*\"|'[^']*'|[A-Za-z0-9_-]+(\s*\.\s*[A-Za-z0-9_-]+)*)\s*=")


def line_of(text: str, where: Sequence[str | int]) -> int:
    """The 1-based line of the deepest part of ``where`` that the scan can find."""
    wanted = tuple(str(each) for each in where)
    best, best_depth = 1, 0
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _split(header["path"])
            path = table
        elif key := _KEY.match(line):
            path = (*table, *_split(key["key"]))
        else:
            continue
        depth = _agreement(path, wanted)
        if depth == len(path) and depth > best_depth:
            best, best_depth = number, depth
    return best


def _split(dotted: str) -> tuple[str, ...]:
    parts = re.findall(r"\"[^\"]*\"|'[^']*'|[^.\s]+", dotted)
    return tuple(part.strip("\"'") for part in parts)


def _agreement(path: Sequence[str], wanted: Sequence[str]) -> int:
    depth = 0
    for left, right in zip(path, wanted, strict=False):
        if left != right:
            break
        depth += 1
    return depth
