"""From masks and depth to measured things: world points, box, completeness, colours.

The work of a frame is bounded by the number of masks, not by their size: of large ones only some pixels are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embodied.arrays import Bool, DepthMetres, Float, Image, Int, Mask, Points, Transform, Vector3
from embodied.config import Config
from embodied.geometry import pixel_rays
from embodied.messages import Intrinsics
from memory_bank.objects.appearance import COLOURS, colour_index
from memory_bank.perception.protocol import Detection


class DetectionConfig(Config):
    """What makes a mask usable."""

    min_pixels: int = 12
    """Masks with fewer pixels of valid depth are dropped."""
    max_looked_at: int = 2000
    """Of a large mask about so many pixels are looked at …"""
    max_points: int = 320
    """… and of those that are usable about so many become points."""
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


def beside_edge(depth_m: DepthMetres, pixels: Int[np.ndarray, " n"], config: DetectionConfig) -> Bool[np.ndarray, " n"]:
    """Tell which pixels, by flat index, lie beside a step in depth, where a sensor mixes two surfaces.

    Inverse depth is linear over the image of any plane, so its second difference tells a step from a slanted surface.
    """
    height, width = depth_m.shape
    columns, last = pixels % width, height * width - 1
    flat = depth_m.ravel()

    def inverse(at: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        return np.float32(1.0) / np.maximum(flat.take(at), np.float32(0.1))

    middle = inverse(pixels)
    # A step of s metres at depth z is one of s / z^2 in inverse depth.
    limit = (np.float32(config.edge_m) * middle + np.float32(config.edge_relative)) * middle
    twice = 2.0 * middle
    across = inverse(np.minimum(pixels + 1, last)) - twice + inverse(np.maximum(pixels - 1, 0))
    down = inverse(np.minimum(pixels + width, last)) - twice + inverse(np.maximum(pixels - width, 0))
    edge = (np.abs(across) > limit) & (columns > 0) & (columns < width - 1)
    edge |= (np.abs(down) > limit) & (pixels >= width) & (pixels < (height - 1) * width)
    return edge


def measure_frame(
    detections: Sequence[Detection],
    rgb: Image,
    depth_m: DepthMetres,
    rays: Float[np.ndarray, "height width 3"],
    T_world_camera: Transform,
    config: DetectionConfig,
) -> MeasuredFrame:
    """Measure all detections of a view; those without enough depth are left out.

    What is done for each pixel is done for those of all masks together.
    """
    owner = np.zeros(depth_m.shape, dtype=np.int16)
    bodies = _bodies(detections, depth_m, config)
    if not bodies:
        return MeasuredFrame(things=(), owner=owner)
    pixels = np.concatenate([body.pixels for body in bodies])
    z = np.concatenate([body.depths_m for body in bodies])
    R, t = T_world_camera[:3, :3].astype(np.float32), T_world_camera[:3, 3].astype(np.float32)
    points = (rays.reshape(-1, 3).take(pixels, axis=0) * z[:, None]) @ R.T + t
    starts = np.cumsum([0, *(len(body.pixels) for body in bodies)])
    low = np.minimum.reduceat(points, starts[:-1], axis=0)
    high = np.maximum.reduceat(points, starts[:-1], axis=0)
    colours = _colours(rgb, [body.pixels for body in bodies], config.colour_pixels)
    things = []
    for i, body in enumerate(bodies):
        bounds_px = _bounds(body, depth_m.shape[1])
        owner.ravel()[body.mask_pixels] = i + 1
        partial = body.detection.touches_border
        partial = partial or occluded_share(body.detection.mask, depth_m, bounds_px) > config.occluded_share
        things.append(
            Measured(
                label=body.detection.label,
                score=body.detection.score,
                points=points[starts[i] : starts[i + 1]],
                low_m=low[i],
                high_m=high[i],
                distance_m=body.distance_m,
                n_pixels=len(body.mask_pixels),
                partial=partial,
                bounds_px=bounds_px,
                colour_shares=colours[i],
            )
        )
    return MeasuredFrame(things=tuple(things), owner=owner)


@dataclass(frozen=True)
class _Body:
    """A mask with enough depth."""

    detection: Detection
    mask_pixels: Int[np.ndarray, " n"]
    """All of them, by flat index, rising."""
    pixels: Int[np.ndarray, " n_thinned"]
    """Those that show the thing itself, thinned."""
    depths_m: Float[np.ndarray, " n_thinned"]
    distance_m: float


def _bodies(detections: Sequence[Detection], depth_m: DepthMetres, config: DetectionConfig) -> list[_Body]:
    """Return what of each detection shows the thing itself: neither mixed pixels nor what is seen through it."""
    masks = [(d, np.flatnonzero(d.mask)) for d in detections]
    masks = [(d, pixels) for d, pixels in masks if len(pixels) >= config.min_pixels]
    if not masks:
        return []
    looked = [pixels[_thinning(len(pixels), config.max_looked_at)] for _, pixels in masks]
    ends = np.cumsum([len(pixels) for pixels in looked])
    everything = np.concatenate(looked)
    all_z = depth_m.ravel().take(everything)
    all_valid = all_z > 0
    all_inner = all_valid & ~beside_edge(depth_m, everything, config)
    bodies = []
    for (detection, mask_pixels), pixels, end in zip(masks, looked, ends.tolist(), strict=True):
        part = slice(end - len(pixels), end)
        inner, z = all_inner[part], all_z[part]
        if np.count_nonzero(inner) < max(config.min_pixels, 0.3 * len(pixels)):
            inner = all_valid[part]  # A thin thing is all edge.
        usable = np.flatnonzero(inner)
        if len(usable) < config.min_pixels:
            continue
        usable = usable[_thinning(len(usable), config.max_points)]
        middle = float(np.partition(z[usable], len(usable) // 2)[len(usable) // 2])
        if middle > config.max_distance_m:
            continue
        usable = usable[main_body(z[usable], config.gap_m, config.gap_relative)]
        bodies.append(_Body(detection, mask_pixels, pixels[usable], z[usable], middle))
    return bodies


def _thinning(n: int, most: int) -> slice:
    """Return which of ``n`` to take to have about ``most``, evenly."""
    step = max(1, n // most)
    return slice(step // 2, None, step)


def _bounds(body: _Body, width: int) -> tuple[int, int, int, int]:
    """Return first row, last row + 1, first column, last column + 1 of a mask."""
    top, bottom = int(body.mask_pixels[0]) // width, int(body.mask_pixels[-1]) // width + 1
    columns = np.flatnonzero(body.detection.mask[top:bottom].any(axis=0))
    return top, bottom, int(columns[0]), int(columns[-1]) + 1


def main_body(z: Float[np.ndarray, " n"], gap_m: float, gap_relative: float) -> Bool[np.ndarray, " n"]:
    """Tell which depths belong to the largest group without gaps: what shows through a mask lies far behind it."""
    ordered = np.sort(z)
    gaps = ordered[1:] - ordered[:-1] > gap_m + gap_relative * ordered[:-1]
    if not gaps.any():
        return np.ones(len(z), dtype=bool)
    order = np.argsort(z)
    group = np.append(0, np.cumsum(gaps))
    keep = np.zeros(len(z), dtype=bool)
    keep[order] = group == np.argmax(np.bincount(group))
    return keep


def occluded_share(mask: Mask, depth_m: DepthMetres, bounds_px: tuple[int, int, int, int]) -> float:
    """Return the share of a mask's contour behind which something clearly nearer begins; of large ones in steps."""
    top, bottom, left, right = bounds_px
    stride = max(1, min(bottom - top, right - left) // 64)
    rows = slice(max(0, top - stride), bottom + stride, stride)
    columns = slice(max(0, left - stride), right + stride, stride)
    inside, depth = np.ascontiguousarray(mask[rows, columns]), np.ascontiguousarray(depth_m[rows, columns])
    width = inside.shape[1]
    across, down = np.flatnonzero(inside[:, 1:] != inside[:, :-1]), np.flatnonzero(inside[1:] != inside[:-1])
    across += across // max(1, width - 1)  # Its rows are a column shorter.
    first = np.concatenate([across, down])
    second = np.concatenate([across + 1, down + width])
    is_first = inside.ravel().take(first)
    a, b = depth.ravel().take(first), depth.ravel().take(second)
    own, other = np.where(is_first, a, b), np.where(is_first, b, a)
    known = (own > 0) & (other > 0)
    n_contour = int(np.count_nonzero(known))
    n_hidden = int(np.count_nonzero(known & (other < own * np.float32(0.95) - np.float32(0.08))))
    return n_hidden / n_contour if n_contour else 0.0


def _colours(
    rgb: Image, pixels: Sequence[Int[np.ndarray, " _"]], n_pixels: int
) -> Float[np.ndarray, "n_masks n_colours"]:
    """Return the shares of the colour words in each of several sets of pixels, thinned to about ``n_pixels``."""
    chosen = [some[:: max(1, len(some) // n_pixels)] for some in pixels]
    lengths = np.array([len(some) for some in chosen])
    index = colour_index(rgb.reshape(-1, 3)[np.concatenate(chosen)])
    cells = np.repeat(np.arange(len(chosen)), lengths) * len(COLOURS) + index
    counts = np.bincount(cells, minlength=len(chosen) * len(COLOURS)).reshape(len(chosen), len(COLOURS))
    return counts / np.maximum(lengths, 1)[:, None]
