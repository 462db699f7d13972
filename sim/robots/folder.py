"""A recorded RGB-D sequence played back as if it were a robot.

The folder's layout, that of many public data sets::

    camera-intrinsics.txt              3x3, of the depth camera, pixels
    frames/NAME.color.jpg              RGB
    frames/NAME.depth.png              uint16 millimetres along z; 0 and 65535 are invalid
    frames/NAME.pose.txt               4x4, camera to world, metres, optical camera frame

NAME sorts in time. The world of such recordings is rarely level and its origin is where the camera started, so the
player levels it: z up by the surfaces it sees, z = 0 on the lowest of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Literal, Tuple

import numpy as np
from PIL import Image as PillowImage

from embodied.arrays import DepthMillimetres, Image, Points, Transform
from embodied.clock import NANOSECONDS
from embodied.config import Config
from embodied.errors import SceneError
from embodied.geometry import surface_normals, transform, transform_points, unproject
from embodied.messages import Intrinsics
from sim.robots.level import estimate_up, rotation_to_z

_UP = {"+x": (1, 0, 0), "-x": (-1, 0, 0), "+y": (0, 1, 0), "-y": (0, -1, 0), "+z": (0, 0, 1), "-z": (0, 0, -1)}
_LEVELLING_FRAMES = 20
_LEVELLING_STRIDE_PX = 4
KINECT_COLOR_FOCAL_PX = 525.0
KINECT_COLOR_OFFSET_M = 0.025
"""Kinect v1: the colour camera's focal length, and how far it sits to the left of the depth camera."""


class FolderConfig(Config):
    """A recorded sequence."""

    data: str
    """The folder."""
    rate_hz: float = 15.0
    """Frames a second at which it was recorded: gives the capture times."""
    up: Literal["+x", "-x", "+y", "-y", "+z", "-z"] = "-y"
    """Roughly up in the recording's world frame."""
    color: Literal["auto", "registered", "kinect"] = "auto"
    """Whether colour lies on depth already. ``kinect`` moves it there by a Kinect's factory geometry; ``auto`` does so
    if the depth camera has a Kinect's nominal focal length of 585 px."""
    start_ns: int = 1_767_603_600 * NANOSECONDS
    """Capture time of the first frame."""


@dataclass(frozen=True)
class FolderFrame:
    """One frame of the sequence, in the levelled world."""

    stamp_ns: int
    rgb: Image
    depth: DepthMillimetres
    T_world_camera: Transform


class FolderRobot:
    """Plays a folder. ``connect``, then iterate ``frames`` once, then ``close``."""

    name = "folder"

    def __init__(self, config: FolderConfig) -> None:
        self.config = config
        self._names: List[Path] = []
        self._T_level_world = np.eye(4)
        self.intrinsics = Intrinsics(width_px=1, height_px=1, fx_px=1, fy_px=1, cx_px=0, cy_px=0)

    def __len__(self) -> int:
        return len(self._names)

    def connect(self) -> None:
        """Find the frames, read the intrinsics, and level the world.

        Raises:
            SceneError: The folder, its intrinsics or its frames are missing or broken.
        """
        root = Path(self.config.data)
        self._names = sorted(p.with_suffix("").with_suffix("") for p in (root / "frames").glob("*.color.jpg"))
        if not self._names:
            raise SceneError(f"recording {root}: expected frames/*.color.jpg, found none")
        K = _read_matrix(root / "camera-intrinsics.txt", (3, 3))
        height_px, width_px = _read_depth(self._names[0]).shape
        self.intrinsics = Intrinsics(
            width_px=width_px,
            height_px=height_px,
            fx_px=float(K[0, 0]),
            fy_px=float(K[1, 1]),
            cx_px=float(K[0, 2]),
            cy_px=float(K[1, 2]),
        )
        self._T_level_world = self._level()

    def frames(self) -> Iterator[FolderFrame]:
        """Yield the frames in order.

        Raises:
            SceneError: A frame is missing its depth or pose, or one of them is broken.
        """
        for index, name in enumerate(self._names):
            depth = _read_depth(name)
            expected = (self.intrinsics.height_px, self.intrinsics.width_px)
            if depth.shape != expected:
                raise SceneError(f"recording: depth image {name}.depth.png: expected {expected}, got {depth.shape}")
            T_world_camera = _read_matrix(Path(f"{name}.pose.txt"), (4, 4))
            yield FolderFrame(
                stamp_ns=self.config.start_ns + round(index * NANOSECONDS / self.config.rate_hz),
                rgb=self._color_on_depth(_read_color(name), depth),
                depth=depth,
                T_world_camera=self._T_level_world @ T_world_camera,
            )

    def close(self) -> None:
        """Forget the frames."""
        self._names = []

    def _level(self) -> Transform:
        """Return the rotation and shift that put the recording's world upright on its floor."""
        chosen = self._names[:: max(1, len(self._names) // _LEVELLING_FRAMES)]
        views = [self._level_view(name) for name in chosen]
        nominal = np.array(_UP[self.config.up], dtype=float)
        try:
            up = estimate_up([normals for _, normals in views], nominal)
        except ValueError as error:
            raise SceneError(f"recording {self.config.data}: cannot tell which way is up: {error}") from error
        R = rotation_to_z(up)
        heights = np.concatenate([(points @ R.T)[(normals @ up) > 0.95, 2] for points, normals in views])
        return transform(R, np.array([0.0, 0.0, -_lowest_surface(heights)]))

    def _level_view(self, name: Path) -> Tuple[Points, Points]:
        stride, full = _LEVELLING_STRIDE_PX, self.intrinsics
        depth_m = _read_depth(name)[::stride, ::stride] / np.float32(1000.0)
        small = Intrinsics(
            width_px=depth_m.shape[1],
            height_px=depth_m.shape[0],
            fx_px=full.fx_px / stride,
            fy_px=full.fy_px / stride,
            cx_px=full.cx_px / stride,
            cy_px=full.cy_px / stride,
        )
        T_world_camera = _read_matrix(Path(f"{name}.pose.txt"), (4, 4))
        points = transform_points(T_world_camera, unproject(depth_m, small).reshape(-1, 3)).reshape(*depth_m.shape, 3)
        normals, trusted = surface_normals(points, (depth_m > 0) & (depth_m < 3.5))
        return points[trusted], normals[trusted]

    def _color_on_depth(self, rgb: Image, depth: DepthMillimetres) -> Image:
        """Return the colour that each depth pixel has, so that one index serves both images.

        Raises:
            SceneError: Colour and depth are of different sizes and nothing says how they lie on each other.
        """
        intrinsics = self.intrinsics
        kinect = self.config.color == "kinect" or (self.config.color == "auto" and abs(intrinsics.fx_px - 585) < 1)
        if not kinect:
            if rgb.shape[:2] != depth.shape:
                raise SceneError(f"recording: expected colour of the size of depth {depth.shape}, got {rgb.shape[:2]}")
            return rgb
        z_m = np.where(depth > 0, depth, 1500).astype(np.float32) / 1000.0
        scale = KINECT_COLOR_FOCAL_PX / intrinsics.fx_px
        u = np.arange(depth.shape[1], dtype=np.float32)[None] - intrinsics.cx_px
        v = np.arange(depth.shape[0], dtype=np.float32)[:, None] - intrinsics.cy_px
        columns = u * scale + intrinsics.cx_px - KINECT_COLOR_OFFSET_M * KINECT_COLOR_FOCAL_PX / z_m
        rows = np.broadcast_to(v * scale + intrinsics.cy_px, columns.shape)
        columns = np.clip(np.rint(columns), 0, rgb.shape[1] - 1).astype(np.intp)
        rows = np.clip(np.rint(rows), 0, rgb.shape[0] - 1).astype(np.intp)
        return np.ascontiguousarray(rgb[rows, columns])


def _lowest_surface(heights_m: np.ndarray) -> float:
    """Return the height of the lowest level surface that is more than noise."""
    bins = np.floor(heights_m / 0.04).astype(int)
    counts = np.bincount(bins - bins.min())
    peak = int(np.argmax(counts > 0.05 * counts.max())) + bins.min()
    near = heights_m[np.abs(bins - peak) <= 1]
    return float(np.median(near))


def _read_color(name: Path) -> Image:
    try:
        with PillowImage.open(f"{name}.color.jpg") as image:
            return np.asarray(image.convert("RGB"))
    except OSError as error:
        raise SceneError(f"recording: colour image {name}.color.jpg: {error}") from error


def _read_depth(name: Path) -> DepthMillimetres:
    try:
        with PillowImage.open(f"{name}.depth.png") as image:
            depth = np.asarray(image)
    except (OSError, SyntaxError) as error:
        # Pillow calls a broken chunk of a PNG a SyntaxError.
        raise SceneError(f"recording: depth image {name}.depth.png: {error}") from error
    if depth.ndim != 2:
        raise SceneError(f"recording: depth image {name}.depth.png: expected one channel, got shape {depth.shape}")
    if depth.dtype.kind not in "iu" or depth.min() < 0 or depth.max() > 65535:
        raise SceneError(f"recording: depth image {name}.depth.png: expected millimetres from 0 to 65535")
    return np.where(depth == 65535, 0, depth).astype(np.uint16)


def _read_matrix(path: Path, shape: Tuple[int, int]) -> np.ndarray:
    try:
        matrix = np.loadtxt(path, dtype=float)
    except (OSError, ValueError) as error:
        raise SceneError(f"recording: {path}: {error}") from error
    if matrix.shape != shape or not np.isfinite(matrix).all():
        raise SceneError(f"recording: {path}: expected a finite {shape[0]}x{shape[1]} matrix, got {matrix.shape}")
    return matrix
