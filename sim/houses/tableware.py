"""Things to eat and drink from, fruit, bottles, candles and vases."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from sim.houses import textures
from sim.houses.maker import Maker, Size, Surface
from sim.houses.shapes import arc, cup, cylinder, ellipsoid, lathe, leaf, tube
from sim.houses.textures import shade

BOWL_FLOOR_M = 0.014


def mug(maker: Maker) -> None:
    """Build a hollow mug with a handle and coffee in it."""
    radius, height = 0.045, 0.11
    maker.paint(maker.rgb, cup(radius, height, 0.006, 20, foot=0.042))
    maker.paint((60, 36, 22), cylinder(radius - 0.007, 0.002, 16).moved(z=height - 0.025))
    loop = [(x + 0.04, y, z + 0.056) for x, y, z in arc(0.036, 0.034, -100, 100, 10)]
    maker.paint(maker.rgb, tube(loop, 0.008, 8))


def bowl(maker: Maker) -> None:
    """Build a wide bowl with a flat floor inside."""
    low = BOWL_FLOOR_M
    profile = [
        (0, 0),
        (0.1, 0),
        (0.112, 0.01),
        (0.145, 0.075),
        (0.14, 0.08),
        (0.134, 0.075),
        (0.106, low + 0.01),
        (0.1, low),
        (0, low),
    ]
    maker.paint(maker.rgb, lathe(profile, 28))


def bowl_surfaces(size: Size) -> Tuple[Surface, ...]:
    """Find the square that fits on the round floor."""
    half = 0.115 * size[0] / 0.29 / np.sqrt(2.0)
    return (Surface((-half, -half, half, half), BOWL_FLOOR_M, 0.3, "in"),)


def plate(maker: Maker) -> None:
    """Build a plate with a rim of a lighter tone."""
    maker.paint(maker.rgb, lathe([(0, 0), (0.08, 0), (0.125, 0.018), (0.125, 0.022), (0.08, 0.008), (0, 0.008)], 28))
    maker.paint(shade(maker.rgb, 0.75), lathe([(0.126, 0.0165), (0.128, 0.02), (0.126, 0.0235), (0.115, 0.019)], 28))


def glass(maker: Maker) -> None:
    """Build a stemmed glass."""
    profile = [
        (0, 0),
        (0.04, 0),
        (0.04, 0.005),
        (0.008, 0.012),
        (0.007, 0.09),
        (0.03, 0.105),
        (0.045, 0.15),
        (0.04, 0.2),
        (0.036, 0.2),
    ]
    maker.paint(maker.rgb, lathe([*profile, (0.04, 0.15), (0.02, 0.112), (0, 0.108)], 20))


def apple(maker: Maker) -> None:
    """Build an apple with dents, a stem and a leaf."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, 12)
    profile = [(0.046 * np.cos(a) * (1 + 0.08 * np.sin(a)), 0.044 + 0.04 * np.sin(a)) for a in angles]
    profile[0], profile[-1] = (0.0, 0.009), (0.0, 0.073)
    maker.paint(maker.rgb, lathe([(max(r, 0.0), z) for r, z in profile], 16))
    maker.paint((84, 56, 30), tube([(0, 0, 0.07), (0.006, 0, 0.098)], 0.004, 6))
    maker.paint((56, 130, 50), leaf(0.04, 0.02, 40, 30).moved(0.003, 0, 0.086))


def banana(maker: Maker) -> None:
    """Build a banana lying on its side."""
    curve = [(x, z, 0.0) for x, _, z in arc(0.1, 0.1, 20, 160, 12)]
    radii = [0.006, 0.012, 0.018, 0.021, 0.022, 0.0225, 0.0225, 0.022, 0.021, 0.018, 0.012, 0.006]
    # Its whole underside touches the table.
    maker.paint(maker.rgb, tube([(x, y, radius) for (x, y, _), radius in zip(curve, radii)], radii, 8))
    end = curve[-1]
    maker.paint((96, 74, 34), tube([(end[0], end[1], 0.007), (end[0] - 0.012, end[1] - 0.022, 0.007)], 0.007, 6))


def pear(maker: Maker) -> None:
    """Build a pear with a stem."""
    profile = [
        (0, 0.004),
        (0.025, 0),
        (0.045, 0.018),
        (0.049, 0.042),
        (0.04, 0.07),
        (0.026, 0.09),
        (0.02, 0.105),
        (0, 0.114),
    ]
    maker.paint(maker.rgb, lathe(profile, 16))
    maker.paint((84, 56, 30), tube([(0, 0, 0.11), (0.008, 0, 0.135)], 0.004, 6))


def bottle(maker: Maker) -> None:
    """Build a bottle with shoulders, a label and a cap."""
    profile = [
        (0, 0),
        (0.042, 0),
        (0.045, 0.006),
        (0.045, 0.16),
        (0.038, 0.19),
        (0.018, 0.225),
        (0.016, 0.27),
        (0, 0.27),
    ]
    maker.paint(maker.rgb, lathe(profile, 20))
    maker.paint((238, 232, 214), lathe([(0.0456, 0.05), (0.0456, 0.115)], 20))
    maker.paint(shade(maker.rgb, 0.6), lathe([(0.0459, 0.065), (0.0459, 0.08)], 20))
    maker.paint((70, 62, 54), cylinder(0.019, 0.025, 12).moved(z=0.26))


def teapot(maker: Maker) -> None:
    """Build a round teapot with spout, handle and lid."""
    profile = [(0, 0), (0.06, 0), (0.09, 0.035), (0.098, 0.07), (0.085, 0.11), (0.05, 0.135), (0, 0.138)]
    maker.paint(maker.rgb, lathe(profile, 24))
    maker.paint(
        shade(maker.rgb, 0.8), lathe([(0.052, 0.133), (0.045, 0.146), (0.012, 0.156), (0.018, 0.172), (0, 0.178)], 16)
    )
    spout = [(0.08, 0, 0.05), (0.12, 0, 0.07), (0.145, 0, 0.11), (0.17, 0, 0.135)]
    maker.paint(maker.rgb, tube(spout, (0.028, 0.02, 0.014, 0.011), 10))
    handle = [(x - 0.085, y, z + 0.07) for x, y, z in arc(0.055, 0.045, 100, 260, 10)]
    maker.paint(maker.rgb, tube(handle, 0.009, 8))


def vase(maker: Maker) -> None:
    """Build a bellied vase with flowers in it."""
    profile = [
        (0, 0),
        (0.045, 0),
        (0.075, 0.07),
        (0.07, 0.12),
        (0.035, 0.17),
        (0.032, 0.19),
        (0.045, 0.21),
        (0.04, 0.21),
        (0.026, 0.19),
        (0, 0.18),
    ]
    maker.paint(maker.rgb, lathe(profile, 24))
    petals = (240, 196, 60) if maker.colour != "yellow" else (226, 84, 130)
    for i in range(5):
        turn = 72.0 * i + float(maker.rng.uniform(-15, 15))
        reach, height = float(maker.rng.uniform(0.04, 0.09)), float(maker.rng.uniform(0.32, 0.38))
        stem = tube([(0, 0, 0.15), (reach * 0.4, 0, 0.25), (reach, 0, height)], 0.004, 5).turned("z", turn)
        maker.paint((64, 128, 54), stem, leaf(0.07, 0.022, 60, 50).moved(0.02, 0, 0.21).turned("z", turn + 30))
        maker.paint(petals, ellipsoid(0.055, 0.055, 0.03, 10).moved(reach, 0, height).turned("z", turn))
        maker.paint((120, 70, 30), ellipsoid(0.02, 0.02, 0.02, 8).moved(reach, 0, height + 0.012).turned("z", turn))


def candle(maker: Maker) -> None:
    """Build a thick candle on a saucer, burning."""
    maker.paint((186, 160, 96), lathe([(0, 0), (0.06, 0), (0.07, 0.014), (0.055, 0.01), (0, 0.01)], 20))
    maker.paint(maker.rgb, cylinder(0.038, 0.14, 20).moved(z=0.01))
    maker.paint((30, 26, 22), cylinder(0.003, 0.02, 6).moved(z=0.15))
    maker.paint((255, 186, 50), lathe([(0, 0.16), (0.009, 0.172), (0.006, 0.185), (0, 0.2)], 10))


def jar(maker: Maker) -> None:
    """Build a storage jar with a wooden lid."""
    maker.paint(maker.rgb, lathe([(0, 0), (0.055, 0), (0.06, 0.01), (0.06, 0.14), (0.05, 0.15), (0, 0.15)], 22))
    maker.add(textures.wood(maker.rng, (176, 130, 82), 48), cylinder(0.052, 0.022, 20).moved(z=0.15))
    maker.paint((240, 236, 224), lathe([(0.0606, 0.05), (0.0606, 0.1)], 22))
    maker.add(textures.wood(maker.rng, (150, 104, 62), 32), ellipsoid(0.028, 0.028, 0.024, 10).moved(z=0.182))
