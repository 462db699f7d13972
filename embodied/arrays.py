"""Names for the arrays that cross package borders. No logic.

Shapes are checked under pytest only (``--jaxtyping-packages``); at run time the annotations cost nothing.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8, UInt16

Image = UInt8[np.ndarray, "height width 3"]
"""RGB."""
DepthMillimetres = UInt16[np.ndarray, "height width"]
"""Depth along the optical axis in millimetres, 0 where invalid: the form on the wire."""
DepthMetres = Float[np.ndarray, "height width"]
"""Depth along the optical axis in metres, 0 where invalid: the form in memory."""
Segments = UInt16[np.ndarray, "height width"]
"""Index of the segment at each pixel, 0 for none; indices mean nothing beyond their own frame."""
Mask = Bool[np.ndarray, "height width"]
Points = Float[np.ndarray, "n_points 3"]
Points2 = Float[np.ndarray, "n_points 2"]
Vector3 = Float[np.ndarray, "3"]
Quaternion = Float[np.ndarray, "4"]
"""x, y, z, w."""
Rotation = Float[np.ndarray, "3 3"]
Transform = Float[np.ndarray, "4 4"]
"""``T_a_b`` maps points of frame b to frame a."""
Twists = Float[np.ndarray, "n_steps 3"]
"""Body velocities: forward m/s, left m/s, counter-clockwise rad/s."""

__all__ = [
    "Bool",
    "DepthMetres",
    "DepthMillimetres",
    "Float",
    "Image",
    "Int",
    "Mask",
    "Points",
    "Points2",
    "Quaternion",
    "Rotation",
    "Segments",
    "Shaped",
    "Transform",
    "Twists",
    "UInt8",
    "UInt16",
    "Vector3",
]
