from __future__ import annotations

import itertools
from typing import Any

import msgspec
import numpy as np
import pytest

from embodied.messages import Interaction, ObjectRecord, RoomRecord, RoomVisit
from memory_bank.recall.goals import Recollection, in_short_order, label_fit, meant
from memory_bank.recall.instructions import parse_instruction
from memory_world import record

MINUTE_NS = 60 * 1_000_000_000
MORNING_NS = 1_767_600_000 * 1_000_000_000
"""2026-01-05 08:00:00 UTC."""

OBJECTS: dict[str, ObjectRecord] = {
    each.id: each
    for each in (
        record("o1", "table", (3.0, 1.0, 0.4), size_m=(1.4, 0.8, 0.74)),
        record("o2", "coffee table", (8.0, 1.0, 0.2), size_m=(0.9, 0.6, 0.4), room="living room"),
        record("o3", "bed", (12.0, 1.0, 0.3), size_m=(2.0, 1.6, 0.5), room="bedroom"),
        record("o4", "mug", (8.1, 1.0, 0.5), colour="red", room="living room"),
        record("o5", "teddy bear", (3.1, 1.0, 0.9), colour="brown", size_m=(0.3, 0.3, 0.4)),
        record("o6", "apple", (12.0, 1.2, 0.6), colour="green", room="bedroom"),
        record("o7", "mug", (8.3, 1.2, 0.5), colour="blue", room="living room"),
        record("o8", "ball", (12.4, 0.2, 0.6), colour="red", room="bedroom", labels={"ball": 0.8, "mug": 0.2}),
    )
}
ROOMS = tuple(
    RoomRecord(id=i, name=name, center_m=(x, 1.0, 0.0), area_m2=12.0, outline_m=(), n_objects=3)
    for i, name, x in (("r1", "kitchen", 3.0), ("r2", "living room", 8.0), ("r3", "bedroom", 12.0), ("r4", "hall", 6.0))
)


def interaction(object_id: str, start_min: float, end_min: float, origin: str, target: str) -> Interaction:
    start, end = OBJECTS[origin], OBJECTS[target]
    n = int(start_min)
    return Interaction(
        object_id=object_id, label=OBJECTS[object_id].label, session="day",
        picked_ns=MORNING_NS + round(start_min * MINUTE_NS), picked_from_m=start.position_m, picked_room=start.room,
        picked_from=start.label, picked_from_id=origin, pick_keyframe=n,
        placed_ns=MORNING_NS + round(end_min * MINUTE_NS), placed_m=end.position_m, placed_room=end.room,
        placed_on=end.label, placed_on_id=target, place_keyframe=n + 1,
    )  # fmt: skip


DAY = (
    interaction("o4", 10, 12, "o1", "o2"),
    interaction("o5", 30, 39, "o3", "o1"),
    interaction("o6", 60, 61, "o1", "o3"),
)
STAYS = (("r1", 0, 20), ("r2", 20, 25), ("r4", 25, 26), ("r3", 26, 34), ("r1", 34, 60), ("r3", 60, 70), ("r2", 70, 71))


def recollection(**changed: Any) -> Recollection:
    visits = tuple(
        RoomVisit(
            room_id=room, room=next(r.name for r in ROOMS if r.id == room), session="day",
            entered_ns=MORNING_NS + a * MINUTE_NS, left_ns=MORNING_NS + b * MINUTE_NS, keyframe=a,
        )
        for room, a, b in STAYS
    )  # fmt: skip
    values: dict[str, Any] = {
        "interactions": DAY, "visits": visits, "objects": OBJECTS, "rooms": ROOMS, "agent_m": (3.0, 2.0, 0.0),
    }  # fmt: skip
    return Recollection(**(values | changed))


def ids(text: str, memory: Recollection | None = None) -> list[str | tuple[str, ...]]:
    """Return what is meant: the one thing or room of each goal, or all that would do."""
    found = meant(parse_instruction(text), memory or recollection())
    return [each[0] if len(each) == 1 else each for goal in found for each in (goal.objects or goal.rooms,)]


TABLE: tuple[tuple[str, list[Any]], ...] = (
    ("go to the mug you interacted with", ["o4"]),
    ("go to a mug you did not interact with", ["o7"]),
    ("go to a soft toy that you rearranged", ["o5"]),
    ("go to a piece of fruit you moved", ["o6"]),
    ("go to the red object you moved", ["o4"]),
    ("go to the blue mug", ["o7"]),
    # An exact name leaves out what is a kind of it.
    ("go to an object that you placed on a table", ["o5"]),
    ("go to a table you picked something up from", ["o1"]),
    ("go to the furniture on which you placed the mug", ["o2"]),
    ("go to the furniture from which you took the apple", ["o1"]),
    ("go to the object you carried from the bedroom to the kitchen", ["o5"]),
    ("go to an object you put down in the bedroom", ["o6"]),
    ("go to the second object you moved", ["o5"]),
    ("go to the second-to-last object you moved", ["o5"]),
    ("go to the object you moved right after the mug", ["o5"]),
    ("go to the object you moved just before the apple", ["o5"]),
    ("go to the object you moved between the mug and the apple", ["o5"]),
    ("go to the first object you picked up in the bedroom", ["o5"]),
    ("go to the furniture you picked an object up from right after you put down the teddy bear", ["o1"]),
    ("go to the object you were handling at 8:35", ["o5"]),
    ("go to the object that took the longest to rearrange", ["o5"]),
    ("go to the object that took the shortest time to rearrange", ["o6"]),
    ("go to the object that took 130 seconds to rearrange", ["o4"]),
    ("go to the object you moved that is farthest from your current location", ["o6"]),
    ("go to the object you moved that is nearest to the bed", ["o6"]),
    ("go to the largest object you moved", ["o5"]),
    ("go to a room where you did nothing", ["r4"]),
    ("visit all the objects you moved", ["o4", "o5", "o6"]),
    ("visit all the furniture you placed objects on", ["o2", "o1", "o3"]),
    ("visit all the furniture you picked objects up from", ["o1", "o3"]),
    ("revisit the third, then the first object you moved, in this order", ["o6", "o4"]),
    ("revisit the furniture you picked the first, then the third object up from, in this order", ["o1", "o1"]),
    ("go to the room where you spent the most time", ["r1"]),
    ("of the rooms you were in today, go to the one where you spent the least time", ["r4"]),
    ("go to a room where you neither picked up nor put down anything", ["r4"]),
    ("visit all the rooms in which you put something down", ["r1", "r3", "r2"]),
    ("go to the bedroom", ["r3"]),
    ("go to the giraffe you moved", []),
    ("go to the fourth object you moved", []),
)


@pytest.mark.parametrize(("text", "expected"), TABLE, ids=[text for text, _ in TABLE])
def test_an_instruction_leads_to_what_was_done(text: str, expected: list[Any]) -> None:
    assert ids(text) == expected


def test_a_thing_that_is_still_held_was_put_nowhere() -> None:
    held = msgspec.structs.replace(DAY[2], placed_ns=None, placed_m=None, placed_room="", placed_on="", placed_on_id="")
    memory = recollection(interactions=(*DAY[:2], held))
    assert ids("visit all the furniture you placed objects on", memory) == ["o2", "o1"]
    assert ids("go to the object that took the shortest time to rearrange", memory) == ["o4"]


def test_a_name_fits_by_its_share_of_what_a_thing_was_called() -> None:
    shares = {"coffee table": 0.9, "box": 0.1}
    assert label_fit("", shares) == 1.0
    assert label_fit("coffee table", shares) == pytest.approx(0.9)
    assert 0.5 < label_fit("table", shares) < 0.9
    assert label_fit("table", shares, labels=("table", "coffee table")) == 0.0
    assert label_fit("couch", {"sofa": 1.0}) == 1.0
    assert label_fit("giraffe", shares) == 0.0


def test_the_order_of_a_visit_is_nearly_the_shortest() -> None:
    rng = np.random.default_rng(5)

    def length(points: np.ndarray, order: Any) -> float:
        way = np.concatenate([[[0.0, 0.0]], points[list(order)]])
        return float(np.linalg.norm(np.diff(way, axis=0), axis=1).sum())

    for _ in range(20):
        points = rng.uniform(-5.0, 5.0, (6, 2))
        order = in_short_order([(x, y, 0.0) for x, y in points.tolist()], (0.0, 0.0, 0.0))
        assert sorted(order) == list(range(6))
        shortest = min(length(points, way) for way in itertools.permutations(range(6)))
        assert length(points, order) <= 1.25 * shortest
