"""Look around, then look again at what ought to be there and was not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from embodied.arrays import Twists
from embodied.messages import MapReply, Observation, Point
from policies.navigation.navigator import Body, Explore, Finished, GoTo, pose_of
from policies.navigation.standing import Target

_SAME_M = 0.3
"""A place looked at covers what else ought to be as near to it."""


class Patrol:
    """Explores; then goes to each thing that the memory expects and has not seen again in this session.

    A house looked at from near all over still leaves places that were hidden from where the robot stood. Whether a
    thing is gone from such a place is only known by going there.
    """

    kind = "explore"

    def __init__(self, body: Body, max_steps: int, unseen: Callable[[], Sequence[Target]]) -> None:
        """Begin a patrol.

        Args:
            body: The robot in this session.
            max_steps: Velocities handed out at most.
            unseen: Asks the memory what ought to be there and has not been seen in this session.
        """
        self._body = body
        self._max_steps = max_steps
        self._first_step = body.n_steps
        self._unseen = unseen
        self._explore = Explore(body, max_steps)
        self._explored = ""
        self._check: GoTo | None = None
        self._checked: list[Point] = []

    @property
    def progress(self) -> float:
        """How much of the house was looked at from near, 0 to 1."""
        return self._explore.progress

    @property
    def n_steps(self) -> int:
        """Velocities handed out so far."""
        return self._body.n_steps - self._first_step

    def next_chunk(self, observation: Observation, reply: MapReply) -> Twists | Finished:
        """Return the next velocities, float32 (n_steps, 3) with at least one, or how the task ended."""
        if not self._explored:
            answer = self._explore.next_chunk(observation, reply)
            if not isinstance(answer, Finished) or answer.state == "failed":
                return answer
            self._explored = answer.detail
        while self.n_steps < self._max_steps:
            if self._check is None and not self._choose(observation):
                break
            assert self._check is not None, "chosen just now"
            answer = self._check.next_chunk(observation, reply)
            if not isinstance(answer, Finished):
                return answer
            self._check = None  # seen, or it cannot be: neither is a failure of looking around
        return Finished("succeeded", f"{self._explored}; went back to {len(self._checked)} places")

    def _choose(self, observation: Observation) -> bool:
        """Choose the nearest thing that is still to be checked; return whether there is one."""
        left = [target for target in self._unseen() if not self._was_checked(target.position_m)]
        if not left:
            return False
        here = pose_of(observation).position_m
        target = min(left, key=lambda t: (float(np.hypot(*(np.array(t.position_m[:2]) - here))), t.position_m))
        self._checked.append(target.position_m)
        self._check = GoTo(self._body, target, self._max_steps - self.n_steps)
        return True

    def _was_checked(self, position_m: Point) -> bool:
        return any(float(np.linalg.norm(np.subtract(position_m, other))) <= _SAME_M for other in self._checked)
