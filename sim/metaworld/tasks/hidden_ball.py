"""Cups are put over three places, a ball under one of them, and change places; the ball's cup has to be touched."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

import numpy as np

from sim.metaworld.table import HIDDEN, MemoryTask, Prop, Table, TouchSensor, Trial
from sim.metaworld.tasks.parts import SIGNAL, Place, row_of_places, show_signal
from sim.metaworld.waypoints import Waypoint, touch

_N_CUPS = 3
_N_SWAPS = 2
_CUP_RADIUS_M, _CUP_HALF_HEIGHT_M = 0.045, 0.045
_BALL_RADIUS_M = 0.03
_CUP_SIZE_M = (_CUP_RADIUS_M, _CUP_RADIUS_M, _CUP_HALF_HEIGHT_M)
_CUP_COLOR = (0.2, 0.35, 0.7)
_LOWER_STEPS, _SWAP_STEPS, _PAUSE_STEPS = 6, 10, 2
_LOWER_FROM_M = 0.3
_TOUCH_M, _RELEASE_M = 0.125, 0.17


class HiddenBall(MemoryTask):
    """Remember what cannot be seen any more, and follow where it goes."""

    name = "hidden_ball"
    instruction = "When the lamp turns green, touch the cup that hides the ball."
    props = (
        SIGNAL,
        *(Prop(f"cup_{i}", "cup", "cylinder", _CUP_SIZE_M, _CUP_COLOR, True) for i in range(_N_CUPS)),
        Prop("ball", "ball", "sphere", (_BALL_RADIUS_M, _BALL_RADIUS_M, _BALL_RADIUS_M), (0.95, 0.45, 0.05)),
    )
    n_answers = _N_CUPS
    max_free_steps = 60

    def deal(self, rng: np.random.Generator, answer: int) -> HiddenBallTrial:
        """Draw places, times and which cups change places."""
        places = row_of_places(rng, _N_CUPS)
        pairs = [tuple(rng.permutation(_N_CUPS)[:2].tolist()) for _ in range(_N_SWAPS)]
        shown, delay = rng.integers([4, 4], [11, 25]).tolist()
        return HiddenBallTrial(places, answer, pairs, shown, delay)


class HiddenBallTrial(Trial):
    """One episode."""

    def __init__(
        self,
        places: Sequence[Place],
        ball_cup: int,
        swaps: Sequence[Tuple[int, int]],
        shown_steps: int,
        delay_steps: int,
    ) -> None:
        """Take the cups' first places, the ball's cup, and which cups change places one after another."""
        self._ball_cup, self._shown_steps = ball_cup, shown_steps
        self._ways = _ways(places, swaps)
        self.n_held_steps = shown_steps + _LOWER_STEPS + len(self._ways) + delay_steps
        self._sensor = TouchSensor(
            self._ways[-1], touch_height_m=_TOUCH_M, release_height_m=_RELEASE_M, radius_m=_CUP_RADIUS_M + 0.01
        )

    def show(self, step: int, table: Table) -> None:
        """Show the ball, lower the cups, let them change places."""
        show_signal(table, held=step < self.n_held_steps)
        lowered = min(max((step - self._shown_steps) / _LOWER_STEPS, 0.0), 1.0)
        moving = min(max(step - self._shown_steps - _LOWER_STEPS, 0), len(self._ways) - 1)
        places = self._ways[moving]
        for cup, place in enumerate(places):
            height_m = _CUP_HALF_HEIGHT_M + (1.0 - lowered) * _LOWER_FROM_M
            table.place(f"cup_{cup}", (*place, height_m) if lowered > 0.0 else HIDDEN)
        table.place("ball", (*places[self._ball_cup], _BALL_RADIUS_M))

    def judge(self, table: Table) -> Optional[bool]:
        """Let the first touch count."""
        touched = self._sensor.update(table.tool_m)
        return None if touched is None else touched == self._ball_cup

    def waypoints(self) -> Tuple[Waypoint, ...]:
        """Touch the cup."""
        return touch(*self._ways[-1][self._ball_cup], 2 * _CUP_HALF_HEIGHT_M + 0.02)


def _ways(places: Sequence[Place], swaps: Sequence[Tuple[int, int]]) -> List[Tuple[Place, ...]]:
    """Return where each cup is, step by step: a pair goes half around the point between them."""
    now = np.array(places, dtype=float)
    ways = [now.copy()]
    for one, other in swaps:
        start, middle = now.copy(), (now[one] + now[other]) / 2.0
        for step in range(1, _SWAP_STEPS + 1):
            angle = np.pi * step / _SWAP_STEPS
            R = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            now[one], now[other] = middle + R @ (start[one] - middle), middle + R @ (start[other] - middle)
            ways.append(now.copy())
        now[one], now[other] = start[other], start[one]
        ways[-1] = now.copy()
        ways += [now.copy()] * _PAUSE_STEPS
    return [tuple((float(x_m), float(y_m)) for x_m, y_m in row) for row in ways]
