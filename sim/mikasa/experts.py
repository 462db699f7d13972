"""Experts for MIKASA's tasks. They know the environment's state; they serve demonstrations and nothing else."""

from __future__ import annotations

from typing import Any, Dict, Protocol, Type, runtime_checkable

import numpy as np

from embodied.arrays import Float, Vector3

REACH_M = 0.1
"""How far an action of 1 moves the tool."""
OPEN = 1.0
Action = Float[np.ndarray, "7"]


@runtime_checkable
class Expert(Protocol):
    """Knows what to do in the present state of an environment; made anew for each episode."""

    def action(self) -> Action:
        """Return what to do now."""
        ...


def position_m(thing: Any) -> Vector3:
    """Return where an actor or link of the environment is, in ManiSkill's world."""
    found: Vector3 = thing.pose.p[0].cpu().numpy().astype(np.float64)
    return found


def tool_action(move_m: Vector3, gripper: float, most: float = 1.0) -> Action:
    """Return the action that moves the tool without turning it, in a straight line and no further than it can."""
    shares = move_m / REACH_M
    shares = shares * min(1.0, most / max(float(np.abs(shares).max()), 1e-9))
    return np.concatenate([shares, np.zeros(3), [gripper]]).astype(np.float32)


class TouchRemembered:
    """Waits until the cubes are shown, then holds the tool over the one of the colour that was shown first."""

    OVER_M = 0.03
    """Over the middle of the cube: within the task's 5 cm, and clear of its top."""
    MOST = 0.7
    """Of the greatest step: the robot has to stand still at the end."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        key = int(environment.true_color_indices[0])
        self._goal_m = environment.initial_poses[key][0].cpu().numpy().astype(np.float64)
        self._goal_m[2] += self.OVER_M
        self._shown_at = int(environment.cue_steps_per_env[0] + environment.empty_steps_per_env[0])

    def action(self) -> Action:
        """Return what to do now."""
        if int(self._environment.elapsed_steps[0]) < self._shown_at:
            return tool_action(np.zeros(3), OPEN)
        return tool_action(self._goal_m - position_m(self._environment.agent.tcp), OPEN, self.MOST)


class Intercept:
    """Waits behind the path of the ball, and pushes it to the target as it passes.

    The ball rolls along +y; the target lies beside its path, further along +x. The half-open gripper is a cup that the
    ball does not roll out of.
    """

    BEHIND_M = 0.06
    HEIGHT_M = 0.025
    CUP = 0.2
    LEAD_S = 0.12
    """So long before the ball is before the tool, the push begins."""
    LEAST_M_S = 0.05
    """A ball that was stopped by the arm is expected as if it rolled so fast."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._is_pushing = False

    def action(self) -> Action:
        """Return what to do now."""
        environment = self._environment
        ball, goal, tool = (position_m(x) for x in (environment.ball, environment.goal_region, environment.agent.tcp))
        velocity = environment.ball.linear_velocity[0].cpu().numpy()
        left_s = (goal[1] - ball[1]) / max(float(velocity[1]), self.LEAST_M_S)
        self._is_pushing = self._is_pushing or left_s < self.LEAD_S
        if self._is_pushing:
            return tool_action(np.array([goal[0], goal[1], self.HEIGHT_M]) - tool, self.CUP)
        meet_x = ball[0] + float(velocity[0]) * left_s
        return tool_action(np.array([meet_x - self.BEHIND_M, goal[1], self.HEIGHT_M]) - tool, self.CUP)


EXPERTS: Dict[str, Type[Any]] = {
    "RememberColor3-VLA-v0": TouchRemembered,
    "RememberColor5-VLA-v0": TouchRemembered,
    "RememberColor9-VLA-v0": TouchRemembered,
    "InterceptMedium-VLA-v0": Intercept,
}
"""By the name of the task."""
