"""Statistics of a dataset's features, gathered frame by frame in memory that does not grow."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import numpy as np


class RunningStats:
    """Least, greatest, mean and standard deviation of the frames of one feature.

    Vectors and matrices have a value of each for each of their numbers, pictures one for each channel, over all pixels
    of all frames: that is how LeRobot means them. Sums are merged by Chan, Golub and LeVeque, "Updating formulae and a
    pairwise algorithm for computing sample variances", 1979, so that a large offset costs no digits.
    """

    def __init__(self) -> None:
        self.n_frames = 0
        self._n_values = 0
        self._low: Optional[np.ndarray] = None
        self._high: Optional[np.ndarray] = None
        self._mean: Any = 0.0
        self._square: Any = 0.0
        """Sum of squared distances from the mean."""

    def add(self, values: np.ndarray, *, scale: Optional[float] = None) -> None:
        """Count one frame.

        Args:
            values: Of any shape; a picture (height, width, channels).
            scale: Given for a picture, which it multiplies; its pixels are taken together by channel.
        """
        if scale is None:
            samples = np.asarray(values, dtype=np.float64)[None]
        else:
            samples = values.reshape(-1, values.shape[-1]).astype(np.float64) * scale
        low, high, mean = samples.min(axis=0), samples.max(axis=0), samples.mean(axis=0)
        square = ((samples - mean) ** 2).sum(axis=0)
        self._merge(len(samples), low, high, mean, square)
        self.n_frames += 1

    def merge(self, other: RunningStats) -> None:
        """Count all frames that another has counted."""
        if other._low is None or other._high is None:
            return
        self._merge(other._n_values, other._low, other._high, other._mean, other._square)
        self.n_frames += other.n_frames

    def _merge(self, n: int, low: np.ndarray, high: np.ndarray, mean: np.ndarray, square: np.ndarray) -> None:
        total = self._n_values + n
        apart = mean - self._mean
        self._square = self._square + square + apart**2 * (self._n_values * n / total)
        self._mean = self._mean + apart * (n / total)
        self._low = low if self._low is None else np.minimum(self._low, low)
        self._high = high if self._high is None else np.maximum(self._high, high)
        self._n_values = total

    def result(self, shape: Tuple[int, ...]) -> Dict[str, List[Any]]:
        """Return the numbers as lists of a shape: (channels, 1, 1) for a picture."""
        assert self._low is not None, "nothing was counted"
        assert self._high is not None, "nothing was counted"
        deviation = np.sqrt(self._square / self._n_values)
        arrays = {"min": self._low, "max": self._high, "mean": self._mean, "std": deviation}
        numbers: Dict[str, List[Any]] = {name: np.reshape(array, shape).tolist() for name, array in arrays.items()}
        return {**numbers, "count": [self.n_frames]}
