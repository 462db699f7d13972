"""One of four pads lights up for a moment; after a delay it has to be touched."""

from __future__ import annotations

from typing import List, Optional

import numpy as np

from sim.metaworld.table import MemoryTask
from sim.metaworld.tasks.parts import SIGNAL, PadTrial, pads, row_of_places

_N_PADS = 4


class CueDelay(MemoryTask):
    """Remember a place over a delay."""

    name = "cue_delay"
    instruction = "When the lamp turns green, touch the pad that was lit."
    props = (SIGNAL, *pads(_N_PADS))
    n_answers = _N_PADS
    max_free_steps = 60

    def deal(self, rng: np.random.Generator, answer: int) -> PadTrial:
        """Draw places and times."""
        places = row_of_places(rng, _N_PADS)
        before, cue, delay = rng.integers([2, 4, 8], [6, 11, 41]).tolist()
        lit: List[Optional[int]] = [None] * before + [answer] * cue
        return PadTrial(places, lit, delay, (answer,))
