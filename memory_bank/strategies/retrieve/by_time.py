"""What happened about then."""

from __future__ import annotations

import numpy as np

from embodied.config import Config
from memory_bank.strategies.protocol import Cue, Items, Ranking
from memory_bank.strategies.ranking import best


class ByTime(Config):
    """By distance to the cue's stamp. With the present as the cue it is the most recent that comes back.

    Source: ExpRecent of Evo-Memory (arXiv 2511.20857); the temporal channel of Hindsight (arXiv 2512.12818).
    """

    def __call__(self, cue: Cue, items: Items, k: int) -> Ranking:
        """Return the items nearest in time; the score is minus the distance, in the unit of the stamps.

        Raises:
            ValueError: The cue has no stamp.
        """
        if cue.stamp is None:
            raise ValueError("cue.stamp: retrieve strategy 'time' needs it, got none")
        return best(-np.abs(items.stamps - cue.stamp), k)
