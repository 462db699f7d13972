"""Upholstered things: sofa, armchair, bed, and what lies on them."""

from __future__ import annotations

from typing import Tuple

from sim.houses import textures
from sim.houses.maker import Maker, Size, Surface
from sim.houses.shapes import arc, box, cylinder, ellipsoid, join, pillow, throw_pillow, tube
from sim.houses.tables import legs
from sim.houses.textures import shade

SEAT_M = 0.43
MATTRESS_M = 0.5


def _seat(maker: Maker, y: float, n_cushions: int) -> None:
    """Build a sofa of any width: base, arms, back, cushions."""
    x, arm, back = 0.86, 0.16, 0.2
    cloth = textures.fabric(maker.rng, maker.rgb)
    soft = textures.fabric(maker.rng, shade(maker.rgb, 1.13))
    maker.add(cloth, box(x - 0.04, y - 0.04, 0.2).moved(z=0.1))
    for side in (-1, 1):
        rounded = pillow(x, arm, 0.2, 0.3).moved(0, side * (y - arm) / 2, 0.54)
        maker.add(cloth, box(x - 0.02, arm - 0.02, 0.46).moved(0, side * (y - arm) / 2, 0.1), rounded)
    maker.add(cloth, box(back - 0.04, y - 2 * arm, 0.62).moved(-x / 2 + back / 2, 0, 0.1))
    maker.paint((62, 46, 34), legs(x - 0.1, y - 0.1, 0.1, 0.05))
    width = (y - 2 * arm) / n_cushions
    for i in range(n_cushions):
        at = -y / 2 + arm + (i + 0.5) * width
        maker.add(soft, box(x - back - 0.02, width - 0.012, SEAT_M - 0.34).moved(back / 2 - 0.01, at, 0.3))
        maker.add(soft, pillow(x - back - 0.01, width - 0.008, 0.08, 0.22).moved(back / 2 - 0.01, at, SEAT_M - 0.04))
        leaning = pillow(0.17, width - 0.01, 0.44, 0.3).turned("y", -8)
        maker.add(soft, leaning.moved(-x / 2 + back + 0.02, at, 0.62))


def sofa(maker: Maker) -> None:
    """Build a sofa for three."""
    _seat(maker, float(maker.rng.uniform(1.85, 2.0)), 3)


def armchair(maker: Maker) -> None:
    """Build an armchair."""
    _seat(maker, 0.88, 1)


def seat_surfaces(size: Size) -> Tuple[Surface, ...]:
    """Find the seat of a sofa or armchair, before its back cushions."""
    x, y = size[0] / 2, size[1] / 2 - 0.19
    return (Surface((-x + 0.38, -y, x - 0.04, y), SEAT_M),)


def bed(maker: Maker) -> None:
    """Build a double bed: frame, headboard, mattress, blanket, two pillows."""
    x, y = 2.02, 1.45
    wood = textures.wood(maker.rng, (132, 92, 58))
    maker.add(wood, box(0.06, y + 0.04, 1.0).moved(-x / 2 + 0.03), box(x - 0.06, y, 0.22).moved(0.03, 0, 0.1))
    maker.add(wood, legs(x - 0.1, y - 0.05, 0.1, 0.07, 1.0), box(0.04, y + 0.04, 0.42).moved(x / 2 - 0.02, 0, 0.06))
    maker.paint((240, 238, 232), box(x - 0.14, y - 0.06, 0.15).moved(0, 0, 0.32))
    blanket = textures.fabric(maker.rng, maker.rgb)
    maker.add(blanket, box(1.3, y + 0.015, 0.28).moved(x / 2 - 0.72, 0, MATTRESS_M - 0.28))
    maker.add(textures.fabric(maker.rng, shade(maker.rgb, 1.3)), box(0.2, y + 0.02, 0.27).moved(x / 2 - 1.3, 0, 0.24))
    for side in (-1, 1):
        maker.paint((250, 249, 246), throw_pillow(0.42, 0.62, 0.16, 10).moved(-x / 2 + 0.32, side * 0.34, 0.55))


def bed_surfaces(size: Size) -> Tuple[Surface, ...]:
    """Find the blanket."""
    return (Surface((-0.1, -size[1] / 2 + 0.1, size[0] / 2 - 0.15, size[1] / 2 - 0.1), MATTRESS_M),)


def cushion(maker: Maker) -> None:
    """Build a throw pillow."""
    other = shade(maker.rgb, 0.72 if sum(maker.rgb) > 240 else 1.6)
    maker.add(textures.stripes(maker.rgb, other, 3, share=0.78), throw_pillow(0.38, 0.42, 0.16, 12).moved(z=0.08))


def teddy_bear(maker: Maker) -> None:
    """Build a sitting bear."""
    fur = textures.fur(maker.rng, maker.rgb)
    pale = textures.fur(maker.rng, shade(maker.rgb, 1.55))
    maker.add(
        fur, ellipsoid(0.16, 0.18, 0.2, 16).moved(0, 0, 0.1), ellipsoid(0.15, 0.17, 0.15, 16).moved(0.01, 0, 0.255)
    )
    maker.add(
        pale,
        ellipsoid(0.07, 0.12, 0.13, 12).moved(0.05, 0, 0.1),
        ellipsoid(0.07, 0.07, 0.055, 10).moved(0.075, 0, 0.235),
    )
    for side in (-1, 1):
        maker.add(fur, ellipsoid(0.04, 0.06, 0.06, 10).moved(-0.005, side * 0.07, 0.325))
        maker.add(fur, ellipsoid(0.17, 0.075, 0.075, 12).turned("z", side * 24).moved(0.11, side * 0.075, 0.0385))
        maker.add(fur, ellipsoid(0.065, 0.13, 0.06, 12).turned("x", side * -35).moved(0.03, side * 0.115, 0.13))
        maker.add(pale, ellipsoid(0.02, 0.06, 0.06, 8).turned("z", side * 24).moved(0.185, side * 0.11, 0.042))
        maker.paint((20, 18, 18), ellipsoid(0.014, 0.018, 0.02, 8).moved(0.077, side * 0.032, 0.275))
    maker.paint((24, 20, 20), ellipsoid(0.018, 0.03, 0.02, 8).moved(0.108, 0, 0.25))


def backpack(maker: Maker) -> None:
    """Build a standing backpack with pocket, straps and a loop."""
    cloth = textures.fabric(maker.rng, maker.rgb)
    dark = textures.fabric(maker.rng, shade(maker.rgb, 0.6))
    maker.add(cloth, pillow(0.2, 0.3, 0.44, 0.4, 18).moved(0, 0, 0.22))
    maker.add(dark, pillow(0.1, 0.24, 0.2, 0.4, 14).moved(0.09, 0, 0.14))
    maker.paint(
        (210, 208, 200), box(0.006, 0.2, 0.01).moved(0.138, 0, 0.19), box(0.006, 0.16, 0.01).moved(0.099, 0, 0.3)
    )
    maker.add(dark, tube([(x, y, z + 0.43) for x, y, z in arc(0.05, 0.05, 0, 180)], 0.009, 6).turned("z", 90))
    for side in (-1, 1):
        strap = [
            (-0.06, side * 0.07, 0.42),
            (-0.13, side * 0.09, 0.36),
            (-0.14, side * 0.1, 0.2),
            (-0.08, side * 0.11, 0.06),
        ]
        maker.add(dark, tube(strap, 0.016, 6))


def towel(maker: Maker) -> None:
    """Build a folded towel: three layers with a rounded fold at the front."""
    light = shade(maker.rgb, 1.35)
    cloth, band = textures.fur(maker.rng, maker.rgb), textures.fur(maker.rng, light)
    for i in range(3):
        z = 0.036 * i
        fold = cylinder(0.017, 0.3, 12).turned("x", -90).moved(0.1, -0.15, z + 0.018)
        maker.add(cloth if i != 1 else band, box(0.2, 0.3, 0.034).moved(0, 0, z + 0.001), fold)


def shoe(maker: Maker) -> None:
    """Build a trainer: sole, toe cap, upper with an opening, laces."""
    body = textures.fabric(maker.rng, maker.rgb)
    sole = (236, 234, 228) if maker.colour != "white" else (90, 92, 96)
    maker.paint(sole, pillow(0.28, 0.1, 0.036, 0.6, 18).moved(0, 0, 0.018), box(0.2, 0.06, 0.004))
    maker.add(
        body,
        ellipsoid(0.16, 0.092, 0.084, 14).moved(0.055, 0, 0.044),
        pillow(0.15, 0.088, 0.08, 0.6, 14).moved(-0.06, 0, 0.06),
    )
    rim = [(0.055 * x - 0.07, 0.035 * z, 0.1) for x, _, z in arc(1, 1, 0, 360, 13)]
    maker.add(body, tube(rim, 0.014, 6))
    maker.paint((30, 28, 28), ellipsoid(0.09, 0.055, 0.02, 10).moved(-0.07, 0, 0.1))
    laces = [box(0.008, 0.06, 0.006).turned("y", 24).moved(0.005 + 0.024 * i, 0, 0.098 - 0.008 * i) for i in range(3)]
    maker.paint(sole, join(laces))
