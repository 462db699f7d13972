"""A lamp blinks one to four times; a button has to be pressed as often, then a pad touched to say so."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

import numpy as np

from sim.metaworld.table import DARK, LIT, MemoryTask, Prop, Table, TouchSensor, Trial
from sim.metaworld.tasks.parts import PAD_HALF_HEIGHT_M, SIGNAL, Place, row_of_places, show_signal
from sim.metaworld.waypoints import REST_STEPS, Waypoint, touch

_MAX_BLINKS = 4
_ON_STEPS, _OFF_STEPS = 4, 3
_BUTTON_HALF_HEIGHT_M = 0.02
_TOUCH_M, _RELEASE_M = 0.06, 0.1
"""Heights of the tool, above the button's top and above the pad."""
_LAMP_M = (0.88, 0.0, 0.04)


class CountBlinks(MemoryTask):
    """Remember a number, and how much of it is done."""

    name = "count_blinks"
    instruction = (
        "When the lamp turns green, press the red button as often as the ball blinked, then touch the white pad."
    )
    props = (
        SIGNAL,
        Prop("lamp", "blinking ball", "sphere", (0.04, 0.04, 0.04), DARK),
        Prop("button", "button", "cylinder", (0.035, 0.035, _BUTTON_HALF_HEIGHT_M), (0.8, 0.1, 0.1)),
        Prop("done", "pad", "cylinder", (0.04, 0.04, PAD_HALF_HEIGHT_M), (0.9, 0.9, 0.9)),
    )
    n_answers = _MAX_BLINKS
    max_free_steps = 220

    def deal(self, rng: np.random.Generator, answer: int) -> CountBlinksTrial:
        """Draw places, times, and at which of the possible moments the lamp blinks: all take equally long."""
        places = row_of_places(rng, 2)
        places = places if rng.random() < 0.5 else places[::-1]
        moments = rng.permutation(_MAX_BLINKS)[: answer + 1].tolist()
        before, delay = rng.integers([2, 8], [6, 31]).tolist()
        return CountBlinksTrial(places, moments, before, delay)


class CountBlinksTrial(Trial):
    """One episode."""

    def __init__(self, places: Sequence[Place], moments: Sequence[int], before_steps: int, delay_steps: int) -> None:
        """Take the places of the button and of the pad, and at which moments of 0 to 3 the lamp is on."""
        self._places, self._moments, self._before_steps = places, moments, before_steps
        self.n_held_steps = before_steps + _MAX_BLINKS * (_ON_STEPS + _OFF_STEPS) + delay_steps
        self._sensor = TouchSensor(places, touch_height_m=_TOUCH_M, release_height_m=_RELEASE_M)
        self._n_presses = 0

    def show(self, step: int, table: Table) -> None:
        """Let the lamp blink."""
        moment, into = divmod(step - self._before_steps, _ON_STEPS + _OFF_STEPS)
        show_signal(table, held=step < self.n_held_steps)
        table.place("lamp", _LAMP_M)
        table.paint("lamp", LIT if moment in self._moments and into < _ON_STEPS else DARK)
        (x_m, y_m), pad = self._places
        table.place("button", (x_m, y_m, _BUTTON_HALF_HEIGHT_M))
        table.place("done", (*pad, PAD_HALF_HEIGHT_M))

    def judge(self, table: Table) -> Optional[bool]:
        """Count presses; the pad ends it."""
        touched = self._sensor.update(table.tool_m)
        # The button goes down while it is pressed and comes up again: nothing is left of it to be counted later.
        is_down = self._sensor.touching == 0
        table.place("button", (*self._places[0], _BUTTON_HALF_HEIGHT_M - (0.015 if is_down else 0.0)))
        self._n_presses += touched == 0
        return self._n_presses == len(self._moments) if touched == 1 else None

    def waypoints(self) -> Tuple[Waypoint, ...]:
        """Press, press, say so."""
        (x_m, y_m), pad = self._places
        above = Waypoint((x_m, y_m, 0.13), tolerance_m=0.02)
        press = (above, Waypoint((x_m, y_m, 0.05), dwell_steps=REST_STEPS))
        return (*press * len(self._moments), above, *touch(*pad, 0.03))
