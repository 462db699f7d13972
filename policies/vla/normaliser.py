"""Brings actions and proprioception to the range -1 to 1 and back."""

from __future__ import annotations

import numpy as np

from embodied.arrays import Float
from embodied.structure import Structure

LOW_QUANTILE, HIGH_QUANTILE = 0.01, 0.99
"""Bounds of what is normal, so that a rare leap does not squeeze all else together (MemoryVLA, OpenVLA)."""
CONSTANT = 1e-6
"""A number that varies by less, as a share of its size or of 1, does not vary."""


class Bounds(Structure):
    """What -1 and 1 stand for, number by number."""

    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    """Equal to ``low`` where a number was the same in all the data: it is 0, and comes back as it was."""

    def __post_init__(self) -> None:
        """Refuse bounds that do not belong together.

        Raises:
            ValueError: There are more of one than of the other, or one is not finite or above its counterpart.
        """
        if len(self.low) != len(self.high):
            raise ValueError(f"bounds: expected as many low as high, got {len(self.low)} and {len(self.high)}")
        if not all(-np.inf < low <= high < np.inf for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError(f"bounds: expected finite low <= high, got {self.low} and {self.high}")

    def normalise(self, values: Float[np.ndarray, "*rows n"]) -> Float[np.ndarray, "*rows n"]:
        """Return float32 values in -1 to 1; what lies beyond the bounds is clipped."""
        low, high, varies = self._arrays(values)
        shares = (values - low) / np.where(varies, high - low, 1.0)
        return np.where(varies, np.clip(2.0 * shares - 1.0, -1.0, 1.0), 0.0).astype(np.float32)

    def denormalise(self, values: Float[np.ndarray, "*rows n"]) -> Float[np.ndarray, "*rows n"]:
        """Return float32 values in real units; what lies beyond -1 to 1 is clipped."""
        low, high, _ = self._arrays(values)
        return (low + 0.5 * (np.clip(values, -1.0, 1.0) + 1.0) * (high - low)).astype(np.float32)

    def _arrays(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if values.shape[-1] != len(self.low):
            raise ValueError(f"values: expected {len(self.low)} numbers each, got {values.shape[-1]}")
        low, high = np.array(self.low, dtype=np.float64), np.array(self.high, dtype=np.float64)
        return low, high, high > low


class Normaliser(Structure):
    """Fitted to the data of a policy and stored with it."""

    actions: Bounds
    """Of the robot's own numbers, whatever the network has in their place (``action_codec.py``)."""
    proprioception: Bounds = Bounds()
    """Of no numbers, where it is no input."""


def quantile_bounds(values: Float[np.ndarray, "n_rows n"]) -> Bounds:
    """Return bounds between the quantiles of each number.

    A number that seldom leaves one value, such as a gripper that closes once, keeps its extremes.

    Args:
        values: At least one row of finite numbers; a memory-mapped file is read one column at a time.
    """
    low, high = [], []
    for column in range(values.shape[1]):
        numbers = np.asarray(values[:, column], dtype=np.float64)
        bounds = np.quantile(numbers, (LOW_QUANTILE, HIGH_QUANTILE))
        if _is_constant(*bounds):
            bounds = np.array([numbers.min(), numbers.max()])
        if _is_constant(*bounds):
            bounds[:] = numbers[0]
        low.append(float(bounds[0]))
        high.append(float(bounds[1]))
    return Bounds(low=tuple(low), high=tuple(high))


def _is_constant(low: float, high: float) -> bool:
    return bool(high - low <= CONSTANT * max(1.0, abs(low), abs(high)))
