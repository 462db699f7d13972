"""Kitchen and bathroom fixtures."""

from __future__ import annotations

from typing import Tuple

from sim.houses import textures
from sim.houses.maker import Maker, Size, Surface
from sim.houses.shapes import Mesh, box, cup, cylinder, join, lathe, pillow, quad, tapered_box, tube
from sim.houses.tables import STEEL, bars
from sim.houses.textures import shade

BATH_FLOOR_M = 0.14


def counter(maker: Maker) -> None:
    """Build a kitchen counter: cupboards, drawers, a stone top, an inset basin with a tap at one end."""
    x, y, z = 0.62, float(maker.rng.uniform(1.75, 1.9)), 0.9
    maker.paint((60, 60, 62), box(x - 0.1, y - 0.02, 0.1).moved(-0.03))
    maker.paint((214, 210, 200), box(x - 0.06, y, z - 0.14).moved(-0.03, 0, 0.1))
    stone = textures.marble(maker.rng, (206, 204, 200))
    maker.add(stone, box(x, y, 0.04).moved(z=z - 0.04))
    front = textures.wood(maker.rng, maker.rgb)
    width = y / 3
    for i in range(3):
        at = -y / 2 + (i + 0.5) * width
        rows = ((0.12, 0.7),) if i != 1 else ((0.12, 0.22), (0.36, 0.22), (0.6, 0.22))
        for low, height in rows:
            maker.add(front, box(0.02, width - 0.02, height).moved(x / 2 - 0.05, at, low))
            maker.paint(STEEL, bars(0.16, ((x / 2 - 0.03, at, low + height - 0.06),)))
    basin = -y / 2 + 0.33
    maker.paint(STEEL, box(0.4, 0.44, 0.006).moved(0.03, basin, z))
    maker.paint((92, 95, 100), box(0.33, 0.37, 0.002).moved(0.03, basin, z + 0.006))
    tap = [
        (-0.23, basin, z),
        (-0.23, basin, z + 0.2),
        (-0.2, basin, z + 0.25),
        (-0.12, basin, z + 0.25),
        (-0.1, basin, z + 0.2),
    ]
    maker.paint(STEEL, tube(tap, 0.014, 8), cylinder(0.026, 0.03, 10).moved(-0.23, basin, z))


def counter_surfaces(size: Size) -> Tuple[Surface, ...]:
    """Find the stone beside the basin; the tap rises 0.264 m over it."""
    x, y = size[0] / 2 - 0.04, size[1] / 2 - 0.04
    return (Surface((-x, -size[1] / 2 + 0.62, x - 0.02, y), 0.9),)


def stove(maker: Maker) -> None:
    """Build a stove with an oven door and four rings."""
    x, y, z = 0.62, 0.6, 0.9
    maker.paint(shade(maker.rgb, 0.95), box(x - 0.04, y, z - 0.03).moved(-0.02))
    maker.paint((36, 36, 38), box(x, y, 0.03).moved(z=z - 0.03))
    maker.paint((30, 31, 34), box(0.012, y - 0.1, 0.36).moved(x / 2 - 0.036, 0, 0.24))
    maker.paint((96, 70, 52), box(0.004, y - 0.2, 0.22).moved(x / 2 - 0.029, 0, 0.3))
    maker.paint(STEEL, bars(y - 0.12, ((x / 2 - 0.012, 0, 0.66),), 0.022))
    maker.paint(shade(maker.rgb, 0.8), box(0.01, y, 0.15).moved(x / 2 - 0.036, 0, 0.71))
    for i in range(4):
        knob = cylinder(0.022, 0.03, 12).turned("y", 90).moved(x / 2 - 0.032, -0.21 + 0.14 * i, 0.79)
        maker.paint((24, 24, 26), knob)
    for dx in (-0.14, 0.13):
        for dy in (-0.15, 0.15):
            maker.paint((150, 60, 48), lathe([(0.1, 0), (0.1, 0.003), (0.08, 0.003), (0.08, 0)], 20).moved(dx, dy, z))
            maker.paint((110, 112, 116), cylinder(0.05, 0.003, 16).moved(dx, dy, z))


def washing_machine(maker: Maker) -> None:
    """Build a front loader with a round door."""
    x, y, z = 0.58, 0.6, 0.86
    maker.paint(maker.rgb, box(x - 0.03, y, z).moved(-0.015))
    maker.paint(shade(maker.rgb, 0.86), box(0.01, y - 0.02, 0.12).moved(x / 2 - 0.028, 0, z - 0.14))
    maker.paint((60, 110, 170), box(0.006, 0.12, 0.06).moved(x / 2 - 0.022, 0.05, z - 0.11))
    ring = lathe([(0.2, 0), (0.2, 0.03), (0.15, 0.035), (0.15, 0.0)], 24).turned("y", 90).moved(x / 2 - 0.035, 0, 0.42)
    glass = lathe([(0.155, 0.0), (0.13, 0.03), (0.0, 0.036)], 20).turned("y", 90).moved(x / 2 - 0.036, 0, 0.42)
    maker.paint((150, 154, 160), ring)
    maker.paint((42, 56, 72), glass)
    knob = cylinder(0.035, 0.025, 14).turned("y", 90).moved(x / 2 - 0.026, -0.2, z - 0.08)
    maker.paint((120, 124, 130), knob)


def trash_can(maker: Maker) -> None:
    """Build a pedal bin: a tapered drum with a domed lid."""
    maker.paint(maker.rgb, lathe([(0, 0), (0.11, 0), (0.14, 0.34), (0, 0.34)], 20))
    maker.paint(shade(maker.rgb, 0.7), lathe([(0.147, 0.335), (0.147, 0.36), (0.11, 0.4), (0.0, 0.415)], 20))
    maker.paint(
        (50, 50, 52),
        box(0.08, 0.07, 0.018).moved(0.13, 0, 0.01),
        lathe([(0, 0), (0.118, 0), (0.118, 0.025), (0.1, 0.026)], 20),
    )


def microwave(maker: Maker) -> None:
    """Build a microwave oven."""
    x, y, z = 0.34, 0.48, 0.28
    maker.paint(shade(maker.rgb, 0.95), box(x, y, z))
    maker.paint((26, 28, 32), box(0.008, 0.32, 0.21).moved(x / 2, 0.06, 0.035))
    maker.paint((70, 78, 88), box(0.004, 0.24, 0.14).moved(x / 2 + 0.004, 0.06, 0.07))
    maker.paint((30, 190, 120), box(0.006, 0.08, 0.025).moved(x / 2, -0.17, 0.22))
    buttons = [
        box(0.008, 0.02, 0.016).moved(x / 2, -0.2 + 0.03 * i, 0.05 + 0.035 * j) for i in range(3) for j in range(4)
    ]
    maker.paint((110, 112, 116), join(buttons), box(0.024, 0.016, 0.2).moved(x / 2 + 0.014, -0.115, 0.04))


def toaster(maker: Maker) -> None:
    """Build a toaster with two slices sticking out."""
    maker.paint(maker.rgb, pillow(0.19, 0.3, 0.2, 0.3, 16).moved(z=0.11), box(0.16, 0.27, 0.02))
    for dx in (-0.035, 0.035):
        maker.paint((28, 28, 30), box(0.032, 0.2, 0.004).moved(dx, 0, 0.207))
        maker.paint((204, 150, 84), box(0.02, 0.14, 0.04).moved(dx, 0, 0.2))
    maker.paint((40, 40, 42), box(0.05, 0.03, 0.02).moved(0, 0.155, 0.13))
    maker.paint((40, 40, 42), cylinder(0.018, 0.02, 10).turned("x", -90).moved(0, 0.14, 0.07))


def toilet(maker: Maker) -> None:
    """Build a toilet: foot, bowl, raised lid, cistern."""
    white = maker.rgb
    bowl = lathe([(0, 0), (0.13, 0), (0.1, 0.12), (0.19, 0.36), (0.2, 0.4), (0.15, 0.4), (0.1, 0.24), (0, 0.2)], 24)
    maker.paint(white, bowl.scaled(1.25, 0.95, 1).moved(0.1), box(0.25, 0.2, 0.36).moved(-0.12))
    maker.paint(
        shade(white, 0.86),
        lathe([(0.205, 0.4), (0.205, 0.42), (0.13, 0.42), (0.13, 0.4)], 24).scaled(1.22, 0.93, 1).moved(0.1),
    )
    maker.paint((150, 190, 214), cylinder(0.11, 0.005, 18).scaled(1.25, 0.95, 1).moved(0.1, 0, 0.27))
    lid = cylinder(0.2, 0.022, 24).scaled(1.15, 0.93, 1).turned("y", -82).moved(-0.13, 0, 0.62)
    maker.paint(shade(white, 0.95), lid)
    maker.paint(white, box(0.17, 0.4, 0.38).moved(-0.26, 0, 0.4), box(0.19, 0.42, 0.03).moved(-0.26, 0, 0.78))
    maker.paint(STEEL, cylinder(0.03, 0.012, 12).moved(-0.26, 0, 0.81))


def sink(maker: Maker) -> None:
    """Build a wash basin on a vanity, with a tap."""
    x, y, z = 0.5, 0.75, 0.82
    wood = textures.wood(maker.rng, (150, 108, 70))
    maker.add(wood, box(x - 0.06, y - 0.04, z - 0.14).moved(-0.02, 0, 0.1))
    maker.paint((70, 70, 72), box(x - 0.12, y - 0.1, 0.1).moved(-0.02))
    for side in (-1, 1):
        maker.add(wood, box(0.018, y / 2 - 0.04, z - 0.2).moved(x / 2 - 0.044, side * (y / 4 - 0.01), 0.13))
        maker.paint(STEEL, box(0.016, 0.014, 0.12).moved(x / 2 - 0.03, side * 0.03, 0.5))
    maker.paint(maker.rgb, box(x, y, 0.04).moved(z=z - 0.04))
    bowl = [(0.0, 0.0), (0.1, 0.0), (0.17, 0.1), (0.15, 0.1), (0.08, 0.025), (0.0, 0.02)]
    maker.paint(shade(maker.rgb, 1.03), lathe(bowl, 24).scaled(1.0, 1.15, 1.0).moved(0.04, 0, z))
    maker.paint((70, 74, 78), cylinder(0.02, 0.004, 10).moved(0.04, 0, z + 0.02))
    tap = [(-0.19, 0, z), (-0.19, 0, z + 0.18), (-0.16, 0, z + 0.21), (-0.06, 0, z + 0.2), (-0.05, 0, z + 0.16)]
    maker.paint(STEEL, tube(tap, 0.015, 8), cylinder(0.028, 0.02, 10).moved(-0.19, 0, z))


def sink_surfaces(size: Size) -> Tuple[Surface, ...]:
    """Find the strips left and right of the bowl."""
    x, y = size[0] / 2 - 0.03, size[1] / 2 - 0.015
    return (Surface((-x, 0.2, x, y), 0.82), Surface((-x, -y, x, -0.2), 0.82))


def bathtub(maker: Maker) -> None:
    """Build a tub: four walls, a floor inside, an apron, a tap."""
    x, y, z, wall = 0.74, 1.6, 0.52, 0.07
    white, inside = maker.rgb, shade(maker.rgb, 0.93)
    low = BATH_FLOOR_M
    for side in (-1, 1):
        maker.paint(
            white,
            box(wall, y, z).moved(side * (x - wall) / 2),
            box(x - 2 * wall, wall, z).moved(0, side * (y - wall) / 2),
        )
    a, b = x / 2 - wall, y / 2 - wall
    maker.paint(inside, quad([(-a, -b, low), (a, -b, low), (a, b, low), (-a, b, low)]))
    maker.paint(shade(white, 0.85), box(x - 2 * wall, y - 2 * wall, low - 0.02))
    maker.paint(white, _rim(x, y, z, wall))
    tap = [
        (-0.05, -y / 2 + 0.035, z),
        (-0.05, -y / 2 + 0.035, z + 0.12),
        (-0.05, -y / 2 + 0.16, z + 0.12),
        (-0.05, -y / 2 + 0.17, z + 0.07),
    ]
    maker.paint(STEEL, tube(tap, 0.014, 8))


def bathtub_surfaces(size: Size) -> Tuple[Surface, ...]:
    """Find the floor of the tub."""
    x, y = size[0] / 2 - 0.14, size[1] / 2 - 0.3
    return (Surface((-x, -y, x, y), BATH_FLOOR_M, 0.6, "in"),)


def pan(maker: Maker) -> None:
    """Build a frying pan with a long handle."""
    maker.paint(maker.rgb, cup(0.14, 0.05, 0.008, 24, foot=0.11))
    maker.paint((30, 30, 32), tube([(0, 0.135, 0.042), (0, 0.2, 0.055), (0, 0.33, 0.06)], (0.009, 0.011, 0.014), 8))


def pot(maker: Maker) -> None:
    """Build a cooking pot with a lid and two ears."""
    maker.paint(maker.rgb, lathe([(0, 0), (0.11, 0), (0.115, 0.01), (0.115, 0.13), (0, 0.13)], 24))
    maker.paint(shade(maker.rgb, 0.8), lathe([(0.12, 0.13), (0.12, 0.138), (0.06, 0.155), (0, 0.16)], 24))
    maker.paint((30, 30, 32), lathe([(0.01, 0.155), (0.01, 0.17), (0.022, 0.175), (0.018, 0.19), (0, 0.192)], 12))
    for side in (-1, 1):
        ear = [
            (-0.035, side * 0.11, 0.1),
            (-0.03, side * 0.145, 0.1),
            (0.03, side * 0.145, 0.1),
            (0.035, side * 0.11, 0.1),
        ]
        maker.paint((30, 30, 32), tube(ear, 0.009, 6))


def kettle(maker: Maker) -> None:
    """Build an electric kettle on its base, with a spout and a handle."""
    maker.paint((40, 40, 42), cylinder(0.085, 0.02, 20))
    maker.paint(maker.rgb, lathe([(0.08, 0.02), (0.085, 0.05), (0.062, 0.2), (0.05, 0.215), (0, 0.22)], 20))
    maker.paint(shade(maker.rgb, 0.9), tapered_box((0.03, 0.04), (0.07, 0.03), 0.05).moved(0.06, 0, 0.16))
    handle = [(-0.055, 0, 0.2), (-0.11, 0, 0.21), (-0.13, 0, 0.16), (-0.12, 0, 0.09), (-0.075, 0, 0.06)]
    maker.paint((40, 40, 42), tube(handle, 0.012, 8), lathe([(0.015, 0.218), (0.015, 0.235), (0, 0.238)], 10))


def _rim(x: float, y: float, z: float, wall: float) -> Mesh:
    """Return the tub's rounded edge."""
    a, b = (x - wall) / 2, (y - wall) / 2
    corners = [(-a, -b, z), (a, -b, z), (a, b, z), (-a, b, z)]
    return join([tube([corners[i], corners[(i + 1) % 4]], wall / 2, 8) for i in range(4)])
