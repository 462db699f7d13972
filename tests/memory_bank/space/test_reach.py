from __future__ import annotations

import numpy as np
import pytest

from embodied.messages import MapReply
from memory_bank.space.reach import FloorWays
from memory_bank.space.rooms import Room, RoomMap

CELL_M = 0.1


def told(rows: list[str]) -> MapReply:
    """Return a map of the floor: ``.`` is free, anything else is not. The first line has the lowest y."""
    occupancy = np.array([[1 if cell == "." else 2 for cell in row] for row in rows], dtype=np.uint8)
    return MapReply(
        session="a", seq=0, resolution_m=CELL_M, origin_m=(0.0, 0.0), occupancy=occupancy,
        closest_view_m=np.full(occupancy.shape, np.inf, np.float32),
    )  # fmt: skip


WALL = ["." * 20 + "#" + "." * 20] * 16 + ["." * 41] * 5
"""Two rooms that are joined at the top."""


def test_the_way_leads_around_a_wall() -> None:
    ways = FloorWays(told(WALL), clearance_m=0.05)
    straight, around = ways.distances_m((1.05, 0.05, 0.0), np.array([[1.05, 1.05], [3.05, 0.05]]))
    assert straight == pytest.approx(1.0, abs=0.06)
    assert around == pytest.approx(2 * np.hypot(1.0, 1.6), rel=0.06)


def test_a_thing_at_a_wall_is_reached_from_its_own_room() -> None:
    cells = np.where(np.arange(41) < 21, 1, 2)[None].repeat(21, axis=0).astype(np.int16)
    rooms = tuple(Room(f"r{i}", i, (0.0, 0.0), 1.0, (), ()) for i in (1, 2))
    room_map = RoomMap(rooms, cells, CELL_M, (0.0, 0.0), 3)
    ways = FloorWays(told(WALL), clearance_m=0.25)
    thing = (2.08, 0.05, 0.8)
    here = np.array([[1.5, 0.6]])
    behind = ways.distances_m(thing, here)[0]
    before = ways.distances_m(thing, here, rooms[0], room_map)[0]
    assert before < 1.0 < behind


def test_where_no_way_leads_the_distance_is_infinite() -> None:
    closed = FloorWays(told(["." * 20 + "#" + "." * 20] * 21), clearance_m=0.05)
    assert np.isinf(closed.distances_m((1.0, 1.0, 0.0), np.array([[3.0, 1.0]]))[0])
    nowhere = FloorWays(told(["#" * 5] * 5))
    assert np.isinf(nowhere.distances_m((0.2, 0.2, 0.0), np.array([[0.2, 0.2]]))[0])
