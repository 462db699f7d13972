"""What lies behind known things, from the mesh of earlier sessions: what a camera would measure if they were gone.

The mesh is fused from the coarse depth of keyframes, so it needs nothing that the memory does not keep anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from embodied.arrays import Bool, Float, Points, Transform, Vector3
from embodied.messages import Box, Intrinsics
from memory_bank.dense.casting import MeshCaster
from memory_bank.dense.fusion import Fusion, FusionConfig
from memory_bank.episodes.keyframes import DEPTH_STRIDE_PX, Keyframe
from memory_bank.geometry.boxes import rays_through_box

BACKGROUND = FusionConfig(voxel_m=0.04, max_depth_m=5.0, min_weight=1.0)
"""Coarse depth carries no finer surface."""
SLACK_M = 0.04
"""Rays go on this far behind a thing's box: its own surface is no background."""


class KeyframeBackground:
    """A surface ready to be asked. Holds no keyframes."""

    def __init__(self, keyframes: Iterable[Keyframe]) -> None:
        """Fuse keyframes of one world frame.

        Raises:
            ConfigurationError: open3d, or a system library that it needs, is missing.
        """
        fusion = Fusion(BACKGROUND)
        for keyframe in keyframes:
            # The fusion looks at every fourth pixel only when it decides where surface may be.
            depth_m = keyframe.depth_m().repeat(DEPTH_STRIDE_PX, axis=0).repeat(DEPTH_STRIDE_PX, axis=1)
            if depth_m.size:
                grey = np.zeros((*depth_m.shape, 3), dtype=np.uint8)
                fusion.integrate(grey, depth_m, repeated_intrinsics(keyframe), keyframe.T)
        self._caster = MeshCaster(fusion.mesh())

    def behind_m(
        self, points: Points, boxes: Sequence[Box], lengths: Sequence[int], T_world_camera: Transform
    ) -> Float[np.ndarray, " n_points"]:
        """Return how far behind each point, along z of the camera, the surface lies that its thing hides.

        Args:
            points: World points on several things.
            boxes: Of each thing.
            lengths: How many of the points are each thing's.
            T_world_camera: Where the camera is.

        Returns:
            Infinite where the mesh has no surface behind the thing: nobody knows.
        """
        origin, forward = T_world_camera[:3, 3], T_world_camera[:3, 2]
        depth_m = (points - origin) @ forward
        ahead = depth_m > 1e-3
        # With z = 1 in the camera, the way along a ray is the depth.
        rays = (points - origin) / np.where(ahead, depth_m, 1.0)[:, None]
        leave_m = np.concatenate(
            [
                leaves_box_at(origin, rays[start : start + n], box, SLACK_M)
                for start, n, box in zip(np.cumsum([0, *lengths[:-1]]), lengths, boxes, strict=True)
            ]
        )
        start_m = np.maximum(leave_m, depth_m)
        further_m = self._caster.distance(origin + start_m[:, None] * rays, rays)
        behind: Float[np.ndarray, " n_points"] = np.where(ahead, start_m + further_m - depth_m, np.inf)
        return behind


def repeated_intrinsics(keyframe: Keyframe) -> Intrinsics:
    """Return the intrinsics of a keyframe's coarse depth with each pixel repeated to its old size.

    The pixel that was kept is the first of ``DEPTH_STRIDE_PX``; repeated, it lies in the middle of as many.
    """
    full, shift = keyframe.intrinsics, 0.5 * (DEPTH_STRIDE_PX - 1)
    return msgspec.structs.replace(full, cx_px=full.cx_px + shift, cy_px=full.cy_px + shift)


def leaves_box_at(origin: Vector3, rays: Float[np.ndarray, "n 3"], box: Box, slack_m: float) -> Float[np.ndarray, " n"]:
    """Return the way along each ray at which it leaves a box that is larger by ``slack_m``; 0 if it misses it."""
    enter, leave = rays_through_box(origin, rays, box, slack_m)
    hit: Bool[np.ndarray, " n"] = (enter <= leave) & (leave > 0)
    return np.where(hit, leave, 0.0)
