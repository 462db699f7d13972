"""What happened near by."""

from __future__ import annotations

import numpy as np

from embodied.config import Config
from memory_bank.strategies.protocol import Cue, Items, Ranking
from memory_bank.strategies.ranking import best


class ByPlace(Config):
    """By distance to the cue's position; without a position, only what was stored at the cue's place, latest first.

    Source: the place memory of the Spatially-Aware Transformer (arXiv 2402.15160, SAT-PM) reads one place's items.
    """

    def __call__(self, cue: Cue, items: Items, k: int) -> Ranking:
        """Return the nearest items; the score is minus the metres, or the stamp within a place.

        Raises:
            ValueError: The cue has neither position nor place, or the items have none.
        """
        if cue.position_m is not None:
            return best(-np.linalg.norm(items.column("positions_m") - cue.position_m, axis=1), k)
        if cue.place is None:
            raise ValueError("cue: retrieve strategy 'place' needs position_m or place, got neither")
        inside = np.flatnonzero(items.column("places") == cue.place)
        return best(items.stamps[inside].astype(np.float64), k, among=inside)
