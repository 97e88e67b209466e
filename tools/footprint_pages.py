"""Write ``docs/long-contexts.md``, what the largest long-context models need, from their footprints.

python tools/footprint_pages.py
"""

from __future__ import annotations

from pathlib import Path

from dnallm_core.catalog import catalog
from dnallm_core.footprint import Records, prediction
from dnallm_core.footprint.predict import Prediction
from dnallm_core.manifest.model import ModelManifest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/long-contexts.md"
FAMILIES = ("evo-1", "evo-2", "hyenadna")
LENGTHS = {"8 kb": 8_192, "131 kb": 131_072, "1 Mb": 1_000_000}
CARDS = {"24 GB": 24 * 10**9, "80 GB": 80 * 10**9}
STATE = ("key-value-cache", "recurrent-state")
INTRODUCTION = """\
# What long contexts need

Predicted for one sequence on one GPU in bfloat16, HyenaDNA in float32: peak memory of a forward pass
above that of the process with its libraries, as `dnallm select` and `dnallm compare` have it. Weights
are exact. State is what is carried from one part of a long input to the next, and while bases are
decoded: keys and values of the attention blocks, which grow with the length, and the constant state of
the Hyena blocks; both follow from the sizes of the network (HyenaDNA has no such state: it keeps its
past while it decodes). The rest of the peak rests on runs of these
networks' blocks on a CPU, scaled by shape where the last column says so; **nothing here has been run on
a GPU**, and of the Evo models only the 1B has been run whole. A length in brackets is beyond what the
model was trained on.

Written by `python tools/footprint_pages.py` from the manifests and their records.
"""


def main() -> None:
    """Write the page."""
    records = Records()
    heads = [f"state at {each}" for each in LENGTHS] + [f"peak at {each}" for each in LENGTHS]
    heads += [f"longest on {each}" for each in CARDS]
    lines = [
        f"| model | parameters | weights | {' | '.join(heads)} | the rest of the peak |",
        f"|{'---|' * (len(heads) + 4)}",
    ]
    for model in catalog().values():
        if model.family in FAMILIES:
            lines.append(_row(model, records))
    PAGE.write_text(INTRODUCTION + "\n" + "\n".join(lines) + "\n" + _ENDING, encoding="utf-8")


_ENDING = """
What does not fit on one card: `dnallm select --memory 24GB --devices 4` says on how many it would, and
`load(..., device_map="auto")` or `--device-map auto` puts whole blocks on several, in main memory and on
disk. `dnallm measure MODEL` replaces predictions by what your machine shows.
"""


def _row(model: ModelManifest, records: Records) -> str:
    dtype = "float32" if model.architecture == "long-convolution" else "bfloat16"
    cost = prediction(model, dtype=dtype, device="cuda", records=records)
    carried = prediction(model, dtype=dtype, device="cuda", records=records, cache=True)
    cells = [_state(model, carried, length) for length in LENGTHS.values()]
    cells += [_peak(model, cost, length) for length in LENGTHS.values()]
    cells += [_longest(model, cost.longest(memory)) for memory in CARDS.values()]
    weights = next(each.constant for each in cost.growths if each.name == "weights")
    return (
        f"| {model.id} | {model.parameters or 0:,} | {_bytes(weights)} | {' | '.join(cells)} "
        f"| {cost.basis} |"
    )


def _too_long(model: ModelManifest, length: int) -> bool:
    return model.max_length is not None and length > model.max_length * 1.001


def _state(model: ModelManifest, cost: Prediction, length: int) -> str:
    if model.architecture == "long-convolution":
        return ""
    tokens = cost.tokens(length)
    growths = {each.name: each for each in cost.growths if each.name in STATE}
    held = sum(each.constant + each.per_token * tokens for each in growths.values())
    return _in_brackets(_bytes(held), model, length)


def _peak(model: ModelManifest, cost: Prediction, length: int) -> str:
    if model.length_limit == "hard" and _too_long(model, length):
        return ""
    return _in_brackets(_bytes(cost.total(length)), model, length)


def _longest(model: ModelManifest, length: int) -> str:
    if length < 1:
        return "-"
    most = model.max_length or length
    return "all" if length >= most else f"{length:,} bp"


def _in_brackets(said: str, model: ModelManifest, length: int) -> str:
    return f"[{said}]" if _too_long(model, length) else said


def _bytes(amount: float) -> str:
    if amount >= 10**9:
        return f"{amount / 1e9:,.1f} GB"
    return f"{amount / 1e6:,.0f} MB"


if __name__ == "__main__":
    main()
