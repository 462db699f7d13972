"""Three pads light up one after another; they have to be touched in the same order."""

from __future__ import annotations

from itertools import permutations
from typing import List, Optional

import numpy as np

from sim.metaworld.table import MemoryTask
from sim.metaworld.tasks.parts import SIGNAL, PadTrial, pads, row_of_places

_N_PADS = 3
_ORDERS = tuple(permutations(range(_N_PADS)))
_DARK_STEPS = 2
"""After each light."""


class TouchOrder(MemoryTask):
    """Remember an order."""

    name = "touch_order"
    instruction = "When the lamp turns green, touch the pads in the order in which they were lit."
    props = (SIGNAL, *pads(_N_PADS))
    n_answers = len(_ORDERS)
    max_free_steps = 160

    def deal(self, rng: np.random.Generator, answer: int) -> PadTrial:
        """Draw places and times."""
        places = row_of_places(rng, _N_PADS)
        before, cue, delay = rng.integers([2, 4, 8], [6, 8, 31]).tolist()
        lit: List[Optional[int]] = [None] * before
        for pad in _ORDERS[answer]:
            lit += [pad] * cue + [None] * _DARK_STEPS
        return PadTrial(places, lit, delay, _ORDERS[answer])
