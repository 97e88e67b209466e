"""Memory against length as a picture: plain SVG, both axes logarithmic."""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

from ..values import show_memory
from . import Comparison

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 80, 230, 30, 50
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


def draw(found: Comparison) -> str:
    """An SVG document; a line a model, from the shortest to the longest length that it takes."""
    amounts = [amount for each in found.models for amount in each.memory if amount]
    low = math.floor(math.log10(min(amounts, default=10**6)))
    high = max(low + 1, math.ceil(math.log10(max(amounts, default=10**9))))

    def x(length: int) -> float:
        first, last = math.log10(found.lengths[0]), math.log10(found.lengths[-1])
        share = (math.log10(length) - first) / (last - first)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(amount: float) -> float:
        share = (math.log10(amount) - low) / (high - low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="18">Predicted peak memory against input length</text>',
    ]
    for power in range(low, high + 1):
        at = y(10**power)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ddd"/>'
            f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{show_memory(10**power)}</text>'
        )
    for length in found.lengths:
        parts.append(
            f'<text x="{x(length):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
            f"{length:,}</text>"
        )
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 10}" text-anchor="end">bp</text>')
    for place, each in enumerate(found.models):
        colour = COLOURS[place % len(COLOURS)]
        points = " ".join(
            f"{x(length):.1f},{y(amount):.1f}"
            for length, amount in zip(found.lengths, each.memory, strict=True)
            if amount
        )
        at = TOP + 16 * place + 10
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{WIDTH - RIGHT + 14}" y="{at}" fill="{colour}">{escape(each.id)}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])
