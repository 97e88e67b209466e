"""Pictures of a region, PNG or SVG by matplotlib: a scan's heat map and logo, an attribution's logo.

The letters are matplotlib's own text paths, scaled to their heights: a library for logos would bring
pandas with it and draw the same four shapes.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OutputError, RequirementError
from ..sequences.alphabet import BASES
from .table import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LINE = 120  # bases a row of the picture
MOST = 1200  # bases that can still be told apart in one picture
ENDINGS = (".png", ".svg", ".pdf")
COLOURS = {"A": "#3f7d3a", "C": "#1b6ca8", "G": "#c98a00", "T": "#b3322a"}


class Drawing:
    """A picture that is drawn once a run is whole. ``what``: ``scan`` or ``attribution``.

    Raises OutputError for an ending that is no picture, RequirementError without matplotlib: when it
    is made, before any work.
    """

    def __init__(self, path: Path, what: str) -> None:
        if path.suffix.lower() not in ENDINGS:
            raise OutputError(
                f"{path.name}: its ending names no picture.",
                hint=f"Use one of {', '.join(ENDINGS)}.",
            )
        if not path.absolute().parent.is_dir():
            raise OutputError(f"There is no folder {path.parent} to draw into.")
        try:
            importlib.import_module("matplotlib")
        except ModuleNotFoundError:
            raise RequirementError(
                "For a figure, matplotlib is needed, which is not installed.",
                hint="pip install 'dnallm-core[figures]' brings it.",
            ) from None
        self.path, self.what = path, what

    def check(self, bases: int) -> None:
        """Raise RequirementError where a picture would show more bases than eyes tell apart."""
        if bases > MOST:
            raise RequirementError(
                f"A figure shows {MOST:,} bases at most, and these are {bases:,}.",
                hint="Draw a --region, or leave --figure out and look at a bigWig in a browser.",
            )

    def draw(self, tables: Iterable[Table]) -> None:
        """Draw the rows of a run."""
        (_scan if self.what == "scan" else _attribution)(self.path, tables)


def _scan(path: Path, tables: Iterable[Table]) -> None:
    """Effects towards each base as colours; above them the reference, as high as it is constrained."""
    import numpy as np

    places: dict[tuple[str, int], int] = {}
    rows: list[tuple[int, int, float]] = []
    letters: list[str] = []
    for table in tables:
        for chrom, pos, ref, alt, effect in zip(
            *(table[name] for name in ("chrom", "pos", "ref", "alt", "effect")), strict=True
        ):
            column = places.setdefault((chrom, int(pos)), len(places))
            if column == len(letters):
                letters.append(ref)
            rows.append((BASES.index(alt), column, float(effect)))
    effects = np.full((4, len(letters)), np.nan)
    for base, column, effect in rows:
        effects[base, column] = effect
    # P(base | context) from the log-ratios to the reference's own, whose is 0; in bits
    ratios = np.nan_to_num(effects, nan=0.0)
    chances = np.exp(ratios - ratios.max(0))
    chances /= chances.sum(0)
    content = 2 + (chances * np.log2(np.maximum(chances, 1e-12))).sum(0)
    heights = chances * content  # of each letter, as in a logo of counts
    _figure(path, list(places), letters, heights, effects, "bits")


def _attribution(path: Path, tables: Iterable[Table]) -> None:
    """The sequence's letters, as high as their shares."""
    import numpy as np

    places: list[tuple[str, int]] = []
    letters: list[str] = []
    values: list[float] = []
    for table in tables:
        places += [
            (chrom, int(at) + 1) for chrom, at in zip(table["chrom"], table["start"], strict=True)
        ]
        letters += list(table["base"])
        values += [float(each) for each in table["value"]]
    if len(letters) > MOST:
        raise RequirementError(
            f"A figure shows {MOST:,} bases at most, and these are {len(letters):,}."
        )
    heights = np.zeros((4, len(letters)))
    for column, (letter, value) in enumerate(zip(letters, values, strict=True)):
        if letter in BASES:
            heights[BASES.index(letter), column] = value
    _figure(path, places, letters, heights, None, "share")


def _figure(
    path: Path,
    places: list[tuple[str, int]],
    letters: list[str],
    heights: NDArray[np.float64],
    effects: NDArray[np.float64] | None,
    unit: str,
) -> None:
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = _lines(places)
    each = 2 if effects is not None else 1
    widest = max((last - first for first, last in lines), default=1)
    figure = Figure(
        figsize=(max(4.5, 0.13 * widest + 1.6), (1.05 * each + 0.75) * max(len(lines), 1) + 0.4),
        dpi=150, layout="constrained",
    )  # fmt: skip
    FigureCanvasAgg(figure)
    axes = figure.subplots(each * max(len(lines), 1), 1, squeeze=False)[:, 0]
    top = float(np.where(heights > 0, heights, 0).sum(0).max(initial=0)) or 1.0
    low = float(np.where(heights < 0, heights, 0).sum(0).min(initial=0))
    limit = 1.0
    if effects is not None and np.isfinite(effects).any():
        limit = float(np.nanquantile(np.abs(effects), 0.99)) or 1.0
    image = None
    for number, (first, last) in enumerate(lines):
        chrom, start = places[first]
        logo = axes[each * number]
        _logo(logo, heights[:, first:last])
        logo.set_ylim(1.05 * low, 1.05 * top)
        logo.set_xlim(-0.5, widest - 0.5)
        logo.set_ylabel(unit)
        logo.set_title(f"{chrom}:{start:,}-{places[last - 1][1]:,}", loc="left", fontsize=9)
        for side in ("top", "right"):
            logo.spines[side].set_visible(False)
        _ticks(logo, start, last - first, labelled=effects is None)
        if effects is None:
            continue
        heat = axes[each * number + 1]
        shown = np.full((4, widest), np.nan)
        shown[:, : last - first] = effects[:, first:last]
        image = heat.imshow(
            shown, aspect="auto", cmap="RdBu", vmin=-limit, vmax=limit, interpolation="nearest"
        )
        heat.set_yticks(range(4), list(BASES), fontsize=7)
        for column, letter in enumerate(letters[first:last]):
            if letter in BASES:  # the reference's own
                heat.plot(column, BASES.index(letter), ".", color="#444444", markersize=2)
        _ticks(heat, start, last - first, labelled=True)
    if image is not None:
        bar = figure.colorbar(image, ax=list(axes), fraction=0.02, pad=0.01)
        bar.set_label("effect (nats; harmful is negative)", fontsize=8)
        bar.ax.tick_params(labelsize=7)
    scratch = path.with_name(f".{path.name}.writing{path.suffix}")
    figure.savefig(scratch, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
    scratch.replace(path)


def _lines(places: list[tuple[str, int]]) -> list[tuple[int, int]]:
    """Stretches [first, last) of columns that follow one another on a contig, ``LINE`` at most."""
    found: list[tuple[int, int]] = []
    first = 0
    for at in range(1, len(places) + 1):
        apart = at == len(places) or (
            places[at] != (places[at - 1][0], places[at - 1][1] + 1) or at - first == LINE
        )
        if apart:
            found.append((first, at))
            first = at
    return found


def _ticks(axis: Any, start: int, count: int, *, labelled: bool) -> None:
    """Positions on the contig, every tenth."""
    columns = [at for at in range(count) if (start + at) % 10 == 0]
    axis.set_xticks(columns, [f"{start + at:,}" for at in columns] if labelled else [], fontsize=7)
    axis.tick_params(axis="y", labelsize=7)


def _logo(axis: Any, heights: NDArray[np.float64]) -> None:
    """Letters stacked in each column, the highest outermost; those below zero hang from it."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import PathPatch
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    font = FontProperties(family="DejaVu Sans", weight="bold")
    shapes = {base: TextPath((0, 0), base, size=1, prop=font) for base in BASES}
    axis.axhline(0, color="#888888", linewidth=0.5)
    for column in range(heights.shape[1]):
        for sign in (1, -1):
            at = 0.0
            some = [(abs(each), base) for each, base in zip(heights[:, column], BASES, strict=True)
                    if each * sign > 0]  # fmt: skip
            for height, base in sorted(some):
                box = shapes[base].get_extents()
                move = (
                    Affine2D()
                    .translate(-box.x0, -box.y0)
                    .scale(0.9 / box.width, height / box.height)
                    .translate(column - 0.45, at if sign > 0 else -at - height)
                )
                patch = PathPatch(
                    move.transform_path(shapes[base]), facecolor=COLOURS[base], linewidth=0
                )
                axis.add_patch(patch)
                at += height
