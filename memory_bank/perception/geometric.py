"""Things without classes: what stands on a horizontal surface, found from depth alone.

Tabletop segmentation in the manner of Holz et al., "Real-Time Plane Segmentation using RGB-D Cameras" (RoboCup 2011):
normals from the depth image, horizontal planes from the normals, clusters of what rises above each plane's footprint.
Labels stay empty; telling one cluster from another over time is the memory's work.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from embodied.arrays import Bool, Float, Int, Mask, Points
from embodied.config import Config
from embodied.errors import PerceptionError
from embodied.geometry import surface_normals, transform_points, unproject
from embodied.messages import Intrinsics
from memory_bank.perception.protocol import Detection, View

PointImage = Float[np.ndarray, "height width 3"]
PixelMap = Bool[np.ndarray, "height width"]


class GeometricConfig(Config):
    """What counts as a surface and as a thing on it."""

    stride_px: int = 2
    """Every n-th pixel is looked at; 2 makes 320x240 of a Kinect's image."""
    max_depth_m: float = 3.0
    """Farther depth is too coarse for small things."""
    level_cosine: float = 0.94
    """A surface is level if its normal is within acos(0.94) = 20 degrees of the vertical."""
    min_surface_m2: float = 0.08
    """Smaller surfaces carry nothing."""
    max_surfaces: int = 4
    """Surfaces looked for in one image, the largest first."""
    clearance_m: float = 0.015
    """What rises less above a surface belongs to it: paper, noise."""
    min_height_m: float = 0.035
    """A thing rises at least this much."""
    max_height_m: float = 0.6
    """What lies higher above the surface is not standing on it."""
    max_extent_m: float = 0.6
    """Wider clusters are furniture or walls."""
    min_pixels: int = 60
    """Of the looked-at pixels, in one cluster."""
    cell_m: float = 0.01
    """Grid on the surface in which clusters are connected."""


@dataclass(frozen=True)
class _Plane:
    """n . p + d = 0 with n pointing up."""

    normal: np.ndarray
    offset: float

    def height_m(self, points: np.ndarray) -> np.ndarray:
        return points @ self.normal.astype(points.dtype) + np.float32(self.offset)


def fit_plane(points: Points) -> tuple[Float[np.ndarray, 3], float]:
    """Return the upward unit normal and offset of the least-squares plane through the points."""
    center = points.mean(axis=0)
    _, _, directions = np.linalg.svd(np.cov((points - center).T))
    normal = directions[2] if directions[2, 2] > 0 else -directions[2]
    return normal, float(-normal @ center)


def find_surfaces(
    points: Points, areas_m2: Float[np.ndarray, " n_points"], config: GeometricConfig
) -> list[tuple[Float[np.ndarray, 3], float]]:
    """Find level planes among points whose own normals are level.

    Args:
        points: World frame, z up, metres.
        areas_m2: Area that each point stands for.
        config: Limits.

    Returns:
        Normal and offset of each plane, largest area first.
    """
    planes: list[tuple[np.ndarray, float]] = []
    points, areas_m2 = points.astype(np.float64), areas_m2.astype(np.float64)
    for _ in range(config.max_surfaces):
        if areas_m2.sum() < config.min_surface_m2:
            break
        bins = np.floor(points[:, 2] / 0.02).astype(int)
        lowest = int(bins.min())
        histogram = np.bincount(bins - lowest, weights=areas_m2)
        peak = int(np.argmax(np.convolve(histogram, np.ones(3), mode="same"))) + lowest
        near = np.abs(bins - peak) <= 1
        for _ in range(3):  # a table seen at a slant, or a world that is not quite upright, spreads over several bins
            if near.sum() < 20:
                break
            normal, offset = fit_plane(points[near])
            near = np.abs(points @ normal + offset) < config.clearance_m
        if near.sum() < 20 or areas_m2[near].sum() < config.min_surface_m2 or normal[2] < config.level_cosine:
            near = np.abs(bins - peak) <= 1
        else:
            planes.append((normal, offset))
            near = np.abs(points @ normal + offset) < 2 * config.clearance_m
        points, areas_m2 = points[~near], areas_m2[~near]
        if len(points) == 0:
            break
    return planes


class GeometricPerception:
    """Finds things on level surfaces. Needs depth and a world frame whose z axis is up; no masks, no training."""

    name = "geometric"

    def __init__(self, config: GeometricConfig | None = None) -> None:
        self.config = config or GeometricConfig()

    def detect(self, view: View) -> list[Detection]:
        """Return one detection with an empty label for each cluster.

        Raises:
            PerceptionError: There is no valid depth in the view.
        """
        config, stride = self.config, self.config.stride_px
        depth_m = view.depth_m[::stride, ::stride].astype(np.float32)
        valid = (depth_m > 0.2) & (depth_m < config.max_depth_m)
        if not (view.depth_m > 0).any():
            raise PerceptionError("geometric perception: the image has no valid depth")
        smooth = _smooth(depth_m, valid)
        intrinsics = _subsampled(view.intrinsics, stride, depth_m.shape)
        points = _to_world(smooth, intrinsics, view)
        normals, trusted = surface_normals(points, valid)
        # Distance along the axis squared over focal lengths: the area of a pixel facing the camera.
        areas_m2 = smooth**2 / (intrinsics.fx_px * intrinsics.fy_px)
        level = trusted & (np.abs(normals[..., 2]) > config.level_cosine)
        planes = find_surfaces(points[level], areas_m2[level], config)
        taken = np.zeros(valid.shape, dtype=bool)
        detections = []
        for normal, offset in sorted(planes, key=lambda p: p[1]):  # the highest surface first: it is the nearest below
            plane = _Plane(normal, offset)
            for mask in self._things_on(plane, points, valid & ~taken, level):
                taken |= mask
                detections.append(_detection(mask, view, stride))
        return detections

    def _things_on(self, plane: _Plane, points: PointImage, free: PixelMap, level: PixelMap) -> list[Mask]:
        """Return the masks of the clusters that rise from one surface."""
        config = self.config
        height_m = plane.height_m(points)
        surface = free & level & (np.abs(height_m) < config.clearance_m)
        if surface.sum() < 20:
            return []
        above = free & (height_m > config.clearance_m) & (height_m < config.max_height_m)
        origin = points[surface][:, :2].min(axis=0)
        extent = points[surface][:, :2].max(axis=0) - origin
        shape = tuple(int(n) + 1 for n in extent / config.cell_m)
        rows, columns = np.nonzero(above)
        cells = np.floor((points[rows, columns, :2] - origin) / config.cell_m).astype(int)
        inside = ((cells >= 0) & (cells < shape)).all(axis=1)
        rows, columns, cells = rows[inside], columns[inside], cells[inside]
        footprint = _footprint(points[surface][:, :2], origin, shape, config.cell_m)
        on = footprint[cells[:, 0], cells[:, 1]]
        rows, columns, cells = rows[on], columns[on], cells[on]
        cluster_of, n_clusters = self._clusters(cells, height_m[rows, columns], shape)
        masks = []
        for index in range(1, n_clusters + 1):
            chosen = cluster_of == index
            r, c = rows[chosen], columns[chosen]
            if self._is_thing(points[r, c], height_m[r, c]):
                mask = np.zeros(free.shape, dtype=bool)
                mask[r, c] = True
                masks.append(mask)
        return masks

    def _clusters(
        self, cells: Int[np.ndarray, "n_points 2"], height_m: Float[np.ndarray, " n_points"], shape: tuple[int, ...]
    ) -> tuple[Int[np.ndarray, " n_points"], int]:
        """Give each point the number of its cluster, from 1, or 0 for none.

        What rises to ``min_height_m`` decides which clusters there are, and what is lower joins the one beside it: a
        mug and the curled page next to it touch, but only near the table.
        """
        tall = np.zeros(shape, dtype=bool)
        chosen = cells[height_m > self.config.min_height_m]
        tall[chosen[:, 0], chosen[:, 1]] = True
        labels, n_clusters = ndimage.label(ndimage.binary_dilation(tall), structure=np.ones((3, 3)))
        return labels[cells[:, 0], cells[:, 1]], int(n_clusters)

    def _is_thing(self, points: Points, height_m: np.ndarray) -> bool:
        config = self.config
        if len(points) < config.min_pixels:
            return False
        low, high = np.percentile(points[:, :2], [2, 98], axis=0)
        tall_m, bottom_m = np.percentile(height_m, 97), np.percentile(height_m, 5)
        # What floats is the far edge of something behind the surface, not a thing upon it.
        return bool((high - low).max() <= config.max_extent_m and tall_m >= config.min_height_m and bottom_m < 0.08)


def _smooth(depth_m: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Average each valid pixel with its valid neighbours within 3 % of its own depth."""
    total, count = np.where(valid, depth_m, 0.0), valid.astype(np.float32)
    for axis in (0, 1):
        for shift in (-1, 1):
            other = np.roll(depth_m, shift, axis=axis)
            near = valid & np.roll(valid, shift, axis=axis) & (np.abs(other - depth_m) < 0.03 * depth_m)
            total, count = total + np.where(near, other, 0.0), count + near
    return (total / np.maximum(count, 1.0)).astype(np.float32)


def _subsampled(intrinsics: Intrinsics, stride: int, shape: tuple[int, int]) -> Intrinsics:
    return Intrinsics(
        width_px=shape[1],
        height_px=shape[0],
        fx_px=intrinsics.fx_px / stride,
        fy_px=intrinsics.fy_px / stride,
        cx_px=intrinsics.cx_px / stride,
        cy_px=intrinsics.cy_px / stride,
    )


def _to_world(depth_m: np.ndarray, intrinsics: Intrinsics, view: View) -> np.ndarray:
    points_camera = unproject(depth_m, intrinsics).reshape(-1, 3)
    return transform_points(view.T_world_camera, points_camera).reshape(*depth_m.shape, 3)


def _footprint(points: np.ndarray, origin: np.ndarray, shape: tuple[int, ...], cell_m: float) -> np.ndarray:
    """Return the cells that the surface covers, those hidden below things included."""
    seen = np.zeros(shape, dtype=bool)
    cells = np.floor((points - origin) / cell_m).astype(int)
    seen[cells[:, 0], cells[:, 1]] = True
    closing_cells = max(1, round(0.10 / cell_m))
    # Closing by distances is as cheap for wide gaps as for narrow ones.
    padded = np.pad(seen, closing_cells + 1)
    grown = ndimage.distance_transform_edt(~padded) <= closing_cells
    closed = ndimage.distance_transform_edt(grown) > closing_cells
    inner = closing_cells + 1
    return ndimage.binary_fill_holes(closed[inner:-inner, inner:-inner] | seen)


def _detection(mask: np.ndarray, view: View, stride: int) -> Detection:
    height, width = view.depth_m.shape
    full = np.repeat(np.repeat(mask, stride, axis=0), stride, axis=1)[:height, :width]
    touches = bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
    return Detection(mask=full, label="", score=min(1.0, float(mask.sum()) / 400.0), touches_border=touches)
