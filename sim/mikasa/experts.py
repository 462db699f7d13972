"""Who acts in MIKASA's tasks knowing the environment's state: the experts, and those who know all but the cue.

Experts give demonstrations. The others tell what a success is worth: how far one gets who remembers nothing.
"""

from __future__ import annotations

from typing import Any, Dict, Protocol, Type, runtime_checkable

import numpy as np

from embodied.arrays import Float, Vector3

REACH_M = 0.1
"""How far an action of 1 moves the tool."""
OPEN = 1.0
STILL_RAD_S = 0.2
"""Joints slower than this stand still, for MIKASA."""
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


def n_hidden_steps(environment: Any) -> int:
    """Return for how many steps there is nothing yet to choose from: the cue is shown, then nothing."""
    if not hasattr(environment, "cue_steps_per_env"):
        return 0
    return int(environment.cue_steps_per_env[0] + environment.empty_steps_per_env[0])


def tool_action(move_m: Vector3, gripper: float, most: float = 1.0) -> Action:
    """Return the action that moves the tool without turning it, in a straight line and no further than it can."""
    shares = move_m / REACH_M
    shares = shares * min(1.0, most / max(float(np.abs(shares).max()), 1e-9))
    return np.concatenate([shares, np.zeros(3), [gripper]]).astype(np.float32)


class Toucher:
    """Waits until the cubes are shown, then holds the tool over one of them."""

    OVER_M = 0.03
    """Over the middle of the cube: within the task's 5 cm, and clear of its top."""
    MOST = 0.7
    """Of the greatest step: the robot has to stand still at the end."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._shown_at = n_hidden_steps(environment)
        self._cubes_m = {
            key: pose[0].cpu().numpy().astype(np.float64) for key, pose in environment.initial_poses.items()
        }

    def action(self) -> Action:
        """Return what to do now."""
        if not self._is_shown:
            return tool_action(np.zeros(3), OPEN)
        return tool_action(self._over_m(self._chosen()) - self._tool_m, OPEN, self.MOST)

    @property
    def _is_shown(self) -> bool:
        return int(self._environment.elapsed_steps[0]) >= self._shown_at

    @property
    def _tool_m(self) -> Vector3:
        return position_m(self._environment.agent.tcp)

    def _over_m(self, key: int) -> Vector3:
        return self._cubes_m[key] + [0.0, 0.0, self.OVER_M]

    def _chosen(self) -> int:
        """Return the key of the cube to go to now."""
        raise NotImplementedError


class TouchRemembered(Toucher):
    """The expert: touches the cube of the colour that was shown first."""

    def _chosen(self) -> int:
        return int(self._environment.true_color_indices[0])


class TouchAny(Toucher):
    """Touches one cube and stays: a guess."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        # The layout is chance that anybody can see: the guess depends on it and on nothing else.
        first = next(iter(self._cubes_m.values()))
        self._guess = int(np.random.default_rng(first.view(np.uint32)).integers(len(self._cubes_m)))

    def _chosen(self) -> int:
        return self._guess


class TouchAll(Toucher):
    """Visits the cubes one after the other, the nearest next, each until it would count if it were the right one.

    It knows from the beginning where the cubes will be and never which is meant: as far as one gets without a memory
    who goes after success alone.
    """

    MOST = 1.0

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._left = list(self._cubes_m)

    def action(self) -> Action:
        """Return what to do now."""
        if self._has_touched() and len(self._left) > 1:
            self._left.remove(self._chosen())
        return tool_action(self._over_m(self._chosen()) - self._tool_m, OPEN, self.MOST)

    def _over_m(self, key: int) -> Vector3:
        if self._is_shown:
            # In passing it may have pushed one away.
            self._cubes_m[key] = position_m(self._environment.cubes[key])
        return super()._over_m(key)

    def _chosen(self) -> int:
        return min(self._left, key=lambda key: float(np.linalg.norm(self._over_m(key) - self._tool_m)))

    def _has_touched(self) -> bool:
        environment = self._environment
        distance_m = float(np.linalg.norm(self._cubes_m[self._chosen()] - self._tool_m))
        is_still = bool(environment.agent.is_static(STILL_RAD_S)[0])
        return self._is_shown and is_still and distance_m <= environment.GOAL_THRESH


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


_REMEMBER = tuple(f"RememberColor{n}-{variant}v0" for variant in ("VLA-", "Long-VLA-") for n in (3, 5, 9))

EXPERTS: Dict[str, Type[Any]] = {**dict.fromkeys(_REMEMBER, TouchRemembered), "InterceptMedium-VLA-v0": Intercept}
"""By the name of the task."""
PLAYERS: Dict[str, Dict[str, Type[Any]]] = {
    "sweep": dict.fromkeys(_REMEMBER, TouchAll),
    "guess": dict.fromkeys(_REMEMBER, TouchAny),
}
"""Who acts without knowing the cue: by their name, then by that of the task."""
