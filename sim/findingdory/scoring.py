"""The verdict on an answer: were the frames right, was the robot right after the drive, and how long was the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Literal, Sequence, Tuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from embodied.arrays import Bool, Float
from sim.findingdory.goals import Goal, Instruction
from sim.findingdory.phase_two import Evening
from sim.findingdory.tours import Tours, thinned
from sim.findingdory.walking import MAX_STEPS, Pose

PLACES_APART_M = 0.5
"""Of right frames that were taken nearer to each other, one stands for all in the shortest tour."""
_FAR_M = 1e6
FailureClass = Literal["", "response error", "wrong number of targets", "misidentification", "low-level failure"]


FAILURES: Tuple[FailureClass, ...] = (
    "response error",
    "wrong number of targets",
    "misidentification",
    "low-level failure",
)
"""From the first that is looked at to the last: an answer that fails has one of them."""


@dataclass(frozen=True)
class Score:
    """One answer to one instruction."""

    hl_success: bool
    """The chosen frames satisfy the goals (high level)."""
    ll_success: bool
    """The robot satisfies them where it stands after each drive (low level)."""
    hl_spl: float
    """Success weighted by path length: the shortest tour over that past the chosen frames."""
    ll_spl: float
    """The same with the way that was driven."""
    dtg_m: float
    """Distance to the goal after the drive, a mean over goals."""
    dtg_success: bool
    """Near enough to every goal, wherever the robot looks."""
    sc_success: bool
    """Every goal's thing fills enough of the image, however far it is."""
    failure: FailureClass


class Judge:
    """Judges the answers of one day."""

    def __init__(self, evening: Evening) -> None:
        self.evening = evening
        self._tours = Tours(evening.floor.ways)

    def right_frames(self, goal: Goal) -> Tuple[int, ...]:
        """Return the frames of the history that satisfy a goal."""
        return tuple(np.flatnonzero(self.evening.judge_frames(goal).is_right).tolist())

    def is_answerable(self, instruction: Instruction) -> bool:
        """Tell whether frames of the history satisfy all goals."""
        return all(self.right_frames(goal) for goal in instruction.goals)

    def shortest_m(self, instruction: Instruction) -> float:
        """Return the length of the shortest way from the robot past frames that satisfy the goals."""
        poses = self.evening.truth.poses
        places = [thinned(poses[list(self.right_frames(goal)), :2], PLACES_APART_M) for goal in instruction.goals]
        return self._tours.length(self.evening.truth.now_pose[:2], places, ordered=instruction.ordered)

    def score(self, instruction: Instruction, frames: Sequence[int], believed: Sequence[Pose]) -> Score:
        """Judge an answer.

        Args:
            instruction: What was told.
            frames: The answer: frames of the history, one for each goal.
            believed: The poses of all frames as they were observed; the robot drives to these.
        """
        truth = self.evening.truth
        if not frames or any(not 0 <= frame < truth.n_frames for frame in frames):
            return self._stayed(instruction, "response error")
        if len(frames) != len(instruction.goals):
            return self._stayed(instruction, "wrong number of targets")
        goals = instruction.goals
        shortest_m = self.shortest_m(instruction)
        at_frames = np.array([self.evening.judge_frames(goal).is_right[list(frames)] for goal in goals]).T
        hl_success = _all_met(at_frames, instruction.ordered)
        chosen = [[(float(truth.poses[frame, 0]), float(truth.poses[frame, 1]))] for frame in frames]
        hl_path_m = self._tours.length(truth.now_pose[:2], chosen, ordered=True)
        stops, ll_path_m = self._drive(frames, believed)
        distance_m, near, seen, right = self._at_stops(goals, stops)
        ll_success = len(stops) == len(goals) and _all_met(right, instruction.ordered)
        failure: FailureClass = "" if ll_success else ("low-level failure" if hl_success else "misidentification")
        return Score(
            hl_success=hl_success,
            ll_success=ll_success,
            hl_spl=_spl(hl_success, shortest_m, hl_path_m),
            ll_spl=_spl(ll_success, shortest_m, ll_path_m),
            dtg_m=_nearest(distance_m, instruction.ordered),
            dtg_success=_all_met(near, instruction.ordered),
            sc_success=_all_met(seen, instruction.ordered),
            failure=failure,
        )

    def _stayed(self, instruction: Instruction, failure: FailureClass) -> Score:
        """Return the score of a robot that does not move because it has no usable answer."""
        distance_m, _, _, _ = self._at_stops(instruction.goals, [self.evening.truth.now_pose] * len(instruction.goals))
        dtg_m = _nearest(distance_m, instruction.ordered)
        return Score(False, False, 0.0, 0.0, dtg_m, False, False, failure)

    def _drive(self, frames: Sequence[int], believed: Sequence[Pose]) -> Tuple[List[Pose], float]:
        """Drive to frame after frame; return where the robot stopped, and how far it drove."""
        pose, path_m, steps_left = self.evening.truth.now_pose, 0.0, MAX_STEPS
        stops: List[Pose] = []
        for frame in frames:
            if steps_left <= 0:
                break
            walker = self.evening.drive(pose, believed[frame], steps_left)
            pose, path_m, steps_left = walker.pose, path_m + walker.path_m, steps_left - walker.n_steps
            stops.append(pose)
        return stops, path_m

    def _at_stops(self, goals: Sequence[Goal], stops: Sequence[Pose]) -> Tuple[np.ndarray, ...]:
        """Return distance, near, seen and right, one row a stop and one column a goal."""
        poses = np.array(stops)
        coverage = np.array([self.evening.look(stop) for stop in stops])
        verdicts = [self.evening.judge(goal, poses, coverage) for goal in goals]
        return tuple(np.stack(values, axis=1) for values in zip(*verdicts))


def _all_met(met: Bool[np.ndarray, "n_stops n_goals"], ordered: bool) -> bool:
    """Tell whether every goal is met by a stop of its own: the one at its place in the order, or any."""
    if met.shape[0] != met.shape[1]:
        return False
    if ordered:
        return bool(np.diagonal(met).all())
    rows, columns = linear_sum_assignment(~met)
    return bool(met[rows, columns].all())


def _nearest(distance_m: Float[np.ndarray, "n_stops n_goals"], ordered: bool) -> float:
    """Return the mean distance of the goals to the stops that are theirs."""
    if ordered and distance_m.shape[0] == distance_m.shape[1]:
        return float(np.diagonal(distance_m).mean())
    bounded = np.minimum(distance_m, _FAR_M)
    rows, columns = linear_sum_assignment(bounded)
    return float(bounded[rows, columns].mean())


def _spl(success: bool, shortest_m: float, path_m: float) -> float:
    """Return success weighted by path length (Anderson et al. 2018); a goal without a way counts as reached at once."""
    if not success:
        return 0.0
    return 1.0 if max(shortest_m, path_m) <= 0.0 else float(shortest_m / max(shortest_m, path_m))
