"""Averages what several answers of a policy say about the same instant (CogACT, arXiv 2411.19650, section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied.arrays import Float
from embodied.config import Config


class EnsembleConfig(Config):
    """How answers are averaged."""

    n_predictions: int = 1
    """Predictions of one instant that are averaged at most, the newest among them; 1 takes the newest alone."""
    alpha: float = 0.1
    """How much more those count that agree with the newest; 0: all alike."""


def ensemble(
    chunks: Sequence[Float[np.ndarray, "_ n_actions"]], steps: Sequence[int], alpha: float
) -> Float[np.ndarray, "n_steps n_actions"]:
    """Return the newest chunk, each action averaged with what older chunks say about its instant.

    A prediction weighs exp(alpha * its cosine with the newest one of the same instant): a plan that was given up does
    not hold back the one that took its place.

    Args:
        chunks: Oldest first; action k of each is for k control steps after its call.
        steps: Control step of each call, growing.
        alpha: See ``EnsembleConfig``.

    Raises:
        ValueError: There is no chunk, or the steps do not fit them or do not grow.
    """
    if not chunks or len(chunks) != len(steps) or any(b <= a for a, b in zip(steps, steps[1:])):
        raise ValueError(f"steps: expected one for each of 1 or more chunks, growing, got {list(steps)}")
    newest = np.asarray(chunks[-1], dtype=np.float64)
    total, weights = np.zeros_like(newest), np.zeros((len(newest), 1))
    for chunk, step in zip(chunks, steps):
        of_same_instants = np.asarray(chunk, dtype=np.float64)[steps[-1] - step :]
        n = min(len(of_same_instants), len(newest))
        weight = np.exp(alpha * _cosine(newest[:n], of_same_instants[:n]))[:, None]
        total[:n] += weight * of_same_instants[:n]
        weights[:n] += weight
    return (total / weights).astype(np.float32)


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the cosine of each pair of rows, (n,); 0 for a zero row."""
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray((a * b).sum(axis=1) / np.where(lengths > 0.0, lengths, 1.0))
