"""Neighbours in time that are most alike become one."""

from __future__ import annotations

import numpy as np

from embodied.config import Config
from memory_bank.strategies.protocol import Eviction, Items
from memory_bank.strategies.ranking import unit


class MergeSimilar(Config):
    """The two neighbours in time with the highest cosine become their average.

    Source: MemoryVLA (arXiv 2508.19236), memory consolidation; after token merging (ToMe). The earlier of two pairs
    that are equally alike merges. The later item leaves into the earlier one.
    """

    def __call__(self, items: Items, n_seen: int, rng: np.random.Generator) -> Eviction:
        """Compare each with the next in the order of stamps."""
        order = np.argsort(items.stamps, kind="stable")
        vectors = unit(items.column("vectors")[order])
        alike = np.einsum("nd,nd->n", vectors[:-1], vectors[1:])
        # Equal pairs may differ in the last bits.
        first = int(np.argmax(np.round(alike, 6)))
        return Eviction(int(order[first + 1]), into=int(order[first]))
