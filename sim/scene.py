"""A scene in memory: what is where, and what it looks like. The simulator's truth; it never crosses a wire.

World frame: x, y on the floor, z up, metres. Templates stand on their own origin: z up, the origin in the middle of the
bottom of the bounding box. Files are ``habitat_dataset``'s business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, List, Literal, Mapping, Optional, Tuple

import numpy as np

from embodied.arrays import Float, Int, Transform, UInt8
from embodied.geometry import rotation_about, transform

Rectangle = Tuple[float, float, float, float]
"""x_min, y_min, x_max, y_max in metres."""


@dataclass(frozen=True)
class Joint:
    """How a part moves against the rest of its template when it is opened: a door, a lid, a drawer."""

    kind: Literal["hinge", "slide"]
    origin_m: Tuple[float, float, float]
    """A point of a hinge's axis, in the template's frame."""
    axis: Tuple[float, float, float]
    """Unit vector: what a hinge turns about, counter-clockwise, or where a slide goes."""
    travel: float
    """From closed to wide open: radians of a hinge, metres of a slide."""

    def T_closed_open(self, opened: float) -> Transform:
        """Return where the part is in the template's frame when it is open by a share of its travel."""
        if self.kind == "slide":
            return transform(np.eye(3), opened * self.travel * np.array(self.axis))
        R, origin = rotation_about(np.array(self.axis), opened * self.travel), np.array(self.origin_m)
        return transform(R, origin - R @ origin)


@dataclass(frozen=True)
class Part:
    """Triangles that share one texture. A plain colour is a texture of one pixel."""

    vertices: Float[np.ndarray, "n_vertices 3"]
    """float32, metres."""
    faces: Int[np.ndarray, "n_faces 3"]
    """int32, counter-clockwise seen from outside."""
    uv: Float[np.ndarray, "n_vertices 2"]
    """float32; (0, 0) is the texture's lower left corner, values beyond [0, 1] repeat."""
    texture: UInt8[np.ndarray, "texture_height texture_width 3"]
    joint: Optional[Joint] = None
    """None for what does not move."""

    def posed(self, opened: float) -> Part:
        """Return the part where it is when its template is open by this share, in the template's frame."""
        if self.joint is None or opened == 0.0:
            return self
        T = self.joint.T_closed_open(opened)
        vertices = (self.vertices.astype(np.float64) @ T[:3, :3].T + T[:3, 3]).astype(np.float32)
        return replace(self, vertices=vertices)


@dataclass(frozen=True)
class Template:
    """A thing that may stand in several places."""

    handle: str
    """Name of its file."""
    category: str
    """What a person calls it, in lower case: the label a detector would give it."""
    colour: str
    """The colour a person would name it by, from ``embodied`` questions' colour words; empty if none stands out."""
    parts: Tuple[Part, ...]

    @property
    def size_m(self) -> Tuple[float, float, float]:
        """Lengths of the bounding box, closed, in the template's own frame."""
        vertices = np.concatenate([part.vertices for part in self.parts])
        x, y, z = (vertices.max(axis=0) - vertices.min(axis=0)).tolist()
        return x, y, z

    @property
    def can_open(self) -> bool:
        """Whether a part of it moves."""
        return any(part.joint is not None for part in self.parts)

    def posed(self, opened: float) -> Template:
        """Return the template open by a share of its travel, 0 to 1; its frame stays that of the closed one."""
        if opened == 0.0 or not self.can_open:
            return self
        return replace(self, parts=tuple(part.posed(opened) for part in self.parts))


@dataclass(frozen=True)
class Instance:
    """One thing in the scene."""

    instance_id: int
    """1, 2, …: what the instance sensor shows; 0 is the stage."""
    template: str
    """Handle."""
    T_world_object: Transform
    support: int = 0
    """Instance that it rests on or in; 0 for the floor or a wall."""
    relation: Literal["on", "in"] = "on"
    opened: float = 0.0
    """Share of its travel by which it is open, 0 to 1; 0 for what cannot open."""


@dataclass(frozen=True)
class Light:
    """A point light."""

    position_m: Tuple[float, float, float]
    color: Tuple[float, float, float]
    intensity: float


@dataclass(frozen=True)
class Region:
    """A room, as built."""

    name: str
    """kitchen, bedroom, …"""
    rectangle_m: Rectangle


@dataclass(frozen=True)
class Door:
    """An opening between two rooms."""

    region_a: str
    region_b: str
    center_m: Tuple[float, float]
    width_m: float


@dataclass(frozen=True)
class Scene:
    """Everything there is."""

    name: str
    stage: Template
    templates: Mapping[str, Template]
    instances: Tuple[Instance, ...]
    lights: Tuple[Light, ...]
    regions: Tuple[Region, ...]
    doors: Tuple[Door, ...]
    start_pose: Tuple[float, float, float]
    """x, y in metres and yaw in radians of a place where the robot can stand."""
    ambient_rgb: Tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Light from all around, of each colour, as a multiple of what the lighting's settings say."""
    lamp_gain: float = 1.0
    """Light of lamps on a typical floor, as a multiple of what the lighting's settings say."""

    def by_id(self) -> Dict[int, Instance]:
        """Return the instances by their ids."""
        return {instance.instance_id: instance for instance in self.instances}

    def category_of(self, instance_id: int) -> str:
        """Return the category of an instance."""
        return self.templates[self.by_id()[instance_id].template].category

    def shape_of(self, instance: Instance) -> Template:
        """Return what an instance looks like, open as far as it is."""
        return self.templates[instance.template].posed(instance.opened)

    def with_instances(self, instances: Tuple[Instance, ...]) -> Scene:
        """Return the same house with other contents."""
        return replace(self, instances=instances)


def open_container(scene: Scene, instance_id: int, opened: float = 1.0) -> Scene:
    """Return the scene with a door, lid or drawer open by a share of its travel; what lies in a drawer moves with it.

    Raises:
        ValueError: There is no such instance, it cannot open, or the share is not in [0, 1].
    """
    instances = scene.by_id()
    changed = {i.instance_id: i for i in opened_instances(scene.templates, instances, instance_id, opened)}
    return scene.with_instances(tuple(changed.get(i.instance_id, i) for i in scene.instances))


def close_container(scene: Scene, instance_id: int) -> Scene:
    """Return the scene with a door, lid or drawer shut.

    Raises:
        ValueError: There is no such instance, or it cannot open.
    """
    return open_container(scene, instance_id, 0.0)


def opened_instances(
    templates: Mapping[str, Template], instances: Mapping[int, Instance], instance_id: int, opened: float
) -> List[Instance]:
    """Return what changes when a door, lid or drawer is opened: the thing itself, and what lies in its drawers.

    Raises:
        ValueError: There is no such instance, it cannot open, or the share is not in [0, 1].
    """
    instance = instances.get(instance_id)
    if instance is None or not templates[instance.template].can_open:
        raise ValueError(f"instance_id: expected an instance that can open, got {instance_id}")
    if not 0.0 <= opened <= 1.0:
        raise ValueError(f"opened: expected a share in [0, 1], got {opened}")
    changed = [replace(instance, opened=float(opened))]
    drawers = [p for p in templates[instance.template].parts if p.joint and p.joint.kind == "slide"]
    for other in instances.values():
        if drawers and other.support == instance_id and other.relation == "in":
            T = instance.T_world_object @ _carried_along(drawers, instance, other, opened)
            changed.append(replace(other, T_world_object=T))
    return changed


def _carried_along(drawers: List[Part], container: Instance, thing: Instance, opened: float) -> Transform:
    """Return the pose of a thing in its container's frame after a drawer has moved."""
    T = np.linalg.inv(container.T_world_object) @ thing.T_world_object
    for joint in {part.joint for part in drawers if part.joint}:
        before, after = joint.T_closed_open(container.opened), joint.T_closed_open(opened)
        vertices = np.concatenate([part.vertices for part in drawers if part.joint == joint]) + before[:3, 3]
        low, high = vertices.min(axis=0) - 0.01, vertices.max(axis=0) + 0.01
        if (low <= T[:3, 3]).all() and (T[:3, 3] <= high).all():
            return np.asarray(after @ np.linalg.inv(before) @ T)
    return np.asarray(T)
