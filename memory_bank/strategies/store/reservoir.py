"""A fair sample of everything that ever came."""

from __future__ import annotations

import numpy as np

from embodied.config import Config
from memory_bank.strategies.protocol import Eviction, Items


class Reservoir(Config):
    """Each item that ever came is held with the same probability.

    Source: J. S. Vitter, Random sampling with a reservoir, ACM TOMS 11 (1985), algorithm R: the n-th item replaces one
    of the C held with probability C / n.
    """

    def __call__(self, items: Items, n_seen: int, rng: np.random.Generator) -> Eviction:
        """Draw a number below ``n_seen``: that item leaves, or the new one if there is none of that number.

        Raises:
            ValueError: ``n_seen`` is less than the number of items.
        """
        if n_seen < len(items):
            raise ValueError(f"n_seen: expected {len(items)} or more, got {n_seen}")
        return Eviction(min(int(rng.integers(n_seen)), len(items) - 1))
