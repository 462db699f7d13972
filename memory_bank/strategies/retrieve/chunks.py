"""First the stretches of memory that matter, then what in them does."""

from __future__ import annotations

from typing import Literal

import numpy as np

from embodied.arrays import Float, Int
from embodied.config import Config
from memory_bank.strategies.protocol import Cue, Items, Ranking
from memory_bank.strategies.ranking import best


class Chunks(Config):
    """Attention over the averages of chunks, then over the items of the best ones.

    Source: HCAM (arXiv 2105.14039, section 3): relevance of a chunk = q . mean / sqrt(dim), softmax over the best
    chunks, and in each of them attention of its own; an item's score is the product of both weights. Chunks of places:
    Spatially-Aware Transformer (arXiv 2402.15160, SAT-PM-PH). Learned projections of the cue are the caller's.
    """

    size: int = 32
    """Items in a chunk at most."""
    n_chunks: int = 4
    """How many are read."""
    by: Literal["time", "place"] = "time"
    """What is cut: the items as they came, or those of each place for themselves."""

    def __call__(self, cue: Cue, items: Items, k: int) -> Ranking:
        """Return the items with the most attention. Vectors are used at their length, as attention does.

        Raises:
            ValueError: The cue or the items lack vectors, or the items places.
        """
        if cue.vector is None:
            raise ValueError("cue.vector: retrieve strategy 'chunks' needs it, got none")
        vectors = items.column("vectors")
        if not len(items):
            return best(np.zeros(0), k)
        places = items.column("places") if self.by == "place" else np.zeros(len(items), dtype=np.int64)
        chunks = cut_chunks(items.stamps, places, self.size)
        scale = 1.0 / np.sqrt(vectors.shape[1])
        read = best(np.array([vectors[chunk].mean(axis=0) @ cue.vector * scale for chunk in chunks]), self.n_chunks)
        scores = np.full(len(items), -1.0)
        for index, weight in zip(read.indices, softmax(read.scores)):
            chunk = chunks[index]
            scores[chunk] = weight * softmax((vectors[chunk] @ cue.vector) * scale)
        inside = np.flatnonzero(scores >= 0.0)
        return best(scores[inside], k, among=inside)


def cut_chunks(stamps: np.ndarray, places: Int[np.ndarray, " n"], size: int) -> list[Int[np.ndarray, " n_inside"]]:
    """Cut items into chunks of one place each, in the order of time; the last chunk of a place may be shorter.

    Args:
        stamps: (n,) one per item.
        places: The same number everywhere to cut by time alone.
        size: Items in a chunk, at least 1.

    Returns:
        Indices of the items of each chunk; every item is in exactly one. Places come in the order of their numbers.
    """
    if size < 1:
        raise ValueError(f"size: expected at least 1, got {size}")
    order = np.lexsort((stamps, places))
    borders = np.flatnonzero(np.diff(places[order])) + 1
    return [
        run[start : start + size] for run in np.split(order, borders) for start in range(0, len(run), size) if len(run)
    ]


def softmax(logits: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return weights that sum to 1."""
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum(), dtype=np.float64)
