"""Changes that a memory is easily wrong about, beside those of an ordinary night.

A thing that another takes the place of, to the centimetre; a thing that is only pushed aside; one of two like things
that stood side by side.
"""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional, Set, Tuple

import numpy as np

from sim.houses.changes import Night, change_overnight, true_change
from sim.houses.placing import bounds_of, middle
from sim.scene import Instance, Scene
from sim.truth import TrueChange

PUSH_M = 0.2
"""How far a thing is pushed."""
PUSHED_MAX_M = 0.35
"""Larger things than this are not pushed: it would be hard to tell for a person, too."""
TWINS_M = (0.16, 0.32)
"""Distance between the middles of two like things side by side."""
_EDGE_M = 0.02
"""What is pushed keeps so far from the edge of what it rests on."""
_N_DIRECTIONS = 12


def add_twin(scene: Scene, seed: int) -> Scene:
    """Put a second one beside a small thing, in all but its place the same; the scene itself if there is no room."""
    night = Night(scene, seed)
    for instance_id in night.shuffled(_resting(night)):
        twin = _pushed(night, instance_id, float(night.rng.uniform(*TWINS_M)), alone=False)
        if twin is None:
            continue
        new_id = max(night.contents.instances) + 1
        night.contents.put(replace(twin, instance_id=new_id))
        if night.is_good(new_id):
            return night.scene(f"{scene.name}-twin")
        night.contents.remove(new_id)
    return scene


def hard_night(scene: Scene, seed: int) -> Tuple[Scene, Tuple[TrueChange, ...]]:
    """Change a house as ``change_overnight`` does, and then replace a thing, push one, and carry off one of two twins.

    No thing is changed twice, and no two changes concern the same category, so that what happened is never in doubt.
    """
    ordinary, changes = change_overnight(scene, seed)
    night = Night(ordinary, seed + 1)
    done: Set[str] = {change.category for change in changes}
    more: List[TrueChange] = []
    for step in (_carry_off_twin, _replace, _push):
        found = step(night, done)
        more += found
        done |= {change.category for change in found}
    return night.scene(f"{scene.name}-hard-night-{seed}"), (*changes, *more)


def _resting(night: Night) -> List[int]:
    """Return the small single things that rest on something."""
    return [i for i in night.small_and_single() if night.contents.instances[i].support]


def _pushed(night: Night, instance_id: int, distance_m: float, alone: bool) -> Optional[Instance]:
    """Return a thing pushed some way in a direction of chance, on what it rests on; None if nothing is free.

    Args:
        night: The house.
        instance_id: The thing.
        distance_m: How far.
        alone: It leaves its place; otherwise that stays taken.
    """
    contents = night.contents
    old = contents.instances[instance_id]
    support = contents.bounds[old.support]
    ignored = [*contents.around(old.support), *([instance_id] if alone else [])]
    first = night.rng.uniform(-np.pi, np.pi)
    for turn in range(_N_DIRECTIONS):
        angle = first + 2 * np.pi * turn / _N_DIRECTIONS
        T = old.T_world_object.copy()
        T[:2, 3] += distance_m * np.array([np.cos(angle), np.sin(angle)])
        bounds = bounds_of(contents.templates[old.template], T)
        on_top = all(support[k] + _EDGE_M <= bounds[k] and bounds[k + 3] <= support[k + 3] - _EDGE_M for k in range(2))
        if on_top and contents.fits(bounds, ignored):
            return replace(old, T_world_object=T)
    return None


def _carry_off_twin(night: Night, done: Set[str]) -> List[TrueChange]:
    """Move one of two like things that stand side by side."""
    contents = night.contents
    for instance_id in night.shuffled(sorted(contents.instances)):
        template, at = contents.instances[instance_id].template, middle(contents.bounds[instance_id])
        near = [
            i
            for i, other in contents.instances.items()
            if i != instance_id
            and other.template == template
            and np.linalg.norm(middle(contents.bounds[i]) - at) <= TWINS_M[1] + 0.05
        ]
        if near and contents.instances[instance_id].support and contents.category(instance_id) not in done:
            return night.move(instance_id, elsewhere=False)
    return []


def _replace(night: Night, done: Set[str]) -> List[TrueChange]:
    """Take a thing away and put a new one of another category exactly there."""
    contents = night.contents
    for old_id in night.shuffled(_resting(night)):
        old = contents.instances[old_id]
        category = contents.category(old_id)
        if category in done:
            continue
        from_m = middle(contents.bounds[old_id])
        contents.remove(old_id)
        for new in night.new_categories():
            if contents.category(old.support) not in new.places or new.name in done | {category}:
                continue
            template = contents.template(new.name, night.new_colours(new)[0])
            bounds = bounds_of(template, old.T_world_object)
            if not contents.fits(bounds, contents.around(old.support)):
                continue
            new_id = max([*contents.instances, *(i.instance_id for i in night.before.instances)]) + 1
            contents.put(replace(old, instance_id=new_id, template=template.handle))
            if night.is_good(new_id):
                return [
                    true_change("removed", old_id, contents.templates[old.template], from_m, None),
                    true_change("added", new_id, template, None, middle(bounds)),
                ]
            contents.remove(new_id)
        contents.put(old)
    return []


def _push(night: Night, done: Set[str]) -> List[TrueChange]:
    """Push a small thing aside."""
    contents = night.contents
    for instance_id in night.shuffled(_resting(night)):
        bounds, old = contents.bounds[instance_id], contents.instances[instance_id]
        size_m = max(bounds[k + 3] - bounds[k] for k in range(3))
        if contents.category(instance_id) in done or size_m > PUSHED_MAX_M:
            continue
        pushed = _pushed(night, instance_id, PUSH_M, alone=True)
        if pushed is None:
            continue
        contents.put(pushed)
        if night.is_good(instance_id):
            to_m = middle(contents.bounds[instance_id])
            return [true_change("moved", instance_id, contents.templates[old.template], middle(bounds), to_m)]
        contents.put(old)
    return []
