"""What belongs in which room: furniture first, then the small things on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Literal, Tuple


@dataclass(frozen=True)
class Piece:
    """One piece of furniture of a room, placed in the order of the list."""

    category: str
    where: Literal["wall", "corner", "beside", "facing", "before", "behind_desk", "centre"] = "wall"
    """At any wall; near a corner; next to, opposite, or in front of ``anchor``; in the room with chairs around."""
    anchor: str = ""
    clear_m: float = 0.6
    """Free floor kept before its front."""
    needed: bool = True
    """The house is drawn anew if it does not fit."""


@dataclass(frozen=True)
class Item:
    """Small things of a room."""

    category: str
    places: Tuple[str, ...]
    """Categories in this room, tried in order; ``floor`` for beside a wall."""
    count: int = 1


FURNITURE: Dict[str, Tuple[Piece, ...]] = {
    "living room": (
        Piece("sofa"),
        Piece("tv stand", "facing", "sofa"),
        Piece("coffee table", "before", "sofa", needed=False),
        Piece("bookshelf"),
        Piece("armchair", needed=False),
        Piece("floor lamp", "corner", clear_m=0.1),
        Piece("plant", "corner", clear_m=0.0),
        Piece("guitar", "corner", clear_m=0.0, needed=False),
    ),
    "kitchen": (
        Piece("counter"),
        Piece("stove", "beside", "counter"),
        Piece("fridge", "beside", "counter"),
        Piece("table", "centre"),
        Piece("trash can", "corner", clear_m=0.2),
    ),
    "bathroom": (
        Piece("bathtub"),
        Piece("sink"),
        Piece("toilet"),
        Piece("washing machine", needed=False),
        Piece("basket", "corner", clear_m=0.0, needed=False),
    ),
    "bedroom": (
        Piece("bed", clear_m=0.5),
        Piece("nightstand", "beside", "bed"),
        Piece("wardrobe"),
        Piece("dresser"),
    ),
    "office": (
        Piece("desk", clear_m=0.8),
        Piece("office chair", "behind_desk", "desk"),
        Piece("bookshelf"),
        Piece("cabinet"),
        Piece("trash can", "corner", clear_m=0.1, needed=False),
    ),
    "dining room": (
        Piece("table", "centre"),
        Piece("cabinet"),
        Piece("floor lamp", "corner", clear_m=0.1, needed=False),
        Piece("plant", "corner", clear_m=0.0, needed=False),
    ),
    "hallway": (
        Piece("cabinet"),
        Piece("umbrella stand", "corner", clear_m=0.1),
        Piece("stool", "corner", clear_m=0.0),
        Piece("dresser", needed=False),
    ),
    "guest room": (
        Piece("bed", clear_m=0.5),
        Piece("nightstand", "beside", "bed", needed=False),
        Piece("dresser"),
        Piece("armchair", needed=False),
    ),
    "nursery": (
        Piece("crib", clear_m=0.5),
        Piece("chest"),
        Piece("bookshelf"),
        Piece("rocking horse", "corner", clear_m=0.0, needed=False),
    ),
    "laundry room": (
        Piece("washing machine"),
        Piece("sink"),
        Piece("ironing board", needed=False),
        Piece("cabinet", needed=False),
        Piece("laundry hamper", "corner", clear_m=0.0),
    ),
    "library": (
        Piece("bookshelf"),
        Piece("bookshelf", needed=False),
        Piece("piano"),
        Piece("armchair"),
        Piece("floor lamp", "corner", clear_m=0.1),
    ),
    "workshop": (
        Piece("workbench"),
        Piece("cabinet"),
        Piece("stool", "corner", clear_m=0.0),
        Piece("trash can", "corner", clear_m=0.1, needed=False),
        Piece("ladder", needed=False, clear_m=0.1),
    ),
}

ITEMS: Dict[str, Tuple[Item, ...]] = {
    "living room": (
        Item("tv", ("tv stand",)),
        Item("book", ("bookshelf",), 3),
        Item("clock", ("bookshelf",)),
        Item("photo", ("bookshelf", "tv stand")),
        Item("vase", ("coffee table", "tv stand")),
        Item("mug", ("coffee table", "tv stand")),
        Item("pillow", ("sofa",), 2),
        Item("pillow", ("armchair",)),
        Item("teddy bear", ("sofa",)),
        Item("laptop", ("coffee table", "tv stand")),
        Item("ball", ("floor",)),
    ),
    "kitchen": (
        Item("microwave", ("counter",)),
        Item("toaster", ("counter",)),
        Item("kettle", ("counter", "stove")),
        Item("pot", ("stove",)),
        Item("pan", ("stove",)),
        Item("bowl", ("table",)),
        Item("apple", ("bowl", "table")),
        Item("banana", ("bowl", "table")),
        Item("teapot", ("table",)),
        Item("plate", ("table",)),
        Item("mug", ("table", "counter"), 2),
        Item("bottle", ("table", "counter")),
        Item("jar", ("counter",)),
    ),
    "bathroom": (
        Item("rubber duck", ("bathtub",)),
        Item("bottle", ("sink",)),
        Item("towel", ("washing machine",)),
        Item("ball", ("basket",)),
    ),
    "bedroom": (
        Item("lamp", ("nightstand", "dresser")),
        Item("clock", ("nightstand", "dresser")),
        Item("teddy bear", ("bed",)),
        Item("hat", ("bed", "dresser")),
        Item("vase", ("dresser",)),
        Item("candle", ("dresser",)),
        Item("shoe", ("floor",), 2),
        Item("suitcase", ("floor",)),
    ),
    "office": (
        Item("monitor", ("desk",)),
        Item("keyboard", ("desk",)),
        Item("lamp", ("desk",)),
        Item("mug", ("desk", "cabinet")),
        Item("printer", ("cabinet",)),
        Item("book", ("bookshelf",), 2),
        Item("globe", ("bookshelf", "desk")),
        Item("toy car", ("bookshelf",)),
        Item("potted plant", ("bookshelf", "desk", "cabinet")),
        Item("backpack", ("floor",)),
        Item("box", ("floor",)),
    ),
    "dining room": (
        Item("bowl", ("table",)),
        Item("pear", ("bowl", "table")),
        Item("vase", ("cabinet",)),
        Item("candle", ("table", "cabinet")),
        Item("plate", ("table",)),
        Item("bottle", ("table",)),
    ),
    "hallway": (
        Item("hat", ("cabinet", "stool", "dresser")),
        Item("backpack", ("floor",)),
        Item("shoe", ("floor",), 2),
        Item("vase", ("cabinet", "dresser")),
    ),
    "guest room": (
        Item("lamp", ("nightstand", "dresser")),
        Item("pillow", ("bed", "armchair")),
        Item("photo", ("dresser",)),
        Item("suitcase", ("floor",)),
    ),
    "nursery": (
        Item("teddy bear", ("crib", "chest")),
        Item("toy blocks", ("bookshelf", "floor")),
        Item("drum", ("floor",)),
        Item("ball", ("floor",)),
        Item("book", ("bookshelf",), 2),
        Item("toy car", ("bookshelf",)),
    ),
    "laundry room": (
        Item("towel", ("laundry hamper", "washing machine"), 2),
        Item("bucket", ("floor",)),
        Item("iron", ("cabinet", "washing machine")),
        Item("vacuum cleaner", ("floor",)),
        Item("spray bottle", ("sink", "cabinet")),
    ),
    "library": (
        Item("book", ("bookshelf",), 4),
        Item("globe", ("bookshelf",)),
        Item("metronome", ("piano",)),
        Item("candle", ("piano",)),
        Item("pillow", ("armchair",)),
    ),
    "workshop": (
        Item("toolbox", ("workbench", "cabinet")),
        Item("bucket", ("floor",)),
        Item("lantern", ("workbench", "cabinet")),
        Item("radio", ("workbench", "cabinet")),
        Item("watering can", ("floor",)),
        Item("box", ("floor",)),
    ),
}

MORE_FURNITURE: Dict[str, Tuple[Piece, ...]] = {
    "living room": (Piece("fan", "corner", clear_m=0.0, needed=False), Piece("piano", needed=False)),
    "bathroom": (
        Piece("laundry hamper", "corner", clear_m=0.0, needed=False),
        Piece("heater", clear_m=0.2, needed=False),
    ),
    "bedroom": (Piece("chest", needed=False), Piece("mirror", clear_m=0.2, needed=False)),
    "office": (Piece("heater", clear_m=0.2, needed=False),),
    "hallway": (Piece("mirror", clear_m=0.2, needed=False), Piece("chest", needed=False)),
    "guest room": (Piece("wardrobe", needed=False), Piece("ironing board", needed=False)),
    "dining room": (Piece("chest", needed=False),),
}
"""What fully furnished rooms have besides, where it fits."""

MORE_ITEMS: Dict[str, Tuple[Item, ...]] = {
    "living room": (
        Item("speaker", ("bookshelf", "tv stand")),
        Item("camera", ("coffee table", "bookshelf")),
        Item("telephone", ("tv stand", "coffee table")),
    ),
    "kitchen": (
        Item("coffee machine", ("counter",)),
        Item("blender", ("counter", "table")),
        Item("cutting board", ("counter", "table")),
        Item("knife block", ("counter",)),
        Item("cereal box", ("counter", "table")),
        Item("orange", ("bowl", "table")),
        Item("bread", ("table", "counter")),
        Item("watering can", ("floor",)),
    ),
    "bathroom": (
        Item("soap dispenser", ("sink",)),
        Item("scale", ("floor",)),
        Item("spray bottle", ("washing machine", "sink")),
    ),
    "bedroom": (Item("tissue box", ("nightstand", "dresser")), Item("toy robot", ("dresser", "nightstand"))),
    "office": (
        Item("headphones", ("desk", "cabinet")),
        Item("telephone", ("desk", "cabinet")),
        Item("camera", ("bookshelf",)),
    ),
    "dining room": (Item("wine glass", ("table",)), Item("orange", ("bowl", "table"))),
    "hallway": (Item("helmet", ("cabinet", "stool", "dresser")), Item("lantern", ("cabinet", "dresser"))),
    "guest room": (Item("tissue box", ("nightstand", "dresser")), Item("vacuum cleaner", ("floor",))),
    "nursery": (Item("toy robot", ("bookshelf", "chest")), Item("rubber duck", ("chest",))),
    "laundry room": (Item("toolbox", ("cabinet", "washing machine")),),
    "library": (Item("camera", ("bookshelf",)), Item("headphones", ("piano",))),
    "workshop": (Item("spray bottle", ("workbench",)), Item("helmet", ("cabinet", "workbench"))),
}
"""What fully furnished rooms have besides, where it fits."""

KEPT_INSIDE: Dict[str, Tuple[str, ...]] = {
    "fridge": ("milk carton", "orange", "watermelon", "bottle", "bread", "apple"),
    "cabinet": ("cereal box", "jar", "tissue box", "toolbox", "plate", "towel", "iron"),
    "wardrobe": ("suitcase", "box", "backpack", "shoe", "hat"),
    "dresser": ("towel", "camera", "book", "headphones"),
    "nightstand": ("book", "camera", "headphones"),
    "chest": ("toy blocks", "teddy bear", "ball", "drum", "toy robot"),
}
"""What is put into things that open."""
