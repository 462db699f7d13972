"""What several tasks have on their tables: the signal lamp, and a row of pads that light up."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

import numpy as np

from sim.metaworld.table import DARK, LIT, Color, Position, Prop, Table, TouchSensor, Trial
from sim.metaworld.waypoints import Waypoint, touch

SIGNAL = Prop("signal", "signal lamp", "sphere", (0.025, 0.025, 0.025), (0.9, 0.1, 0.1))
"""Red while the robot is held, green when it may move."""
_SIGNAL_M: Position = (0.5, 0.36, 0.025)
_GREEN: Color = (0.1, 0.85, 0.2)

PAD_HALF_HEIGHT_M = 0.006
_PAD_TOUCH_M, _PAD_RELEASE_M = 0.05, 0.1
"""Heights of the tool at which a pad counts as touched, and as let go of."""
_ROW_X_M, _ROW_WIDTH_M, _JITTER_M = 0.72, 0.48, 0.025

Place = Tuple[float, float]


def show_signal(table: Table, *, held: bool) -> None:
    """Show the lamp."""
    table.place(SIGNAL.name, _SIGNAL_M)
    table.paint(SIGNAL.name, SIGNAL.color if held else _GREEN)


def row_of_places(rng: np.random.Generator, n_places: int) -> Tuple[Place, ...]:
    """Return places in a row across the table, from left to right, each shifted a little at random."""
    lefts_m = np.linspace(_ROW_WIDTH_M / 2, -_ROW_WIDTH_M / 2, n_places)
    shifts_m = rng.uniform(-_JITTER_M, _JITTER_M, (n_places, 2))
    return tuple((_ROW_X_M + float(dx), float(y + dy)) for y, (dx, dy) in zip(lefts_m, shifts_m))


def pads(n_pads: int) -> Tuple[Prop, ...]:
    """Return flat pads, dark."""
    return tuple(Prop(f"pad_{i}", "pad", "cylinder", (0.04, 0.04, PAD_HALF_HEIGHT_M), DARK) for i in range(n_pads))


class PadTrial(Trial):
    """Pads light up one at a time; once the robot is let go, some of them have to be touched in an order."""

    def __init__(
        self, places: Sequence[Place], lit: Sequence[Optional[int]], delay_steps: int, wanted: Tuple[int, ...]
    ) -> None:
        """Take what is shown and what is wanted.

        Args:
            places: Of the pads.
            lit: Which pad is lit at each step, if any.
            delay_steps: For how long all are dark after that.
            wanted: The pads to touch, in order.
        """
        self.n_held_steps = len(lit) + delay_steps
        self._places, self._lit, self._wanted = places, lit, wanted
        self._sensor = TouchSensor(places, touch_height_m=_PAD_TOUCH_M, release_height_m=_PAD_RELEASE_M)
        self._touched: Tuple[int, ...] = ()

    def show(self, step: int, table: Table) -> None:
        """Light a pad, or none."""
        show_signal(table, held=step < self.n_held_steps)
        lit = self._lit[step] if step < len(self._lit) else None
        for index, (x_m, y_m) in enumerate(self._places):
            table.place(f"pad_{index}", (x_m, y_m, PAD_HALF_HEIGHT_M))
            table.paint(f"pad_{index}", LIT if index == lit else DARK)

    def judge(self, table: Table) -> Optional[bool]:
        """Compare what was touched: one pad out of order loses."""
        touched = self._sensor.update(table.tool_m)
        if touched is None:
            return None
        self._touched += (touched,)
        if self._touched != self._wanted[: len(self._touched)]:
            return False
        return True if self._touched == self._wanted else None

    def waypoints(self) -> Tuple[Waypoint, ...]:
        """Touch one after another."""
        return tuple(waypoint for pad in self._wanted for waypoint in touch(*self._places[pad], 0.02))
