"""Picking the best, the same way in every strategy."""

from __future__ import annotations

import numpy as np

from embodied.arrays import Float, Int
from memory_bank.strategies.protocol import Ranking


def best(scores: Float[np.ndarray, " n"], k: int, among: Int[np.ndarray, " m"] | None = None) -> Ranking:
    """Return the ``k`` items of the highest scores; ties go to the lower index.

    Args:
        scores: One per item, or one per entry of ``among``.
        k: How many, 0 or more; fewer come back where there are fewer.
        among: Indices of the items that the scores belong to, ascending; None for all.

    Raises:
        ValueError: ``k`` is negative, or a score is not a number.
    """
    if k < 0:
        raise ValueError(f"k: expected 0 or more, got {k}")
    if np.isnan(scores).any():
        raise ValueError("scores: expected numbers, got NaN")
    k = min(k, len(scores))
    if 0 < k < len(scores):
        # Everything as good as the k-th, and a stable sort of that: ties are settled by index, not by luck.
        worst = np.partition(scores, len(scores) - k)[len(scores) - k]
        candidates = np.flatnonzero(scores >= worst)
    else:
        candidates = np.arange(len(scores))
    order = candidates[np.argsort(-scores[candidates], kind="stable")][:k]
    return Ranking(order if among is None else among[order], scores[order].astype(np.float64))


def unit(vectors: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n dim"]:
    """Return the vectors as float64 of length one; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float64)
    return np.asarray(vectors / np.where(lengths > 0.0, lengths, 1.0))


def cosines(vector: Float[np.ndarray, " dim"], vectors: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, " n"]:
    """Return the cosine of a vector with each of many; 0 where one of the two is zero."""
    # Lengths from one pass without squares of the whole matrix: this is called on a million rows.
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors)) * np.linalg.norm(vector)
    return np.asarray((vectors @ vector) / np.where(lengths > 0.0, lengths, 1.0), dtype=np.float64)
