"""What the robot's camera can see of the floor plan: its mount and field, and rays cast over a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied.arrays import Bool, Float, Int, UInt8
from embodied.messages import CameraFrame
from policies.navigation.grid import FREE, OCCUPIED, UNKNOWN


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

    def inside_rad(self, height_m: float, distance_m: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Return how far inside the picture's upper and lower edge a point at a height and distances is; else < 0."""
        down_rad = np.arctan2(self.height_m - height_m, np.maximum(distance_m, 1e-6))
        return np.minimum(self.steepest_rad - down_rad, down_rad + self.highest_rad)


@dataclass(frozen=True)
class SightRules:
    """How far a ray gets on a floor plan that does not know heights."""

    range_m: float
    """Rays end here."""
    over_occupied_m: float
    """A ray goes on over this much of what it meets: the camera looks over tables and beds, not through walls."""
    into_unknown_m: float
    """A ray goes on through this much of the unknown."""


def coarsen(
    occupancy: UInt8[np.ndarray, "rows columns"], factor: int
) -> UInt8[np.ndarray, "coarse_rows coarse_columns"]:
    """Join ``factor`` x ``factor`` cells: occupied if any is, else free if any is."""
    blocks = _blocks(occupancy, factor, UNKNOWN)
    joined = np.where((blocks == FREE).any(axis=(-3, -1)), FREE, UNKNOWN)
    return np.where((blocks == OCCUPIED).any(axis=(-3, -1)), OCCUPIED, joined).astype(np.uint8)


def sum_blocks(
    values: Float[np.ndarray, "layers rows columns"], factor: int
) -> Float[np.ndarray, "layers coarse_rows coarse_columns"]:
    """Return the sums over blocks of ``factor`` x ``factor`` cells."""
    return _blocks(values, factor, 0).sum(axis=(-3, -1))


def _blocks(values: np.ndarray, factor: int, fill: int) -> np.ndarray:
    """Split the last two axes into blocks, filling up the last ones."""
    *layers, n_rows, n_columns = values.shape
    ends = (0, -n_rows % factor), (0, -n_columns % factor)
    padded = np.pad(values, (*((0, 0) for _ in layers), *ends), constant_values=fill)
    return padded.reshape(*layers, padded.shape[-2] // factor, factor, padded.shape[-1] // factor, factor)


@dataclass(frozen=True)
class Sight:
    """Rays from several places: what each passes over, and whether it can be seen from there."""

    distances_m: Float[np.ndarray, " n_distances"]
    kind: UInt8[np.ndarray, "n_places n_angles n_distances"]
    """UNKNOWN, FREE or OCCUPIED of the cell at each sample; beyond the map unknown."""
    visible: Bool[np.ndarray, "n_places n_angles n_distances"]
    index: Int[np.ndarray, "n_places n_angles n_distances"]
    """Flat index of the cell at each sample, in layers padded as ``pad`` does."""


class FloorPlan:
    """Cells to look over, with a border so wide that no ray leaves it."""

    def __init__(self, occupancy: UInt8[np.ndarray, "rows columns"], resolution_m: float, rules: SightRules) -> None:
        self.resolution_m = resolution_m
        self.rules = rules
        self.shape = occupancy.shape
        self._border = int(np.ceil(rules.range_m / resolution_m)) + 1
        self._occupancy = self.pad(occupancy)
        self._distances_m = np.arange(1, int(rules.range_m / resolution_m) + 1) * resolution_m

    def pad(self, layer: np.ndarray) -> np.ndarray:
        """Return the last two axes with the border around them, filled with 0."""
        return np.pad(layer, (*((0, 0) for _ in layer.shape[:-2]), (self._border,) * 2, (self._border,) * 2))

    def unpad(self, layer: np.ndarray) -> np.ndarray:
        """Take the border off again."""
        return layer[..., self._border : -self._border, self._border : -self._border]

    @property
    def padded_shape(self) -> tuple[int, int]:
        """Rows and columns with the border."""
        rows, columns = self._occupancy.shape
        return rows, columns

    def look(self, cells: Int[np.ndarray, "n_places 2"], angles_rad: Float[np.ndarray, " n_angles"]) -> Sight:
        """Look along rays from the middles of cells; the cells themselves are not looked at.

        A ray passes free cells, ``over_occupied_m`` of the first run of occupied ones and ``into_unknown_m`` of unknown
        ones, and ends where free or unknown follows occupied.
        """
        n_columns = self._occupancy.shape[1]
        ahead = self._distances_m / self.resolution_m
        rows = np.rint(np.sin(angles_rad)[:, None] * ahead).astype(np.int32)
        columns = np.rint(np.cos(angles_rad)[:, None] * ahead).astype(np.int32)
        start = ((cells[:, 0] + self._border) * n_columns + cells[:, 1] + self._border).astype(np.int32)
        index = start[:, None, None] + (rows * n_columns + columns)[None]
        kind = self._occupancy.ravel()[index]
        occupied = kind == OCCUPIED
        n_occupied = np.cumsum(occupied, axis=2, dtype=np.uint8)
        n_unknown = np.cumsum(kind == UNKNOWN, axis=2, dtype=np.uint8)
        beyond = np.logical_or.accumulate(~occupied & (n_occupied > 0), axis=2)
        visible = n_occupied <= max(1, round(self.rules.over_occupied_m / self.resolution_m))
        visible &= n_unknown <= max(1, round(self.rules.into_unknown_m / self.resolution_m))
        visible &= ~beyond
        return Sight(self._distances_m, kind, visible, index)
