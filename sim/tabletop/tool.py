"""How the tool moves, and what the arm that carries it looks like."""

from __future__ import annotations

from typing import List, Sequence, Tuple

import numpy as np

from embodied.arrays import Float, Vector3
from sim.tabletop.solids import Color, Prism, disc, rectangle
from sim.tabletop.task import Position, Thing

CONTROL_PERIOD_S = 0.05
REACH_M = 0.04
"""How far an action of 1 moves the tool in a control period once it is up to speed."""

_AGILITY = 0.7
"""Share of a commanded change of speed that is reached within one control period."""
_GRIPPER_STEP = 0.25
_RADIUS_M = 0.012
"""Of what may not come into solid things."""
_WORKSPACE_LOW_M, _WORKSPACE_HIGH_M = np.array([0.35, -0.38, 0.012]), np.array([0.85, 0.38, 0.28])

_SHOULDER_M = np.array([0.12, 0.0])
_LINK_M = 0.43
_STEEL: Color = (0.72, 0.74, 0.78)
_JOINT: Color = (0.36, 0.38, 0.44)
_FINGER: Color = (0.25, 0.26, 0.3)


class Tool:
    """A point between two fingertips that is moved by displacements, with a lag."""

    def __init__(self, home_m: Position) -> None:
        self.position_m: Vector3 = np.array(home_m)
        self.gripper_opening = 1.0
        """0 closed to 1 open."""
        self._step_m = np.zeros(3)

    @property
    def step_m(self) -> float:
        """How far it went in the last control period."""
        return float(np.linalg.norm(self._step_m))

    def move(self, action: Float[np.ndarray, " n_actions"], solids: Sequence[Thing]) -> bool:
        """Hold (forward, left, up, gripper), each -1 to 1, for a control period; return whether something was hit."""
        before_m = self.position_m
        wanted_m = before_m + self._step_m + _AGILITY * (action[:3] * REACH_M - self._step_m)
        within_m = np.clip(wanted_m, _WORKSPACE_LOW_M, _WORKSPACE_HIGH_M)
        self.position_m, is_blocked = within_m, False
        for thing in solids:
            self.position_m, hit = _pushed_out(before_m, self.position_m, thing)
            is_blocked = is_blocked or hit
        self._step_m = self.position_m - before_m
        opening = self.gripper_opening + np.clip(-action[3], -1.0, 1.0) * _GRIPPER_STEP
        self.gripper_opening = float(np.clip(opening, 0.0, 1.0))
        return is_blocked

    def prisms(self) -> List[Prism]:
        """Return the arm: a column, two links that it lifts, and a hand below them."""
        x_m, y_m, z_m = self.position_m.tolist()
        shoulder_x_m, shoulder_y_m = _SHOULDER_M.tolist()
        beam_m = z_m + 0.15
        elbow_m = _elbow(np.array([x_m, y_m]))
        wrist_m = np.array([x_m, y_m])
        aside_m = 0.012 + 0.024 * self.gripper_opening
        return [
            Prism(disc(shoulder_x_m, shoulder_y_m, 0.055), 0.0, beam_m + 0.05, _JOINT),
            Prism(_link(_SHOULDER_M, elbow_m, 0.032), beam_m + 0.005, beam_m + 0.045, _STEEL),
            Prism(disc(float(elbow_m[0]), float(elbow_m[1]), 0.04), beam_m - 0.045, beam_m + 0.05, _JOINT),
            Prism(_link(elbow_m, wrist_m, 0.026), beam_m - 0.04, beam_m, _STEEL),
            Prism(disc(x_m, y_m, 0.02), z_m + 0.075, beam_m + 0.005, _JOINT),
            Prism(rectangle(x_m, y_m, 0.02, 0.05), z_m + 0.045, z_m + 0.075, _STEEL),
            *(
                Prism(rectangle(x_m, y_m + side * aside_m, 0.012, 0.007), z_m - 0.008, z_m + 0.045, _FINGER)
                for side in (-1.0, 1.0)
            ),
        ]


def _pushed_out(before_m: Vector3, after_m: Vector3, thing: Thing) -> Tuple[Vector3, bool]:
    """Return where the tool ends that comes to a box, and whether it was stopped.

    It is put back along the axis on which it was outside before. No step is as long as a thing is wide.
    """
    half_m = np.array([thing.half_width_m, thing.half_width_m, thing.height_m / 2.0]) + _RADIUS_M
    middle_m = np.array([*thing.place_m, thing.height_m / 2.0])
    if (np.abs(after_m - middle_m) >= half_m).any():
        return after_m, False
    axis = int(np.argmax(np.abs(before_m - middle_m) - half_m))
    side = 1.0 if before_m[axis] > middle_m[axis] else -1.0
    out_m = after_m.copy()
    out_m[axis] = middle_m[axis] + side * half_m[axis]
    return out_m, True


def _elbow(wrist_m: np.ndarray) -> np.ndarray:
    """Return where the elbow is: to the left of the straight line from shoulder to wrist, both (2,)."""
    apart_m = wrist_m - _SHOULDER_M
    distance_m = float(np.linalg.norm(apart_m))
    aside_m = np.sqrt(max(_LINK_M**2 - distance_m**2 / 4.0, 0.0))
    return _SHOULDER_M + apart_m / 2.0 + aside_m * np.array([-apart_m[1], apart_m[0]]) / distance_m


def _link(start_m: np.ndarray, end_m: np.ndarray, half_width_m: float) -> np.ndarray:
    middle_m, length_m = (start_m + end_m) / 2.0, float(np.linalg.norm(end_m - start_m))
    x, y = ((end_m - start_m) / length_m).tolist()
    return rectangle(float(middle_m[0]), float(middle_m[1]), length_m / 2.0, half_width_m, (x, y))
