"""Three pads light up in turn, for different times; the one that was lit the longest has to be touched."""

from __future__ import annotations

from typing import List, Optional

import numpy as np

from sim.metaworld.table import MemoryTask
from sim.metaworld.tasks.parts import SIGNAL, PadTrial, pads, row_of_places

_N_PADS = 3
_LONG_STEPS, _SHORT_STEPS = 14, (4, 8)
_DARK_STEPS = 3
"""After each light."""


class LongestLit(MemoryTask):
    """Remember how long something lasted."""

    name = "longest_lit"
    instruction = "When the lamp turns green, touch the pad that was lit for the longest time."
    props = (SIGNAL, *pads(_N_PADS))
    n_answers = _N_PADS
    max_free_steps = 60

    def deal(self, rng: np.random.Generator, answer: int) -> PadTrial:
        """Draw places, the turns, and who gets which of the shorter times: together all take equally long."""
        places = row_of_places(rng, _N_PADS)
        turns, shorter = rng.permutation(_N_PADS).tolist(), rng.permutation(_SHORT_STEPS).tolist()
        before, delay = rng.integers([2, 8], [6, 31]).tolist()
        lit: List[Optional[int]] = [None] * before
        for pad in turns:
            lit += [pad] * (_LONG_STEPS if pad == answer else shorter.pop()) + [None] * _DARK_STEPS
        return PadTrial(places, lit, delay, (answer,))
