"""More small things: kitchen machines, tools, toys, what stands in bathrooms and halls. Fronts look along +x."""

from __future__ import annotations

from sim.houses import textures
from sim.houses.maker import Maker
from sim.houses.shapes import arc, box, cup, cylinder, ellipsoid, lathe, pillow, quad, sphere, tapered_box, tube
from sim.houses.tables import STEEL
from sim.houses.textures import shade

_DARK = (40, 41, 45)


def coffee_machine(maker: Maker) -> None:
    """Build a machine with a jug under its spout."""
    maker.paint(maker.rgb, box(0.1, 0.2, 0.32).moved(-0.08), box(0.24, 0.2, 0.08).moved(-0.01, 0, 0.25))
    maker.paint(maker.rgb, box(0.24, 0.2, 0.03).moved(-0.01))
    maker.paint(_DARK, cup(0.06, 0.12, 0.005, 16).moved(0.04, 0, 0.032), box(0.02, 0.12, 0.05).moved(0.105, 0, 0.265))
    maker.paint((70, 44, 28), cylinder(0.053, 0.05, 14).moved(0.04, 0, 0.045))
    maker.paint((60, 160, 220), box(0.004, 0.03, 0.02).moved(0.112, -0.06, 0.28))


def blender(maker: Maker) -> None:
    """Build a mixer with a tall jug."""
    maker.paint(maker.rgb, lathe([(0, 0), (0.085, 0), (0.07, 0.12), (0, 0.12)], 18))
    maker.paint(maker.rgb, lathe([(0.055, 0.33), (0.078, 0.33), (0.07, 0.36), (0, 0.365)], 18))
    jug = [(0.05, 0.12), (0.076, 0.33), (0.07, 0.33), (0.046, 0.13)]
    maker.add(textures.glass(maker.rng, (206, 222, 228)), lathe(jug, 18))
    maker.paint(_DARK, cylinder(0.02, 0.012, 12).turned("y", 90).moved(0.07, 0, 0.06))


def knife_block(maker: Maker) -> None:
    """Build a wooden block with five knives."""
    maker.add(textures.wood(maker.rng, maker.rgb), tapered_box((0.15, 0.11), (0.11, 0.11), 0.2))
    for i in range(5):
        maker.paint(_DARK, box(0.022, 0.014, 0.09).moved(-0.03 + 0.03 * (i % 3), -0.03 + 0.03 * (i % 2) + 0.02, 0.2))


def cutting_board(maker: Maker) -> None:
    """Build a board with a handle, lying flat."""
    wood = textures.wood(maker.rng, maker.rgb)
    maker.add(wood, box(0.22, 0.32, 0.02), box(0.06, 0.1, 0.02).moved(0, 0.2))
    maker.paint((214, 70, 50), *[cylinder(0.03, 0.012, 12).moved(0.02, -0.06 + 0.05 * i, 0.02) for i in range(2)])


def milk_carton(maker: Maker) -> None:
    """Build a carton with a gabled top."""
    maker.paint(
        (246, 246, 244), box(0.075, 0.075, 0.19), tapered_box((0.075, 0.075), (0.008, 0.075), 0.05).moved(z=0.19)
    )
    maker.paint(maker.rgb, box(0.077, 0.077, 0.1).moved(z=0.05), box(0.01, 0.077, 0.016).moved(z=0.24))


def cereal_box(maker: Maker) -> None:
    """Build a printed packet."""
    maker.paint(maker.rgb, box(0.07, 0.19, 0.28))
    face = textures.cover(maker.rng, maker.rgb)
    for side in (1, -1):
        x, y = side * 0.0355, side * 0.095
        maker.add(face, quad([(x, -y, 0), (x, y, 0), (x, y, 0.28), (x, -y, 0.28)], None))


def orange(maker: Maker) -> None:
    """Build an orange with its navel."""
    maker.paint(maker.rgb, ellipsoid(0.084, 0.084, 0.08, 16).moved(z=0.04), box(0.024, 0.024, 0.004))
    maker.paint((90, 120, 50), cylinder(0.006, 0.004, 8).moved(z=0.078))


def watermelon(maker: Maker) -> None:
    """Build a striped melon on its side."""
    skin = textures.stripes(maker.rgb, shade(maker.rgb, 0.55), 6, share=0.6).transpose(1, 0, 2).copy()
    maker.add(skin, ellipsoid(0.21, 0.27, 0.2, 20).moved(z=0.1), box(0.06, 0.08, 0.008))


def bread(maker: Maker) -> None:
    """Build a loaf with three cuts."""
    maker.paint(maker.rgb, pillow(0.13, 0.27, 0.1, 0.6, 16).moved(z=0.05), box(0.08, 0.2, 0.006))
    maker.paint((226, 186, 120), *[pillow(0.08, 0.02, 0.02, 0.8, 8).moved(0, 0.07 * i, 0.094) for i in (-1, 0, 1)])


def soap_dispenser(maker: Maker) -> None:
    """Build a pump bottle."""
    maker.paint(maker.rgb, lathe([(0, 0), (0.038, 0), (0.04, 0.01), (0.04, 0.11), (0.015, 0.135), (0, 0.135)], 18))
    maker.paint(STEEL, cylinder(0.012, 0.04, 10).moved(z=0.13), tube([(0, 0, 0.17), (0.05, 0, 0.172)], 0.007, 6))


def scale(maker: Maker) -> None:
    """Build bathroom scales."""
    maker.paint(maker.rgb, box(0.3, 0.3, 0.035))
    maker.paint((224, 232, 224), box(0.05, 0.11, 0.004).moved(0.1, 0, 0.035))
    maker.paint(_DARK, *[box(0.16, 0.09, 0.003).moved(-0.04, side * 0.08, 0.035) for side in (-1, 1)])


def spray_bottle(maker: Maker) -> None:
    """Build a bottle with a trigger."""
    maker.paint(maker.rgb, lathe([(0, 0), (0.045, 0), (0.047, 0.01), (0.045, 0.14), (0.018, 0.18), (0, 0.18)], 18))
    maker.paint((240, 240, 240), box(0.09, 0.026, 0.04).moved(0.015, 0, 0.2), cylinder(0.016, 0.03, 10).moved(z=0.175))
    maker.paint((200, 40, 40), box(0.012, 0.016, 0.05).turned("y", 25).moved(0.04, 0, 0.155))


def tissue_box(maker: Maker) -> None:
    """Build a box with a tissue sticking out."""
    maker.paint(maker.rgb, box(0.12, 0.23, 0.085))
    maker.paint((250, 250, 250), tapered_box((0.03, 0.06), (0.004, 0.1), 0.06).moved(z=0.085))


def telephone(maker: Maker) -> None:
    """Build a telephone with its receiver on top."""
    maker.paint(maker.rgb, tapered_box((0.2, 0.2), (0.12, 0.17), 0.07))
    maker.paint(
        shade(maker.rgb, 0.7),
        tube([(-0.02, -0.1, 0.095), (-0.02, -0.05, 0.11), (-0.02, 0.05, 0.11), (-0.02, 0.1, 0.095)], 0.02, 8),
    )
    maker.paint((236, 234, 226), cylinder(0.045, 0.006, 18).turned("y", 30).moved(0.058, 0, 0.055))


def speaker(maker: Maker) -> None:
    """Build a loudspeaker with two cones."""
    maker.paint(maker.rgb, box(0.18, 0.18, 0.3))
    for z, radius in ((0.1, 0.065), (0.22, 0.035)):
        maker.paint(_DARK, cylinder(radius, 0.008, 20).turned("y", 90).moved(0.088, 0, z))
        maker.paint((150, 152, 156), cylinder(radius * 0.4, 0.012, 14).turned("y", 90).moved(0.088, 0, z))


def camera(maker: Maker) -> None:
    """Build a camera with its lens."""
    maker.paint(maker.rgb, box(0.06, 0.14, 0.085), box(0.04, 0.05, 0.025).moved(0, 0, 0.085))
    maker.paint(_DARK, cylinder(0.036, 0.05, 18).turned("y", 90).moved(0.028, 0, 0.043))
    maker.paint((120, 150, 190), cylinder(0.024, 0.003, 16).turned("y", 90).moved(0.077, 0, 0.043))


def headphones(maker: Maker) -> None:
    """Build headphones standing on their cups."""
    for side in (-1, 1):
        maker.paint(
            maker.rgb,
            pillow(0.09, 0.045, 0.1, 0.6, 14).moved(0, side * 0.085, 0.05),
            box(0.04, 0.03, 0.005).moved(0, side * 0.085),
        )
    hoop = [(0.0, x, z + 0.06) for x, _, z in arc(0.095, 0.13, 0, 180, 14)]
    maker.paint(maker.rgb, tube(hoop, 0.011, 6))


def toolbox(maker: Maker) -> None:
    """Build a box with a handle and two clasps."""
    maker.paint(maker.rgb, box(0.2, 0.42, 0.15), tapered_box((0.2, 0.42), (0.1, 0.4), 0.05).moved(z=0.15))
    handle = [(0, -0.12, 0.19), (0, -0.11, 0.25), (0, 0.11, 0.25), (0, 0.12, 0.19)]
    maker.paint(_DARK, tube(handle, 0.012, 6))
    maker.paint(STEEL, *[box(0.012, 0.04, 0.05).moved(0.1, side * 0.13, 0.12) for side in (-1, 1)])


def bucket(maker: Maker) -> None:
    """Build a bucket with its handle down."""
    maker.paint(maker.rgb, cup(0.15, 0.27, 0.006, 22, foot=0.11))
    handle = [(x, y, 0.26) for x, _, y in arc(0.16, 0.16, -85, 85, 12)]
    maker.paint(STEEL, tube(handle, 0.005, 5))


def watering_can(maker: Maker) -> None:
    """Build a can with a long spout."""
    maker.paint(maker.rgb, lathe([(0, 0), (0.09, 0), (0.085, 0.17), (0.05, 0.18), (0.045, 0.17), (0, 0.165)], 20))
    maker.paint(maker.rgb, tube([(0.07, 0, 0.05), (0.16, 0, 0.15), (0.22, 0, 0.24)], (0.018, 0.014, 0.012), 8))
    maker.paint(maker.rgb, tube([(-0.07, 0, 0.16), (-0.14, 0, 0.15), (-0.14, 0, 0.07), (-0.085, 0, 0.04)], 0.01, 6))
    maker.paint(STEEL, cylinder(0.03, 0.012, 14).turned("y", 40).moved(0.218, 0, 0.236))


def iron(maker: Maker) -> None:
    """Build an electric iron on its sole."""
    maker.paint(STEEL, ellipsoid(0.26, 0.12, 0.05, 18).moved(0, 0, 0.025), box(0.16, 0.08, 0.012))
    maker.paint(maker.rgb, pillow(0.2, 0.1, 0.09, 0.6, 14).moved(-0.02, 0, 0.075))
    handle = [(-0.09, 0, 0.09), (-0.085, 0, 0.15), (0.04, 0, 0.155), (0.06, 0, 0.1)]
    maker.paint(maker.rgb, tube(handle, 0.016, 8))


def vacuum_cleaner(maker: Maker) -> None:
    """Build a vacuum cleaner on wheels, its tube up."""
    maker.paint(maker.rgb, pillow(0.36, 0.26, 0.2, 0.6, 16).moved(0, 0, 0.13))
    for side in (-1, 1):
        maker.paint(_DARK, cylinder(0.06, 0.03, 14).turned("x", 90).moved(-0.08, side * 0.135 + 0.015, 0.06))
    maker.paint(_DARK, box(0.06, 0.06, 0.03).moved(0.12, 0, 0.0))
    maker.paint(_DARK, tube([(0.14, 0, 0.18), (0.2, 0, 0.3), (0.17, 0, 0.7)], 0.02, 8))
    maker.paint(maker.rgb, box(0.05, 0.04, 0.1).moved(0.17, 0, 0.68))


def lantern(maker: Maker) -> None:
    """Build a storm lantern."""
    maker.paint(maker.rgb, lathe([(0, 0), (0.07, 0), (0.07, 0.05), (0.045, 0.065), (0, 0.065)], 18))
    maker.add(textures.glass(maker.rng, (250, 226, 160)), lathe([(0.044, 0.065), (0.05, 0.11), (0.04, 0.17)], 16))
    maker.paint(maker.rgb, lathe([(0.055, 0.165), (0.05, 0.19), (0.02, 0.215), (0, 0.22)], 18))
    maker.paint(
        maker.rgb,
        tube([(0, -0.065, 0.05), (0, -0.07, 0.17), (0, 0, 0.26), (0, 0.07, 0.17), (0, 0.065, 0.05)], 0.005, 5),
    )


def metronome(maker: Maker) -> None:
    """Build a metronome with its pendulum aside."""
    maker.add(textures.wood(maker.rng, maker.rgb), tapered_box((0.11, 0.12), (0.03, 0.035), 0.22))
    maker.paint((236, 226, 196), tapered_box((0.004, 0.05), (0.004, 0.02), 0.16).turned("y", -10).moved(0.052, 0, 0.03))
    maker.paint(STEEL, tube([(0.055, 0, 0.04), (0.03, 0.04, 0.2)], 0.003, 5))


def toy_blocks(maker: Maker) -> None:
    """Build a small tower of blocks."""
    other = shade(maker.rgb, 1.4)
    for x, y, z, rgb in (
        (-0.05, -0.05, 0, maker.rgb),
        (0.05, -0.04, 0, other),
        (-0.01, 0.06, 0, maker.rgb),
        (-0.01, -0.03, 1, maker.rgb),
        (0, 0, 2, maker.rgb),
    ):
        maker.paint(rgb, box(0.075, 0.075, 0.073).turned("z", 20.0 * z).moved(x, y, 0.074 * z))


def drum(maker: Maker) -> None:
    """Build a toy drum with two sticks on it."""
    maker.paint(maker.rgb, cylinder(0.13, 0.17, 24).moved(z=0.01))
    maker.paint((238, 232, 214), cylinder(0.125, 0.19, 24))
    rims = [lathe([(0.13, z), (0.138, z), (0.138, z + 0.02), (0.13, z + 0.02)], 24) for z in (0.0, 0.16)]
    maker.paint(STEEL, *rims)
    maker.paint((150, 104, 62), *[tube([(-0.1, s * 0.02, 0.197), (0.12, s * 0.06, 0.197)], 0.007, 6) for s in (-1, 1)])


def toy_robot(maker: Maker) -> None:
    """Build a robot of tin."""
    maker.paint(maker.rgb, box(0.08, 0.11, 0.11).moved(z=0.07), box(0.06, 0.08, 0.07).moved(z=0.19))
    maker.paint(
        STEEL,
        *[box(0.05, 0.035, 0.07).moved(0, side * 0.03) for side in (-1, 1)],
        cylinder(0.01, 0.02, 8).moved(z=0.175),
    )
    maker.paint(maker.rgb, *[box(0.03, 0.025, 0.1).moved(0.01, side * 0.07, 0.07) for side in (-1, 1)])
    maker.paint((250, 230, 90), *[sphere(0.009, 8).moved(0.03, side * 0.02, 0.23) for side in (-1, 1)])


def helmet(maker: Maker) -> None:
    """Build a bicycle helmet."""
    shell = [(0.12, 0.0), (0.125, 0.02), (0.115, 0.08), (0.07, 0.135), (0, 0.15)]
    maker.paint(maker.rgb, lathe([(0.1, 0.0), *shell], 22).scaled(1.2, 0.95, 1.0))
    maker.paint(_DARK, *[box(0.2, 0.012, 0.006).moved(0, dy, 0.142 - abs(dy) * 0.45) for dy in (-0.045, 0.0, 0.045)])
