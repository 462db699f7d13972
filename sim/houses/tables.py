"""Tables, chairs, shelves and other wooden furniture. Fronts look along +x."""

from __future__ import annotations

from typing import Tuple

from sim.houses import textures
from sim.houses.maker import Maker, Size, Surface
from sim.houses.shapes import Mesh, Vec3, box, cylinder, join, pillow, tapered_box, tube
from sim.houses.textures import shade

BOARD_M = 0.025
"""Thickness of furniture boards."""
STEEL = (176, 179, 184)
N_SHELVES = 4
"""Boards of a bookshelf that carry something, without its top."""


def legs(x: float, y: float, height: float, thickness: float, taper: float = 0.7) -> Mesh:
    """Return four legs whose outer sides span x by y."""
    one = tapered_box((thickness * taper, thickness * taper), (thickness, thickness), height)
    dx, dy = (x - thickness) / 2, (y - thickness) / 2
    return join([one.moved(sx * dx, sy * dy) for sx in (-1, 1) for sy in (-1, 1)])


def bars(length_y: float, at: Tuple[Vec3, ...], thickness: float = 0.014) -> Mesh:
    """Return handles: bars along y, centred at these points."""
    return join([box(thickness, length_y, thickness).moved(*point) for point in at])


def dining_table(maker: Maker) -> None:
    """Build a table for four."""
    x, y, z = 0.85, float(maker.rng.uniform(1.25, 1.45)), 0.74
    wood = textures.wood(maker.rng, maker.rgb)
    maker.add(wood, box(x, y, 0.035).moved(z=z - 0.035), legs(x - 0.08, y - 0.08, z - 0.035, 0.065))
    rail = 0.08
    for side in (-1, 1):
        maker.add(wood, box(x - 0.2, 0.022, rail).moved(0, side * (y / 2 - 0.08), z - 0.035 - rail))
        maker.add(wood, box(0.022, y - 0.2, rail).moved(side * (x / 2 - 0.08), 0, z - 0.035 - rail))


def coffee_table(maker: Maker) -> None:
    """Build a low table with a shelf below."""
    x, y, z = 0.55, float(maker.rng.uniform(0.9, 1.05)), 0.43
    wood = textures.wood(maker.rng, maker.rgb)
    maker.add(wood, box(x, y, 0.035).moved(z=z - 0.035), legs(x - 0.04, y - 0.04, z - 0.035, 0.05, 1.0))
    maker.add(wood, box(x - 0.08, y - 0.08, 0.018).moved(z=0.12))


def desk(maker: Maker) -> None:
    """Build a desk with drawers on one side and a leg frame on the other."""
    x, y, z = 0.68, float(maker.rng.uniform(1.3, 1.45)), 0.74
    wood = textures.wood(maker.rng, maker.rgb)
    maker.add(wood, box(x, y, 0.03).moved(z=z - 0.03))
    width = 0.38
    maker.paint((232, 230, 224), box(x - 0.08, width, z - 0.03).moved(0, y / 2 - width / 2 - 0.03))
    for i in range(3):
        front = box(0.016, width - 0.03, 0.2).moved(x / 2 - 0.035, y / 2 - width / 2 - 0.03, 0.03 + i * 0.22)
        maker.add(wood, front)
        handle_z = 0.03 + i * 0.22 + 0.14
        maker.paint(STEEL, bars(0.14, ((x / 2 - 0.02, y / 2 - width / 2 - 0.03, handle_z),)))
    for side in (-1, 1):
        maker.paint((70, 72, 76), box(0.04, 0.04, z - 0.03).moved(side * (x / 2 - 0.06), -y / 2 + 0.06))
    maker.paint((70, 72, 76), box(x - 0.12, 0.03, 0.04).moved(0, -y / 2 + 0.06, 0.1))


def chair(maker: Maker) -> None:
    """Build a wooden chair with a slatted backrest and a coloured seat."""
    x, y, seat = 0.43, 0.43, 0.45
    wood = textures.wood(maker.rng, (150, 104, 62) if maker.colour != "brown" else maker.rgb)
    post = 0.036
    for side in (-1, 1):
        maker.add(
            wood, tapered_box((0.026, 0.026), (post, post), seat - 0.03).moved(x / 2 - 0.03, side * (y / 2 - 0.03))
        )
        back = tube([(-x / 2 + 0.03, side * (y / 2 - 0.03), 0), (-x / 2 + 0.03, side * (y / 2 - 0.03), seat),
                     (-x / 2 - 0.03, side * (y / 2 - 0.03), 0.9)], 0.019, 6)  # fmt: skip
        maker.add(wood, back)
    maker.add(wood, box(x, y, 0.025).moved(z=seat - 0.035))
    maker.add(textures.fabric(maker.rng, maker.rgb), pillow(x, y, 0.06, 0.3, 12).moved(z=seat + 0.005))
    for z, height in ((0.6, 0.06), (0.72, 0.06), (0.83, 0.08)):
        lean = -x / 2 + 0.03 - 0.06 * (z - seat) / 0.45
        maker.add(
            textures.fabric(maker.rng, maker.rgb) if z > 0.8 else wood, box(0.02, y - 0.05, height).moved(lean, 0, z)
        )


def office_chair(maker: Maker) -> None:
    """Build a swivel chair on a star of castors."""
    dark = (48, 50, 54)
    cloth = textures.fabric(maker.rng, maker.rgb)
    for i in range(5):
        spoke = tube([(0.03, 0, 0.1), (0.29, 0, 0.06)], (0.022, 0.014), 6).turned("z", 72 * i)
        wheel = cylinder(0.028, 0.03, 10).moved(z=-0.015).turned("x", 90).moved(0.28, 0, 0.028).turned("z", 72 * i)
        maker.paint(dark, spoke, wheel)
    maker.paint(STEEL, cylinder(0.025, 0.34, 10).moved(z=0.09))
    maker.add(cloth, pillow(0.48, 0.5, 0.1, 0.35, 16).moved(z=0.46))
    maker.paint(dark, tube([(-0.1, 0, 0.42), (-0.25, 0, 0.45), (-0.27, 0, 0.7)], 0.018, 6))
    maker.add(cloth, pillow(0.09, 0.44, 0.52, 0.35, 16).turned("y", -6).moved(-0.25, 0, 0.83))
    for side in (-1, 1):
        arm = [(-0.1, side * 0.25, 0.46), (-0.05, side * 0.29, 0.56), (-0.05, side * 0.29, 0.66)]
        maker.paint(dark, tube(arm, 0.014, 6), box(0.24, 0.05, 0.03).moved(0.0, side * 0.29, 0.66))


def bookshelf(maker: Maker) -> None:
    """Build an open shelf with a back wall."""
    x, y, z = 0.3, float(maker.rng.uniform(0.85, 1.0)), 1.45
    wood = textures.wood(maker.rng, maker.rgb)
    for side in (-1, 1):
        maker.add(wood, box(x, BOARD_M, z).moved(0, side * (y - BOARD_M) / 2))
    for level in shelf_levels(z):
        maker.add(wood, box(x, y - 2 * BOARD_M, BOARD_M).moved(z=level - BOARD_M))
    maker.add(wood, box(x, y - 2 * BOARD_M, BOARD_M).moved(z=z - BOARD_M))
    maker.paint(shade(maker.rgb, 0.62), box(0.012, y - 2 * BOARD_M, z - 0.02).moved(-x / 2 + 0.006, 0, 0.01))


def shelf_levels(height_m: float) -> Tuple[float, ...]:
    """Return the upper sides of a bookshelf's inner boards, in metres."""
    step = (height_m - BOARD_M - 0.08) / N_SHELVES
    return tuple(0.08 + step * i for i in range(N_SHELVES))


def bookshelf_surfaces(size: Size) -> Tuple[Surface, ...]:
    """Find the fronts of the boards, and the top."""
    x, y = size[0] / 2, size[1] / 2 - BOARD_M - 0.02
    levels = shelf_levels(size[2])
    headroom = levels[1] - levels[0] - BOARD_M - 0.01
    # The lowest board is left empty: a camera at 1.25 m sees little of what stands there.
    inside = tuple(Surface((-x + 0.06, -y, x - 0.005, y), level, headroom, "in") for level in levels[1:])
    return inside + (Surface((-x + 0.03, -y, x - 0.02, y), size[2]),)


def tv_stand(maker: Maker) -> None:
    """Build a low board with doors and an open bay."""
    x, y, z = 0.42, float(maker.rng.uniform(1.4, 1.6)), 0.48
    wood = textures.wood(maker.rng, maker.rgb)
    maker.add(wood, box(x, y, BOARD_M).moved(z=z - BOARD_M), box(x, y, BOARD_M).moved(z=0.08))
    maker.paint((52, 50, 50), legs(x - 0.06, y - 0.1, 0.08, 0.04))
    for at in (-y / 2 + BOARD_M / 2, -y / 6, y / 6, y / 2 - BOARD_M / 2):
        maker.add(wood, box(x - 0.02, BOARD_M, z - 0.08 - BOARD_M).moved(0, at, 0.08))
    maker.paint(shade(maker.rgb, 0.5), box(0.012, y, z - 0.1).moved(-x / 2 + 0.006, 0, 0.08))
    for side in (-1, 1):
        maker.paint((226, 222, 214), box(0.018, y / 3 - 0.03, z - 0.15).moved(x / 2 - 0.012, side * y / 3, 0.115))
        maker.paint(STEEL, bars(0.1, ((x / 2 + 0.004, side * y / 4, 0.36),)))


def stool(maker: Maker) -> None:
    """Build a three-legged stool with a round seat."""
    wood = textures.wood(maker.rng, (168, 124, 80))
    for i in range(3):
        maker.add(wood, tube([(0.17, 0, 0), (0.1, 0, 0.42)], 0.017, 6).turned("z", 120 * i))
        maker.add(wood, tube([(0.14, 0, 0.16), (-0.07, 0.1212, 0.16)], 0.009, 6).turned("z", 120 * i))
    maker.paint(maker.rgb, cylinder(0.17, 0.035, 20).moved(z=0.42))
