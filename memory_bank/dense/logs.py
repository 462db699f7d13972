"""Meshes of recorded sessions: what ``embodied log mesh`` does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import simplejpeg

from embodied.errors import LogError
from embodied.messages import Observation
from embodied.recording.reader import read_session
from memory_bank.dense.casting import MeshCaster
from memory_bank.dense.fusion import FORMATS, Fusion, FusionConfig, Mesh

MOVED_M = 0.05
TURNED_RAD = 0.05
"""Views from closer by than this to the last one fused add time, not surface."""


def fuse_log(
    path: Path, config: FusionConfig = FusionConfig(), progress: Callable[[int], None] = lambda n_frames: None
) -> Mesh:
    """Fuse the depth images of a recorded session.

    Args:
        path: An MCAP of this stack.
        config: How finely.
        progress: Told, now and then, how many observations have been read.

    Raises:
        LogError: The log cannot be read, or holds no depth.
        ConfigurationError: open3d, or a system library that it needs, is missing.
    """
    fusion = Fusion(config)
    last: dict[str, np.ndarray] = {}
    n_read = 0
    for message in read_session(path, decode_rgb=True):
        if not isinstance(message, Observation):
            continue
        n_read += 1
        progress(n_read)
        for camera in message.cameras:
            T_world_camera = message.T_world_base @ camera.T_base_camera
            if camera.depth is None or not _is_new(last.get(camera.name), T_world_camera):
                continue
            last[camera.name] = T_world_camera
            depth_m = camera.depth.astype(np.float32) * np.float32(1e-3)
            fusion.integrate(camera.rgb, depth_m, camera.intrinsics, T_world_camera)
    if fusion.n_frames == 0:
        raise LogError(f"{path} holds no depth images to make a mesh of")
    return fusion.mesh()


def _is_new(last: np.ndarray | None, T_world_camera: np.ndarray) -> bool:
    if last is None:
        return True
    moved_m = float(np.linalg.norm(T_world_camera[:3, 3] - last[:3, 3]))
    cosine = float(np.clip(T_world_camera[:3, 2] @ last[:3, 2], -1.0, 1.0))
    return moved_m >= MOVED_M or float(np.arccos(cosine)) >= TURNED_RAD


def picture_jpeg(mesh: Mesh) -> bytes:
    """Return the doll's-house picture of a mesh."""
    jpeg: bytes = simplejpeg.encode_jpeg(MeshCaster(mesh).picture(), quality=85, colorspace="RGB")
    return jpeg


def mesh_log(log: Path, out: Path, picture: Path | None, progress: Callable[[int], None]) -> tuple[int, int]:
    """Write the mesh of a recorded session; the function behind the entry point ``log`` of ``embodied.mesh``.

    Args:
        log: An MCAP of this stack.
        out: The mesh: PLY, GLB or OBJ, by its ending.
        picture: Where to draw it, as JPEG; None for nowhere.
        progress: Told, now and then, how many observations have been read.

    Returns:
        How many vertices and triangles it has.

    Raises:
        ValueError: ``out`` has another ending.
        LogError: The log cannot be read, or holds no depth.
        StoreError: A file cannot be written.
        ConfigurationError: open3d, or a system library that it needs, is missing.
    """
    if out.suffix.lower() not in FORMATS:
        raise ValueError(f"out: expected a name ending in {', '.join(FORMATS)}, got {out.name}")
    mesh = fuse_log(log, progress=progress)
    mesh.write(out)
    if picture is not None:
        picture.write_bytes(picture_jpeg(mesh))
    return len(mesh.vertices_m), len(mesh.faces)
