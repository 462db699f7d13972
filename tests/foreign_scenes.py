"""Scenes as other tools write them: other axes, other units, no lights, plain materials, painted vertices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np
import trimesh
from PIL import Image

ROOM_M = (6.0, 5.0, 2.6)
Box = Tuple[Sequence[float], Sequence[float]]
WALLS: Dict[str, Box] = {
    "floor": ((0.0, 0.0, -0.1), (6.0, 5.0, 0.0)),
    "wall_south": ((0.0, -0.1, 0.0), (6.0, 0.0, 2.6)),
    "wall_north": ((0.0, 5.0, 0.0), (6.0, 5.1, 2.6)),
    "wall_west": ((-0.1, 0.0, 0.0), (0.0, 5.0, 2.6)),
    "wall_east": ((6.0, 0.0, 0.0), (6.1, 5.0, 2.6)),
}
"""A room in our axes."""
SHELF: Tuple[Box, ...] = (
    ((0.0, 0.0, 0.0), (0.3, 0.8, 0.1)),
    ((0.0, 0.0, 0.1), (0.1, 0.8, 1.0)),
    ((0.0, 0.6, 0.1), (0.3, 0.8, 0.4)),
)
"""A lopsided thing, its origin in a lower corner: no two views of it are alike."""


def solid(low: Sequence[float], high: Sequence[float], rgb: Sequence[int], textured: bool = False) -> trimesh.Trimesh:
    """Return a box in our axes with a plain material, or with a texture."""
    mesh = trimesh.creation.box(bounds=np.array([low, high], dtype=float))
    material = trimesh.visual.material.PBRMaterial(baseColorFactor=[*rgb, 255])
    if textured:
        pixels = np.full((4, 4, 3), rgb, dtype=np.uint8)
        material = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.fromarray(pixels))
    mesh.visual = trimesh.visual.TextureVisuals(uv=np.zeros((len(mesh.vertices), 2)), material=material)
    return mesh


def painted(low: Sequence[float], high: Sequence[float], rgb: Sequence[int]) -> trimesh.Trimesh:
    """Return a box whose vertices are painted."""
    mesh = trimesh.creation.box(bounds=np.array([low, high], dtype=float))
    mesh.visual = trimesh.visual.ColorVisuals(mesh, vertex_colors=np.tile([*rgb, 255], (len(mesh.vertices), 1)))
    return mesh


def export(path: Path, meshes: Mapping[str, Any], axes: np.ndarray, unit_m: float = 1.0) -> None:
    """Write nodes whose axes are rows of ours: ``axes @ ours`` is the file's, in units of ``unit_m``."""
    scene = trimesh.Scene()
    T = np.eye(4)
    T[:3, :3] = axes / unit_m
    for name, mesh in meshes.items():
        turned = mesh.copy()
        turned.apply_transform(T)
        scene.add_geometry(turned, node_name=name, geom_name=name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(trimesh.exchange.gltf.export_glb(scene, include_normals=True))


Y_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Our axes to those of glTF."""


def bare_file(path: Path) -> Path:
    """Write a room with a chair and a red table in it as nodes of one file."""
    meshes = {name: solid(*box, (200, 196, 188)) for name, box in WALLS.items()}
    meshes["Red_Table_03"] = painted((2.0, 2.0, 0.0), (3.0, 3.0, 0.7), (200, 30, 30))
    meshes["Chair"] = solid((4.0, 1.0, 0.0), (4.5, 1.5, 0.9), (30, 60, 200), textured=True)
    export(path, meshes, Y_UP)
    return path


def dataset(directory: Path) -> Path:
    """Write a dataset whose stage has z up and centimetres, and whose object has its front along z and is scaled."""
    walls = trimesh.util.concatenate([painted(*box, (200, 196, 188)) for box in WALLS.values()])
    export(directory / "assets" / "room.glb", {"room": walls}, np.eye(3), unit_m=0.01)
    shelf = {f"part_{i}": solid(*box, (60 + 60 * i, 120, 40)) for i, box in enumerate(SHELF)}
    export(directory / "assets" / "shelf.glb", shelf, Y_UP)
    stage = {"render_asset": "../assets/room.glb", "up": [0, 0, 1], "front": [0, 1, 0], "scale": [0.01, 0.01, 0.01]}
    thing = {"render_asset": "../assets/shelf.glb", "up": [0, 1, 0], "front": [0, 0, 1], "scale": [1.0, 1.5, 1.0]}
    instances: List[Dict[str, Any]] = [
        {"template_name": "shelf_02", "translation": [2.0, 0.75, -2.0], "rotation": [1.0, 0.0, 0.0, 0.0]},
        {
            "template_name": "shelf_02",
            "translation": [4.0, 0.0, -3.0],
            "rotation": [0.9238795, 0.0, 0.3826834, 0.0],
            "translation_origin": "ASSET_LOCAL",
        },
    ]
    scene = {
        "stage_instance": {"template_name": "room"},
        "object_instances": instances,
        "default_lighting": "no_lights",
    }
    files = {
        "configs/room.stage_config.json": stage,
        "configs/shelf_02.object_config.json": thing,
        "scenes/flat.scene_instance.json": scene,
        "theirs.scene_dataset_config.json": {
            "stages": {"paths": {".json": ["configs/*.stage_config.json"]}},
            "objects": {"paths": {".json": ["configs"]}},
            "scene_instances": {"paths": {".json": ["scenes"]}},
        },
    }
    for name, document in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document), encoding="utf-8")
    return directory / "theirs.scene_dataset_config.json"
