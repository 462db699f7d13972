"""The expert's way of moving: straight from one point to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Sequence, Tuple

import numpy as np

from embodied.arrays import Float, Vector3

OPEN, CLOSED = -1.0, 1.0
"""The gripper's command."""
TRAVEL_HEIGHT_M = 0.2
"""Above everything that stands on the table."""

_GAIN = 0.35
"""Share of the way that is commanded in one control step: the arm follows with a lag, and overshoots with more."""
REST_STEPS = 3
"""Control steps of rest at what is touched: a demonstration is read as motions from one rest to the next."""


@dataclass(frozen=True)
class Waypoint:
    """Where the tool goes next."""

    tool_m: Tuple[float, float, float]
    """In the frame ``table``."""
    gripper: float = OPEN
    tolerance_m: float = 0.012
    dwell_steps: int = 0
    """Control steps to stay there; who is pushed away begins again."""


def touch(x_m: float, y_m: float, height_m: float) -> Tuple[Waypoint, ...]:
    """Return the way down to a place from above, a rest, and up again. ``height_m``: of what is touched."""
    above = Waypoint((x_m, y_m, TRAVEL_HEIGHT_M), tolerance_m=0.02)
    return above, Waypoint((x_m, y_m, height_m), dwell_steps=REST_STEPS), above


class WaypointFollower:
    """Walks along waypoints. The same state gives the same action however often it is asked."""

    def __init__(self, waypoints: Sequence[Waypoint], reach_m: float) -> None:
        """``reach_m``: how far an action of 1 moves the tool in one control step."""
        assert waypoints, "an expert with nothing to do"
        self._waypoints = tuple(waypoints)
        self._reach_m = reach_m
        self._index = 0
        self._arrived_step: Optional[int] = None

    def action(self, tool_m: Vector3, step: int) -> Float[np.ndarray, " n_actions"]:
        """Return (forward, left, up, gripper), each -1 to 1, float32, for the tool's position at a control step."""
        waypoint = self._waypoints[self._index]
        while self._is_done(waypoint, tool_m, step) and self._index + 1 < len(self._waypoints):
            self._index += 1
            self._arrived_step = None
            waypoint = self._waypoints[self._index]
        delta = _GAIN * (np.asarray(waypoint.tool_m) - tool_m) / self._reach_m
        delta /= max(1.0, float(np.abs(delta).max()))
        return np.append(delta, waypoint.gripper).astype(np.float32)

    def _is_done(self, waypoint: Waypoint, tool_m: Vector3, step: int) -> bool:
        if np.linalg.norm(np.asarray(waypoint.tool_m) - tool_m) > waypoint.tolerance_m:
            self._arrived_step = None
            return False
        if self._arrived_step is None:
            self._arrived_step = step
        return step - self._arrived_step >= waypoint.dwell_steps
