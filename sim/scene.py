"""A scene in memory: what is where, and what it looks like. The simulator's truth; it never crosses a wire.

World frame: x, y on the floor, z up, metres. Templates stand on their own origin: z up, the origin in the middle of the
bottom of the bounding box. Files are ``habitat_dataset``'s business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, Literal, Mapping, Tuple

import numpy as np

from embodied.arrays import Float, Int, Transform, UInt8

Rectangle = Tuple[float, float, float, float]
"""x_min, y_min, x_max, y_max in metres."""


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
        """Lengths of the bounding box in the template's own frame."""
        vertices = np.concatenate([part.vertices for part in self.parts])
        x, y, z = (vertices.max(axis=0) - vertices.min(axis=0)).tolist()
        return x, y, z


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

    def by_id(self) -> Dict[int, Instance]:
        """Return the instances by their ids."""
        return {instance.instance_id: instance for instance in self.instances}

    def category_of(self, instance_id: int) -> str:
        """Return the category of an instance."""
        return self.templates[self.by_id()[instance_id].template].category

    def with_instances(self, instances: Tuple[Instance, ...]) -> Scene:
        """Return the same house with other contents."""
        return replace(self, instances=instances)
