from __future__ import annotations

import numpy as np
import pytest

from sim.collision import navigable_grid
from sim.ways import geodesic_distance
from sim_scenes import box_template, furnished_room, room_scene


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
