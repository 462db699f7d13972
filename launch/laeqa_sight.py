"""What one picture of a depth camera shows of places that are known: nothing hides them, and they are near."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied.arrays import Bool, DepthMillimetres, Float, Transform
from embodied.geometry import invert
from embodied.messages import Box, Intrinsics, Observation, Point

BEFORE_M = 0.4
"""What is met by so much before a place may be what stands there."""
FARTHEST_M = 4.5
"""Nothing is told of what is farther."""
EDGE_PX = 6
"""A thing nearer than this to the edge of the picture is cut off."""


@dataclass(frozen=True)
class Sight:
    """One picture."""

    T_camera_world: Transform
    intrinsics: Intrinsics
    depth: DepthMillimetres

    @classmethod
    def of(cls, observation: Observation) -> Sight:
        """Take the first camera's picture.

        Raises:
            ValueError: It has no depth.
        """
        camera = observation.cameras[0]
        if camera.depth is None:
            raise ValueError(f"depth: expected camera {camera.name} to have it, got none")
        return cls(invert(observation.T_world_base @ camera.T_base_camera), camera.intrinsics, camera.depth)

    def free(self, points_m: Float[np.ndarray, "n 3"], within_m: float, before_m: float) -> Bool[np.ndarray, " n"]:
        """Tell which points are in the picture, nearer than a distance, and not hidden.

        Args:
            points_m: In the world.
            within_m: Depth of the farthest that count.
            before_m: By so much something may be met before a point.
        """
        x, y, z = self.T_camera_world[:3, :3] @ np.asarray(points_m, dtype=float).T + self.T_camera_world[:3, 3:]
        k, ahead = self.intrinsics, z > 0.1
        depth = np.where(ahead, z, 1.0)
        u, v = np.round(k.fx_px * x / depth + k.cx_px), np.round(k.fy_px * y / depth + k.cy_px)
        inside = (u >= EDGE_PX) & (u < k.width_px - EDGE_PX) & (v >= EDGE_PX) & (v < k.height_px - EDGE_PX)
        column, row = (np.where(inside, at, 0).astype(np.int64) for at in (u, v))
        met_m = self.depth[row, column] / 1000.0
        shown: Bool[np.ndarray, " n"] = ahead & inside & (z < within_m) & (met_m > z - before_m)
        return shown

    def shows(self, spot: Point, size_m: Point, min_px: float) -> bool:
        """Tell whether a thing of some size at a spot would be in the picture, large enough, with nothing before it."""
        x, y, z = size_m
        area_m2 = (x * y + y * z + z * x) / 3.0
        within_m = min(self.intrinsics.fx_px * float(np.sqrt(area_m2 / min_px)), FARTHEST_M)
        return bool(self.free(np.array([spot]), within_m, BEFORE_M / 2)[0])

    def share_of_top(self, box: Box, within_m: float) -> float:
        """Return how much of the upper side of a box is in the picture, near, and not hidden."""
        half_x, half_y = np.array(box.size_m[:2]) * 0.4
        c, s = np.cos(box.yaw_rad), np.sin(box.yaw_rad)
        x, y, z = box.center_m
        offsets = [(i * half_x, j * half_y) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        points = [(x + c * a - s * b, y + s * a + c * b, z + box.size_m[2] / 2) for a, b in offsets]
        return float(self.free(np.array(points), within_m, BEFORE_M).mean())
