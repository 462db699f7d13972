"""Rays against a mesh: what depth a camera would measure of it, and a picture of the whole for people."""

from __future__ import annotations

import numpy as np

from embodied.arrays import DepthMetres, Float, Image, Transform
from embodied.geometry import pixel_rays
from embodied.messages import Intrinsics
from memory_bank.dense.fusion import Mesh
from memory_bank.dense.library import open3d

PICTURE_CUT_M = 2.0
"""Pictures leave out what is higher, so that one looks into rooms."""
_BACKGROUND = 245
_STEP_M = 1e-3


class MeshCaster:
    """Holds a mesh ready for rays."""

    def __init__(self, mesh: Mesh) -> None:
        """Build the tree over its triangles.

        Raises:
            ConfigurationError: open3d, or a system library that it needs, is missing.
        """
        library = open3d()
        self._tensor = library.core.Tensor
        self._mesh = mesh
        self._scene = library.t.geometry.RaycastingScene(nthreads=1)
        if len(mesh.faces):
            self._scene.add_triangles(
                self._tensor(np.ascontiguousarray(mesh.vertices_m, dtype=np.float32)),
                self._tensor(np.ascontiguousarray(mesh.faces, dtype=np.uint32)),
            )

    def depth(self, intrinsics: Intrinsics, T_world_camera: Transform) -> DepthMetres:
        """Return the depth image, along z, that a camera would measure of the mesh; 0 where it would see nothing."""
        directions = pixel_rays(intrinsics) @ T_world_camera[:3, :3].T
        origins = np.broadcast_to(T_world_camera[:3, 3], directions.shape)
        # The rays have z = 1 in the camera, so the distance along them is the depth.
        t, _, _ = self._cast(origins, directions)
        return np.where(np.isfinite(t), t, 0.0).astype(np.float32)

    def distance(
        self, origins: Float[np.ndarray, "n 3"], directions: Float[np.ndarray, "n 3"]
    ) -> Float[np.ndarray, " n"]:
        """Return how far along each ray, in lengths of its direction, the mesh is hit; inf where it is not."""
        return self._cast(origins, directions)[0]

    def picture(self, width_px: int = 960) -> Image:
        """Draw the mesh as a doll's house: from the south and above, without what is higher than ``PICTURE_CUT_M``."""
        lowered = _without_tops(self._mesh)
        if not len(lowered.faces):
            return np.full((width_px // 2, width_px, 3), _BACKGROUND, dtype=np.uint8)
        return MeshCaster(lowered)._draw(width_px)

    def _draw(self, width_px: int) -> Image:
        down = np.array([0.0, np.cos(np.deg2rad(55.0)), -np.sin(np.deg2rad(55.0))])
        right = np.array([1.0, 0.0, 0.0])
        lower = np.cross(down, right)
        low, high = self._mesh.vertices_m.min(axis=0), self._mesh.vertices_m.max(axis=0)
        corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
        u, v = corners @ right, corners @ lower
        scale = (u.max() - u.min()) / width_px
        height_px = max(1, int(np.ceil((v.max() - v.min()) / scale)))
        columns = u.min() + (np.arange(width_px) + 0.5) * scale
        rows = v.min() + (np.arange(height_px) + 0.5) * scale
        far_m = float(np.linalg.norm(high - low)) + 1.0
        start = (corners @ down).min() - far_m
        origins = columns[None, :, None] * right + rows[:, None, None] * lower + start * down
        colours, normals = self._front(origins, np.broadcast_to(down, origins.shape))
        light = np.array([0.3, -0.5, 0.8]) / np.linalg.norm([0.3, -0.5, 0.8])
        shade = 0.65 + 0.35 * np.clip(normals @ light, 0.0, 1.0)
        lit = np.where(np.isnan(colours), _BACKGROUND, colours * shade[..., None])
        return np.clip(np.rint(lit), 0, 255).astype(np.uint8)

    def _front(
        self, origins: Float[np.ndarray, "h w 3"], directions: Float[np.ndarray, "h w 3"]
    ) -> tuple[Float[np.ndarray, "h w 3"], Float[np.ndarray, "h w 3"]]:
        """Return colour (NaN for none) and normal of the first surface that faces the viewer."""
        colours, normals = np.full(origins.shape, np.nan), np.zeros(origins.shape)
        open_rays, start = np.ones(origins.shape[:2], dtype=bool), origins.copy()
        for _ in range(6):
            t, triangles, facing = self._cast(start[open_rays], directions[open_rays])
            hit = np.isfinite(t)
            front = hit & (np.einsum("nc,nc->n", facing, directions[open_rays]) < 0)
            rows, columns = np.nonzero(open_rays)
            corners = self._mesh.faces[triangles[front]]
            colours[rows[front], columns[front]] = self._mesh.colours[corners].mean(axis=1)
            normals[rows[front], columns[front]] = facing[front]
            behind = hit & ~front
            start[rows[behind], columns[behind]] += (t[behind] + _STEP_M)[:, None] * directions[rows, columns][behind]
            open_rays = np.zeros_like(open_rays)
            open_rays[rows[behind], columns[behind]] = True
            if not open_rays.any():
                break
        return colours, normals

    def _cast(
        self, origins: Float[np.ndarray, "*rays 3"], directions: Float[np.ndarray, "*rays 3"]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return distance (inf for none), triangle and normal of the first hit of each ray."""
        if not len(self._mesh.faces):
            shape = origins.shape[:-1]
            return np.full(shape, np.inf), np.zeros(shape, dtype=np.int64), np.zeros((*shape, 3))
        rays = np.concatenate([origins, directions], axis=-1).astype(np.float32)
        found = self._scene.cast_rays(self._tensor(np.ascontiguousarray(rays)), nthreads=1)
        return found["t_hit"].numpy(), found["primitive_ids"].numpy(), found["primitive_normals"].numpy()


def _without_tops(mesh: Mesh) -> Mesh:
    """Return the mesh without what is more than ``PICTURE_CUT_M`` above its floor."""
    if not len(mesh.faces):
        return mesh
    floor_m = float(np.percentile(mesh.vertices_m[:, 2], 1.0))
    low = mesh.vertices_m[mesh.faces, 2].max(axis=1) <= floor_m + PICTURE_CUT_M
    kept, faces = np.unique(mesh.faces[low], return_inverse=True)
    return Mesh(mesh.vertices_m[kept], faces.reshape(-1, 3).astype(np.int32), mesh.colours[kept])
