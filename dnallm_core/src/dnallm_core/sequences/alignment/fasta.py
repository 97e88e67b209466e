"""Aligned FASTA: one record a genome, all of one length, gaps as ``-``."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import SequenceError, did_you_mean, nearest
from .alignment import GAP, Alignment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class FastaAlignment(Alignment):
    """An aligned FASTA file, held in memory; columns where the reference has a gap are left out.

    ``reference``: the record that positions count on (default: the first); ``contig``: what its
    sequence is called in the genome (default: the record's name). Raises SequenceError where
    records differ in length, share a name, or there are none.
    """

    def __init__(
        self, path: Path | str, *, reference: str | None = None, contig: str | None = None
    ) -> None:
        import numpy as np

        rows = _read(Path(path))
        lengths = {len(row) for row in rows.values()}
        if len(lengths) > 1:
            first = next(iter(rows))
            odd = next(name for name, row in rows.items() if len(row) != len(rows[first]))
            raise SequenceError(
                f"{path} is no alignment: {first!r} has {len(rows[first]):,} columns and {odd!r} "
                f"{len(rows[odd]):,}.",
                record=odd,
                hint="Align the sequences first, with mafft for example.",
            )
        name = reference if reference is not None else next(iter(rows))
        if name not in rows:
            raise SequenceError(
                f"{path} has no record {name!r} to be the reference.",
                record=name,
                hint=did_you_mean(nearest(name, rows)),
            )
        self.reference = name
        self.species = tuple(each for each in rows if each != name)
        letters = np.stack(
            [np.frombuffer(rows[each], dtype=np.uint8) for each in (name, *self.species)]
        )
        self._letters = np.ascontiguousarray(letters[:, letters[0] != GAP].T)
        self._contig = contig or name
        self.contigs = {self._contig: len(self._letters)}

    def columns(self, contig: str, start: int, end: int) -> NDArray[np.uint8]:
        """See ``Alignment.columns``."""
        return self._letters[start:end]


def _read(path: Path) -> dict[str, bytes]:
    """Records by name (the first word behind ``>``)."""
    opened = gzip.open if path.suffix in (".gz", ".bgz") else open
    rows: dict[str, list[bytes]] = {}
    current: list[bytes] | None = None
    with opened(path, "rb") as file:
        for line in file:
            text = line.strip()
            if text.startswith(b">"):
                name = text[1:].split()[0].decode("utf-8", "replace") if text[1:].split() else ""
                if not name or name in rows:
                    raise SequenceError(
                        f"{path} has two records called {name!r}."
                        if name
                        else f"{path} has a record without a name.",
                        record=name,
                    )
                current = rows[name] = []
            elif text:
                if current is None:
                    raise SequenceError(f"{path} is no FASTA file: it does not begin with '>'.")
                current.append(text.replace(b".", b"-"))
    if not rows:
        raise SequenceError(f"{path} holds no sequences.")
    return {name: b"".join(parts) for name, parts in rows.items()}
