"""A scene as plain arrays of triangles in the world frame: what rays hit, and what the robot bumps into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Tuple

import numpy as np

from embodied.arrays import Float, Int, Points, Transform, UInt8
from sim.scene import Scene, Template

CREASE_RAD = np.deg2rad(40.0)
"""Faces that meet at a smaller angle are parts of one curved surface."""


@dataclass(frozen=True)
class TemplateMesh:
    """Triangles of one template in its own frame, one row a face; ``textures`` are those its faces point to."""

    corners: Float[np.ndarray, "n_faces 3 3"]
    normals: Float[np.ndarray, "n_faces 3 3"]
    """Unit normal at each corner, smooth across curved surfaces."""
    uv: Float[np.ndarray, "n_faces 3 2"]
    texture_index: Int[np.ndarray, " n_faces"]
    textures: Tuple[UInt8[np.ndarray, "_texture_height _texture_width 3"], ...]


@dataclass(frozen=True)
class WorldMesh:
    """Triangles of a whole scene, float32, world frame, one row a face."""

    corners: Float[np.ndarray, "n_faces 3 3"]
    normals: Float[np.ndarray, "n_faces 3 3"]
    uv: Float[np.ndarray, "n_faces 3 2"]
    texture_index: Int[np.ndarray, " n_faces"]
    instance_id: Int[np.ndarray, " n_faces"]
    textures: Tuple[UInt8[np.ndarray, "_texture_height _texture_width 3"], ...]


def face_normals(corners: Float[np.ndarray, "n_faces 3 3"]) -> Points:
    """Return unit normals of triangles; zero for triangles without area."""
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 1e-14)


def smooth_normals(corners: Float[np.ndarray, "n_faces 3 3"], crease_rad: float) -> Float[np.ndarray, "n_faces 3 3"]:
    """Return a unit normal for each corner: the mean over faces that meet there at less than ``crease_rad``.

    Faces are weighted by their angle at the corner, so that the result does not depend on how a surface was cut into
    triangles (Thuermer and Wuethrich 1998).
    """
    n_faces = len(corners)
    flat = np.repeat(face_normals(corners), 3, axis=0)
    if n_faces == 0:
        return flat.reshape(0, 3, 3)
    to_next = np.roll(corners, -1, axis=1) - corners
    to_previous = np.roll(corners, 1, axis=1) - corners
    lengths = np.linalg.norm(to_next, axis=2) * np.linalg.norm(to_previous, axis=2)
    cosine = np.einsum("fck,fck->fc", to_next, to_previous) / np.maximum(lengths, 1e-14)
    weighted = flat * np.arccos(np.clip(cosine, -1.0, 1.0)).reshape(-1, 1)
    x, y, z = (np.round(corners.reshape(-1, 3) * 1e4).astype(np.int64) & 0x1FFFFF).T
    group = np.unique((x << 42) | (y << 21) | z, return_inverse=True)[1].ravel()
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 1))
    sizes = np.diff(np.append(starts, len(order)))
    start, size = np.repeat(starts, sizes), np.repeat(sizes, sizes)
    flat_sorted, weighted_sorted = flat[order], weighted[order]
    total = weighted_sorted.copy()
    place = np.arange(len(order)) - start
    for shift in range(1, int(size.max())):
        rows = np.flatnonzero(size > shift)
        others = start[rows] + (place[rows] + shift) % size[rows]
        alike = np.einsum("ij,ij->i", flat_sorted[rows], flat_sorted[others]) > np.cos(crease_rad)
        total[rows[alike]] += weighted_sorted[others[alike]]
    total /= np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-14)
    normals = np.empty_like(total)
    normals[order] = total
    return normals.reshape(n_faces, 3, 3)


def template_corners(template: Template) -> Float[np.ndarray, "n_faces 3 3"]:
    """Return the triangles of a template in its own frame, in the order of ``template_mesh``."""
    corners = [part.vertices[part.faces] for part in template.parts]
    return np.concatenate([np.zeros((0, 3, 3), dtype=np.float32), *corners])


def template_mesh(template: Template) -> TemplateMesh:
    """Flatten the parts of a template."""
    textures: List[np.ndarray] = []
    uv, texture_index = [], []
    for part in template.parts:
        uv.append(part.uv[part.faces])
        texture_index.append(np.full(len(part.faces), len(textures), dtype=np.int32))
        textures.append(part.texture)
    corners = template_corners(template)
    if not len(corners):
        return TemplateMesh(corners, corners, corners[..., :2], np.zeros(0, dtype=np.int32), ())
    return TemplateMesh(
        corners=corners,
        normals=smooth_normals(corners.astype(np.float64), CREASE_RAD).astype(np.float32),
        uv=np.concatenate(uv).astype(np.float32),
        texture_index=np.concatenate(texture_index),
        textures=tuple(textures),
    )


class MeshBuilder:
    """Builds the world's triangles and keeps what was computed of each template, for the next scene of the house."""

    def __init__(self) -> None:
        self._meshes: Dict[Tuple[str, float], Tuple[Template, TemplateMesh]] = {}

    def mesh_of(self, template: Template, opened: float = 0.0) -> TemplateMesh:
        """Return the triangles of a template, open by a share of its travel, computed once."""
        known = self._meshes.get((template.handle, opened))
        if known is None or known[0] is not template:
            known = (template, template_mesh(template.posed(opened)))
            self._meshes[template.handle, opened] = known
        return known[1]

    def build(self, scene: Scene) -> WorldMesh:
        """Place every template of a scene."""
        placed: List[Tuple[TemplateMesh, Transform, int]] = [(self.mesh_of(scene.stage), np.eye(4), 0)]
        for instance in scene.instances:
            mesh = self.mesh_of(scene.templates[instance.template], instance.opened)
            placed.append((mesh, instance.T_world_object, instance.instance_id))
        first_texture: Dict[int, int] = {}
        textures: List[np.ndarray] = []
        for mesh, _, _ in placed:
            if id(mesh) not in first_texture:
                first_texture[id(mesh)] = len(textures)
                textures.extend(mesh.textures)
        return WorldMesh(
            corners=np.concatenate([(m.corners @ T[:3, :3].T + T[:3, 3]).astype(np.float32) for m, T, _ in placed]),
            normals=np.concatenate([_turned(m.normals, T) for m, T, _ in placed]),
            uv=np.concatenate([m.uv for m, _, _ in placed]),
            texture_index=np.concatenate([m.texture_index + first_texture[id(m)] for m, _, _ in placed]),
            instance_id=np.concatenate([np.full(len(m.corners), i, dtype=np.int32) for m, _, i in placed]),
            textures=tuple(textures),
        )


def _turned(normals: Float[np.ndarray, "n_faces 3 3"], T: Transform) -> Float[np.ndarray, "n_faces 3 3"]:
    turned = normals @ np.linalg.inv(T[:3, :3])
    turned /= np.maximum(np.linalg.norm(turned, axis=2, keepdims=True), 1e-14)
    return turned.astype(np.float32)
