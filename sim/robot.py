"""Robots on wheels that cannot pass walls or furniture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple, Tuple

import numpy as np

from embodied.arrays import Float, Vector3
from embodied.config import Config
from embodied.geometry import wrap_angle
from sim.collision import ROBOT_RADIUS_M, Clearance, Grid
from sim.simulator import WHEEL_ACTIONS, ActionSpace

_SUBSTEP_M = 0.01
_ANY_SPEED = np.float32(1e9)
"""Beyond every limit, and its square is still a float32."""


class RobotSettings(Config):
    """The body and its limits."""

    radius_m: float = ROBOT_RADIUS_M
    max_linear_m_s: float = 0.8
    """Greatest speed over the floor, in any direction."""
    max_angular_rad_s: float = 1.6
    """Greatest turning speed."""


class Motion(NamedTuple):
    """What became of one command."""

    twist: Vector3
    """Measured: forward m/s, left m/s, counter-clockwise rad/s, mean over the period, in the body frame
    half-way through the turn."""
    collided: bool


def twist_space(settings: RobotSettings) -> ActionSpace:
    """Return the greatest twist along each axis; ``limit_twists`` bounds the speed over the floor as a whole."""
    high = np.array([settings.max_linear_m_s, settings.max_linear_m_s, settings.max_angular_rad_s], dtype=np.float32)
    return ActionSpace(WHEEL_ACTIONS, -high, high)


def limit_twists(twists: Float[np.ndarray, "n_steps 3"], settings: RobotSettings) -> Float[np.ndarray, "n_steps 3"]:
    """Return commands within the robot's limits; the direction of travel is kept."""
    limited = np.clip(np.array(twists, dtype=np.float32), -_ANY_SPEED, _ANY_SPEED)
    speed = np.linalg.norm(limited[:, :2], axis=1)
    limited[:, :2] *= np.minimum(1.0, settings.max_linear_m_s / np.maximum(speed, 1e-9))[:, None]
    limited[:, 2] = np.clip(limited[:, 2], -settings.max_angular_rad_s, settings.max_angular_rad_s)
    return limited


class WheeledRobot(ABC):
    """Moves exactly as commanded until something is in the way, then slides along it."""

    def __init__(self, pose: Tuple[float, float, float], settings: RobotSettings) -> None:
        self._settings = settings
        self.pose = pose
        """x, y in metres, yaw in radians."""

    @abstractmethod
    def _moved(self, x_m: float, y_m: float, move: Float[np.ndarray, " 2"]) -> Tuple[float, float, bool]:
        """Return where a move from a place ends, and whether something was in the way."""

    def step(self, twist: Vector3, period_s: float) -> Motion:
        """Hold a twist for a period. Limits are applied; what was really done is returned."""
        forward, left, turn = limit_twists(np.asarray(twist).reshape(1, 3), self._settings)[0].tolist()
        x_start, y_start, yaw_start = self.pose
        x_m, y_m, yaw_rad = self.pose
        n_substeps = max(1, int(np.ceil(np.hypot(forward, left) * period_s / _SUBSTEP_M)))
        duration_s = period_s / n_substeps
        collided = False
        for _ in range(n_substeps):
            middle = yaw_rad + 0.5 * turn * duration_s
            move = np.array(
                [
                    (forward * np.cos(middle) - left * np.sin(middle)) * duration_s,
                    (forward * np.sin(middle) + left * np.cos(middle)) * duration_s,
                ]
            )
            yaw_rad += turn * duration_s
            x_m, y_m, blocked = self._moved(x_m, y_m, move)
            collided |= blocked
        self.pose = (x_m, y_m, wrap_angle(yaw_rad))
        c, s = np.cos(yaw_start + 0.5 * turn * period_s), np.sin(yaw_start + 0.5 * turn * period_s)
        dx, dy = x_m - x_start, y_m - y_start
        measured = np.array([c * dx + s * dy, -s * dx + c * dy, turn * period_s]) / period_s
        return Motion(measured, collided)


class DiscRobot(WheeledRobot):
    """A disc among obstacles on a grid."""

    def __init__(self, obstacles: Grid, pose: Tuple[float, float, float], settings: RobotSettings) -> None:
        super().__init__(pose, settings)
        self.clearance = Clearance(obstacles)
        x_m, y_m, _ = pose
        if not self.clearance.is_free(x_m, y_m, settings.radius_m):
            raise ValueError(f"pose: expected a place with {settings.radius_m} m of room around it, got {pose}")

    def _moved(self, x_m: float, y_m: float, move: Float[np.ndarray, " 2"]) -> Tuple[float, float, bool]:
        blocked = not self._fits(x_m + move[0], y_m + move[1])
        if blocked:
            move = self._slide(x_m, y_m, move)
        return x_m + float(move[0]), y_m + float(move[1]), blocked

    def _fits(self, x_m: float, y_m: float) -> bool:
        return self.clearance.is_free(x_m, y_m, self._settings.radius_m)

    def _slide(self, x_m: float, y_m: float, move: Float[np.ndarray, " 2"]) -> Float[np.ndarray, " 2"]:
        """Return the part of a move that leads along the obstacle, or none where that is blocked too."""
        normal = self.clearance.towards_obstacle(x_m, y_m)
        along = move - max(0.0, float(move @ normal)) * normal
        return along if self._fits(x_m + along[0], y_m + along[1]) else np.zeros(2)
