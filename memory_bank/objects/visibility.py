"""What the depth image says of known tracks: still there, seen through, hidden, or out of view.

An object that was not detected is no evidence of its absence; a surface measured clearly *behind* where it should stand
is (ray tests against depth as in Khronos, Schmid et al., 2024, and DynaMem, Liu et al., 2024).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embodied.arrays import Bool, DepthMetres, Float, Int, Points, Points2, Transform, Vector3
from embodied.config import Config
from embodied.geometry import invert, transform_points
from embodied.messages import Intrinsics, Point


class VisibilityConfig(Config):
    """Margins of the ray test."""

    n_samples: int = 32
    """Points of a track that are projected in a frame."""
    border_px: int = 3
    """Points nearer to the image's edge are left alone: the pose is not that exact."""
    margin_m: float = 0.03
    """Depth must lie so far behind a point to see through it …"""
    margin_relative: float = 0.012
    """… plus this share of the distance …"""
    margin_quadratic: float = 0.006
    """… plus this times the distance squared in metres: noise of stereo and structured light."""
    max_distance_m: float = 5.0
    """Points farther away are left alone."""
    min_distance_m: float = 0.3
    """Points nearer too."""


@dataclass(frozen=True)
class Sighting:
    """Where sampled points of several tracks fall in one view. Row i speaks of the i-th track handed in."""

    n_through: Int[np.ndarray, " n_tracks"]
    """Points in front of the measured surface by more than the margin."""
    n_surface: Int[np.ndarray, "n_tracks n_owners"]
    """Points on the measured surface, by where they fall: into no mask (column 0) or into mask i (column i + 1)."""
    n_masked: Int[np.ndarray, "n_tracks n_owners"]
    """Points on the surface or in front of it, likewise."""
    distance_m: Float[np.ndarray, " n_tracks"]
    """Mean depth of the points in view; inf if there are none."""
    point_track: Int[np.ndarray, " n_points"]
    point_through: Bool[np.ndarray, " n_points"]
    """For each sampled point in the order handed in: its track, and whether it was seen through."""
    point_px: Points2
    """Where it falls in the image."""
    point_exposed: Bool[np.ndarray, " n_points"]
    """Whether it lies on the measured surface or before it."""

    @property
    def n_seen(self) -> Int[np.ndarray, " n_tracks"]:
        """Points that say something: neither out of view nor behind something, be it the thing's own front."""
        seen: Int[np.ndarray, " n_tracks"] = self.n_through + self.n_surface.sum(axis=1)
        return seen

    def breadth_px(self, track: int) -> float:
        """Return how broad the visible points of a track are in the image, across their longer direction.

        What is seen nearly edge on is narrower than the error of the pose, and then seems to be seen through.
        """
        points = self.point_px[(self.point_track == track) & self.point_exposed]
        if len(points) < 3:
            return 0.0
        least = float(np.linalg.eigvalsh(np.cov(points.T))[0])
        return float(np.sqrt(12.0 * max(least, 0.0)))


def near_frustum(
    centers_m: Points, radii_m: Float[np.ndarray, " n"], T_world_camera: Transform, intrinsics: Intrinsics, far_m: float
) -> Int[np.ndarray, " k"]:
    """Return the indices of spheres that may reach into the view. One pass over plain arrays."""
    T_camera_world = invert(T_world_camera)
    points = centers_m @ T_camera_world[:3, :3].T + T_camera_world[:3, 3]
    x, y, z = points[:, 0], points[:, 1], points[:, 2]
    slope_x = max(intrinsics.cx_px, intrinsics.width_px - intrinsics.cx_px) / intrinsics.fx_px
    slope_y = max(intrinsics.cy_px, intrinsics.height_px - intrinsics.cy_px) / intrinsics.fy_px
    reach_x, reach_y = radii_m * np.hypot(1.0, slope_x), radii_m * np.hypot(1.0, slope_y)
    inside = (z > -radii_m) & (z < far_m + radii_m)
    inside &= (np.abs(x) <= z * slope_x + reach_x) & (np.abs(y) <= z * slope_y + reach_y)
    return np.flatnonzero(inside)


def frustum_bounds(T_world_camera: Transform, intrinsics: Intrinsics, far_m: float) -> tuple[Vector3, Vector3]:
    """Return the lower and upper corner of the axis-aligned box around all that a camera sees up to a depth."""
    u = (np.array([-0.5, intrinsics.width_px - 0.5]) - intrinsics.cx_px) / intrinsics.fx_px
    v = (np.array([-0.5, intrinsics.height_px - 0.5]) - intrinsics.cy_px) / intrinsics.fy_px
    corners = np.array([[0.0, 0.0, 0.0], *([far_m * x, far_m * y, far_m] for x in u for y in v)])
    world = transform_points(T_world_camera, corners)
    return world.min(axis=0), world.max(axis=0)


def _pixels_of(
    points: Points, T_world_camera: Transform, intrinsics: Intrinsics
) -> tuple[Float[np.ndarray, " n_points"], Float[np.ndarray, " n_points"], Float[np.ndarray, " n_points"]]:
    """Return column, row and depth of world points; what lies behind the camera has a depth below 0 and no pixel."""
    in_camera = transform_points(invert(T_world_camera), points)
    z = in_camera[:, 2]
    safe = np.maximum(z, 1e-3)
    u = np.rint(intrinsics.fx_px * in_camera[:, 0] / safe + intrinsics.cx_px)
    v = np.rint(intrinsics.fy_px * in_camera[:, 1] / safe + intrinsics.cy_px)
    return u, v, z


def look_at(
    samples: Sequence[Float[np.ndarray, "_ 3"]],
    coarseness_m: Float[np.ndarray, " n_tracks"],
    depth_m: DepthMetres,
    owner: Int[np.ndarray, "height width"],
    n_owners: int,
    T_world_camera: Transform,
    intrinsics: Intrinsics,
    config: VisibilityConfig,
) -> Sighting:
    """Project points of tracks into a view and compare them with depth and masks.

    Args:
        samples: World points of each track.
        coarseness_m: How far from the surface the points of each track may lie, beyond noise.
        depth_m: Measured depth.
        owner: 1 + index of the mask at each pixel, 0 for none.
        n_owners: Masks + 1.
        T_world_camera: Pose of the camera.
        intrinsics: Of the depth image.
        config: Margins.
    """
    n_tracks = len(samples)
    lengths = np.array([len(points) for points in samples], dtype=np.int64)
    track = np.repeat(np.arange(n_tracks), lengths)
    points = np.concatenate(samples) if n_tracks else np.zeros((0, 3), dtype=np.float32)
    u, v, z = _pixels_of(points, T_world_camera, intrinsics)
    border = config.border_px
    inside = (z > config.min_distance_m) & (z < config.max_distance_m) & (u >= border) & (v >= border)
    inside &= (u < intrinsics.width_px - border) & (v < intrinsics.height_px - border)
    pixel = np.where(inside, v * intrinsics.width_px + u, 0).astype(np.int64)
    measured = depth_m.ravel()[pixel]
    inside &= measured > 0
    margin = config.margin_m + config.margin_relative * z + config.margin_quadratic * z * z
    margin = margin + coarseness_m.astype(np.float32)[track]
    through = inside & (measured > z + margin)
    exposed = inside & (measured >= z - margin)
    cells = track * n_owners + owner.ravel()[pixel]

    def by_track(which: Bool[np.ndarray, " n"]) -> Int[np.ndarray, " n_tracks"]:
        return np.bincount(track[which], minlength=n_tracks)

    def by_owner(which: Bool[np.ndarray, " n"]) -> Int[np.ndarray, "n_tracks n_owners"]:
        return np.bincount(cells[which], minlength=n_tracks * n_owners).reshape(n_tracks, n_owners)

    n_in_view = by_track(inside)
    total_z = np.bincount(track[inside], weights=z[inside], minlength=n_tracks)
    return Sighting(
        n_through=by_track(through),
        n_surface=by_owner(exposed & ~through),
        n_masked=by_owner(exposed),
        distance_m=np.where(n_in_view > 0, total_z / np.maximum(n_in_view, 1), np.inf),
        point_track=track,
        point_through=through,
        point_px=np.stack([u, v], axis=1),
        point_exposed=exposed,
    )


def aside_rad(T_world_camera: Transform, position_m: Point | Vector3) -> float:
    """Return by how much the camera's heading misses a point, on the floor plan."""
    forward, towards = T_world_camera[:2, 2], np.asarray(position_m)[:2] - T_world_camera[:2, 3]
    across = float(forward[0] * towards[1] - forward[1] * towards[0])
    return abs(math.atan2(across, float(forward @ towards)))
