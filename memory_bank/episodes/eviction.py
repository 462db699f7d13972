"""Keeps the keyframes of a memory to a number: one leaves for each that comes too many, chosen by a named strategy."""

from __future__ import annotations

import numpy as np

from embodied.errors import ConfigurationError
from memory_bank.episodes.archive import KeyframeArchive
from memory_bank.episodes.keyframes import KeyframeConfig, KeyframeSelector
from memory_bank.strategies import registry
from memory_bank.strategies.protocol import Items

CELL_M = 2.0
"""Side of the squares of floor that count as one place."""
_SEED = 0


class KeyframeEviction:
    """Applies ``KeyframeConfig.capacity`` and ``eviction``."""

    def __init__(self, config: KeyframeConfig, *, has_vectors: bool = False) -> None:
        """Take the settings.

        Args:
            config: Names the strategy.
            has_vectors: Whether keyframes have a vector of what they look like.

        Raises:
            ValueError: There is no such strategy, it needs vectors and there are none, or the capacity is negative.
        """
        if config.capacity < 0:
            raise ValueError(f"capacity: expected 0 for no bound, or more, got {config.capacity}")
        self._capacity = config.capacity
        self._strategy = registry.get("store", config.eviction)
        self._compares = config.eviction == "merge_similar"
        if self._compares and self._capacity and not has_vectors:
            raise ValueError(f"eviction: {config.eviction!r} needs an image encoder, and none is set")
        # Only some strategies draw lots; a memory that restarts may draw the same ones again.
        self._rng = np.random.default_rng(_SEED)

    def apply(self, archive: KeyframeArchive) -> tuple[int, ...]:
        """Remove keyframes until there are no more than the capacity; return their indices.

        Strategies that merge two items into one drop the one that leaves: two pictures have no average.
        """
        gone: list[int] = []
        while self._capacity and len(archive) > max(self._capacity, 1):
            indices = archive.indices()
            positions_m = archive.positions_of(indices)
            x, y = np.floor(positions_m[:, :2] / CELL_M).astype(np.int64).T
            items = Items(
                stamps=archive.stamps_of(indices),
                places=(x << 32) + y,
                positions_m=positions_m,
                # Of a large memory they are hundreds of megabytes.
                vectors=archive.vectors_of(indices) if self._compares else None,
            )
            leaves = self._strategy(items, archive.next_index, self._rng).leaves
            gone.append(int(indices[leaves]))
            archive.remove(gone[-1:])
        return tuple(gone)


def check_keyframes(config: KeyframeConfig, *, has_vectors: bool) -> None:
    """Find out, before the first frame comes, whether keyframes can be chosen and dropped as the settings say.

    Raises:
        ConfigurationError: There is no such strategy, or it needs what there is not.
    """
    try:
        KeyframeSelector(config, has_vectors=has_vectors)
        KeyframeEviction(config, has_vectors=has_vectors)
    except ValueError as error:
        raise ConfigurationError(f"keyframes: {error}") from error
