"""Boxes with a vertical axis: around points, fitted to a cloud, and how much two of them share.

A box is turned only where its footprint clearly is: most rooms are built at right angles, and a box that turns with the
noise of a round or half-seen thing would be worse than one that does not.
"""

from __future__ import annotations

import math

import numpy as np

from embodied.arrays import Bool, Float, Int, Points, Points2, Rotation, Vector3
from embodied.messages import Box
from memory_bank.geometry.kernels import box_overlap, box_rows
from memory_bank.geometry.voxels import VoxelCloud

TURNED_FROM_M = 0.28
"""Footprints shorter than this are not turned: their voxels are too few to tell …"""
TURNED_FROM_VOXELS = 8
"""… nor are those that are this many voxels long."""
TURNED_AREA = 0.85
"""A turned rectangle must be smaller than the straight one by this factor …"""
KEPT_AREA = 0.93
"""… and once turned, a box stays so while it is by this one; another turn must beat the present one likewise."""
LEAST_TURN_RAD = math.radians(6.0)
"""Less than this off the axes is noise."""
LIKE_AREA = 1.12
"""Rectangles up to this factor larger than the smallest are told apart by how near their sides the points lie."""
_COLUMN_MASK = (1 << 21) - 1
"""Of a voxel's key without its height: the bits of y."""
_ANGLES = np.radians(np.arange(0.0, 90.0, 3.0))
_FINE = np.radians(np.array([-2.0, -1.0, 0.0, 1.0, 2.0]))


def box_between(low: Vector3, high: Vector3) -> Box:
    """Return the axis-aligned box between two corners."""
    return _box(0.5 * (low + high), high - low, 0.0)


def box_bounds(box: Box) -> tuple[Vector3, Vector3]:
    """Return the lower and upper corner of the axis-aligned box around a box that may be turned."""
    center, half = np.array(box.center_m), 0.5 * np.array(box.size_m)
    if box.yaw_rad:
        cos, sin = abs(math.cos(box.yaw_rad)), abs(math.sin(box.yaw_rad))
        half[:2] = cos * half[0] + sin * half[1], sin * half[0] + cos * half[1]
    return center - half, center + half


def points_in_box(points: Points, box: Box, slack_m: float = 0.0) -> Bool[np.ndarray, " n_points"]:
    """Tell which points lie in a box that is ``slack_m`` larger on all sides."""
    offsets = points - np.array(box.center_m)
    if box.yaw_rad:
        offsets = np.column_stack([_rotated(offsets[:, :2], box.yaw_rad), offsets[:, 2]])
    within: Bool[np.ndarray, " n_points"] = (np.abs(offsets) <= 0.5 * np.array(box.size_m) + slack_m).all(axis=1)
    return within


def rotation_of(box: Box) -> Rotation:
    """Return ``R_world_box``."""
    cosine, sine = math.cos(box.yaw_rad), math.sin(box.yaw_rad)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def rays_through_box(
    origin_m: Vector3, rays: Float[np.ndarray, "n 3"], box: Box, slack_m: float
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return where rays enter and leave a box that is ``slack_m`` larger on all sides, in lengths of each ray.

    A ray that misses it leaves before it enters; of one that starts past it, both are negative.
    """
    R = rotation_of(box)
    start, along = (origin_m - np.array(box.center_m)) @ R, rays @ R
    along = np.where(np.abs(along) < 1e-12, 1e-12, along)
    half = 0.5 * np.array(box.size_m) + slack_m
    a, b = (-half - start) / along, (half - start) / along
    return np.minimum(a, b).max(axis=1), np.maximum(a, b).min(axis=1)


def shared_volume_m3(a: Box, b: Box) -> float:
    """Return the volume that two boxes share."""
    (length_a, width_a, _), (length_b, width_b, _) = a.size_m, b.size_m
    reach_m = 0.5 * (length_a + width_a + length_b + width_b)
    if abs(a.center_m[0] - b.center_m[0]) > reach_m or abs(a.center_m[1] - b.center_m[1]) > reach_m:
        return 0.0  # Most pairs of a map are far apart, and should cost nothing.
    if a.yaw_rad or b.yaw_rad:
        return float(box_overlap(box_rows([a]), box_rows([b])).shared_m3[0, 0])
    (low_a, high_a), (low_b, high_b) = box_bounds(a), box_bounds(b)
    return float(np.prod(np.maximum(np.minimum(high_a, high_b) - np.maximum(low_a, low_b), 0.0)))


def share_within(inner: Box, outer: Box) -> float:
    """Return the share of a box's volume that lies in another."""
    volume = math.prod(inner.size_m)
    return min(1.0, shared_volume_m3(inner, outer) / volume) if volume > 0 else 0.0


def fitted_box(cloud: VoxelCloud, before: Box | None = None, search: bool = True) -> Box:
    """Return the box around the solid voxels of a cloud, turned where its footprint clearly is.

    The turn is that of the smallest rectangle (its yaw in -45 to 45 degrees). Of a thing that was seen from one side
    only the corner of two faces is known, around which several rectangles are equally small; then the one is meant
    along whose sides the points lie (as in the fitting of L-shapes, Zhang et al., 2017, "closeness").

    Args:
        cloud: At least one voxel.
        before: The box so far: its turn is kept unless another is clearly better.
        search: Look for a turn; otherwise that of ``before`` is kept as it is, which is cheap.

    Raises:
        ValueError: The cloud is empty.
    """
    points = cloud.solid_points()
    if len(points) == 0:
        raise ValueError("cloud: expected at least one voxel, got none")
    # The surface lies anywhere in its voxel: on average, and with a little noise, the centre of the outermost ones.
    yaw_rad = before.yaw_rad if before is not None else 0.0
    if search:
        yaw_rad = _turn(cloud, yaw_rad)
    x, y, z = np.ascontiguousarray(points.T)  # Along rows least and greatest are found ten times faster.
    low_m, high_m = float(z.min()), float(z.max())
    if yaw_rad:
        x, y = np.ascontiguousarray(_rotated(points[:, :2], yaw_rad).T)
    west, east, south, north = float(x.min()), float(x.max()), float(y.min()), float(y.max())
    middle = np.array([[0.5 * (west + east), 0.5 * (south + north)]])
    middle = _rotated(middle, -yaw_rad)[0] if yaw_rad else middle[0]
    center = np.array([middle[0], middle[1], 0.5 * (low_m + high_m)])
    return _box(center, np.array([east - west, north - south, high_m - low_m]), yaw_rad)


# ------------------------------------------------------------------------------------------- inside


def _box(center: Vector3, size: Vector3, yaw_rad: float) -> Box:
    """Return a box with no side of no length, in tenths of a millimetre."""
    x, y, z = center.tolist()
    length, width, height = size.tolist()
    return Box(
        center_m=(round(x, 4), round(y, 4), round(z, 4)),
        size_m=(round(max(length, 1e-3), 4), round(max(width, 1e-3), 4), round(max(height, 1e-3), 4)),
        yaw_rad=round(yaw_rad, 4),
    )


def _rotated(xy: Points2, yaw_rad: float) -> Points2:
    """Return points in axes that are turned by ``yaw_rad``."""
    c, s = math.cos(yaw_rad), math.sin(yaw_rad)
    return xy @ np.array([[c, -s], [s, c]], dtype=xy.dtype)


def _footprint(
    keys: Int[np.ndarray, " n"], voxel_m: float
) -> tuple[Float[np.ndarray, "n_columns 2"], Float[np.ndarray, "n_ends 2"]]:
    """Return the centres of sorted voxels seen from above, each column once, and of these the ends of each row.

    All corners of the convex hull are among the ends. Coordinates begin nearby, so that float32 is exact.
    """
    columns = keys >> 21
    columns = columns[np.append(True, columns[1:] != columns[:-1])]
    rows = columns >> 21
    changes = rows[1:] != rows[:-1]
    is_end = np.append(True, changes) | np.append(changes, True)
    xy = np.column_stack([rows - rows[0], (columns & _COLUMN_MASK) - (columns[0] & _COLUMN_MASK)])
    xy = xy.astype(np.float32) * np.float32(voxel_m)
    return xy, xy[is_end]


def _turn(cloud: VoxelCloud, before_rad: float) -> float:
    """Return the turn of a cloud's footprint, 0 where it is not clearly turned."""
    voxel_m = cloud.size_m
    xy, ends = _footprint(cloud.solid_keys(), voxel_m)
    span = ends.max(axis=0) - ends.min(axis=0)
    if float(span.max()) < max(TURNED_FROM_M, TURNED_FROM_VOXELS * voxel_m):
        return 0.0
    area = _areas(ends, np.append(_ANGLES, before_rad), voxel_m)
    if not before_rad and area.min() > TURNED_AREA * area[0]:
        return 0.0
    candidates = (_ANGLES[area[:-1] <= LIKE_AREA * area.min()][:, None] + _FINE[None]).ravel()
    best_rad = float(candidates[int(np.argmin(_looseness(xy, candidates)))])
    best = float(_areas(ends, np.array([best_rad]), voxel_m)[0])
    best_rad = best_rad - math.pi / 2 if best_rad > math.pi / 4 else best_rad
    if before_rad and best > KEPT_AREA * area[-1]:
        best_rad, best = before_rad, float(area[-1])
    needed = KEPT_AREA if before_rad else TURNED_AREA
    return best_rad if best <= needed * area[0] and abs(best_rad) >= LEAST_TURN_RAD else 0.0


def _areas(xy: Points2, angles_rad: Float[np.ndarray, " n"], voxel_m: float) -> Float[np.ndarray, " n"]:
    """Return the areas of the rectangles around a footprint that are turned by some angles, voxels counted whole."""
    c, s = np.cos(angles_rad), np.sin(angles_rad)
    along = xy @ np.concatenate([np.stack([c, s]), np.stack([-s, c])], axis=1).astype(np.float32)
    # A voxel is broader across its corners: without that, round things would seem to stand on a corner.
    broad_m = voxel_m * np.tile(np.abs(c) + np.abs(s), 2)
    span = np.ptp(along, axis=0).astype(float) + broad_m
    return span[: len(c)] * span[len(c) :]


def _looseness(xy: Points2, angles_rad: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return the mean distance of a footprint's points from the nearest side of the rectangle turned by each angle."""
    c, s = np.cos(angles_rad), np.sin(angles_rad)
    along = xy @ np.concatenate([np.stack([c, s]), np.stack([-s, c])], axis=1).astype(np.float32)
    to_side = np.minimum(along - along.min(axis=0), along.max(axis=0) - along)
    loose: Float[np.ndarray, " n"] = np.minimum(to_side[:, : len(c)], to_side[:, len(c) :]).mean(axis=0)
    return loose
