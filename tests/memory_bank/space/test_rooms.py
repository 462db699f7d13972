"""Rooms of drawn floor plans."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from memory_bank.space.floor_plan import FREE, OCCUPIED
from memory_bank.space.outlines import trace_outline
from memory_bank.space.rooms import EMPTY_ROOMS, RoomMap, segment_rooms

CELL_M = 0.05
ORIGIN_M = (-2.0, 3.0)
ROOMS = {"A": (2.0, 2.0), "B": (8.0, 2.2), "C": (2.0, 6.0), "D": (8.0, 6.8), "hall": (5.0, 3.6)}
"""A point of the floor in each room of ``house``, from the corner of the house."""


class Plan:
    """A floor plan in the making; rectangles in metres from the corner of the house."""

    def __init__(self, width_m: float, height_m: float, margin_m: float = 1.0) -> None:
        self.margin_m = margin_m
        shape = (round((height_m + 2 * margin_m) / CELL_M), round((width_m + 2 * margin_m) / CELL_M))
        self.cells = np.zeros(shape, dtype=np.uint8)

    def fill(self, value: int, x0: float, y0: float, x1: float, y1: float) -> None:
        a, b, c, d = (round((v + self.margin_m) / CELL_M) for v in (x0, y0, x1, y1))
        self.cells[b:d, a:c] = value

    def world(self, x: float, y: float) -> tuple[float, float]:
        return x + self.margin_m + ORIGIN_M[0], y + self.margin_m + ORIGIN_M[1]


def house(furnished: bool = True, noise_seed: int | None = None) -> Plan:
    """Return four rooms and a hall; A opens to B and C, B and D to the hall."""
    plan = Plan(10.0, 8.0)
    plan.fill(OCCUPIED, 0, 0, 10, 8)
    for rectangle in (
        (0.1, 0.1, 4.0, 4.0), (4.1, 0.1, 9.9, 3.0), (0.1, 4.1, 4.0, 7.9), (4.1, 4.3, 9.9, 7.9), (4.1, 3.1, 9.9, 4.2),
    ):  # fmt: skip
        plan.fill(FREE, *rectangle)
    for door in ((3.9, 0.8, 4.2, 1.75), (1.0, 3.9, 1.95, 4.2), (6.0, 2.9, 6.95, 3.2), (7.0, 4.1, 7.95, 4.4)):
        plan.fill(FREE, *door)
    if furnished:
        for thing in (
            (0.1, 0.1, 1.7, 2.1),  # a bed in a corner
            (2.9, 2.5, 4.0, 4.0),  # a wardrobe in another, behind which the walls are thick
            (5.1, 0.1, 9.9, 0.7),  # a kitchen counter along a wall
            (6.0, 1.4, 7.6, 2.2),  # a table in the middle
            (2.0, 5.5, 2.9, 7.9),  # a sofa that juts out
            (6.0, 6.0, 8.0, 7.0),
        ):
            plan.fill(OCCUPIED, *thing)
    if noise_seed is not None:
        chance = np.random.default_rng(noise_seed).random(plan.cells.shape)
        cells = plan.cells.copy()
        cells[(plan.cells == FREE) & (chance < 0.004)] = OCCUPIED
        cells[(plan.cells == OCCUPIED) & (chance < 0.08)] = FREE
        cells[(plan.cells == FREE) & (chance > 0.985)] = 0
        plan.cells = cells
    return plan


def upper_walls() -> np.ndarray:
    """Return the walls of ``house`` as seen above the doors: closed, lintels and all."""
    walls = house(furnished=False).cells == OCCUPIED
    solid = Plan(10.0, 8.0)
    for lintel in ((4.0, 0.8, 4.1, 1.75), (1.0, 4.0, 1.95, 4.1), (6.0, 3.0, 6.95, 3.1), (7.0, 4.2, 7.95, 4.3)):
        solid.fill(OCCUPIED, *lintel)
    return walls | (solid.cells == OCCUPIED)


def named(plan: Plan, found: RoomMap) -> dict[str, str]:
    """Return the id of the room in which the point of each of ``ROOMS`` lies."""
    points = np.array([plan.world(*point) for point in ROOMS.values()])
    return {name: room.id for name, room in zip(ROOMS, found.rooms_at(points)) if room is not None}


def connections(plan: Plan, found: RoomMap) -> set[frozenset[str]]:
    names = {room_id: name for name, room_id in named(plan, found).items()}
    return {frozenset((names[r.id], names[other])) for r in found.rooms for other in r.connects}


DOORS = {frozenset(pair) for pair in (("A", "B"), ("A", "C"), ("B", "hall"), ("D", "hall"))}


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_rooms_end_at_their_doors(seed: int | None) -> None:
    plan = house(noise_seed=seed)
    found = segment_rooms(plan.cells, CELL_M, ORIGIN_M)
    assert len(found.rooms) == 5
    assert len(set(named(plan, found).values())) == 5
    assert connections(plan, found) == DOORS


def test_walls_seen_above_the_doors_part_rooms_that_shapes_cannot() -> None:
    plan = house()
    plan.fill(OCCUPIED, 3.6, 1.75, 4.5, 4.0)  # a cupboard on either side hides the wall between A and B
    plan.fill(OCCUPIED, 3.6, 0.1, 4.5, 0.8)
    found = segment_rooms(plan.cells, CELL_M, ORIGIN_M, upper=upper_walls())
    assert len(found.rooms) == 5
    assert connections(plan, found) == DOORS


def test_a_wide_opening_does_not_part_a_room() -> None:
    plan = Plan(8.0, 4.0)
    plan.fill(OCCUPIED, 0, 0, 8, 4)
    plan.fill(FREE, 0.1, 0.1, 7.9, 3.9)
    plan.fill(OCCUPIED, 4.0, 0.1, 4.1, 1.2)
    plan.fill(OCCUPIED, 4.0, 2.9, 4.1, 3.9)
    assert len(segment_rooms(plan.cells, CELL_M, ORIGIN_M).rooms) == 1


def test_a_room_is_as_large_as_it_is_and_its_center_lies_inside() -> None:
    plan = house(furnished=False)
    found = segment_rooms(plan.cells, CELL_M, ORIGIN_M)
    by_name = {name: next(r for r in found.rooms if r.id == i) for name, i in named(plan, found).items()}
    assert by_name["A"].area_m2 == pytest.approx(3.9 * 3.9, rel=0.03)
    assert by_name["hall"].area_m2 == pytest.approx(5.8 * 1.1, rel=0.05)
    for room in found.rooms:
        assert found.rooms_at(np.array([room.center_m])) == [room]
        x, y = np.array(room.outline_m).T
        assert 0.5 * abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) == pytest.approx(room.area_m2, rel=0.06)


def test_furniture_and_walls_belong_to_the_nearest_room() -> None:
    plan = house()
    found = segment_rooms(plan.cells, CELL_M, ORIGIN_M)
    inside = named(plan, found)
    points = np.array([plan.world(0.8, 1.0), plan.world(-0.02, 2.0), plan.world(-0.9, -0.9 - 1.0)])
    bed, picture, outside = found.rooms_at(points)
    assert [room.id if room else None for room in (bed, picture, outside)] == [inside["A"], inside["A"], None]


def test_ids_stay_when_the_map_grows_and_changes() -> None:
    plan = house()
    before = segment_rooms(plan.cells, CELL_M, ORIGIN_M)
    grown = np.zeros((plan.cells.shape[0] + 64, plan.cells.shape[1] + 128), dtype=np.uint8)
    grown[64:, 128:] = house(noise_seed=5).cells
    origin_m = (ORIGIN_M[0] - 128 * CELL_M, ORIGIN_M[1] - 64 * CELL_M)
    after = segment_rooms(grown, CELL_M, origin_m, previous=before)
    assert named(plan, after) == named(plan, before)


def test_an_id_is_never_given_twice() -> None:
    plan = house()
    before = segment_rooms(plan.cells, CELL_M, ORIGIN_M)
    without = plan.cells.copy()
    without[:, : without.shape[1] // 2] = 0
    fewer = segment_rooms(without, CELL_M, ORIGIN_M, previous=before)
    assert len(fewer.rooms) < 5
    again = segment_rooms(plan.cells, CELL_M, ORIGIN_M, previous=fewer)
    assert not {r.id for r in again.rooms} - {r.id for r in fewer.rooms} & {r.id for r in before.rooms}
    assert again.next_id > before.next_id


def test_no_free_cell_no_room() -> None:
    found = segment_rooms(np.zeros((30, 40), dtype=np.uint8), CELL_M, ORIGIN_M)
    assert found.rooms == ()
    assert found.rooms_at(np.array([[0.0, 4.0]])) == [None]
    assert EMPTY_ROOMS.rooms_at(np.array([[0.0, 4.0]])) == [None]


@given(st.integers(0, 1000))
def test_an_outline_encloses_its_cells(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.zeros((20, 20), dtype=bool)
    row, column = 10, 10
    for _ in range(60):  # a walk is always connected, by sides
        mask[row, column] = True
        step = [(0, 1), (0, -1), (1, 0), (-1, 0)][int(rng.integers(4))]
        row, column = int(np.clip(row + step[0], 0, 19)), int(np.clip(column + step[1], 0, 19))
    corners = np.array(trace_outline(mask, tolerance=0.0))
    x, y = corners.T
    area = 0.5 * float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))
    assert area == ndimage.binary_fill_holes(mask).sum()
