"""A 2D occupancy map from depth: log-odds in 5 cm cells (Moravec and Elfes, 1985; Thrun et al., 2005, ch. 9).

Each depth image becomes a virtual laser scan: pixels are sorted by azimuth; what stands between the floor and the
robot's height is an obstacle, and the ray is free up to the first one, as far as anything was seen at all.
"""

from __future__ import annotations

import msgspec
import numpy as np
from scipy import ndimage

from embodied.arrays import Bool, DepthMetres, Float, Int, Transform, UInt8
from embodied.config import Config
from embodied.errors import StoreError
from embodied.messages import MapReply

UNKNOWN, FREE, OCCUPIED = 0, 1, 2


class OccupancyConfig(Config):
    """Geometry and evidence of the map."""

    resolution_m: float = 0.05
    """Side of a cell."""
    lowest_m: float = 0.08
    """Things from this height on are obstacles …"""
    lowest_relative: float = 0.025
    """… plus this times the distance: the pose tilts and depth is noisy far away …"""
    highest_m: float = 1.4
    """… up to this height: the robot drives under the rest."""
    range_m: float = 4.5
    """Pixels farther away are ignored."""
    stride_px: int = 2
    """Every so many rows and columns are used …"""
    max_columns: int = 160
    """… or fewer, if the image is so wide that more columns than this would be: they are as dense as the cells then."""
    n_azimuths: int = 192
    """Rays of the virtual scan."""
    hit: float = 0.9
    """Log-odds of a cell with an obstacle in it."""
    free: float = -0.35
    """Log-odds of a cell that a ray passed."""
    limit: float = 4.0
    """Log-odds stay within plus and minus this, so that what moved is soon forgotten."""
    occupied_from: float = 0.6
    """Log-odds from which a cell counts as occupied …"""
    free_to: float = -0.3
    """… and up to which as free."""
    robot_radius_m: float = 0.2
    """What the robot stands on is free."""


MAP_FORMAT = 2
"""1 held odds in eight bits."""


class _StoredMap(msgspec.Struct, kw_only=True):
    """The map as bytes."""

    format: int = MAP_FORMAT
    resolution_m: float
    origin_cell: tuple[int, int]
    shape: tuple[int, int]
    log_odds: bytes
    """float32, so that a file and the process that writes it answer alike."""


class OccupancyMap:
    """Log-odds grid that grows; ``closest_view_m`` starts anew with each session."""

    def __init__(self, config: OccupancyConfig = OccupancyConfig()) -> None:
        self.config = config
        self.session = ""
        self.seq = -1
        along = np.arange(-config.robot_radius_m, config.robot_radius_m + config.resolution_m, config.resolution_m)
        disc = np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)
        self._under = disc[np.hypot(disc[:, 0], disc[:, 1]) <= config.robot_radius_m]
        """Points below the robot, from its middle."""
        self._origin: tuple[int, int] = (0, 0)
        """Row and column, in cells of the world, of cell (0, 0)."""
        self._log_odds: Float[np.ndarray, "rows columns"] = np.zeros((0, 0), dtype=np.float32)
        self._closest: Float[np.ndarray, "rows columns"] = np.zeros((0, 0), dtype=np.float32)

    def start_session(self, session: str) -> None:
        """Forget how near the cells were seen; keep the occupancy."""
        self.session, self.seq = session, -1
        self._closest = np.full(self._log_odds.shape, np.inf, dtype=np.float32)

    def integrate(
        self,
        depth_m: DepthMetres,
        rays: Float[np.ndarray, "height width 3"],
        T_world_camera: Transform,
        T_world_base: Transform,
    ) -> None:
        """Add one depth image. ``rays`` are those of ``geometry.pixel_rays``."""
        step = max(self.config.stride_px, round(depth_m.shape[1] / self.config.max_columns))
        z = depth_m[step // 2 :: step, step // 2 :: step].ravel()
        thin = rays[step // 2 :: step, step // 2 :: step].reshape(-1, 3)
        offsets = thin @ T_world_camera[:3, :3].T.astype(np.float32)
        offsets *= z[:, None]
        range_m = np.sqrt(offsets[:, 0] * offsets[:, 0] + offsets[:, 1] * offsets[:, 1])
        usable = np.flatnonzero((z > 0.1) & (range_m < self.config.range_m) & (range_m > 0.05))
        offsets, range_m = offsets[usable], range_m[usable]
        height_m = offsets[:, 2] + np.float32(T_world_camera[2, 3])
        camera_xy = T_world_camera[:2, 3]
        window = self._window(camera_xy)
        hit, looked = self._pixels(offsets, height_m, range_m, camera_xy, window)
        free, passed = self._scan(offsets, height_m, range_m, camera_xy, window)
        looked |= passed
        self._footprint(free, T_world_base[:2, 3], window)
        free &= ~hit
        self._update(window, hit, free, looked, camera_xy)

    def absorb(self, other: OccupancyMap, pose: Float[np.ndarray, " 4"], *, go_on: bool) -> None:
        """Add the evidence of the map of another frame.

        Args:
            other: With cells of the same size.
            pose: Yaw, x, y, z of the other frame in this one.
            go_on: Its session goes on here: how near its cells were seen replaces what is known here.
        """
        known = np.argwhere(other._log_odds != 0.0)
        if len(known) == 0:
            return
        step, (yaw, x_m, y_m) = self.config.resolution_m, pose[:3].tolist()
        R = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
        corner = np.array([other._origin[1], other._origin[0]]) * step
        (bottom, near), (top, far) = known.min(axis=0), known.max(axis=0) + 1
        corners = corner + np.array([(near, bottom), (far, bottom), (near, top), (far, top)]) * step
        corners = corners @ R.T + (x_m, y_m)
        (left, low), (right, high) = (corners / step).min(axis=0), (corners / step).max(axis=0)
        row, column = int(np.floor(low)), int(np.floor(left))
        self._grow(row, column, int(np.ceil(high)) + 1, int(np.ceil(right)) + 1)
        n_rows, n_columns = int(np.ceil(high)) + 1 - row, int(np.ceil(right)) + 1 - column
        at = np.indices((n_rows, n_columns)).reshape(2, -1)[::-1].T + (column + 0.5, row + 0.5)
        sources = ((at * step - (x_m, y_m)) @ R - corner) / step - 0.5
        odds = ndimage.map_coordinates(other._log_odds, sources.T[::-1], order=1, mode="constant", cval=0.0)
        first_row, first = row - self._origin[0], column - self._origin[1]
        place = (slice(first_row, first_row + n_rows), slice(first, first + n_columns))
        summed = self._log_odds[place] + odds.reshape(n_rows, n_columns)
        self._log_odds[place] = np.clip(summed, -self.config.limit, self.config.limit)
        if go_on:
            closest = ndimage.map_coordinates(other._closest, sources.T[::-1], order=0, mode="constant", cval=np.inf)
            self.start_session(other.session)
            self._closest[place] = closest.reshape(n_rows, n_columns)
            self.seq = other.seq

    def at(self, x_m: float, y_m: float) -> int:
        """Return UNKNOWN, FREE or OCCUPIED of a place."""
        row, column = self._cell(x_m, y_m)
        if not (0 <= row < self._log_odds.shape[0] and 0 <= column < self._log_odds.shape[1]):
            return UNKNOWN
        return int(self._states(self._log_odds[row : row + 1, column : column + 1])[0, 0])

    def reply(self) -> MapReply:
        """Return the map as a message."""
        step = self.config.resolution_m
        return MapReply(
            session=self.session,
            seq=self.seq,
            resolution_m=step,
            origin_m=(self._origin[1] * step, self._origin[0] * step),
            occupancy=self._states(self._log_odds),
            closest_view_m=self._closest.copy(),
        )

    def to_bytes(self) -> bytes:
        """Return the map for a store, without ``closest_view_m``."""
        return msgspec.msgpack.encode(
            _StoredMap(
                resolution_m=self.config.resolution_m,
                origin_cell=self._origin,
                shape=(self._log_odds.shape[0], self._log_odds.shape[1]),
                log_odds=self._log_odds.astype(np.float32).tobytes(),
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes, config: OccupancyConfig = OccupancyConfig()) -> OccupancyMap:
        """Read what ``to_bytes`` wrote.

        Raises:
            StoreError: The bytes are damaged, or the cells have another size.
        """
        try:
            stored = msgspec.msgpack.decode(data, type=_StoredMap)
            if stored.format != MAP_FORMAT:
                raise StoreError(f"occupancy map: expected format {MAP_FORMAT}, got {stored.format}")
            cells = np.frombuffer(stored.log_odds, dtype=np.float32).reshape(stored.shape)
        except (msgspec.MsgspecError, ValueError) as error:
            raise StoreError(f"occupancy map: damaged ({error})") from error
        if stored.resolution_m != config.resolution_m:
            raise StoreError(f"occupancy map: expected cells of {config.resolution_m} m, got {stored.resolution_m}")
        grid = cls(config)
        grid._origin = stored.origin_cell
        grid._log_odds = cells.copy()
        grid._closest = np.full(stored.shape, np.inf, dtype=np.float32)
        return grid

    # ------------------------------------------------------------------------------------------- one image

    def _pixels(
        self,
        offsets: Float[np.ndarray, "n 3"],
        height_m: Float[np.ndarray, " n"],
        range_m: Float[np.ndarray, " n"],
        camera_xy: Float[np.ndarray, " 2"],
        window: tuple[int, int, int],
    ) -> tuple[Bool[np.ndarray, "side side"], Bool[np.ndarray, "side side"]]:
        """Return the window's cells with obstacles in them, and those that any pixel fell into."""
        side = window[2]
        flat = self._window_cells(offsets[:, 0] + camera_xy[0], offsets[:, 1] + camera_xy[1], window)
        hit, looked = np.zeros(side * side, dtype=bool), np.zeros(side * side, dtype=bool)
        hit[flat[self._obstacles(height_m, range_m)]] = True
        looked[flat[height_m < self.config.highest_m]] = True
        return hit.reshape(side, side), looked.reshape(side, side)

    def _obstacles(self, height_m: Float[np.ndarray, " n"], range_m: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Tell which points stand in the robot's way."""
        lowest = self.config.lowest_m + self.config.lowest_relative * range_m
        return (height_m > lowest) & (height_m < self.config.highest_m)

    def _scan(
        self,
        offsets: Float[np.ndarray, "n 3"],
        height_m: Float[np.ndarray, " n"],
        range_m: Float[np.ndarray, " n"],
        camera_xy: Float[np.ndarray, " 2"],
        window: tuple[int, int, int],
    ) -> tuple[Bool[np.ndarray, "side side"], Bool[np.ndarray, "side side"]]:
        """Return the window's cells that a ray of the virtual scan passed, and those it passed over visible floor."""
        n, step = self.config.n_azimuths, self.config.resolution_m
        side = window[2]
        free, over_floor = np.zeros(side * side, dtype=bool), np.zeros(side * side, dtype=bool)
        if len(offsets) == 0:
            return free.reshape(side, side), over_floor.reshape(side, side)
        azimuth = np.arctan2(offsets[:, 1], offsets[:, 0])
        middle = float(np.arctan2(offsets[:, 1].sum(), offsets[:, 0].sum()))
        azimuth = (azimuth - middle + np.pi) % (2 * np.pi)
        first, last = float(azimuth.min()), float(azimuth.max())
        width = max((last - first) / n, 1e-4)
        ray = np.minimum(((azimuth - first) / width).astype(np.int64), n - 1)
        obstacle = self._obstacles(height_m, range_m)
        stop = np.full(n, np.inf, dtype=np.float32)
        np.minimum.at(stop, ray[obstacle], range_m[obstacle])
        floor = ~obstacle & (height_m < self.config.highest_m)
        farthest, nearest = np.zeros(n, dtype=np.float32), np.full(n, np.inf, dtype=np.float32)
        np.maximum.at(farthest, ray[floor], range_m[floor])
        np.minimum.at(nearest, ray[floor], range_m[floor])
        reach = np.minimum(stop - step, np.where(np.isfinite(stop), stop, farthest))
        ranges = np.arange(0.0, self.config.range_m, 0.8 * step, dtype=np.float32)
        angles = first + (np.arange(n) + 0.5) * width + middle - np.pi
        x = np.cos(angles)[:, None] * ranges + camera_xy[0]
        y = np.sin(angles)[:, None] * ranges + camera_xy[1]
        cells = self._window_cells(x, y, window)
        inside = ranges[None, :] < reach[:, None]
        free[cells[inside]] = True
        over_floor[cells[inside & (ranges[None, :] >= nearest[:, None])]] = True
        return free.reshape(side, side), over_floor.reshape(side, side)

    def _footprint(
        self, free: Bool[np.ndarray, "side side"], robot_xy: Float[np.ndarray, " 2"], window: tuple[int, int, int]
    ) -> None:
        """Mark what the robot stands on as free."""
        x, y = self._under.T
        free.ravel()[self._window_cells(x + robot_xy[0], y + robot_xy[1], window)] = True

    def _update(
        self,
        window: tuple[int, int, int],
        hit: Bool[np.ndarray, "side side"],
        free: Bool[np.ndarray, "side side"],
        looked: Bool[np.ndarray, "side side"],
        camera_xy: Float[np.ndarray, " 2"],
    ) -> None:
        """Add one image's evidence to the grid."""
        row, column, _ = window
        top, left = row - self._origin[0], column - self._origin[1]
        step, limit = self.config.resolution_m, self.config.limit
        # Only the cells that the image says something of: they are a small part of the window.
        for cells, gain in ((np.nonzero(hit), self.config.hit), (np.nonzero(free), self.config.free)):
            here = cells[0] + top, cells[1] + left
            self._log_odds[here] = np.clip(self._log_odds[here] + np.float32(gain), -limit, limit)
        rows, columns = np.nonzero(looked)
        x = (columns + (column + 0.5)) * step - camera_xy[0]
        y = (rows + (row + 0.5)) * step - camera_xy[1]
        here = rows + top, columns + left
        self._closest[here] = np.minimum(self._closest[here], np.sqrt(x * x + y * y).astype(np.float32))

    # ------------------------------------------------------------------------------------------- cells

    def _cell(self, x_m: float, y_m: float) -> tuple[int, int]:
        """Return row and column in the grid of a place."""
        step = self.config.resolution_m
        return int(np.floor(y_m / step)) - self._origin[0], int(np.floor(x_m / step)) - self._origin[1]

    def _window(self, camera_xy: Float[np.ndarray, " 2"]) -> tuple[int, int, int]:
        """Return first row, first column (world cells) and side of a square around the camera; grow the grid to it."""
        step = self.config.resolution_m
        reach = int(np.ceil(self.config.range_m / step)) + 2
        row, column = int(np.floor(camera_xy[1] / step)) - reach, int(np.floor(camera_xy[0] / step)) - reach
        side = 2 * reach + 1
        self._grow(row, column, row + side, column + side)
        return row, column, side

    def _window_cells(
        self, x_m: Float[np.ndarray, " ..."], y_m: Float[np.ndarray, " ..."], window: tuple[int, int, int]
    ) -> Int[np.ndarray, " ..."]:
        """Return flat indices into the window."""
        row, column, side = window
        inverse = 1.0 / self.config.resolution_m
        rows = np.clip(np.floor(y_m * inverse).astype(np.int64) - row, 0, side - 1)
        columns = np.clip(np.floor(x_m * inverse).astype(np.int64) - column, 0, side - 1)
        cells: Int[np.ndarray, " ..."] = rows * side + columns
        return cells

    def _grow(self, row: int, column: int, row_end: int, column_end: int) -> None:
        """Enlarge the grid, by blocks of 64 cells, until it covers the given world cells."""
        rows, columns = self._log_odds.shape
        r0, c0 = self._origin
        inside = row >= r0 and column >= c0 and row_end <= r0 + rows and column_end <= c0 + columns
        if rows and inside:
            return
        if rows:
            row, column = min(row, r0), min(column, c0)
            row_end, column_end = max(row_end, r0 + rows), max(column_end, c0 + columns)
        row, column = row // 64 * 64, column // 64 * 64
        shape = (-(-(row_end - row) // 64) * 64, -(-(column_end - column) // 64) * 64)
        odds, closest = np.zeros(shape, dtype=np.float32), np.full(shape, np.inf, dtype=np.float32)
        if rows:
            place = (slice(r0 - row, r0 - row + rows), slice(c0 - column, c0 - column + columns))
            odds[place], closest[place] = self._log_odds, self._closest
        self._origin, self._log_odds, self._closest = (row, column), odds, closest

    def _states(self, log_odds: Float[np.ndarray, "rows columns"]) -> UInt8[np.ndarray, "rows columns"]:
        """Return UNKNOWN, FREE and OCCUPIED of log-odds."""
        states = np.zeros(log_odds.shape, dtype=np.uint8)
        states[log_odds <= self.config.free_to] = FREE
        states[log_odds >= self.config.occupied_from] = OCCUPIED
        return states
