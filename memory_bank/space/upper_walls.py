"""Which cells of the map are wall from the floor to the ceiling, lintels of doors included: seen in keyframes.

Furniture ends below the height of a door, walls do not, and above a door there is wall too: in this band of heights
rooms are closed. Cameras on robots often see it from across a room; where they do not, ``rooms`` goes by shapes alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
from scipy import ndimage

from embodied.arrays import Bool, Int
from embodied.config import Config
from embodied.errors import StoreError
from memory_bank.episodes.keyframes import DEPTH_STRIDE_PX, Keyframe
from memory_bank.stores.rows import read_struct

_CELL_OFFSET = 1 << 20
"""Cells of the world are counted from here, so that a pair of them packs into one positive number."""


class UpperWallsConfig(Config):
    """What is above furniture and below the ceiling."""

    lowest_m: float = 2.09
    """Just above the opening of a door."""
    highest_m: float = 2.38
    """Below any ceiling, with the noise of its depth."""
    range_m: float = 5.0
    """Points farther away are ignored."""
    min_keyframes: int = 2
    """A cell counts if so many keyframes saw something in it."""
    min_cells: int = 6
    """Smaller patches are ignored."""
    close_cells: int = 7
    """Gaps up to this long are closed along both axes."""


class _Stored(msgspec.Struct, frozen=True):
    next_index: int
    n_keyframes: int
    resolution_m: float
    config: UpperWallsConfig
    keys: bytes
    """int64, little endian, as the counts."""
    counts: bytes


class UpperWalls:
    """Counts in how many keyframes each cell of the world had something in the band. Grows with each keyframe."""

    def __init__(self, resolution_m: float, config: UpperWallsConfig = UpperWallsConfig()) -> None:
        self.resolution_m = resolution_m
        self._config = config
        self._keys: Int[np.ndarray, " n"] = np.zeros(0, dtype=np.int64)
        self._counts: Int[np.ndarray, " n"] = np.zeros(0, dtype=np.int64)
        self._new: list[Int[np.ndarray, " n"]] = []
        self.n_keyframes = 0

    def to_bytes(self, next_index: int) -> bytes:
        """Return the counts for a store; ``next_index`` is the first keyframe that has not gone into them."""
        self._count()
        stored = _Stored(
            next_index, self.n_keyframes, self.resolution_m, self._config, self._keys.tobytes(), self._counts.tobytes()
        )
        return msgspec.msgpack.encode(stored)

    @classmethod
    def from_bytes(cls, data: bytes, resolution_m: float, config: UpperWallsConfig) -> tuple[UpperWalls, int] | None:
        """Read what ``to_bytes`` wrote, and ``next_index``; None if it was counted with other settings.

        Raises:
            StoreError: The bytes are damaged.
        """
        stored = read_struct("upper walls", data, _Stored)
        if stored.resolution_m != resolution_m or stored.config != config:
            return None
        if len(stored.keys) != len(stored.counts) or len(stored.keys) % 8:
            raise StoreError("upper walls: damaged (as many counts as cells were expected)")
        walls = cls(resolution_m, config)
        walls.n_keyframes = stored.n_keyframes
        walls._keys = np.frombuffer(stored.keys, dtype="<i8").astype(np.int64)
        walls._counts = np.frombuffer(stored.counts, dtype="<i8").astype(np.int64)
        return walls, stored.next_index

    def add(self, keyframes: Iterable[Keyframe]) -> None:
        """Take in further keyframes."""
        for keyframe in keyframes:
            self._new.append(self._cells_of(keyframe))
            self.n_keyframes += 1

    def _cells_of(self, keyframe: Keyframe) -> Int[np.ndarray, " n"]:
        depth_m = keyframe.depth_m()
        intrinsics, T = keyframe.intrinsics, keyframe.T
        row, column = np.nonzero(depth_m)
        z = depth_m[row, column].astype(float)
        x = (column * DEPTH_STRIDE_PX - intrinsics.cx_px) / intrinsics.fx_px * z
        y = (row * DEPTH_STRIDE_PX - intrinsics.cy_px) / intrinsics.fy_px * z
        points = np.stack([x, y, z], axis=1) @ T[:3, :3].T
        near = np.hypot(points[:, 0], points[:, 1]) <= self._config.range_m
        points = points[near] + T[:3, 3]
        band = (points[:, 2] >= self._config.lowest_m) & (points[:, 2] <= self._config.highest_m)
        cells = np.floor(points[band, :2] / self.resolution_m).astype(np.int64) + _CELL_OFFSET
        return np.unique(cells[:, 1] << 32 | cells[:, 0])

    def _count(self) -> None:
        if self._new:
            keys = np.concatenate([self._keys, *self._new])
            counts = np.concatenate([self._counts, *(np.ones(len(new), dtype=np.int64) for new in self._new)])
            self._keys, place = np.unique(keys, return_inverse=True)
            self._counts = np.bincount(place, weights=counts, minlength=len(self._keys)).astype(np.int64)
            self._new = []

    def mask(self, shape: tuple[int, int], origin_m: tuple[float, float]) -> Bool[np.ndarray, "rows columns"]:
        """Return the cells of a map that are wall up to the ceiling, small gaps closed.

        Args:
            shape: Rows and columns of the map.
            origin_m: World x, y of the corner of its cell (0, 0).
        """
        self._count()
        keys = self._keys[self._counts >= self._config.min_keyframes]
        origin = np.round(np.array(origin_m) / self.resolution_m).astype(np.int64)
        rows = (keys >> 32) - _CELL_OFFSET - origin[1]
        columns = (keys & 0xFFFFFFFF) - _CELL_OFFSET - origin[0]
        inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
        seen = np.zeros(shape, dtype=bool)
        seen[rows[inside], columns[inside]] = True
        return self._tidied(seen)

    def _tidied(self, seen: Bool[np.ndarray, "rows columns"]) -> Bool[np.ndarray, "rows columns"]:
        n = self._config.close_cells
        along_x = ndimage.binary_closing(np.pad(seen, n), structure=np.ones((1, n), dtype=bool))[n:-n, n:-n]
        along_y = ndimage.binary_closing(np.pad(seen, n), structure=np.ones((n, 1), dtype=bool))[n:-n, n:-n]
        closed = along_x | along_y
        patches, n_patches = ndimage.label(closed, structure=np.ones((3, 3)))
        large = np.bincount(patches.ravel(), minlength=n_patches + 1) >= self._config.min_cells
        large[0] = False
        tidied: Bool[np.ndarray, "rows columns"] = large[patches]
        return tidied
