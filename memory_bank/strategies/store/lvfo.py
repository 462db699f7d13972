"""Least visited, first out: places that were seen much stay."""

from __future__ import annotations

import numpy as np

from embodied.config import Config
from memory_bank.strategies.protocol import Eviction, Items


class Lvfo(Config):
    """The oldest of the place with the fewest items leaves.

    Source: Spatially-Aware Transformer (arXiv 2402.15160), strategy LVFO. Counted is what was held before the new item,
    which never leaves; of places with equally few, that with the smallest number gives way.
    """

    def __call__(self, items: Items, n_seen: int, rng: np.random.Generator) -> Eviction:
        """Count the items of each place."""
        held = items.column("places")[:-1]
        places, counts = np.unique(held, return_counts=True)
        inside = np.flatnonzero(held == places[np.argmin(counts)])
        return Eviction(int(inside[np.argmin(items.stamps[inside])]))
