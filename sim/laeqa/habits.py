"""A house whose things have habits: each is usually in one place in the mornings and in one in the evenings.

The generator of long-term question answering after LA-EQA ("Enter the Mind Palace", arXiv 2507.12846, section on the
benchmark): several visits to one house, in which things change, and a present that nobody has seen yet. Where a thing
is at a visit is drawn from its habit alone, so what is to be expected of the future is exact.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from embodied.clock import NANOSECONDS
from embodied.messages import Point
from sim.houses import generate_house
from sim.houses.catalogue import CATALOGUE
from sim.houses.changes import Night
from sim.houses.furnish import regions_of
from sim.houses.placing import bounds_of, middle
from sim.scene import Instance, Scene

MONDAY_NS = 1_767_571_200 * NANOSECONDS
"""2026-01-05 00:00 UTC."""
HOUR_NS = 3_600 * NANOSECONDS
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
PARTS = ("morning", "evening")
STARTS_H = {"morning": 9, "evening": 19}
MIN_VISITS, MAX_VISITS = 4, 10
"""With the present."""
N_THINGS = 6
N_HAUNTS = 3
FAITHFUL = 0.85
"""Chance that a thing is at its usual place of that part of the day; else it is at one of its others."""
HOMEBODY_CHANCE = 0.4
"""Chance that a thing has one usual place for the whole day."""
_N_TRIES = 6


@dataclass(frozen=True)
class Slot:
    """A part of a day, counted from the first Monday morning."""

    index: int

    @property
    def part(self) -> str:
        """Return morning or evening."""
        return PARTS[self.index % len(PARTS)]

    @property
    def start_ns(self) -> int:
        """Return when a visit in it begins."""
        return MONDAY_NS + (self.index // len(PARTS)) * 24 * HOUR_NS + STARTS_H[self.part] * HOUR_NS

    @property
    def text(self) -> str:
        """Return it as a person says it: Monday morning."""
        return f"{DAYS[self.index // len(PARTS) % len(DAYS)]} {self.part}"

    @property
    def session(self) -> str:
        """Return what a visit in it is called."""
        return self.text.lower().replace(" ", "-")


@dataclass(frozen=True, eq=False)
class Haunt:
    """One of the places of a thing. Compared by identity."""

    instance: Instance
    """The thing as it rests there."""
    position_m: Point
    """The middle of its bounding box."""
    size_m: Point
    room: str
    carrier: str
    """Category of what it rests on or in; the house has one of it."""


@dataclass(frozen=True)
class Habit:
    """Where a thing uses to be."""

    instance_id: int
    category: str
    haunts: Tuple[Haunt, ...]
    """In different rooms."""
    usual: Tuple[int, ...]
    """Which of them, by part of the day."""

    def expected(self, slot: Slot) -> Haunt:
        """Return the likeliest place in a part of a day."""
        return self.haunts[self.usual[PARTS.index(slot.part)]]


@dataclass(frozen=True)
class Visit:
    """The house in one part of one day."""

    slot: Slot
    scene: Scene
    at: Dict[int, Haunt]
    """Where each thing with a habit is, by its id."""


@dataclass(frozen=True)
class HabitWorld:
    """Past visits, and the present."""

    seed: int
    habits: Tuple[Habit, ...]
    past: Tuple[Visit, ...]
    now: Visit

    def habit(self, instance_id: int) -> Habit:
        """Return the habit of a thing."""
        return next(habit for habit in self.habits if habit.instance_id == instance_id)


def make_world(seed: int, n_visits: Optional[int] = None) -> HabitWorld:
    """Furnish a house, give some things habits, and draw where they are at each visit.

    Args:
        seed: Of the house, the habits and the draws.
        n_visits: With the present; by default drawn between ``MIN_VISITS`` and ``MAX_VISITS``.

    Raises:
        ValueError: The number of visits is outside of that.
    """
    rng = np.random.default_rng([seed, 41])
    drawn = int(rng.integers(MIN_VISITS, MAX_VISITS + 1))
    n_visits = drawn if n_visits is None else n_visits
    if not MIN_VISITS <= n_visits <= MAX_VISITS:
        raise ValueError(f"n_visits: expected {MIN_VISITS} to {MAX_VISITS}, got {n_visits}")
    scene = generate_house(seed)
    habits = _habits(scene, seed, rng)
    visits = [_visit(scene, habits, Slot(index), rng) for index in range(n_visits)]
    return HabitWorld(seed, habits, tuple(visits[:-1]), visits[-1])


def _habits(scene: Scene, seed: int, rng: np.random.Generator) -> Tuple[Habit, ...]:
    """Give things habits: such as are the only ones of their category, and find places in enough rooms."""
    night = Night(scene, seed)
    n = Counter(scene.category_of(instance.instance_id) for instance in scene.instances)
    fixed = [name for name, number in n.items() if number == 1 and not CATALOGUE[name].movable]
    habits: List[Habit] = []
    for instance_id in night.shuffled(night.small_and_single()):
        if len(habits) == N_THINGS:
            break
        category = night.contents.category(instance_id)
        supported = night.contents.instances[instance_id].support
        if n[category] == 1 and supported:
            haunts = _haunts(night, instance_id, fixed)
            if len(haunts) == N_HAUNTS:
                order = [int(i) for i in rng.permutation(N_HAUNTS)]
                evening = order[0] if rng.uniform() < HOMEBODY_CHANCE else order[1]
                habits.append(Habit(instance_id, category, haunts, (order[0], evening)))
    return tuple(habits)


def _haunts(night: Night, instance_id: int, single: Sequence[str]) -> Tuple[Haunt, ...]:
    """Find places for a thing in different rooms, on what is named without doubt; no two things share a place."""
    contents = night.contents
    rooms = regions_of(contents, night.plan.regions)
    own = contents.instances[instance_id]
    template = contents.templates[own.template]
    found: List[Haunt] = []
    taken: List[int] = []
    if rooms.get(own.support) and contents.category(own.support) in single:
        found.append(_haunt(night, own, rooms[own.support]))
    allowed = set(CATALOGUE[template.category].places) & set(single)
    supports = [i for i in sorted(contents.instances) if contents.category(i) in allowed and rooms.get(i)]
    contents.remove(instance_id)
    for support in night.shuffled(supports):
        if len(found) == N_HAUNTS:
            break
        if rooms[support] in {haunt.room for haunt in found}:
            continue
        for _ in range(_N_TRIES):
            new = contents.rest(night.rng, template, support)
            if new is None:
                break
            held = max(*contents.instances, instance_id) + 1
            contents.put(replace(new, instance_id=held))
            if night.is_good(held):
                taken.append(held)
                found.append(_haunt(night, replace(new, instance_id=instance_id), rooms[support]))
                break
            contents.remove(held)
    contents.put(own)
    if len(found) < N_HAUNTS:
        for held in taken:
            contents.remove(held)
    return tuple(found)


def _haunt(night: Night, instance: Instance, room: str) -> Haunt:
    bounds = bounds_of(night.contents.templates[instance.template], instance.T_world_object)
    x, y, z = middle(bounds).tolist()
    size = (bounds[3] - bounds[0], bounds[4] - bounds[1], bounds[5] - bounds[2])
    return Haunt(instance, (x, y, z), size, room, night.contents.category(instance.support))


def _visit(scene: Scene, habits: Sequence[Habit], slot: Slot, rng: np.random.Generator) -> Visit:
    at: Dict[int, Haunt] = {}
    for habit in habits:
        usual = habit.usual[PARTS.index(slot.part)]
        others = [i for i in range(len(habit.haunts)) if i != usual]
        is_usual, other = rng.uniform() < FAITHFUL, others[int(rng.integers(len(others)))]
        at[habit.instance_id] = habit.haunts[usual if is_usual else other]
    moved = {instance_id: haunt.instance for instance_id, haunt in at.items()}
    instances = tuple(moved.get(instance.instance_id, instance) for instance in scene.instances)
    changed = replace(scene, name=f"{scene.name}-{slot.session}", instances=instances)
    return Visit(slot, changed, at)
