"""What the robot's camera can see of the floor plan: its mount and field, and rays cast over a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied.arrays import Bool, Float, Int, Points2
from embodied.messages import CameraFrame
from policies.navigation.grid import FREE, OCCUPIED, UNKNOWN, Grid


@dataclass(frozen=True)
class CameraView:
    """Mount and field of the camera that looks ahead."""

    forward_m: float = 0.0
    """In front of the robot's middle."""
    height_m: float = 1.25
    pitch_rad: float = 0.35
    """Downwards."""
    horizontal_fov_rad: float = np.pi / 2
    vertical_fov_rad: float = np.pi / 2

    @classmethod
    def of(cls, camera: CameraFrame) -> CameraView:
        """Read mount and field from what a camera sends with its pictures."""
        axis = camera.T_base_camera[:3, 2]
        intrinsics = camera.intrinsics
        return cls(
            forward_m=float(camera.T_base_camera[0, 3]),
            height_m=float(camera.T_base_camera[2, 3]),
            pitch_rad=float(np.arcsin(np.clip(-axis[2], -1.0, 1.0))),
            horizontal_fov_rad=float(2 * np.arctan(intrinsics.width_px / (2 * intrinsics.fx_px))),
            vertical_fov_rad=float(2 * np.arctan(intrinsics.height_px / (2 * intrinsics.fy_px))),
        )

    @property
    def steepest_rad(self) -> float:
        """Below the horizon, of the lower edge of the picture in its middle column."""
        return min(self.pitch_rad + self.vertical_fov_rad / 2, 1.5)

    @property
    def highest_rad(self) -> float:
        """Above the horizon, of the upper edge of the picture in its middle column."""
        return self.vertical_fov_rad / 2 - self.pitch_rad

    def nearest_floor_m(self) -> float:
        """Return how far from the camera, along the floor, the picture begins."""
        return self.height_m / float(np.tan(self.steepest_rad))

    def shows_height(
        self, height_m: float, distance_m: Float[np.ndarray, " n"], margin_rad: float
    ) -> Bool[np.ndarray, " n"]:
        """Tell whether a point at a height and distances along the floor is between the picture's edges."""
        down_rad = np.arctan2(self.height_m - height_m, np.maximum(distance_m, 1e-6))
        return (down_rad <= self.steepest_rad - margin_rad) & (down_rad >= -self.highest_rad + margin_rad)


@dataclass(frozen=True)
class SightRules:
    """How far a ray gets on a floor plan that does not know heights."""

    range_m: float
    """Rays end here."""
    over_occupied_m: float
    """A ray goes on over this much of what it meets: the camera looks over tables and beds, not through walls."""
    into_unknown_m: float
    """A ray goes on through this much of the unknown."""


def coarsen(occupancy: Int[np.ndarray, "rows columns"], factor: int) -> Int[np.ndarray, "coarse_rows coarse_columns"]:
    """Join ``factor`` x ``factor`` cells: occupied if any is, else free if any is."""
    blocks = _blocks(occupancy, factor, UNKNOWN)
    joined = np.where((blocks == FREE).any(axis=(-3, -1)), FREE, UNKNOWN)
    return np.where((blocks == OCCUPIED).any(axis=(-3, -1)), OCCUPIED, joined).astype(np.uint8)


def sum_blocks(
    values: Float[np.ndarray, "layers rows columns"], factor: int
) -> Float[np.ndarray, "layers coarse_rows coarse_columns"]:
    """Return the sums over blocks of ``factor`` x ``factor`` cells."""
    return _blocks(values, factor, 0).sum(axis=(-3, -1))


def _blocks(values: np.ndarray, factor: int, fill: float) -> np.ndarray:
    """Split the last two axes into blocks, filling up the last ones."""
    *layers, n_rows, n_columns = values.shape
    ends = (0, -n_rows % factor), (0, -n_columns % factor)
    padded = np.pad(values, (*((0, 0) for _ in layers), *ends), constant_values=fill)
    return padded.reshape(*layers, padded.shape[-2] // factor, factor, padded.shape[-1] // factor, factor)


@dataclass(frozen=True)
class Sight:
    """Rays from several places: what each passes over, and whether it can be seen from there."""

    angles_rad: Float[np.ndarray, " n_angles"]
    distances_m: Float[np.ndarray, " n_distances"]
    index: Int[np.ndarray, "n_places n_angles n_distances"]
    """Flat index of the cell at each sample; meaningless where not visible."""
    visible: Bool[np.ndarray, "n_places n_angles n_distances"]


def cast_rays(
    occupancy: Int[np.ndarray, "rows columns"],
    grid: Grid,
    resolution_m: float,
    places_m: Points2,
    angles_rad: Float[np.ndarray, " n_angles"],
    rules: SightRules,
) -> Sight:
    """Look along rays from places on a floor plan (of any resolution, with the grid's origin).

    A ray passes free cells, ``over_occupied_m`` of the first run of occupied ones and ``into_unknown_m`` of unknown
    ones, and ends where free or unknown follows occupied.
    """
    distances = np.arange(0.5 * resolution_m, rules.range_m, resolution_m)
    rows, columns = occupancy.shape
    x = (places_m[:, 0, None] - grid.origin_m[0]) / resolution_m
    y = (places_m[:, 1, None] - grid.origin_m[1]) / resolution_m
    ahead = (distances / resolution_m).astype(np.float32)
    column = np.floor(x[:, :, None] + np.cos(angles_rad)[None, :, None] * ahead).astype(np.int32)
    row = np.floor(y[:, :, None] + np.sin(angles_rad)[None, :, None] * ahead).astype(np.int32)
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    index = np.where(inside, row * columns + column, 0)
    kind = np.where(inside, occupancy.ravel()[index], UNKNOWN)
    occupied, unknown = kind == OCCUPIED, kind == UNKNOWN
    n_occupied = np.cumsum(occupied, axis=2, dtype=np.int16)
    n_unknown = np.cumsum(unknown, axis=2, dtype=np.int16)
    beyond = np.maximum.accumulate(~occupied & (n_occupied > 0), axis=2)
    visible = inside & ~beyond
    visible &= n_occupied <= max(1, round(rules.over_occupied_m / resolution_m))
    visible &= n_unknown <= max(1, round(rules.into_unknown_m / resolution_m))
    return Sight(angles_rad, distances, index, visible)
