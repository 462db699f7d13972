"""Keyframes: the frames worth keeping, with a thumbnail, a coarse depth image and what was seen.

Strategies that choose them are named, so that they can be compared on one stream (``STRATEGIES``).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import simplejpeg

from embodied.arrays import DepthMetres, Float, Image, Transform
from embodied.config import Config
from embodied.geometry import wrap_angle
from embodied.messages import Intrinsics

DEPTH_STRIDE_PX = 4


class KeyframeConfig(Config):
    """When a frame is kept, and how large."""

    strategy: str = "pose"
    """Name in ``STRATEGIES``."""
    distance_m: float = 0.6
    """Keep a frame after the camera moved so far …"""
    angle_rad: float = 0.6
    """… or turned so far …"""
    interval_s: float = 20.0
    """… or after so long, whatever happened …"""
    on_new_objects: bool = True
    """… or when an object was confirmed that no keyframe shows."""
    thumbnail_px: int = 256
    """Longest side of the thumbnail."""
    jpeg_quality: int = 80
    """Of the thumbnail."""


class Keyframe(msgspec.Struct, kw_only=True):
    """One kept frame. Encodes with ``msgspec.msgpack`` as it stands."""

    index: int
    """0, 1, 2, … over the whole life of the memory, not of the session."""
    session: str
    seq: int
    stamp_ns: int
    camera: str
    T_world_camera: tuple[float, ...]
    """The 4x4 matrix, row by row."""
    intrinsics: Intrinsics
    """Of the full image."""
    thumbnail_jpeg: bytes
    depth_mm: bytes
    """uint16, little endian, every ``DEPTH_STRIDE_PX``-th pixel of the depth image: tells later what stood there."""
    depth_shape: tuple[int, int]
    track_ids: tuple[str, ...]
    """Tracks detected in it, sorted. An id may since have been merged: resolve it by ``SceneGraph.resolve``."""

    @property
    def T(self) -> Transform:
        """``T_world_camera`` as a matrix."""
        return np.array(self.T_world_camera, dtype=np.float64).reshape(4, 4)

    @property
    def position_m(self) -> tuple[float, float, float]:
        """Where the camera was."""
        return self.T_world_camera[3], self.T_world_camera[7], self.T_world_camera[11]

    def depth_m(self) -> Float[np.ndarray, "rows columns"]:
        """Return the coarse depth image in metres, 0 where invalid."""
        return np.frombuffer(self.depth_mm, dtype="<u2").reshape(self.depth_shape).astype(np.float32) * 1e-3


class FrameFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy decides on."""

    session: str
    stamp_ns: int
    T_world_camera: np.ndarray
    n_new_tracks: int
    """Confirmed since the last keyframe."""


Strategy = Callable[[KeyframeConfig, FrameFacts, FrameFacts | None], bool]


def by_pose(config: KeyframeConfig, now: FrameFacts, last: FrameFacts | None) -> bool:
    """Keep a frame when the camera has moved or turned, when something new is in it, or after some time."""
    if last is None or last.session != now.session:
        return True
    if config.on_new_objects and now.n_new_tracks > 0:
        return True
    moved_m = float(np.linalg.norm(now.T_world_camera[:3, 3] - last.T_world_camera[:3, 3]))
    cosine = float(np.clip(now.T_world_camera[:3, 2] @ last.T_world_camera[:3, 2], -1.0, 1.0))
    turned_rad = abs(wrap_angle(float(np.arccos(cosine))))
    waited_s = (now.stamp_ns - last.stamp_ns) * 1e-9
    return moved_m >= config.distance_m or turned_rad >= config.angle_rad or waited_s >= config.interval_s


STRATEGIES: dict[str, Strategy] = {"pose": by_pose}


class KeyframeSelector:
    """Remembers the last keyframe of each camera and asks the strategy."""

    def __init__(self, config: KeyframeConfig) -> None:
        if config.strategy not in STRATEGIES:
            raise ValueError(f"strategy: expected one of {sorted(STRATEGIES)}, got {config.strategy!r}")
        self._config = config
        self._strategy = STRATEGIES[config.strategy]
        self._last: dict[str, FrameFacts] = {}

    def wants(self, camera: str, now: FrameFacts) -> bool:
        """Tell whether this frame becomes a keyframe, and remember it if so."""
        if not self._strategy(self._config, now, self._last.get(camera)):
            return False
        self._last[camera] = now
        return True


def make_thumbnail(rgb: Image, longest_px: int, quality: int) -> bytes:
    """Return a JPEG of the image, shrunk by a whole number until its longest side fits."""
    step = max(1, -(-max(rgb.shape[:2]) // longest_px))
    small = rgb if step == 1 else rgb[::step, ::step]
    jpeg: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(small), quality=quality, colorspace="RGB")
    return jpeg


def coarse_depth(depth_m: DepthMetres) -> tuple[bytes, tuple[int, int]]:
    """Return every ``DEPTH_STRIDE_PX``-th pixel as uint16 millimetres, and the shape."""
    small = np.clip(depth_m[::DEPTH_STRIDE_PX, ::DEPTH_STRIDE_PX] * 1e3, 0, 65535).astype("<u2")
    return small.tobytes(), (small.shape[0], small.shape[1])
