"""Lines of a table in a genome's order, sorted on disk where they are too many for memory."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

IN_MEMORY = 1 << 19  # lines that are sorted at once
Placed = tuple[str, int, str]  # contig, position, line without its end


def in_genome_order(
    rows: Iterable[Placed], contigs: Sequence[str], folder: Path
) -> tuple[list[str], Iterator[str]]:
    """The contigs that occur, in order, and the lines sorted by contig and position.

    Contigs come as in ``contigs``, and others behind them as they are met. Lines of one place keep
    their order. ``folder`` holds what is sorted and waits; its files go as they are read.
    """
    rank = {name: number for number, name in enumerate(dict.fromkeys(contigs))}
    seen: set[str] = set()
    waiting: list[Path] = []
    rest = iter(rows)
    last: list[tuple[int, int, str]] = []
    while held := list(islice(rest, IN_MEMORY)):
        if last:
            waiting.append(_put_down(last, folder / f"sorted-{len(waiting)}"))
        for contig, _, _ in held:
            if contig not in seen:
                seen.add(contig)
                rank.setdefault(contig, len(rank))
        last = [(rank[contig], position, line) for contig, position, line in held]
        last.sort(key=_place)
    runs: list[Iterable[tuple[int, int, str]]] = [*map(_taken_up, waiting), last]
    merged = heapq.merge(*runs, key=_place)  # stable: earlier runs first
    return [name for name in rank if name in seen], (line for _, _, line in merged)


def _place(row: tuple[int, int, str]) -> tuple[int, int]:
    return row[:2]


def _put_down(rows: list[tuple[int, int, str]], path: Path) -> Path:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{rank}\t{position}\t{line}\n" for rank, position, line in rows)
    return path


def _taken_up(path: Path) -> Iterator[tuple[int, int, str]]:
    with path.open(encoding="utf-8", newline="\n") as file:
        for text in file:
            rank, position, line = text[:-1].split("\t", 2)
            yield int(rank), int(position), line
    path.unlink()
