from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embodied.geometry import wrap_angle
from policies.navigation.controller import ControllerConfig, Pose, back_off, follow, get_free
from policies.navigation.grid import FREE, OCCUPIED, Grid, Terrain, TerrainConfig, build_terrain

CONFIG = ControllerConfig()


def hall(seed: int | None = None) -> Terrain:
    occupancy = np.full((80, 120), FREE, np.uint8)
    occupancy[[0, -1]] = OCCUPIED
    occupancy[:, [0, -1]] = OCCUPIED
    if seed is not None:
        rng = np.random.default_rng(seed)
        for _ in range(10):
            row, column = rng.integers(2, 70), rng.integers(2, 110)
            occupancy[row : row + rng.integers(2, 9), column : column + rng.integers(2, 9)] = rng.integers(0, 3)
    grid = Grid(0.05, (0.0, 0.0), occupancy, np.full(occupancy.shape, np.inf, np.float32))
    return build_terrain(grid, TerrainConfig())


def drive(terrain: Terrain, pose: Pose, path_m: np.ndarray, yaw_rad: float | None) -> tuple[Pose, int]:
    """Follow chunk after chunk until it says that it has arrived."""
    n_steps = 0
    for _ in range(60):
        plan = follow(CONFIG, terrain, pose, path_m, yaw_rad)
        assert not plan.blocked
        if not plan.poses:
            return pose, n_steps
        pose, n_steps = plan.poses[-1], n_steps + len(plan.poses)
    raise AssertionError("it never arrives")


def test_an_arc_ends_where_small_steps_along_it_end() -> None:
    pose = there = Pose(1.0, 2.0, 0.7)
    for _ in range(1000):
        there = there.moved(0.8, 1.6, 0.2 / 1000)
    at_once = pose.moved(0.8, 1.6, 0.2)
    np.testing.assert_allclose(at_once.position_m, there.position_m, atol=1e-4)
    assert at_once.yaw_rad == pytest.approx(there.yaw_rad)
    np.testing.assert_allclose(pose.moved(0.5, 0.0, 2.0).position_m, [1 + np.cos(0.7), 2 + np.sin(0.7)])


@pytest.mark.parametrize("yaw_rad", [0.0, 1.0, 3.0, -2.0])
@pytest.mark.parametrize("final_rad", [None, -1.5, 3.1])
def test_it_arrives_and_faces_what_it_should(yaw_rad: float, final_rad: float | None) -> None:
    path = np.array([[1.0, 1.0], [2.5, 1.2], [3.0, 2.8], [4.8, 3.0]])
    pose, n_steps = drive(hall(), Pose(1.0, 1.0, yaw_rad), path, final_rad)
    assert np.hypot(*(pose.position_m - path[-1])) <= CONFIG.arrived_m + 1e-9
    if final_rad is not None:
        assert abs(wrap_angle(pose.yaw_rad - final_rad)) <= CONFIG.faced_rad + 1e-9
    # 4.9 m at 0.16 m a step, and at most two turns of half a circle.
    assert n_steps <= 4.9 / 0.16 * 1.25 + 2 * 10 + 8


@given(
    seed=st.integers(0, 10_000),
    corners=st.lists(st.tuples(st.floats(0.3, 5.7), st.floats(0.3, 3.7)), min_size=1, max_size=4),
    yaw_rad=st.floats(-3.1, 3.1),
    start=st.integers(0, 10_000),
)
def test_whatever_the_path_the_disc_stays_on_known_floor_and_within_limits(
    seed: int, corners: list[tuple[float, float]], yaw_rad: float, start: int
) -> None:
    terrain = hall(seed)
    cells = np.argwhere(terrain.traversable)
    pose = Pose(*terrain.grid.centers_of(cells[start % len(cells)][None])[0].tolist(), yaw_rad)
    path = np.array([pose.position_m, *corners])
    not_free = terrain.grid.centers_of(np.argwhere(terrain.occupancy != FREE))
    for _ in range(3):
        plan = follow(CONFIG, terrain, pose, path, None)
        assert len(plan.twists) <= CONFIG.n_chunk
        assert np.abs(plan.twists[:, 0]).max(initial=0.0) <= CONFIG.max_forward_m_s + 1e-6
        assert np.abs(plan.twists[:, 2]).max(initial=0.0) <= CONFIG.max_turn_rad_s + 1e-6
        for (forward, _, turn), after in zip(plan.twists.tolist(), plan.poses, strict=True):
            for share in (0.25, 0.5, 0.75, 1.0):
                on_way = pose.moved(forward, turn, CONFIG.period_s * share)
                # Half a cell from a cell's middle to its border.
                gap = np.abs(not_free - on_way.position_m).clip(0.025) - 0.025
                assert np.hypot(*gap.T).min() >= terrain.config.robot_radius_m - 0.005
            pose = after


def test_a_turn_on_the_spot_ends_the_chunk_so_that_what_it_shows_counts() -> None:
    plan = follow(CONFIG, hall(), Pose(3.0, 2.0, 0.0), np.array([[3.0, 2.0], [1.0, 2.0]]), None)
    assert (plan.twists[:, 0] == 0.0).all()
    assert len(plan.twists) == CONFIG.n_turn_chunk


def test_a_path_into_a_wall_is_followed_to_where_it_is_safe_and_is_then_blocked() -> None:
    pose = Pose(5.0, 2.0, 0.0)
    for _ in range(3):
        plan = follow(CONFIG, hall(), pose, np.array([[5.0, 2.0], [7.0, 2.0]]), None)
        pose = plan.poses[-1] if plan.poses else pose
    assert plan.blocked
    assert 5.6 < pose.x_m < 5.95 - TerrainConfig().robot_radius_m


def test_it_backs_off_only_where_there_is_room() -> None:
    assert back_off(CONFIG, hall(), Pose(3.0, 2.0, 0.0)).poses[-1].x_m == pytest.approx(2.88)
    assert back_off(CONFIG, hall(), Pose(0.27, 2.0, 0.0)).blocked


def test_in_a_tight_spot_it_moves_to_where_there_is_more_room_or_turns() -> None:
    terrain = hall()
    tight = Pose(0.20, 2.0, np.pi)
    plan = get_free(CONFIG, terrain, tight)
    assert terrain.clearance_at(plan.poses[-1].position_m[None]) > terrain.clearance_at(tight.position_m[None])
    sideways = get_free(CONFIG, terrain, Pose(0.20, 2.0, np.pi / 2))
    assert len(sideways.twists) == 1
