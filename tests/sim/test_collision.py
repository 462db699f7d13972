from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.collision import BODY_Z_M, Clearance, Grid, geodesic_distance, navigable_grid, obstacle_grid
from sim.scene import Scene
from sim.world_mesh import MeshBuilder
from sim_scenes import box_template, furnished_room, room_scene


def obstacles_of(scene: Scene) -> Grid:
    return obstacle_grid(MeshBuilder().build(scene))


def test_walls_and_a_table_top_at_body_height_are_obstacles_and_the_floor_is_not() -> None:
    grid = obstacles_of(furnished_room())
    assert grid.cells[grid.cell_at(2.999, 0.0)] or grid.cells[grid.cell_at(3.001, 0.0)]
    assert grid.cells[grid.cell_at(1.0, 0.0)]
    assert not grid.cells[grid.cell_at(-1.0, 0.0)]


@pytest.mark.parametrize(("z_m", "blocks"), [(0.0, True), (1.25, True), (1.31, False)])
def test_only_what_reaches_the_height_of_the_body_is_in_the_way(z_m: float, blocks: bool) -> None:
    grid = obstacles_of(room_scene([(box_template("box", "box", (0.4, 0.4, 0.1)), 0.0, 0.0, z_m)]))
    assert bool(grid.cells[grid.cell_at(0.0, 0.0)]) is blocks or z_m == 0.0
    assert bool(grid.cells[grid.cell_at(0.19, 0.0)]) is blocks


def test_a_rug_is_no_obstacle() -> None:
    grid = obstacles_of(room_scene([(box_template("rug", "rug", (2.0, 1.0, 0.015)), 0.0, 0.0, 0.0)]))
    assert not grid.cells[grid.cell_at(0.99, 0.0)]


@given(
    corners=st.lists(
        st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(-1.0, 3.0)), min_size=3, max_size=3
    ),
    weights=st.tuples(st.floats(0.01, 1.0), st.floats(0.01, 1.0), st.floats(0.01, 1.0)),
)
def test_every_point_of_a_triangle_at_body_height_lies_in_or_beside_an_obstacle_cell(
    corners: list[tuple[float, float, float]], weights: tuple[float, float, float]
) -> None:
    mesh = MeshBuilder().build(room_scene())
    triangle = np.array([corners], dtype=np.float32)
    only = type(mesh)(triangle, triangle, triangle[..., :2], np.zeros(1, int), np.zeros(1, int), ())
    x, y, z = np.asarray(weights) / np.sum(weights) @ triangle[0].astype(float)
    if not BODY_Z_M[0] <= z <= BODY_Z_M[1]:
        return
    grid = obstacle_grid(only)
    row, column = grid.cell_at(float(x), float(y))
    assert grid.cells[row - 1 : row + 2, column - 1 : column + 2].any()


def test_clearance_is_exact_at_a_straight_wall() -> None:
    cells = np.zeros((100, 100), dtype=bool)
    cells[:, 50] = True
    clearance = Clearance(Grid(cells, (0.0, 0.0), 0.02))
    # The wall's cells begin at x = 1.0.
    assert clearance.is_free(0.7999, 1.0, 0.2)
    assert not clearance.is_free(0.8001, 1.0, 0.2)
    assert not clearance.is_free(-0.1, 1.0, 0.2)


def test_the_robot_can_stand_where_there_is_room_and_where_it_can_come_to() -> None:
    scene = furnished_room()
    grid = navigable_grid(scene)
    assert grid.cells[grid.cell_at(-2.0, 0.0)]
    assert not grid.cells[grid.cell_at(1.0, 0.0)]
    assert not grid.cells[grid.cell_at(2.9, 2.9)]
    assert not grid.cells[grid.cell_at(3.5, 0.0)]


def test_distance_in_an_empty_room_is_that_of_a_straight_line() -> None:
    grid = navigable_grid(room_scene())
    assert geodesic_distance(grid, (-2.0, 0.0), (2.0, 0.0)) == pytest.approx(4.0, abs=0.06)
    assert geodesic_distance(grid, (-2.0, -1.0), (1.0, 2.0)) == pytest.approx(np.hypot(3, 3), abs=0.08)


def test_the_way_leads_round_a_wall() -> None:
    wall = box_template("wall", "wall", (0.1, 4.0, 2.0))
    grid = navigable_grid(room_scene([(wall, 0.0, -1.0, 0.0)]))
    # The wall ends at y = 1; a disc of 0.2 m turns round its two corners.
    expected = 2 * (np.hypot(0.75, 2.0) + 0.2 * np.pi / 2) + 0.1
    assert geodesic_distance(grid, (-1.0, -1.0), (1.0, -1.0)) == pytest.approx(expected, rel=0.05)


def test_a_thing_on_a_table_counts_from_where_the_robot_can_stand() -> None:
    grid = navigable_grid(furnished_room())
    to_edge = geodesic_distance(grid, (-2.0, 0.0), (0.6, 0.0))
    assert to_edge == pytest.approx(2.6, abs=0.1)


def test_there_is_no_way_through_a_closed_wall() -> None:
    wall = box_template("wall", "wall", (0.1, 6.0, 2.0))
    grid = navigable_grid(room_scene([(wall, 0.0, 0.0, 0.0)]))
    assert not grid.cells[grid.cell_at(1.0, 0.0)]
