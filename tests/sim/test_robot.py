from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.collision import Grid, obstacle_grid
from sim.houses import generate_house
from sim.robot import DiscRobot, RobotSettings, limit_twists
from sim.world_mesh import MeshBuilder
from sim_scenes import furnished_room

OBSTACLES = obstacle_grid(MeshBuilder().build(furnished_room()))
PERIOD_S = 0.2


def robot_at(x_m: float, y_m: float, yaw_rad: float) -> DiscRobot:
    return DiscRobot(OBSTACLES, (x_m, y_m, yaw_rad), RobotSettings())


def overlap_m(grid: Grid, x_m: float, y_m: float, radius_m: float) -> float:
    """How deep a disc reaches into the nearest obstacle cell, by looking at all of them."""
    rows, columns = np.nonzero(grid.cells)
    low_x = grid.origin_m[0] + columns * grid.resolution_m
    low_y = grid.origin_m[1] + rows * grid.resolution_m
    dx = x_m - np.clip(x_m, low_x, low_x + grid.resolution_m)
    dy = y_m - np.clip(y_m, low_y, low_y + grid.resolution_m)
    return float(radius_m - np.hypot(dx, dy).min())


@given(seed=st.integers(0, 100_000))
def test_whatever_is_commanded_the_disc_never_overlaps_an_obstacle(seed: int) -> None:
    rng = np.random.default_rng(seed)
    robot = robot_at(-0.5, rng.uniform(-2.0, 2.0), rng.uniform(-np.pi, np.pi))
    for _ in range(25):
        robot.step(rng.uniform([-1.0, -1.0, -2.0], [2.0, 1.0, 2.0]), PERIOD_S)
        assert overlap_m(OBSTACLES, robot.pose[0], robot.pose[1], 0.2) < 1e-9


@pytest.mark.parametrize("seed", [0, 1])
def test_in_a_furnished_house_it_passes_neither_walls_nor_furniture(seed: int) -> None:
    scene = generate_house(seed)
    mesh = MeshBuilder().build(scene)
    # What is in the way is taken from the triangles here, not from the grid that the robot goes by.
    weights = np.array([[1.0, 0, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]])
    points = np.einsum("pc,fck->fpk", weights, mesh.corners).reshape(-1, 3)
    in_the_way = points[(points[:, 2] > 0.03) & (points[:, 2] < 1.3)][:, :2]
    robot = DiscRobot(obstacle_grid(mesh), scene.start_pose, RobotSettings())
    rng = np.random.default_rng(seed)
    n_touched = 0
    for _ in range(150):
        twist = np.array([0.8, rng.uniform(-0.3, 0.3), rng.uniform(-1.2, 1.2)])
        for _ in range(4):
            n_touched += robot.step(twist, PERIOD_S).collided
        x_m, y_m, _ = robot.pose
        assert np.hypot(in_the_way[:, 0] - x_m, in_the_way[:, 1] - y_m).min() > 0.2 - 1e-6
        outer = np.array([region.rectangle_m for region in scene.regions])
        assert (outer[:, :2].min(axis=0) < (x_m, y_m)).all()
        assert (outer[:, 2:].max(axis=0) > (x_m, y_m)).all()
    assert n_touched > 20


@pytest.mark.parametrize("yaw_rad", np.linspace(-np.pi, np.pi, 9).tolist())
def test_full_speed_against_a_wall_ends_at_the_wall(yaw_rad: float) -> None:
    robot = robot_at(-1.5, 0.0, yaw_rad)
    collided = [robot.step(np.array([0.8, 0.0, 0.0]), PERIOD_S).collided for _ in range(60)]
    assert any(collided)
    assert max(abs(robot.pose[0]), abs(robot.pose[1])) < 2.81


def test_in_the_open_it_does_what_is_commanded() -> None:
    robot = robot_at(-2.0, -1.0, 0.3)
    result = robot.step(np.array([0.5, 0.1, 0.4]), PERIOD_S)
    assert not result.collided
    np.testing.assert_allclose(result.twist, [0.5, 0.1, 0.4], rtol=2e-3)
    assert robot.pose[2] == pytest.approx(0.38)


def test_an_arc_closes_to_a_circle() -> None:
    robot = robot_at(-2.0, 0.0, 0.0)
    for _ in range(50):
        robot.step(np.array([0.4, 0.0, 2 * np.pi / 10.0]), PERIOD_S)
    np.testing.assert_allclose(robot.pose[:2], (-2.0, 0.0), atol=0.01)


def test_it_slides_along_a_wall_and_says_that_it_touched() -> None:
    robot = robot_at(-2.0, 2.5, np.deg2rad(20.0))
    results = [robot.step(np.array([0.8, 0.0, 0.0]), PERIOD_S) for _ in range(15)]
    assert results[-1].collided
    assert robot.pose[0] > -0.8
    assert results[-1].twist[0] < 0.8


def test_it_can_turn_and_drive_away_after_touching() -> None:
    robot = robot_at(0.0, 0.0, 0.0)
    for _ in range(5):
        robot.step(np.array([0.8, 0.0, 0.0]), PERIOD_S)
    stopped_x_m = robot.pose[0]
    assert not robot.step(np.array([-0.5, 0.0, 0.0]), PERIOD_S).collided
    assert robot.pose[0] < stopped_x_m


@given(twist=st.tuples(*[st.floats(-1e6, 1e6)] * 3))
def test_limits_keep_the_direction(twist: tuple[float, float, float]) -> None:
    settings = RobotSettings()
    forward, left, turn = limit_twists(np.array([twist]), settings)[0].tolist()
    assert np.hypot(forward, left) <= settings.max_linear_m_s * (1 + 1e-5)
    assert abs(turn) <= settings.max_angular_rad_s * (1 + 1e-6)
    assert forward * twist[1] - left * twist[0] == pytest.approx(0.0, abs=1e-4 * (1 + np.hypot(*twist[:2])))


def test_the_greatest_twist_is_cut_like_any_other() -> None:
    twist = np.array([[3e38, 3e38, -3e38]], dtype=np.float32)
    np.testing.assert_allclose(limit_twists(twist, RobotSettings()), [[0.8 / 2**0.5, 0.8 / 2**0.5, -1.6]], rtol=1e-6)


def test_a_start_inside_of_furniture_is_refused() -> None:
    with pytest.raises(ValueError, match="room around it"):
        robot_at(1.0, 0.0, 0.0)
