"""Templates in GLB files: one mesh for each part, with its texture as PNG inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Tuple

import numpy as np
import trimesh
from PIL import Image

from embodied.errors import SceneError
from sim.scene import Part, Template


def write_glb(template: Template, path: Path) -> None:
    """Write a template in its own frame."""
    scene = trimesh.Scene()
    for index, part in enumerate(template.parts):
        material = trimesh.visual.material.PBRMaterial(
            name=f"material_{index:03d}",
            baseColorTexture=Image.fromarray(part.texture),
            metallicFactor=0.0,
            roughnessFactor=1.0,
        )
        mesh = trimesh.Trimesh(
            vertices=part.vertices,
            faces=part.faces,
            visual=trimesh.visual.TextureVisuals(uv=part.uv, material=material),
            process=False,
            validate=False,
        )
        name = f"part_{index:03d}"
        scene.add_geometry(mesh, node_name=name, geom_name=name)
    path.write_bytes(trimesh.exchange.gltf.export_glb(scene, include_normals=True))


def read_glb(path: Path) -> Tuple[Part, ...]:
    """Read the parts of a file in their order.

    Raises:
        SceneError: The file is missing, is not a GLB, or holds something other than textured triangles.
    """
    try:
        with path.open("rb") as file:
            scene: Any = trimesh.load(file, file_type="glb", process=False, force="scene")
    except OSError as error:
        raise SceneError(f"{path}: {error.strerror or error}") from error
    except Exception as error:
        # trimesh lets through whatever its parts raise on damaged bytes: ValueError, KeyError, struct.error, …
        raise SceneError(f"{path}: not a readable GLB: {type(error).__name__}: {error}") from error
    parts = tuple(_part(path, scene.geometry[name]) for name in sorted(scene.geometry))
    if not parts:
        raise SceneError(f"{path}: holds no triangles")
    return parts


def _part(path: Path, mesh: trimesh.Trimesh) -> Part:
    material = getattr(getattr(mesh, "visual", None), "material", None)
    texture = getattr(material, "baseColorTexture", None)
    uv = getattr(mesh.visual, "uv", None)
    if texture is None or uv is None or len(uv) != len(mesh.vertices):
        raise SceneError(f"{path}: a mesh without texture or texture coordinates")
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    if not len(faces) or not np.isfinite(vertices).all() or not np.isfinite(np.asarray(uv)).all():
        raise SceneError(f"{path}: a mesh that is empty or not finite")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise SceneError(f"{path}: a face with a vertex that does not exist")
    try:
        pixels = np.array(texture.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        # Pillow calls a broken chunk of a PNG a SyntaxError.
        raise SceneError(f"{path}: a texture that cannot be read: {error}") from error
    return Part(vertices.astype(np.float32), faces.astype(np.int32), np.asarray(uv).astype(np.float32), pixels)
