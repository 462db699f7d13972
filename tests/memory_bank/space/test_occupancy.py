from __future__ import annotations

import numpy as np
import pytest

from box_world import INTRINSICS, T_BASE_CAMERA, Thing, render
from embodied.errors import StoreError
from embodied.geometry import pixel_rays, planar_pose
from memory_bank.space.occupancy import FREE, OCCUPIED, UNKNOWN, OccupancyConfig, OccupancyMap

RAYS = pixel_rays(INTRINSICS)
CRATE = Thing("crate", (1.5, 0.0, 0.4), (0.4, 0.6, 0.8))


def drive(
    grid: OccupancyMap, things: tuple[Thing, ...], poses: list[tuple[float, float, float]], noise: float = 1.0
) -> None:
    random = np.random.default_rng(0)
    for pose in poses:
        _, depth, _ = render(things, planar_pose(*pose) @ T_BASE_CAMERA)
        spread = noise * (0.0012 + 0.0019 * (depth - 0.4) ** 2)
        noisy = (depth + spread * random.standard_normal(depth.shape)).astype(np.float32)
        T_world_base = planar_pose(*pose)
        grid.integrate(noisy, RAYS, T_world_base @ T_BASE_CAMERA, T_world_base)


SPIN = [(0.0, 0.0, yaw) for yaw in np.linspace(0.0, 2 * np.pi, 24, endpoint=False)]


def test_walls_and_furniture_are_occupied_the_floor_is_free_and_the_rest_unknown() -> None:
    grid = OccupancyMap()
    grid.start_session("a")
    drive(grid, (CRATE,), SPIN)
    assert grid.at(1.32, 0.0) == OCCUPIED
    assert grid.at(-4.02, 0.0) == OCCUPIED
    assert grid.at(0.0, 0.0) == FREE
    assert grid.at(-2.0, 1.0) == FREE
    assert grid.at(0.9, 0.5) == FREE
    assert grid.at(3.0, 0.0) == UNKNOWN
    assert grid.at(5.0, 5.0) == UNKNOWN
    assert grid.at(90.0, 0.0) == UNKNOWN


def test_noise_makes_hardly_any_obstacle_on_free_floor() -> None:
    grid = OccupancyMap()
    grid.start_session("a")
    drive(grid, (), SPIN, noise=2.0)
    reply = grid.reply()
    y, x = np.nonzero(reply.occupancy == OCCUPIED)
    inner = np.maximum(np.abs(x * 0.05 + reply.origin_m[0]), np.abs(y * 0.05 + reply.origin_m[1])) < 3.8
    assert inner.sum() <= 3


def test_what_is_moved_away_is_forgotten_and_its_new_place_is_learned() -> None:
    grid = OccupancyMap()
    grid.start_session("a")
    drive(grid, (CRATE,), SPIN)
    drive(grid, (CRATE.at(0.0, 2.0),), SPIN * 3)
    assert grid.at(1.32, 0.0) == FREE
    assert grid.at(0.0, 1.75) == OCCUPIED


def test_the_map_knows_from_how_near_each_cell_was_seen_in_this_session() -> None:
    grid = OccupancyMap()
    grid.start_session("a")
    drive(grid, (CRATE,), SPIN)
    reply = grid.reply()

    def closest(x_m: float, y_m: float) -> float:
        column, row = int((x_m - reply.origin_m[0]) / 0.05), int((y_m - reply.origin_m[1]) / 0.05)
        return float(reply.closest_view_m[row, column])

    assert closest(-2.0, 0.0) == pytest.approx(2.0, abs=0.06)
    assert closest(1.32, 0.0) == pytest.approx(1.32, abs=0.06)
    assert closest(3.0, 0.0) == np.inf
    grid.start_session("b")
    assert np.isinf(grid.reply().closest_view_m).all()
    assert grid.at(1.32, 0.0) == OCCUPIED


def test_the_map_grows_wherever_the_robot_goes_and_keeps_what_it_knew() -> None:
    grid = OccupancyMap()
    grid.start_session("a")
    drive(grid, (CRATE,), SPIN)
    before = grid.reply()
    drive(grid, (), [(-30.0, 40.0, 0.0)])
    after = grid.reply()
    assert after.occupancy.size > before.occupancy.size
    assert grid.at(1.32, 0.0) == OCCUPIED
    assert grid.at(-30.0, 40.0) == FREE


def test_the_map_is_stored_and_read_back() -> None:
    grid = OccupancyMap()
    grid.start_session("a")
    drive(grid, (CRATE,), SPIN)
    back = OccupancyMap.from_bytes(grid.to_bytes())
    assert np.array_equal(back.reply().occupancy, grid.reply().occupancy)
    assert back.reply().origin_m == grid.reply().origin_m
    with pytest.raises(StoreError, match="damaged"):
        OccupancyMap.from_bytes(grid.to_bytes()[:-100])
    with pytest.raises(StoreError, match="cells"):
        OccupancyMap.from_bytes(grid.to_bytes(), OccupancyConfig(resolution_m=0.1))


def test_an_image_without_depth_changes_only_the_footprint() -> None:
    grid = OccupancyMap()
    grid.start_session("a")
    T = planar_pose(0.0, 0.0, 0.0)
    grid.integrate(np.zeros((96, 96), dtype=np.float32), RAYS, T @ T_BASE_CAMERA, T)
    occupancy = grid.reply().occupancy
    assert (occupancy == OCCUPIED).sum() == 0
    assert 0 < (occupancy == FREE).sum() < 100


def test_the_map_of_another_frame_is_added_where_it_lies() -> None:
    """What stood here before and in the other map is sure; a session that goes on keeps how near it has looked."""
    yaw_rad, x_m, y_m = 0.7, 1.0, -2.0
    here, there = OccupancyMap(), OccupancyMap()
    here.start_session("a")
    there.start_session("b")
    T_there_house = np.linalg.inv(planar_pose(x_m, y_m, yaw_rad))
    for grid, T, poses in ((here, np.eye(4), SPIN[:8]), (there, T_there_house, SPIN[6:])):
        for pose in poses:
            _, depth, _ = render((CRATE,), planar_pose(*pose) @ T_BASE_CAMERA)
            T_world_base = T @ planar_pose(*pose)
            grid.integrate(depth.astype(np.float32), RAYS, T_world_base @ T_BASE_CAMERA, T_world_base)
    there.seq = 17
    pose_there = np.array([yaw_rad, x_m, y_m, 0.0])
    assert here.at(-2.0, -1.0) == UNKNOWN
    before = here.reply()
    here.absorb(there, pose_there, go_on=False)
    assert (here.session, here.seq) == ("a", -1)
    kept = here.reply()
    row, column = np.round((np.array(before.origin_m) - kept.origin_m)[::-1] / kept.resolution_m).astype(int)
    rows, columns = before.closest_view_m.shape
    assert np.array_equal(kept.closest_view_m[row : row + rows, column : column + columns], before.closest_view_m)
    assert [here.at(*place) for place in ((1.32, 0.0), (-4.02, 0.0), (0.0, 0.0), (-2.0, -1.0), (3.0, 0.0))] == [
        OCCUPIED, OCCUPIED, FREE, FREE, UNKNOWN,
    ]  # fmt: skip
    here.absorb(there, pose_there, go_on=True)
    assert (here.session, here.seq) == ("b", 17)
    seen = np.isfinite(here.reply().closest_view_m)
    assert 0.9 < seen.sum() / np.isfinite(there.reply().closest_view_m).sum() < 1.1
    here.absorb(OccupancyMap(), pose_there, go_on=False)
    assert here.session == "b"
