"""A house of boxes for navigation: a hidden height field, a depth camera in it, and the map that it reveals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from embodied.geometry import camera_mount, intrinsics_from_fov, pixel_rays, planar_pose
from embodied.messages import CameraFrame, MapReply, Observation
from policies.navigation.controller import Pose
from policies.navigation.navigator import Finished, Task

RESOLUTION_M = 0.05
CAMERA_M = 1.25
PITCH_RAD = 0.35
WALL_M = 2.5
RADIUS_M = 0.2
FLOOR_M = 0.03
INTRINSICS = intrinsics_from_fov(48, 48, np.pi / 2)
T_BASE_CAMERA = camera_mount(0.0, 0.0, CAMERA_M, PITCH_RAD)


@dataclass
class World:
    """The hidden truth: a height in each cell, in metres; 0 is floor."""

    height_m: np.ndarray
    pose: Pose
    session: str = "day-1"
    origin_m: tuple[float, float] = (-1.0, -2.0)
    seq: int = 0
    collided: bool = False
    n_collisions: int = 0
    occupancy: np.ndarray = field(init=False)
    closest_view_m: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.occupancy = np.zeros(self.height_m.shape, np.uint8)
        self.closest_view_m = np.full(self.height_m.shape, np.inf, np.float32)
        self.scan()

    def new_session(self, pose: Pose) -> None:
        """Put the robot there on another day: the map stays, what was seen from near is forgotten."""
        self.pose, self.session, self.seq, self.collided = pose, "day-2", 0, False
        self.closest_view_m[:] = np.inf
        self.scan()

    def index(self, x_m: Any, y_m: Any) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of places."""
        row = np.floor((np.asarray(y_m) - self.origin_m[1]) / RESOLUTION_M).astype(int)
        column = np.floor((np.asarray(x_m) - self.origin_m[0]) / RESOLUTION_M).astype(int)
        return row, column

    def center(self, row: int, column: int) -> tuple[float, float]:
        x_m, y_m = (column + 0.5) * RESOLUTION_M + self.origin_m[0], (row + 0.5) * RESOLUTION_M + self.origin_m[1]
        return float(x_m), float(y_m)

    def scan(self) -> None:
        """See as a depth camera sees a height field: in each column of the picture a row hits what it meets first."""
        slopes = np.tan(np.linspace(-np.pi / 4 - PITCH_RAD, np.pi / 4 - PITCH_RAD, 256))
        azimuth = np.linspace(-np.pi / 4, np.pi / 4, 128)[:, None] + self.pose.yaw_rad
        r = np.arange(0.05, 7.0, 0.025)[None, :]
        row, column = self.index(self.pose.x_m + r * np.cos(azimuth), self.pose.y_m + r * np.sin(azimuth))
        rows, columns = self.height_m.shape
        inside = (row >= 0) & (column >= 0) & (row < rows) & (column < columns)
        inside = np.logical_and.accumulate(inside, axis=1)
        row, column = np.where(inside, row, 0), np.where(inside, column, 0)
        horizon = np.maximum.accumulate((self.height_m[row, column] - CAMERA_M) / r, axis=1)
        n_below = np.searchsorted(slopes, horizon, side="right")
        hit = inside & (np.diff(n_below, axis=1, prepend=0) > 0)
        row, column, r = row[hit], column[hit], np.broadcast_to(r, hit.shape)[hit]
        self.occupancy[row, column] = np.where(self.height_m[row, column] > FLOOR_M, 2, 1)
        np.minimum.at(self.closest_view_m, (row, column), r.astype(np.float32))

    def fits(self, x_m: float, y_m: float, radius_m: float = RADIUS_M) -> bool:
        """Exact disc against the squares of the cells."""
        row, column = self.index(x_m, y_m)
        k = int(np.ceil(radius_m / RESOLUTION_M)) + 1
        part = self.height_m[max(row - k, 0) : row + k + 1, max(column - k, 0) : column + k + 1]
        rows, columns = np.nonzero(part > FLOOR_M)
        low_x = (columns + max(column - k, 0)) * RESOLUTION_M + self.origin_m[0]
        low_y = (rows + max(row - k, 0)) * RESOLUTION_M + self.origin_m[1]
        dx = np.maximum(np.maximum(low_x - x_m, x_m - low_x - RESOLUTION_M), 0.0)
        dy = np.maximum(np.maximum(low_y - y_m, y_m - low_y - RESOLUTION_M), 0.0)
        return not (dx**2 + dy**2 < radius_m**2).any()

    def step(self, twist: np.ndarray, period_s: float = 0.2) -> None:
        forward, _, turn = (float(v) for v in twist)
        assert abs(forward) <= 0.8 + 1e-5
        assert abs(turn) <= 1.6 + 1e-5
        self.collided = False
        for _ in range(4):
            after = self.pose.moved(forward, turn, period_s / 4)
            if not self.fits(after.x_m, after.y_m):
                self.collided = True
                after = Pose(self.pose.x_m, self.pose.y_m, after.yaw_rad)
            self.pose = after
        self.n_collisions += self.collided
        self.seq += 1
        self.scan()

    def map(self) -> MapReply:
        return MapReply(
            session=self.session,
            seq=self.seq,
            resolution_m=RESOLUTION_M,
            origin_m=self.origin_m,
            occupancy=self.occupancy.copy(),
            closest_view_m=self.closest_view_m.copy(),
        )

    def observation(self, depth: np.ndarray | None = None) -> Observation:
        camera = CameraFrame(
            name="head",
            intrinsics=INTRINSICS,
            T_base_camera=T_BASE_CAMERA,
            rgb=np.zeros((48, 48, 3), np.uint8),
            depth=depth,
        )
        return Observation(
            session=self.session,
            seq=self.seq,
            stamp_ns=1_000_000_000 + 200_000_000 * self.seq,
            T_world_base=planar_pose(self.pose.x_m, self.pose.y_m, self.pose.yaw_rad),
            cameras=(camera,),
            proprioception=np.zeros(3, np.float32),
            collided=self.collided,
            awaiting_action=True,
        )

    def depth(self) -> np.ndarray:
        """What the depth camera really measures, by marching along its rays in small steps."""
        T_world_camera = planar_pose(self.pose.x_m, self.pose.y_m, self.pose.yaw_rad) @ T_BASE_CAMERA
        rays = pixel_rays(INTRINSICS).reshape(-1, 3).astype(float) @ T_world_camera[:3, :3].T
        z = np.arange(0.05, 4.0, 0.03)
        points = T_world_camera[:3, 3] + z[:, None, None] * rays[None]
        row, column = self.index(points[..., 0], points[..., 1])
        rows, columns = self.height_m.shape
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        top = self.height_m[np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)]
        met = points[..., 2] <= np.where(inside, top, WALL_M)
        measured = np.where(met.any(axis=0), 1000.0 * z[met.argmax(axis=0)], 0.0)
        return measured.astype(np.uint16).reshape(INTRINSICS.height_px, INTRINSICS.width_px)

    def run(self, task: Task, limit: int = 500) -> Finished:
        """Drive a task to its end; return how it ended."""
        for _ in range(limit):
            depth = self.depth() if task.kind == "go_to" else None
            answer = task.next_chunk(self.observation(depth), self.map())
            if isinstance(answer, Finished):
                return answer
            assert 1 <= len(answer) <= 12
            assert answer.dtype == np.float32
            for twist in answer:
                self.step(twist)
        raise AssertionError("the task never ended")

    def reachable(self) -> np.ndarray:
        """Cells that the disc's middle can be driven to from where it stands."""
        gap = ndimage.distance_transform_edt(self.height_m <= FLOOR_M) * RESOLUTION_M - RESOLUTION_M / 2
        free = gap >= RADIUS_M + 0.02
        free[self.index(self.pose.x_m, self.pose.y_m)] = True
        labels, _ = ndimage.label(free, np.ones((3, 3)))
        return labels == labels[self.index(self.pose.x_m, self.pose.y_m)]

    def surfaces(self, within_m: float) -> np.ndarray:
        """Cells of furniture tops that the robot can get to within a distance of, in the same room or not."""
        near = ndimage.distance_transform_edt(~self.reachable()) * RESOLUTION_M < within_m
        return near & (self.height_m > FLOOR_M) & (self.height_m < CAMERA_M)


KINDS = [(1.2, 0.7, 0.75), (1.9, 0.9, 0.5), (0.9, 0.45, 2.0), (0.4, 0.4, 0.45), (1.5, 0.8, 0.8), (0.5, 0.4, 0.6)]
"""Length, width and height of furniture."""
WALL_CELLS = 2
DOOR_CELLS = 17


def furnish(seed: int, rooms: tuple[int, int] = (3, 2), room_m: tuple[float, float] = (3.6, 3.4)) -> World:
    """Make rooms in a grid with doors between neighbours, and furniture mostly along their walls.

    One door may be missing; the robot starts in the middle of the first room.
    """
    rng = np.random.default_rng(seed)
    n_x, n_y = rooms
    width, depth = round(room_m[0] / RESOLUTION_M), round(room_m[1] / RESOLUTION_M)
    height = np.zeros((n_y * depth + WALL_CELLS, n_x * width + WALL_CELLS))
    for k in range(n_x + 1):
        height[:, k * width : k * width + WALL_CELLS] = WALL_M
    for k in range(n_y + 1):
        height[k * depth : k * depth + WALL_CELLS, :] = WALL_M
    keep = np.zeros(height.shape, bool)
    _open_doors(rng, height, keep, rooms, (width, depth))
    for i in range(n_x):
        for j in range(n_y):
            row, column = j * depth + depth // 2, i * width + width // 2
            keep[row - 6 : row + 7, column - 6 : column + 7] = True
            for _ in range(int(rng.integers(5, 8))):
                _place(rng, height, keep, (i * width, j * depth), (width, depth))
    origin_m = (-1.0, -2.0)
    x_m = (width // 2 + 0.5) * RESOLUTION_M + origin_m[0]
    y_m = (depth // 2 + 0.5) * RESOLUTION_M + origin_m[1]
    return World(height, Pose(x_m, y_m, float(rng.uniform(-3, 3))), origin_m=origin_m)


def _open_doors(
    rng: np.random.Generator, height: np.ndarray, keep: np.ndarray, rooms: tuple[int, int], size: tuple[int, int]
) -> None:
    (n_x, n_y), (width, depth) = rooms, size
    beside = [(i, j, True) for i in range(n_x - 1) for j in range(n_y)]
    above = [(i, j, False) for i in range(n_x) for j in range(n_y - 1)]
    closed = int(rng.integers(len(beside + above))) if min(rooms) > 1 else -1
    for k, (i, j, right) in enumerate(beside + above):
        if k == closed:
            continue
        at = int(rng.integers(8, (depth if right else width) - 8 - DOOR_CELLS))
        if right:
            wall, row = (i + 1) * width, j * depth + at
            height[row : row + DOOR_CELLS, wall : wall + WALL_CELLS] = 0.0
            keep[row : row + DOOR_CELLS, wall - 14 : wall + 16] = True
        else:
            wall, column = (j + 1) * depth, i * width + at
            height[wall : wall + WALL_CELLS, column : column + DOOR_CELLS] = 0.0
            keep[wall - 14 : wall + 16, column : column + DOOR_CELLS] = True


def _place(
    rng: np.random.Generator, height: np.ndarray, keep: np.ndarray, corner: tuple[int, int], size: tuple[int, int]
) -> None:
    """Put a piece of furniture into a room if there is room for it."""
    (width, depth), (length_m, width_m, top_m) = size, KINDS[int(rng.integers(len(KINDS)))]
    if rng.random() < 0.5:
        length_m, width_m = width_m, length_m
    columns, rows = round(length_m / RESOLUTION_M), round(width_m / RESOLUTION_M)
    row, column = int(rng.integers(2, depth - rows)), int(rng.integers(2, width - columns))
    if rng.random() < 0.7 and length_m >= width_m:
        row = int(rng.choice([2, depth - rows]))
    elif rng.random() < 0.7:
        column = int(rng.choice([2, width - columns]))
    row, column = row + corner[1], column + corner[0]
    window = slice(row, row + rows), slice(column, column + columns)
    around = height[max(row - 3, 0) : row + rows + 3, max(column - 3, 0) : column + columns + 3]
    if not keep[window].any() and not ((around > 0) & (around < WALL_M)).any():
        height[window] = top_m


def draw(rows: list[str], x_m: float, y_m: float, yaw_rad: float = 0.0) -> World:
    """Build a world from a picture: '#' wall, 'w' wardrobe, 't' table, 'b' low box, '.' floor; 0.1 m a character."""
    heights = {"#": WALL_M, "w": 2.0, "t": 0.75, "b": 0.3, ".": 0.0}
    cells = np.array([[heights[c] for c in row] for row in reversed(rows)])
    return World(np.kron(cells, np.ones((2, 2))), Pose(x_m, y_m, yaw_rad), origin_m=(0.0, 0.0))
