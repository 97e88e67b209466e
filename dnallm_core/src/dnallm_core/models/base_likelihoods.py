"""Log-likelihoods of the four bases at places of a contig, with work shared where that is exact.

A masked model has the base masked, in a window around it: one forward pass for all alternatives. A
model of rates reads them off one pass over the unmasked sequence. Where a model's receptive field
lies within the window, windows change nothing: thousands of bases then share a pass over rates, and
a model that ``PredictsMaskedBases`` computes for each mask only what it changes.

Wild-type marginals (Meier et al. 2021, 10.1101/2021.07.09.450648) read a masked model's answer for
every base off one pass in which nothing is masked: hundreds of times less work than a mask a base,
and another number, since the model has seen the base. Windows of W bp then begin at every multiple
of W / 2, and a base is read in the one in whose middle half it stands.

Which letters a number depends on is a function of the position, the contig's ends and the settings
alone: neighbours change how work is shared, and roundings, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ..errors import CapabilityError, SequenceError
from .batching import TOKENS_A_BATCH
from .placed_windows import (
    PlacedWindows,
    base_ids,
    fitting,
    joined,
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
    from .contig import Contig
    from .model import Model

    Window = int | Literal["whole"] | None
    Marginal = Literal["masked", "wild-type"]

MARGINALS = ("masked", "wild-type")
PASS = 4096  # bases that a model of rates scores in one pass


def scores_substitutions(model: Model) -> bool:
    """Whether ``log_likelihoods`` is for this model: rates, or masks of one base each."""
    if isinstance(model, PredictsRates):
        return True
    if model.manifest.direction != "bidirectional" or not isinstance(model, PredictsBases):
        return False
    return model.tokenizer.mask_id is not None and model.tokenizer.base_ids is not None


def log_likelihoods(
    model: Model,
    contig: Contig,
    positions: NDArray[np.int64],
    *,
    window: Window = None,
    both_strands: bool = True,
    alignment: Alignment | None = None,
    marginal: Marginal = "masked",
    tokens: int = TOKENS_A_BATCH,
) -> NDArray[np.float64]:
    """Of A, C, G, T at each position (n, 4), in nats up to a constant a row.

    ``positions``: 0-based, sorted, each once. ``marginal``: see above. The mean of the strands, as
    the authors score; one strand is computed alone where the network gives the other the same
    numbers (equivariance).

    Raises CapabilityError where the model predicts no masked base.
    """
    import torch

    # rates are called equivariant where the convolutions are and the norms are not quite
    same = model.manifest.reverse_complement == "equivariant" and not isinstance(
        model, PredictsRates
    )
    strands = (False, True) if both_strands and not same else (False,)
    with torch.inference_mode():
        if isinstance(model, PredictsRates):
            fitting(model, alignment)
            found = [_rates(model, contig, positions, reverse, tokens) for reverse in strands]
        elif not isinstance(model, PredictsBases) or model.tokenizer.mask_id is None:
            raise CapabilityError(
                f"{model.manifest.id} predicts no masked base.",
                hint="Score listed variants with `dnallm variants` instead.",
            )
        elif marginal == "wild-type":
            size = _size(model, window, len(contig))
            windows = PlacedWindows(model, contig, window=size, alignment=alignment)
            found = _unmasked(model, windows, positions, strands, tokens)
        elif _shares(model, window):
            fitting(model, alignment)
            found = [_shared(model, contig, positions, reverse) for reverse in strands]
        else:
            size = _size(model, window, len(contig))
            windows = PlacedWindows(model, contig, window=size, alignment=alignment)
            found = _windowed(model, windows, positions, strands, tokens)
    return sum(found) / len(found)  # type: ignore[return-value]


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
    model: Any, contig: Contig, positions: NDArray[np.int64], reverse: bool
) -> NDArray[np.float64]:
    """One mask after another over one stretch, of which only what can matter is looked at."""
    import numpy as np
    import torch

    reach = max(model.receptive_field())
    found = []
    for near in _groups(positions, gap=2 * reach + 1):
        low = max(contig.start, int(near[0]) - reach)
        piece = contig.letters(low, int(near[-1]) + 1 + reach)
        places = near - low
        if reverse:
            piece, places = reverse_complement_of(piece), len(piece) - 1 - places
        ids = torch.tensor(model.tokenizer.encode(piece, special_tokens=False).ids)
        logits = model.masked_logits(
            ids.to(model.device),
            torch.from_numpy(places.copy()).to(model.device),
            model.tokenizer.mask_id,
        )
        found.append(_towards_bases(logits, base_ids(model), reverse))
    return np.concatenate(found)


def _windowed(
    model: Any,
    windows: PlacedWindows,
    positions: NDArray[np.int64],
    strands: Sequence[bool],
    tokens: int,
) -> list[NDArray[np.float64]]:
    """Every base masked in a window of its own."""
    import numpy as np

    columns = base_ids(model)
    found: dict[bool, list[Any]] = {reverse: [] for reverse in strands}
    rows = max(1, tokens // windows.window)
    for batch in windows.batches(positions.tolist(), rows):
        for reverse in strands:
            inputs, token = joined(
                [stretch.inputs(places, reverse=reverse) for stretch, places in batch]
            )
            row = token.new_tensor(range(len(token)))
            inputs["input_ids"][row, token] = model.tokenizer.mask_id
            logits = model.token_logits(inputs)[row, token]
            found[reverse].append(_towards_bases(logits, columns, reverse))
    return [np.concatenate(found[reverse]) for reverse in strands]


def _unmasked(
    model: Any,
    windows: PlacedWindows,
    positions: NDArray[np.int64],
    strands: Sequence[bool],
    tokens: int,
) -> list[NDArray[np.float64]]:
    """Every base in its window with all others, none of them masked."""
    import numpy as np

    size, contig = windows.window, windows.contig
    step = max(size // 2, 1)
    starts = (positions - size // 4) // step * step
    starts = np.clip(starts, contig.start, contig.end - size)
    each, number = np.unique(starts, return_inverse=True)
    within = positions - starts
    columns, before = base_ids(model), len(windows.before)
    found = {reverse: np.empty((len(positions), 4)) for reverse in strands}
    done = 0
    for batch in windows.batches((each + size // 2).tolist(), max(1, tokens // size)):
        count = sum(len(places) for _, places in batch)
        first, last = np.searchsorted(number, [done, done + count])
        row, at = number[first:last] - done, within[first:last]
        for reverse in strands:
            inputs, token = joined(
                [stretch.inputs(places, reverse=reverse) for stretch, places in batch]
            )
            logits = model.token_logits(inputs)
            place = before + (size - 1 - at if reverse else at)
            chosen = logits[token.new_tensor(row), token.new_tensor(place)]
            found[reverse][first:last] = _towards_bases(chosen, columns, reverse)
        done += count
    return [found[reverse] for reverse in strands]


def _rates(
    model: Any, contig: Contig, positions: NDArray[np.int64], reverse: bool, tokens: int
) -> NDArray[np.float64]:
    """Log-rates from the unmasked sequence; beyond a contig's ends stand pads."""
    import numpy as np
    import torch

    left, right = model.receptive_field()
    if reverse:
        left, right = right, left  # of the forward strand
    pad = model.tokenizer.pad_id or 0
    # a network that looks at whole rows gets a window of its own field for every position
    most = PASS if getattr(model, "shares_windows", True) else 1
    groups = list(_groups(positions, gap=left + right + 1, span=most))
    found: list[Any] = [None] * len(groups)
    for batch in _batched([int(near[-1] - near[0]) + left + 1 + right for near in groups], tokens):
        rows = []
        for number in batch:
            low, high = int(groups[number][0]) - left, int(groups[number][-1]) + 1 + right
            text = contig.letters(low, high)
            before, behind = max(0, contig.start - low), max(0, high - contig.end)
            if reverse:
                text, before, behind = reverse_complement_of(text), behind, before
            ids = model.tokenizer.encode(text, special_tokens=False).ids
            rows.append([pad] * before + ids + [pad] * behind)
        longest = max(map(len, rows))
        # the network does not pad, so that nothing reads what fills the shorter rows
        ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows])
        rates = model.substitution_logits({"input_ids": ids.to(model.device)})
        for place, number in enumerate(batch):
            near = groups[number]
            at = near[-1] - near if reverse else near - near[0]
            chosen = rates[place, torch.from_numpy(at.copy()).to(rates.device)]
            found[number] = _towards_bases(chosen, range(4), reverse)
    return np.concatenate(found)


def _groups(
    positions: NDArray[np.int64], *, gap: int, span: int | None = None
) -> Iterator[NDArray[np.int64]]:
    """Sorted positions cut where neighbours are ``gap`` or more apart, or ``span`` is reached."""
    first = 0
    for at in range(1, len(positions) + 1):
        if (
            at == len(positions)
            or positions[at] - positions[at - 1] >= gap
            or (span is not None and positions[at] - positions[first] >= span)
        ):
            yield positions[first:at]
            first = at


def _batched(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Indexes of rows in batches of similar length, of at most ``tokens`` or one row."""
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    at = 0
    while at < len(order):
        most = max(1, tokens // lengths[order[at]])
        yield order[at : at + most]
        at += most


def _towards_bases(logits: Tensor, columns: Sequence[int], reverse: bool) -> NDArray[np.float64]:
    """(n, vocabulary) to (n, 4) towards the forward strand's A, C, G, T."""
    chosen = logits[:, list(columns)].double().cpu().numpy()
    return chosen[:, ::-1] if reverse else chosen
