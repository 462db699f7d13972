"""The geometry of the map picture: from metres to the page, labels that keep out of each other's way, arrows.

Page coordinates: x right, y down, in units of the picture's own view box.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from embodied.messages import Box, MapReply
from embodied.report.markup import Markup, element

Place = Tuple[float, float]
CHARACTER_WIDTH = 0.6
"""Mean width of a letter as a share of the font's size; on the safe side for a sans-serif font."""


@dataclass(frozen=True)
class Frame:
    """The part of the world that a picture shows."""

    x_min_m: float
    y_min_m: float
    x_max_m: float
    y_max_m: float
    width: float = 1200.0

    @property
    def scale(self) -> float:
        """Page units a metre."""
        return self.width / (self.x_max_m - self.x_min_m)

    @property
    def height(self) -> float:
        """Of the picture, in page units."""
        return (self.y_max_m - self.y_min_m) * self.scale

    def at(self, x_m: float, y_m: float) -> Place:
        """Return the place on the page of a point of the world."""
        return (x_m - self.x_min_m) * self.scale, (self.y_max_m - y_m) * self.scale


def frame_around(points: Sequence[Place], *, margin_m: float = 0.3, least_m: float = 2.0) -> Frame:
    """Return a frame that holds all points, not narrower than ``least_m`` and never more than twice as high as wide."""
    finite = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)] or [(0.0, 0.0)]
    xs, ys = [x for x, _ in finite], [y for _, y in finite]
    middle_x, middle_y = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    half_y = max((max(ys) - min(ys)) / 2 + margin_m, least_m / 2)
    half_x = max((max(xs) - min(xs)) / 2 + margin_m, least_m / 2, half_y / 2)
    return Frame(middle_x - half_x, middle_y - half_y, middle_x + half_x, middle_y + half_y)


def known_corners(reply: MapReply) -> List[Place]:
    """Return two opposite corners of the known part of a map in metres; nothing where all is unknown."""
    rows, columns = np.nonzero(reply.occupancy)
    if rows.size == 0:
        return []
    x0, y0 = reply.origin_m
    low = (x0 + float(columns.min()) * reply.resolution_m, y0 + float(rows.min()) * reply.resolution_m)
    high = (x0 + float(columns.max() + 1) * reply.resolution_m, y0 + float(rows.max() + 1) * reply.resolution_m)
    return [low, high]


def occupancy_png(reply: MapReply) -> bytes:
    """Draw the map, north up: free white, occupied dark, unknown clear."""
    palette = np.array([[0, 0, 0, 0], [255, 255, 255, 255], [52, 58, 68, 255]], dtype=np.uint8)
    pixels = palette[np.clip(reply.occupancy[::-1], 0, 2)]
    buffer = io.BytesIO()
    Image.fromarray(pixels).quantize(colors=4).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def footprint(box: Box, frame: Frame) -> List[Place]:
    """Return the corners of a box seen from above."""
    c, s = math.cos(box.yaw_rad), math.sin(box.yaw_rad)
    half_x, half_y = box.size_m[0] / 2, box.size_m[1] / 2
    corners = ((half_x, half_y), (-half_x, half_y), (-half_x, -half_y), (half_x, -half_y))
    return [frame.at(box.center_m[0] + c * x - s * y, box.center_m[1] + s * x + c * y) for x, y in corners]


def points_attribute(places: Sequence[Place]) -> str:
    """Write places as SVG's ``points``."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def thinned(path: Sequence[Place], step: float) -> List[Place]:
    """Leave out the points of a path that lie nearer than ``step`` to the one kept before; the ends stay."""
    kept: List[Place] = []
    for place in path:
        if not kept or math.dist(place, kept[-1]) >= step:
            kept.append(place)
    if len(path) > 1 and kept[-1] != path[-1]:
        kept.append(path[-1])
    return kept


def arrow_heads(path: Sequence[Place], *, every: float, size: float, class_: str) -> List[Markup]:
    """Draw small arrow heads along a path, one each ``every`` units of its length."""
    heads, since = [], every / 2
    for (x0, y0), (x1, y1) in zip(path, path[1:]):
        length = math.dist((x0, y0), (x1, y1))
        since += length
        if length > 0 and since >= every:
            since = 0.0
            heads.append(arrow_head((x1, y1), math.atan2(y1 - y0, x1 - x0), size, class_))
    return heads


def arrow_head(tip: Place, angle_rad: float, size: float, class_: str) -> Markup:
    """Draw a filled triangle that points along ``angle_rad``, clockwise on the page from its x axis."""
    corners = [tip]
    for side in (2.6, -2.6):
        corners.append((tip[0] + size * math.cos(angle_rad + side), tip[1] + size * math.sin(angle_rad + side)))
    return element("polygon", points=points_attribute(corners), class_=class_)


def bent_arrow(start: Place, end: Place, class_: str) -> Markup:
    """Draw an arrow that bends to the left of its way, so that it does not hide what lies straight between."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    control = ((start[0] + end[0]) / 2 + 0.18 * dy, (start[1] + end[1]) / 2 - 0.18 * dx)
    angle_rad = math.atan2(end[1] - control[1], end[0] - control[0])
    curve = f"M{start[0]:.1f} {start[1]:.1f}Q{control[0]:.1f} {control[1]:.1f} {end[0]:.1f} {end[1]:.1f}"
    return element("g", element("path", d=curve), arrow_head(end, angle_rad, 11.0, "head"), class_=class_)


@dataclass(frozen=True)
class Block:
    """A rectangle on the page that labels keep off."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Block) -> bool:
        """Tell whether two blocks overlap."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def around(place: Place, width: float, height: float) -> Block:
    """Return the block of a size with its middle at a place."""
    return Block(place[0] - width / 2, place[1] - height / 2, place[0] + width / 2, place[1] + height / 2)


def text_width(words: str, font_px: float) -> float:
    """Estimate how wide a line of text will be."""
    return CHARACTER_WIDTH * font_px * max(len(words), 1)


class LabelPlacer:
    """Puts labels beside their anchors, each where it meets nothing put down before."""

    def __init__(self, width: float, height: float) -> None:
        self._page = Block(0.0, 0.0, width, height)
        self._taken: List[Block] = []

    def block(self, block: Block) -> None:
        """Keep labels off a block."""
        self._taken.append(block)

    def nearest(self, wish: Place, width: float, height: float, bounds: Block) -> Place:
        """Return the free spot nearest to a wish whose middle lies within bounds and take it; the wish if none is."""
        step = height / 2
        across = range(int((bounds.right - bounds.left) / step) + 1)
        down = range(int((bounds.bottom - bounds.top) / step) + 1)
        spots = [(bounds.left + i * step, bounds.top + j * step) for i in across for j in down]
        for spot in [wish, *sorted(spots, key=lambda spot: (math.dist(spot, wish), spot))]:
            candidate = around(spot, width, height)
            if self._is_on_page(candidate) and not any(candidate.meets(block) for block in self._taken):
                self._taken.append(candidate)
                return spot
        self._taken.append(around(wish, width, height))
        return wish

    def place(self, anchor: Place, width: float, height: float) -> Optional[Place]:
        """Return the middle of a free spot near the anchor and take it, or None when all are taken."""
        for gap in (7.0, 15.0, 27.0, 42.0):
            beside, above = width / 2 + gap, height / 2 + gap
            spots = (
                (beside, 0.0), (-beside, 0.0), (0.0, above), (0.0, -above),
                (beside, above), (beside, -above), (-beside, above), (-beside, -above),
                (beside, above / 2), (beside, -above / 2), (-beside, above / 2), (-beside, -above / 2),
            )  # fmt: skip
            for dx, dy in spots:
                middle = (anchor[0] + dx, anchor[1] + dy)
                candidate = around(middle, width, height)
                if self._is_on_page(candidate) and not any(candidate.meets(block) for block in self._taken):
                    self._taken.append(candidate)
                    return middle
        return None

    def _is_on_page(self, block: Block) -> bool:
        page = self._page
        return (
            page.left <= block.left
            and block.right <= page.right
            and page.top <= block.top
            and block.bottom <= page.bottom
        )
