"""Every substitution of a stretch: log-likelihood of each other base less that of the reference's.

Harmful is negative. As the models' authors score: a masked model with the base masked, in a window
around it, one forward pass for the three alternatives; a model of rates from one pass over the
unmasked sequence. Both strands are averaged.

Work is shared where that is exact. Where a model's receptive field lies within the window, windows
change nothing: a model of rates then scores thousands of bases in one pass, and a model that
``PredictsMaskedBases`` computes for each mask only what it changes. ``window="whole"`` asks for that
also where the field is wider than the published window: every base is then scored with all the
context that the network can see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..errors import CapabilityError, SequenceError
from .placed_windows import (
    BASES,
    PlacedWindows,
    base_ids,
    published_window,
    reverse_complement_of,
    special_ids,
)
from .protocols import (
    HasReceptiveField,
    PredictsBases,
    PredictsMaskedBases,
    PredictsRates,
    TakesAlignment,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from ..sequences.alignment import Alignment
    from .model import Model

    Window = int | Literal["whole"] | None

TOKENS = 16_384  # a batch of windows
PASS = 4096  # bases that a model of rates scores in one pass


@dataclass(frozen=True)
class Substitutions:
    """Effects of every substitution at some positions of a contig.

    ``positions`` (n,) 0-based; ``reference``: their bases; ``effects`` (n, 4) float32 in nats
    towards A, C, G, T, with 0 at the reference's own and NaN where the reference is no base.
    """

    positions: NDArray[np.int64]
    reference: str
    effects: NDArray[np.float32]

    def __iter__(self) -> Iterator[tuple[int, str, str, float]]:
        """(1-based position, reference base, alternative, effect), three a base."""
        for position, base, row in zip(self.positions, self.reference, self.effects, strict=True):
            for alternative, effect in zip(BASES, row, strict=True):
                if base in BASES and alternative != base:
                    yield int(position) + 1, base, alternative, float(effect)


def substitutions(
    model: Model,
    sequence: str,
    *,
    start: int = 0,
    end: int | None = None,
    positions: Sequence[int] | None = None,
    window: Window = None,
    both_strands: bool = True,
    alignment: Alignment | None = None,
    contig: str = "",
    offset: int = 0,
) -> Substitutions:
    """Every substitution in [start, end) of a contig, or at some 0-based ``positions`` of it.

    ``sequence``: the contig (its letters may be of either case), or as much of it as ``context_of``
    says, beginning at ``offset``; positions always count on the contig. ``window``: bp, default that
    of the model's authors, or ``whole`` (see above); ``alignment`` and ``contig``: for models that
    read one.

    Raises CapabilityError where the model cannot, SequenceError where stretch, sequence or alignment
    are no good.
    """
    import numpy as np
    import torch

    text = sequence.upper().replace("U", "T")
    if positions is None:
        first = max(start, offset) if end is None else start
        last = offset + len(text) if end is None else end
        if not offset <= first <= last <= offset + len(text):
            raise SequenceError(
                f"{start + 1:,} to {last:,} is no stretch of a sequence of {len(text):,} bp"
                + (f" that begins at {offset + 1:,}." if offset else "."),
                record=contig,
            )
        positions = range(first, last)
    wanted = np.asarray(positions, dtype=np.int64) - offset
    if len(wanted) and (wanted.min() < 0 or wanted.max() >= len(text)):
        raise SequenceError(
            f"A position lies outside a sequence of {len(text):,} bp (they are 0-based here).",
            record=contig,
        )
    reference = "".join(text[each] for each in wanted)
    scored = np.unique([p for p, base in zip(wanted, reference, strict=True) if base in BASES])
    effects = np.full((len(wanted), 4), np.nan, dtype=np.float32)
    if len(scored):
        with torch.inference_mode():
            table = _table(model, text, scored, window, both_strands, alignment, contig, offset)
        own = table[np.arange(len(scored)), [BASES.index(text[each]) for each in scored]]
        ratios = (table - own[:, None]).astype(np.float32)
        known = np.array([base in BASES for base in reference])
        effects[known] = ratios[np.searchsorted(scored, wanted[known])]
    return Substitutions(wanted + offset, reference, effects)


def context_of(
    model: Model, start: int, end: int, length: int, window: Window = None
) -> tuple[int, int]:
    """The stretch of a contig of ``length`` bp that the scores of [start, end) depend on."""
    if isinstance(model, PredictsRates) or _shares(model, window):
        assert isinstance(model, HasReceptiveField)
        reach = max(model.receptive_field())  # on either strand
        return max(0, start - reach), min(length, end + reach)
    size = min(_size(model, window, length), length)

    def begins(position: int) -> int:
        return min(max(position - size // 2, 0), length - size)

    return begins(start), begins(max(start, end - 1)) + size


def _table(
    model: Model,
    text: str,
    positions: NDArray[np.int64],
    window: Window,
    both_strands: bool,
    alignment: Alignment | None,
    contig: str,
    offset: int,
) -> NDArray[np.float64]:
    """Log-likelihoods (positions, 4) up to a constant a row, mean of the strands asked for."""
    strands = (False, True) if both_strands else (False,)
    if isinstance(model, PredictsRates):
        found = [_rates(model, text, positions, reverse) for reverse in strands]
    elif not isinstance(model, PredictsBases) or model.tokenizer.mask_id is None:
        raise CapabilityError(
            f"{model.manifest.id} predicts no masked base.",
            hint="Score listed variants with `dnallm variants` instead.",
        )
    elif _shares(model, window):
        found = [_shared(model, text, positions, reverse) for reverse in strands]
    else:
        size = _size(model, window, len(text))
        windows = PlacedWindows(
            model, text, window=size, alignment=alignment, contig=contig, offset=offset
        )
        found = _windowed(model, windows, positions, strands)
    return sum(found) / len(found)  # type: ignore[return-value]


def _shares(model: Any, window: Window) -> bool:
    """Whether each base's output is the same in its window and in the whole sequence."""
    bounded = isinstance(model, PredictsMaskedBases) and isinstance(model, HasReceptiveField)
    if not bounded:
        if window == "whole":
            raise CapabilityError(
                f"{model.manifest.id} has no bounded receptive field: it needs a window in bp."
            )
        return False
    if isinstance(model, TakesAlignment):
        return False
    before, after = special_ids(model)
    if before or after:
        return False
    if window == "whole":
        return True
    size = published_window(model) if window is None else window
    left, right = model.receptive_field()
    return left <= size // 2 and right <= size - size // 2 - 1


def _size(model: Model, window: Window, length: int) -> int:
    if window == "whole":
        return length
    size = published_window(model) if window is None else int(window)
    if size < 1:
        raise SequenceError(f"A window of {size} bp holds no base.")
    return size


def _shared(
    model: Any, text: str, positions: NDArray[np.int64], reverse: bool
) -> NDArray[np.float64]:
    """One mask after another over one sequence, of which only what can matter is looked at."""
    import torch

    left, right = model.receptive_field()
    low = max(0, int(positions[0]) - max(left, right))
    high = min(len(text), int(positions[-1]) + 1 + max(left, right))
    piece, places = text[low:high], positions - low
    if reverse:
        piece, places = reverse_complement_of(piece), len(piece) - 1 - places
    ids = torch.tensor(model.tokenizer.encode(piece, special_tokens=False).ids)
    logits = model.masked_logits(
        ids.to(model.device), torch.from_numpy(places).to(model.device), model.tokenizer.mask_id
    )
    return _towards_bases(logits, base_ids(model), reverse)


def _windowed(
    model: Any, windows: PlacedWindows, positions: NDArray[np.int64], strands: Sequence[bool]
) -> list[NDArray[np.float64]]:
    """Every base masked in a window of its own."""
    import numpy as np

    columns = base_ids(model)
    found: dict[bool, list[Any]] = {reverse: [] for reverse in strands}
    rows = max(1, TOKENS // windows.window)
    for stretch in windows.stretches(positions.tolist()):
        for first in range(0, len(stretch.positions), rows):
            places = range(first, min(first + rows, len(stretch.positions)))
            for reverse in strands:
                inputs, token = stretch.inputs(places, reverse=reverse)
                row = token.new_tensor(range(len(places)))
                inputs["input_ids"][row, token] = model.tokenizer.mask_id
                logits = model.token_logits(inputs)[row, token]
                found[reverse].append(_towards_bases(logits, columns, reverse))
    return [np.concatenate(found[reverse]) for reverse in strands]


def _rates(
    model: Any, text: str, positions: NDArray[np.int64], reverse: bool
) -> NDArray[np.float64]:
    """Log-rates from the unmasked sequence; beyond a contig's ends stand pads."""
    import numpy as np
    import torch

    left, right = model.receptive_field()
    if reverse:
        text, positions = reverse_complement_of(text), len(text) - 1 - positions
    pad = model.tokenizer.pad_id or 0
    shares = getattr(model, "shares_windows", True)
    found = np.empty((len(positions), 4))
    for chosen in _passes(positions, PASS if shares else 1):
        first, last = int(positions[chosen].min()), int(positions[chosen].max())
        low, high = first - left, last + 1 + right
        ids = model.tokenizer.encode(text[max(low, 0) : high], special_tokens=False).ids
        ids = [pad] * max(0, -low) + ids + [pad] * max(0, high - len(text))
        inputs = {"input_ids": torch.tensor([ids], device=model.device)}
        rates = model.substitution_logits(inputs)[0]
        found[chosen] = _towards_bases(
            rates[torch.from_numpy(positions[chosen] - first).to(rates.device)], range(4), reverse
        )
    return found


def _passes(positions: NDArray[np.int64], most: int) -> Iterator[NDArray[np.int64]]:
    """Indexes of positions in groups that span at most ``most`` bases."""
    import numpy as np

    order = np.argsort(positions, kind="stable")
    first = 0
    for at in range(1, len(order) + 1):
        if at == len(order) or positions[order[at]] - positions[order[first]] >= most:
            yield order[first:at]
            first = at


def _towards_bases(logits: Tensor, columns: Sequence[int], reverse: bool) -> NDArray[np.float64]:
    """(n, vocabulary) to (n, 4) towards the forward strand's A, C, G, T."""
    chosen = logits[:, list(columns)].double().cpu().numpy()
    return chosen[:, ::-1] if reverse else chosen
