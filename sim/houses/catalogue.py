"""What exists: every category with its colours, how it is built, where it may stand, and what may rest on it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Dict, Literal, Tuple

import numpy as np

from sim.houses import appliances, belongings, gadgets, larger, openables, soft, tables, tableware, textures
from sim.houses.maker import Build, FindSurfaces, Maker, Size, Surface, nothing, top
from sim.scene import Template

Variety = Literal["plain", "full"]

FLOOR = "floor"
"""Where a movable thing may stand besides the categories that carry it."""


@dataclass(frozen=True)
class Category:
    """One kind of thing."""

    name: str
    build: Build
    colours: Tuple[str, ...]
    places: Tuple[str, ...] = ()
    """Categories that it may rest on or in, and ``FLOOR``; empty for furniture, which stands on the floor."""
    surfaces: FindSurfaces = nothing
    """Where other things may rest on or in it."""
    inside: FindSurfaces = nothing
    """Where other things may lie in it once it is open: out of sight while it is closed."""
    movable: bool = False
    """A person may carry it off overnight."""
    faces_out: bool = False
    """It has a front that should look away from the wall."""
    in_full_houses: bool = False
    """Only houses of full variety have it, and those with rooms that need it."""
    materials: Tuple[str, ...] = ()
    """What it may be made of in houses of full variety, where it is painted in its own colour."""


VIVID = ("red", "green", "blue", "yellow", "white", "orange", "purple", "pink")
CLOTH = ("red", "green", "blue", "gray", "purple")
WOODS = ("brown",)
TABLES = ("table", "coffee table", "counter", "desk", "dresser", "cabinet", "tv stand", "nightstand")
LOW = ("coffee table", "nightstand", "tv stand", "dresser", "desk", "cabinet")
SHELF = ("bookshelf",)

PLASTIC = ("plain", "dotted plastic", "striped plastic", "ribbed plastic")
POTTERY = ("plain", "ceramic", "glass", "striped plastic")
MATERIALS: Dict[str, Tuple[str, ...]] = {
    **dict.fromkeys(("mug", "bowl", "plate", "vase", "teapot", "jar"), ("plain", "ceramic", "dotted plastic")),
    **dict.fromkeys(("bottle", "wine glass"), ("plain", "glass")),
    **dict.fromkeys(("pot", "pan", "kettle", "toaster"), ("plain", "metal")),
    **dict.fromkeys(("trash can", "umbrella stand"), ("plain", "metal", "ribbed plastic")),
    **dict.fromkeys(("suitcase", "toy car", "radio"), ("plain", "ribbed plastic", "striped plastic")),
    "stool": ("plain", "fabric", "leather"),
    "washing machine": ("plain", "metal"),
}
"""What plain things of the first houses may be made of where variety is full."""


def _piano_top(size: Size) -> Tuple[Surface, ...]:
    """Find the lid above the keys."""
    return (Surface((-size[0] / 2 + 0.03, -size[1] / 2 + 0.06, 0.0, size[1] / 2 - 0.06), size[2]),)


_FURNITURE = (
    Category("table", tables.dining_table, WOODS, surfaces=top(0.05)),
    Category("coffee table", tables.coffee_table, WOODS, surfaces=top(0.04)),
    Category("desk", tables.desk, WOODS, surfaces=top(0.04)),
    Category("chair", tables.chair, ("red", "green", "blue", "brown")),
    Category("office chair", tables.office_chair, ("black", "blue", "red")),
    Category("bookshelf", tables.bookshelf, WOODS, surfaces=tables.bookshelf_surfaces),
    Category("tv stand", tables.tv_stand, WOODS, surfaces=top(0.03)),
    Category("nightstand", openables.nightstand, WOODS, surfaces=top(0.03), inside=openables.nightstand_inside),
    Category("dresser", openables.dresser, WOODS, surfaces=top(0.04), inside=openables.dresser_inside),
    Category("cabinet", openables.cabinet, WOODS, surfaces=top(0.03), inside=openables.cabinet_inside),
    Category("wardrobe", openables.wardrobe, WOODS, inside=openables.wardrobe_inside),
    Category("stool", tables.stool, ("red", "green", "blue", "yellow")),
    Category("sofa", soft.sofa, CLOTH, surfaces=soft.seat_surfaces),
    Category("armchair", soft.armchair, CLOTH, surfaces=soft.seat_surfaces),
    Category("bed", soft.bed, ("red", "green", "blue", "purple"), surfaces=soft.bed_surfaces),
    Category("counter", appliances.counter, WOODS, surfaces=appliances.counter_surfaces),
    Category("stove", appliances.stove, ("white", "gray"), surfaces=top(0.06)),
    Category("fridge", openables.fridge, ("white", "gray", "red"), inside=openables.fridge_inside),
    Category("washing machine", appliances.washing_machine, ("white",), surfaces=top(0.05)),
    Category("toilet", appliances.toilet, ("white",)),
    Category("sink", appliances.sink, ("white",), surfaces=appliances.sink_surfaces),
    Category("bathtub", appliances.bathtub, ("white",), surfaces=appliances.bathtub_surfaces),
    Category("trash can", appliances.trash_can, ("gray", "green", "red", "blue")),
    Category("floor lamp", belongings.floor_lamp, ("white", "yellow", "orange")),
    Category("plant", belongings.plant, ("green",)),
    Category("umbrella stand", belongings.umbrella_stand, ("red", "blue", "green")),
    Category("guitar", belongings.guitar, ("brown", "orange", "red")),
)

_FIXED = (
    Category("tv", belongings.tv, ("black",), ("tv stand",), faces_out=True),
    Category("monitor", belongings.monitor, ("black",), ("desk",), faces_out=True),
    Category("keyboard", belongings.keyboard, ("black", "white"), ("desk",), faces_out=True),
    Category("microwave", appliances.microwave, ("white", "black", "red"), ("counter",), faces_out=True),
    Category("printer", belongings.printer, ("white", "gray"), ("dresser", "cabinet", "desk"), faces_out=True),
)


def _small(name: str, build: Build, colours: Tuple[str, ...], *places: str, **more: object) -> Category:
    return Category(name, build, colours, places, movable=True, **more)  # type: ignore[arg-type]


_SMALL = (
    _small("mug", tableware.mug, VIVID, "table", "counter", "desk", "coffee table", "nightstand", "cabinet"),
    _small("bowl", tableware.bowl, VIVID, "table", "counter", "coffee table", surfaces=tableware.bowl_surfaces),
    _small("plate", tableware.plate, VIVID, "table", "counter", "coffee table"),
    _small("wine glass", tableware.glass, ("white", "blue", "purple"), "table", "counter", "coffee table", "tv stand"),
    _small("apple", tableware.apple, ("red", "green"), "bowl", "table", "counter", "desk", "coffee table"),
    _small("banana", tableware.banana, ("yellow",), "bowl", "table", "counter", "desk", "coffee table"),
    _small("pear", tableware.pear, ("green", "yellow"), "bowl", "table", "counter", "coffee table"),
    _small("bottle", tableware.bottle, VIVID, "sink", "table", "counter", "desk", "cabinet", "washing machine"),
    _small("teapot", tableware.teapot, VIVID, "table", "counter", "coffee table", "stove"),
    _small("vase", tableware.vase, VIVID, "table", "coffee table", "dresser", "tv stand", "cabinet"),
    _small(
        "candle",
        tableware.candle,
        ("red", "white", "green", "purple", "blue"),
        "coffee table",
        "dresser",
        "cabinet",
        "nightstand",
        "tv stand",
    ),
    _small("jar", tableware.jar, VIVID, "counter", "cabinet", "table"),
    _small("pan", appliances.pan, ("black", "red", "gray"), "stove", "counter"),
    _small("pot", appliances.pot, ("red", "gray", "blue", "green"), "stove", "counter", "table"),
    _small("kettle", appliances.kettle, ("gray", "red", "blue", "white"), "counter", "stove", "desk", faces_out=True),
    _small("toaster", appliances.toaster, ("red", "gray", "blue", "yellow"), "counter", "table"),
    _small("pillow", soft.cushion, VIVID, "sofa", "armchair", "bed"),
    _small(
        "teddy bear", soft.teddy_bear, ("brown", "pink", "white"), "bed", "sofa", "armchair", "dresser", faces_out=True
    ),
    _small(
        "backpack", soft.backpack, ("red", "blue", "green", "purple", "black"), FLOOR, "bed", "sofa", faces_out=True
    ),
    _small("towel", soft.towel, VIVID, "washing machine", "cabinet", "bed", "dresser", faces_out=True),
    _small("shoe", soft.shoe, ("red", "blue", "white", "black", "green"), FLOOR),
    _small(
        "laptop",
        belongings.laptop,
        ("gray", "black", "white"),
        "coffee table",
        "table",
        "desk",
        "bed",
        "dresser",
        faces_out=True,
    ),
    _small(
        "radio",
        belongings.radio,
        ("red", "blue", "yellow", "green", "white"),
        "bookshelf",
        "dresser",
        "counter",
        "cabinet",
        "tv stand",
        "desk",
        faces_out=True,
    ),
    _small(
        "book", belongings.book, ("red", "green", "blue", "yellow", "purple", "orange"), "bookshelf", faces_out=True
    ),
    _small("clock", belongings.clock, ("red", "blue", "yellow", "green", "white"), *LOW, *SHELF, faces_out=True),
    _small(
        "lamp",
        belongings.table_lamp,
        ("yellow", "red", "blue", "green", "white", "orange"),
        "nightstand",
        "desk",
        "dresser",
        "tv stand",
    ),
    _small(
        "ball", belongings.ball, ("red", "blue", "green", "yellow", "orange"), "basket", FLOOR, "box", "bed", "armchair"
    ),
    _small(
        "toy car",
        belongings.toy_car,
        ("red", "blue", "green", "yellow"),
        "coffee table",
        "dresser",
        "bookshelf",
        "desk",
        "nightstand",
    ),
    _small("rubber duck", belongings.rubber_duck, ("yellow",), "bathtub", "washing machine", "cabinet", "dresser"),
    _small("globe", belongings.globe, ("blue",), "desk", "dresser", "cabinet", "bookshelf"),
    _small("suitcase", belongings.suitcase, ("red", "blue", "gray", "purple"), FLOOR, faces_out=True),
    _small("box", belongings.carton, ("brown",), FLOOR, surfaces=belongings.carton_surfaces),
    _small("basket", belongings.basket, ("brown", "white", "orange"), FLOOR, surfaces=belongings.basket_surfaces),
    _small(
        "hat",
        belongings.hat,
        ("brown", "black", "red", "blue"),
        "bed",
        "dresser",
        "armchair",
        "stool",
        "desk",
        "cabinet",
    ),
    _small(
        "photo",
        belongings.picture_frame,
        ("black", "brown", "white", "red"),
        "bookshelf",
        "dresser",
        "tv stand",
        "nightstand",
        "desk",
        faces_out=True,
    ),
    _small(
        "potted plant",
        belongings.small_plant,
        ("green",),
        "desk",
        "tv stand",
        "cabinet",
        "table",
        "dresser",
        "bookshelf",
        "counter",
    ),
)


def _more(name: str, build: Build, colours: Tuple[str, ...], *places: str, **more: object) -> Category:
    return Category(name, build, colours, places, movable=bool(places), in_full_houses=True, **more)  # type: ignore[arg-type]


_MORE = (
    _more("door", larger.door, ("white", "brown", "gray")),
    _more("chest", openables.chest, WOODS, surfaces=top(0.05), inside=openables.chest_inside),
    _more("crib", larger.crib, ("blue", "pink", "yellow", "green"), surfaces=larger.crib_surfaces),
    _more("piano", larger.piano, ("black", "brown", "white"), surfaces=_piano_top),
    _more("workbench", larger.workbench, WOODS, surfaces=top(0.12)),
    _more("rocking horse", larger.rocking_horse, ("red", "blue", "green")),
    _more("ironing board", larger.ironing_board, ("blue", "red", "gray", "green")),
    _more(
        "laundry hamper", larger.laundry_hamper, ("gray", "blue", "green", "orange"), surfaces=larger.hamper_surfaces
    ),
    _more("fan", larger.fan, ("white", "blue", "black")),
    _more("heater", larger.heater, ("white", "gray")),
    _more("mirror", larger.mirror, WOODS),
    _more("ladder", larger.ladder, ("yellow", "red", "blue")),
    _more("coffee machine", gadgets.coffee_machine, ("black", "red", "gray", "white"), "counter", faces_out=True),
    _more("blender", gadgets.blender, ("red", "white", "black", "green"), "counter", "table"),
    _more("knife block", gadgets.knife_block, ("brown",), "counter"),
    _more("cutting board", gadgets.cutting_board, ("brown",), "counter", "table"),
    _more("milk carton", gadgets.milk_carton, ("blue", "green", "red"), "table", "counter"),
    _more("cereal box", gadgets.cereal_box, ("yellow", "red", "blue", "orange"), "counter", "table", faces_out=True),
    _more("orange", gadgets.orange, ("orange",), "bowl", "table", "counter"),
    _more("watermelon", gadgets.watermelon, ("green",), "table", "counter"),
    _more("bread", gadgets.bread, ("brown",), "table", "counter"),
    _more("soap dispenser", gadgets.soap_dispenser, VIVID, "sink", "washing machine", materials=POTTERY),
    _more("scale", gadgets.scale, ("white", "black", "blue", "pink"), FLOOR, materials=PLASTIC),
    _more(
        "spray bottle",
        gadgets.spray_bottle,
        ("blue", "green", "pink", "yellow"),
        "sink",
        "cabinet",
        "washing machine",
        "workbench",
        materials=PLASTIC,
    ),
    _more(
        "tissue box",
        gadgets.tissue_box,
        ("blue", "pink", "green", "purple"),
        "nightstand",
        "dresser",
        "desk",
        materials=PLASTIC,
    ),
    _more(
        "telephone",
        gadgets.telephone,
        ("red", "black", "green", "white"),
        "desk",
        "tv stand",
        "coffee table",
        "cabinet",
        faces_out=True,
    ),
    _more(
        "speaker",
        gadgets.speaker,
        ("black", "brown", "white", "gray"),
        "bookshelf",
        "tv stand",
        "dresser",
        faces_out=True,
    ),
    _more(
        "camera",
        gadgets.camera,
        ("black", "gray", "red"),
        "desk",
        "bookshelf",
        "coffee table",
        "dresser",
        faces_out=True,
    ),
    _more(
        "headphones", gadgets.headphones, ("black", "white", "red", "blue"), "desk", "nightstand", "cabinet", "piano"
    ),
    _more("toolbox", gadgets.toolbox, ("red", "blue", "yellow", "gray"), FLOOR, "workbench", "cabinet", faces_out=True),
    _more("bucket", gadgets.bucket, ("blue", "red", "yellow", "green"), FLOOR, materials=PLASTIC),
    _more("watering can", gadgets.watering_can, ("green", "blue", "red", "gray"), FLOOR, materials=("plain", "metal")),
    _more("iron", gadgets.iron, ("blue", "green", "purple", "red"), "washing machine", "cabinet", "dresser"),
    _more("vacuum cleaner", gadgets.vacuum_cleaner, ("red", "blue", "green"), FLOOR),
    _more("lantern", gadgets.lantern, ("red", "green", "blue", "black"), "workbench", "cabinet", "dresser"),
    _more("metronome", gadgets.metronome, ("brown",), "piano", "bookshelf"),
    _more("toy blocks", gadgets.toy_blocks, ("red", "blue", "green", "yellow"), FLOOR, "bookshelf", "chest"),
    _more("drum", gadgets.drum, ("red", "blue", "green", "yellow"), FLOOR),
    _more(
        "toy robot",
        gadgets.toy_robot,
        ("red", "blue", "gray", "green"),
        "bookshelf",
        "dresser",
        "chest",
        faces_out=True,
    ),
    _more("helmet", gadgets.helmet, ("red", "blue", "yellow", "white", "black"), "cabinet", "dresser", "workbench"),
)

CATALOGUE: Dict[str, Category] = {category.name: category for category in _FURNITURE + _FIXED + _SMALL + _MORE}


def build_template(name: str, colour: str, seed: int, variety: Variety = "plain") -> Template:
    """Build a category in a colour; the same arguments give the same template.

    Raises:
        ValueError: The category does not exist, or not in this colour.
    """
    category = CATALOGUE.get(name)
    if category is None:
        raise ValueError(f"name: expected a category of the catalogue, got {name!r}")
    if colour not in category.colours:
        raise ValueError(f"colour: expected one of {category.colours} for {name}, got {colour!r}")
    handle = f"{name.replace(' ', '_')}_{colour}"
    maker = Maker(np.random.default_rng([seed, zlib.crc32(handle.encode())]), colour)
    materials = MATERIALS.get(name, category.materials)
    if variety == "full" and materials:
        rng = np.random.default_rng([seed, zlib.crc32(handle.encode()), 1])
        maker.wear(textures.material(rng, materials[int(rng.integers(len(materials)))], maker.rgb))
    category.build(maker)
    return maker.template(handle, name)
