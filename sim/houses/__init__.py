"""Furnished houses from a seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Tuple

import numpy as np

from sim.houses.catalogue import Variety
from sim.houses.changes import change_overnight
from sim.houses.clearance import FreeFloor, clearance, rooms_reachable
from sim.houses.daylight import TimeOfDay, relit
from sim.houses.fittings import Fitter, doors_of, kept_inside
from sim.houses.furnish import DoesNotFit, Furnisher
from sim.houses.layout import MIN_ROOMS, FloorPlan, draw_plan
from sim.houses.placing import Contents, footprint
from sim.houses.sight import hidden_things
from sim.houses.stage import build_stage
from sim.scene import Light, Rectangle, Scene, Template, open_container

__all__ = ["TimeOfDay", "Variety", "change_overnight", "generate_house", "relit"]

MIN_OBJECTS, MIN_CATEGORIES = 45, 28
MIN_OBJECTS_IN_THREE_ROOMS, MIN_CATEGORIES_IN_THREE_ROOMS = 30, 22
_TALL_M = 1.0
_N_DRAWS = 60
_LIGHT_HEIGHT_M = 2.25


def generate_house(seed: int, n_rooms: int = 5, variety: Variety = "plain", light: TimeOfDay = "lamps") -> Scene:
    """Make a furnished house; the same arguments give the same house.

    Every room can be reached by a disc of 0.20 m radius with margin, and every small thing can be seen from a place
    where the robot can stand, once what it lies in is opened. Houses of more than eight rooms have two wings along a
    hall.

    Args:
        seed: Draws everything.
        n_rooms: 3 to 12.
        variety: ``plain`` houses have open doorways, and nothing in their cupboards. ``full`` ones have doors, open,
            ajar or shut, things in what opens, more categories, and things made of more materials.
        light: See ``relit``.

    Raises:
        ValueError: ``seed`` is negative, or another argument is out of range.
    """
    if seed < 0:
        raise ValueError(f"seed: expected 0 or more, got {seed}")
    if variety not in ("plain", "full"):
        raise ValueError(f"variety: expected 'plain' or 'full', got {variety!r}")
    templates: Dict[str, Template] = {}
    least = (MIN_OBJECTS, MIN_CATEGORIES)
    if n_rooms == MIN_ROOMS:
        least = (MIN_OBJECTS_IN_THREE_ROOMS, MIN_CATEGORIES_IN_THREE_ROOMS)
    for attempt in range(_N_DRAWS):
        rng = np.random.default_rng([seed, n_rooms, attempt])
        plan = draw_plan(rng, n_rooms)
        contents = Contents(seed, variety=variety)
        contents.templates = templates
        try:
            Furnisher(rng, plan, contents).furnish()
        except DoesNotFit:
            continue
        if variety == "full":
            fitter = Fitter(rng, plan, contents)
            fitter.hang_doors()
            fitter.fill_containers()
        floor = clearance(plan, contents.footprints())
        if not rooms_reachable(plan, floor):
            continue
        scene = _scene(f"house-{seed}", rng, plan, contents, floor)
        scene = _without(scene, _never_seen(scene, floor))
        categories = {scene.templates[instance.template].category for instance in scene.instances}
        if len(scene.instances) >= least[0] and len(categories) >= least[1]:
            return scene if light == "lamps" else relit(scene, light)
    raise AssertionError(f"no house with {n_rooms} rooms from seed {seed} in {_N_DRAWS} draws")


def _never_seen(scene: Scene, floor: FreeFloor) -> List[int]:
    """Return what cannot be seen well, were everything open."""
    kept, doors = kept_inside(scene), doors_of(scene)
    if not kept and not doors:
        return hidden_things(scene, floor)
    others = [i.instance_id for i in scene.instances if i.instance_id not in kept and i.instance_id not in doors]
    opened = scene
    for container in sorted({scene.by_id()[i].support for i in kept}):
        if scene.templates[scene.by_id()[container].template].can_open:
            opened = open_container(opened, container)
    return hidden_things(scene, floor, others) + hidden_things(opened, floor, sorted(kept))


def _scene(name: str, rng: np.random.Generator, plan: FloorPlan, contents: Contents, floor: FreeFloor) -> Scene:
    tall = [footprint(b) for i, b in contents.bounds.items() if b[5] > _TALL_M and contents.instances[i].support == 0]
    instances = tuple(contents.instances[i] for i in sorted(contents.instances))
    used = {instance.template for instance in instances}
    return Scene(
        name=name,
        stage=build_stage(rng, plan, tall),
        templates={handle: contents.templates[handle] for handle in sorted(used)},
        instances=instances,
        lights=tuple(_light(region.rectangle_m) for region in plan.regions),
        regions=plan.regions,
        doors=plan.doors,
        start_pose=_start(plan, floor),
    )


def _light(rectangle: Rectangle) -> Light:
    x0, y0, x1, y1 = rectangle
    return Light(((x0 + x1) / 2, (y0 + y1) / 2, _LIGHT_HEIGHT_M), (1.0, 0.96, 0.9), 1.0)


def _start(plan: FloorPlan, floor: FreeFloor) -> Tuple[float, float, float]:
    """Return the widest free place of the living room, looking at the room's middle."""
    rectangle = plan.regions[0].rectangle_m
    mask = floor.window(rectangle) & floor.reachable
    at = int(np.argmax(np.where(mask, floor.distance_m, -1.0)))
    x, y = floor.centers(np.arange(mask.size).reshape(mask.shape) == at)[0].tolist()
    center_x, center_y = (rectangle[0] + rectangle[2]) / 2, (rectangle[1] + rectangle[3]) / 2
    return x, y, float(np.arctan2(center_y - y, center_x - x))


def _without(scene: Scene, hidden: List[int]) -> Scene:
    """Return the scene without some instances and what rests on them, numbered anew from 1."""
    gone = set(hidden)
    while True:
        more = {i.instance_id for i in scene.instances if i.support in gone and i.instance_id not in gone}
        if not more:
            break
        gone |= more
    kept = [instance for instance in scene.instances if instance.instance_id not in gone]
    number = {0: 0, **{instance.instance_id: n for n, instance in enumerate(kept, start=1)}}
    instances = tuple(replace(i, instance_id=number[i.instance_id], support=number[i.support]) for i in kept)
    used = {instance.template for instance in instances}
    templates = {handle: template for handle, template in scene.templates.items() if handle in used}
    return replace(scene, templates=templates, instances=instances)
