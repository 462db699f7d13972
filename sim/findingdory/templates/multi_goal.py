"""Multi-goal templates: several places, in any order or in one that is told."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

from sim.findingdory.goals import Goal
from sim.findingdory.templates.day import ORDINALS, Day, Templates, objects, receptacles, unique

TEMPLATES = Templates()
Filled = Optional[Tuple[str, Tuple[Goal, ...]]]
MIN_GOALS = 2
MAX_GOALS = 8
"""Beyond these the shortest of all orders takes too long to find."""


def _several(text: str, goals: Sequence[Goal]) -> Filled:
    return (text, tuple(goals)) if MIN_GOALS <= len(goals) <= MAX_GOALS else None


def _each_object(instances: Sequence[int]) -> Tuple[Goal, ...]:
    return tuple(objects([i]) for i in instances)


def _each_receptacle(instances: Sequence[int]) -> Tuple[Goal, ...]:
    return tuple(receptacles([i]) for i in instances)


# ------------------------------------------------------------------------------------------ unordered revisitation


@TEMPLATES.of("unordered revisitation")
def all_objects_handled(day: Day) -> Filled:
    """Visit every handled thing."""
    return _several("visit all the objects that you interacted with today", _each_object(day.handled))


@TEMPLATES.of("unordered revisitation")
def all_receptacles_picked_from(day: Day) -> Filled:
    """Visit all furniture from which something was taken."""
    return _several("visit all the furniture you picked objects up from today", _each_receptacle(day.picked_from))


@TEMPLATES.of("unordered revisitation")
def all_receptacles_placed_on(day: Day) -> Filled:
    """Visit all furniture on which something was put."""
    return _several("visit all the furniture you placed objects on today", _each_receptacle(day.placed_on))


@TEMPLATES.of("unordered revisitation")
def all_receptacles_used(day: Day) -> Filled:
    """Visit all furniture that was used."""
    text = "visit all the furniture that you picked objects up from or placed objects on today"
    return _several(text, _each_receptacle(day.used))


@TEMPLATES.of("unordered revisitation")
def all_objects_taken_in_room(day: Day) -> Filled:
    """Visit every thing that was taken in a room."""
    by_room = {room: [i.instance_id for i in day.interactions if i.picked_room == room] for room in day.rooms}
    room = day.one_of(room for room, things in by_room.items() if len(things) >= MIN_GOALS)
    if room is None:
        return None
    return _several(f"visit all the objects that you picked up in the {room} today", _each_object(by_room[room]))


@TEMPLATES.of("unordered revisitation")
def all_rooms_with_putting_down(day: Day) -> Filled:
    """Visit every room where something was put down."""
    rooms = unique(i.placed_room for i in day.interactions)
    text = "visit all the rooms in which you put something down today"
    return _several(text, tuple(Goal("room", rooms=(room,)) for room in rooms))


# ------------------------------------------------------------------------------------------ ordered revisitation


@TEMPLATES.of("ordered revisitation", ordered=True)
def objects_in_order(day: Day) -> Filled:
    """Visit two or three things in an order that is told by when they were handled."""
    order = _told_order(day)
    if order is None:
        return None
    text = f"revisit the {_listed(order)} object you interacted with today, in this order"
    return _several(text, _each_object([day.interactions[n].instance_id for n in order]))


@TEMPLATES.of("ordered revisitation", ordered=True)
def picked_receptacles_in_order(day: Day) -> Filled:
    """Visit the furniture of two or three pickings up in an order that is told."""
    order = _told_order(day)
    if order is None:
        return None
    text = f"revisit the furniture you picked the {_listed(order)} object up from, in this order"
    return _several(text, _each_receptacle([day.interactions[n].picked_from for n in order]))


@TEMPLATES.of("ordered revisitation", ordered=True)
def placed_receptacles_in_order(day: Day) -> Filled:
    """Visit the furniture of two or three puttings down in an order that is told."""
    order = _told_order(day)
    if order is None:
        return None
    text = f"revisit the furniture you placed the {_listed(order)} object on, in this order"
    return _several(text, _each_receptacle([day.interactions[n].placed_on for n in order]))


def _told_order(day: Day) -> Optional[Tuple[int, ...]]:
    n = len(day.interactions)
    if n < MIN_GOALS:
        return None
    length = int(day.rng.integers(MIN_GOALS, min(3, n) + 1))
    return tuple(int(k) for k in day.rng.permutation(n)[:length])


def _listed(order: Sequence[int]) -> str:
    words = [ORDINALS[n] for n in order]
    return ", then the ".join(words)
