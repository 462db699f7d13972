"""A house of two rooms and a day in it whose truth is known by hand."""

from __future__ import annotations

from types import MappingProxyType
from typing import Dict, List, Mapping, Tuple

import numpy as np

from embodied.geometry import planar_pose
from sim.findingdory.truth import HistoryTruth, TrueInteraction
from sim.scene import Instance, Light, Region, Scene, Template
from sim_scenes import box_part, box_template

SECOND_NS = 1_000_000_000
NINE_NS = 1_767_603_600 * SECOND_NS
"""2026-01-05 09:00 UTC."""
TABLE, DESK, DRESSER, MUG, BOOK, HAT, BEAR = range(1, 8)
TEMPLATES: Dict[int, Template] = {
    TABLE: box_template("table", "table", (1.0, 0.6, 0.7)),
    DESK: box_template("desk", "desk", (0.6, 1.0, 0.7)),
    DRESSER: box_template("dresser", "dresser", (0.5, 0.9, 0.8)),
    MUG: box_template("mug", "mug", (0.1, 0.1, 0.1)),
    BOOK: box_template("book", "book", (0.2, 0.15, 0.2)),
    HAT: box_template("hat", "hat", (0.25, 0.25, 0.2)),
    BEAR: box_template("bear", "teddy bear", (0.2, 0.2, 0.3)),
}
KITCHEN, OFFICE = "kitchen", "office"
PLACES: Dict[int, Tuple[float, float, float, int]] = {
    TABLE: (0.7, 3.4, 0.0, 0),
    DESK: (6.6, 2.0, 0.0, 0),
    DRESSER: (4.5, 0.7, 0.0, 0),
    MUG: (0.5, 3.4, 0.7, TABLE),
    BOOK: (6.6, 2.3, 0.7, DESK),
    HAT: (4.5, 0.6, 0.8, DRESSER),
    BEAR: (6.6, 1.7, 0.7, DESK),
}
"""x, y, z and support in the morning."""


def house(moved: Mapping[int, Tuple[float, float, float, int]] = MappingProxyType({})) -> Scene:
    """Return a kitchen (x < 3.4) and an office (x > 3.5), 4 m deep, with a door in the middle of the wall."""
    instances: List[Instance] = []
    for instance_id, (x, y, z, support) in {**PLACES, **moved}.items():
        T = planar_pose(x, y, 0.0)
        T[2, 3] = z
        instances.append(Instance(instance_id, TEMPLATES[instance_id].handle, T, support))
    walls = (
        box_part((0.0, 0.0, 0.0), (7.0, 4.0, 2.5), inward=True),
        box_part((3.4, 0.0, 0.0), (3.5, 1.5, 2.5)),
        box_part((3.4, 2.5, 0.0), (3.5, 4.0, 2.5)),
    )
    return Scene(
        name="two rooms",
        stage=Template("stage", "stage", "", walls),
        templates={template.handle: template for template in TEMPLATES.values()},
        instances=tuple(instances),
        lights=(Light((1.7, 2.0, 2.4), (1.0, 1.0, 1.0), 8.0), Light((5.2, 2.0, 2.4), (1.0, 1.0, 1.0), 8.0)),
        regions=(Region(KITCHEN, (0.0, 0.0, 3.4, 4.0)), Region(OFFICE, (3.5, 0.0, 7.0, 4.0))),
        doors=(),
        start_pose=(2.0, 1.0, 0.0),
    )


MUG_PUT = (4.5, 1.0, 0.8, DRESSER)
BOOK_PUT = (0.9, 3.4, 0.7, TABLE)
HAT_PUT = (6.6, 2.0, 0.7, DESK)
ROUTE: List[Tuple[float, float, float, float, int]] = [
    # seconds since nine, x, y, heading, in hand
    (0, 2.0, 2.0, 0.0, 0),
    (100, 1.0, 2.5, 2.0, 0),
    (110, 1.0, 2.5, 2.0, MUG),
    (200, 4.5, 1.9, -1.571, MUG),
    (210, 4.5, 1.9, -1.571, 0),
    (1000, 5.6, 2.0, 0.0, 0),
    (1010, 5.6, 2.0, 0.0, BOOK),
    (1400, 1.0, 2.5, 2.0, BOOK),
    (1410, 1.0, 2.5, 2.0, 0),
    (3600, 4.5, 1.9, -1.571, 0),
    (3610, 4.5, 1.9, -1.571, HAT),
    (3640, 5.6, 2.0, 0.0, HAT),
    (3650, 5.6, 2.0, 0.0, 0),
    (3700, 5.7, 2.6, 1.0, 0),
]


def day() -> HistoryTruth:
    """Return the truth: the mug, then the book, then the hat were carried; every frame shows everything well."""
    poses = np.array([row[1:4] for row in ROUTE], dtype=float)
    coverage = np.full((len(ROUTE), len(PLACES) + 1), 0.01, dtype=np.float32)
    return HistoryTruth(
        before=house(),
        after=house({MUG: MUG_PUT, BOOK: BOOK_PUT, HAT: HAT_PUT}),
        stamps_ns=np.array([NINE_NS + row[0] * SECOND_NS for row in ROUTE], dtype=np.int64),
        poses=poses,
        rooms=tuple(KITCHEN if x < 3.45 else OFFICE for x in poses[:, 0]),
        coverage=coverage,
        held=np.array([row[4] for row in ROUTE], dtype=np.int32),
        interactions=(
            _interaction(MUG, "mug", TABLE, DRESSER, MUG_PUT, 2, 4),
            _interaction(BOOK, "book", DESK, TABLE, BOOK_PUT, 6, 8),
            _interaction(HAT, "hat", DRESSER, DESK, HAT_PUT, 10, 12),
        ),
    )


def _interaction(
    thing: int, category: str, source: int, target: int, put: Tuple[float, float, float, int], first: int, after: int
) -> TrueInteraction:
    def room(x_m: float) -> str:
        return KITCHEN if x_m < 3.45 else OFFICE

    return TrueInteraction(
        instance_id=thing,
        category=category,
        colour="grey",
        picked_from=source,
        picked_room=room(PLACES[thing][0]),
        picked_position_m=PLACES[thing][:3],
        picked_frame=first,
        picked_ns=int(NINE_NS + ROUTE[first][0] * SECOND_NS),
        placed_on=target,
        placed_room=room(put[0]),
        placed_position_m=put[:3],
        placed_frame=after,
        placed_ns=int(NINE_NS + ROUTE[after][0] * SECOND_NS),
    )
