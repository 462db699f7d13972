"""Where things come to rest when they are put down: quasi-statics of convex hulls among the triangles of a scene.

There is no velocity. A thing goes down until it touches, and then, as long as its middle is not over what it touches,
tips over the edge of that or slides down what is steep, by steps that each lower its middle; the potential energy of a
body with friction and without inertia. It is taken as the convex hull of its vertices, of one density; all others are
taken as they are. World frame, metres.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Literal, NamedTuple, Optional, Tuple

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from scipy.spatial import ConvexHull, QhullError

from embodied.arrays import Bool, Float, Int, Points, Transform, Vector3
from embodied.geometry import rotation_about, transform
from sim.scene import Instance, Scene, Template
from sim.world_mesh import template_corners

REST_M = 0.001
"""Things rest at this height over what carries them, against coincident faces."""
CONTACT_M = 0.0025
"""What is nearer than this touches."""
OVERLAP_M = 0.0005
"""So deep may two things reach into each other before it counts."""
FRICTION = 0.4
"""A thing slides where this falls short of the slope."""
_SPACING = 1 / 60
"""Between sample points of a hull, of its longest side."""
_MIN_SPACING_M, _MAX_SAMPLES = 0.003, 5000
_TURN_RAD, _LEAST_TURN_RAD = float(np.deg2rad(3.0)), float(np.deg2rad(0.1))
_SLIPS_M = (0.004, 0.012)
"""Steps of sliding: the longer one passes over the gaps between samples."""
_LIFT_M = 0.004
"""A rolling thing may rise so far in one step before it counts as blocked."""
_MAX_STEPS = 500
_MAX_RISE_M = 0.5
_SURROUNDED = 0.7
"""Share of the level directions in which a thing sees its support, from which on it lies in it."""


class Body(NamedTuple):
    """A convex hull in its template's frame."""

    center_m: Vector3
    """Centre of mass."""
    points: Points
    """Samples of its surface, spread evenly."""
    normals: Points
    """Outward, at each sample."""


class Contacts(NamedTuple):
    """Where a body touches others."""

    points: Points
    owners: Int[np.ndarray, " n"]
    """Instance that each point touches, 0 for the stage."""
    carries: Bool[np.ndarray, " n"]
    """Whether it lies under the body there, not beside it."""


def settle(scene: Scene, instance_id: int, T_world_object: Transform) -> Scene:
    """Return the scene with one thing let go at a pose: it falls, tips and slides until it rests.

    What it ends on or in becomes its support, and what it carried goes with it. A pose inside another thing is raised
    first, by up to half a metre.

    Raises:
        ValueError: There is no such instance, the pose is not finite or inside something, or nothing is under it.
    """
    instances = scene.by_id()
    if instance_id not in instances:
        raise ValueError(f"instance_id: expected an instance of the scene, got {instance_id}")
    if T_world_object.shape != (4, 4) or not np.isfinite(T_world_object).all():
        raise ValueError(f"T_world_object: expected a finite pose, got {T_world_object.tolist()}")
    carried = _carried(instances, instance_id)
    obstacles = Obstacles(scene, without=(instance_id, *carried))
    old = instances[instance_id]
    body = hull_body(scene.shape_of(old))
    T = rest_pose(obstacles, body, np.asarray(T_world_object, dtype=np.float64))
    touched = obstacles.contacts(body, T)
    support = _support(touched)
    lowest = T[:3, :3] @ body.center_m + T[:3, 3]
    lowest[2] = (body.points @ T[2, :3]).min() + T[2, 3]
    relation = _relation(scene, support, lowest)
    moved = {instance_id: replace(old, T_world_object=T, support=support, relation=relation)}
    shift = T @ np.linalg.inv(old.T_world_object)
    for i in carried:
        moved[i] = replace(instances[i], T_world_object=shift @ instances[i].T_world_object)
    return scene.with_instances(tuple(moved.get(i.instance_id, i) for i in scene.instances))


def hull_body(template: Template) -> Body:
    """Return the convex hull of a template as it stands."""
    vertices = np.unique(np.concatenate([p.vertices for p in template.parts]).astype(np.float64), axis=0)
    try:
        hull = ConvexHull(vertices)
    except QhullError:
        # Flat, or a single line: give it the thickness of a sheet of paper.
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        box = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
        hull = ConvexHull(low + box * np.maximum(high - low, 1e-4))
        vertices = hull.points
    corners = vertices[hull.simplices]
    normals = hull.equations[:, :3]
    inside = vertices.mean(axis=0)
    volumes = np.abs(np.einsum("ij,ij->i", corners[:, 0] - inside, _crossed(corners))) / 6.0
    middles = (corners.sum(axis=1) + inside) / 4.0
    center = (volumes[:, None] * middles).sum(axis=0) / volumes.sum()
    points, faces = _samples(corners, float(np.ptp(vertices, axis=0).max()))
    return Body(center, points, normals[faces])


def rest_pose(obstacles: Obstacles, body: Body, T: Transform) -> Transform:
    """Return where a body rests that is let go at a pose.

    Raises:
        ValueError: The pose lies inside something, or nothing is under it.
    """
    T = _dropped(obstacles, body, _raised(obstacles, body, T))
    for _ in range(_MAX_STEPS):
        contacts = obstacles.contacts(body, T)
        center = T[:3, :3] @ body.center_m + T[:3, 3]
        tip = _tipping(contacts.points, center)
        if tip is None:
            return T
        step = _slipped(obstacles, body, T, tip.outward) or _tipped(obstacles, body, T, tip)
        step = step or _worked_free(obstacles, body, T, tip, contacts.points)
        if step is None:
            return T
        T = step.T_world_object
    return T


class Obstacles:
    """The triangles of a scene without some instances."""

    def __init__(self, scene: Scene, without: Tuple[int, ...] = ()) -> None:
        corners, owners = [template_corners(scene.stage)], [0]
        for instance in scene.instances:
            if instance.instance_id not in without:
                T = instance.T_world_object
                corners.append((template_corners(scene.shape_of(instance)) @ T[:3, :3].T + T[:3, 3]).astype(np.float32))
                owners.append(instance.instance_id)
        self._owner = np.repeat(owners, [len(c) for c in corners])
        self._caster = EmbreeScene()
        TriangleMesh(self._caster, np.ascontiguousarray(np.concatenate(corners)))

    def cast(self, origins: Points, directions: Points) -> Tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Return how far each ray goes, in lengths of its direction, and what it hits: -1 and infinity for nothing."""
        hit = self._caster.run(
            np.ascontiguousarray(origins, dtype=np.float32),
            np.ascontiguousarray(directions, dtype=np.float32),
            output=1,
        )
        face = np.asarray(hit["primID"])
        far = np.where(face >= 0, np.asarray(hit["tfar"], dtype=np.float64), np.inf)
        return far, np.where(face >= 0, self._owner[np.maximum(face, 0)], -1)

    def overlap_m(self, body: Body, T: Transform) -> float:
        """Return how deep others reach into a body, as seen from its centre of mass; 0 if it is free."""
        center = T[:3, :3] @ body.center_m + T[:3, 3]
        rays = body.points @ T[:3, :3].T + T[:3, 3] - center
        far, _ = self.cast(np.repeat(center[None], len(rays), axis=0), rays)
        inside = far < 1.0
        return float(((1.0 - far[inside]) * np.linalg.norm(rays[inside], axis=1)).max(initial=0.0))

    def below_m(self, body: Body, T: Transform) -> float:
        """Return how far a body can go straight down, infinite if nothing is under it."""
        R = T[:3, :3]
        lower = body.normals @ R[2] < 0.2
        origins = body.points[lower] @ R.T + T[:3, 3]
        down = np.broadcast_to(np.array([0.0, 0.0, -1.0]), origins.shape)
        # From a little inside, or what touches already would be missed.
        return float(self.cast(origins - CONTACT_M * down, down)[0].min(initial=np.inf)) - CONTACT_M

    def contacts(self, body: Body, T: Transform) -> Contacts:
        """Return where a body touches others, from below or from its sides."""
        normals = body.normals @ T[:3, :3].T
        points = body.points @ T[:3, :3].T + T[:3, 3]
        chosen = normals[:, 2] < 0.3
        points, normals = points[chosen], normals[chosen]
        # Straight down for what carries, or a rounded underside would touch too little; outwards for what leans.
        sides = normals[:, 2] >= -0.3
        rays = np.concatenate([np.broadcast_to([0.0, 0.0, -1.0], points.shape), normals[sides]])
        points = np.concatenate([points, points[sides]])
        far, owner = self.cast(points - CONTACT_M * rays, rays)
        near = far < 2 * CONTACT_M
        # An edge that passes between samples touches the body's inside once it is a little lower.
        center = T[:3, :3] @ body.center_m + T[:3, 3] - (0.0, 0.0, CONTACT_M)
        inward = body.points @ T[:3, :3].T + T[:3, 3] - (0.0, 0.0, CONTACT_M) - center
        share, pressing = self.cast(np.repeat(center[None], len(inward), axis=0), inward)
        pressed = share < 1.0
        return Contacts(
            np.concatenate([points[near], center + share[pressed, None] * inward[pressed]]),
            np.concatenate([owner[near], pressing[pressed]]),
            np.concatenate([(rays[:, 2] < -0.9)[near], np.ones(int(pressed.sum()), dtype=bool)]),
        )


# ------------------------------------------------------------------------------------------------- steps


class _Tip(NamedTuple):
    """How a body falls over."""

    pivot: Vector3
    axis: Vector3
    outward: Vector3
    """Level unit vector from the edge to the centre of mass."""


class _Pose(NamedTuple):
    T_world_object: Transform


def _raised(obstacles: Obstacles, body: Body, T: Transform) -> Transform:
    """Return a pose moved up until it is free."""
    for rise_m in np.arange(0.0, _MAX_RISE_M, 0.01).tolist():
        raised = _shifted(T, 0.0, 0.0, rise_m)
        if obstacles.overlap_m(body, raised) <= OVERLAP_M:
            return raised
    raise ValueError("T_world_object: expected a pose in free space, got one inside something")


def _dropped(obstacles: Obstacles, body: Body, T: Transform) -> Transform:
    """Return a pose moved down until it touches."""
    far = obstacles.below_m(body, T)
    if not np.isfinite(far):
        raise ValueError("T_world_object: expected a pose over something to rest on, got one over nothing")
    dropped = _shifted(T, 0.0, 0.0, REST_M - far)
    # Rays from samples miss edges that lie between them: up again, by as little as frees it.
    low, high = 0.0, 0.0
    while obstacles.overlap_m(body, _shifted(dropped, 0.0, 0.0, high)) > OVERLAP_M and high < far:
        low, high = high, min(2 * high + OVERLAP_M, max(far, OVERLAP_M))
    while high - low > OVERLAP_M:
        middle = (low + high) / 2
        free = obstacles.overlap_m(body, _shifted(dropped, 0.0, 0.0, middle)) <= OVERLAP_M
        low, high = (low, middle) if free else (middle, high)
    return _shifted(dropped, 0.0, 0.0, high)


def _tipping(points: Points, center: Vector3) -> Optional[_Tip]:
    """Return the edge of the contacts over which a body falls; None if its centre of mass is over them."""
    if not len(points):
        return None
    offsets = points[:, :2] - center[:2]
    ring = _ring(offsets)
    if len(ring) >= 3:
        ends = np.roll(ring, -1)
        a, b = offsets[ring], offsets[ends]
        side = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
        if (side >= -1e-9).all():
            return None
    else:
        ends = np.roll(ring, -1)
        a, b = offsets[ring], offsets[ends]
    along = b - a
    length = np.maximum((along * along).sum(axis=1), 1e-12)
    share = np.clip(-(a * along).sum(axis=1) / length, 0.0, 1.0)
    nearest = a + share[:, None] * along
    edge = int(np.argmin((nearest * nearest).sum(axis=1)))
    away = -nearest[edge]
    distance = float(np.linalg.norm(away))
    if distance < 1e-3:
        return None
    outward = np.array([away[0], away[1], 0.0]) / distance
    first, last = points[ring[edge]], points[ends[edge]]
    pivot = first + share[edge] * (last - first)
    axis = np.array([-outward[1], outward[0], 0.0])
    line = last - first
    # Over an edge whose ends lie at different heights a body turns about that edge.
    if np.linalg.norm(line) > 0.01 and 0.0 < share[edge] < 1.0:
        line = line / np.linalg.norm(line)
        axis = line if line @ axis > 0 else -line
    return _Tip(pivot, axis, outward)


def _ring(offsets: Float[np.ndarray, "n 2"]) -> Int[np.ndarray, " n_corners"]:
    """Return the corners of the convex hull of level points, counter-clockwise (Andrew's monotone chain)."""
    order = np.lexsort((offsets[:, 1], offsets[:, 0])).tolist()
    chains: List[List[int]] = []
    for sequence in (order, order[::-1]):
        chain: List[int] = []
        for index in sequence:
            while len(chain) >= 2:
                o, a, b = offsets[chain[-2]], offsets[chain[-1]], offsets[index]
                if (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]) > 1e-12:
                    break
                chain.pop()
            chain.append(index)
        chains.append(chain[:-1])
    return np.array(chains[0] + chains[1] or order[:1], dtype=np.int64)


def _slipped(obstacles: Obstacles, body: Body, T: Transform, outward: Vector3) -> Optional[_Pose]:
    """Return the pose after sliding a little to where it falls; None where friction holds it."""
    for slip_m in _SLIPS_M:
        x, y, _ = (slip_m * outward).tolist()
        moved = _freed(obstacles, body, _shifted(T, x, y, 0.0))
        dropped = _dropped_or_none(obstacles, body, moved) if moved is not None else None
        if dropped is not None and T[2, 3] - dropped[2, 3] > FRICTION * slip_m:
            return _Pose(dropped)
    return None


def _tipped(
    obstacles: Obstacles, body: Body, T: Transform, tip: _Tip, least_rad: float = _LEAST_TURN_RAD
) -> Optional[_Pose]:
    """Return the pose after tipping over an edge as far as it goes in one step; None if it is blocked."""
    height_m = float(T[2, :3] @ body.center_m + T[2, 3])
    angle = _TURN_RAD
    while angle >= least_rad:
        R = rotation_about(tip.axis, angle)
        turned = _freed(obstacles, body, transform(R, tip.pivot - R @ tip.pivot) @ T)
        dropped = _dropped_or_none(obstacles, body, turned) if turned is not None else None
        if dropped is not None and float(dropped[2, :3] @ body.center_m + dropped[2, 3]) < height_m - 1e-6:
            return _Pose(dropped)
        angle /= 2
    return None


def _worked_free(obstacles: Obstacles, body: Body, T: Transform, tip: _Tip, touched: Points) -> Optional[_Pose]:
    """Return the pose after the first of some other small moves that lowers a body stuck between others, or None."""
    for turn in np.linspace(0.0, 2 * np.pi, 8, endpoint=False)[1:].tolist():
        aside = rotation_about(np.array([0.0, 0.0, 1.0]), turn) @ tip.outward
        step = _slipped(obstacles, body, T, aside)
        if step is not None:
            return step
    far = touched[((touched - tip.pivot) ** 2).sum(axis=1).argmax()]
    for pivot in (touched.mean(axis=0), far):
        for turn in (0.0, 0.25 * np.pi, -0.25 * np.pi, 0.5 * np.pi, -0.5 * np.pi):
            axis = rotation_about(np.array([0.0, 0.0, 1.0]), turn) @ tip.axis
            step = _tipped(obstacles, body, T, tip._replace(pivot=pivot, axis=axis), least_rad=_TURN_RAD / 2)
            if step is not None:
                return step
    return None


def _freed(obstacles: Obstacles, body: Body, T: Transform) -> Optional[Transform]:
    """Return a pose that others reach into a little, moved up; None if they reach too deep."""
    for rise_m in (0.0, _LIFT_M / 4, _LIFT_M / 2, _LIFT_M):
        raised = _shifted(T, 0.0, 0.0, rise_m)
        if obstacles.overlap_m(body, raised) <= OVERLAP_M:
            return raised
    return None


def _dropped_or_none(obstacles: Obstacles, body: Body, T: Transform) -> Optional[Transform]:
    return _dropped(obstacles, body, T) if np.isfinite(obstacles.below_m(body, T)) else None


def _shifted(T: Transform, x_m: float, y_m: float, z_m: float) -> Transform:
    moved = T.copy()
    moved[:3, 3] += (x_m, y_m, z_m)
    return moved


# ------------------------------------------------------------------------------------------------- shapes


def _crossed(corners: Float[np.ndarray, "n 3 3"]) -> Points:
    return np.asarray(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))


def _samples(corners: Float[np.ndarray, "n 3 3"], longest_m: float) -> Tuple[Points, Int[np.ndarray, " n_points"]]:
    """Return points on triangles no farther apart than a share of the body, and the triangle of each."""
    crossed = _crossed(corners)
    area = np.linalg.norm(crossed, axis=1).sum() / 2
    spacing = max(longest_m * _SPACING, _MIN_SPACING_M, float(np.sqrt(area / _MAX_SAMPLES)))
    points, faces = [], []
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    steps = np.maximum(1, np.ceil(edges / spacing)).astype(np.int64)
    for n in np.unique(steps).tolist():
        i, j = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
        i, j = i[i + j <= n] / n, j[i + j <= n] / n
        weights = np.stack([1 - i - j, i, j], axis=1)
        chosen = np.flatnonzero(steps == n)
        points.append(np.einsum("pc,fck->fpk", weights, corners[chosen]).reshape(-1, 3))
        faces.append(np.repeat(chosen, len(weights)))
    all_points, all_faces = np.concatenate(points), np.concatenate(faces)
    # Many small triangles meet on what is round: one point for each place and side is enough.
    axis = np.abs(crossed).argmax(axis=1)
    side = 2 * axis + (np.take_along_axis(crossed, axis[:, None], axis=1)[:, 0] > 0)
    cells = np.floor((all_points - all_points.min(axis=0)) / (0.8 * spacing)).astype(np.int64)
    keys = ((cells[:, 0] * 4096 + cells[:, 1]) * 4096 + cells[:, 2]) * 8 + side[all_faces]
    kept = np.sort(np.unique(keys, return_index=True)[1])
    return all_points[kept], all_faces[kept]


def _carried(instances: Dict[int, Instance], instance_id: int) -> List[int]:
    """Return what rests on or in an instance, and what rests on that."""
    found: List[int] = []
    level = [instance_id]
    while level:
        level = [i for i, other in instances.items() if other.support in level]
        found += level
    return found


def _support(contacts: Contacts) -> int:
    """Return the instance that most of the contacts from below are with."""
    below = contacts.owners[contacts.carries]
    if not len(below):
        return 0
    ids, counts = np.unique(below, return_counts=True)
    return int(ids[counts.argmax()])


def _relation(scene: Scene, support: int, bottom_m: Vector3) -> Literal["on", "in"]:
    """Tell whether a thing lies on or in its support, whose walls or roof then surround the thing's lowest point."""
    if not support:
        return "on"
    others = tuple(i.instance_id for i in scene.instances if i.instance_id != support)
    angles = np.linspace(0.0, 2 * np.pi, 16, endpoint=False)
    level = np.stack([np.cos(angles), np.sin(angles), np.zeros(16)], axis=1)
    rays = np.concatenate([[[0.0, 0.0, 1.0]], level])
    _, owners = Obstacles(scene, others).cast(np.repeat((bottom_m + (0, 0, 0.01))[None], len(rays), axis=0), rays)
    return "in" if owners[0] == support or (owners[1:] == support).mean() > _SURROUNDED else "on"
