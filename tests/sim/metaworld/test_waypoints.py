from __future__ import annotations

import numpy as np
import pytest

from sim.metaworld.waypoints import CLOSED, OPEN, REST_STEPS, Waypoint, WaypointFollower, touch

REACH_M = 0.04


def test_the_action_points_to_the_waypoint_and_is_within_one() -> None:
    follower = WaypointFollower([Waypoint((1.0, 0.5, 0.0))], REACH_M)
    action = follower.action(np.zeros(3), 0)
    assert action.dtype == np.float32
    np.testing.assert_allclose(action, [1.0, 0.5, 0.0, OPEN])


def test_close_by_the_action_is_a_share_of_what_is_left() -> None:
    action = WaypointFollower([Waypoint((0.02, 0.0, 0.0))], REACH_M).action(np.zeros(3), 0)
    assert action[0] == pytest.approx(0.175)


def test_a_waypoint_is_held_for_its_time_and_then_left() -> None:
    follower = WaypointFollower([Waypoint((0.0, 0.0, 0.0), CLOSED, dwell_steps=2), Waypoint((1.0, 0.0, 0.0))], REACH_M)
    assert [float(follower.action(np.zeros(3), step)[3]) for step in range(4)] == [CLOSED, CLOSED, OPEN, OPEN]


def test_who_is_pushed_away_from_a_waypoint_stays_for_its_whole_time_again() -> None:
    follower = WaypointFollower([Waypoint((0.0, 0.0, 0.0), CLOSED, dwell_steps=2), Waypoint((1.0, 0.0, 0.0))], REACH_M)
    lefts_m = [0.0, 0.0, 0.02, 0.0, 0.0, 0.0]
    grippers = [float(follower.action(np.array([0.0, y_m, 0.0]), step)[3]) for step, y_m in enumerate(lefts_m)]
    assert grippers == [CLOSED] * 5 + [OPEN]


def test_asking_twice_changes_nothing() -> None:
    follower = WaypointFollower([Waypoint((0.0, 0.0, 0.0), CLOSED, dwell_steps=1), Waypoint((1.0, 0.0, 0.0))], REACH_M)
    first = [follower.action(np.zeros(3), 0) for _ in range(5)]
    assert all(np.array_equal(action, first[0]) for action in first)


def test_the_last_waypoint_is_kept() -> None:
    follower = WaypointFollower([Waypoint((0.0, 0.0, 0.0))], REACH_M)
    np.testing.assert_allclose(follower.action(np.array([0.0, 0.02, 0.0]), 50)[:3], [0.0, -0.175, 0.0])


def test_a_touch_comes_from_above_and_goes_up_again() -> None:
    heights = [waypoint.tool_m[2] for waypoint in touch(0.7, 0.1, 0.02)]
    assert heights[1] == 0.02
    assert min(heights[0], heights[2]) > 0.15


def test_what_is_touched_is_rested_upon() -> None:
    assert [waypoint.dwell_steps for waypoint in touch(0.7, 0.1, 0.02)] == [0, REST_STEPS, 0]
    assert REST_STEPS >= 2
