"""A frame by numpy and embreex alone, for interpreters without numba."""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from embodied.arrays import DepthMetres, Float, Image, Int, Transform
from embodied.geometry import pixel_rays
from embodied.messages import Intrinsics
from sim.surfaces import SKY_RGB, TONE_SCALE, Surfaces, tone_table

_TILE_PX = 8192
"""Pixels rendered at a time: temporaries then stay in the processor's cache."""


class _Pixels(NamedTuple):
    """What the rays of some pixels hit."""

    face: Int[np.ndarray, " n_pixels"]
    u: Float[np.ndarray, " n_pixels"]
    v: Float[np.ndarray, " n_pixels"]
    scaled_normal: Float[np.ndarray, "n_pixels 3"]
    """Twice as long as the face's area."""
    directions: Float[np.ndarray, "n_pixels 3"]
    depth_m: Float[np.ndarray, " n_pixels"]


class PlainRenderer:
    """Renders one scene from anywhere."""

    def __init__(self, surfaces: Surfaces) -> None:
        self._surfaces = surfaces
        self._tone = tone_table()
        # Embree's robust mode is a fifth slower and differs in one pixel of millions.
        self._embree = EmbreeScene(robust=False)
        TriangleMesh(self._embree, np.ascontiguousarray(surfaces.corners))
        self._instance_id = np.append(surfaces.instance_id, 0).astype(np.int32)
        self._rays_for: Optional[Intrinsics] = None

    def render(self, T_world_camera: Transform, intrinsics: Intrinsics) -> Tuple[Image, DepthMetres, np.ndarray]:
        """Return colour, depth and instance ids, in new arrays."""
        rays = self._camera_rays(intrinsics)
        to_world = np.ascontiguousarray(T_world_camera[:3, :3].T, dtype=np.float32)
        origins = np.empty((_TILE_PX, 3), dtype=np.float32)
        origins[:] = T_world_camera[:3, 3]
        rgb = np.empty((len(rays), 3), dtype=np.uint8)
        depth_m = np.empty(len(rays), dtype=np.float32)
        instance_ids = np.empty(len(rays), dtype=np.int32)
        for start in range(0, len(rays), _TILE_PX):
            part = slice(start, start + _TILE_PX)
            directions = rays[part] @ to_world
            hit = self._embree.run(origins[: len(directions)], directions, query="INTERSECT", output=1)
            # Gathers by the machine's own integers are faster than by the 32 bits that Embree gives.
            face = hit["primID"].astype(np.intp)
            missed = np.flatnonzero(face < 0)
            instance_ids[part] = self._instance_id.take(face)
            face[missed] = 0
            # Rays are one metre long along the optical axis, so their parameter is the depth.
            hit["tfar"][missed] = 0.0
            depth_m[part] = hit["tfar"]
            pixels = _Pixels(face, hit["u"], hit["v"], hit["Ng"], directions, hit["tfar"])
            self._shade(pixels, intrinsics.fx_px * intrinsics.fy_px, rgb[part])
            rgb[part][missed] = SKY_RGB
        shape = (intrinsics.height_px, intrinsics.width_px)
        return rgb.reshape(*shape, 3), depth_m.reshape(shape), instance_ids.reshape(shape)

    def _shade(self, pixels: _Pixels, focal_sq_px: float, rgb: np.ndarray) -> None:
        """Write the colour of hits into ``rgb``."""
        surfaces = self._surfaces
        # Texels a pixel covers: its patch of the surface has the area z^2 / (f^2 |unit normal . ray|), the whole face
        # half of |normal|.
        facing = np.abs(np.einsum("ij,ij->i", pixels.scaled_normal, pixels.directions))
        np.maximum(facing, 1e-12, out=facing)
        covered = pixels.depth_m * pixels.depth_m
        covered *= 1.0 / focal_sq_px
        covered *= surfaces.texels.take(pixels.face)
        covered /= facing
        # The exponent of a float is its logarithm: half of it is the level whose texels are as large as the pixel.
        level = ((covered.view(np.int32) >> 23) - 127) >> 1
        np.clip(level, 0, surfaces.atlas.n_levels - 1, out=level)
        level += surfaces.slot.take(pixels.face)
        u0, v0, u1, v1, u2, v2 = surfaces.uv.take(pixels.face, axis=0).T
        texture_u = u0 + pixels.u * u1 + pixels.v * u2
        texture_v = v0 + pixels.u * v1 + pixels.v * v2
        paint = surfaces.atlas.lookup(level, texture_u, texture_v)
        light = surfaces.light.at(pixels.face, pixels.u, pixels.v)
        for channel in range(3):
            step = paint[channel] * light[channel]
            step *= TONE_SCALE
            np.minimum(step, len(self._tone) - 1, out=step)
            rgb[:, channel] = self._tone.take(step.astype(np.int32))

    def _camera_rays(self, intrinsics: Intrinsics) -> Float[np.ndarray, "n_pixels 3"]:
        if self._rays_for != intrinsics:
            self._rays = pixel_rays(intrinsics).reshape(-1, 3)
            self._rays_for = intrinsics
        return self._rays
