"""The shortest way that settles a question: to the nearest place from which the right thing can be seen. Truth."""

from __future__ import annotations

from typing import Sequence, Tuple

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from embodied.arrays import Bool, Float
from embodied.geometry import intrinsics_from_fov
from sim.collision import navigable_grid
from sim.laeqa.questions import Sight
from sim.scene import Scene
from sim.simulator_settings import CameraSettings
from sim.truth_recorder import MIN_PX, MIN_SHARE
from sim.ways import Ways
from sim.world_mesh import MeshBuilder

_CORE = 0.7
"""Points are taken on the box of a thing, made smaller by this: corners of boxes are mostly air."""
_REACHES = 0.97
"""A ray that goes so far has met nothing before its end."""
_BATCH = 256


class ShortestViews:
    """Answers how far a robot has to go in one scene until it can see something. The camera may turn for nothing."""

    def __init__(self, scene: Scene, camera: CameraSettings = CameraSettings()) -> None:
        mesh = MeshBuilder().build(scene)
        self._owner = np.asarray(mesh.instance_id)
        self._caster = EmbreeScene()
        TriangleMesh(self._caster, np.ascontiguousarray(mesh.corners))
        self.grid = navigable_grid(scene)
        self._ways = Ways(self.grid)
        self._camera = camera
        intrinsics = intrinsics_from_fov(camera.width_px, camera.height_px, camera.horizontal_fov_rad)
        self._focal_px = intrinsics.fx_px
        self._lowest_rad = camera.pitch_rad + float(np.arctan(0.5 * camera.height_px / intrinsics.fy_px))

    def way_m(self, start_xy: Tuple[float, float], sights: Sequence[Sight]) -> float:
        """Return the length of the shortest way to where one of several sights is seen; 0 if there are none.

        A thing counts as seen by the rule of the truth (``MIN_PX`` pixels, ``MIN_SHARE`` of it), from any heading.
        """
        if not sights:
            return 0.0
        field_m = self._ways.field(start_xy)
        cells = np.argwhere(np.isfinite(field_m))
        cells = cells[np.argsort(field_m[cells[:, 0], cells[:, 1]], kind="stable")]
        x0, y0 = self.grid.origin_m
        places = (cells[:, ::-1] + 0.5) * self.grid.resolution_m + np.array([x0, y0])
        for first in range(0, len(cells), _BATCH):
            batch = places[first : first + _BATCH]
            seen = np.zeros(len(batch), dtype=bool)
            for sight in sights:
                seen |= self._sees(batch, sight)
            if seen.any():
                row, column = cells[first + int(np.argmax(seen))]
                return float(field_m[row, column])
        return float("inf")

    def _sees(self, places: Float[np.ndarray, "n 2"], sight: Sight) -> Bool[np.ndarray, " n"]:
        """Tell from which places a sight is seen."""
        center, size = np.array(sight.haunt.position_m), np.array(sight.haunt.size_m)
        signs = np.array([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)], dtype=float)
        points = center + 0.5 * _CORE * signs * size
        eyes = np.column_stack([places, np.full(len(places), self._camera.height_m)])
        # What would be seen of the thing with nothing in the way, as the truth reckons pixels.
        faces = np.array([size[1] * size[2], size[0] * size[2], size[0] * size[1]])
        offset = center - eyes
        distance = np.linalg.norm(offset, axis=1)
        area = (np.abs(offset / distance[:, None]) * faces).sum(axis=1)
        large = area * (self._focal_px / distance) ** 2 >= MIN_PX
        seen = np.zeros(len(places), dtype=bool)
        near = np.flatnonzero(large)
        if not len(near):
            return seen
        rays = (points[None] - eyes[near][:, None]).reshape(-1, 3)
        origins = np.repeat(eyes[near], len(points), axis=0)
        hit = self._caster.run(origins.astype(np.float32), rays.astype(np.float32), output=True)
        prim, far = np.asarray(hit["primID"]), np.asarray(hit["tfar"])
        free = (prim < 0) | (far >= _REACHES)
        if sight.instance_id:
            free |= self._owner[np.maximum(prim, 0)] == sight.instance_id
        free &= np.arctan2(-rays[:, 2], np.hypot(rays[:, 0], rays[:, 1])) < self._lowest_rad
        seen[near] = free.reshape(len(near), -1).mean(axis=1) >= MIN_SHARE
        return seen
