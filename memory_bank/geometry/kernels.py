"""Geometry of many boxes and many points at once: overlap of oriented boxes, nearest neighbours, chamfer distance.

Boxes are rows of (centre x, y, z, size x, y, z, yaw) in metres and radians; the axis of the turn is vertical. Each
function takes a backend: ``numpy`` (with scipy's k-d tree), ``pytorch3d`` (its compiled operations, in float32), or
``auto``, which is ``pytorch3d`` where its operations run and ``numpy`` elsewhere. Both give the same answers, but
for about one in a thousand pairs of turned boxes that pytorch3d 0.7.9 cuts wrongly (random points side with numpy). The
default is ``numpy``: on a processor its trees are several times faster than comparing all points with all.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from embodied.arrays import Float, Int, Points
from embodied.errors import ConfigurationError
from embodied.messages import Box

Backend = str
"""``auto``, ``numpy`` or ``pytorch3d``."""
BoxRows = Float[np.ndarray, "n_boxes 7"]
Rows = Float[np.ndarray, "n _"]
OtherRows = Float[np.ndarray, "m _"]
Table = Float[np.ndarray, "n m"]

THINNEST_M = 1e-3
"""Boxes count as at least this thick: what is flat has a volume then, and can be compared."""
_CHUNK_PAIRS = 1 << 15
_CORNERS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=float) / 2
"""Of a unit footprint, counter-clockwise."""


@dataclass(frozen=True)
class Overlap:
    """How much each box of one set (rows) shares with each of another (columns)."""

    shared_m3: Table
    """Volume of the intersection."""
    iou: Table
    """… as a part of the union, 0 to 1."""
    iom: Table
    """… as a part of the smaller one of the two, 0 to 1: near 1 where one lies in the other."""


def box_rows(boxes: Sequence[Box]) -> BoxRows:
    """Return boxes as rows, float64."""
    return np.array([(*b.center_m, *b.size_m, b.yaw_rad) for b in boxes], dtype=float).reshape(-1, 7)


def box_overlap(a: Rows, b: OtherRows, backend: Backend = "numpy") -> Overlap:
    """Compare all boxes with all.

    Args:
        a: (n, 7), see the module.
        b: (m, 7).
        backend: See the module.

    Raises:
        ValueError: Not rows of seven finite numbers, or a size below 0.
        ConfigurationError: ``pytorch3d`` is asked for and cannot run.
    """
    a, b = _checked_boxes("a", a), _checked_boxes("b", b)
    if len(a) == 0 or len(b) == 0:
        shared = np.zeros((len(a), len(b)))
    elif _chosen(backend) == "pytorch3d":
        shared = _shared_by_pytorch3d(a, b)
    else:
        shared = shared_footprint(a, b) * _shared_heights(a, b)
    volume_a, volume_b = a[:, 3:6].prod(axis=1)[:, None], b[:, 3:6].prod(axis=1)[None]
    shared = np.minimum(shared, np.minimum(volume_a, volume_b))
    return Overlap(shared, shared / (volume_a + volume_b - shared), shared / np.minimum(volume_a, volume_b))


def shared_footprint(a: Rows, b: OtherRows) -> Table:
    """Return the area in m² that the footprints of two sets of boxes share.

    The plane is folded onto the rectangle of b by clamping both coordinates in its frame. All that lies outside folds
    onto its edges, which have no area, so the area that the folded outline of a goes around is that of the
    intersection. An outline stays one of straight lines if it is cut where it crosses the lines of the edges of b.
    """
    area = np.zeros((len(a), len(b)))
    reach = 0.5 * (np.hypot(a[:, 3], a[:, 4])[:, None] + np.hypot(b[:, 3], b[:, 4])[None])
    near = np.hypot(a[:, None, 0] - b[None, :, 0], a[:, None, 1] - b[None, :, 1]) < reach
    rows, columns = np.nonzero(near)
    for start in range(0, len(rows), _CHUNK_PAIRS):
        i, j = rows[start : start + _CHUNK_PAIRS], columns[start : start + _CHUNK_PAIRS]
        area[i, j] = _footprint_pairs(a[i], b[j])
    return area


def nearest(
    points: Rows, others: OtherRows, k: int = 1, backend: Backend = "numpy"
) -> tuple[Float[np.ndarray, "n k"], Int[np.ndarray, "n k"]]:
    """Return distances in metres to the ``k`` nearest of some other points, and their indices, nearest first.

    Raises:
        ValueError: Points that are not (n, 3) and finite, or fewer others than ``k``.
        ConfigurationError: ``pytorch3d`` is asked for and cannot run.
    """
    points, others = _checked_points("points", points), _checked_points("others", others)
    if not 1 <= k <= len(others):
        raise ValueError(f"k: expected 1 to {len(others)} neighbours among as many points, got {k}")
    if len(points) == 0:
        return np.zeros((0, k)), np.zeros((0, k), dtype=np.int64)
    if _chosen(backend) == "pytorch3d":
        torch, ops = _pytorch3d()
        p, q = (torch.from_numpy(each.astype(np.float32))[None] for each in (points, others))
        found = ops.knn_points(p, q, K=k)
        return np.sqrt(found.dists[0].numpy().astype(float)), found.idx[0].numpy()
    distances, indices = cKDTree(others).query(points, k=[*range(1, k + 1)])
    return np.asarray(distances, dtype=float), np.asarray(indices, dtype=np.int64)


def chamfer_m(a: Rows, b: OtherRows, backend: Backend = "numpy") -> float:
    """Return the chamfer distance of two sets of points: the mean of both mean distances to the nearest of the other.

    Distances, not their squares, so that the answer is in metres (Fan et al., 2017, use squares).

    Raises:
        ValueError: A set is empty, or not of finite points.
        ConfigurationError: ``pytorch3d`` is asked for and cannot run.
    """
    for name, points in (("a", a), ("b", b)):
        if len(points) == 0:
            raise ValueError(f"{name}: expected at least one point, got none")
    there, back = nearest(a, b, 1, backend)[0], nearest(b, a, 1, backend)[0]
    return 0.5 * (float(there.mean()) + float(back.mean()))


# ------------------------------------------------------------------------------------------- numpy


def _footprint_pairs(a: BoxRows, b: BoxRows) -> Float[np.ndarray, " n"]:
    """Return the area that the footprints of the i-th of both share."""
    # The outline of a, in the frame of b.
    turn, cos, sin = a[:, 6] - b[:, 6], np.cos(b[:, 6]), np.sin(b[:, 6])
    dx, dy = a[:, 0] - b[:, 0], a[:, 1] - b[:, 1]
    x0, y0 = cos * dx + sin * dy, cos * dy - sin * dx
    local = _CORNERS[None] * a[:, None, 3:5]
    c, s = np.cos(turn)[:, None], np.sin(turn)[:, None]
    x = x0[:, None] + c * local[:, :, 0] - s * local[:, :, 1]
    y = y0[:, None] + s * local[:, :, 0] + c * local[:, :, 1]
    half_x, half_y = 0.5 * b[:, 3, None], 0.5 * b[:, 4, None]
    # Along each side: where it crosses the lines of the edges of b, as a share of its length.
    along_x, along_y = np.roll(x, -1, axis=1) - x, np.roll(y, -1, axis=1) - y
    cuts = [np.zeros_like(x)]
    for at, along, half in ((x, along_x, half_x), (y, along_y, half_y)):
        safe = np.where(np.abs(along) < 1e-12, np.inf, along)
        cuts += [np.clip((half - at) / safe, 0.0, 1.0), np.clip((-half - at) / safe, 0.0, 1.0)]
    t = np.sort(np.stack(cuts, axis=2), axis=2)
    n = len(a)
    u = np.clip(x[:, :, None] + t * along_x[:, :, None], -half_x[:, :, None], half_x[:, :, None]).reshape(n, -1)
    v = np.clip(y[:, :, None] + t * along_y[:, :, None], -half_y[:, :, None], half_y[:, :, None]).reshape(n, -1)
    area = 0.5 * (u * np.roll(v, -1, axis=1) - v * np.roll(u, -1, axis=1)).sum(axis=1)
    return np.maximum(area, 0.0)


def _shared_heights(a: Rows, b: OtherRows) -> Table:
    """Return the length that the heights of two sets of boxes share."""
    top = np.minimum((a[:, 2] + 0.5 * a[:, 5])[:, None], (b[:, 2] + 0.5 * b[:, 5])[None])
    bottom = np.maximum((a[:, 2] - 0.5 * a[:, 5])[:, None], (b[:, 2] - 0.5 * b[:, 5])[None])
    return np.maximum(top - bottom, 0.0)


def _checked_boxes(name: str, rows: Rows) -> BoxRows:
    """Return boxes as float64 that have a volume."""
    rows = np.asarray(rows, dtype=float)
    if rows.ndim != 2 or rows.shape[1] != 7 or not np.isfinite(rows).all() or (rows[:, 3:6] < 0).any():
        raise ValueError(f"{name}: expected finite rows of centre, size >= 0 and yaw, got shape {rows.shape}")
    rows = rows.copy()
    rows[:, 3:6] = np.maximum(rows[:, 3:6], THINNEST_M)
    return rows


def _checked_points(name: str, points: Rows) -> Points:
    """Return finite points."""
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise ValueError(f"{name}: expected finite points (n, 3), got shape {points.shape}")
    return points


# ------------------------------------------------------------------------------------------- pytorch3d


def _chosen(backend: Backend) -> str:
    """Return what will do the work."""
    if backend not in ("auto", "numpy", "pytorch3d"):
        raise ValueError(f"backend: expected auto, numpy or pytorch3d, got {backend!r}")
    if backend == "auto":
        return "pytorch3d" if pytorch3d_runs() else "numpy"
    return backend


@functools.cache
def pytorch3d_runs() -> bool:
    """Tell whether the compiled operations of pytorch3d can be used; its pure Python parts may be there without."""
    try:
        _pytorch3d()
    except ConfigurationError:
        return False
    return True


def _pytorch3d() -> tuple[Any, Any]:
    """Return ``torch`` and ``pytorch3d.ops``."""
    try:
        import torch
        from pytorch3d import _C, ops  # noqa: F401 (the compiled part: without it `ops` imports and fails when called)
    except (ImportError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(
            f"pytorch3d: its compiled operations cannot be loaded ({reason}); use the numpy backend, or a wheel of "
            "pytorch3d built for the torch that is installed"
        ) from error
    return torch, ops


def _shared_by_pytorch3d(a: Rows, b: OtherRows) -> Table:
    """Return shared volumes by ``box3d_overlap``."""
    torch, ops = _pytorch3d()
    shared = np.zeros((len(a), len(b)))
    # It compares all with all, refuses faces of less than 1e-4 m², and works in float32: each pair of boxes that may
    # touch is told in the frame and by the thinnest sides of the first.
    near = (shared_footprint(a, b) > 0) & (_shared_heights(a, b) > 0)
    for i, j in np.argwhere(near).tolist():
        pair = np.stack([a[i], b[j]])
        pair[:, :3] -= a[i, :3]
        scale = 0.05 / min(0.05, float(pair[:, 3:6].min()))
        pair[:, :6] *= scale
        corners = torch.from_numpy(_box_corners(pair).astype(np.float32))
        volume, _ = ops.box3d_overlap(corners[:1], corners[1:])
        shared[i, j] = float(volume[0, 0]) / scale**3
    return shared


def _box_corners(rows: BoxRows) -> Float[np.ndarray, "n_boxes 8 3"]:
    """Return the corners in pytorch3d's order: counter-clockwise below, then above."""
    cos, sin = np.cos(rows[:, 6, None]), np.sin(rows[:, 6, None])
    local = _CORNERS[None] * rows[:, None, 3:5]
    x = rows[:, 0, None] + cos * local[..., 0] - sin * local[..., 1]
    y = rows[:, 1, None] + sin * local[..., 0] + cos * local[..., 1]
    layers = [np.stack([x, y, np.broadcast_to(z[:, None], x.shape)], axis=2) for z in _bottoms_and_tops(rows)]
    return np.concatenate(layers, axis=1)


def _bottoms_and_tops(rows: BoxRows) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return the lowest and highest z of each box."""
    return rows[:, 2] - 0.5 * rows[:, 5], rows[:, 2] + 0.5 * rows[:, 5]
