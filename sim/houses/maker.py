"""Collects textured solids into a template, and names the places on it where other things can rest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, Dict, List, Literal, Optional, Tuple

import numpy as np

from sim.houses import textures
from sim.houses.shapes import Mesh, join
from sim.houses.textures import COLOURS, Rgb, Texture
from sim.scene import Joint, Part, Rectangle, Template

Size = Tuple[float, float, float]


@dataclass(frozen=True)
class Surface:
    """A level rectangle in a template's own frame on which other things can rest."""

    rectangle_m: Rectangle
    z_m: float
    headroom_m: float = 0.8
    relation: Literal["on", "in"] = "on"


class Maker:
    """One object in the making. Its front looks along +x."""

    def __init__(self, rng: np.random.Generator, colour: str) -> None:
        self.rng = rng
        self.colour = colour
        self.rgb: Rgb = COLOURS[colour]
        self._meshes: Dict[Tuple[int, Optional[Joint]], Tuple[Texture, List[Mesh]]] = {}
        self._plain: Dict[Rgb, Texture] = {}

    def wear(self, texture: Texture) -> None:
        """Give all that is painted in the object's own colour a texture instead."""
        self._plain[self.rgb] = texture

    def add(self, texture: Texture, *meshes: Mesh, joint: Optional[Joint] = None) -> None:
        """Add solids that share a texture, and the joint by which they move if they do."""
        self._meshes.setdefault((id(texture), joint), (texture, []))[1].extend(meshes)

    def paint(self, rgb: Rgb, *meshes: Mesh, joint: Optional[Joint] = None) -> None:
        """Add solids of one colour."""
        self.add(self._plain.setdefault(rgb, textures.plain(rgb)), *meshes, joint=joint)

    def template(self, handle: str, category: str) -> Template:
        """Return what was added, its origin moved to the middle of the bottom of the bounding box."""
        merged = [(texture, join(meshes), joint) for (_, joint), (texture, meshes) in self._meshes.items()]
        low = np.min([mesh.vertices.min(axis=0) for _, mesh, _ in merged], axis=0)
        high = np.max([mesh.vertices.max(axis=0) for _, mesh, _ in merged], axis=0)
        x, y, z = (-np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])).tolist()
        parts = tuple(
            replace(part(texture, mesh.moved(x, y, z)), joint=_moved(joint, x, y, z)) for texture, mesh, joint in merged
        )
        return Template(handle=handle, category=category, colour=self.colour, parts=parts)


Build = Callable[[Maker], None]
FindSurfaces = Callable[[Size], Tuple[Surface, ...]]


def part(texture: Texture, mesh: Mesh) -> Part:
    """Return a mesh in the scene's types."""
    return Part(mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32), mesh.uv.astype(np.float32), texture)


def _moved(joint: Optional[Joint], x_m: float, y_m: float, z_m: float) -> Optional[Joint]:
    if joint is None:
        return None
    x, y, z = joint.origin_m
    return replace(joint, origin_m=(x + x_m, y + y_m, z + z_m))


def top(margin_m: float = 0.04, z_below_m: float = 0.0) -> FindSurfaces:
    """Return a finder for things whose upper side carries others, ``z_below_m`` under the highest point."""

    def find(size: Size) -> Tuple[Surface, ...]:
        x, y = size[0] / 2 - margin_m, size[1] / 2 - margin_m
        return (Surface((-x, -y, x, y), size[2] - z_below_m),)

    return find


def nothing(size: Size) -> Tuple[Surface, ...]:
    """Find no surface."""
    del size
    return ()
