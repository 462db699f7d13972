"""What means the same."""

from __future__ import annotations

from embodied.config import Config
from memory_bank.strategies.protocol import Cue, Items, Ranking
from memory_bank.strategies.ranking import best, cosines


class ByMeaning(Config):
    """By cosine with the cue's vector.

    Source: retrieval-augmented generation (arXiv 2005.11401); ExpRAG of Evo-Memory (arXiv 2511.20857) for experiences.
    """

    def __call__(self, cue: Cue, items: Items, k: int) -> Ranking:
        """Return the items most alike; the score is the cosine.

        Raises:
            ValueError: The cue or the items have no vectors.
        """
        if cue.vector is None:
            raise ValueError("cue.vector: retrieve strategy 'meaning' needs it, got none")
        return best(cosines(cue.vector, items.column("vectors")), k)
