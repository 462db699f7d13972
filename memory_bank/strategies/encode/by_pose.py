"""Keep a moment when the camera looks from elsewhere, or at something new."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied.config import Config
from embodied.geometry import wrap_angle
from memory_bank.strategies.protocol import FrameFacts


class ByPose(Config):
    """When the camera has moved or turned, when something new is in view, or after some time.

    Source: the rule of keyframe SLAM; MemoryVLA filters real demonstrations so, by 0.01 m or 0.4 rad and a longest gap
    (arXiv 2508.19236, appendix on data).
    """

    distance_m: float = 0.6
    """Keep a moment after the camera moved so far …"""
    angle_rad: float = 0.6
    """… or turned so far …"""
    interval_s: float = 20.0
    """… or after so long, whatever happened …"""
    on_new_objects: bool = True
    """… or when an object was confirmed that nothing kept shows."""

    def __call__(self, now: FrameFacts, kept: Sequence[FrameFacts]) -> bool:
        """Compare with the last moment that was kept."""
        if not kept or kept[-1].session != now.session:
            return True
        if self.on_new_objects and now.n_new_tracks > 0:
            return True
        last = kept[-1]
        moved_m = float(np.linalg.norm(now.T_world_camera[:3, 3] - last.T_world_camera[:3, 3]))
        cosine = float(np.clip(now.T_world_camera[:3, 2] @ last.T_world_camera[:3, 2], -1.0, 1.0))
        turned_rad = abs(wrap_angle(float(np.arccos(cosine))))
        waited_s = (now.stamp_ns - last.stamp_ns) * 1e-9
        return moved_m >= self.distance_m or turned_rad >= self.angle_rad or waited_s >= self.interval_s
