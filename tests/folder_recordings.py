"""Recorded sequences of the folder robot's layout, made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from embodied.geometry import camera_mount, planar_pose

TILT = np.array([[1, 0, 0, 0.3], [0, 0, -1, 1.0], [0, 1, 0, -2.0], [0, 0, 0, 1.0]])
"""Takes our upright world to a recording's world whose y axis points down … and whose origin is anywhere."""


def write_recording(root: Path, n_frames: int = 3, *, focal_px: float = 500.0) -> Path:
    """Write what a camera 1.2 m over an endless floor sees, looking 40 degrees down."""
    (root / "frames").mkdir(parents=True)
    np.savetxt(root / "camera-intrinsics.txt", [[focal_px, 0, 320], [0, focal_px, 240], [0, 0, 1]])
    for index in range(n_frames):
        T_world_camera = planar_pose(0.1 * index, 0.0, 0.0) @ camera_mount(0.0, 0.0, 1.2, 0.7)
        v = (np.arange(480) - 240)[:, None] / focal_px * np.ones((1, 640))
        drop = T_world_camera[2, 2] + v * T_world_camera[2, 1]
        depth = np.where(drop < -0.1, 1.2 / np.maximum(-drop, 0.1), 65.535)
        name = root / "frames" / f"frame-{index:06d}"
        Image.fromarray((depth * 1000).astype(np.uint16)).save(f"{name}.depth.png")
        Image.fromarray(np.full((480, 640, 3), 10 * index, dtype=np.uint8)).save(f"{name}.color.jpg")
        np.savetxt(f"{name}.pose.txt", np.linalg.inv(TILT) @ T_world_camera)
    return root
