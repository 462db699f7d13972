"""What tells the facts that the question is about."""

from __future__ import annotations

import numpy as np

from embodied.arrays import Float, Int
from embodied.config import Config
from memory_bank.strategies.protocol import Cue, Facts, Items, Ranking
from memory_bank.strategies.ranking import best, cosines


class Graph(Config):
    """Search the graph of facts from the cue outwards, then score items by how many of those facts they tell.

    Source: AriGraph (arXiv 2407.04363, algorithm 1 and the episodic search): breadth first from the cue, each time the
    facts nearest in meaning; both ends of each become the next cues. Score of an item that tells n facts, n_match of
    them found: (n_match / n * ln n) / max + cosine / max, the largest over all items.
    """

    width: int = 6
    """Facts taken for each cue."""
    threshold: float = 0.75
    """Least cosine of a fact with its cue."""
    depth: int = 2
    """Steps from the cue; 1 does not follow the ends."""

    def __call__(self, cue: Cue, items: Items, k: int) -> Ranking:
        """Return the items of the highest scores; ones without any fact compete by meaning alone.

        Raises:
            ValueError: The cue has no vector or no facts, or the items have no vectors.
        """
        if cue.vector is None or cue.facts is None:
            raise ValueError("cue: retrieve strategy 'graph' needs vector and facts")
        found = self.search(cue.vector, cue.facts)
        told = cue.facts.told
        n_told = np.bincount(told[:, 0], minlength=len(items)).astype(float)
        n_match = np.bincount(told[np.isin(told[:, 1], found), 0], minlength=len(items))
        share = n_match / np.maximum(n_told, 1.0) * np.log(np.maximum(n_told, 1.0))
        return best(_to_largest(share) + _to_largest(cosines(cue.vector, items.column("vectors"))), k)

    def search(self, vector: Float[np.ndarray, " dim"], facts: Facts) -> Int[np.ndarray, " n_found"]:
        """Return the indices of the facts that are reached, ascending."""
        found: set[int] = set()
        frontier, seen = [vector], set[int]()
        for _ in range(self.depth):
            ends: list[int] = []
            for each in frontier:
                ranking = best(cosines(each, facts.vectors), self.width)
                near = ranking.indices[ranking.scores >= self.threshold]
                found.update(near.tolist())
                ends += [end for end in facts.ends[near].ravel().tolist() if end not in seen]
                seen.update(ends)
            frontier = [facts.entities[end] for end in dict.fromkeys(ends)]
        return np.array(sorted(found), dtype=np.int64)


def _to_largest(scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return scores over their maximum; zeros where none is positive."""
    largest = scores.max(initial=0.0)
    return scores / largest if largest > 0.0 else np.zeros(len(scores))
