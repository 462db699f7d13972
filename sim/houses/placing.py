"""The contents of a house in the making: what stands where, and what still fits."""

from __future__ import annotations

from typing import Dict, Iterable, List, Literal, Optional, Sequence, Tuple

import numpy as np

from embodied.arrays import Float, Transform
from embodied.geometry import planar_pose
from sim.houses.catalogue import CATALOGUE, Variety, build_template
from sim.houses.maker import Surface
from sim.scene import Instance, Rectangle, Scene, Template, opened_instances

Bounds = Tuple[float, float, float, float, float, float]
"""x_min, y_min, z_min, x_max, y_max, z_max in metres."""

GAP_M = 0.015
"""Things keep this distance."""
REST_M = 0.001
"""Height over the support, against coincident faces."""
APART_M = 0.42
"""Between the centres of two small things of a category, so that each can be told from the other."""
_N_SLICES = 8
"""Of an open door: a slanting one takes less floor than the rectangle around it."""
LARGE_M = 0.7
"""Things of at least this length may stand closer to their like."""


def bounds_of(template: Template, T_world_object: Transform) -> Bounds:
    """Return the axis-aligned bounding box of a placed template."""
    R, t = T_world_object[:3, :3], T_world_object[:3, 3]
    points = np.concatenate([part.vertices for part in template.parts]).astype(float) @ R.T + t
    low, high = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return (low[0], low[1], low[2], high[0], high[1], high[2])


def shifted(bounds: Bounds, x_m: float, y_m: float) -> Bounds:
    """Return a box moved along the floor."""
    x0, y0, z0, x1, y1, z1 = bounds
    return (x0 + x_m, y0 + y_m, z0, x1 + x_m, y1 + y_m, z1)


def overlap(a: Bounds, b: Bounds, gap_m: float = 0.0) -> bool:
    """Tell whether two boxes come closer than ``gap_m`` along every axis."""
    return all(a[i] < b[i + 3] + gap_m and b[i] < a[i + 3] + gap_m for i in range(3))


def rectangles_overlap(a: Rectangle, b: Rectangle) -> bool:
    """Tell whether two rectangles share area."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def footprint(bounds: Bounds) -> Rectangle:
    """Return the floor rectangle under a box."""
    return (bounds[0], bounds[1], bounds[3], bounds[4])


def middle(bounds: Bounds) -> Float[np.ndarray, 3]:
    """Return the centre of a box."""
    return (np.array(bounds[:3]) + np.array(bounds[3:])) / 2


class Contents:
    """Instances with their bounds. Starts empty, or from a scene."""

    def __init__(self, seed: int, scene: Optional[Scene] = None, variety: Variety = "plain") -> None:
        self.seed = seed
        self.variety = variety
        self.templates: Dict[str, Template] = dict(scene.templates) if scene else {}
        self.instances: Dict[int, Instance] = {}
        self.bounds: Dict[int, Bounds] = {}
        self.reserved: List[Tuple[str, Float[np.ndarray, 3]]] = []
        """Places where a thing of a category was: another one there could be taken for it."""
        for instance in scene.instances if scene else ():
            self.put(instance)

    def template(self, category: str, colour: str) -> Template:
        """Return the template of a category in a colour, built when first asked for."""
        handle = f"{category.replace(' ', '_')}_{colour}"
        if handle not in self.templates:
            self.templates[handle] = build_template(category, colour, self.seed, self.variety)
        return self.templates[handle]

    def add(self, template: Template, T: Transform, support: int = 0, relation: Literal["on", "in"] = "on") -> int:
        """Put a new instance and return its id."""
        instance_id = max(self.instances, default=0) + 1
        self.put(Instance(instance_id, template.handle, T, support, relation))
        return instance_id

    def put(self, instance: Instance) -> None:
        """Put an instance under its own id, in place of what had it."""
        self.instances[instance.instance_id] = instance
        template = self.templates[instance.template].posed(instance.opened)
        self.bounds[instance.instance_id] = bounds_of(template, instance.T_world_object)

    def remove(self, instance_id: int) -> Instance:
        """Take an instance out."""
        del self.bounds[instance_id]
        return self.instances.pop(instance_id)

    def open(self, instance_id: int, opened: float) -> None:
        """Open a door, lid or drawer by a share of its travel, with what lies in it."""
        for instance in opened_instances(self.templates, self.instances, instance_id, opened):
            self.put(instance)

    def category(self, instance_id: int) -> str:
        """Return an instance's category."""
        return self.templates[self.instances[instance_id].template].category

    def find(self, category: str) -> List[int]:
        """Return the ids of a category's instances."""
        return [i for i in self.instances if self.category(i) == category]

    def carried_by(self, support: int) -> List[int]:
        """Return the ids of what rests on or in an instance."""
        return [i for i, instance in self.instances.items() if instance.support == support]

    def footprints(self) -> List[Rectangle]:
        """Return the footprints of everything on the floor."""
        found: List[Rectangle] = []
        for i, instance in self.instances.items():
            template = self.templates[instance.template]
            if instance.support == 0:
                moves = template.can_open and (instance.opened > 0.0 or template.category == "door")
                found += _outlines(template, instance) if moves else [footprint(self.bounds[i])]
        return found

    def fits(self, bounds: Bounds, ignore: Iterable[int] = ()) -> bool:
        """Tell whether a box keeps its gap to all but the ignored instances."""
        skip = set(ignore)
        return not any(overlap(bounds, other, GAP_M) for i, other in self.bounds.items() if i not in skip)

    def distinct(self, category: str, bounds: Bounds) -> bool:
        """Tell whether a thing here would keep clear of its like."""
        if max(bounds[i + 3] - bounds[i] for i in range(3)) >= LARGE_M:
            return True
        center = middle(bounds)
        like = [middle(self.bounds[i]) for i in self.instances if self.category(i) == category]
        like += [point for name, point in self.reserved if name == category]
        return all(float(np.linalg.norm(center - point)) >= APART_M for point in like)

    def surfaces(self, support: int, inside: bool = False) -> Tuple[Surface, ...]:
        """Return the surfaces of an instance, in its own frame: those in view, or those inside what opens."""
        template = self.templates[self.instances[support].template]
        category = CATALOGUE[template.category]
        return category.inside(template.size_m) if inside else category.surfaces(template.size_m)

    def rest(
        self, rng: np.random.Generator, template: Template, support: int, n_tries: int = 30, inside: bool = False
    ) -> Optional[Instance]:
        """Return the template at a free place on or in a support, with id 0, or None."""
        surfaces = self.surfaces(support, inside)
        if not surfaces:
            return None
        for _ in range(n_tries):
            surface = surfaces[int(rng.integers(len(surfaces)))]
            instance = self._on_surface(rng, template, support, surface)
            if instance is not None:
                return instance
        return None

    def _on_surface(
        self, rng: np.random.Generator, template: Template, support: int, surface: Surface
    ) -> Optional[Instance]:
        category = CATALOGUE[template.category]
        in_shelf = self.category(support) == "bookshelf"
        yaw = rng.uniform(-0.35, 0.35) if category.faces_out else rng.uniform(-np.pi, np.pi)
        if in_shelf:
            yaw = 0.0
        T = planar_pose(0.0, 0.0, float(yaw))
        low_x, low_y, _, high_x, high_y, height = bounds_of(template, T)
        x0, y0, x1, y1 = surface.rectangle_m
        if high_x - low_x > x1 - x0 or high_y - low_y > y1 - y0 or height > surface.headroom_m:
            return None
        # In a shelf things stand at the front edge, where they can be seen.
        x = x1 - high_x if in_shelf else rng.uniform(x0 - low_x, x1 - high_x)
        T[:3, 3] = (x, rng.uniform(y0 - low_y, y1 - high_y), surface.z_m + REST_M)
        T_world = self.instances[support].T_world_object @ T
        bounds = bounds_of(template, T_world)
        ignore = self.around(support)
        if not self.fits(bounds, ignore) or not self.distinct(template.category, bounds):
            return None
        return Instance(0, template.handle, T_world, support, surface.relation)

    def around(self, support: int) -> List[int]:
        """Return a support and all that it rests in or on itself."""
        chain = []
        while support:
            chain.append(support)
            support = self.instances[support].support
        return chain


def _outlines(template: Template, instance: Instance) -> List[Rectangle]:
    """Return the floor rectangles under what does not move of a thing that opens, and under slices of what does."""
    found = []
    for joint in {part.joint for part in template.parts}:
        points = np.concatenate([part.vertices for part in template.parts if part.joint == joint]).astype(float)
        low, high = points.min(axis=0), points.max(axis=0)
        T = instance.T_world_object
        n_slices = 1
        if joint is not None and instance.opened > 0.0:
            T, n_slices = T @ joint.T_closed_open(instance.opened), _N_SLICES if joint.kind == "hinge" else 1
        along = int(np.argmax((high - low)[:2]))
        edges = np.linspace(low[along], high[along], n_slices + 1)
        for first, last in zip(edges, edges[1:]):
            corners = np.array(
                [[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
            )
            corners[:, along] = np.where(corners[:, along] == low[along], first, last)
            world = corners @ T[:3, :3].T + T[:3, 3]
            (x0, y0), (x1, y1) = world[:, :2].min(axis=0).tolist(), world[:, :2].max(axis=0).tolist()
            found.append((x0, y0, x1, y1))
    return found


def least_used(rng: np.random.Generator, contents: Contents, category: str, colours: Sequence[str]) -> str:
    """Return a colour in which the house has the fewest of a category, by chance among equals."""
    used = [contents.templates[contents.instances[i].template].colour for i in contents.find(category)]
    counts = [used.count(colour) for colour in colours]
    best = [colour for colour, count in zip(colours, counts) if count == min(counts)]
    return best[int(rng.integers(len(best)))]
