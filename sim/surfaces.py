"""The surfaces of a scene as a renderer needs them: triangles, paint and the light on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from embodied.arrays import Float, Int, UInt8
from sim.lighting import LightField, bake
from sim.lighting_settings import LightingSettings
from sim.scene import Scene
from sim.texture_atlas import TextureAtlas
from sim.world_mesh import WorldMesh

SKY_RGB = (196, 214, 232)
_TONE_STEPS = 2048
_TONE_MAX = 2.5
"""Linear light that is shown as white."""
TONE_SCALE = np.float32((_TONE_STEPS - 1) / _TONE_MAX)
"""Steps of the table for a light of one."""


def tone_table() -> UInt8[np.ndarray, " n_steps"]:
    """Return display values of linear light, in steps: straight in the middle, a soft shoulder, sRGB gamma."""
    light = np.linspace(0.0, _TONE_MAX, _TONE_STEPS)
    knee = 0.7
    over = np.maximum(light - knee, 0.0) / (1.0 - knee)
    rolled = np.where(light < knee, light, knee + (1.0 - knee) * (1.0 - np.exp(-over)))
    srgb = np.where(rolled <= 0.0031308, 12.92 * rolled, 1.055 * rolled ** (1 / 2.4) - 0.055)
    return np.round(255.0 * np.clip(srgb, 0.0, 1.0)).astype(np.uint8)


@dataclass(frozen=True)
class Surfaces:
    """One row a face."""

    corners: Float[np.ndarray, "n_faces 3 3"]
    """World frame, metres."""
    instance_id: Int[np.ndarray, " n_faces"]
    uv: Float[np.ndarray, "n_faces 6"]
    """Texture coordinates at the first corner, then how they change along the edges to the second and the third."""
    slot: Int[np.ndarray, " n_faces"]
    """Row of the texture's largest copy among ``atlas.width_of_level`` and its like."""
    texels: Float[np.ndarray, " n_faces"]
    """Twice the number of texels on the face."""
    atlas: TextureAtlas
    light: LightField


def light_surfaces(mesh: WorldMesh, scene: Scene, lighting: LightingSettings) -> Surfaces:
    """Compute the light on a scene's triangles."""
    embree = EmbreeScene(robust=False)
    TriangleMesh(embree, np.ascontiguousarray(mesh.corners))
    atlas = TextureAtlas(mesh.textures)
    edge_u, edge_v = mesh.uv[:, 1] - mesh.uv[:, 0], mesh.uv[:, 2] - mesh.uv[:, 0]
    texture = atlas.slot[mesh.texture_index]
    size = atlas.width[:, 0] * atlas.height[:, 0]
    area = np.abs(edge_u[:, 0] * edge_v[:, 1] - edge_u[:, 1] * edge_v[:, 0])
    return Surfaces(
        corners=mesh.corners,
        instance_id=mesh.instance_id,
        uv=np.concatenate([mesh.uv[:, 0], edge_u, edge_v], axis=1),
        slot=texture * atlas.n_levels,
        texels=(area * size[texture]).astype(np.float32),
        atlas=atlas,
        light=bake(mesh, embree, scene.lights, lighting, scene.ambient_rgb, scene.lamp_gain),
    )
