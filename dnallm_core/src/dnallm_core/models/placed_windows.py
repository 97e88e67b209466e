"""A window around each position of a contig, as ids, with its aligned rows where there are any.

Windows are as the published scores take them: ``window // 2`` bases before the position, the rest
from it on; at a contig's ends the window slides and keeps its size. The other strand reads the same
window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import CapabilityError, SequenceError
from .batching import check_length
from .protocols import TakesAlignment

if TYPE_CHECKING:
    from torch import Tensor

    from ..sequences.alignment import Alignment
    from .contig import Contig
    from .model import Model

BASES = "ACGT"
STRETCH = 4096  # bp whose aligned rows are fetched and encoded together
_COMPLEMENT = str.maketrans("ACGTacgtRYKMBDHVrykmbdhv", "TGCAtgcaYRMKVHDByrmkvhdb")


class PlacedWindows:
    """Windows of ``window`` bp of a contig, for a model whose tokens are single bases.

    ``alignment``: needed by a model that reads one, refused by one that doesn't; its species are
    put into the model's order (the manifest's ``extra.species``), and its reference row is held
    against the contig.

    Raises CapabilityError where the model does not fit, SequenceError where the alignment does not
    or the window is longer than the model takes.
    """

    def __init__(
        self, model: Model, contig: Contig, *, window: int, alignment: Alignment | None = None
    ) -> None:
        self.model, self.contig = model, contig
        self.window = min(window, len(contig))
        self.before, self.after = special_ids(model)
        tokens = len(self.before) + self.window + len(self.after)
        check_length(model, self.window, tokens, f"A window of {contig.name or 'the sequence'}")
        self.alignment = fitting(model, alignment)

    def start(self, position: int) -> int:
        """Where the window around a 0-based position begins."""
        return min(
            max(position - self.window // 2, self.contig.start), self.contig.end - self.window
        )

    def batches(
        self, positions: Sequence[int], rows: int
    ) -> Iterator[list[tuple[PlacedStretch, range]]]:
        """Sorted positions, ``rows`` at a time: each batch as pieces of stretches."""
        batch: list[tuple[PlacedStretch, range]] = []
        free = rows
        for stretch in self.stretches(positions):
            first = 0
            while first < len(stretch.positions):
                last = min(first + free, len(stretch.positions))
                batch.append((stretch, range(first, last)))
                free -= last - first
                first = last
                if not free:
                    yield batch
                    batch, free = [], rows
        if batch:
            yield batch

    def stretches(self, positions: Sequence[int]) -> Iterator[PlacedStretch]:
        """Sorted positions in groups whose windows overlap, their letters and rows encoded once."""
        first = 0
        for at, position in enumerate(positions):
            apart = at > 0 and position - positions[at - 1] >= self.window
            if apart or position - positions[first] >= STRETCH:
                yield PlacedStretch(self, positions[first:at])
                first = at
        if len(positions):
            yield PlacedStretch(self, positions[first:])


class PlacedStretch:
    """Positions near one another, and the encoded stretch that holds all their windows."""

    def __init__(self, windows: PlacedWindows, positions: Sequence[int]) -> None:
        self.positions = list(positions)
        self._windows = windows
        self._low = windows.start(self.positions[0])
        high = windows.start(self.positions[-1]) + windows.window
        self._text = windows.contig.letters(self._low, high)
        self._rows: list[str] | None = None
        if windows.alignment is not None:
            fetched = windows.alignment.fetch(
                windows.contig.name, self._low, high, reference=self._text
            )
            self._rows = fetched[1:]
        self._encoded: dict[bool, tuple[Tensor, Tensor | None]] = {}

    def inputs(
        self, places: Sequence[int], *, reverse: bool, letters: str | None = None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """What the network takes for the windows around some positions, and where each stands.

        ``places``: indexes into ``positions``; ``letters``: one for each, put at its position (on
        the forward strand) in place of the sequence's own. Returns inputs (places, tokens) and the
        token indexes (places,) of the positions.
        """
        import torch

        windows = self._windows
        ids, aux = self._strand(reverse)
        starts, tokens = [], []
        for place in places:
            position = self.positions[place]
            start = windows.start(position) - self._low
            at = position - self._low - start
            if reverse:
                start = len(self._text) - start - windows.window
                at = windows.window - 1 - at
            starts.append(start)
            tokens.append(at)
        spans = torch.tensor(starts)[:, None] + torch.arange(windows.window)
        chosen = ids[spans]
        token = torch.tensor(tokens)
        if letters is not None:
            of_strand = letters.translate(_COMPLEMENT) if reverse else letters
            chosen[torch.arange(len(token)), token] = torch.tensor(
                [single_id(windows.model, letter) for letter in of_strand]
            )
        inputs = {"input_ids": _framed(chosen, windows.before, windows.after)}
        if aux is not None:
            gaps_before = [0] * len(windows.before)
            gaps_after = [0] * len(windows.after)
            inputs["aux_features"] = _framed(aux[spans], gaps_before, gaps_after)
        device = windows.model.device
        moved = {name: tensor.to(device) for name, tensor in inputs.items()}
        return moved, (token + len(windows.before)).to(device)

    def _strand(self, reverse: bool) -> tuple[Tensor, Tensor | None]:
        """Ids (length,) and aligned ids (length, species) of the stretch on one strand."""
        import torch

        if reverse not in self._encoded:
            model = self._windows.model
            text, rows = self._text, self._rows
            if reverse:
                text = reverse_complement_of(text)
                rows = rows and [reverse_complement_of(row) for row in rows]
            ids = model.tokenizer.encode(text, special_tokens=False).ids
            if len(ids) != len(text):
                raise SequenceError(
                    f"{model.manifest.id} reads {len(text)} bases as {len(ids)} tokens; a window "
                    "around each base needs one token a base."
                )
            aux = None
            if rows is not None:
                assert isinstance(model, TakesAlignment)
                aux = model.encode_alignment(rows)
            self._encoded[reverse] = torch.tensor(ids), aux
        return self._encoded[reverse]


def fitting(model: Model, alignment: Alignment | None) -> Alignment | None:
    """The alignment with its species as the model reads them; see ``PlacedWindows``."""
    name = model.manifest.id
    if not isinstance(model, TakesAlignment):
        if alignment is not None:
            raise CapabilityError(f"{name} reads the sequence alone, no alignment.")
        return None
    if alignment is None:
        raise CapabilityError(
            f"{name} reads an alignment beside the sequence, and none was given.",
            hint="Give --alignment FILE (MAF, Zarr or aligned FASTA), or take a model that reads "
            "the sequence alone: `dnallm models --task variant-effect`.",
        )
    species = model.manifest.extra.get("species")
    if species and len(species) == model.aligned_species():
        return alignment.select(species)
    if len(alignment.species) != model.aligned_species():
        raise SequenceError(
            f"{name} reads {model.aligned_species()} aligned species; the alignment has "
            f"{len(alignment.species)} beside {alignment.reference}."
        )
    return alignment


def published_window(model: Model) -> int:
    """The window in bp that its authors score with: ``extra.window``.

    Where they state none, 512 bp, or 1,024 for a causal model, which sees one half of it at least
    before a variant; less where the model takes less.
    """
    stated = model.manifest.extra.get("window")
    if stated:
        return int(stated)
    usual = 1024 if model.manifest.direction == "causal" else 512
    most = model.manifest.max_length
    return usual if most is None else min(usual, most)


def single_id(model: Model, letter: str) -> int:
    """The id of one letter."""
    (found,) = model.tokenizer.encode(letter, special_tokens=False).ids
    return found


def base_ids(model: Model) -> list[int]:
    """The ids of A, C, G, T; CapabilityError where tokens are no single bases."""
    ids = [model.tokenizer.encode(base, special_tokens=False).ids for base in BASES]
    distinct = {each[0] for each in ids if len(each) == 1} - {model.tokenizer.unknown_id}
    pair = model.tokenizer.encode("AC", special_tokens=False).ids
    if len(distinct) != 4 or pair != [*ids[0], *ids[1]]:
        raise CapabilityError(f"{model.manifest.id}'s tokens are not single bases.")
    return [each[0] for each in ids]


def joined(
    pieces: Sequence[tuple[dict[str, Tensor], Tensor]],
) -> tuple[dict[str, Tensor], Tensor]:
    """What ``PlacedStretch.inputs`` gives for several stretches, as one batch."""
    import torch

    if len(pieces) == 1:
        return pieces[0]
    names = pieces[0][0]
    inputs = {name: torch.cat([each[name] for each, _ in pieces]) for name in names}
    return inputs, torch.cat([token for _, token in pieces])


def special_ids(model: Model) -> tuple[list[int], list[int]]:
    """The ids that the tokenizer puts before and behind a sequence."""
    encoding = model.tokenizer.encode("A", special_tokens=True)
    real = [index for index, (start, end) in enumerate(encoding.offsets) if end > start]
    base_ids(model)
    return encoding.ids[: real[0]], encoding.ids[real[-1] + 1 :]


def reverse_complement_of(row: str) -> str:
    """The other strand of a row; what is no base (gaps, unknown letters) stays as it is."""
    return row.translate(_COMPLEMENT)[::-1]


def _framed(chosen: Any, before: Sequence[int], after: Sequence[int]) -> Tensor:
    """(rows, tokens, …) with the same values before and behind each row."""
    import torch

    if not before and not after:
        return chosen
    rows, rest = chosen.shape[0], chosen.shape[2:]

    def block(values: Sequence[int]) -> Tensor:
        shape = (1, len(values), *[1] * len(rest))
        return torch.tensor(values, dtype=chosen.dtype).view(shape).expand(rows, -1, *rest)

    return torch.cat([block(before), chosen, block(after)], dim=1)
