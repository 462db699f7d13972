"""Three of four coloured blocks are shown and taken away; all four come back elsewhere, and the new one is wanted."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

import numpy as np

from sim.metaworld.table import HIDDEN, Color, MemoryTask, Prop, Table, TouchSensor, Trial
from sim.metaworld.tasks.parts import SIGNAL, Place, row_of_places, show_signal
from sim.metaworld.waypoints import Waypoint, touch

_COLORS: Tuple[Color, ...] = ((0.85, 0.1, 0.1), (0.1, 0.6, 0.15), (0.1, 0.2, 0.85), (0.9, 0.75, 0.1))
_HALF_M = 0.03
_TOUCH_M, _RELEASE_M = 0.09, 0.13


class NewBlock(MemoryTask):
    """Remember what was there, to tell what was not."""

    name = "new_block"
    instruction = "When the lamp turns green, touch the block that was not there before."
    props = (
        SIGNAL,
        *(Prop(f"block_{i}", "block", "box", (_HALF_M, _HALF_M, _HALF_M), c, True) for i, c in enumerate(_COLORS)),
    )
    n_answers = len(_COLORS)
    max_free_steps = 60

    def deal(self, rng: np.random.Generator, answer: int) -> NewBlockTrial:
        """Draw places and times: for the blocks at first, and for all of them at last."""
        n_blocks = len(_COLORS)
        first = row_of_places(rng, n_blocks - 1)
        order = [block for block in rng.permutation(n_blocks).tolist() if block != answer]
        last, last_order = row_of_places(rng, n_blocks), rng.permutation(n_blocks).tolist()
        shown, delay = rng.integers([6, 8], [13, 31]).tolist()
        return NewBlockTrial(
            list(zip(order, first)), [last[last_order.index(b)] for b in range(n_blocks)], answer, shown, delay
        )


class NewBlockTrial(Trial):
    """One episode."""

    def __init__(
        self,
        shown: Sequence[Tuple[int, Place]],
        places: Sequence[Place],
        answer: int,
        shown_steps: int,
        delay_steps: int,
    ) -> None:
        """Take the blocks and places of the beginning, and every block's place at the end."""
        self._shown, self._places, self._answer, self._shown_steps = shown, places, answer, shown_steps
        self.n_held_steps = shown_steps + delay_steps
        self._sensor = TouchSensor(places, touch_height_m=_TOUCH_M, release_height_m=_RELEASE_M)

    def show(self, step: int, table: Table) -> None:
        """Show the blocks of before, none, then all."""
        is_held = step < self.n_held_steps
        show_signal(table, held=is_held)
        seen = list(enumerate(self._places)) if not is_held else list(self._shown) if step < self._shown_steps else []
        for block in range(len(self._places)):
            table.place(f"block_{block}", HIDDEN)
        for block, place in seen:
            table.place(f"block_{block}", (*place, _HALF_M))

    def judge(self, table: Table) -> Optional[bool]:
        """Let the first touch count."""
        touched = self._sensor.update(table.tool_m)
        return None if touched is None else touched == self._answer

    def waypoints(self) -> Tuple[Waypoint, ...]:
        """Touch the new one."""
        return touch(*self._places[self._answer], 2 * _HALF_M + 0.01)
