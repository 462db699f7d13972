"""Electronics, books, toys, lamps, plants and containers."""

from __future__ import annotations

from typing import Tuple

from sim.houses import textures
from sim.houses.maker import Maker, Size, Surface
from sim.houses.shapes import (
    arc,
    box,
    cup,
    cylinder,
    ellipsoid,
    join,
    lathe,
    leaf,
    pillow,
    quad,
    sphere,
    tapered_box,
    tube,
)
from sim.houses.tables import STEEL
from sim.houses.textures import Texture, shade

DARK = (38, 39, 42)
BOX_WALL_M = 0.012


def _display(maker: Maker, y: float, z: float, texture: Texture, stand_z: float) -> None:
    """Build a flat display facing +x, its lower edge at ``stand_z``."""
    maker.paint(
        DARK, box(0.035, y, z).moved(z=stand_z), box(0.05, y * 0.6, z * 0.5).moved(-0.025, 0, stand_z + z * 0.2)
    )
    a, low, high = y / 2 - 0.015, stand_z + 0.02, stand_z + z - 0.015
    front = 0.0185
    maker.add(texture, quad([(front, -a, low), (front, a, low), (front, a, high), (front, -a, high)], None))


def tv(maker: Maker) -> None:
    """Build a television on two feet, showing a film."""
    _display(maker, 1.0, 0.58, textures.screen(maker.rng, "film"), 0.06)
    for side in (-1, 1):
        foot = tube([(-0.1, side * 0.36, 0.008), (0.0, side * 0.34, 0.07), (0.1, side * 0.36, 0.008)], 0.009, 6)
        maker.paint(DARK, foot)


def monitor(maker: Maker) -> None:
    """Build a computer monitor on a round foot."""
    _display(maker, 0.56, 0.34, textures.screen(maker.rng, "desktop"), 0.13)
    maker.paint(STEEL, cylinder(0.11, 0.012, 20).moved(-0.03), cylinder(0.022, 0.28, 10).moved(-0.045))


def keyboard(maker: Maker) -> None:
    """Build a keyboard, its keys towards +x."""
    x, y = 0.15, 0.43
    maker.paint(shade(maker.rgb, 0.9), tapered_box((x, y), (x - 0.006, y - 0.006), 0.018))
    field = textures.keys(
        shade(maker.rgb, 0.55), shade(maker.rgb, 1.25) if maker.colour == "black" else (246, 246, 246)
    )
    a, b, z = x / 2 - 0.012, y / 2 - 0.012, 0.0195
    maker.add(field, quad([(a, -b, z), (a, b, z), (-a, b, z), (-a, -b, z)], None))


def laptop(maker: Maker) -> None:
    """Build an open laptop, its screen towards +x."""
    x, y = 0.24, 0.34
    maker.paint(maker.rgb, box(x, y, 0.018))
    a, b, z = x / 2 - 0.09, y / 2 - 0.02, 0.0188
    field = textures.keys(shade(maker.rgb, 0.6), (40, 42, 46))
    maker.add(field, quad([(a, -b, z), (a, b, z), (-x / 2 + 0.02, b, z), (-x / 2 + 0.02, -b, z)], None))
    maker.paint(shade(maker.rgb, 0.7), box(0.06, 0.1, 0.001).moved(x / 2 - 0.045, 0, 0.018))
    b, high = y / 2 - 0.01, 0.22
    face = quad([(0.0065, -b, 0.01), (0.0065, b, 0.01), (0.0065, b, high - 0.01), (0.0065, -b, high - 0.01)], None)
    maker.paint(maker.rgb, box(0.011, y, high).turned("y", -16).moved(-x / 2 + 0.004, 0, 0.016))
    maker.add(textures.screen(maker.rng, "desktop"), face.turned("y", -16).moved(-x / 2 + 0.004, 0, 0.016))


def printer(maker: Maker) -> None:
    """Build a printer with paper in its tray."""
    maker.paint(shade(maker.rgb, 0.95), box(0.32, 0.42, 0.16), box(0.26, 0.42, 0.04).moved(-0.03, 0, 0.16))
    maker.paint((44, 46, 50), box(0.01, 0.34, 0.05).moved(0.16, 0, 0.06), box(0.18, 0.3, 0.004).moved(-0.02, 0, 0.2))
    maker.paint(
        (250, 250, 250),
        box(0.08, 0.22, 0.008).moved(0.2, 0, 0.065),
        box(0.01, 0.22, 0.12).turned("y", -20).moved(-0.1, 0, 0.19),
    )
    maker.paint((60, 160, 220), box(0.05, 0.09, 0.006).moved(0.06, -0.13, 0.2))


def radio(maker: Maker) -> None:
    """Build a portable radio with a speaker grille, dial and carrying handle."""
    maker.paint(maker.rgb, pillow(0.1, 0.3, 0.18, 0.18, 16).moved(z=0.09))
    maker.paint((54, 50, 46), cylinder(0.06, 0.008, 20).turned("y", 90).moved(0.045, -0.075, 0.09))
    maker.paint((180, 174, 160), cylinder(0.03, 0.012, 16).turned("y", 90).moved(0.045, -0.075, 0.09))
    maker.paint((240, 232, 200), box(0.008, 0.11, 0.04).moved(0.047, 0.07, 0.1))
    for dy in (0.04, 0.1):
        maker.paint((60, 56, 52), cylinder(0.015, 0.016, 12).turned("y", 90).moved(0.045, dy, 0.055))
    handle = [(0, -0.13, 0.16), (0, -0.12, 0.22), (0, 0.12, 0.22), (0, 0.13, 0.16)]
    maker.paint((60, 56, 52), tube(handle, 0.008, 6), tube([(-0.03, 0.12, 0.17), (-0.03, 0.18, 0.36)], 0.004, 5))


def book(maker: Maker) -> None:
    """Build a book standing upright, its front cover towards +x."""
    thick, y, z = 0.035, 0.16, 0.225
    cover = textures.cover(maker.rng, maker.rgb)
    maker.paint((244, 240, 226), box(thick - 0.008, y - 0.01, z - 0.012).moved(0, 0.004, 0.006))
    for side in (-1, 1):
        maker.add(cover, box(0.005, y, z, None).moved(side * (thick / 2 - 0.0025)))
    maker.add(cover, box(thick, 0.006, z, None).moved(0, -y / 2 + 0.003))


def clock(maker: Maker) -> None:
    """Build a round alarm clock with two bells and feet."""
    rim = [(0, 0), (0.085, 0), (0.09, 0.01), (0.09, 0.055), (0.08, 0.06), (0.08, 0.054), (0, 0.054)]
    maker.paint(maker.rgb, lathe(rim, 28).turned("y", 90).moved(-0.03, 0, 0.105))
    face = textures.dial((250, 248, 240), (20, 20, 22))
    a, low, high = 0.056, 0.105 - 0.056, 0.105 + 0.056
    maker.paint((250, 248, 240), cylinder(0.079, 0.002, 24).turned("y", 90).moved(0.0245, 0, 0.105))
    maker.add(face, quad([(0.0275, -a, low), (0.0275, a, low), (0.0275, a, high), (0.0275, -a, high)], None))
    for side in (-1, 1):
        maker.paint(STEEL, tube([(0, side * 0.05, 0.04), (0, side * 0.075, 0.0)], 0.009, 6))
        bell = lathe([(0.036, 0), (0.03, 0.02), (0, 0.03)], 14).turned("x", side * -30)
        maker.paint(shade(maker.rgb, 0.75), bell.moved(0, side * 0.048, 0.185))


def table_lamp(maker: Maker) -> None:
    """Build a lamp with a foot, a stem and an open shade."""
    maker.paint((150, 120, 70), lathe([(0, 0), (0.075, 0), (0.07, 0.02), (0.02, 0.035), (0.014, 0.24), (0, 0.24)], 20))
    _shade(maker, 0.14, 0.09, 0.18, 0.2)


def floor_lamp(maker: Maker) -> None:
    """Build a lamp as tall as a child."""
    maker.paint((58, 58, 62), lathe([(0, 0), (0.14, 0), (0.135, 0.025), (0.02, 0.035), (0.014, 1.3), (0, 1.3)], 20))
    _shade(maker, 0.2, 0.13, 0.28, 1.22)


def _shade(maker: Maker, low: float, high: float, height: float, z: float) -> None:
    outer = [(low, z), (high, z + height), (high - 0.004, z + height), (low - 0.004, z), (low, z)]
    maker.add(textures.fabric(maker.rng, maker.rgb), lathe(outer, 24, 0.15))
    maker.paint((255, 244, 200), ellipsoid(0.06, 0.06, 0.08, 10).moved(z=z + height * 0.4))
    maker.paint(
        (90, 84, 70),
        cylinder(0.006, height * 0.6, 6).moved(z=z),
        box(2 * high, 0.006, 0.006).moved(z=z + height - 0.02),
    )


def plant(maker: Maker) -> None:
    """Build a large potted plant."""
    _potted(maker, 0.17, 0.32, 16, 0.66)


def small_plant(maker: Maker) -> None:
    """Build a plant for a windowsill."""
    _potted(maker, 0.075, 0.12, 10, 0.18)


def _potted(maker: Maker, radius: float, height: float, n_leaves: int, length: float) -> None:
    pot = [
        (0, 0),
        (radius * 0.7, 0),
        (radius, height),
        (radius * 0.9, height),
        (radius * 0.85, height * 0.85),
        (0, height * 0.85),
    ]
    maker.paint(
        (188, 96, 58),
        lathe(pot, 20),
        lathe(
            [
                (radius * 0.98, height * 0.82),
                (radius * 1.07, height * 0.84),
                (radius * 1.07, height * 1.01),
                (radius * 0.95, height * 1.01),
            ],
            20,
        ),
    )
    maker.paint((64, 44, 30), cylinder(radius * 0.86, height * 0.02, 16).moved(z=height * 0.86))
    for i in range(n_leaves):
        ring = i % 2
        size = length * float(maker.rng.uniform(0.8, 1.05)) * (1.0 if ring else 0.85)
        blade = leaf(size, size * 0.28, 95 if ring else 50, 78 if ring else 88, 5)
        tone = shade(maker.rgb, float(maker.rng.choice([0.8, 1.0, 1.15])))
        turn = 360.0 / n_leaves * i + float(maker.rng.uniform(-10, 10))
        maker.paint(tone, blade.moved(radius * 0.15, 0, height * 0.86).turned("z", turn))


def ball(maker: Maker) -> None:
    """Build a beach ball in two colours."""
    other = (246, 246, 242) if maker.colour != "white" else (60, 110, 200)
    texture = textures.stripes(maker.rgb, other, 3, share=0.66).transpose(1, 0, 2).copy()
    maker.add(texture, sphere(0.11).moved(z=0.11))


def toy_car(maker: Maker) -> None:
    """Build a toy car with four wheels and windows."""
    maker.paint(
        maker.rgb,
        pillow(0.26, 0.13, 0.075, 0.25, 16).moved(0, 0, 0.06),
        tapered_box((0.15, 0.115), (0.09, 0.1), 0.055).moved(-0.015, 0, 0.088),
    )
    glass = (70, 92, 110)
    maker.paint(
        glass,
        tapered_box((0.152, 0.09), (0.11, 0.08), 0.038).moved(-0.015, 0, 0.094),
        tapered_box((0.11, 0.117), (0.075, 0.104), 0.036).moved(-0.015, 0, 0.096),
    )
    for sx in (-1, 1):
        for sy in (-1, 1):
            wheel = cylinder(0.032, 0.025, 14).turned("x", 90).moved(sx * 0.08, sy * 0.06 + 0.0125, 0.032)
            hub = cylinder(0.014, 0.029, 8).turned("x", 90).moved(sx * 0.08, sy * 0.06 + 0.0145, 0.032)
            maker.paint(DARK, wheel)
            maker.paint((216, 216, 220), hub)
    maker.paint(
        (255, 240, 180), *[ellipsoid(0.012, 0.024, 0.02, 8).moved(0.128, side * 0.042, 0.065) for side in (-1, 1)]
    )


def rubber_duck(maker: Maker) -> None:
    """Build a rubber duck."""
    maker.paint(
        maker.rgb,
        ellipsoid(0.15, 0.11, 0.09, 16).moved(0, 0, 0.045),
        ellipsoid(0.085, 0.085, 0.08, 14).moved(0.04, 0, 0.115),
    )
    maker.paint(maker.rgb, tube([(-0.05, 0, 0.055), (-0.09, 0, 0.09)], (0.03, 0.006), 8))
    maker.paint((240, 120, 24), ellipsoid(0.045, 0.05, 0.016, 10).moved(0.09, 0, 0.108))
    for side in (-1, 1):
        maker.paint(shade(maker.rgb, 0.88), ellipsoid(0.08, 0.02, 0.05, 10).moved(-0.015, side * 0.052, 0.055))
        maker.paint((20, 20, 20), ellipsoid(0.012, 0.012, 0.016, 8).moved(0.07, side * 0.026, 0.128))


def globe(maker: Maker) -> None:
    """Build a globe on a stand."""
    world = textures.globe_map(maker.rng, maker.rgb, (120, 160, 70))
    maker.add(world, sphere(0.11).turned("x", 20).moved(z=0.2))
    maker.paint(
        (120, 84, 44), lathe([(0, 0), (0.085, 0), (0.08, 0.018), (0.018, 0.03), (0.014, 0.075), (0, 0.075)], 20)
    )
    ring = [(0.0, x, z + 0.2) for x, _, z in arc(0.125, 0.125, -90, 110, 16)]
    maker.paint((176, 146, 78), tube(ring, 0.007, 6))


def guitar(maker: Maker) -> None:
    """Build a guitar on a stand, its strings towards +x."""
    lower = cylinder(0.19, 0.09, 24).scaled(0.9, 1, 1).turned("y", 90).moved(-0.045, 0, 0.27)
    upper = cylinder(0.145, 0.0895, 24).scaled(0.95, 1, 1).turned("y", 90).moved(-0.0448, 0, 0.48)
    maker.paint(maker.rgb, lower, upper)
    maker.paint(
        (36, 26, 20),
        cylinder(0.05, 0.004, 18).turned("y", 90).moved(0.044, 0, 0.43),
        box(0.012, 0.12, 0.02).moved(0.05, 0, 0.22),
    )
    maker.paint(
        (70, 46, 30),
        box(0.022, 0.05, 0.5).moved(0.046, 0, 0.52),
        box(0.02, 0.075, 0.14).turned("y", -8).moved(0.046, 0, 1.0),
    )
    maker.paint((230, 226, 214), *[box(0.001, 0.002, 0.8).moved(0.059, 0.007 * (i - 1.5), 0.22) for i in range(4)])
    for side in (-1, 1):
        maker.paint(DARK, tube([(-0.16, side * 0.16, 0.0), (-0.07, side * 0.08, 0.3)], 0.01, 6))
        maker.paint(DARK, tube([(0.13, side * 0.14, 0.008), (-0.07, side * 0.08, 0.08)], 0.01, 6))


def suitcase(maker: Maker) -> None:
    """Build a standing suitcase with grooves, wheels and a handle."""
    maker.paint(maker.rgb, pillow(0.22, 0.4, 0.54, 0.18, 20).moved(z=0.31))
    maker.paint(shade(maker.rgb, 0.72), *[box(0.225, 0.03, 0.46).moved(0, 0.1 * i, 0.08) for i in (-1, 0, 1)])
    for side in (-1, 1):
        maker.paint(
            DARK,
            cylinder(0.025, 0.03, 10).turned("x", 90).moved(0.07, side * 0.15, 0.025),
            cylinder(0.025, 0.03, 10).turned("x", 90).moved(-0.07, side * 0.15, 0.025),
        )
        maker.paint(STEEL, box(0.016, 0.016, 0.17).moved(-0.06, side * 0.09, 0.57))
    maker.paint(DARK, box(0.03, 0.22, 0.03).moved(-0.06, 0, 0.73))


def carton(maker: Maker) -> None:
    """Build an open cardboard box with its flaps out."""
    x, y, z, wall = 0.34, 0.42, 0.26, BOX_WALL_M
    inner = shade(maker.rgb, 0.8)
    maker.paint(inner, box(x, y, wall))
    for side in (-1, 1):
        maker.paint(
            maker.rgb, box(wall, y, z).moved(side * (x - wall) / 2), box(x, wall, z).moved(0, side * (y - wall) / 2)
        )
        flap = box(0.12, y - 0.01, 0.006).moved(0.06).turned("y", 38)
        maker.paint(
            inner, flap.moved(x / 2, 0, z - 0.004) if side > 0 else flap.turned("z", 180).moved(-x / 2, 0, z - 0.004)
        )
    maker.paint((226, 214, 180), box(0.002, 0.06, z).moved(x / 2 + 0.001), box(0.002, 0.06, z).moved(-x / 2 - 0.001))


def carton_surfaces(size: Size) -> Tuple[Surface, ...]:
    """Find the floor of the box."""
    x, y = size[0] / 2 - 0.13, size[1] / 2 - 0.03
    return (Surface((-x, -y, x, y), BOX_WALL_M, 0.4, "in"),)


def basket(maker: Maker) -> None:
    """Build a round wicker basket with two loops."""
    weave = textures.wicker(maker.rng, maker.rgb)
    maker.add(weave, cup(0.2, 0.3, 0.015, 24, foot=0.17))
    rim = lathe([(0.203, 0.29), (0.21, 0.3), (0.2, 0.312), (0.184, 0.3), (0.188, 0.29)], 24, 0.2)
    maker.add(weave, rim)
    for side in (-1, 1):
        loop = [(x, side * 0.195, z + 0.3) for x, _, z in arc(0.05, 0.06, 0, 180)]
        maker.add(weave, tube(loop, 0.009, 6))


def basket_surfaces(size: Size) -> Tuple[Surface, ...]:
    """Find the square that fits on the basket's floor."""
    del size
    return (Surface((-0.108, -0.108, 0.108, 0.108), 0.015, 0.5, "in"),)


def hat(maker: Maker) -> None:
    """Build a hat with a brim and a ribbon."""
    felt = textures.fur(maker.rng, maker.rgb)
    maker.add(
        felt, lathe([(0, 0.002), (0.17, 0.0), (0.172, 0.008), (0.1, 0.012), (0.095, 0.1), (0.07, 0.12), (0, 0.11)], 28)
    )
    ribbon = (40, 36, 40) if maker.colour != "black" else (190, 40, 44)
    maker.paint(ribbon, lathe([(0.104, 0.01), (0.102, 0.042), (0.09, 0.044)], 28))


def umbrella_stand(maker: Maker) -> None:
    """Build a stand with two umbrellas in it."""
    maker.paint(maker.rgb, cup(0.12, 0.45, 0.008, 20, foot=0.1))
    for side, rgb in ((-1, (58, 60, 66)), (1, (176, 60, 120))):
        folded = tube(
            [(side * 0.02, 0, 0.02), (side * 0.05, side * 0.02, 0.35), (side * 0.06, side * 0.03, 0.66)],
            (0.01, 0.04, 0.012),
            10,
        )
        hook = [(side * 0.06 + 0.03 - x, side * 0.03, 0.78 + z) for x, _, z in arc(0.03, 0.03, 0, 180)]
        maker.paint(rgb, folded)
        maker.paint((110, 74, 42), tube([(side * 0.06, side * 0.03, 0.65), *hook], 0.009, 6))


def picture_frame(maker: Maker) -> None:
    """Build a framed picture that leans on its own prop."""
    y, z = 0.2, 0.26
    frame = join(
        [box(0.016, 0.02, z).moved(0, side * (y / 2 - 0.01)) for side in (-1, 1)]
        + [box(0.016, y, 0.02).moved(z=at) for at in (0.0, z - 0.02)]
    )
    maker.paint(maker.rgb, frame.turned("y", -12))
    a = y / 2 - 0.02
    view = quad([(0.004, -a, 0.02), (0.004, a, 0.02), (0.004, a, z - 0.02), (0.004, -a, z - 0.02)], None)
    maker.add(textures.screen(maker.rng, "film"), view.turned("y", -12))
    maker.paint(
        (70, 54, 40),
        box(0.006, y - 0.02, z - 0.02).turned("y", -12).moved(-0.006, 0, 0.004),
        tube([(-0.11, 0, 0.001), (-0.058, 0, 0.19)], 0.006, 5),
    )
