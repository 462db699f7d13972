"""What exists: every category with its colours, how it is built, where it may stand, and what may rest on it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Dict, Tuple

import numpy as np

from sim.houses import appliances, belongings, soft, tables, tableware
from sim.houses.maker import Build, FindSurfaces, Maker, nothing, top
from sim.scene import Template

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
    movable: bool = False
    """A person may carry it off overnight."""
    faces_out: bool = False
    """It has a front that should look away from the wall."""


VIVID = ("red", "green", "blue", "yellow", "white", "orange", "purple", "pink")
CLOTH = ("red", "green", "blue", "gray", "purple")
WOODS = ("brown",)
TABLES = ("table", "coffee table", "counter", "desk", "dresser", "cabinet", "tv stand", "nightstand")
LOW = ("coffee table", "nightstand", "tv stand", "dresser", "desk", "cabinet")
SHELF = ("bookshelf",)

_FURNITURE = (
    Category("table", tables.dining_table, WOODS, surfaces=top(0.05)),
    Category("coffee table", tables.coffee_table, WOODS, surfaces=top(0.04)),
    Category("desk", tables.desk, WOODS, surfaces=top(0.04)),
    Category("chair", tables.chair, ("red", "green", "blue", "brown")),
    Category("office chair", tables.office_chair, ("black", "blue", "red")),
    Category("bookshelf", tables.bookshelf, WOODS, surfaces=tables.bookshelf_surfaces),
    Category("tv stand", tables.tv_stand, WOODS, surfaces=top(0.03)),
    Category("nightstand", tables.nightstand, WOODS, surfaces=top(0.03)),
    Category("dresser", tables.dresser, WOODS, surfaces=top(0.04)),
    Category("cabinet", tables.cabinet, WOODS, surfaces=top(0.03)),
    Category("wardrobe", tables.wardrobe, WOODS),
    Category("stool", tables.stool, ("red", "green", "blue", "yellow")),
    Category("sofa", soft.sofa, CLOTH, surfaces=soft.seat_surfaces),
    Category("armchair", soft.armchair, CLOTH, surfaces=soft.seat_surfaces),
    Category("bed", soft.bed, ("red", "green", "blue", "purple"), surfaces=soft.bed_surfaces),
    Category("counter", appliances.counter, WOODS, surfaces=appliances.counter_surfaces),
    Category("stove", appliances.stove, ("white", "gray"), surfaces=top(0.06, 0.003)),
    Category("fridge", appliances.fridge, ("white", "gray", "red")),
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

CATALOGUE: Dict[str, Category] = {category.name: category for category in _FURNITURE + _FIXED + _SMALL}


def build_template(name: str, colour: str, seed: int) -> Template:
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
    category.build(maker)
    return maker.template(handle, name)
