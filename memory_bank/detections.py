"""From masks and depth to measured things: world points, box, completeness, colours.

Masks are handled in the crop around them; what concerns the whole image (edges of depth) is computed once a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embodied.arrays import Bool, DepthMetres, Float, Image, Int, Mask, Points, Transform, Vector3
from embodied.config import Config
from embodied.geometry import pixel_rays
from embodied.messages import Intrinsics
from memory_bank.appearance import COLOURS, colour_index
from memory_bank.perception.protocol import Detection


class DetectionConfig(Config):
    """What makes a mask usable."""

    min_pixels: int = 12
    """Masks with fewer pixels of valid depth are dropped."""
    max_points: int = 320
    """A mask is thinned to about so many points."""
    max_distance_m: float = 6.0
    """Things whose middle is farther away are dropped: their depth is mostly noise."""
    edge_m: float = 0.06
    """A step between neighbouring pixels, beyond what slant and noise explain, that is an edge of depth …"""
    edge_relative: float = 0.04
    """… plus this share of the depth."""
    gap_m: float = 0.25
    """Depths of a mask that are farther apart than this …"""
    gap_relative: float = 0.05
    """… plus this share of the depth belong to two things; the larger part is kept."""
    occluded_share: float = 0.12
    """A thing is partly hidden if so much of its contour borders on something clearly nearer."""
    colour_pixels: int = 48
    """Pixels of a mask that are asked for their colour."""


@dataclass(frozen=True)
class Measured:
    """One detection in the world."""

    label: str
    score: float
    points: Points
    """float32, world frame, thinned and cleaned."""
    low_m: Vector3
    high_m: Vector3
    """Corners of the box around the points."""
    distance_m: float
    """Median depth."""
    n_pixels: int
    """Of the whole mask."""
    partial: bool
    """It goes on outside the image or behind something nearer."""
    bounds_px: tuple[int, int, int, int]
    """First row, last row + 1, first column, last column + 1 of the mask."""
    colour_shares: Float[np.ndarray, " n_colours"]

    @property
    def center_m(self) -> Vector3:
        """Middle of the box."""
        return 0.5 * (self.low_m + self.high_m)

    @property
    def longest_m(self) -> float:
        """Longest side of the box."""
        return float((self.high_m - self.low_m).max())


@dataclass(frozen=True)
class MeasuredFrame:
    """All detections of one view."""

    things: tuple[Measured, ...]
    owner: Int[np.ndarray, "height width"]
    """int16: 1 + index into ``things`` of the mask at each pixel, 0 for none."""


class RayCache:
    """Rays of the cameras met so far."""

    def __init__(self) -> None:
        self._rays: dict[bytes, Float[np.ndarray, "height width 3"]] = {}

    def rays(self, intrinsics: Intrinsics) -> Float[np.ndarray, "height width 3"]:
        """Return ``geometry.pixel_rays``."""
        key = repr(intrinsics).encode()
        if key not in self._rays:
            self._rays[key] = pixel_rays(intrinsics)
        return self._rays[key]


def depth_edges(depth_m: DepthMetres, config: DetectionConfig) -> Mask:
    """Return the pixels beside a step in depth, where a sensor mixes two surfaces.

    Inverse depth is linear over the image of any plane, so its second difference tells a step from a slanted surface.
    """
    edges = np.zeros(depth_m.shape, dtype=bool)
    inverse = 1.0 / np.maximum(depth_m, np.float32(0.1))
    # A step of s metres at depth z is one of s / z^2 in inverse depth.
    limit = (np.float32(config.edge_m) * inverse + np.float32(config.edge_relative)) * inverse
    twice = 2.0 * inverse
    edges[:, 1:-1] = np.abs(inverse[:, 2:] - twice[:, 1:-1] + inverse[:, :-2]) > limit[:, 1:-1]
    edges[1:-1] |= np.abs(inverse[2:] - twice[1:-1] + inverse[:-2]) > limit[1:-1]
    return edges


def measure_frame(
    detections: Sequence[Detection],
    rgb: Image,
    depth_m: DepthMetres,
    rays: Float[np.ndarray, "height width 3"],
    T_world_camera: Transform,
    config: DetectionConfig,
) -> MeasuredFrame:
    """Measure all detections of a view; those without enough depth are left out."""
    owner = np.zeros(depth_m.shape, dtype=np.int16)
    edges = depth_edges(depth_m, config)
    things: list[Measured] = []
    for detection in detections:
        thing = _measure(detection, rgb, depth_m, edges, rays, T_world_camera, config)
        if thing is not None:
            things.append(thing)
            owner[detection.mask] = len(things)
    return MeasuredFrame(things=tuple(things), owner=owner)


def _measure(
    detection: Detection,
    rgb: Image,
    depth_m: DepthMetres,
    edges: Mask,
    rays: Float[np.ndarray, "height width 3"],
    T_world_camera: Transform,
    config: DetectionConfig,
) -> Measured | None:
    """Measure one detection; None if too little of it has depth."""
    pixels = np.flatnonzero(detection.mask)
    if len(pixels) < config.min_pixels:
        return None
    depths = depth_m.ravel()[pixels]
    inner = (depths > 0) & ~edges.ravel()[pixels]
    if np.count_nonzero(inner) < max(config.min_pixels, 0.3 * len(pixels)):
        inner = depths > 0  # A thin thing is all edge.
    usable, z = pixels[inner], depths[inner]
    if len(usable) < config.min_pixels:
        return None
    middle = float(np.median(z))
    if middle > config.max_distance_m:
        return None
    step = max(1, len(usable) // config.max_points)
    usable, z = usable[step // 2 :: step], z[step // 2 :: step]
    near = main_body(z, config.gap_m, config.gap_relative)
    usable, z = usable[near], z[near]
    camera_points = rays.reshape(-1, 3)[usable] * z[:, None]
    points = camera_points @ T_world_camera[:3, :3].T.astype(np.float32) + T_world_camera[:3, 3].astype(np.float32)
    width = depth_m.shape[1]
    rows, columns = pixels // width, pixels % width
    bounds = (int(rows[0]), int(rows[-1]) + 1, int(columns.min()), int(columns.max()) + 1)
    hidden = occluded_share(detection.mask, depth_m, bounds) > config.occluded_share
    return Measured(
        label=detection.label,
        score=detection.score,
        points=points,
        low_m=points.min(axis=0),
        high_m=points.max(axis=0),
        distance_m=middle,
        n_pixels=len(pixels),
        partial=detection.touches_border or hidden,
        bounds_px=bounds,
        colour_shares=_colours(rgb, usable, config.colour_pixels),
    )


def main_body(z: Float[np.ndarray, " n"], gap_m: float, gap_relative: float) -> Bool[np.ndarray, " n"]:
    """Tell which depths belong to the largest group without gaps: what shows through a mask lies far behind it."""
    order = np.argsort(z)
    ordered = z[order]
    group = np.zeros(len(z), dtype=np.int64)
    group[1:] = np.cumsum(np.diff(ordered) > gap_m + gap_relative * ordered[:-1])
    if group[-1] == 0:
        return np.ones(len(z), dtype=bool)
    keep = np.zeros(len(z), dtype=bool)
    keep[order] = group == np.argmax(np.bincount(group))
    return keep


def occluded_share(mask: Mask, depth_m: DepthMetres, bounds_px: tuple[int, int, int, int]) -> float:
    """Return the share of a mask's contour behind which something clearly nearer begins."""
    top, bottom, left, right = bounds_px
    rows = slice(max(0, top - 1), bottom + 1)
    columns = slice(max(0, left - 1), right + 1)
    inside, depth = mask[rows, columns], depth_m[rows, columns]
    n_contour = n_hidden = 0
    for a, b in (
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
        ((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
    ):
        contour = inside[a] != inside[b]
        if not contour.any():
            continue
        here_inside = inside[a][contour]
        first, second = depth[a][contour], depth[b][contour]
        own, other = np.where(here_inside, first, second), np.where(here_inside, second, first)
        known = (own > 0) & (other > 0)
        n_contour += int(np.count_nonzero(known))
        n_hidden += int(np.count_nonzero(known & (other < own * 0.95 - 0.08)))
    return n_hidden / n_contour if n_contour else 0.0


def _colours(rgb: Image, pixels: Int[np.ndarray, " n"], n_pixels: int) -> Float[np.ndarray, " n_colours"]:
    """Return the shares of the colour words in a thinned set of pixels."""
    chosen = pixels[:: max(1, len(pixels) // n_pixels)]
    counts = np.bincount(colour_index(rgb.reshape(-1, 3)[chosen]), minlength=len(COLOURS))
    return counts / max(1, len(chosen))
