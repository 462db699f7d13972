from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from memory_bank.space.floor_plan import FREE, OCCUPIED
from memory_bank.space.places import PlaceMap, PlacesConfig, find_places
from memory_bank.space.rooms import EMPTY_ROOMS, RoomMap, segment_rooms

CELL_M = 0.05
ORIGIN_M = (-2.0, 3.0)
CONFIG = PlacesConfig()


def two_rooms() -> np.ndarray:
    """Two rooms of 3 m by 4 m side by side, with a door of 0.9 m between them; 8 m by 5 m with a margin."""
    cells = np.zeros((100, 160), dtype=np.uint8)
    cells[9:91, 9:151] = OCCUPIED
    cells[10:90, 10:78] = FREE
    cells[10:90, 82:150] = FREE
    cells[40:58, 78:82] = FREE
    return cells


def places_of(cells: np.ndarray, previous: PlaceMap = PlaceMap(), rooms: RoomMap | None = None) -> PlaceMap:
    return find_places(cells, CELL_M, ORIGIN_M, rooms or EMPTY_ROOMS, previous)


def spots(found: PlaceMap) -> np.ndarray:
    return np.array([place.position_m[:2] for place in found.places]).reshape(-1, 2)


def drawn(seed: int) -> np.ndarray:
    """A random floor with blocks standing on it."""
    rng = np.random.default_rng(seed)
    cells = np.full((80, 90), FREE, dtype=np.uint8)
    cells[0] = cells[-1] = cells[:, 0] = cells[:, -1] = OCCUPIED
    for _ in range(int(rng.integers(0, 12))):
        row, column = rng.integers(0, 75, 2)
        cells[row : row + rng.integers(1, 25), column : column + rng.integers(1, 25)] = rng.choice([0, OCCUPIED])
    return cells


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_places_are_apart_and_wherever_a_robot_can_stand_one_is_near(seed: int) -> None:
    cells = drawn(seed)
    found = spots(places_of(cells))
    apart = np.linalg.norm(found[:, None] - found[None], axis=2) + 9.0 * np.eye(len(found))
    assert apart.size == 0 or apart.min() >= CONFIG.spacing_m - 2e-3
    free = ndimage.binary_closing(cells == FREE, structure=np.ones((3, 3))) & (cells != OCCUPIED) | (cells == FREE)
    standing = np.argwhere(ndimage.distance_transform_edt(free) * CELL_M >= CONFIG.clearance_m)
    centers = (standing[:, ::-1] + 0.5) * CELL_M + np.array(ORIGIN_M)
    for center in centers:
        assert np.linalg.norm(found - center, axis=1).min() < CONFIG.spacing_m + 2e-3


def test_places_know_their_rooms_and_the_door_joins_them() -> None:
    cells = two_rooms()
    rooms = segment_rooms(cells, CELL_M, ORIGIN_M)
    found = places_of(cells, rooms=rooms)
    assert {place.room_id for place in found.places} == {room.id for room in rooms.rooms}
    assert len(rooms.rooms) == 2
    by_id = {place.id: place for place in found.places}
    reached, todo = {found.places[0].id}, [found.places[0].id]
    while todo:
        for name in by_id[todo.pop()].neighbours:
            assert name in by_id
            if name not in reached:
                reached.add(name)
                todo.append(name)
    assert reached == set(by_id)


def test_neighbours_are_mutual_near_and_never_behind_a_wall() -> None:
    cells = two_rooms()
    cells[40:58, 78:82] = OCCUPIED
    found = places_of(cells)
    by_id = {place.id: place for place in found.places}
    wall_x = ORIGIN_M[0] + 80 * CELL_M
    for place in found.places:
        for name in place.neighbours:
            other = by_id[name]
            assert place.id in other.neighbours
            assert np.hypot(*np.subtract(place.position_m, other.position_m)[:2]) <= CONFIG.neighbour_m + 1e-6
            assert (place.position_m[0] < wall_x) == (other.position_m[0] < wall_x)


def test_the_clearance_is_the_distance_to_the_nearest_obstacle() -> None:
    cells = two_rooms()
    place = max(places_of(cells).places, key=lambda each: each.clearance_m)
    # The middle of a room of 3.4 m by 4 m.
    assert place.clearance_m == pytest.approx(1.7, abs=0.06)
    assert place.clearance_m >= CONFIG.clearance_m


def test_places_keep_their_ids_when_the_map_grows_and_turns_up_in_another_grid() -> None:
    cells = two_rooms()
    half = cells.copy()
    half[:, 80:] = 0
    first = places_of(half)
    grown = np.zeros((120, 200), dtype=np.uint8)
    grown[20:, 40:] = cells
    origin_m = (ORIGIN_M[0] - 40 * CELL_M, ORIGIN_M[1] - 20 * CELL_M)
    second = find_places(grown, CELL_M, origin_m, EMPTY_ROOMS, first)
    old, new = ({place.id: place.position_m for place in each.places} for each in (first, second))
    assert {name: new[name] for name in old} == old
    assert len(new) > len(old)
    assert second.next_id > first.next_id


def test_a_place_that_something_was_put_on_steps_aside_or_goes_and_its_number_is_not_given_again() -> None:
    cells = np.zeros((40, 40), dtype=np.uint8)
    cells[8:32, 8:32] = FREE
    first = places_of(cells)
    (place,) = first.places
    column, row = np.floor((np.array(place.position_m[:2]) - ORIGIN_M) / CELL_M).astype(int)
    bucket, wardrobe = cells.copy(), cells.copy()
    bucket[row - 1 : row + 2, column - 1 : column + 2] = OCCUPIED
    beside = places_of(bucket, first).places[0]
    assert beside.id == place.id
    assert 0.2 < np.hypot(*np.subtract(beside.position_m, place.position_m)[:2]) <= CONFIG.keep_m + 1e-6
    wardrobe[row - 10 : row + 11, column - 10 : column + 11] = OCCUPIED
    after = places_of(wardrobe, first)
    assert after.places == ()
    assert [p.id for p in places_of(cells, after).places] == ["p2"]


def test_a_map_without_free_floor_has_no_places() -> None:
    kept = PlaceMap(next_id=7)
    assert places_of(np.zeros((0, 0), dtype=np.uint8), kept) == kept
    assert places_of(np.full((20, 20), OCCUPIED, dtype=np.uint8), kept) == kept
    narrow = np.zeros((20, 20), dtype=np.uint8)
    narrow[10] = FREE
    assert places_of(narrow, kept) == kept


def test_single_cells_that_no_ray_passed_are_no_obstacles() -> None:
    cells = two_rooms()
    holes = cells.copy()
    holes[np.random.default_rng(0).random(cells.shape) > 0.99] = 0
    holes[cells != FREE] = cells[cells != FREE]
    assert len(places_of(holes).places) == pytest.approx(len(places_of(cells).places), abs=3)


def test_a_point_stands_at_the_nearest_place_within_reach() -> None:
    found = places_of(two_rooms())
    place = found.places[3]
    x_m, y_m, _ = place.position_m
    assert found.place_at((x_m + 0.1, y_m, 0.8)) == place.id
    assert found.place_at((x_m + 50.0, y_m, 0.0)) == ""
    assert PlaceMap().place_at((0.0, 0.0, 0.0)) == ""
