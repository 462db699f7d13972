"""What can be seen from where a robot can stand, by casting rays against the whole house."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh

from embodied.arrays import Float, Int
from sim.houses.clearance import FreeFloor
from sim.scene import Instance, Scene, Template

CAMERA_HEIGHT_M = 1.25
NEAR_M, FAR_M = 0.35, 1.5
"""Horizontal distance from which a thing should be seen."""
MIN_VISIBLE = 0.4
"""Share of a thing's points that can be seen at once from its best viewpoint."""
_N_POINTS, _N_PLACES = 24, 24


def hidden_things(scene: Scene, floor: FreeFloor, only: Optional[Sequence[int]] = None) -> List[int]:
    """Return the ids of things that rest on something, or on the floor at a wall, and cannot be seen well enough."""
    caster, owner = _build(scene)
    places = floor.centers(floor.reachable)
    hidden = []
    for instance in scene.instances:
        if only is not None and instance.instance_id not in only:
            continue
        template = scene.shape_of(instance)
        if _share_seen(caster, owner, instance, template, places) < MIN_VISIBLE:
            hidden.append(instance.instance_id)
    return hidden


def _build(scene: Scene) -> Tuple[rtcore_scene.EmbreeScene, Int[np.ndarray, " n_triangles"]]:
    """Return a caster and the instance of each of its triangles."""
    vertices, faces, owner = [], [], []
    n_vertices = 0
    for template, T, instance_id in [(scene.stage, np.eye(4), 0)] + [
        (scene.shape_of(i), i.T_world_object, i.instance_id) for i in scene.instances
    ]:
        for part in template.parts:
            vertices.append((part.vertices.astype(float) @ T[:3, :3].T + T[:3, 3]).astype(np.float32))
            faces.append(part.faces + np.int32(n_vertices))
            owner.append(np.full(len(part.faces), instance_id))
            n_vertices += len(part.vertices)
    caster = rtcore_scene.EmbreeScene()
    TriangleMesh(caster, np.concatenate(vertices), np.concatenate(faces))
    return caster, np.concatenate(owner)


def _share_seen(
    caster: rtcore_scene.EmbreeScene,
    owner: Int[np.ndarray, " n_triangles"],
    instance: Instance,
    template: Template,
    places: Float[np.ndarray, "n 2"],
) -> float:
    """Return the share of a thing's points that the best of some nearby places can see."""
    T = instance.T_world_object
    points = np.concatenate([part.vertices for part in template.parts]).astype(float) @ T[:3, :3].T + T[:3, 3]
    center = (points.min(axis=0) + points.max(axis=0)) / 2
    points = points[np.linspace(0, len(points) - 1, _N_POINTS).astype(int)]
    # Aim a little inwards, so that rays do not graze the outline.
    points = points + 0.1 * (center - points)
    reach = float(np.abs(points[:, :2] - center[:2]).max())
    distance = np.linalg.norm(places - center[:2], axis=1)
    near = places[(distance >= NEAR_M) & (distance <= FAR_M + max(0.0, reach - 0.3))]
    if not len(near):
        return 0.0
    near = near[np.linspace(0, len(near) - 1, min(_N_PLACES, len(near))).astype(int)]
    eyes = np.concatenate([near, np.full((len(near), 1), CAMERA_HEIGHT_M)], axis=1)
    origins = np.repeat(eyes, len(points), axis=0)
    directions = np.tile(points, (len(eyes), 1)) - origins
    hit = np.asarray(caster.run(origins.astype(np.float32), directions.astype(np.float32), output=True)["primID"])
    own = (hit >= 0) & (owner[np.maximum(hit, 0)] == instance.instance_id)
    return float(own.reshape(len(eyes), len(points)).mean(axis=1).max())
