"""Keeps the keyframes of a memory to a number: one leaves for each that comes too many, chosen by a named strategy."""

from __future__ import annotations

import numpy as np

from memory_bank.episodes.archive import KeyframeArchive
from memory_bank.episodes.keyframes import KeyframeConfig
from memory_bank.strategies import registry
from memory_bank.strategies.protocol import Items

CELL_M = 2.0
"""Side of the squares of floor that count as one place."""
_SEED = 0


class KeyframeEviction:
    """Applies ``KeyframeConfig.capacity`` and ``eviction``."""

    def __init__(self, config: KeyframeConfig) -> None:
        """Args: ``config`` names the strategy.

        Raises:
            ValueError: There is no such strategy, or the capacity is negative.
        """
        if config.capacity < 0:
            raise ValueError(f"capacity: expected 0 for no bound, or more, got {config.capacity}")
        self._capacity = config.capacity
        self._strategy = registry.get("store", config.eviction)
        # Only some strategies draw lots; a memory that restarts may draw the same ones again.
        self._rng = np.random.default_rng(_SEED)

    def apply(self, archive: KeyframeArchive) -> tuple[int, ...]:
        """Remove keyframes until there are no more than the capacity; return their indices.

        Strategies that merge two items into one drop the one that leaves: two pictures have no average.
        """
        gone: list[int] = []
        while self._capacity and len(archive) > max(self._capacity, 1):
            columns = archive.columns()
            cells = np.floor(columns.positions_m[:, :2] / CELL_M).astype(np.int64)
            items = Items(
                stamps=columns.stamps_ns,
                places=np.unique(cells, axis=0, return_inverse=True)[1].reshape(-1),
                positions_m=columns.positions_m,
                vectors=columns.vectors() if archive.dim else None,
            )
            leaves = self._strategy(items, archive.next_index, self._rng).leaves
            gone.append(int(columns.indices[leaves]))
            archive.remove(gone[-1:])
        return tuple(gone)
