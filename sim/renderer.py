"""Colour, depth and instance ids of a scene: one ray a pixel through Embree, without GPU, window or system library."""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from embodied.arrays import DepthMetres, Float, Image, Int, Transform
from embodied.geometry import pixel_rays
from embodied.messages import Intrinsics
from sim.lighting import LightingSettings, bake
from sim.scene import Scene
from sim.texture_atlas import TextureAtlas
from sim.world_mesh import MeshBuilder

_SKY_RGB = (196, 214, 232)
_TONE_STEPS = 2048
_TONE_MAX = 2.5
"""Linear light that is shown as white."""
_TILE_PX = 8192
"""Pixels rendered at a time: temporaries then stay in the processor's cache."""


def _tone_table() -> np.ndarray:
    """Return display values of linear light in [0, _TONE_MAX]: straight in the middle, a soft shoulder, sRGB gamma."""
    light = np.linspace(0.0, _TONE_MAX, _TONE_STEPS)
    knee = 0.7
    over = np.maximum(light - knee, 0.0) / (1.0 - knee)
    rolled = np.where(light < knee, light, knee + (1.0 - knee) * (1.0 - np.exp(-over)))
    srgb = np.where(rolled <= 0.0031308, 12.92 * rolled, 1.055 * rolled ** (1 / 2.4) - 0.055)
    return np.round(255.0 * np.clip(srgb, 0.0, 1.0)).astype(np.uint8)


class _Pixels(NamedTuple):
    """What the rays of some pixels hit."""

    face: Int[np.ndarray, " n_pixels"]
    u: Float[np.ndarray, " n_pixels"]
    v: Float[np.ndarray, " n_pixels"]
    scaled_normal: Float[np.ndarray, "n_pixels 3"]
    """Twice as long as the face's area."""
    directions: Float[np.ndarray, "n_pixels 3"]
    depth_m: Float[np.ndarray, " n_pixels"]


class Renderer:
    """Renders one scene from anywhere. ``load`` takes the next scene and keeps what templates have in common."""

    def __init__(self, scene: Scene, lighting: Optional[LightingSettings] = None) -> None:
        self._lighting = lighting or LightingSettings()
        self._builder = MeshBuilder()
        self._tone = _tone_table()
        self._rays_for: Optional[Intrinsics] = None
        self.load(scene)

    def load(self, scene: Scene) -> None:
        """Take another scene: build the ray structure and compute its light."""
        mesh = self._builder.build(scene)
        self.scene, self.mesh = scene, mesh
        # Embree's robust mode is a fifth slower and differs in one pixel of millions.
        self._embree = EmbreeScene(robust=False)
        TriangleMesh(self._embree, np.ascontiguousarray(mesh.corners))
        self._atlas = TextureAtlas(mesh.textures)
        self._light = bake(mesh, self._embree, scene.lights, self._lighting)
        self._instance_id = np.append(mesh.instance_id, 0).astype(np.int32)
        self._slot = self._atlas.slot[mesh.texture_index] * self._atlas.n_levels
        edge_u, edge_v = mesh.uv[:, 1] - mesh.uv[:, 0], mesh.uv[:, 2] - mesh.uv[:, 0]
        self._uv = np.concatenate([mesh.uv[:, 0], edge_u, edge_v], axis=1)
        size = self._atlas.width[:, 0] * self._atlas.height[:, 0]
        area = np.abs(edge_u[:, 0] * edge_v[:, 1] - edge_u[:, 1] * edge_v[:, 0])
        self._texels = (area * size[self._atlas.slot[mesh.texture_index]]).astype(np.float32)
        """Twice the number of texels on each face."""

    def render(
        self, T_world_camera: Transform, intrinsics: Intrinsics
    ) -> Tuple[Image, DepthMetres, Int[np.ndarray, "height width"]]:
        """Return what a camera sees.

        Returns:
            RGB uint8; depth float32 in metres along the optical axis, 0 where nothing was hit; instance ids int32, 0
            for the stage and where nothing was hit.
        """
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
            rgb[part][missed] = _SKY_RGB
        shape = (intrinsics.height_px, intrinsics.width_px)
        return rgb.reshape(*shape, 3), depth_m.reshape(shape), instance_ids.reshape(shape)

    def _shade(self, pixels: _Pixels, focal_sq_px: float, rgb: np.ndarray) -> None:
        """Write the colour of hits into ``rgb``."""
        # Texels a pixel covers: its patch of the surface has the area z^2 / (f^2 |unit normal . ray|), the whole face
        # half of |normal|.
        facing = np.abs(np.einsum("ij,ij->i", pixels.scaled_normal, pixels.directions))
        np.maximum(facing, 1e-12, out=facing)
        covered = pixels.depth_m * pixels.depth_m
        covered *= 1.0 / focal_sq_px
        covered *= self._texels.take(pixels.face)
        covered /= facing
        # The exponent of a float is its logarithm: half of it is the level whose texels are as large as the pixel.
        level = ((covered.view(np.int32) >> 23) - 127) >> 1
        np.clip(level, 0, self._atlas.n_levels - 1, out=level)
        level += self._slot.take(pixels.face)
        u0, v0, u1, v1, u2, v2 = self._uv.take(pixels.face, axis=0).T
        texture_u = u0 + pixels.u * u1 + pixels.v * u2
        texture_v = v0 + pixels.u * v1 + pixels.v * v2
        paint = self._atlas.lookup(level, texture_u, texture_v)
        light = self._light.at(pixels.face, pixels.u, pixels.v)
        for channel in range(3):
            step = paint[channel] * light[channel]
            step *= (_TONE_STEPS - 1) / _TONE_MAX
            np.minimum(step, _TONE_STEPS - 1, out=step)
            rgb[:, channel] = self._tone.take(step.astype(np.int32))

    def _camera_rays(self, intrinsics: Intrinsics) -> Float[np.ndarray, "n_pixels 3"]:
        if self._rays_for != intrinsics:
            self._rays = pixel_rays(intrinsics).reshape(-1, 3)
            self._rays_for = intrinsics
        return self._rays
