"""Lengths of the sequences that a user has: the longest and the number of them, from BED or FASTA."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import IO, NamedTuple, cast

from ..errors import RequirementError


class Lengths(NamedTuple):
    """The longest sequence in bp, and how many there are."""

    longest: int
    number: int


def read_lengths(path: str | Path) -> Lengths:
    """The lengths of a BED file's regions or a FASTA file's records, plain or gzipped.

    Raises RequirementError with ``path:line`` for what is neither.
    """
    path = Path(path)
    try:
        with _opened(path) as lines:
            return _fasta(path, lines) if _is_fasta(path) else _bed(path, lines)
    except FileNotFoundError:
        raise _refused(f"There is no file {path}.") from None
    except (IsADirectoryError, PermissionError, UnicodeDecodeError, EOFError, gzip.BadGzipFile):
        raise _refused(f"{path} is no readable BED or FASTA file.") from None


def _opened(path: Path) -> IO[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    return cast("IO[str]", opener(path, "rt", encoding="utf-8"))


def _is_fasta(path: Path) -> bool:
    with _opened(path) as lines:
        return lines.read(1) == ">"


def _fasta(path: Path, lines: IO[str]) -> Lengths:
    longest = current = count = 0
    for line in lines:
        if line.startswith(">"):
            count += 1
            longest, current = max(longest, current), 0
        else:
            current += len(line.strip())
    longest = max(longest, current)
    if not longest:
        raise _refused(f"{path} holds no bases.")
    return Lengths(longest, count)


def _bed(path: Path, lines: IO[str]) -> Lengths:
    longest = count = 0
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if not fields or fields[0].startswith("#") or fields[0] in ("track", "browser"):
            continue
        try:
            size = int(fields[2]) - int(fields[1])
        except (IndexError, ValueError):
            raise _refused(
                f"{path}:{number}: neither FASTA nor a BED line of name, start and end."
            ) from None
        if size <= 0:
            raise _refused(f"{path}:{number}: the region ends where or before it starts.")
        longest, count = max(longest, size), count + 1
    if not count:
        raise _refused(f"{path} holds no regions.")
    return Lengths(longest, count)


def _refused(sentence: str) -> RequirementError:
    return RequirementError(sentence, requirement="lengths_from")
