from __future__ import annotations

import numpy as np
import pytest

from sim.tabletop.task import Thing
from sim.tabletop.tool import REACH_M, Tool

HOME_M = (0.5, 0.0, 0.2)
CUBE = Thing((0.6, 0.0), 0.03, 0.06, (1.0, 0.0, 0.0), is_solid=True)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_tool_comes_up_to_speed_and_rolls_to_a_stop(axis: int) -> None:
    tool = Tool(HOME_M)
    push = 0.5 * np.eye(4)[axis]
    steps_m = []
    for action in (push, push, push, 0.0 * push, 0.0 * push):
        before_m = tool.position_m
        assert not tool.move(action, [])
        steps_m.append((tool.position_m - before_m)[axis])
        assert np.abs(np.delete(tool.position_m - before_m, axis)).max() == 0.0
    assert 0.0 < steps_m[0] < steps_m[1] < steps_m[2] < 0.5 * REACH_M
    assert steps_m[2] > steps_m[3] > steps_m[4] > 0.0


def test_the_tool_stays_within_reach() -> None:
    for push in (1.0, -1.0):
        tool = Tool(HOME_M)
        for _ in range(60):
            tool.move(np.full(4, push), [])
        stopped_m = tool.position_m
        tool.move(np.full(4, push), [])
        np.testing.assert_array_equal(tool.position_m, stopped_m)
        assert tool.step_m == 0.0
        assert stopped_m[2] > 0.0


@pytest.mark.parametrize("start_m", [(0.6, 0.01, 0.2), (0.5, 0.0, 0.03), (0.6, 0.2, 0.03), (0.75, -0.01, 0.03)])
def test_the_tool_does_not_enter_what_is_solid_and_says_that_it_was_stopped(
    start_m: tuple[float, float, float],
) -> None:
    tool = Tool(start_m)
    hits = []
    for _ in range(20):
        toward = np.clip((np.array([0.6, 0.0, 0.03]) - tool.position_m) / REACH_M, -1.0, 1.0)
        hits.append(tool.move(np.append(toward, 0.0), [CUBE]))
        outside = np.abs(tool.position_m - [0.6, 0.0, 0.03]) >= 0.03
        assert outside.any()
    assert not hits[0]
    assert hits[-1]


def test_the_gripper_closes_at_plus_one_and_takes_its_time() -> None:
    tool = Tool(HOME_M)
    openings = []
    for _ in range(5):
        tool.move(np.array([0.0, 0.0, 0.0, 1.0]), [])
        openings.append(tool.gripper_opening)
    assert openings == [0.75, 0.5, 0.25, 0.0, 0.0]


def test_all_of_the_arm_stands_above_the_table_and_hangs_together() -> None:
    for home_m in (HOME_M, (0.35, 0.3, 0.012), (0.85, -0.38, 0.28)):
        arm = Tool(home_m).prisms()
        assert min(part.low_m for part in arm) >= 0.0
        fingers = arm[-2:]
        middle_m = np.mean([finger.outline.mean(axis=0) for finger in fingers], axis=0)
        np.testing.assert_allclose(middle_m, home_m[:2], atol=1e-9)
