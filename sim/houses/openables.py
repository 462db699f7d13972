"""Furniture that opens: doors on hinges, drawers on slides, lids. Hollow; fronts look along +x."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np

from sim.houses import textures
from sim.houses.maker import Maker, Size, Surface
from sim.houses.shapes import Mesh, box
from sim.houses.tables import STEEL, bars, legs
from sim.houses.textures import Texture, shade
from sim.scene import Joint

WALL_M = 0.02
_DOOR_RAD, _LID_RAD = float(np.deg2rad(105.0)), float(np.deg2rad(80.0))
_DRAWER_SHARE = 0.75
"""Of its depth, by which a drawer comes out."""


def shell(x: float, y: float, z: float, wall: float = WALL_M) -> Tuple[Mesh, ...]:
    """Return the boards of a box that is open in front, standing on the origin."""
    return (
        box(wall, y, z).moved(-(x - wall) / 2),
        box(x - wall, wall, z).moved(wall / 2, -(y - wall) / 2),
        box(x - wall, wall, z).moved(wall / 2, (y - wall) / 2),
        box(x - wall, y - 2 * wall, wall).moved(wall / 2),
        box(x - wall, y - 2 * wall, wall).moved(wall / 2, 0, z - wall),
    )


def door_joint(x: float, y: float) -> Joint:
    """Return the hinge of a door in front at x, hung at y: the farther one from the middle opens outwards."""
    return Joint("hinge", (x, y, 0.0), (0.0, 0.0, 1.0 if y > 0 else -1.0), _DOOR_RAD)


def wardrobe(maker: Maker) -> None:
    """Build a tall cupboard with two doors and a shelf inside."""
    x, y, z = 0.58, float(maker.rng.uniform(1.1, 1.25)), 2.0
    wood = textures.wood(maker.rng, maker.rgb)
    body = [mesh.moved(-0.01, 0, 0.08) for mesh in shell(x - 0.02, y, z - 0.12)]
    maker.add(wood, *body, box(x, y + 0.03, 0.04).moved(z=z - 0.04))
    maker.add(wood, box(x - 0.08, y - 0.04, 0.02).moved(-0.02, 0, 1.5))
    maker.paint(shade(maker.rgb, 0.5), box(x - 0.06, y - 0.06, 0.08))
    front = textures.wood(maker.rng, shade(maker.rgb, 1.1))
    for side in (-1, 1):
        joint = door_joint(x / 2 - 0.002, side * y / 2)
        maker.add(front, box(0.02, y / 2 - 0.02, z - 0.2).moved(x / 2 - 0.012, side * y / 4, 0.12), joint=joint)
        maker.add(wood, box(0.008, y / 2 - 0.16, z - 0.45).moved(x / 2, side * y / 4, 0.25), joint=joint)
        maker.paint(STEEL, box(0.02, 0.016, 0.24).moved(x / 2 + 0.006, side * 0.035, 0.95), joint=joint)


def wardrobe_inside(size: Size) -> Tuple[Surface, ...]:
    """Find the floor of a wardrobe."""
    return (_inside(size, 0.1, 1.3),)


def fridge(maker: Maker) -> None:
    """Build a fridge with two doors: the upper one opens, over three shelves."""
    x, y, z = 0.64, 0.62, 1.75
    metal = textures.brushed(maker.rng, maker.rgb)
    white = (232, 236, 238)
    maker.paint(shade(maker.rgb, 0.85), box(x - 0.06, y, 0.61).moved(-0.03, 0, 0.03))
    maker.paint(shade(maker.rgb, 0.85), *[mesh.moved(-0.03, 0, 0.64) for mesh in shell(x - 0.06, y, z - 0.64, 0.04)])
    maker.paint(white, *[box(x - 0.16, y - 0.08, 0.012).moved(-0.06, 0, level) for level in FRIDGE_SHELVES[1:]])
    maker.paint((40, 40, 42), box(x - 0.1, y - 0.06, 0.03).moved(-0.03))
    joint = Joint("hinge", (x / 2 - 0.035, y / 2, 0.0), (0.0, 0.0, 1.0), _DOOR_RAD)
    for low, height, of in ((0.05, 0.58, None), (0.65, z - 0.65, joint)):
        maker.add(metal, box(0.05, y, height).moved(x / 2 - 0.035, 0, low), joint=of)
    for low, of in ((0.36, None), (0.75, joint)):
        handle = box(0.03, 0.022, 0.24 if low < 0.5 else 0.5).moved(x / 2 + 0.005, -y / 2 + 0.06, low)
        maker.paint((84, 86, 90), handle, joint=of)


FRIDGE_SHELVES = (0.668, 1.0, 1.33)
"""Heights of the floor of the upper part and of its shelves, less their thickness."""


def fridge_inside(size: Size) -> Tuple[Surface, ...]:
    """Find the shelves."""
    return tuple(_inside(size, level + 0.012, 0.3, 0.07) for level in FRIDGE_SHELVES)


def cabinet(maker: Maker) -> None:
    """Build a low cabinet with two doors and a shelf inside."""
    x, y, z, leg = 0.38, 0.62, 0.8, 0.08
    wood = textures.wood(maker.rng, maker.rgb)
    body = [mesh.moved(-0.015, 0, leg) for mesh in shell(x - 0.03, y, z - leg - 0.03)]
    maker.add(wood, *body, legs(x - 0.06, y - 0.04, leg, 0.05), box(x, y + 0.02, 0.03).moved(z=z - 0.03))
    maker.add(wood, box(x - 0.12, y - 0.04, 0.016).moved(-0.03, 0, 0.42))
    front = textures.wood(maker.rng, shade(maker.rgb, 1.12))
    height, width = z - leg - 0.05, (y - 0.02) / 2
    for side in (-1, 1):
        at_y, joint = side * width / 2, door_joint(x / 2 - 0.015, side * y / 2)
        maker.add(front, box(0.018, width - 0.02, height - 0.02).moved(x / 2 - 0.024, at_y, leg + 0.02), joint=joint)
        maker.paint(STEEL, bars(0.12, ((x / 2 - 0.008, at_y, leg + 0.01 + height * 0.62),)), joint=joint)


def cabinet_inside(size: Size) -> Tuple[Surface, ...]:
    """Find the floor and the shelf."""
    return (_inside(size, 0.1, 0.3), _inside(size, 0.436, 0.28))


def dresser(maker: Maker) -> None:
    """Build a chest of three rows of drawers: those of the top row open."""
    _drawers(maker, (0.46, float(maker.rng.uniform(0.95, 1.1)), 0.84), rows=3, columns=2, leg=0.1)


def dresser_inside(size: Size) -> Tuple[Surface, ...]:
    """Find the floors of the top drawers."""
    return _drawer_floors(size, rows=3, columns=2, leg=0.1)


def nightstand(maker: Maker) -> None:
    """Build a bedside table with two drawers, of which the upper one opens."""
    _drawers(maker, (0.42, 0.46, 0.52), rows=2, columns=1, leg=0.1)


def nightstand_inside(size: Size) -> Tuple[Surface, ...]:
    """Find the floor of the top drawer."""
    return _drawer_floors(size, rows=2, columns=1, leg=0.1)


def _drawers(maker: Maker, size: Size, rows: int, columns: int, leg: float) -> None:
    x, y, z = size
    wood = textures.wood(maker.rng, maker.rgb)
    height, width = (z - leg - 0.05) / rows, (y - 0.02) / columns
    closed = leg + (rows - 1) * height
    # Below the top row the body stays solid.
    maker.add(wood, box(x - 0.03, y, closed - leg).moved(-0.015, 0, leg), legs(x - 0.06, y - 0.04, leg, 0.05))
    maker.add(wood, *[mesh.moved(-0.015, 0, closed) for mesh in shell(x - 0.03, y, z - 0.03 - closed)])
    maker.add(wood, box(x, y + 0.02, 0.03).moved(z=z - 0.03))
    front = textures.wood(maker.rng, shade(maker.rgb, 1.12))
    slide = Joint("slide", (0.0, 0.0, 0.0), (1.0, 0.0, 0.0), _DRAWER_SHARE * (x - 0.1))
    for row in range(rows):
        joint = slide if row == rows - 1 else None
        for column in range(columns):
            at_y, at_z = (column + 0.5) * width - (y - 0.02) / 2, leg + 0.01 + row * height
            panel = box(0.018, width - 0.02, height - 0.02).moved(x / 2 - 0.024, at_y, at_z + 0.01)
            maker.add(front, panel, joint=joint)
            maker.paint(STEEL, bars(0.12, ((x / 2 - 0.008, at_y, at_z + height * 0.62),)), joint=joint)
            if joint:
                tray = _tray(maker, x - 0.1, width - 0.08, height - 0.06)
                maker.add(tray[0], *[mesh.moved(-0.01, at_y, closed + 0.022) for mesh in tray[1]], joint=joint)


def _tray(maker: Maker, x: float, y: float, z: float) -> Tuple[Texture, List[Mesh]]:
    """Return a drawer without its front."""
    board = 0.008
    return textures.plain(shade(maker.rgb, 1.4)), [
        box(x, y, board),
        box(board, y, z).moved(-(x - board) / 2),
        box(x, board, z).moved(0, -(y - board) / 2),
        box(x, board, z).moved(0, (y - board) / 2),
    ]


def _drawer_floors(size: Size, rows: int, columns: int, leg: float) -> Tuple[Surface, ...]:
    x, y, z = size[0], size[1] - 0.02, size[2]
    height, width = (z - leg - 0.05) / rows, (y - 0.02) / columns
    level = leg + (rows - 1) * height + 0.03
    half_x, half_y = (x - 0.13) / 2, (width - 0.12) / 2
    found = []
    for column in range(columns):
        at_y = (column + 0.5) * width - (y - 0.02) / 2
        # What lies near the front is in the light when the drawer is open.
        found.append(Surface((-half_x, at_y - half_y, half_x - 0.02, at_y + half_y), level, height - 0.05, "in"))
    return tuple(found)


def chest(maker: Maker) -> None:
    """Build a chest with a lid that leans back."""
    x, y, z, wall = 0.5, 0.8, 0.46, 0.022
    wood = textures.wood(maker.rng, maker.rgb)
    maker.add(wood, box(x, y, wall).moved(z=0.02))
    for side in (-1, 1):
        maker.add(wood, box(wall, y, z - 0.06).moved(side * (x - wall) / 2, 0, 0.02))
        maker.add(wood, box(x - 2 * wall, wall, z - 0.06).moved(0, side * (y - wall) / 2, 0.02))
        maker.paint((70, 62, 52), box(0.03, 0.05, z - 0.05).moved(x / 2 - 0.008, side * (y / 2 - 0.1), 0.0))
        maker.paint((70, 62, 52), box(0.03, 0.05, z - 0.05).moved(-x / 2 + 0.008, side * (y / 2 - 0.1), 0.0))
    joint = Joint("hinge", (-x / 2 + 0.01, 0.0, z - 0.03), (0.0, -1.0, 0.0), _LID_RAD)
    maker.add(textures.wood(maker.rng, shade(maker.rgb, 1.15)), box(x, y, 0.04).moved(z=z - 0.04), joint=joint)
    maker.paint(STEEL, box(0.02, 0.09, 0.07).moved(x / 2 + 0.006, 0, z - 0.08), joint=joint)


def chest_inside(size: Size) -> Tuple[Surface, ...]:
    """Find the floor of the chest."""
    x, y = size[0] / 2 - 0.06, size[1] / 2 - 0.05
    return (Surface((-x, -y, x, y), 0.042, 0.36, "in"),)


def _inside(size: Size, z: float, headroom: float, margin: float = 0.05) -> Surface:
    x, y = size[0] / 2 - margin, size[1] / 2 - margin
    return Surface((-x, -y, x - 0.03, y), z, headroom, "in")
