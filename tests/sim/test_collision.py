from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.collision import BODY_Z_M, Clearance, Grid, navigable_grid, obstacle_grid
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
def test_every_point_of_a_triangle_at_body_height_lies_in_an_obstacle_cell(
    corners: list[tuple[float, float, float]], weights: tuple[float, float, float]
) -> None:
    mesh = MeshBuilder().build(room_scene())
    triangle = np.array([corners], dtype=np.float32)
    only = type(mesh)(triangle, triangle, triangle[..., :2], np.zeros(1, int), np.zeros(1, int), ())
    x, y, z = np.asarray(weights) / np.sum(weights) @ triangle[0].astype(float)
    if not BODY_Z_M[0] <= z <= BODY_Z_M[1]:
        return
    grid = obstacle_grid(only)
    # A point on the line between two cells may be counted to either.
    around = [grid.cell_at(float(x) + dx, float(y) + dy) for dx in (-1e-9, 1e-9) for dy in (-1e-9, 1e-9)]
    assert any(grid.cells[cell] for cell in around)


def test_no_cell_is_an_obstacle_that_no_surface_touches() -> None:
    grid = obstacles_of(room_scene([(box_template("box", "box", (0.4, 0.2, 1.0)), 0.0, 0.0, 0.0)]))
    rows, columns = np.nonzero(grid.cells)
    x, y = np.array([grid.center(int(r), int(c)) for r, c in zip(rows, columns)]).T
    by_the_box = (np.abs(x) < 0.2 + grid.resolution_m) & (np.abs(y) < 0.1 + grid.resolution_m)
    by_a_wall = (np.abs(np.abs(x) - 3.0) < grid.resolution_m) | (np.abs(np.abs(y) - 3.0) < grid.resolution_m)
    assert (by_the_box | by_a_wall).all()
    assert by_the_box.any()


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


def test_there_is_no_way_through_a_closed_wall() -> None:
    wall = box_template("wall", "wall", (0.1, 6.0, 2.0))
    grid = navigable_grid(room_scene([(wall, 0.0, 0.0, 0.0)]))
    assert not grid.cells[grid.cell_at(1.0, 0.0)]
