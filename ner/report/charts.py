"""Line charts as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT = 460, 260
LEFT, RIGHT, TOP, BOTTOM = 68, 12, 12, 40
TICKS = 5


@dataclass(frozen=True)
class Line:
    """Points ``(x, y)`` by rising ``x``.

    Attributes:
        name: Text of the legend.
        points: Values that are not finite are left out.
        style: Class of the style sheet: ``line-1``, ``line-2`` or ``diagonal``.
        sizes: Areas of the points by their weights; equal ones without weights.
    """

    name: str
    points: Sequence[tuple[float, float]]
    style: str = "line-1"
    sizes: Sequence[float] = ()


def line_chart(
    title: str,
    lines: Sequence[Line],
    x_name: str,
    y_name: str,
    y_range: tuple[float, float] | None = None,
    x_range: tuple[float, float] | None = None,
    marks: Mapping[float, str] | None = None,
) -> Markup:
    """Return a chart.

    Args:
        title: Description for screen readers.
        lines: Lines to draw; empty ones are left out.
        x_name: Name of the horizontal axis.
        y_name: Name of the vertical axis.
        y_range: Ends of the vertical axis; by default those of the values.
        x_range: Ends of the horizontal axis; by default those of the values.
        marks: Positions of vertical lines and their descriptions.
    """
    finite_points = [[(x, y) for x, y in line.points if math.isfinite(x) and math.isfinite(y)] for line in lines]
    all_points = [point for points in finite_points for point in points] or [(0.0, 0.0)]
    x_low, x_high = _widened(x_range or (min(x for x, _ in all_points), max(x for x, _ in all_points)))
    y_low, y_high = _widened(y_range or (min(y for _, y in all_points), max(y for _, y in all_points)))

    def to_pixels(x: float, y: float) -> tuple[float, float]:
        x_px = LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)
        y_px = HEIGHT - BOTTOM - (y - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)
        return round(x_px, 1), round(y_px, 1)

    elements = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, HEIGHT, title),
        Markup('<text class="axis" x="{}" y="{}">{}</text>').format((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_name),
        Markup('<text class="axis" transform="translate(12 {}) rotate(-90)">{}</text>').format(
            (TOP + HEIGHT - BOTTOM) / 2, y_name
        ),
    ]
    for value in _ticks(y_low, y_high):
        _, y_px = to_pixels(x_low, value)
        elements.append(Markup('<path class="grid" d="M{} {}H{}"/>').format(LEFT, y_px, WIDTH - RIGHT))
        elements.append(Markup('<text class="y" x="{}" y="{}">{:g}</text>').format(LEFT - 6, y_px + 4, value))
    for value in _ticks(x_low, x_high):
        x_px, _ = to_pixels(value, y_low)
        elements.append(Markup('<text class="x" x="{}" y="{}">{:g}</text>').format(x_px, HEIGHT - BOTTOM + 16, value))
    for position, description in (marks or {}).items():
        x_px, _ = to_pixels(min(max(position, x_low), x_high), y_low)
        path = Markup('<path class="mark" d="M{} {}V{}"><title>{}</title></path>')
        elements.append(path.format(x_px, TOP, HEIGHT - BOTTOM, description))
    for line, points in zip(lines, finite_points, strict=True):
        if not points:
            continue
        corners = "L".join("{} {}".format(*to_pixels(x, y)) for x, y in points)
        elements.append(Markup('<path class="{}" d="M{}"/>').format(line.style, corners))
        largest = max(line.sizes, default=1.0)
        for number, (x, y) in enumerate(points) if len(points) <= 60 and line.style != "diagonal" else ():
            radius = 2 + 6 * math.sqrt(line.sizes[number] / largest) if line.sizes else 3
            x_px, y_px = to_pixels(x, y)
            circle = Markup('<circle class="{}" cx="{}" cy="{}" r="{:.1f}"><title>{}: {:g}, {:.4f}</title></circle>')
            elements.append(circle.format(line.style, x_px, y_px, radius, line.name, x, y))
    elements.append(Markup("</svg>"))
    legend = [
        Markup('<span class="key {}">{}</span>').format(line.style, line.name)
        for line, points in zip(lines, finite_points, strict=True)
        if points
    ]
    legend += [Markup('<span class="key diagonal">{}</span>').format(text) for text in (marks or {}).values()]
    return Markup("").join([*elements, Markup('<p class="legend">{}</p>').format(Markup(" ").join(legend))])


def _widened(ends: tuple[float, float]) -> tuple[float, float]:
    low, high = ends
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _ticks(low: float, high: float) -> Iterator[float]:
    """Yield round values within a range."""
    step = 10 ** math.floor(math.log10((high - low) / TICKS))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= TICKS)
    for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1):
        yield round(number * step, 12)
