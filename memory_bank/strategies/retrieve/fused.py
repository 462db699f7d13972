"""What several searches agree on."""

from __future__ import annotations

import numpy as np

from embodied.config import Config
from memory_bank.strategies.protocol import Cue, Items, Ranking, Retrieve
from memory_bank.strategies.ranking import best
from memory_bank.strategies.retrieve.by_meaning import ByMeaning
from memory_bank.strategies.retrieve.by_place import ByPlace
from memory_bank.strategies.retrieve.by_time import ByTime


class Fused(Config):
    """By the sum of 1 / (constant + rank) over meaning, place and time: those of them that the cue tells.

    Source: reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009); so fuses Hindsight (arXiv 2512.12818) its
    searches. Ranks begin at 1.
    """

    constant: float = 60.0
    """The larger, the less the first ranks stand out."""
    depth: int = 100
    """How many of each search count."""

    def __call__(self, cue: Cue, items: Items, k: int) -> Ranking:
        """Return the items of the highest sums.

        Raises:
            ValueError: The cue tells nothing to search by.
        """
        told: list[tuple[bool, Retrieve]] = [
            (cue.vector is not None, ByMeaning()),
            (cue.position_m is not None or cue.place is not None, ByPlace()),
            (cue.stamp is not None, ByTime()),
        ]
        searches = [search for is_told, search in told if is_told]
        if not searches:
            raise ValueError("cue: retrieve strategy 'fused' needs a vector, a position, a place or a stamp, got none")
        return fuse([search(cue, items, max(k, self.depth)) for search in searches], k, self.constant)


def fuse(rankings: list[Ranking], k: int, constant: float = 60.0) -> Ranking:
    """Return the ``k`` items of the highest sum of 1 / (constant + rank); what a ranking lacks adds nothing."""
    indices = np.unique(np.concatenate([ranking.indices for ranking in rankings]).astype(np.int64))
    sums = np.zeros(len(indices))
    for ranking in rankings:
        sums[np.searchsorted(indices, ranking.indices)] += 1.0 / (constant + 1.0 + np.arange(len(ranking.indices)))
    return best(sums, k, among=indices)
