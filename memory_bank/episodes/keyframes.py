"""Keyframes: the frames worth keeping, with a thumbnail, a coarse depth image and what was seen.

Strategies that choose them are named, so that they can be compared on one stream (``memory_bank.strategies``).
"""

from __future__ import annotations

from collections import deque

import msgspec
import numpy as np
import simplejpeg

from embodied.arrays import DepthMetres, Float, Image, Transform
from embodied.config import Config
from embodied.messages import Intrinsics
from memory_bank.strategies import registry
from memory_bank.strategies.protocol import FrameFacts

__all__ = [
    "FrameFacts",
    "Keyframe",
    "KeyframeConfig",
    "KeyframeSelector",
    "coarse_depth",
    "make_thumbnail",
]

DEPTH_STRIDE_PX = 4
N_COMPARED = 32
"""Keyframes of a camera that a new frame may be compared with."""


class KeyframeConfig(Config):
    """When a frame is kept, and how large."""

    strategy: str = "pose"
    """Which frames are kept: by ``pose``, ``time`` or ``novelty`` (``memory_bank.strategies.encode``)."""
    distance_m: float = 0.6
    """Keep a frame after the camera moved so far …"""
    angle_rad: float = 0.6
    """… or turned so far …"""
    interval_s: float = 20.0
    """… or after so long, whatever happened …"""
    on_new_objects: bool = True
    """… or when an object was confirmed that no keyframe shows."""
    novelty: float = 0.1
    """By novelty: least distance, 1 - cosine, to what the keyframes before look like."""
    capacity: int = 0
    """Keyframes kept in all; 0 for no bound."""
    eviction: str = "fifo"
    """Which leaves when there is one too many (``memory_bank.strategies.store``)."""
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
    embedding: bytes = b""
    """What the picture means: a unit vector, float16, little endian; empty without an image encoder."""

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

    @property
    def vector(self) -> Float[np.ndarray, " dim"]:
        """The embedding as float32, of length 0 if there is none."""
        return np.frombuffer(self.embedding, dtype="<f2").astype(np.float32)


class KeyframeSelector:
    """Remembers the last keyframes of each camera and asks the strategy."""

    def __init__(self, config: KeyframeConfig, *, has_vectors: bool = False) -> None:
        """Begin with no keyframe.

        Args:
            config: Settings; those that the strategy has are its own.
            has_vectors: Whether frames come with a vector of what they look like.

        Raises:
            ValueError: There is no such strategy, or it needs vectors and there are none.
        """
        names = registry.settings_of("encode", config.strategy)
        settings = {name: getattr(config, name) for name in names if hasattr(config, name)}
        self._strategy = registry.get("encode", config.strategy, settings)
        self.needs_vectors = config.strategy == "novelty"
        if self.needs_vectors and not has_vectors:
            raise ValueError(f"strategy: {config.strategy!r} needs an image encoder, and none is set")
        self._kept: dict[str, deque[FrameFacts]] = {}

    def wants(self, camera: str, now: FrameFacts) -> bool:
        """Tell whether this frame becomes a keyframe, and remember it if so."""
        kept = self._kept.setdefault(camera, deque(maxlen=N_COMPARED))
        if not self._strategy(now, kept):
            return False
        kept.append(now)
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


def make_crop(rgb: Image, bounds_px: tuple[int, int, int, int], longest_px: int, quality: int) -> bytes:
    """Return a JPEG of the part of an image around some bounds, thinned to at most ``longest_px`` a side."""
    top, bottom, left, right = bounds_px
    pad = 2 + (max(bottom - top, right - left)) // 7
    part = rgb[max(0, top - pad) : bottom + pad, max(0, left - pad) : right + pad]
    step = max(1, -(-max(part.shape[:2]) // longest_px))
    jpeg: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(part[::step, ::step]), quality=quality, colorspace="RGB")
    return jpeg
