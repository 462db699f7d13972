"""First in, first out: the last ones stay."""

from __future__ import annotations

import numpy as np

from embodied.config import Config
from memory_bank.strategies.protocol import Eviction, Items


class Fifo(Config):
    """The oldest leaves. Source: Spatially-Aware Transformer (arXiv 2402.15160), strategy FIFO."""

    def __call__(self, items: Items, n_seen: int, rng: np.random.Generator) -> Eviction:
        """Return the first of the oldest."""
        return Eviction(int(np.argmin(items.stamps)))
