"""What a household does to its house overnight: things are moved, taken away, brought in."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional, Sequence, Tuple

import numpy as np

from sim.houses.catalogue import CATALOGUE, FLOOR, Category
from sim.houses.clearance import FreeFloor, clearance, door_passages, rooms_reachable
from sim.houses.fittings import kept_inside
from sim.houses.furnish import DOOR_DEPTH_M, place_on_floor, regions_of
from sim.houses.layout import FloorPlan, plan_of
from sim.houses.placing import Contents, bounds_of, middle
from sim.houses.sight import hidden_things
from sim.scene import Instance, Region, Scene, Template
from sim.truth import TrueChange

N_MOVED, N_REMOVED, N_ADDED = 3, 2, 2
MIN_MOVE_M = 1.0
_CHAIR_CHANCE = 0.4
_N_TRIES = 8
_SHADOW_M = 1.5
"""Farther than this a small thing hides nothing."""


def change_overnight(scene: Scene, seed: int) -> Tuple[Scene, Tuple[TrueChange, ...]]:
    """Move, remove and add some small things, and now and then move a chair; the same arguments change the same.

    Whatever is moved goes at least ``MIN_MOVE_M`` away, carries nothing, and is the only one of its category and
    colour; what is added is the first of its category and colour. All of it can be seen from where the robot can
    stand. Ids are kept; new things get new ones.

    Raises:
        ValueError: ``seed`` is negative, or the scene holds things that houses of ours do not have.
    """
    if seed < 0:
        raise ValueError(f"seed: expected 0 or more, got {seed}")
    foreign = sorted({template.category for template in scene.templates.values()} - set(CATALOGUE))
    if foreign:
        raise ValueError(f"scene: expected a house from generate_house, got one with {foreign[:5]}")
    night = Night(scene, seed)
    changes: List[TrueChange] = []
    for instance_id in night.shuffled(night.small_and_single()):
        if len(changes) == N_MOVED + N_REMOVED:
            break
        # One change a category, or a thing brought in could be taken for one that was moved.
        if night.contents.category(instance_id) in {change.category for change in changes}:
            continue
        if len(changes) < N_MOVED:
            # The first one goes to another room.
            changes += night.move(instance_id, elsewhere=not changes)
        else:
            changes += night.remove(instance_id)
    n_wanted = len(changes) + N_ADDED
    for category in night.new_categories():
        if len(changes) < n_wanted and category.name not in {change.category for change in changes}:
            changes += night.bring(category)
    if night.rng.uniform() < _CHAIR_CHANCE:
        for instance_id in night.shuffled(night.contents.find("chair"))[:1]:
            changes += night.move(instance_id, elsewhere=False)
    return night.scene(f"{scene.name}-night-{seed}"), tuple(changes)


class Night:
    """The house while it is being changed."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self.rng = np.random.default_rng([seed, len(scene.instances)])
        self.before = scene
        self.plan: FloorPlan = plan_of(scene.regions, scene.doors)
        categories = [CATALOGUE[template.category] for template in scene.templates.values()]
        self.full = any(category.in_full_houses for category in categories)
        self.contents = Contents(seed, scene, "full" if self.full else "plain")
        self.kept = kept_inside(scene)
        self.hidden = set(hidden_things(scene, self._floor()))

    def shuffled(self, ids: Sequence[int]) -> List[int]:
        """Return the ids in an order of chance."""
        return [ids[int(i)] for i in self.rng.permutation(len(ids))]

    def small_and_single(self) -> List[int]:
        """Return the movable things that carry nothing and are the only ones of their category and colour."""
        kinds = [instance.template for instance in self.contents.instances.values()]
        return [
            i
            for i, instance in sorted(self.contents.instances.items())
            if CATALOGUE[self.contents.category(i)].movable
            and kinds.count(instance.template) == 1
            and not self.contents.carried_by(i)
            and i not in self.kept
        ]

    def new_categories(self) -> List[Category]:
        """Return movable categories that exist in a colour the house has none of, in an order of chance."""
        offered = [c for c in CATALOGUE.values() if c.movable and (self.full or not c.in_full_houses)]
        fresh = [category for category in offered if self.new_colours(category)]
        return [fresh[int(i)] for i in self.rng.permutation(len(fresh))]

    def move(self, instance_id: int, elsewhere: bool) -> List[TrueChange]:
        """Move one thing, to another room if so asked; no change if there is no good place."""
        old = self.contents.instances[instance_id]
        template = self.contents.templates[old.template]
        from_m = middle(self.contents.bounds[instance_id])
        room = regions_of(self.contents, self.plan.regions).get(instance_id, "")
        self.contents.remove(instance_id)
        for _ in range(_N_TRIES):
            new = self._find_place(template, room if elsewhere else "")
            if new is None:
                continue
            to_m = middle(bounds_of(template, new.T_world_object))
            if np.linalg.norm(to_m[:2] - from_m[:2]) < MIN_MOVE_M:
                continue
            self.contents.put(replace(new, instance_id=instance_id))
            if self.is_good(instance_id):
                self.contents.reserved.append((template.category, from_m))
                return [true_change("moved", instance_id, template, from_m, to_m)]
            self.contents.remove(instance_id)
        self.contents.put(old)
        return []

    def remove(self, instance_id: int) -> List[TrueChange]:
        """Take one thing away."""
        from_m = middle(self.contents.bounds[instance_id])
        template = self.contents.templates[self.contents.remove(instance_id).template]
        self.contents.reserved.append((template.category, from_m))
        return [true_change("removed", instance_id, template, from_m, None)]

    def bring(self, category: Category) -> List[TrueChange]:
        """Put a new thing somewhere plausible; no change if there is no good place."""
        colours = self.new_colours(category)
        template = self.contents.template(category.name, colours[int(self.rng.integers(len(colours)))])
        next_id = max([*self.contents.instances, *(i.instance_id for i in self.before.instances)]) + 1
        for _ in range(_N_TRIES):
            new = self._find_place(template, "")
            if new is None:
                continue
            self.contents.put(replace(new, instance_id=next_id))
            if self.is_good(next_id):
                return [true_change("added", next_id, template, None, middle(self.contents.bounds[next_id]))]
            self.contents.remove(next_id)
        return []

    def scene(self, name: str) -> Scene:
        """Return the house as it is now."""
        used = {instance.template for instance in self.contents.instances.values()} | set(self.before.templates)
        templates = {handle: self.contents.templates[handle] for handle in sorted(used)}
        instances = tuple(self.contents.instances[i] for i in sorted(self.contents.instances))
        return replace(self.before, name=name, templates=templates, instances=instances)

    def new_colours(self, category: Category) -> List[str]:
        """Return the colours of a category that the house has none of, and had none of before."""
        known = [(t.category, t.colour) for t in self.before.templates.values()]
        known += [
            (self.contents.category(i), self.contents.templates[instance.template].colour)
            for i, instance in self.contents.instances.items()
        ]
        return [colour for colour in category.colours if (category.name, colour) not in known]

    def is_good(self, instance_id: int) -> bool:
        """Tell whether all rooms can still be reached and nothing near a changed thing became hidden, nor itself."""
        floor = self._floor()
        if not rooms_reachable(self.plan, floor):
            return False
        at = middle(self.contents.bounds[instance_id])
        near = [i for i, b in self.contents.bounds.items() if np.linalg.norm(middle(b) - at) < _SHADOW_M]
        return not set(hidden_things(self.scene(""), floor, near)) - self.hidden

    def _find_place(self, template: Template, other_than: str) -> Optional[Instance]:
        """Return the template at a plausible place by chance, outside one room if it is named."""
        category = CATALOGUE[template.category]
        rooms = regions_of(self.contents, self.plan.regions)
        supports: List[int] = [
            i
            for i in sorted(self.contents.instances)
            if self.contents.category(i) in category.places and rooms.get(i) and rooms[i] != other_than
        ]
        regions: List[Region] = []
        if FLOOR in category.places or not category.places:
            regions = [region for region in self.plan.regions if region.name != other_than]
        if not supports and not regions:
            return None
        choice = int(self.rng.integers(len(supports) + len(regions)))
        if choice < len(supports):
            return self.contents.rest(self.rng, template, supports[choice])
        doors = door_passages(self.plan, DOOR_DEPTH_M)
        return place_on_floor(self.rng, self.contents, regions[choice - len(supports)], template, doors)

    def _floor(self) -> FreeFloor:
        return clearance(self.plan, self.contents.footprints())


def true_change(
    kind: str, instance_id: int, template: Template, from_m: Optional[np.ndarray], to_m: Optional[np.ndarray]
) -> TrueChange:
    """Return what happened to a thing, between the centres of its boxes."""

    def point(value: Optional[np.ndarray]) -> Optional[Tuple[float, float, float]]:
        return None if value is None else (float(value[0]), float(value[1]), float(value[2]))

    return TrueChange(
        kind=kind,  # type: ignore[arg-type]
        instance_id=instance_id,
        category=template.category,
        from_position_m=point(from_m),
        to_position_m=point(to_m),
    )
