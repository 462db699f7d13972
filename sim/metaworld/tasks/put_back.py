"""A block is carried from its place to the middle while something else happens; it has to be put back."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

import numpy as np

from sim.metaworld.table import HIDDEN, MemoryTask, Prop, Table, Trial
from sim.metaworld.tasks.parts import SIGNAL, Place, row_of_places, show_signal
from sim.metaworld.waypoints import CLOSED, OPEN, TRAVEL_HEIGHT_M, Waypoint

_N_PLACES = 4
_HALF_M = 0.02
_GRASP_M = 0.01
"""Height of the tool: low enough that fingers which are pushed up while they close still hold the block."""
_MARK_HALF_HEIGHT_M = 0.002
_MIDDLE_M: Place = (0.56, 0.0)
_SLIDE_STEPS = 10
_ROLL_X_M, _ROLL_WIDTH_M = 0.86, 0.6
_BALL_RADIUS_M = 0.03

_RADIUS_M = 0.04
"""Within which of a mark's middle the block counts as put there."""
_REST_M_S, _REST_HEIGHT_M, _RELEASED_M = 0.05, 0.03, 0.06
"""It moves no faster, lies no higher, and the tool is further away."""


class PutBack(MemoryTask):
    """Remember where something was, over a distraction."""

    name = "put_back"
    instruction = "When the lamp turns green, put the block back on the mark where it was at the beginning."
    props = (
        SIGNAL,
        *(
            Prop(f"mark_{i}", "mark", "box", (0.04, 0.04, _MARK_HALF_HEIGHT_M), (0.75, 0.75, 0.7))
            for i in range(_N_PLACES)
        ),
        Prop("ball", "ball", "sphere", (_BALL_RADIUS_M, _BALL_RADIUS_M, _BALL_RADIUS_M), (0.95, 0.45, 0.05)),
        Prop("block", "block", "box", (_HALF_M, _HALF_M, _HALF_M), (0.1, 0.2, 0.9), is_free=True),
    )
    n_answers = _N_PLACES
    max_free_steps = 140

    def deal(self, rng: np.random.Generator, answer: int) -> PutBackTrial:
        """Draw places and times, and from which side the ball comes."""
        places = row_of_places(rng, _N_PLACES)
        shown, delay = rng.integers([4, 16], [11, 37]).tolist()
        return PutBackTrial(places, answer, shown, delay, 1.0 if rng.random() < 0.5 else -1.0)


class PutBackTrial(Trial):
    """One episode."""

    def __init__(
        self, places: Sequence[Place], answer: int, shown_steps: int, delay_steps: int, ball_side: float
    ) -> None:
        """Take the marks' places, which is the block's, and ``ball_side``: 1 if the ball comes from the left, or -1."""
        self._places, self._answer = np.array(places), answer
        self._shown_steps, self._delay_steps, self._ball_side = shown_steps, delay_steps, ball_side
        self.n_held_steps = shown_steps + _SLIDE_STEPS + delay_steps

    def show(self, step: int, table: Table) -> None:
        """Slide the block to the middle, then let a ball roll by."""
        show_signal(table, held=step < self.n_held_steps)
        for index, (x_m, y_m) in enumerate(self._places.tolist()):
            table.place(f"mark_{index}", (x_m, y_m, _MARK_HALF_HEIGHT_M))
        slid = min(max((step - self._shown_steps) / _SLIDE_STEPS, 0.0), 1.0)
        x_m, y_m = ((1.0 - slid) * self._places[self._answer] + slid * np.array(_MIDDLE_M)).tolist()
        table.place("block", (x_m, y_m, _HALF_M))
        rolled = (step - self._shown_steps - _SLIDE_STEPS) / self._delay_steps
        ball_y_m = self._ball_side * (0.5 - rolled) * _ROLL_WIDTH_M
        table.place("ball", (_ROLL_X_M, ball_y_m, _BALL_RADIUS_M) if 0.0 <= rolled < 1.0 else HIDDEN)

    def judge(self, table: Table) -> Optional[bool]:
        """Let the first mark count on which the block is left."""
        block_m = table.position_of("block")
        distances = np.linalg.norm(self._places - block_m[:2], axis=1)
        nearest = int(distances.argmin())
        if (
            distances[nearest] > _RADIUS_M
            or block_m[2] > _REST_HEIGHT_M
            or table.speed_of("block") > _REST_M_S
            or np.linalg.norm(table.tool_m - block_m) < _RELEASED_M
        ):
            return None
        return nearest == self._answer

    def waypoints(self) -> Tuple[Waypoint, ...]:
        """Grasp, carry, let go."""
        x_m, y_m = _MIDDLE_M
        to_x_m, to_y_m = self._places[self._answer].tolist()
        return (
            Waypoint((x_m, y_m, 0.1)),
            Waypoint((x_m, y_m, _GRASP_M), tolerance_m=0.009, dwell_steps=1),
            Waypoint((x_m, y_m, _GRASP_M), CLOSED, dwell_steps=6, tolerance_m=0.02),
            Waypoint((x_m, y_m, 0.12), CLOSED, tolerance_m=0.03),
            Waypoint((to_x_m, to_y_m, 0.12), CLOSED),
            Waypoint((to_x_m, to_y_m, _HALF_M + 0.005), CLOSED, dwell_steps=1),
            Waypoint((to_x_m, to_y_m, _HALF_M + 0.005), OPEN, dwell_steps=4, tolerance_m=0.03),
            Waypoint((to_x_m, to_y_m, TRAVEL_HEIGHT_M), OPEN),
        )
