"""What colour a thing is, in the words of a person.

Pixels vote for basic colour terms (Berlin and Kay, 1969) by hue, saturation and value, and the votes of many views are
added: shading moves a pixel's value far more than its hue, so hue decides wherever there is enough saturation.
"""

from __future__ import annotations

import msgspec
import numpy as np

from embodied.arrays import Float, Int, UInt8

COLOURS = ("red", "orange", "brown", "yellow", "green", "blue", "purple", "pink", "black", "gray", "white")
_INDEX = {name: index for index, name in enumerate(COLOURS)}
_STRIKING = np.array([1.0 if name in ("brown", "black", "gray", "white") else 1.25 for name in COLOURS])
"""A green chair with wooden legs is a green chair: bright colours count a little more than those of wood and metal."""
STANDS_OUT = 0.35
"""Share of the votes that a colour needs to name the thing."""


class Appearance(msgspec.Struct, kw_only=True):
    """Weighted votes of pixels for colour words."""

    votes: dict[str, float] = {}

    def add(self, shares: Float[np.ndarray, " n_colours"], weight: float) -> None:
        """Add one view's shares of ``COLOURS``."""
        for index in np.flatnonzero(shares > 0.02).tolist():
            name = COLOURS[index]
            self.votes[name] = self.votes.get(name, 0.0) + weight * float(shares[index])

    def absorb(self, other: Appearance) -> None:
        """Add another's votes."""
        for name in sorted(other.votes):
            self.votes[name] = self.votes.get(name, 0.0) + other.votes[name]

    def shares(self) -> Float[np.ndarray, " n_colours"]:
        """Return the votes for ``COLOURS``, summing to 1; zeros if there are none."""
        votes = np.array([self.votes.get(name, 0.0) for name in COLOURS])
        total = votes.sum()
        return votes / total if total > 0 else votes


def colour_name(appearance: Appearance) -> str:
    """Return the colour word with the most votes; empty if none stands out."""
    shares = appearance.shares() * _STRIKING
    best = int(np.argmax(shares))
    return COLOURS[best] if shares[best] >= STANDS_OUT else ""


def similarity(a: Float[np.ndarray, " n_colours"], b: Float[np.ndarray, " n_colours"]) -> float:
    """Return the Bhattacharyya coefficient of two sets of shares, 0 to 1; 0.5 if either is unknown."""
    if a.sum() <= 0 or b.sum() <= 0:
        return 0.5
    return float(np.sqrt(a * b).sum())


def colour_index(rgb: UInt8[np.ndarray, "n 3"]) -> Int[np.ndarray, " n"]:
    """Return the index into ``COLOURS`` of each pixel."""
    channels = rgb.astype(np.float32)
    value = channels.max(axis=1)
    chroma = value - channels.min(axis=1)
    saturation = chroma / np.maximum(value, 1.0)
    hue = _hue_deg(channels, value, chroma)
    bounds = np.array([14.0, 42.0, 68.0, 170.0, 255.0, 300.0, 345.0])
    by_hue = np.array([_INDEX[n] for n in ("red", "orange", "yellow", "green", "blue", "purple", "pink", "red")])
    index = by_hue[np.searchsorted(bounds, hue)]
    # Orange that is dark or dull is brown; light, dull red is pink.
    warm = (hue < 42.0) | (hue > 345.0)
    orange = index == _INDEX["orange"]
    index[orange & ((value < 150.0) | (saturation < 0.55))] = _INDEX["brown"]
    index[warm & (index == _INDEX["red"]) & (saturation < 0.55) & (value > 150.0)] = _INDEX["pink"]
    index[warm & (index == _INDEX["red"]) & (saturation < 0.6) & (value <= 110.0)] = _INDEX["brown"]
    dull = (saturation < 0.2) | (chroma < 14.0)
    index[dull] = _INDEX["gray"]
    index[dull & (value > 135.0)] = _INDEX["white"]
    index[(value < 48.0)] = _INDEX["black"]
    return index


def _hue_deg(
    channels: Float[np.ndarray, "n 3"], value: Float[np.ndarray, " n"], chroma: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Return hues in degrees, in [0, 360); 0 for grays."""
    red, green, blue = channels[:, 0], channels[:, 1], channels[:, 2]
    divisor = np.maximum(chroma, 1e-6)
    hue = np.where(
        value == red,
        ((green - blue) / divisor) % 6.0,
        np.where(value == green, (blue - red) / divisor + 2.0, (red - green) / divisor + 4.0),
    )
    return np.where(chroma < 1e-6, 0.0, hue * 60.0)
