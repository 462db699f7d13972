"""Aligning maps: the same house turned, changed, half seen; others that only look alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.geometry import wrap_angle
from embodied.messages import MapReply
from memory_bank.frames.alignment import AlignmentConfig, Finding, Grid, Pairs, align, fitted
from memory_bank.frames.poses import Pose, after, inverted, move_track, moved, pose_of
from memory_bank.frames.views import moved_map
from memory_bank.objects.track import Track
from memory_bank.space.occupancy import FREE, OCCUPIED, UNKNOWN
from memory_world import box, make_track

LABELS = ("table", "chair", "couch", "lamp", "plant", "mug", "book", "stove", "sink", "bed", "shelf", "clock")
WIDTH_M, DEPTH_M = 9.0, 7.0
STEP_M = 0.05
POSE = np.array([2.1, -3.0, 5.5, 0.02])
"""T_memory_session."""


def grid_of(walls: tuple[tuple[float, float, float, float], ...]) -> Grid:
    """Return a map: free floor, walls around it and where told (x, y, x, y)."""
    cells = np.full((round(DEPTH_M / STEP_M), round(WIDTH_M / STEP_M)), FREE, dtype=np.uint8)
    around = ((0, 0, WIDTH_M, 0.1), (0, DEPTH_M - 0.1, WIDTH_M, DEPTH_M))
    around += ((0, 0, 0.1, DEPTH_M), (WIDTH_M - 0.1, 0, WIDTH_M, DEPTH_M))
    for left, low, right, high in (*around, *walls):
        cells[round(low / STEP_M) : round(high / STEP_M), round(left / STEP_M) : round(right / STEP_M)] = OCCUPIED
    return Grid(cells, STEP_M, (0.0, 0.0))


ROOMS = grid_of(((4.0, 0.0, 4.1, 3.0), (4.0, 4.0, 4.1, 7.0), (4.1, 4.0, 7.5, 4.1)))
OTHER_ROOMS = grid_of(((0.0, 3.0, 5.0, 3.1), (6.0, 3.0, 6.1, 7.0), (6.0, 1.0, 6.1, 3.0)))


def furnish(seed: int, n: int = 20) -> list[Track]:
    """Return things strewn over a house: the same labels and sizes for any seed, at other places."""
    sizes, places = np.random.default_rng(0), np.random.default_rng(seed)
    tracks = []
    for number in range(n):
        size = tuple(np.round(sizes.uniform(0.1, 0.6, 3), 3).tolist())
        x, y, z = places.uniform((0.4, 0.4, 0.2), (WIDTH_M - 0.4, DEPTH_M - 0.4, 1.2)).tolist()
        tracks.append(
            make_track(
                number,
                places,
                LABELS[number % len(LABELS)],
                box=box((x, y, z), size),
                label_weights={LABELS[number % len(LABELS)]: 9.0, "thing": 1.0},
            )
        )
    return tracks


def seen_from(pose: Pose, tracks: list[Track], noise_m: float = 0.03, seed: int = 1) -> list[Track]:
    """Return the same things in the frame of a session that lies at ``pose``, mapped with errors."""
    rng, back = np.random.default_rng(seed), inverted(pose)
    result = []
    for track in tracks:
        copy = replace(track, label_weights=dict(track.label_weights))
        move_track(copy, back)
        center = tuple((np.array(copy.box.center_m) + rng.normal(0.0, noise_m, 3)).tolist())
        copy.box = box(center, copy.box.size_m)
        result.append(copy)
    return result


def turned(grid: Grid, pose: Pose) -> Grid:
    """Return a map in the frame of a session that lies at ``pose``."""
    told = MapReply(
        session="", seq=0, resolution_m=grid.resolution_m, origin_m=grid.origin_m, occupancy=grid.cells,
        closest_view_m=np.zeros(grid.cells.shape, dtype=np.float32),
    )  # fmt: skip
    found = moved_map(told, inverted(pose), "session")
    return Grid(found.occupancy, found.resolution_m, found.origin_m)


def assert_found(finding: Finding, pose: Pose) -> None:
    assert finding.alignment is not None, finding.reason
    found = pose_of(finding.alignment)
    middle = np.array([[0.5 * WIDTH_M, 0.5 * DEPTH_M, 1.0]])
    session = moved(inverted(pose), middle)
    assert float(np.linalg.norm(moved(found, session) - middle)) < 0.05
    assert abs(np.rad2deg(wrap_angle(float(found[0] - pose[0])))) < 0.5


def test_a_house_is_found_again_although_things_were_moved_added_and_removed() -> None:
    memory = furnish(3)
    session = seen_from(POSE, memory[:16])
    for number, track in enumerate(furnish(4)[:4]):
        session[number] = replace(track, box=box((number - 2.0, 1.0, 0.5), track.box.size_m))
    assert_found(align(session, turned(ROOMS, POSE), memory, ROOMS), POSE)


def test_one_room_of_a_house_is_enough() -> None:
    memory = furnish(3, 40)
    part = turned(ROOMS, POSE)
    here = moved(POSE, part.centres(np.ones(part.cells.shape, dtype=bool)))[:, 0] < 4.2
    part.cells.reshape(-1)[~here] = UNKNOWN
    session = seen_from(POSE, [track for track in memory if track.position_m[0] < 4.2])
    assert_found(align(session, part, memory, ROOMS), POSE)


@pytest.mark.parametrize("seed", range(4))
def test_another_house_with_the_same_furniture_is_kept_apart(seed: int) -> None:
    session = seen_from(POSE, furnish(10 + seed))
    finding = align(session, turned(OTHER_ROOMS, POSE), furnish(3), ROOMS)
    assert finding.alignment is None
    assert finding.reason


def test_the_same_walls_with_other_things_are_kept_apart() -> None:
    finding = align(seen_from(POSE, furnish(11)), turned(ROOMS, POSE), furnish(3), ROOMS)
    assert finding.alignment is None


def test_an_empty_corridor_is_kept_apart() -> None:
    memory = furnish(3)
    for session in ([], seen_from(POSE, memory[:5])):
        finding = align(session, turned(ROOMS, POSE), memory, ROOMS)
        assert finding.alignment is None
        assert finding.reason == "too few things are alike"
    assert align(memory, ROOMS, [], ROOMS).alignment is None


def test_what_fits_in_two_places_is_kept_apart() -> None:
    """Two rooms furnished alike, and a session that has seen one room: it may be either."""
    left = [track for track in furnish(3, 40) if track.position_m[0] < 4.0][:14]
    shift = np.array([0.0, 4.5, 0.0, 0.0])
    right = [replace(track, id=f"o{100 + n}") for n, track in enumerate(left)]
    for track in right:
        move_track(track, shift)
    walls = tuple((x, 0.0, x + 0.1, DEPTH_M) for x in (4.4,))
    house = grid_of(walls)
    part = replace(house, cells=house.cells.copy())
    part.cells[:, round(4.5 / STEP_M) :] = UNKNOWN
    finding = align(seen_from(POSE, left), turned(part, POSE), left + right, house)
    assert finding.alignment is None
    assert "another alignment" in finding.reason
    assert align(seen_from(POSE, left), turned(part, POSE), left, house).alignment is not None


def test_things_without_names_say_too_little() -> None:
    memory = [replace(track, label_weights={}) for track in furnish(3)]
    assert align(seen_from(POSE, memory), turned(ROOMS, POSE), memory, ROOMS).alignment is None


poses = st.tuples(st.floats(-3.1, 3.1), *[st.floats(-50.0, 50.0)] * 3).map(np.array)


@settings(max_examples=30)
@given(poses, poses)
def test_poses_are_inverted_and_chained(one: Pose, other: Pose) -> None:
    points = np.array([[0.0, 0.0, 0.0], [3.0, -2.0, 1.0]])
    assert np.allclose(moved(inverted(one), moved(one, points)), points, atol=1e-9)
    assert np.allclose(moved(after(one, other), points), moved(one, moved(other, points)), atol=1e-9)


@settings(max_examples=30)
@given(poses, st.integers(0, 1000))
def test_least_squares_find_the_pose_of_points(pose: Pose, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, weights = rng.uniform(-5.0, 5.0, (6, 3)), rng.uniform(0.1, 2.0, 6)
    found = fitted(points, moved(pose, points), weights)
    assert np.allclose(moved(found, points), moved(pose, points), atol=1e-6)


def test_of_many_things_the_rarest_compare_proposals() -> None:
    alike = np.zeros((6, 8))
    alike[:4, :4] = 1.0  # four of a kind in both maps
    alike[4, 5] = alike[5, 6] = 1.0
    pairs = Pairs.of(alike)
    assert pairs.rarest(18) is pairs
    few = pairs.rarest(7)
    assert (few.rows.tolist(), few.columns.tolist()) == ([0, 0, 0, 0, 4, 5], [0, 1, 2, 3, 5, 6])
    assert pairs.rarest(1).rows.tolist() == [4]
    config = AlignmentConfig(max_support=60)
    things = furnish(3, n=40)
    assert_found(align(seen_from(POSE, things), turned(ROOMS, POSE), things, ROOMS, config), POSE)
