"""Predicates at their thresholds, and the verdict on answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Sequence, Tuple

import numpy as np
import pytest

from findingdory_day import BEAR, BOOK, DESK, DRESSER, HAT, MUG, OFFICE, ROUTE, TABLE, day, house
from sim.collision import navigable_grid
from sim.findingdory.experience import Camera
from sim.findingdory.goals import Goal, Instruction
from sim.findingdory.phase_two import MIN_COVERAGE, Evening
from sim.findingdory.scoring import Judge, Score
from sim.findingdory.walking import Floor, Pose
from sim.simulator_settings import CameraSettings

TRUTH = day()
FLOOR = Floor(navigable_grid(house()), house().regions)
CAMERA = Camera(TRUTH.after, CameraSettings(width_px=48, height_px=48))
EVENING = Evening(TRUTH, FLOOR, CAMERA)
JUDGE = Judge(EVENING)
BELIEVED = [(row[1], row[2], row[3]) for row in ROUTE]
FULL = np.full((1, TRUTH.coverage.shape[1]), 0.01, dtype=np.float32)
BEAR_XY = (6.6, 1.7)


def is_right(goal: Goal, pose: Pose, coverage: np.ndarray = FULL) -> bool:
    return bool(EVENING.judge(goal, np.array([pose]), coverage).is_right[0])


def told(*goals: Goal, ordered: bool = False) -> Instruction:
    return Instruction("t", "interaction", "go", goals, ordered)


def score(instruction: Instruction, frames: Sequence[int], believed: Sequence[Pose] = BELIEVED) -> Score:
    return JUDGE.score(instruction, frames, believed)


def facing(xy: Tuple[float, float], x_m: float, y_m: float, off_rad: float = 0.0) -> Pose:
    return (x_m, y_m, float(np.arctan2(xy[1] - y_m, xy[0] - x_m)) + off_rad)


def test_an_object_is_reached_within_two_metres_of_way() -> None:
    goal = Goal("object", (BEAR,))
    for x_m in np.arange(4.2, 5.9, 0.04):
        way_m = FLOOR.way_m((x_m, 1.7), BEAR_XY)
        assert is_right(goal, facing(BEAR_XY, x_m, 1.7)) == (way_m <= 2.0)


def test_an_object_must_be_faced_within_an_eighth_of_a_turn_and_fill_a_thousandth_of_the_image() -> None:
    goal = Goal("object", (BEAR,))
    assert is_right(goal, facing(BEAR_XY, 5.5, 1.7, np.pi / 4))
    assert not is_right(goal, facing(BEAR_XY, 5.5, 1.7, np.pi / 4 + 0.01))
    assert is_right(goal, facing(BEAR_XY, 5.5, 1.7), np.full_like(FULL, MIN_COVERAGE))
    assert not is_right(goal, facing(BEAR_XY, 5.5, 1.7), np.full_like(FULL, 0.9 * MIN_COVERAGE))


def test_an_object_behind_a_wall_is_not_near() -> None:
    mug_xy = (4.5, 1.0)
    assert not is_right(Goal("object", (MUG,)), facing(mug_xy, 3.1, 0.8))


def test_a_receptacle_is_reached_a_metre_and_a_tenth_from_its_side_and_faced_within_a_quarter_turn() -> None:
    goal = Goal("receptacle", (DESK,))
    side_m = 6.3
    assert is_right(goal, (side_m - 1.05, 2.0, np.pi / 2))
    assert not is_right(goal, (side_m - 1.05, 2.0, np.pi / 2 + 0.01))
    assert not is_right(goal, (side_m - 1.25, 2.0, 0.0))


def test_a_room_is_reached_inside_of_it_and_a_position_within_a_metre() -> None:
    assert is_right(Goal("room", rooms=(OFFICE,)), (3.6, 2.0, 3.0))
    assert not is_right(Goal("room", rooms=(OFFICE,)), (3.45, 2.0, 0.0))
    goal = Goal("position", pose=(2.0, 2.0, 0.0))
    assert is_right(goal, (2.9, 2.0, np.pi / 4))
    assert not is_right(goal, (3.2, 2.0, 0.0))
    assert not is_right(goal, (2.0, 2.0, np.pi / 4 + 0.01))


def test_a_frame_from_before_a_thing_was_put_down_shows_where_it_was_and_is_wrong() -> None:
    goal = Goal("object", (BOOK,))
    assert JUDGE.right_frames(goal) == (8,)
    # Frame 1 stood in the same place and looked the same way before the book came there.
    assert ROUTE[1][1:4] == ROUTE[8][1:4]


def test_any_of_several_targets_will_do() -> None:
    frames = JUDGE.right_frames(Goal("object", (BOOK, MUG)))
    assert set(frames) == {*JUDGE.right_frames(Goal("object", (BOOK,))), *JUDGE.right_frames(Goal("object", (MUG,)))}


def test_a_right_frame_leads_to_success_in_both_levels() -> None:
    done = score(told(Goal("object", (MUG,))), [4])
    assert done.hl_success
    assert done.ll_success
    assert done.failure == ""
    assert done.hl_spl == pytest.approx(1.0)
    assert 0.8 <= done.ll_spl <= 1.0
    assert done.dtg_success
    assert done.sc_success
    assert done.dtg_m <= 2.0


def test_a_detour_lowers_the_path_weighted_success_but_not_the_success() -> None:
    first, second = Goal("receptacle", (TABLE,)), Goal("receptacle", (DESK,))
    short = score(told(first, second), [5, 8])
    long = score(told(first, second), [8, 5])
    assert short.hl_success
    assert long.hl_success
    assert long.hl_spl < short.hl_spl <= 1.0


def test_failures_are_told_apart() -> None:
    mug = told(Goal("object", (MUG,)))
    assert score(mug, []).failure == "response error"
    assert score(mug, [len(ROUTE)]).failure == "response error"
    assert score(mug, [4, 4]).failure == "wrong number of targets"
    assert score(mug, [8]).failure == "misidentification"
    astray = [(1.0, 1.0, 0.0)] * len(ROUTE)
    lost = score(mug, [4], astray)
    assert lost.failure == "low-level failure"
    assert lost.hl_success
    assert not lost.ll_success


def test_two_frames_of_one_thing_do_not_serve_two_goals() -> None:
    goals = (Goal("object", (HAT,)), Goal("object", (BOOK,)))
    assert score(told(*goals), [12, 8]).hl_success
    assert score(told(*goals), [8, 12]).hl_success
    assert not score(told(*goals), [12, 12]).hl_success


def test_told_in_an_order_goals_are_reached_in_it() -> None:
    goals = (Goal("receptacle", (DESK,)), Goal("receptacle", (TABLE,)))
    assert score(told(*goals, ordered=True), [12, 8]).hl_success
    assert not score(told(*goals, ordered=True), [8, 12]).hl_success


def test_a_drive_that_takes_too_many_steps_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.findingdory.scoring.MAX_STEPS", 3)
    assert score(told(Goal("receptacle", (TABLE,))), [8]).failure == "low-level failure"


def test_an_instruction_without_a_right_frame_is_not_answerable() -> None:
    hidden = replace(TRUTH, coverage=np.zeros_like(TRUTH.coverage))
    judge = Judge(Evening(hidden, FLOOR, CAMERA))
    assert not judge.is_answerable(told(Goal("object", (MUG,))))
    assert JUDGE.is_answerable(told(Goal("receptacle", (DRESSER,))))
