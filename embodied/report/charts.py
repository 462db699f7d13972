"""Charts as SVG: lines with bands of uncertainty, and how confidence fits what was right.

Page coordinates: x right, y down, in units of the chart's own view box. Colours are those of the page's style.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

from embodied.report.drawing import points_attribute, text_width
from embodied.report.markup import Markup, element
from embodied.report.wording import number

WIDTH, HEIGHT = 560.0, 320.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 16.0, 34.0, 46.0
LEGEND_FONT_PX = 12.0
N_COLOURS = 6
"""Of the style; a seventh line looks like the first."""


@dataclass(frozen=True)
class ChartPoint:
    """One point of a line."""

    x: float
    y: float
    low: Optional[float] = None
    """The band around it; None for none."""
    high: Optional[float] = None
    note: str = ""
    """Shown where the pointer rests on it."""
    weight: float = 0.0
    """Share of the data that stands behind it, 0 to 1: a heavier point is drawn larger."""


@dataclass(frozen=True)
class Axes:
    """What the axes show."""

    x_name: str
    y_name: str
    x_range: Optional[Tuple[float, float]] = None
    """None for what the points need."""
    y_range: Optional[Tuple[float, float]] = None
    goal: Optional[float] = None
    """Drawn as a line across."""
    diagonal: bool = False
    """Draw where x equals y."""


def ticks(low: float, high: float, n: int = 5, *, least_step: float = 0.0) -> List[float]:
    """Return about ``n`` round numbers from ``low`` to ``high``, both finite and in order."""
    if not low < high:
        return [low]
    raw = max((high - low) / max(n, 1), least_step)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def line_chart(lines: Dict[str, Sequence[ChartPoint]], axes: Axes) -> Optional[Markup]:
    """Draw lines by name, with a legend where there are several; None where no line has a point."""
    points = [point for line in lines.values() for point in line]
    if not points:
        return None
    frame = _Frame.around(points, axes)
    parts = _grid(frame, axes)
    for index, line in enumerate(lines.values()):
        parts += _line(frame, line, f"s{index % N_COLOURS}")
    if len(lines) > 1:
        parts += _legend(list(lines))
    # The figure's words are for those who cannot see it.
    title = element("title", f"{axes.y_name} over {axes.x_name}: {', '.join(lines)}")
    return element("svg", title, *parts, class_="chart", viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", role="img")


@dataclass(frozen=True)
class _Frame:
    x_low: float
    x_high: float
    y_low: float
    y_high: float
    x_step: float
    """The least that two ticks lie apart: 1 where all is counted in whole numbers."""

    @classmethod
    def around(cls, points: Sequence[ChartPoint], axes: Axes) -> _Frame:
        """Return the range of the axes, from what is asked for or from the points."""
        heights = [y for p in points for y in (p.y, p.low, p.high) if y is not None]
        if axes.goal is not None:
            heights.append(axes.goal)
        across = [p.x for p in points]
        step = 1.0 if all(x == round(x) for x in across) else 0.0
        return cls(*_range(across, axes.x_range, 0.0), *_range(heights, axes.y_range, 0.08), step)

    def at(self, x: float, y: float) -> Tuple[float, float]:
        """Return the place on the page; what lies outside comes to the edge."""
        across = min(max((x - self.x_low) / (self.x_high - self.x_low), 0.0), 1.0)
        up = min(max((y - self.y_low) / (self.y_high - self.y_low), 0.0), 1.0)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def _range(values: Sequence[float], wanted: Optional[Tuple[float, float]], margin: float) -> Tuple[float, float]:
    if wanted is not None:
        return wanted
    low, high = min(values), max(values)
    if low == high:
        low, high = low - 0.5, high + 0.5
    return low - margin * (high - low), high + margin * (high - low)


def _grid(frame: _Frame, axes: Axes) -> List[Markup]:
    parts = []
    for y in ticks(frame.y_low, frame.y_high):
        (x0, height), (x1, _) = frame.at(frame.x_low, y), frame.at(frame.x_high, y)
        parts.append(element("line", x1=x0, y1=height, x2=x1, y2=height, class_="gridline"))
        parts.append(element("text", number(y), x=x0 - 7, y=height + 4, class_="ticky"))
    for x in ticks(frame.x_low, frame.x_high, least_step=frame.x_step):
        left, bottom = frame.at(x, frame.y_low)
        parts.append(element("line", x1=left, y1=bottom, x2=left, y2=bottom + 4, class_="axis"))
        parts.append(element("text", number(x), x=left, y=bottom + 17, class_="tickx"))
    (x0, y0), (x1, y1) = frame.at(frame.x_low, frame.y_low), frame.at(frame.x_high, frame.y_high)
    parts.append(element("polyline", points=points_attribute([(x0, y1), (x0, y0), (x1, y0)]), class_="axis"))
    parts.append(element("text", axes.x_name, x=(x0 + x1) / 2, y=HEIGHT - 8, class_="tickx"))
    turn = f"rotate(-90 14 {(y0 + y1) / 2:.1f})"
    parts.append(element("text", axes.y_name, x=14.0, y=(y0 + y1) / 2, transform=turn, class_="tickx"))
    if axes.diagonal:
        low, high = max(frame.x_low, frame.y_low), min(frame.x_high, frame.y_high)
        parts.append(_dashed(frame, (low, low), (high, high), "reference"))
    if axes.goal is not None:
        parts.append(_dashed(frame, (frame.x_low, axes.goal), (frame.x_high, axes.goal), "goalline"))
    return parts


def _dashed(frame: _Frame, start: Tuple[float, float], end: Tuple[float, float], class_: str) -> Markup:
    (x1, y1), (x2, y2) = frame.at(*start), frame.at(*end)
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def _line(frame: _Frame, line: Sequence[ChartPoint], class_: str) -> List[Markup]:
    parts = []
    banded = [p for p in line if p.low is not None and p.high is not None]
    if len(banded) > 1:
        edge = [frame.at(p.x, p.high) for p in banded if p.high is not None]
        edge += [frame.at(p.x, p.low) for p in reversed(banded) if p.low is not None]
        parts.append(element("polygon", points=points_attribute(edge), class_=f"band {class_}"))
    places = [frame.at(p.x, p.y) for p in line]
    if len(places) > 1:
        parts.append(element("polyline", points=points_attribute(places), class_=f"line {class_}"))
    for point, (x, y) in zip(line, places):
        note = element("title", point.note) if point.note else None
        radius = 3.0 + 8.0 * math.sqrt(point.weight)
        parts.append(element("circle", note, cx=round(x, 1), cy=round(y, 1), r=round(radius, 1), class_=class_))
    return parts


def _legend(names: Sequence[str]) -> List[Markup]:
    parts, x = [], LEFT
    for index, name in enumerate(names):
        parts.append(element("circle", cx=x + 5, cy=13.0, r=4.5, class_=f"s{index % N_COLOURS}"))
        parts.append(element("text", name, x=x + 15, y=17.0, class_="legendname"))
        x += 33.0 + text_width(name, LEGEND_FONT_PX)
    return parts
