"""Small pictures as inline SVG: curves, points and confusion matrices, with no library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[Sequence[float]]
COLOURS = ("#1b6ca8", "#c4561e", "#3f7d3a", "#7a4fa3", "#9a7b00", "#a8325e", "#4a4a4a", "#008b8b")
_SIDE, _MARGIN = 300, 44


def curves(
    lines: Mapping[str, Points],
    *,
    title: str,
    x: str,
    y: str,
    diagonal: bool = False,
    unit: bool = False,
) -> str:
    """Lines of [x, y] in one frame, with a legend. ``unit``: both axes run from 0 to 1."""
    drawn = {name: points for name, points in lines.items() if points}
    frame = _Frame([point for points in drawn.values() for point in points], unit)
    body = [_axes(frame, title, x, y)]
    if diagonal:
        body.append(_line(frame.diagonal(), frame, "#999", 'stroke-dasharray="4 3"'))
    for at, (name, points) in enumerate(drawn.items()):
        colour = COLOURS[at % len(COLOURS)]
        body.append(_line(points, frame, colour))
        height = _MARGIN + 14 * at
        body.append(
            f'<rect x="{_SIDE + 54}" y="{height - 8}" width="10" height="10" fill="{colour}"/>'
            f'<text x="{_SIDE + 68}" y="{height + 1}">{escape(name)}</text>'
        )
    return _svg(body, _SIDE + 240, max(_SIDE + 60, _MARGIN + 14 * len(drawn) + 20))


def scatter(points: Points, *, title: str, x: str, y: str) -> str:
    """Points of [x, y], and the diagonal on which equals lie."""
    flat = [value for point in points for value in point]
    frame = _Frame([[min(flat)] * 2, [max(flat)] * 2] if flat else [], False)
    dots = "".join(
        f'<circle cx="{frame.x(a):.1f}" cy="{frame.y(b):.1f}" r="2" fill="{COLOURS[0]}" '
        'fill-opacity="0.5"/>'
        for a, b in points
    )
    dashed = _line(frame.diagonal(), frame, "#999", 'stroke-dasharray="4 3"')
    return _svg([_axes(frame, title, x, y), dashed, dots], _SIDE + 60, _SIDE + 60)


def matrix(counts: Sequence[Sequence[int]], classes: Sequence[str], *, title: str) -> str:
    """A confusion matrix: rows true, columns predicted, shaded by the share of the row."""
    side = max(24, min(56, 420 // max(len(classes), 1)))
    left, top = 96, 56
    body = [f'<text x="{left}" y="18" class="title">{escape(title)}</text>']
    body.append(f'<text x="{left}" y="34">predicted</text><text x="4" y="{top - 6}">true</text>')
    for row, (name, numbers) in enumerate(zip(classes, counts, strict=True)):
        middle = side * row + side / 2
        body.append(f'<text x="4" y="{top + middle + 4:.0f}">{escape(name[:12])}</text>')
        body.append(
            f'<text x="{left + middle:.0f}" y="{top - 6}" text-anchor="middle">'
            f"{escape(name[:7])}</text>"
        )
        total = max(sum(numbers), 1)
        for column, number in enumerate(numbers):
            share = number / total
            body.append(
                f'<rect x="{left + side * column}" y="{top + side * row}" width="{side}" '
                f'height="{side}" fill="{COLOURS[0]}" fill-opacity="{share:.3f}" stroke="#ccc"/>'
                f'<text x="{left + side * column + side / 2:.0f}" '
                f'y="{top + side * row + side / 2 + 4:.0f}" text-anchor="middle" '
                f'fill="{"#fff" if share > 0.55 else "#000"}">{number}</text>'
            )
    return _svg(body, left + side * len(classes) + 20, top + side * len(classes) + 20)


class _Frame:
    """Where values stand in the picture."""

    def __init__(self, points: Points, unit: bool) -> None:
        xs = [0.0, 1.0] if unit or not points else [point[0] for point in points]
        ys = [0.0, 1.0] if unit or not points else [point[1] for point in points]
        self.left, self.right = min(xs), max(xs)
        self.low, self.high = min(ys), max(ys)

    def x(self, value: float) -> float:
        return _MARGIN + (value - self.left) / ((self.right - self.left) or 1) * _SIDE

    def y(self, value: float) -> float:
        return _MARGIN / 2 + _SIDE - (value - self.low) / ((self.high - self.low) or 1) * _SIDE

    def diagonal(self) -> Points:
        return [[self.left, self.low], [self.right, self.high]]


def _line(points: Points, frame: _Frame, colour: str, more: str = "") -> str:
    path = " ".join(f"{frame.x(a):.1f},{frame.y(b):.1f}" for a, b in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6" {more}/>'


def _axes(frame: _Frame, title: str, x: str, y: str) -> str:
    top = _MARGIN / 2
    bottom = top + _SIDE
    return (
        f'<rect x="{_MARGIN}" y="{top}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#888"/>'
        f'<text x="{_MARGIN}" y="{top - 8}" class="title">{escape(title)}</text>'
        f'<text x="{_MARGIN}" y="{bottom + 14}">{frame.left:.3g}</text>'
        f'<text x="{_MARGIN + _SIDE}" y="{bottom + 14}" text-anchor="end">{frame.right:.3g}</text>'
        f'<text x="{_MARGIN + _SIDE / 2}" y="{bottom + 28}" text-anchor="middle">{escape(x)}</text>'
        f'<text x="{_MARGIN - 4}" y="{bottom}" text-anchor="end">{frame.low:.3g}</text>'
        f'<text x="{_MARGIN - 4}" y="{top + 10}" text-anchor="end">{frame.high:.3g}</text>'
        f'<text transform="translate(12 {top + _SIDE / 2}) rotate(-90)" text-anchor="middle">'
        f"{escape(y)}</text>"
    )


def _svg(body: Sequence[str], width: float, height: float) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">{"".join(body)}</svg>'
    )
