"""Depth images into one surface: a truncated signed distance function (Curless and Levoy 1996) in blocks of voxels.

The fusion is open3d's ``VoxelBlockGrid``. Cost and memory follow the surface seen, not the volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embodied.arrays import DepthMetres, Float, Image, Int, Transform, UInt8
from embodied.config import Config
from embodied.errors import StoreError
from embodied.geometry import invert
from embodied.messages import Intrinsics
from memory_bank.dense.library import open3d

FORMATS = (".ply", ".glb", ".obj")


class FusionConfig(Config):
    """How finely, and how far, surfaces are fused."""

    voxel_m: float = 0.03
    """Side of a voxel."""
    max_depth_m: float = 4.0
    """Depth beyond this is too noisy to shape a surface."""
    truncation_voxels: float = 4.0
    """How far from the surface voxels learn of it."""
    min_weight: float = 2.0
    """Frames that must agree on a voxel for it to be part of the mesh."""


@dataclass(frozen=True)
class Mesh:
    """Triangles in the world frame, metres. Faces are counter-clockwise seen from where the camera was."""

    vertices_m: Float[np.ndarray, "n_vertices 3"]
    faces: Int[np.ndarray, "n_faces 3"]
    colours: UInt8[np.ndarray, "n_vertices 3"]
    """RGB."""

    def write(self, path: Path) -> None:
        """Write it as PLY, GLB or OBJ, by the ending of the name.

        Raises:
            ValueError: Another ending.
            StoreError: The file cannot be written.
        """
        if path.suffix.lower() not in FORMATS:
            raise ValueError(f"out: expected a name ending in {', '.join(FORMATS)}, got {path.name}")
        library = open3d()
        mesh = library.t.geometry.TriangleMesh()
        mesh.vertex.positions = library.core.Tensor(np.ascontiguousarray(self.vertices_m, dtype=np.float32))
        mesh.vertex.colors = library.core.Tensor(self.colours.astype(np.float32) / np.float32(255.0))
        mesh.triangle.indices = library.core.Tensor(np.ascontiguousarray(self.faces, dtype=np.int32))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            written = library.t.io.write_triangle_mesh(str(path), mesh)
        except (OSError, RuntimeError) as error:
            raise StoreError(f"mesh {path}: cannot be written: {error}") from error
        if not written:
            raise StoreError(f"mesh {path}: cannot be written")


class Fusion:
    """One surface in the making. One thread."""

    def __init__(self, config: FusionConfig = FusionConfig()) -> None:
        """Begin with nothing.

        Raises:
            ConfigurationError: open3d, or a system library that it needs, is missing.
        """
        self.config = config
        self.n_frames = 0
        self._library = open3d()
        core = self._library.core
        self._grid = self._library.t.geometry.VoxelBlockGrid(
            ("tsdf", "weight", "color"), (core.float32, core.float32, core.float32), ((1), (1), (3)),
            voxel_size=config.voxel_m, block_resolution=8, block_count=4096,
        )  # fmt: skip

    def integrate(self, rgb: Image, depth_m: DepthMetres, intrinsics: Intrinsics, T_world_camera: Transform) -> None:
        """Add one view; depth 0 is invalid.

        Raises:
            ValueError: Colours and depth differ in size, or the pose is not finite.
        """
        if rgb.shape[:2] != depth_m.shape:
            raise ValueError(f"rgb: expected the size of the depth image, {depth_m.shape}, got {rgb.shape[:2]}")
        if not np.isfinite(T_world_camera).all():
            raise ValueError("T_world_camera: expected finite numbers")
        near = np.where(depth_m <= self.config.max_depth_m, depth_m, 0.0).astype(np.float32)
        if not near.any():
            return
        library, settings = self._library, self.config
        depth = library.t.geometry.Image(np.ascontiguousarray(near))
        # Colours of another type than the depth are refused by the grid.
        colour = library.t.geometry.Image(np.ascontiguousarray(rgb, dtype=np.float32) / np.float32(255.0))
        K = library.core.Tensor(_matrix(intrinsics))
        T_camera_world = library.core.Tensor(np.ascontiguousarray(invert(T_world_camera)))
        reach = (1.0, settings.max_depth_m, settings.truncation_voxels)
        blocks = self._grid.compute_unique_block_coordinates(depth, K, T_camera_world, *reach)
        self._grid.integrate(blocks, depth, colour, K, K, T_camera_world, *reach)
        self.n_frames += 1

    def mesh(self) -> Mesh:
        """Return the surface as it is now; without triangles if too little was seen."""
        empty = Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros((0, 3), np.uint8))
        if self.n_frames == 0:
            return empty
        found = self._grid.extract_triangle_mesh(self.config.min_weight)
        if "positions" not in found.vertex or "indices" not in found.triangle:
            return empty
        colours = np.clip(np.rint(found.vertex.colors.numpy() * 255.0), 0, 255).astype(np.uint8)
        return Mesh(found.vertex.positions.numpy().copy(), found.triangle.indices.numpy().copy(), colours)


def _matrix(intrinsics: Intrinsics) -> Float[np.ndarray, "3 3"]:
    # open3d cuts a projection down to its pixel, so its pixel centres lie at halves; ours lie at whole numbers. Without
    # the shift, surfaces seen at a slant lie centimetres off.
    i = intrinsics
    return np.array([[i.fx_px, 0.0, i.cx_px + 0.5], [0.0, i.fy_px, i.cy_px + 0.5], [0.0, 0.0, 1.0]])
