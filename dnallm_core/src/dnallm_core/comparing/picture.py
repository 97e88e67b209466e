"""A comparison as a picture: memory and time against length, evidence by task. Plain SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from ..values import show_duration, show_memory
from . import Comparison

PANEL, HEIGHT = 420, 340
LEFT, TOP, BOTTOM = 80, 60, 50
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
SHADES = {"A": "#1b7837", "B": "#7fbf7b", "C": "#d9d9d9"}
SHOWN = 14  # blocks of evidence that are drawn
ROW, NAMES, CELL = 20, 380, 130

Line = Sequence[tuple[float, float] | None]  # an interval at each length


def draw(found: Comparison) -> str:
    """An SVG document: two panels with logarithmic axes, and a table of tiers under them."""
    lines = found.evidence[:SHOWN]
    table = 40 + ROW * (len(lines) + 2) if lines else 0
    width = max(2 * PANEL + 40, NAMES + CELL * len(found.models) + 10 if lines else 0)
    height = HEIGHT + table
    memory = [[None if each is None else (float(each), float(each)) for each in model.memory]
              for model in found.models]  # fmt: skip
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        *_names(found),
        *_panel(found, 0, f"Peak memory on {found.device}", memory, show_memory),
        *_panel(found, PANEL, "Time of one sequence, as an interval",
                [model.time for model in found.models], show_duration),
        *(_table(found, HEIGHT + 20) if lines else ()),
    ]  # fmt: skip
    return "\n".join([*parts, "</svg>", ""])


def _names(found: Comparison) -> list[str]:
    parts, at = [], 10.0
    for place, each in enumerate(found.models):
        colour = COLOURS[place % len(COLOURS)]
        parts.append(f'<text x="{at:.0f}" y="18" fill="{colour}" font-weight="bold">'
                     f"{escape(each.id)}</text>")  # fmt: skip
        at += 7.6 * len(each.id) + 18
    return parts


def _panel(
    found: Comparison, left: float, title: str, lines: Sequence[Line], show: Callable[[float], str]
) -> list[str]:
    """One pair of axes: a line a model where the interval is a point, else a band."""
    amounts = [each for line in lines for pair in line if pair for each in pair if each > 0]
    low = math.floor(math.log10(min(amounts, default=1.0)))
    high = max(low + 1, math.ceil(math.log10(max(amounts, default=10.0))))

    def x(length: int) -> float:
        first, last = math.log10(found.lengths[0]), math.log10(found.lengths[-1])
        share = (math.log10(length) - first) / (last - first)
        return left + LEFT + share * (PANEL - LEFT - 20)

    def y(amount: float) -> float:
        share = (math.log10(amount) - low) / (high - low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    end = left + PANEL - 20
    parts = [f'<text x="{left + LEFT}" y="{TOP - 14}">{escape(title)}</text>']
    if not amounts:
        return [*parts, f'<text x="{left + LEFT}" y="{TOP + 20}" fill="#666">not known here</text>']
    for power in range(low, high + 1):
        at = y(10.0**power)
        parts.append(
            f'<line x1="{left + LEFT}" x2="{end}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ddd"/>'
            f'<text x="{left + LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">'
            f"{escape(show(10.0**power))}</text>"
        )
    for length in found.lengths:
        said = f"{length // 1000}k" if length >= 1000 else str(length)
        parts.append(
            f'<text x="{x(length):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{said}</text>'
        )
    parts.append(f'<text x="{end}" y="{HEIGHT - 14}" text-anchor="end">bp</text>')
    for place, line in enumerate(lines):
        colour = COLOURS[place % len(COLOURS)]
        known = [
            (x(length), pair) for length, pair in zip(found.lengths, line, strict=True) if pair
        ]
        if not known:
            continue
        upper = [f"{at:.1f},{y(most):.1f}" for at, (_, most) in known]
        lower = [f"{at:.1f},{y(max(least, 1e-12)):.1f}" for at, (least, _) in known]
        if any(least < most for _, (least, most) in known):
            parts.append(f'<polygon points="{" ".join([*upper, *reversed(lower)])}" '
                         f'fill="{colour}" fill-opacity="0.18"/>')  # fmt: skip
        parts.append(
            f'<polyline points="{" ".join(upper)}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        if len(known) == 1:
            parts.append(f'<circle cx="{known[0][0]:.1f}" cy="{y(known[0][1][1]):.1f}" r="4" '
                         f'fill="{colour}"/>')  # fmt: skip
    return parts


def _table(found: Comparison, top: float) -> list[str]:
    """Tiers among these models by block of evidence; the grade in the cell."""
    parts = [f'<text x="10" y="{top}">Published evidence: tier (shade) and grade</text>']
    for place, each in enumerate(found.models):
        at = NAMES + CELL * place
        parts.append(f'<text x="{at}" y="{top}" fill="{COLOURS[place % len(COLOURS)]}">'
                     f"{escape(_short(each.id))}</text>")  # fmt: skip
    for number, row in enumerate(found.evidence[:SHOWN], 1):
        y = top + ROW * number
        parts.append(f'<text x="10" y="{y}">{escape(row.title)}</text>')
        for place, each in enumerate(found.models):
            standing = row.standings.get(each.id)
            at = NAMES + CELL * place
            if standing is None:
                parts.append(f'<text x="{at}" y="{y}" fill="#999">no evidence</text>')
                continue
            tier, grade = standing
            dark = "white" if tier == "A" else "black"
            parts.append(
                f'<rect x="{at}" y="{y - 14}" width="{CELL - 12}" height="18" fill="{SHADES[tier]}"/>'
                f'<text x="{at + 6}" y="{y}" fill="{dark}">tier {tier}, grade {grade}</text>'
            )
    if len(found.evidence) > SHOWN:
        y = top + ROW * (SHOWN + 1)
        parts.append(
            f'<text x="10" y="{y}" fill="#666">and {len(found.evidence) - SHOWN} more</text>'
        )
    return parts


def _short(name: str) -> str:
    return name if len(name) <= 19 else f"{name[:17]}…"
