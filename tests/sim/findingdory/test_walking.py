"""Steps of the benchmark's size, never through anything."""

from __future__ import annotations

import numpy as np
import pytest

from findingdory_day import KITCHEN, OFFICE
from sim.collision import Grid
from sim.findingdory.walking import MOVE_M, TURN_RAD, Floor, Walker
from sim.scene import Region

RESOLUTION_M = 0.04


def two_rooms() -> Floor:
    """Return 4 m x 2 m with a wall at x = 2 that has a gap of 0.4 m."""
    cells = np.zeros((60, 110), dtype=bool)
    cells[5:55, 5:105] = True
    cells[5:55, 54:57] = False
    cells[25:35, 54:57] = True
    regions = (Region(KITCHEN, (0.2, 0.2, 2.16, 2.2)), Region(OFFICE, (2.28, 0.2, 4.2, 2.2)))
    return Floor(Grid(cells, (0.0, 0.0), RESOLUTION_M), regions)


FLOOR = two_rooms()


def test_a_move_is_a_quarter_of_a_metre_and_a_turn_ten_degrees() -> None:
    walker = Walker(FLOOR, (1.0, 1.0, 0.0))
    walker.make("left")
    walker.make("forward")
    assert walker.pose == pytest.approx((1.0 + MOVE_M * np.cos(TURN_RAD), 1.0 + MOVE_M * np.sin(TURN_RAD), TURN_RAD))
    assert TURN_RAD == pytest.approx(np.deg2rad(10.0))
    assert MOVE_M == 0.25
    assert (walker.n_steps, walker.path_m) == (2, MOVE_M)


def test_a_move_into_a_wall_is_not_made() -> None:
    walker = Walker(FLOOR, (2.0, 0.5, 0.0))
    walker.make("forward")
    assert walker.pose == (2.0, 0.5, 0.0)
    assert walker.path_m == 0.0


@pytest.mark.parametrize("goal", [(3.9, 0.4), (3.0, 2.0), (0.4, 2.0), (2.24, 1.2)])
def test_a_drive_ends_near_its_goal_and_stays_where_the_robot_fits(goal: tuple[float, float]) -> None:
    walker = Walker(FLOOR, (0.5, 0.5, 1.0))
    for _ in walker.drive_to(goal):
        assert FLOOR.grid.cells[FLOOR.cells_of(np.array(walker.pose[:2]))]
    assert np.hypot(walker.pose[0] - goal[0], walker.pose[1] - goal[1]) < 0.2
    assert walker.path_m <= 1.25 * FLOOR.ways.distance((0.5, 0.5), goal) + MOVE_M


def test_turning_takes_the_shorter_way_round() -> None:
    walker = Walker(FLOOR, (1.0, 1.0, np.deg2rad(170.0)))
    assert list(walker.turn_to(np.deg2rad(-170.0))) == ["left", "left"]
    assert np.cos(walker.pose[2] - np.deg2rad(-170.0)) == pytest.approx(1.0)


def test_the_way_to_a_thing_behind_a_wall_leads_through_the_door() -> None:
    beside_the_wall = (2.4, 0.3)
    straight_m = np.hypot(0.4, 0.0)
    assert FLOOR.way_m((2.0, 0.3), beside_the_wall) > straight_m + 1.0


def test_rooms_are_told_from_doorways() -> None:
    assert FLOOR.room_at(1.0, 1.0) == KITCHEN
    assert FLOOR.room_at(3.0, 1.0) == OFFICE
    assert FLOOR.room_at(2.22, 1.2) == ""
    assert len(FLOOR.centers_in(KITCHEN)) + len(FLOOR.centers_in(OFFICE)) < len(FLOOR.centers_in(""))
