"""Last in, first out: the first ones stay."""

from __future__ import annotations

import numpy as np

from embodied.config import Config
from memory_bank.strategies.protocol import Eviction, Items


class Lifo(Config):
    """A full memory takes in nothing more. Source: Spatially-Aware Transformer (arXiv 2402.15160), strategy LIFO."""

    def __call__(self, items: Items, n_seen: int, rng: np.random.Generator) -> Eviction:
        """Return the new one."""
        return Eviction(len(items) - 1)
