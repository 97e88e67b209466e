"""What every alignment offers, whatever its file: columns of letters at the reference's positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ...errors import SequenceError, did_you_mean, nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GAP = ord("-")


class Alignment:
    """Other genomes laid along a reference: one column a position of the reference, no more.

    ``reference``: its name; ``species``: the others, in the order of the rows; ``named``: whether
    the file itself says which species they are; ``contigs``: the reference's sequences and their
    lengths (None where the file does not say).
    """

    reference: str
    species: tuple[str, ...]
    named: bool = True
    contigs: Mapping[str, int | None]

    def columns(self, contig: str, start: int, end: int) -> NDArray[np.uint8]:
        """Letters (end - start, 1 + species) as bytes, the reference's first; ``-`` is no base."""
        raise NotImplementedError

    def fetch(
        self, contig: str, start: int, end: int, *, reference: str | None = None
    ) -> list[str]:
        """Rows of [start, end), 0-based, one string a species, the reference's first.

        ``reference``: the same stretch of the genome that is being studied, against which the first
        row is held, and which stands for it in the answer.

        Raises SequenceError where the contig is unknown, the stretch lies beyond its ends, or the
        reference row disagrees with the genome.
        """
        name = self.contig(contig)
        length = self.contigs[name]
        if start < 0 or end < start or (length is not None and end > length):
            extent = "" if length is None else f", which has {length:,} bp in the alignment"
            raise SequenceError(
                f"{start + 1:,} to {end:,} is no stretch of {contig}{extent}.", record=contig
            )
        letters = self.columns(name, start, end)
        rows = [bytes(row).decode("ascii", "replace") for row in letters.T.copy()]
        if reference is not None:
            rows[0] = checked_reference(rows[0], reference, contig, start)
        return rows

    def contig(self, name: str) -> str:
        """The alignment's own spelling of a contig's name, with or without ``chr``."""
        other = name[3:] if name.startswith("chr") else f"chr{name}"
        for each in (name, other):
            if each in self.contigs:
                return each
        raise SequenceError(
            f"The alignment has no contig {name!r}.",
            record=name,
            hint=did_you_mean(nearest(name, self.contigs))
            or f"It has {_some(sorted(self.contigs))}.",
        )

    def select(self, species: Sequence[str], *, missing: str = "error") -> Alignment:
        """The same alignment with these species, in this order.

        ``missing``: ``error``, or ``gap`` to lay a row of gaps for a species that it lacks. Where
        the file names no species they are taken to be these, if there are as many.
        """
        if not self.named:
            if len(species) != len(self.species):
                raise SequenceError(
                    f"The alignment holds {len(self.species)} species beside the reference and "
                    f"does not name them; {len(species)} are asked for."
                )
            return SelectedAlignment(self, species, range(len(species)))
        place = {name: number for number, name in enumerate(self.species)}
        absent = [name for name in species if name not in place]
        if absent and missing != "gap":
            raise SequenceError(
                f"The alignment lacks {len(absent)} of the {len(species)} species asked for: "
                f"{_some(absent)}.",
                hint='missing="gap" lays gaps in their place, which costs the model what it knows '
                "from them.",
            )
        return SelectedAlignment(self, species, [place.get(name) for name in species])


class SelectedAlignment(Alignment):
    """Chosen rows of another alignment; None is a row of gaps."""

    def __init__(
        self, whole: Alignment, species: Sequence[str], places: Sequence[int | None]
    ) -> None:
        self.whole, self.reference, self.contigs = whole, whole.reference, whole.contigs
        self.species = tuple(species)
        self._places = list(places)

    def columns(self, contig: str, start: int, end: int) -> NDArray[np.uint8]:
        """See ``Alignment.columns``."""
        import numpy as np

        letters = self.whole.columns(contig, start, end)
        chosen = np.full((len(letters), 1 + len(self.species)), GAP, dtype=np.uint8)
        chosen[:, 0] = letters[:, 0]
        for column, place in enumerate(self._places, start=1):
            if place is not None:
                chosen[:, column] = letters[:, 1 + place]
        return chosen


def checked_reference(row: str, reference: str, contig: str, start: int) -> str:
    """The genome's sequence, held against the alignment's first row.

    A gap or an ambiguous letter on either side contradicts nothing. Raises SequenceError with the
    first position (1-based) that disagrees, and how many do.
    """
    if len(row) != len(reference):
        raise SequenceError(
            f"The alignment gives {len(row)} positions of {contig}; the genome has {len(reference)} "
            "there.",
            record=contig,
        )
    wrong = [
        at
        for at, (ours, theirs) in enumerate(zip(reference.upper(), row.upper(), strict=True))
        if ours != theirs and ours in "ACGT" and theirs in "ACGT"
    ]
    if wrong:
        at = wrong[0]
        others = f", and {len(wrong) - 1} more disagree near it" if len(wrong) > 1 else ""
        raise SequenceError(
            f"The alignment's reference is not this genome: at {contig}:{start + at + 1:,} it has "
            f"{row[at].upper()}, the genome {reference[at].upper()}{others}.",
            record=contig,
            position=start + at + 1,
            character=row[at],
            hint="Alignments belong to one assembly: multiz100way to GRCh38 (hg38).",
        )
    return reference


def _some(names: Sequence[str], most: int = 5) -> str:
    listed = ", ".join(names[:most])
    return listed + (f" and {len(names) - most} more" if len(names) > most else "")
