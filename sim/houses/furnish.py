"""Puts furniture into the rooms of a plan, and small things on and in the furniture."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Dict, List, Optional, Tuple

import numpy as np

from embodied.arrays import Transform
from embodied.geometry import planar_pose
from sim.houses.catalogue import CATALOGUE, FLOOR
from sim.houses.clearance import door_passages
from sim.houses.layout import FloorPlan
from sim.houses.maker import Size
from sim.houses.placing import (
    REST_M,
    Bounds,
    Contents,
    bounds_of,
    footprint,
    least_used,
    middle,
    rectangles_overlap,
    shifted,
)
from sim.houses.rooms import FURNITURE, ITEMS, MORE_FURNITURE, MORE_ITEMS, Piece
from sim.scene import Instance, Rectangle, Region, Template

WALL_GAP_M = 0.02
DOOR_DEPTH_M = 0.95
"""Floor kept free before a door, from the wall's middle."""
_STEP_M = 0.1
_CORNER_M = 0.5
_CHAIR_GAP_M = 0.03
_N_TRIES_A_ROOM = 5


class DoesNotFit(Exception):
    """A needed piece finds no place: the house must be drawn anew. Never leaves this package."""


@dataclass
class Furnisher:
    """Works through the lists of all rooms."""

    rng: np.random.Generator
    plan: FloorPlan
    contents: Contents
    kept_free: List[Rectangle] = field(default_factory=list)

    def furnish(self) -> None:
        """Fill the house.

        Raises:
            DoesNotFit: A needed piece of furniture has no place.
        """
        self.kept_free = door_passages(self.plan, DOOR_DEPTH_M)
        for region in self.plan.regions:
            self._furnish_room(region)
        for region in self.plan.regions:
            self._fill(region)

    @property
    def _full(self) -> bool:
        return self.contents.variety == "full"

    # ------------------------------------------------------------------------------------- furniture

    def _furnish_room(self, region: Region) -> None:
        """Place a room's furniture, starting over if something needed does not fit."""
        for attempt in range(_N_TRIES_A_ROOM):
            n_before, n_kept_free = len(self.contents.instances), len(self.kept_free)
            try:
                for piece in FURNITURE[region.name] + (MORE_FURNITURE.get(region.name, ()) if self._full else ()):
                    self._place(region, piece)
            except DoesNotFit:
                if attempt == _N_TRIES_A_ROOM - 1:
                    raise
                for instance_id in list(self.contents.instances)[n_before:]:
                    self.contents.remove(instance_id)
                del self.kept_free[n_kept_free:]
            else:
                return

    def _place(self, region: Region, piece: Piece) -> None:
        colour = least_used(self.rng, self.contents, piece.category, CATALOGUE[piece.category].colours)
        template = self.contents.template(piece.category, colour)
        anchor = self._in_room(region, piece.anchor) if piece.anchor else None
        if piece.where == "centre":
            placed = self._place_table(region, template)
        elif piece.where == "behind_desk" and anchor is not None:
            placed = self._place_chair_at(template, anchor)
        elif piece.where == "before" and anchor is not None:
            placed = self._place_before(region, template, anchor)
        elif piece.anchor and anchor is None:
            placed = False
        else:
            placed = self._place_at_wall(region, template, piece, anchor)
        if piece.needed and not placed:
            raise DoesNotFit(f"{piece.category} in {region.name}")

    def _in_room(self, region: Region, category: str) -> Optional[int]:
        inside = [i for i in self.contents.find(category) if _inside(self.contents.bounds[i], region.rectangle_m)]
        return inside[0] if inside else None

    def _place_at_wall(self, region: Region, template: Template, piece: Piece, anchor: Optional[int]) -> bool:
        """Try all places along the four walls and take the one that suits best."""
        template_size = depth, width, _ = template.size_m
        best: Optional[Tuple[float, Transform, Rectangle]] = None
        x0, y0, x1, y1 = region.rectangle_m
        inset, room_x, room_y = depth / 2 + WALL_GAP_M, x1 - x0, y1 - y0
        for wall in range(4):
            yaw = wall * np.pi / 2
            length = room_y if wall % 2 == 0 else room_x
            low, high = width / 2 + WALL_GAP_M, length - width / 2 - WALL_GAP_M
            if high < low:
                continue
            bounds = bounds_of(template, planar_pose(0.0, 0.0, yaw))
            places = np.unique(np.concatenate([np.arange(low, high, _STEP_M), [high]]))
            for t in places.tolist():
                x, y = [(x0 + inset, y0 + t), (x0 + t, y0 + inset), (x1 - inset, y0 + t), (x0 + t, y1 - inset)][wall]
                front = _front(x, y, wall, template_size, piece.clear_m)
                if not self._free(region, shifted(bounds, x, y), front):
                    continue
                T = planar_pose(x, y, yaw)
                score = self._suits(piece, T, t, length, width, anchor) + 0.3 * self.rng.uniform()
                if best is None or score > best[0]:
                    best = (score, T, front)
        if best is None:
            return False
        self._stand(template, best[1])
        if piece.clear_m > 0:
            self.kept_free.append(best[2])
        return True

    def _suits(self, piece: Piece, T: Transform, t: float, length: float, width: float, anchor: Optional[int]) -> float:
        """Score a place at a wall: higher is better."""
        corner = min(t, length - t) - width / 2
        if piece.where == "corner":
            return 1.0 if corner < _CORNER_M else -corner
        if anchor is None:
            # Leave no strips beside furniture that are too narrow to use, and no furniture in the way.
            return 0.25 if corner < 0.1 or corner > 0.5 else 0.0
        other = self.contents.instances[anchor].T_world_object
        distance = float(np.linalg.norm(T[:2, 3] - other[:2, 3]))
        aligned = float(T[:2, 0] @ other[:2, 0])
        if piece.where == "beside":
            return 3.0 * (aligned > 0.9) - distance
        sideways = abs(float((T[:2, 3] - other[:2, 3]) @ other[:2, 1]))
        return -3.0 * aligned - sideways

    def _place_before(self, region: Region, template: Template, anchor: int) -> bool:
        """Place a coffee table in front of a sofa."""
        T_anchor = self.contents.instances[anchor].T_world_object
        depth = self.contents.templates[self.contents.instances[anchor].template].size_m[0]
        for gap in (0.36, 0.46, 0.3):
            for aside in (0.0, 0.15, -0.15, 0.3, -0.3):
                T = T_anchor @ planar_pose(depth / 2 + gap + template.size_m[0] / 2, aside, 0.0)
                T[2, 3] = 0.0
                bounds = bounds_of(template, T)
                if (
                    _inside(bounds, region.rectangle_m)
                    and self.contents.fits(bounds)
                    and not self._in_the_way(bounds, 1)
                ):
                    self._stand(template, T)
                    return True
        return False

    def _place_chair_at(self, template: Template, desk: int) -> bool:
        """Place a chair in front of a desk, looking at it."""
        T_desk = self.contents.instances[desk].T_world_object
        depth = self.contents.templates[self.contents.instances[desk].template].size_m[0]
        reach = depth / 2 + template.size_m[0] / 2 + _CHAIR_GAP_M
        for aside in (-0.15, 0.0, 0.15):
            T = T_desk @ planar_pose(reach, aside, np.pi)
            T[2, 3] = 0.0
            if self.contents.fits(bounds_of(template, T)):
                self._stand(template, T)
                return True
        return False

    def _place_table(self, region: Region, template: Template) -> bool:
        """Place a table with two or four chairs where it leaves ways around."""
        colour = least_used(self.rng, self.contents, "chair", CATALOGUE["chair"].colours)
        chair = self.contents.template("chair", colour)
        x0, y0, x1, y1 = region.rectangle_m
        aside = template.size_m[1] / 4 + 0.02
        for both_sides in (True, False):
            chairs = self._chairs_around(template, chair, aside, both_sides)
            choices = []
            for yaw in (0.0, np.pi / 2):
                turned = planar_pose(0.0, 0.0, yaw)
                around = _union([bounds_of(template, turned)] + [bounds_of(chair, turned @ pose) for pose in chairs])
                for x in np.arange(x0 + 0.4, x1 - 0.4, 0.15).tolist():
                    for y in np.arange(y0 + 0.4, y1 - 0.4, 0.15).tolist():
                        everything = shifted(around, x, y)
                        if self._free(region, everything, footprint(everything)):
                            choices.append((planar_pose(x, y, yaw), self._room_around(region, everything)))
            if choices:
                T = max(choices, key=lambda choice: choice[1] + 0.2 * self.rng.uniform())[0]
                self._stand(template, T)
                for pose in chairs:
                    self._stand(chair, T @ pose)
                return True
        return False

    def _chairs_around(self, table: Template, chair: Template, aside: float, both: bool) -> List[Transform]:
        reach = table.size_m[0] / 2 + chair.size_m[0] / 2 + _CHAIR_GAP_M
        poses = []
        for side in (1, -1) if both else (1,):
            for at in (-aside, aside):
                poses.append(planar_pose(side * reach, at, np.pi if side > 0 else 0.0))
        return poses

    def _room_around(self, region: Region, bounds: Bounds) -> float:
        """Score a table's place by the narrowest way past it; ways that are too narrow count as closed."""
        x0, y0, x1, y1 = region.rectangle_m
        gaps = [bounds[0] - x0, x1 - bounds[3], bounds[1] - y0, y1 - bounds[4]]
        score = sum(1.0 for gap in gaps if gap > 0.65) + 0.2 * sum(1.0 for gap in gaps if gap < 0.1)
        distances = [_gap(footprint(bounds), footprint(other)) for other in self.contents.bounds.values()]
        return score + min([d for d in distances if d > 0], default=0.0)

    def _free(self, region: Region, bounds: Bounds, front: Rectangle) -> bool:
        """Tell whether furniture may stand here with this floor before it."""
        if not _inside(bounds, region.rectangle_m) or not self.contents.fits(bounds) or self._in_the_way(bounds):
            return False
        x0, y0, x1, y1 = region.rectangle_m
        in_room = front[0] >= x0 - 1e-6 and front[1] >= y0 - 1e-6 and front[2] <= x1 + 1e-6 and front[3] <= y1 + 1e-6
        return in_room and not any(rectangles_overlap(front, other) for other in self.contents.footprints())

    def _in_the_way(self, bounds: Bounds, n_doors_only: int = 0) -> bool:
        """Tell whether a box stands on floor that is kept free (before doors only, if so asked)."""
        kept = self.kept_free[: len(self.plan.doors)] if n_doors_only else self.kept_free
        return any(rectangles_overlap(footprint(bounds), rectangle) for rectangle in kept)

    def _stand(self, template: Template, T: Transform) -> int:
        T = T.copy()
        T[2, 3] = REST_M
        return self.contents.add(template, T)

    # ------------------------------------------------------------------------------------- small things

    def _fill(self, region: Region) -> None:
        for item in ITEMS[region.name] + (MORE_ITEMS.get(region.name, ()) if self._full else ()):
            for _ in range(item.count):
                category = CATALOGUE[item.category]
                colour = least_used(self.rng, self.contents, item.category, category.colours)
                template = self.contents.template(item.category, colour)
                instance = self._find_place(region, template, item.places)
                if instance is not None:
                    self.contents.add(template, instance.T_world_object, instance.support, instance.relation)

    def _find_place(self, region: Region, template: Template, places: Tuple[str, ...]) -> Optional[Instance]:
        for place in places:
            if place == FLOOR:
                instance = place_on_floor(
                    self.rng, self.contents, region, template, self.kept_free[: len(self.plan.doors)]
                )
                if instance is not None:
                    return instance
                continue
            supports = [i for i in self.contents.find(place) if _inside(self.contents.bounds[i], region.rectangle_m)]
            for support in supports:
                instance = self.contents.rest(self.rng, template, support)
                if instance is not None:
                    return _back_to_wall(self.contents, instance)
        return None


def place_on_floor(
    rng: np.random.Generator, contents: Contents, region: Region, template: Template, kept_free: List[Rectangle]
) -> Optional[Instance]:
    """Return a template standing at a wall of a room with free floor before it, with id 0, or None."""
    x0, y0, x1, y1 = region.rectangle_m
    for _ in range(60):
        wall = int(rng.integers(4))
        yaw = wall * np.pi / 2 + (
            0.0 if CATALOGUE[template.category].faces_out else float(rng.choice([0.0, np.pi / 2]))
        )
        T = planar_pose(0.0, 0.0, yaw)
        low_x, low_y, _, high_x, high_y, _ = bounds_of(template, T)
        x, y = rng.uniform(x0 + 0.04 - low_x, x1 - 0.04 - high_x), rng.uniform(y0 + 0.04 - low_y, y1 - 0.04 - high_y)
        T[:2, 3] = [(x0 + 0.04 - low_x, y), (x, y0 + 0.04 - low_y), (x1 - 0.04 - high_x, y), (x, y1 - 0.04 - high_y)][
            wall
        ]
        T[2, 3] = REST_M
        bounds = bounds_of(template, T)
        before = (float(np.cos(wall * np.pi / 2)) * 0.6, float(np.sin(wall * np.pi / 2)) * 0.6)
        reach = footprint(bounds)
        front = (
            reach[0] + min(before[0], 0.0),
            reach[1] + min(before[1], 0.0),
            reach[2] + max(before[0], 0.0),
            reach[3] + max(before[1], 0.0),
        )
        blocked = any(rectangles_overlap(reach, rectangle) for rectangle in kept_free)
        covered = any(rectangles_overlap(front, other) for other in contents.footprints())
        if not blocked and not covered and contents.fits(bounds) and contents.distinct(template.category, bounds):
            return Instance(0, template.handle, T)
    return None


def _back_to_wall(contents: Contents, instance: Instance) -> Instance:
    """Slide screens and machines to the back of what they stand on, if nothing is there."""
    template = contents.templates[instance.template]
    if template.category not in ("tv", "monitor", "microwave", "printer"):
        return instance
    T_support = contents.instances[instance.support].T_world_object
    surface = contents.surfaces(instance.support)[-1]
    y = float((np.linalg.inv(T_support) @ instance.T_world_object)[1, 3])
    T = planar_pose(surface.rectangle_m[0] + template.size_m[0] / 2, y, 0.0)
    if template.category == "tv":
        T[1, 3] = 0.0
    T[2, 3] = surface.z_m + REST_M
    moved = replace(instance, T_world_object=T_support @ T)
    bounds = bounds_of(template, moved.T_world_object)
    return moved if contents.fits(bounds, [instance.support]) else instance


def regions_of(contents: Contents, regions: Tuple[Region, ...]) -> Dict[int, str]:
    """Return the room of each instance."""
    rooms = {}
    for i, bounds in contents.bounds.items():
        x, y, _ = middle(bounds).tolist()
        for region in regions:
            x0, y0, x1, y1 = region.rectangle_m
            if x0 <= x <= x1 and y0 <= y <= y1:
                rooms[i] = region.name
    return rooms


def _front(x: float, y: float, wall: int, size: Size, clear_m: float) -> Rectangle:
    """Return the floor before a piece of furniture at (x, y) that looks away from a wall, excluding its own."""
    near, far, half = size[0] / 2 + 0.01, size[0] / 2 + 0.01 + clear_m, size[1] / 2
    return (
        (x + near, y - half, x + far, y + half),
        (x - half, y + near, x + half, y + far),
        (x - far, y - half, x - near, y + half),
        (x - half, y - far, x + half, y - near),
    )[wall]


def _inside(bounds: Bounds, rectangle: Rectangle) -> bool:
    x0, y0, x1, y1 = rectangle
    return bounds[0] >= x0 and bounds[1] >= y0 and bounds[3] <= x1 and bounds[4] <= y1


def _union(boxes: List[Bounds]) -> Bounds:
    low, high = np.min([b[:3] for b in boxes], axis=0).tolist(), np.max([b[3:] for b in boxes], axis=0).tolist()
    return (low[0], low[1], low[2], high[0], high[1], high[2])


def _gap(a: Rectangle, b: Rectangle) -> float:
    """Return the distance between two rectangles along the axis in which they are farther apart."""
    return max(a[0] - b[2], b[0] - a[2], a[1] - b[3], b[1] - a[3])
