"""Keeps what is true while a session runs, for the judge."""

from __future__ import annotations

from typing import Dict, List, Tuple

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from embodied.arrays import Float, Int, Transform, Vector3
from embodied.geometry import yaw_of
from embodied.messages import Box, Intrinsics, Point
from sim.scene import Instance, Scene, Template
from sim.truth import Sighting, TrueChange, TruePose, TruthObject, TruthSession
from sim.world_mesh import template_corners

MIN_PX = 30
MIN_SHARE = 0.25
"""A thing counts as visible with so many pixels, and so much of what would be seen of it were nothing in the way."""
_RAYS_A_SIDE = 32


def _point(values: Vector3) -> Point:
    x, y, z = (float(value) for value in values)
    return x, y, z


class TruthRecorder:
    """Watches one session."""

    def __init__(self, scene: Scene, intrinsics: Intrinsics, T_base_camera: Transform) -> None:
        self._scene = scene
        self._intrinsics = intrinsics
        self._T_base_camera = T_base_camera
        self._poses: List[TruePose] = []
        self._first: Dict[int, Sighting] = {}
        self._last: Dict[int, Sighting] = {}
        self._best: Dict[int, Sighting] = {}
        self._n_sightings: Dict[int, int] = {}
        self._n_collisions = 0
        self._ids = np.array([i.instance_id for i in scene.instances], dtype=np.int64)
        states = {(i.template, i.opened) for i in scene.instances}
        silhouettes = {state: _silhouettes(scene.templates[state[0]].posed(state[1])) for state in states}
        self._areas = np.array([silhouettes[i.template, i.opened] for i in scene.instances]).reshape(-1, 3)
        self._axes = np.array([i.T_world_object[:3, :3] for i in scene.instances]).reshape(-1, 3, 3)
        self._boxes = [_world_box(scene, instance) for instance in scene.instances]
        self._centers = np.array([box.center_m for box in self._boxes]).reshape(-1, 3)

    def record(
        self,
        seq: int,
        stamp_ns: int,
        T_world_base: Transform,
        instance_ids: Int[np.ndarray, "height width"],
        collided: bool,
    ) -> None:
        """Take note of one observation, made at a true pose."""
        self._n_collisions += collided
        T_world_camera = T_world_base @ self._T_base_camera
        counts = np.bincount(instance_ids.ravel(), minlength=int(self._ids.max(initial=0)) + 1)[self._ids]
        candidates = np.flatnonzero(counts >= MIN_PX)
        expected = self._expected_px(T_world_camera)
        visible = candidates[counts[candidates] >= MIN_SHARE * expected[candidates]]
        for index in visible:
            instance_id = int(self._ids[index])
            sighting = Sighting(
                seq=seq,
                stamp_ns=stamp_ns,
                n_pixels=int(counts[index]),
                distance_m=float(np.linalg.norm(self._centers[index] - T_world_camera[:3, 3])),
            )
            self._first.setdefault(instance_id, sighting)
            self._last[instance_id] = sighting
            best = self._best.get(instance_id)
            if best is None or best.n_pixels < sighting.n_pixels:
                self._best[instance_id] = sighting
            self._n_sightings[instance_id] = self._n_sightings.get(instance_id, 0) + 1
        self._poses.append(
            TruePose(
                seq=seq,
                stamp_ns=stamp_ns,
                x_m=float(T_world_base[0, 3]),
                y_m=float(T_world_base[1, 3]),
                yaw_rad=yaw_of(T_world_base),
                visible=tuple(sorted(int(self._ids[index]) for index in visible)),
            )
        )

    def _expected_px(self, T_world_camera: Transform) -> Float[np.ndarray, " n_instances"]:
        """Return how many pixels each thing would cover if nothing hid it and the image had no end.

        Its silhouette is taken as that of its box, thinned by how much of the box's sides it fills.
        """
        offset = self._centers - T_world_camera[:3, 3]
        distance = np.maximum(np.linalg.norm(offset, axis=1), 1e-6)
        direction = np.abs(np.einsum("nij,ni->nj", self._axes, offset / distance[:, None]))
        area_m2 = (direction * self._areas).sum(axis=1)
        # A pinhole stretches what is off its axis: a steradian covers f^2 / cos^3 pixels.
        cosine = np.clip(offset @ T_world_camera[:3, 2] / distance, 0.3, 1.0)
        return area_m2 / distance**2 * self._intrinsics.fx_px * self._intrinsics.fy_px / cosine**3

    def finish(
        self, session: str, seed: int, start_ns: int, end_ns: int, changes: Tuple[TrueChange, ...]
    ) -> TruthSession:
        """Return all that was true of the session."""
        return TruthSession(
            session=session,
            seed=seed,
            start_ns=start_ns,
            end_ns=end_ns,
            objects=tuple(self._object(i, box) for i, box in zip(self._scene.instances, self._boxes)),
            changes=changes,
            poses=tuple(self._poses),
            n_collisions=self._n_collisions,
        )

    def _object(self, instance: Instance, box: Box) -> TruthObject:
        template = self._scene.templates[instance.template]
        return TruthObject(
            instance_id=instance.instance_id,
            category=template.category,
            colour=template.colour,
            position_m=box.center_m,
            box=box,
            room=_room_of(self._scene, box.center_m),
            support=instance.support,
            relation=instance.relation,
            first_sighting=self._first.get(instance.instance_id),
            last_sighting=self._last.get(instance.instance_id),
            best_sighting=self._best.get(instance.instance_id),
            n_sightings=self._n_sightings.get(instance.instance_id, 0),
        )


def _world_box(scene: Scene, instance: Instance) -> Box:
    vertices = np.concatenate([part.vertices for part in scene.shape_of(instance).parts])
    world = vertices @ instance.T_world_object[:3, :3].T + instance.T_world_object[:3, 3]
    low, high = world.min(axis=0), world.max(axis=0)
    return Box(center_m=_point((low + high) / 2), size_m=_point(high - low))


def _room_of(scene: Scene, position_m: Point) -> str:
    x, y, _ = position_m
    for region in scene.regions:
        x_min, y_min, x_max, y_max = region.rectangle_m
        if x_min <= x <= x_max and y_min <= y <= y_max:
            return region.name
    return ""


def _silhouettes(template: Template) -> Vector3:
    """Return the area that a template covers seen along its own x, y and z, in square metres."""
    corners = template_corners(template)
    low, high = corners.reshape(-1, 3).min(axis=0), corners.reshape(-1, 3).max(axis=0)
    embree = EmbreeScene()
    TriangleMesh(embree, np.ascontiguousarray(corners))
    steps = (np.arange(_RAYS_A_SIDE) + 0.5) / _RAYS_A_SIDE
    areas = np.zeros(3)
    for axis in range(3):
        across = [k for k in range(3) if k != axis]
        origins = np.empty((_RAYS_A_SIDE, _RAYS_A_SIDE, 3), dtype=np.float32)
        origins[..., axis] = low[axis] - 1.0
        origins[..., across[0]] = low[across[0]] + (steps * (high - low)[across[0]])[:, None]
        origins[..., across[1]] = low[across[1]] + (steps * (high - low)[across[1]])[None, :]
        directions = np.zeros((1, 3), dtype=np.float32)
        directions[0, axis] = 1.0
        hits = embree.run(origins.reshape(-1, 3), directions, query="OCCLUDED") >= 0
        areas[axis] = hits.mean() * np.prod((high - low)[across])
    return areas
