"""Which way is up, from depth images alone: for recordings whose world frame is not level and that carry no IMU."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from embodied.arrays import Float, Rotation, Vector3


def estimate_up(normals: Sequence[Float[np.ndarray, "_ 3"]], nominal_up: Vector3, *, cone_rad: float = 0.8) -> Vector3:
    """Return the direction that most level-looking surface agrees on.

    Floors, tables and counters share one normal; walls stand across it. So: the densest direction among the normals
    within a cone about the nominal one, refined by averaging (mean shift on the sphere).

    Args:
        normals: Unit normals in the world frame, facing the camera, one array a frame.
        nominal_up: Roughly up, unit length.
        cone_rad: How wrong ``nominal_up`` may be.

    Raises:
        ValueError: Too few normals point upwards.
    """
    pool = np.concatenate([np.asarray(n, dtype=float) for n in normals]) if normals else np.zeros((0, 3))
    pool = pool[pool @ nominal_up > np.cos(cone_rad)]
    if len(pool) < 100:
        raise ValueError(f"normals: expected 100 or more that point within {cone_rad} rad of up, got {len(pool)}")
    candidates = pool[:: max(1, len(pool) // 200)]
    votes = ((candidates @ pool.T) > np.cos(0.1)).sum(axis=1)
    up = candidates[int(np.argmax(votes))]
    for _ in range(10):
        near = pool[pool @ up > np.cos(0.1)]
        up = near.mean(axis=0)
        up /= np.linalg.norm(up)
    return up


def rotation_to_z(up: Vector3) -> Rotation:
    """Return the smallest rotation that takes the unit vector ``up`` to the z axis."""
    z = np.array([0.0, 0.0, 1.0])
    axis, cosine = np.cross(up, z), float(up @ z)
    if cosine < -1 + 1e-9:
        return np.diag([1.0, -1.0, -1.0])
    K = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + K + K @ K / (1 + cosine)
