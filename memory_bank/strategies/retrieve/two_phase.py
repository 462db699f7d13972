"""What is alike, and has helped before."""

from __future__ import annotations

import numpy as np

from embodied.arrays import Float
from embodied.config import Config
from memory_bank.strategies.protocol import Cue, Items, Ranking
from memory_bank.strategies.ranking import best, cosines


class TwoPhase(Config):
    """First what is alike enough, then by likeness and learned utility together.

    Source: MemRL (arXiv 2601.03192, two-phase retrieval): candidates of cosine >= threshold; score = (1 - weight) *
    z(cosine) + weight * z(utility), both standardised over the candidates.
    """

    threshold: float = 0.5
    """Least cosine of a candidate."""
    n_candidates: int = 20
    """How many go from the first phase into the second."""
    weight: float = 0.5
    """Of the utility, 0 to 1."""

    def __call__(self, cue: Cue, items: Items, k: int) -> Ranking:
        """Return the best candidates; none where nothing is alike enough.

        Raises:
            ValueError: The cue has no vector, or the items have no vectors or values.
        """
        if cue.vector is None:
            raise ValueError("cue.vector: retrieve strategy 'two_phase' needs it, got none")
        alike = best(cosines(cue.vector, items.column("vectors")), self.n_candidates)
        candidates = np.sort(alike.indices[alike.scores >= self.threshold])
        likeness = cosines(cue.vector, items.column("vectors")[candidates])
        utility = items.column("values")[candidates]
        scores = (1.0 - self.weight) * standardised(likeness) + self.weight * standardised(utility)
        return best(scores, k, among=candidates)


def standardised(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return values with mean 0 and standard deviation 1; zeros where all are equal."""
    values = values.astype(np.float64)
    if len(values) == 0 or np.ptp(values) < 1e-9:
        return np.zeros(len(values))
    return np.asarray((values - values.mean()) / values.std())


def rewarded(utility: float, reward: float, rate: float = 0.3) -> float:
    """Return the utility after a reward: Q + rate (reward - Q). Source: MemRL, with gamma = 0."""
    return utility + rate * (reward - utility)
