"""A house of boxes for navigation: a hidden height field, a depth camera in it, and the map that it reveals."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from embodied.geometry import camera_mount, intrinsics_from_fov, planar_pose
from embodied.messages import CameraFrame, MapReply, Observation
from policies.navigation.controller import Pose

RESOLUTION_M = 0.05
CAMERA_M = 1.25
PITCH_RAD = 0.35
WALL_M = 2.5
RADIUS_M = 0.2
INTRINSICS = intrinsics_from_fov(96, 96, np.pi / 2)
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
        self.pose, self.session, self.seq, self.collided = pose, "day-2", 0, False
        self.closest_view_m[:] = np.inf
        self.scan()

    def index(self, x_m, y_m):
        row = np.floor((np.asarray(y_m) - self.origin_m[1]) / RESOLUTION_M).astype(int)
        column = np.floor((np.asarray(x_m) - self.origin_m[0]) / RESOLUTION_M).astype(int)
        return row, column

    def center(self, row: int, column: int) -> tuple[float, float]:
        x_m, y_m = (column + 0.5) * RESOLUTION_M + self.origin_m[0], (row + 0.5) * RESOLUTION_M + self.origin_m[1]
        return float(x_m), float(y_m)

    def scan(self) -> None:
        """See as a depth camera sees a height field: in each column of the picture every row hits what it meets first."""
        slopes = np.tan(np.linspace(-np.pi / 4 - PITCH_RAD, np.pi / 4 - PITCH_RAD, 256))
        r = np.arange(0.05, 7.0, 0.025)
        for azimuth in np.linspace(-np.pi / 4, np.pi / 4, 128) + self.pose.yaw_rad:
            row, column = self.index(self.pose.x_m + r * np.cos(azimuth), self.pose.y_m + r * np.sin(azimuth))
            inside = (row >= 0) & (column >= 0) & (row < self.height_m.shape[0]) & (column < self.height_m.shape[1])
            n = len(r) if inside.all() else int(np.argmin(inside))
            row, column = row[:n], column[:n]
            horizon = np.maximum.accumulate((self.height_m[row, column] - CAMERA_M) / r[:n])
            hit = np.searchsorted(horizon, slopes)
            hit = np.unique(hit[hit < n])
            row, column = row[hit], column[hit]
            self.occupancy[row, column] = np.where(self.height_m[row, column] > 0.03, 2, 1)
            self.closest_view_m[row, column] = np.minimum(self.closest_view_m[row, column], r[hit])

    def fits(self, x_m: float, y_m: float, radius_m: float = RADIUS_M) -> bool:
        """Exact disc against the squares of the cells."""
        row, column = self.index(x_m, y_m)
        k = int(np.ceil(radius_m / RESOLUTION_M)) + 1
        part = self.height_m[max(row - k, 0) : row + k + 1, max(column - k, 0) : column + k + 1]
        rows, columns = np.nonzero(part > 0.03)
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
            rgb=np.zeros((96, 96, 3), np.uint8),
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

    def run(self, task, limit: int = 3000):
        """Drive a task to its end; return how it ended."""
        for _ in range(limit):
            answer = task.next_chunk(self.observation(), self.map())
            if not isinstance(answer, np.ndarray):
                return answer
            assert 1 <= len(answer) <= 12
            for twist in answer:
                self.step(twist)
        raise AssertionError("the task never ended")

    def reachable(self) -> np.ndarray:
        """Cells that the disc's middle can be driven to from where it stands."""
        from scipy import ndimage

        free = ndimage.distance_transform_edt(self.height_m <= 0.03) * RESOLUTION_M - RESOLUTION_M / 2 >= 0.22
        free[self.index(self.pose.x_m, self.pose.y_m)] = True
        labels, _ = ndimage.label(free, np.ones((3, 3)))
        return labels == labels[self.index(self.pose.x_m, self.pose.y_m)]

    def surfaces(self) -> np.ndarray:
        """Occupied cells that a camera held anywhere the robot can go has in view from within 1.6 m, seen in 2D."""
        from scipy import ndimage

        near = ndimage.distance_transform_edt(~self.reachable()) * RESOLUTION_M < 0.5
        return near & (self.height_m > 0.03)


def furnish(seed: int, rooms: tuple[int, int] = (3, 2), room_m: tuple[float, float] = (3.6, 3.4)) -> World:
    """Make rooms in a grid of rows and columns, one wall opening between neighbours, furniture mostly along walls."""
    rng = np.random.default_rng(seed)
    nx, ny = rooms
    w, h = round(room_m[0] / RESOLUTION_M), round(room_m[1] / RESOLUTION_M)
    height = np.zeros((ny * h + 2, nx * w + 2))
    for k in range(nx + 1):
        height[:, k * w : k * w + 2] = WALL_M
    for k in range(ny + 1):
        height[k * h : k * h + 2, :] = WALL_M
    keep = np.zeros(height.shape, bool)
    door = 17
    pairs = [(i, j, 1, 0) for i in range(nx - 1) for j in range(ny)] + [(i, j, 0, 1) for i in range(nx) for j in range(ny - 1)]
    for n, (i, j, right, up) in enumerate(pairs):
        # One door is left out so that ways are not all short.
        if n == int(rng.integers(len(pairs))) and len(pairs) > nx * ny:
            continue
        at = int(rng.integers(8, (h if right else w) - 8 - door))
        if right:
            rows, columns = slice(j * h + at, j * h + at + door), slice((i + 1) * w, (i + 1) * w + 2)
            keep[rows, (i + 1) * w - 14 : (i + 1) * w + 16] = True
        else:
            rows, columns = slice((j + 1) * h, (j + 1) * h + 2), slice(i * w + at, i * w + at + door)
            keep[(j + 1) * h - 14 : (j + 1) * h + 16, columns] = True
        height[rows, columns] = 0.0
    kinds = [(1.2, 0.7, 0.75), (1.9, 0.9, 0.5), (0.9, 0.45, 2.0), (0.4, 0.4, 0.45), (1.5, 0.8, 0.8), (0.5, 0.4, 0.6)]
    for i in range(nx):
        for j in range(ny):
            middle = (j * h + h // 2, i * w + w // 2)
            keep[middle[0] - 6 : middle[0] + 7, middle[1] - 6 : middle[1] + 7] = True
            for _ in range(int(rng.integers(5, 8))):
                a, b, top = kinds[int(rng.integers(len(kinds)))]
                a, b = (a, b) if rng.random() < 0.5 else (b, a)
                c, r = round(a / RESOLUTION_M), round(b / RESOLUTION_M)
                row, column = int(rng.integers(2, h - r)), int(rng.integers(2, w - c))
                if rng.random() < 0.7:
                    row = int(rng.choice([2, h - r])) if a >= b else row
                    column = int(rng.choice([2, w - c])) if a < b else column
                window = slice(j * h + row, j * h + row + r), slice(i * w + column, i * w + column + c)
                around = (
                    slice(max(window[0].start - 3, 0), window[0].stop + 3),
                    slice(max(window[1].start - 3, 0), window[1].stop + 3),
                )
                if not keep[window].any() and not ((height[around] > 0) & (height[around] < WALL_M)).any():
                    height[window] = top
    world_origin = (-1.0, -2.0)
    x, y = (w // 2 + 0.5) * RESOLUTION_M + world_origin[0], (h // 2 + 0.5) * RESOLUTION_M + world_origin[1]
    return World(height, Pose(x, y, float(rng.uniform(-3, 3))))


@pytest.fixture
def make_house():
    return furnish


@pytest.fixture
def make_world():
    """Build a world from a picture: '#' wall, 't' table, 'w' wardrobe, 'b' low box, '.' floor; 0.1 m a character."""

    def build(rows: list[str], x_m: float, y_m: float, yaw_rad: float = 0.0) -> World:
        heights = {"#": WALL_M, "t": 0.75, "w": 2.0, "b": 0.3, ".": 0.0}
        cells = np.array([[heights[c] for c in row] for row in reversed(rows)])
        return World(np.kron(cells, np.ones((2, 2))), Pose(x_m, y_m, yaw_rad), origin_m=(0.0, 0.0))

    return build
