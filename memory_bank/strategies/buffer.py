"""A memory of bounded size over any store strategy: what is left of a stream at its end."""

from __future__ import annotations

import numpy as np

from embodied.arrays import Float, Int, Shaped
from memory_bank.strategies.protocol import Items, Store


def kept(
    store: Store,
    capacity: int,
    stamps: Shaped[np.ndarray, " n"],
    *,
    places: Int[np.ndarray, " n"] | None = None,
    values: Float[np.ndarray, " n"] | None = None,
    vectors: Float[np.ndarray, "n dim"] | None = None,
    rng: np.random.Generator,
) -> list[tuple[int, ...]]:
    """Let a stream run through a memory and tell what it holds then.

    Args:
        store: What decides; see ``registry.get("store", …)``.
        capacity: Items held at most, at least 1.
        stamps: One per item of the stream, in the order in which they come.
        places: See ``Items``; only where the strategy uses them.
        values: Likewise.
        vectors: Likewise.
        rng: Where chance comes from.

    Returns:
        For each item that is held, oldest first, the indices of the items of the stream that it is made of: one, or
        several that were merged into their average.
    """
    if capacity < 1:
        raise ValueError(f"capacity: expected at least 1, got {capacity}")
    held: list[tuple[int, ...]] = []
    merged = None if vectors is None else np.array(vectors, dtype=np.float64)
    for index in range(len(stamps)):
        held.append((index,))
        if len(held) <= capacity:
            continue
        rows = np.array([members[0] for members in held])
        items = Items(
            stamps[rows],
            places=None if places is None else places[rows],
            values=None if values is None else values[rows],
            vectors=None if merged is None else merged[rows],
        )
        leaves, into = store(items, index + 1, rng)
        if into >= 0:
            if merged is not None:
                merged[rows[into]] = 0.5 * (merged[rows[into]] + merged[rows[leaves]])
            held[into] = (*held[into], *held[leaves])
        held.pop(leaves)
    return held
