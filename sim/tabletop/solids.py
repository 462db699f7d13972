"""What the picture is made of: upright prisms over convex outlines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from embodied.arrays import Float, Points, Points2

Color = Tuple[float, float, float]
"""Red, green, blue, 0 to 1."""


@dataclass(frozen=True, eq=False)
class Prism:
    """An upright prism in the frame ``base``, metres."""

    outline: Points2
    """Convex, counter-clockwise seen from above."""
    low_m: float
    high_m: float
    color: Color

    def corners(self) -> Points:
        """Return the corners of the bottom, then those of the top."""
        n = len(self.outline)
        corners = np.empty((2 * n, 3))
        corners[:n, :2] = corners[n:, :2] = self.outline
        corners[:n, 2], corners[n:, 2] = self.low_m, self.high_m
        return corners

    def planes(self) -> Tuple[Points, Float[np.ndarray, " n_faces"]]:
        """Return outward unit normals n and offsets d: inside, n . p <= d. The sides first, then bottom and top."""
        n = len(self.outline)
        edges = np.roll(self.outline, -1, axis=0) - self.outline
        normals = np.zeros((n + 2, 3))
        normals[:n, 0], normals[:n, 1] = edges[:, 1], -edges[:, 0]
        normals[:n] /= np.hypot(edges[:, 0], edges[:, 1])[:, None]
        normals[n, 2], normals[n + 1, 2] = -1.0, 1.0
        offsets = np.empty(n + 2)
        offsets[:n] = (normals[:n, :2] * self.outline).sum(axis=1)
        offsets[n], offsets[n + 1] = -self.low_m, self.high_m
        return normals, offsets


def rectangle(
    x_m: float, y_m: float, half_length_m: float, half_width_m: float, direction: Tuple[float, float] = (1.0, 0.0)
) -> Points2:
    """Return the outline of a rectangle about a point; its length lies along ``direction``, a unit vector."""
    along, across = np.array(direction) * half_length_m, np.array([-direction[1], direction[0]]) * half_width_m
    return np.array([x_m, y_m]) + np.stack([-along - across, along - across, along + across, across - along])


def disc(x_m: float, y_m: float, radius_m: float, n_sides: int = 12) -> Points2:
    """Return the outline of a regular polygon about a point."""
    angles = np.arange(n_sides) * (2.0 * np.pi / n_sides)
    return np.array([x_m, y_m]) + radius_m * np.stack([np.cos(angles), np.sin(angles)], axis=1)
