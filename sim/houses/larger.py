"""More furniture: for children, for work about the house, for music. Fronts look along +x."""

from __future__ import annotations

from typing import Tuple

from sim.houses import textures
from sim.houses.maker import Maker, Size, Surface
from sim.houses.shapes import box, cup, cylinder, ellipsoid, lathe, pillow, quad, tube
from sim.houses.tables import STEEL, legs
from sim.houses.textures import shade
from sim.scene import Joint

DOOR_THICKNESS_M = 0.04
DOOR_OPEN_RAD = 1.5707963267948966
_CRIB_FLOOR_M = 0.4


def door(maker: Maker, width_m: float = 0.94, hand: int = 1) -> None:
    """Build a door's leaf of two panels with handles on both sides, hung at its end in -y (hand 1) or y (hand -1)."""
    x, y, z = DOOR_THICKNESS_M, width_m, 2.0
    joint = Joint("hinge", (x / 2, -hand * y / 2, 0.0), (0.0, 0.0, -float(hand)), DOOR_OPEN_RAD)
    maker.add(textures.wood(maker.rng, maker.rgb), box(x - 0.016, y, z), joint=joint)
    inner = textures.wood(maker.rng, shade(maker.rgb, 1.12))
    for low, height in ((0.12, 0.8), (1.06, 0.82)):
        maker.add(inner, box(x - 0.006, y - 0.26, height).moved(0, 0, low), joint=joint)
    for side in (-1, 1):
        lever = box(0.014, 0.11, 0.014).moved(side * (x / 2 + 0.022), hand * (y / 2 - 0.11), 1.0)
        neck = box(0.03, 0.014, 0.014).moved(side * (x / 2 + 0.008), hand * (y / 2 - 0.06), 1.0)
        maker.paint(STEEL, lever, neck, joint=joint)


def crib(maker: Maker) -> None:
    """Build a child's bed with bars."""
    x, y, z, post = 0.66, 1.24, 0.86, 0.04
    wood = textures.wood(maker.rng, (196, 150, 100))
    maker.add(wood, legs(x, y, z, post, 1.0))
    for side in (-1, 1):
        for level in (0.26, z - 0.05):
            maker.add(wood, box(0.024, y - post, 0.05).moved(side * (x - post) / 2, 0, level))
            maker.add(wood, box(x - post, 0.024, 0.05).moved(0, side * (y - post) / 2, level))
        for i in range(9):
            bar = cylinder(0.008, z - 0.3, 6).moved(side * (x - post) / 2, (i - 4) * (y - 0.1) / 9, 0.28)
            maker.add(wood, bar)
        for i in range(4):
            maker.add(wood, cylinder(0.008, z - 0.3, 6).moved((i - 1.5) * 0.14, side * (y - post) / 2, 0.28))
    maker.paint((240, 238, 232), box(x - 0.06, y - 0.06, 0.1).moved(z=_CRIB_FLOOR_M - 0.12))
    maker.add(
        textures.fabric(maker.rng, maker.rgb), box(x - 0.08, y * 0.55, 0.025).moved(0, 0.2, _CRIB_FLOOR_M - 0.025)
    )


def crib_surfaces(size: Size) -> Tuple[Surface, ...]:
    """Find the blanket."""
    return (Surface((-size[0] / 2 + 0.08, -0.1, size[0] / 2 - 0.08, 0.5), _CRIB_FLOOR_M, 0.5, "in"),)


def piano(maker: Maker) -> None:
    """Build an upright piano with its keys."""
    x, y, z = 0.58, 1.42, 1.12
    gloss = maker.rgb
    maker.paint(gloss, box(0.32, y, z).moved(-0.13), box(0.36, y + 0.03, 0.03).moved(-0.11, 0, z))
    maker.paint(gloss, box(0.27, y, 0.1).moved(x / 2 - 0.135, 0, 0.6))
    for side in (-1, 1):
        maker.paint(gloss, box(0.08, 0.06, 0.6).moved(x / 2 - 0.05, side * (y / 2 - 0.03)))
        maker.paint(gloss, box(0.27, 0.06, 0.2).moved(x / 2 - 0.135, side * (y / 2 - 0.03), 0.6))
    maker.paint((244, 242, 236), box(0.15, y - 0.16, 0.02).moved(x / 2 - 0.1, 0, 0.7))
    black = [
        box(0.09, 0.012, 0.012).moved(x / 2 - 0.13, (i - 17) * 0.036, 0.72) for i in range(35) if i % 7 not in (2, 6)
    ]
    maker.paint((26, 26, 28), *black)
    maker.paint(
        (190, 160, 90), *[cylinder(0.018, 0.05, 8).turned("y", 90).moved(0.03, dy, 0.04) for dy in (-0.06, 0.06)]
    )


def workbench(maker: Maker) -> None:
    """Build a heavy bench with a vice and a board below."""
    x, y, z = 0.62, 1.5, 0.88
    wood = textures.wood(maker.rng, maker.rgb)
    maker.add(wood, box(x, y, 0.07).moved(z=z - 0.07), legs(x - 0.06, y - 0.1, z - 0.07, 0.09, 1.0))
    maker.add(wood, box(x - 0.1, y - 0.12, 0.03).moved(z=0.2))
    maker.paint((70, 90, 120), box(0.1, 0.16, 0.1).moved(x / 2 + 0.03, -y / 2 + 0.25, z - 0.14))
    maker.paint(STEEL, tube([(x / 2 + 0.1, -y / 2 + 0.15, z - 0.09), (x / 2 + 0.1, -y / 2 + 0.35, z - 0.09)], 0.01, 6))


def rocking_horse(maker: Maker) -> None:
    """Build a wooden horse on two runners."""
    wood = textures.wood(maker.rng, (186, 138, 88))
    for side in (-1, 1):
        runner = [
            (-0.36, side * 0.13, 0.08),
            (-0.16, side * 0.13, 0.014),
            (0.16, side * 0.13, 0.014),
            (0.36, side * 0.13, 0.08),
        ]
        maker.paint(maker.rgb, tube(runner, 0.014, 6))
        for dx in (-0.18, 0.18):
            maker.add(wood, tube([(dx, side * 0.13, 0.02), (dx * 0.8, side * 0.07, 0.36)], 0.02, 6))
    maker.add(wood, pillow(0.46, 0.2, 0.18, 0.6, 14).moved(0, 0, 0.42))
    maker.add(
        wood, tube([(0.18, 0, 0.46), (0.28, 0, 0.66)], (0.07, 0.05), 10), ellipsoid(0.2, 0.09, 0.1).moved(0.34, 0, 0.68)
    )
    maker.paint(maker.rgb, pillow(0.2, 0.21, 0.05, 0.5, 12).moved(-0.02, 0, 0.51))
    maker.paint((60, 40, 30), tube([(-0.23, 0, 0.46), (-0.32, 0, 0.3)], (0.03, 0.01), 6))
    maker.paint((60, 40, 30), tube([(0.2, 0, 0.58), (0.27, 0, 0.74)], (0.02, 0.03), 6))


def ironing_board(maker: Maker) -> None:
    """Build an ironing board on crossed legs."""
    x, y, z = 0.36, 1.2, 0.86
    maker.add(textures.stripes(maker.rgb, shade(maker.rgb, 1.5), 6, share=0.7), box(x, y, 0.03).moved(z=z - 0.03))
    for side in (-1, 1):
        for dx in (-0.13, 0.13):
            maker.paint(STEEL, tube([(dx, side * 0.45, 0.012), (dx, -side * 0.35, z - 0.03)], 0.011, 6))
        maker.paint((60, 62, 66), tube([(-0.18, side * 0.45, 0.014), (0.18, side * 0.45, 0.014)], 0.014, 6))


def laundry_hamper(maker: Maker) -> None:
    """Build a tall hamper of cloth, half full."""
    cloth = textures.stripes(maker.rgb, shade(maker.rgb, 0.75), 4, share=0.6)
    maker.add(cloth, cup(0.2, 0.52, 0.012, 20, foot=0.18))
    maker.paint((230, 226, 216), cylinder(0.165, 0.02, 18).moved(z=_HAMPER_FLOOR_M - 0.02))
    for side in (-1, 1):
        maker.paint(
            (120, 100, 76), tube([(-0.05, side * 0.2, 0.5), (0, side * 0.21, 0.58), (0.05, side * 0.2, 0.5)], 0.008, 6)
        )


_HAMPER_FLOOR_M = 0.3


def hamper_surfaces(size: Size) -> Tuple[Surface, ...]:
    """Find the square that fits on what lies in it."""
    del size
    return (Surface((-0.11, -0.16, 0.11, 0.16), _HAMPER_FLOOR_M, 0.5, "in"),)


def fan(maker: Maker) -> None:
    """Build a standing fan."""
    maker.paint((52, 54, 58), lathe([(0, 0), (0.17, 0), (0.165, 0.02), (0.02, 0.035), (0.015, 0.85), (0, 0.85)], 20))
    maker.paint(maker.rgb, ellipsoid(0.18, 0.12, 0.12, 12).moved(-0.07, 0, 0.95))
    maker.paint((200, 202, 206), lathe([(0.2, -0.03), (0.21, 0), (0.2, 0.03)], 24).turned("y", 90).moved(0.04, 0, 0.95))
    for turn in range(3):
        blade = box(0.006, 0.09, 0.17).moved(0, 0, 0.02).turned("x", 120.0 * turn)
        maker.paint(maker.rgb, blade.moved(0.04, 0, 0.95))
    maker.paint(STEEL, *[tube([(0.04, 0, 0.95), (0.06, 0, 1.15)], 0.003, 4)])


def heater(maker: Maker) -> None:
    """Build an oil radiator on feet."""
    for i in range(7):
        maker.paint(maker.rgb, pillow(0.14, 0.055, 0.5, 0.3, 10).moved(0, (i - 3) * 0.075, 0.33))
    maker.paint((60, 62, 66), box(0.16, 0.08, 0.34).moved(0, 0.27, 0.1))
    for side in (-1, 1):
        maker.paint((60, 62, 66), box(0.24, 0.03, 0.05).moved(0, side * 0.22))


def mirror(maker: Maker) -> None:
    """Build a standing mirror in a frame, leaning back on its prop."""
    y, z = 0.48, 1.5
    glass = textures.glass(maker.rng, (188, 204, 214))
    face = quad(
        [
            (0.013, -y / 2 + 0.03, 0.05),
            (0.013, y / 2 - 0.03, 0.05),
            (0.013, y / 2 - 0.03, z - 0.04),
            (0.013, -y / 2 + 0.03, z - 0.04),
        ],
        None,
    )
    maker.add(textures.wood(maker.rng, maker.rgb), box(0.024, y, z).turned("y", -8))
    maker.add(glass, face.turned("y", -8))
    for side in (-1, 1):
        maker.paint((80, 66, 52), tube([(-0.34, side * 0.16, 0.003), (-0.16, side * 0.16, 1.1)], 0.012, 6))


def ladder(maker: Maker) -> None:
    """Build a step ladder."""
    for side in (-1, 1):
        maker.paint(STEEL, tube([(0.3, side * 0.24, 0.0), (0.02, side * 0.18, 1.3)], 0.02, 6))
        maker.paint(STEEL, tube([(-0.3, side * 0.24, 0.0), (-0.02, side * 0.18, 1.3)], 0.016, 6))
    for i in range(4):
        share = (i + 1) / 4.5
        maker.paint(maker.rgb, box(0.1, 0.46 - 0.1 * share, 0.025).moved(0.3 - 0.28 * share, 0, 1.3 * share))
    maker.paint(maker.rgb, box(0.16, 0.38, 0.03).moved(z=1.29))
