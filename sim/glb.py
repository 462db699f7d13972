"""Templates in GLB files: one mesh for each part, with its texture as PNG inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np
import trimesh
from PIL import Image

from embodied.arrays import Int, Points, Transform, UInt8
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


class GlbNode(NamedTuple):
    """A node of a file and all that it shows, in the file's axes: y up for most."""

    name: str
    parts: Tuple[Part, ...]


def read_glb(path: Path) -> Tuple[Part, ...]:
    """Read the parts of a file that ``write_glb`` wrote, in their order.

    Raises:
        SceneError: The file is missing, is not a GLB, or holds something other than textured triangles.
    """
    scene = _load(path)
    parts = tuple(_part(path, scene.geometry[name]) for name in sorted(scene.geometry))
    if not parts:
        raise SceneError(f"{path}: holds no triangles")
    return parts


def read_nodes(path: Path) -> Tuple[GlbNode, ...]:
    """Read a file that anybody wrote: its nodes where they stand, with textures, plain materials or painted vertices.

    Raises:
        SceneError: The file is missing, is not a GLB, or holds no triangles.
    """
    scene = _load(path)
    nodes: Dict[str, List[Part]] = {}
    for node in sorted(scene.graph.nodes_geometry):
        T, geometry = scene.graph[node]
        mesh = scene.geometry[geometry]
        if isinstance(mesh, trimesh.Trimesh) and len(mesh.faces):
            # Primitives of one mesh become nodes of their own, named after it.
            nodes.setdefault(_node_name(scene, node), []).append(_any_part(path, mesh, np.asarray(T)))
    if not nodes:
        raise SceneError(f"{path}: holds no triangles")
    return tuple(GlbNode(name, tuple(parts)) for name, parts in nodes.items())


def _load(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            return trimesh.load(file, file_type="glb", process=False, force="scene")
    except OSError as error:
        raise SceneError(f"{path}: {error.strerror or error}") from error
    except Exception as error:
        # trimesh lets through whatever its parts raise on damaged bytes: ValueError, KeyError, struct.error, …
        raise SceneError(f"{path}: not a readable GLB: {type(error).__name__}: {error}") from error


def _node_name(scene: Any, node: str) -> str:
    parent = scene.graph.transforms.parents.get(node)
    shared = parent is not None and str(node).startswith(f"{parent}_") and parent != scene.graph.base_frame
    return str(parent if shared else node)


def _any_part(path: Path, mesh: trimesh.Trimesh, T: Transform) -> Part:
    """Return a mesh in its place, with whatever colour it has as a texture."""
    vertices, faces = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces)
    if not np.isfinite(vertices).all() or not np.isfinite(T).all() or faces.min() < 0 or faces.max() >= len(vertices):
        raise SceneError(f"{path}: a mesh that is not finite, or a face with a vertex that does not exist")
    vertices = vertices @ T[:3, :3].T + T[:3, 3]
    if np.linalg.det(T[:3, :3]) < 0:
        # A mirrored node: its faces would be inside out.
        faces = faces[:, ::-1].copy()
    material = getattr(mesh.visual, "material", None)
    texture, uv = getattr(material, "baseColorTexture", None), getattr(mesh.visual, "uv", None)
    factor = getattr(material, "baseColorFactor", None)
    tint = (
        np.ones(3) if factor is None else np.asarray(factor, dtype=float)[:3] / (255.0 if np.max(factor) > 1 else 1.0)
    )
    if texture is not None and uv is not None and len(uv) == len(vertices) and np.isfinite(np.asarray(uv)).all():
        pixels = np.clip(_pixels(path, texture) * tint, 0, 255).astype(np.uint8)
        return Part(vertices.astype(np.float32), faces.astype(np.int32), np.asarray(uv).astype(np.float32), pixels)
    colors = getattr(mesh.visual, "vertex_colors", None) if getattr(mesh.visual, "kind", None) == "vertex" else None
    if colors is None or len(colors) != len(vertices):
        plain = (255 * np.clip(tint, 0, 1)).astype(np.uint8).reshape(1, 1, 3)
        uv = np.zeros((len(vertices), 2), dtype=np.float32)
        return Part(vertices.astype(np.float32), faces.astype(np.int32), uv, plain)
    return _painted(vertices, faces, np.asarray(colors)[:, :3])


def _painted(vertices: Points, faces: Int[np.ndarray, "n_faces 3"], colors: UInt8[np.ndarray, "n 3"]) -> Part:
    """Return a part whose faces each have the mean colour of their corners, in a palette of 4,096 as a texture."""
    shades = np.round(colors[faces].mean(axis=1) / 17.0).astype(np.int64)
    cell = shades[:, 0] * 256 + shades[:, 1] * 16 + shades[:, 2]
    at = np.arange(4096)
    palette = (np.stack([at // 256, at // 16 % 16, at % 16], axis=1) * 17).astype(np.uint8).reshape(64, 64, 3)
    uv = np.stack([(cell % 64 + 0.5) / 64, 1.0 - (cell // 64 + 0.5) / 64], axis=1)
    corners = vertices[faces].reshape(-1, 3)
    own = np.arange(len(corners), dtype=np.int32).reshape(-1, 3)
    return Part(corners.astype(np.float32), own, np.repeat(uv, 3, axis=0).astype(np.float32), palette)


def _pixels(path: Path, texture: Any) -> UInt8[np.ndarray, "texture_height texture_width 3"]:
    try:
        return np.array(texture.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        # Pillow calls a broken chunk of a PNG a SyntaxError.
        raise SceneError(f"{path}: a texture that cannot be read: {error}") from error


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
    pixels = _pixels(path, texture)
    return Part(vertices.astype(np.float32), faces.astype(np.int32), np.asarray(uv).astype(np.float32), pixels)
