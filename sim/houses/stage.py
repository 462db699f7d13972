"""The house without its contents: floors, painted walls with door openings, skirting, windows, ceilings."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

import numpy as np

from embodied.arrays import Float
from sim.houses import textures
from sim.houses.layout import CEILING_M, DOOR_M, WALL_M, FloorPlan, Point2, openings, sides
from sim.houses.maker import part
from sim.houses.shapes import Mesh, box, join, quad
from sim.houses.textures import Texture
from sim.scene import Door, Rectangle, Template

TRIM = (236, 234, 228)
SKIRTING_M = 0.012
"""Thickness; furniture keeps clear of it."""
_CASING_M = 0.07
_WINDOW = (0.95, 2.1)
"""Lower and upper edge of a window's glass."""
_PAINTS = {
    "living room": (226, 216, 196),
    "bathroom": (206, 224, 230),
    "kitchen": (238, 226, 186),
    "bedroom": (206, 212, 230),
    "office": (208, 222, 204),
    "dining room": (232, 208, 196),
    "hallway": (226, 222, 216),
    "guest room": (222, 208, 224),
    "nursery": (240, 214, 214),
    "laundry room": (214, 230, 224),
    "library": (216, 200, 180),
    "workshop": (208, 208, 204),
}


def build_stage(rng: np.random.Generator, plan: FloorPlan, tall: Sequence[Rectangle]) -> Template:
    """Build the stage. Windows go where no ``tall`` footprint stands before the wall."""
    pieces: List[Tuple[Texture, Mesh]] = []
    trim, ceiling = textures.plain(TRIM), textures.plain((246, 245, 242))
    for region in plan.regions:
        pieces.append((_floor_texture(rng, region.name), _level(region.rectangle_m, 0.0)))
        pieces.append((ceiling, _level(region.rectangle_m, CEILING_M, down=True)))
        paint = textures.plaster(rng, _PAINTS[region.name])
        for side in sides(region.rectangle_m):
            gaps = openings(side, plan.doors)
            pieces.append((paint, _wall(side, gaps)))
            pieces.append((trim, _skirting(side, gaps)))
            if _is_outer(side, plan.outline_m):
                for window in _windows(side, tall):
                    pieces += [(trim, window[0]), (textures.window(rng), window[1])]
    for door in plan.doors:
        pieces.append((trim, _door_frame(door, plan)))
        pieces.append((textures.plain((150, 120, 88)), _threshold(door, plan)))
    facade = textures.plain((222, 214, 200))
    pieces += [(facade, _wall((b, a), [])) for a, b in sides(plan.outline_m)]
    merged: Dict[int, Tuple[Texture, List[Mesh]]] = {}
    for texture, mesh in pieces:
        merged.setdefault(id(texture), (texture, []))[1].append(mesh)
    parts = tuple(part(texture, join(meshes)) for texture, meshes in merged.values())
    return Template(handle="stage", category="stage", colour="", parts=parts)


def window_panes(stage: Template) -> List[Tuple[int, Float[np.ndarray, 3]]]:
    """Return the parts of a stage that are panes, each with its middle: single rectangles before an outer wall."""
    found = []
    for index, piece in enumerate(stage.parts):
        low, high = piece.vertices.min(axis=0), piece.vertices.max(axis=0)
        is_pane = len(piece.faces) == 2 and np.allclose([low[2], high[2]], _WINDOW, atol=1e-3)
        if is_pane:
            found.append((index, np.asarray((low + high) / 2, dtype=np.float64)))
    return found


def _floor_texture(rng: np.random.Generator, room: str) -> Texture:
    if room in ("bathroom", "laundry room"):
        return textures.tiles(rng, (150, 178, 192), (226, 230, 232), 2)
    if room in ("kitchen", "hallway", "workshop"):
        return textures.tiles(rng, (196, 178, 152), (140, 128, 112), 2)
    if room in ("bedroom", "guest room", "nursery"):
        return textures.carpet(rng, (152, 144, 134))
    return textures.planks(rng, (176, 132, 88) if room != "office" else (150, 108, 72))


def _level(rectangle: Rectangle, z: float, down: bool = False) -> Mesh:
    x0, y0, x1, y1 = rectangle
    corners = [(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)]
    return quad(corners[::-1] if down else corners, 0.9)


def _frame(side: Tuple[Point2, Point2]) -> Tuple[Point2, Point2, float]:
    """Return the left end, the unit direction and the length of a side."""
    (ax, ay), (bx, by) = side
    length = float(np.hypot(bx - ax, by - ay))
    return (ax, ay), ((bx - ax) / length, (by - ay) / length), length


def _solid(length: float, gaps: Sequence[Tuple[float, float]]) -> List[Tuple[float, float]]:
    """Return what is left of a side between its gaps."""
    edges = [0.0, *[edge for gap in gaps for edge in gap], length]
    return [(low, high) for low, high in zip(edges[::2], edges[1::2]) if high - low > 1e-6]


def _wall(side: Tuple[Point2, Point2], gaps: Sequence[Tuple[float, float]]) -> Mesh:
    """Return the face of a wall that is seen from inside its room."""
    (ax, ay), (dx, dy), length = _frame(side)

    def panel(low: float, high: float, z0: float, z1: float) -> Mesh:
        left, right = (ax + dx * low, ay + dy * low), (ax + dx * high, ay + dy * high)
        return quad([(*left, z0), (*right, z0), (*right, z1), (*left, z1)], 1.0)

    panels = [panel(low, high, 0.0, CEILING_M) for low, high in _solid(length, gaps)]
    return join(panels + [panel(low, high, DOOR_M, CEILING_M) for low, high in gaps])


def _beside(side: Tuple[Point2, Point2], low: float, high: float, depth: float, z0: float, z1: float) -> Mesh:
    """Return a box against a wall's face, ``depth`` into the room."""
    (ax, ay), (dx, dy), _ = _frame(side)
    middle = (low + high) / 2
    mesh = box(high - low, depth, z1 - z0).moved(0, -depth / 2, z0).turned("z", float(np.degrees(np.arctan2(dy, dx))))
    return mesh.moved(ax + dx * middle, ay + dy * middle)


def _skirting(side: Tuple[Point2, Point2], gaps: Sequence[Tuple[float, float]]) -> Mesh:
    length = _frame(side)[2]
    wider = [(low - _CASING_M, high + _CASING_M) for low, high in gaps]
    return join([_beside(side, low, high, SKIRTING_M, 0.0, 0.08) for low, high in _solid(length, wider)])


def _door_frame(door: Door, plan: FloorPlan) -> Mesh:
    """Return the inside of the opening and the casings on both faces."""
    rooms = {region.name: region.rectangle_m for region in plan.regions}
    meshes: List[Mesh] = []
    for name in (door.region_a, door.region_b):
        for side in sides(rooms[name]):
            for low, high in openings(side, (door,)):
                (ax, ay), (dx, dy), _ = _frame(side)
                # From the left edge of the opening, seen from inside, through half of the wall's depth.
                inner = [(ax + dx * t, ay + dy * t) for t in (low, high)]
                outer = [(x - dy * WALL_M / 2, y + dx * WALL_M / 2) for x, y in inner]
                meshes.append(quad([(*inner[0], 0), (*outer[0], 0), (*outer[0], DOOR_M), (*inner[0], DOOR_M)]))
                meshes.append(quad([(*outer[1], 0), (*inner[1], 0), (*inner[1], DOOR_M), (*outer[1], DOOR_M)]))
                meshes.append(
                    quad([(*inner[0], DOOR_M), (*outer[0], DOOR_M), (*outer[1], DOOR_M), (*inner[1], DOOR_M)])
                )
                for t0, t1 in ((low - _CASING_M, low), (high, high + _CASING_M)):
                    meshes.append(_beside(side, t0, t1, SKIRTING_M, 0.0, DOOR_M))
                meshes.append(_beside(side, low - _CASING_M, high + _CASING_M, SKIRTING_M, DOOR_M, DOOR_M + _CASING_M))
    return join(meshes)


def _threshold(door: Door, plan: FloorPlan) -> Mesh:
    """Return the floor inside the opening."""
    x, y = door.center_m
    a = next(region.rectangle_m for region in plan.regions if region.name == door.region_a)
    across_x = min(abs(x - a[0]), abs(x - a[2])) < WALL_M
    hx, hy = (WALL_M / 2, door.width_m / 2) if across_x else (door.width_m / 2, WALL_M / 2)
    return _level((x - hx, y - hy, x + hx, y + hy), 0.0)


def _is_outer(side: Tuple[Point2, Point2], outline: Rectangle) -> bool:
    (ax, ay), (bx, by) = side
    x_outer = ax == bx and min(abs(ax - outline[0]), abs(ax - outline[2])) < 1.5 * WALL_M
    return x_outer or (ay == by and min(abs(ay - outline[1]), abs(ay - outline[3])) < 1.5 * WALL_M)


def _windows(side: Tuple[Point2, Point2], tall: Sequence[Rectangle]) -> List[Tuple[Mesh, Mesh]]:
    """Return frame and pane of one window in the middle of a side, if nothing tall stands there."""
    (ax, ay), (dx, dy), length = _frame(side)
    width = min(1.3, length - 1.0)
    middle = length / 2
    ends = [
        (ax + dx * t - dy * s, ay + dy * t + dx * s)
        for t in (middle - width / 2, middle + width / 2)
        for s in (0.0, -0.7)
    ]
    x0, y0 = min(x for x, _ in ends), min(y for _, y in ends)
    x1, y1 = max(x for x, _ in ends), max(y for _, y in ends)
    if width < 0.7 or any(x0 < r[2] and r[0] < x1 and y0 < r[3] and r[1] < y1 for r in tall):
        return []
    low, high, (z0, z1), bar = middle - width / 2, middle + width / 2, _WINDOW, 0.06
    frame = [
        _beside(side, low - bar, high + bar, 0.03, z0 - bar, z0),
        _beside(side, low - bar, high + bar, 0.02, z1, z1 + bar),
        _beside(side, low - bar, low, 0.02, z0, z1),
        _beside(side, high, high + bar, 0.02, z0, z1),
        _beside(side, middle - bar / 3, middle + bar / 3, 0.016, z0, z1),
    ]
    depth = 0.004
    left, right = [(ax + dx * t + dy * depth, ay + dy * t - dx * depth) for t in (low, high)]
    pane = quad([(*left, z0), (*right, z0), (*right, z1), (*left, z1)], None)
    return [(join(frame), pane)]
