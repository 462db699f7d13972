"""A tiny analytic world for tests of the mapper: coloured boxes in an empty room, rendered by ray-box intersection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Iterator

import numpy as np

from embodied.geometry import camera_mount, intrinsics_from_fov, pixel_rays, planar_pose
from embodied.messages import CameraFrame, Observation, SessionEnd, SessionStart

SECOND_NS = 1_000_000_000
INTRINSICS = intrinsics_from_fov(96, 96, np.pi / 2)
T_BASE_CAMERA = camera_mount(0.0, 0.0, 1.25, np.deg2rad(20.0))
RED, GREEN, BLUE, WOODEN = (200, 30, 30), (40, 160, 50), (40, 60, 200), (130, 85, 45)


@dataclass(frozen=True)
class Thing:
    """An axis-aligned box."""

    label: str
    center_m: tuple[float, float, float]
    size_m: tuple[float, float, float]
    rgb: tuple[int, int, int] = (128, 128, 128)

    def at(self, x_m: float, y_m: float, z_m: float | None = None) -> Thing:
        """Return the same thing elsewhere."""
        return replace(self, center_m=(x_m, y_m, self.center_m[2] if z_m is None else z_m))


TABLE = Thing("table", (2.0, 0.0, 0.36), (1.2, 0.7, 0.72), WOODEN)
MUG = Thing("mug", (1.8, 0.1, 0.78), (0.1, 0.1, 0.12), RED)
CHAIR = Thing("chair", (0.5, 2.2, 0.45), (0.45, 0.45, 0.9), BLUE)
PLANT = Thing("plant", (-1.8, -1.5, 0.5), (0.4, 0.4, 1.0), GREEN)


def render(things: tuple[Thing, ...], T_world_camera: np.ndarray, room_m: float = 4.0) -> tuple[np.ndarray, ...]:
    """Return rgb, depth in metres and thing index + 1 of a room with walls at +-``room_m`` and no ceiling."""
    rays = pixel_rays(INTRINSICS).astype(float).reshape(-1, 3) @ T_world_camera[:3, :3].T
    rays = np.where(np.abs(rays) < 1e-9, 1e-9, rays)
    origin = T_world_camera[:3, 3]
    low, high = np.array([-room_m, -room_m, 0.0]), np.array([room_m, room_m, 6.0])
    depth = np.maximum((low - origin) / rays, (high - origin) / rays).min(axis=1)
    index = np.zeros(len(rays), dtype=np.uint16)
    for number, thing in enumerate(things, start=1):
        center, half = np.array(thing.center_m), 0.5 * np.array(thing.size_m)
        a, b = (center - half - origin) / rays, (center + half - origin) / rays
        enter, leave = np.minimum(a, b).max(axis=1), np.maximum(a, b).min(axis=1)
        nearer = (enter < leave) & (enter > 0.1) & (enter < depth)
        depth[nearer], index[nearer] = enter[nearer], number
    palette = np.array([(210, 210, 205), *(thing.rgb for thing in things)], dtype=np.uint8)
    shape = (INTRINSICS.height_px, INTRINSICS.width_px)
    return palette[index].reshape(*shape, 3), depth.reshape(shape), index.reshape(shape)


def tour(n_frames: int = 60, turns: float = 2.0) -> Iterator[tuple[float, float, float]]:
    """Yield x, y, yaw of a robot that turns on the spot while it slowly circles the middle of the room."""
    for i in range(n_frames):
        around = 2 * np.pi * i / n_frames
        yield 0.6 * np.cos(around), 0.6 * np.sin(around), turns * around


class World:
    """Streams observations of things that may be exchanged between sessions."""

    def __init__(self, things: tuple[Thing, ...], seed: int = 0, noise: float = 1.0) -> None:
        self.things = things
        self._random = np.random.default_rng(seed)
        self._noise = noise
        self._now_ns = 1_000 * SECOND_NS

    def start(self, session: str) -> SessionStart:
        """Open a session, an hour after the last."""
        self._now_ns += 3600 * SECOND_NS
        return SessionStart(session=session, robot="test", stamp_ns=self._now_ns)

    def end(self, session: str, n_observations: int) -> SessionEnd:
        """Close a session."""
        return SessionEnd(session=session, stamp_ns=self._now_ns, n_observations=n_observations)

    def observe(self, session: str, seq: int, pose: tuple[float, float, float], segments: bool = True) -> Observation:
        """Return what the robot sees from a pose, with noise of depth and localisation."""
        self._now_ns += SECOND_NS // 5
        rgb, depth, index = render(self.things, planar_pose(*pose) @ T_BASE_CAMERA)
        spread = self._noise * (0.0012 + 0.0019 * (depth - 0.4) ** 2)
        noisy = depth + spread * self._random.standard_normal(depth.shape)
        shown = self._random.permutation(np.unique(index[index > 0]))
        table = np.zeros(len(self.things) + 1, dtype=np.uint16)
        table[shown] = np.arange(1, len(shown) + 1)
        off = self._noise * self._random.standard_normal(3) * [0.01, 0.01, 0.005]
        x, y, yaw = np.add(pose, off)
        camera = CameraFrame(
            name="head",
            intrinsics=INTRINSICS,
            T_base_camera=T_BASE_CAMERA,
            rgb=rgb,
            depth=np.clip(np.rint(noisy * 1e3), 0, 65535).astype(np.uint16),
            segments=table[index] if segments else None,
            segment_labels=tuple(self.things[i - 1].label for i in shown) if segments else (),
        )
        return Observation(
            session=session,
            seq=seq,
            stamp_ns=self._now_ns,
            T_world_base=planar_pose(x, y, yaw),
            cameras=(camera,),
            proprioception=np.zeros(3, dtype=np.float32),
        )
