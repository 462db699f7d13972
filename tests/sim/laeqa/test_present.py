from __future__ import annotations

import numpy as np
import pytest

from sim.collision import navigable_grid, obstacle_grid
from sim.laeqa.present import PresentRobot, draw_start
from sim.renderer import Renderer
from sim.scene import Scene
from sim_scenes import furnished_room

START = (-2.0, 0.0, 0.0)
AHEAD = np.array([0.5, 0.0, 0.0])


@pytest.fixture(scope="module")
def room() -> tuple[Scene, Renderer]:
    scene = furnished_room()
    return scene, Renderer(scene)


def robot(room: tuple[Scene, Renderer], seed: int = 3) -> PresentRobot:
    scene, renderer = room
    return PresentRobot(scene, renderer, obstacle_grid(renderer.mesh), START, session="now", start_ns=1000, seed=seed)


def test_its_way_is_what_it_truly_drove_and_time_passes_only_then(room: tuple[Scene, Renderer]) -> None:
    made = robot(room)
    for _ in range(5):
        made.step(AHEAD, 0.2)
    made.step(np.array([0.0, 0.0, 1.0]), 1.0)
    assert made.way_m == pytest.approx(0.5, abs=0.01)
    observation = made.look()
    assert observation.stamp_ns == 1000 + 2_100_000_000
    assert made.finish().n_observations == 1


def test_the_table_is_in_its_way(room: tuple[Scene, Renderer]) -> None:
    made = robot(room)
    assert any(made.step(AHEAD, 1.0) for _ in range(8))
    assert made.n_collisions >= 1
    assert made.pose[0] < 0.3


def test_the_same_seed_and_commands_give_the_same_observations(room: tuple[Scene, Renderer]) -> None:
    seen = []
    for _ in range(2):
        made = robot(room)
        made.step(AHEAD, 0.4)
        seen.append(made.look())
    assert np.array_equal(seen[0].T_world_base, seen[1].T_world_base)
    depths = [observation.cameras[0].depth for observation in seen]
    assert depths[0] is not None
    assert depths[1] is not None
    assert np.array_equal(depths[0], depths[1])
    assert seen[0].cameras[0].segment_labels == seen[1].cameras[0].segment_labels
    assert not np.array_equal(seen[0].T_world_base, robot(room, seed=4).look().T_world_base)


def test_where_nobody_can_stand_no_start_is_drawn(room: tuple[Scene, Renderer]) -> None:
    obstacles = obstacle_grid(room[1].mesh)
    nowhere = obstacles._replace(cells=np.zeros_like(obstacles.cells))
    with pytest.raises(ValueError, match="expected a place with"):
        draw_start(obstacles, nowhere, np.random.default_rng(0))


def test_a_start_is_drawn_where_the_robot_can_stand(room: tuple[Scene, Renderer]) -> None:
    scene, renderer = room
    obstacles, floor = obstacle_grid(renderer.mesh), navigable_grid(scene)
    starts = [draw_start(obstacles, floor, np.random.default_rng(seed)) for seed in range(5)]
    assert len({start[:2] for start in starts}) == 5
    for x_m, y_m, _ in starts:
        assert floor.cells[floor.cell_at(x_m, y_m)]
