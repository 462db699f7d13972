"""Doors in their openings, and what is kept in things that open."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import List, Optional, Set

import numpy as np

from embodied.geometry import planar_pose
from sim.houses.catalogue import CATALOGUE
from sim.houses.clearance import clearance, rooms_reachable
from sim.houses.larger import DOOR_THICKNESS_M, door
from sim.houses.layout import WALL_M, FloorPlan
from sim.houses.maker import Maker
from sim.houses.placing import Contents, bounds_of, least_used
from sim.houses.rooms import KEPT_INSIDE
from sim.scene import Door, Instance, Scene, Template

DOOR = "door"
_GAP_M = 0.015
"""Between a leaf and its frame."""
_OPEN, _AJAR = 0.6, 0.85
"""Of all doors this share stands wide open; up to the second they stand partly open, the others are shut."""
_CONTAINER_OPEN = 0.3
_MAX_KEPT = 3


@dataclass
class Fitter:
    """Goes through a furnished house."""

    rng: np.random.Generator
    plan: FloorPlan
    contents: Contents

    def hang_doors(self) -> None:
        """Hang a leaf in each opening where it can swing; a shut one never cuts off a room."""
        colour = str(self.rng.choice(CATALOGUE[DOOR].colours))
        for opening in self.plan.doors:
            wish = float(self.rng.uniform())
            choices = [(room, hand) for room in (opening.region_a, opening.region_b) for hand in (1, -1)]
            for index in self.rng.permutation(len(choices)).tolist():
                leaf = self._leaf(opening, colour, *choices[index])
                if leaf is not None:
                    self._set(leaf, wish)
                    break

    def fill_containers(self) -> None:
        """Put some things into what opens, and leave some of it open."""
        for container in [i for i in self.contents.instances if self.contents.category(i) in KEPT_INSIDE]:
            names = KEPT_INSIDE[self.contents.category(container)]
            n_wanted = int(self.rng.integers(1, _MAX_KEPT + 1))
            for index in self.rng.permutation(len(names))[:n_wanted].tolist():
                colours = CATALOGUE[names[index]].colours
                template = self.contents.template(
                    names[index], least_used(self.rng, self.contents, names[index], colours)
                )
                kept = self.contents.rest(self.rng, template, container, n_tries=12, inside=True)
                if kept is not None:
                    self.contents.add(template, kept.T_world_object, container, "in")
            if self.rng.uniform() < _CONTAINER_OPEN:
                self._open(container)

    def _leaf(self, opening: Door, colour: str, room: str, hand: int) -> Optional[int]:
        """Hang a leaf that opens into a room; None if something stands in its way."""
        template = self._door_template(opening.width_m - 2 * _GAP_M, colour, hand)
        x, y = opening.center_m
        x0, y0, x1, _y1 = next(region.rectangle_m for region in self.plan.regions if region.name == room)
        across_x = min(abs(x - x0), abs(x - x1)) < WALL_M
        yaw = (0.0 if x < x0 else np.pi) if across_x else (np.pi / 2 if y < y0 else -np.pi / 2)
        T = planar_pose(x, y, yaw) @ planar_pose((WALL_M - DOOR_THICKNESS_M) / 2, 0.0, 0.0)
        T[2, 3] = 0.006
        for opened in (0.5, 1.0):
            if not self.contents.fits(bounds_of(template.posed(opened), T)):
                return None
        return self.contents.add(template, T)

    def _set(self, leaf: int, wish: float) -> None:
        """Open a door as far as is wished, or all the way if that would cut off a room."""
        opened = 1.0 if wish < _OPEN else 0.7 + 0.3 * wish if wish < _AJAR else 0.0
        for share in (opened, 1.0):
            self.contents.open(leaf, share)
            if rooms_reachable(self.plan, clearance(self.plan, self.contents.footprints())):
                return
        self.contents.remove(leaf)

    def _open(self, container: int) -> None:
        """Open a container if its doors have room and cut off nothing."""
        ignored = [container, *self.contents.carried_by(container)]
        instance = self.contents.instances[container]
        posed = self.contents.templates[instance.template].posed(1.0)
        bounds = bounds_of(posed, instance.T_world_object)
        x, y = (bounds[0] + bounds[3]) / 2, (bounds[1] + bounds[4]) / 2
        in_room = any(r[0] <= x <= r[2] and r[1] <= y <= r[3] for r in (g.rectangle_m for g in self.plan.regions))
        if in_room and self.contents.fits(bounds, ignored):
            self.contents.open(container, 1.0)
            if not rooms_reachable(self.plan, clearance(self.plan, self.contents.footprints())):
                self.contents.open(container, 0.0)

    def _door_template(self, width_m: float, colour: str, hand: int) -> Template:
        handle = f"door_{colour}_{round(100 * width_m)}_{'left' if hand > 0 else 'right'}"
        if handle not in self.contents.templates:
            maker = Maker(np.random.default_rng([self.contents.seed, zlib.crc32(handle.encode())]), colour)
            door(maker, width_m, hand)
            self.contents.templates[handle] = maker.template(handle, DOOR)
        return self.contents.templates[handle]


def kept_inside(scene: Scene) -> Set[int]:
    """Return what lies in things that open, and what that carries."""
    instances = scene.by_id()

    def is_kept(instance: Instance) -> bool:
        while instance.support:
            if instance.relation == "in" and scene.templates[instances[instance.support].template].can_open:
                return True
            instance = instances[instance.support]
        return False

    return {i for i, instance in instances.items() if is_kept(instance)}


def doors_of(scene: Scene) -> List[int]:
    """Return the ids of the leaves."""
    return [i.instance_id for i in scene.instances if scene.templates[i.template].category == DOOR]
