from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from navigation_world import CAMERA_M, furnish
from policies.navigation.coverage import Coverage, CoverageConfig, StepCost, carry_over
from policies.navigation.grid import (
    FREE,
    OCCUPIED,
    UNKNOWN,
    DistanceField,
    Grid,
    Terrain,
    TerrainConfig,
    build_terrain,
    distance_field,
)
from policies.navigation.view import CameraView, FloorPlan, SightRules, coarsen, sum_blocks


def new_coverage() -> Coverage:
    return Coverage(CoverageConfig(), CameraView(), StepCost())


def seen_room(closest_m: float = 0.5) -> Grid:
    """A room of 4 m x 3 m, seen from near but for a table in its upper right corner."""
    occupancy = np.full((60, 80), FREE, np.uint8)
    occupancy[[0, -1]] = OCCUPIED
    occupancy[:, [0, -1]] = OCCUPIED
    occupancy[40:58, 55:78] = OCCUPIED
    closest = np.full(occupancy.shape, closest_m, np.float32)
    closest[38:60, 53:80] = 3.0
    return Grid(0.05, (0.0, 0.0), occupancy, closest)


def ground(grid: Grid, x_m: float, y_m: float) -> tuple[Terrain, DistanceField]:
    terrain = build_terrain(grid, TerrainConfig())
    source = terrain.nearest_traversable(x_m, y_m)
    assert source is not None
    return terrain, distance_field(terrain, source)


def test_the_next_look_is_at_what_was_not_seen_from_near() -> None:
    terrain, field = ground(seen_room(), 0.6, 0.6)
    goal = new_coverage().choose(terrain, field, yaw_rad=0.0)
    assert goal is not None
    table_m = np.array([3.3, 2.45])
    to_table = table_m - (goal.x_m, goal.y_m)
    assert np.hypot(*to_table) < 2.0
    bearing = np.arctan2(to_table[1], to_table[0])
    assert abs((bearing - goal.yaw_rad + np.pi) % (2 * np.pi) - np.pi) < 0.5


def test_a_room_seen_from_near_is_done_and_says_so() -> None:
    grid = seen_room()
    grid.closest_view_m[:] = 1.0
    coverage = new_coverage()
    assert coverage.choose(*ground(grid, 0.6, 0.6), yaw_rad=0.0) is None
    assert coverage.progress == pytest.approx(1.0)


def test_an_opening_into_the_unknown_is_worth_a_look() -> None:
    grid = seen_room()
    grid.closest_view_m[:] = 1.0
    grid.occupancy[20:38, -1] = UNKNOWN
    grid = replace(grid, occupancy=np.pad(grid.occupancy, (0, 40)), closest_view_m=np.pad(grid.closest_view_m, (0, 40)))
    goal = new_coverage().choose(*ground(grid, 0.6, 0.6), yaw_rad=0.0)
    assert goal is not None
    assert goal.x_m > 2.0


def test_a_table_top_that_nobody_has_seen_is_worth_a_look_though_chairs_stand_around_it() -> None:
    grid = seen_room()
    grid.closest_view_m[:] = 1.0
    grid.occupancy[40:58, 55:78] = FREE
    grid.occupancy[20:42, 30:52] = OCCUPIED
    grid.occupancy[22:40, 32:50] = UNKNOWN
    goal = new_coverage().choose(*ground(grid, 0.6, 0.6), yaw_rad=0.0)
    assert goal is not None
    to_table = np.array([2.05, 1.55]) - (goal.x_m, goal.y_m)
    bearing = np.arctan2(to_table[1], to_table[0])
    assert np.hypot(*to_table) < 2.0
    assert abs((bearing - goal.yaw_rad + np.pi) % (2 * np.pi) - np.pi) < 0.5


def test_what_stays_hidden_is_given_up() -> None:
    terrain, field = ground(seen_room(), 0.6, 0.6)
    coverage = new_coverage()
    n_looks = 0
    while (goal := coverage.choose(terrain, field, yaw_rad=0.0)) is not None:
        coverage.look(terrain, goal.x_m, goal.y_m, goal.yaw_rad)
        n_looks += 1
        assert n_looks < 100
    assert n_looks >= 2


@pytest.mark.parametrize("place_m", [(0.6, 0.6), (1.525, 2.075), (2.225, 0.825)])
def test_a_look_that_was_made_is_never_worth_anything_again(place_m: tuple[float, float]) -> None:
    grid = seen_room()
    grid.closest_view_m[:] = 3.0
    terrain, field = ground(grid, *place_m)
    coverage = new_coverage()
    made: set[tuple[float, float, float]] = set()
    while (goal := coverage.choose(terrain, field, yaw_rad=1.0)) is not None:
        look = (goal.x_m, goal.y_m, goal.yaw_rad)
        assert look not in made
        made.add(look)
        coverage.look(terrain, *look)
    assert len(made) >= 5


def test_a_near_look_is_preferred_to_the_same_look_far_away() -> None:
    grid = seen_room()
    grid.closest_view_m[38:58, 2:20] = 3.0
    grid.occupancy[40:58, 2:20] = OCCUPIED
    left = new_coverage().choose(*ground(grid, 0.6, 0.6), yaw_rad=1.5)
    right = new_coverage().choose(*ground(grid, 3.4, 0.6), yaw_rad=1.5)
    assert left is not None
    assert right is not None
    assert left.x_m < 2.0 < right.x_m


def test_the_account_moves_along_when_the_map_grows() -> None:
    old = Grid(0.05, (1.0, 2.0), np.ones((4, 5), np.uint8), np.ones((4, 5), np.float32))
    new = Grid(0.05, (0.9, 1.95), np.ones((8, 9), np.uint8), np.ones((8, 9), np.float32))
    values = np.arange(1, 41, dtype=np.uint8).reshape(2, 4, 5)
    moved = carry_over(values, old, new)
    np.testing.assert_array_equal(moved[:, 1:5, 2:7], values)
    assert moved.sum() == values.sum()
    np.testing.assert_array_equal(carry_over(moved, new, old), values)


def test_rays_pass_floor_end_behind_walls_and_go_a_little_into_the_unknown() -> None:
    occupancy = np.full((21, 60), FREE, np.uint8)
    occupancy[:, 20:22] = OCCUPIED
    occupancy[:, :5] = UNKNOWN
    plan = FloorPlan(occupancy, 0.1, SightRules(range_m=4.0, over_occupied_m=0.8, into_unknown_m=0.2))
    sight = plan.look(np.array([[10, 12]]), np.array([0.0, np.pi]))
    ahead, behind = (int(v.sum()) for v in sight.visible[0])
    assert ahead == 9  # seven of floor and the wall
    assert behind == 9  # as many of floor, and two of the unknown


def test_blocks_are_joined_with_obstacles_first() -> None:
    fine = np.array([[0, 0, 1], [0, 1, 2], [1, 1, 0]], np.uint8)
    np.testing.assert_array_equal(coarsen(fine, 2), [[1, 2], [1, 0]])
    np.testing.assert_array_equal(sum_blocks(np.ones((2, 3, 3)), 2), np.array([[[4, 2], [2, 1]]] * 2))


def test_a_camera_shows_the_floor_from_where_its_picture_begins() -> None:
    camera = CameraView(height_m=CAMERA_M, pitch_rad=0.35)
    begins_m = camera.nearest_floor_m()
    assert 0.5 < begins_m < 0.65
    assert (camera.inside_rad(0.0, np.array([begins_m - 0.05, begins_m + 0.05])) > 0).tolist() == [False, True]
    assert camera.inside_rad(2.2, np.array([0.5]))[0] < 0
    assert camera.inside_rad(CAMERA_M, np.array([1.0]))[0] == pytest.approx(np.pi / 4 - 0.35)


def test_planning_in_a_house_takes_a_small_part_of_the_time_that_the_robot_drives() -> None:
    world = furnish(0)
    world.occupancy[:] = np.where(world.height_m > 0, OCCUPIED, FREE)
    world.closest_view_m[:] = np.inf
    grid = Grid.of(world.map())
    coverage = new_coverage()
    times_s = []
    for _ in range(5):
        started_s = time.process_time()
        terrain, field = ground(grid, world.pose.x_m, world.pose.y_m)
        coverage.look(terrain, world.pose.x_m, world.pose.y_m, 0.0)
        coverage.choose(terrain, field, 0.0)
        times_s.append(time.process_time() - started_s)
    # The chunk that follows takes the robot two seconds; a twentieth of that is a generous bound for a busy machine.
    assert min(times_s) < 0.1
