"""Where to stand to reach a thing and see it."""

from __future__ import annotations

from typing import Optional, Tuple

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from sim.findingdory.walking import Floor
from sim.houses.sight import CAMERA_HEIGHT_M
from sim.scene import Scene
from sim.world_mesh import MeshBuilder

NEAR_M, FAR_M = 0.45, 1.2
"""Horizontal distance to the thing's middle."""
BEST_M = 0.75
MIN_SHARE = 0.3
"""Of the thing's points that must be seen."""
_N_PLACES, _N_POINTS = 48, 24


class Stands:
    """Finds places; what was computed of the templates is kept from scene to scene."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._builder = MeshBuilder()

    def best(self, scene: Scene, instance_id: int) -> Optional[Tuple[float, float]]:
        """Return the place in a thing's own room from which it is seen best at arm's length, None if there is none."""
        mesh = self._builder.build(scene)
        own = mesh.instance_id == instance_id
        faces = np.flatnonzero(own)
        points = mesh.corners[faces].reshape(-1, 3).astype(float)
        center = (points.min(axis=0) + points.max(axis=0)) / 2
        room = self._floor.room_at(float(center[0]), float(center[1]))
        if not room:
            return None
        places = self._floor.centers_in(room)
        distance_m = np.linalg.norm(places - center[:2], axis=1)
        near = np.flatnonzero((distance_m >= NEAR_M) & (distance_m <= FAR_M))
        if not len(near):
            return None
        near = near[np.linspace(0, len(near) - 1, min(_N_PLACES, len(near))).astype(int)]
        aims = mesh.corners[faces[np.linspace(0, len(faces) - 1, _N_POINTS).astype(int)]].mean(axis=1).astype(float)
        eyes = np.concatenate([places[near], np.full((len(near), 1), CAMERA_HEIGHT_M)], axis=1)
        directions = (aims[None] - eyes[:, None]).reshape(-1, 3).astype(np.float32)
        origins = np.repeat(eyes, len(aims), axis=0).astype(np.float32)
        caster = EmbreeScene()
        TriangleMesh(caster, np.ascontiguousarray(mesh.corners))
        hit = np.asarray(caster.run(origins, directions, output=True)["primID"])
        shares = ((hit >= 0) & own[np.maximum(hit, 0)]).reshape(len(near), len(aims)).mean(axis=1)
        # Half of a closed surface looks away.
        if shares.max() < MIN_SHARE:
            return None
        score = np.minimum(shares, 0.5) - 0.3 * np.abs(distance_m[near] - BEST_M)
        x_m, y_m = places[near[int(score.argmax())]].tolist()
        return x_m, y_m
