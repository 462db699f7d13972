"""Templates about the house as it is now."""

from __future__ import annotations

from collections import Counter
from typing import Callable, Dict, List, Tuple

import numpy as np

from embodied.messages import Answer, Box, Query
from sim.questions import name_of, plural
from sim.recall_questions.timeline import (
    Draw,
    Probe,
    Template,
    Timeline,
    gone,
    near,
    not_there,
    say,
    these_labels,
    this_many,
    where_at,
)  # fmt: skip
from sim.truth import TruthObject

CLEARLY_M = 0.5
"""A distance must differ by so much from another to be called shorter."""

PRESENT: Dict[str, Template] = {}


def _template(make: Template) -> Template:
    PRESENT[make.__name__.strip("_")] = make
    return make


@_template
def _where_it_is(world: Timeline, draw: Draw) -> List[Probe]:
    things = draw([t for t in world.one_of_a_kind(world.unmoved()) if t.support])
    return [where_at("where_it_is", f"where is the {name_of(t)}?", t) for t in things]


@_template
def _where_moved(world: Timeline, draw: Draw) -> List[Probe]:
    moved = set(world.changed("moved", -1)) | set(world.changed("moved", -2))
    things = draw([t for t in world.one_of_a_kind(world.today) if t.instance_id in moved])
    return [where_at("where_moved", f"where is the {name_of(t)}?", t) for t in things]


@_template
def _where_added(world: Timeline, draw: Draw) -> List[Probe]:
    added = set(world.changed("added", -1)) | set(world.changed("added", -2))
    things = draw([t for t in world.one_of_a_kind(world.today) if t.instance_id in added])
    return [where_at("where_added", f"have you seen a {name_of(t)}?", t) for t in things]


@_template
def _where_removed(world: Timeline, draw: Draw) -> List[Probe]:
    there = {t.instance_id for t in world.today}
    things = draw([t for t in world.only_category(world.ever) if t.instance_id not in there])
    return [
        Probe("where_removed", f"where is the {t.category}?", f"{t.category}: taken away", gone(t.category))
        for t in things
    ]


@_template
def _where_by_support(world: Timeline, draw: Draw) -> List[Probe]:
    by_id = {t.instance_id: t for t in world.today}
    on = [t for t in world.only_category(world.today) if t.relation == "on" and t.support in by_id]
    holders = Counter(t.category for t in world.ever)
    things = draw([t for t in on if holders[by_id[t.support].category] == 1])
    return [
        where_at("where_by_support", f"where is the {t.category} on the {by_id[t.support].category}?", t)
        for t in things
    ]


@_template
def _is_it_in_its_room(world: Timeline, draw: Draw) -> List[Probe]:
    things = draw(world.only_category(world.unmoved()))
    return [where_at("is_it_in_its_room", f"is there a {t.category} in the {t.room}?", t) for t in things]


@_template
def _is_it_in_another_room(world: Timeline, draw: Draw) -> List[Probe]:
    rooms = sorted({t.room for t in world.today})
    probes = []
    for t in draw(world.only_category(world.unmoved())):
        other = next(room for room in rooms if room != t.room)
        text = f"is there a {t.category} in the {other}?"
        probes.append(Probe("is_it_in_another_room", text, f"no, in the {t.room}", not_there))
    return probes


@_template
def _by_id_of_box(world: Timeline, draw: Draw) -> List[Probe]:
    probes = []
    for t in draw([t for t in world.only_category(world.unmoved()) if t.support]):
        box = Box(center_m=t.position_m, size_m=(1.2, 1.2, 1.2))
        query = Query(kind="where", label=t.category, box=box)
        probes.append(where_at("by_id_of_box", query, t))
    return probes


@_template
def _nearest(world: Timeline, draw: Draw) -> List[Probe]:
    probes = []
    n = Counter(t.category for t in world.today)
    for category in sorted(c for c in n if n[c] >= 2):
        things = sorted((t for t in world.today if t.category == category), key=lambda t: _plan_m(t, world.agent_m))
        if _plan_m(things[1], world.agent_m) - _plan_m(things[0], world.agent_m) >= CLEARLY_M:
            probes.append(where_at("nearest", f"where is the nearest {category}?", things[0]))
    return probes[:2]


def _plan_m(thing: TruthObject, point_m: Tuple[float, float]) -> float:
    return float(np.hypot(thing.position_m[0] - point_m[0], thing.position_m[1] - point_m[1]))


@_template
def _usually(world: Timeline, draw: Draw) -> List[Probe]:
    probes = []
    moves = Counter(c.instance_id for s in world.sessions for c in s.changes)
    for t in draw([t for t in world.one_of_a_kind(world.today) if moves[t.instance_id] == 1]):
        session = next(i for i in range(len(world.sessions)) if t.instance_id in world.changed("moved", i) or i == 3)
        before = world.at(t.instance_id, 0)
        if before is None or session == 3:
            continue
        # It is taken to have stood where it was last seen until it was seen elsewhere; the longer stay is its habit.
        usual = before if session >= 2 else t

        def verdict(answer: Answer, usual: TruthObject = usual) -> bool:
            return bool(answer.habits) and near(answer.habits[0].position_m, usual.position_m)

        probes.append(Probe("usually", f"where is the {name_of(t)} usually?", say(usual), verdict))
    return probes


@_template
def _what_is_on(world: Timeline, draw: Draw) -> List[Probe]:
    carriers = {t.support for t in world.today if t.relation == "on" and t.support}
    holders = [t for t in world.today if t.instance_id in carriers]
    single = [t for t in holders if sum(u.room == t.room and u.category == t.category for u in world.today) == 1]
    probes = []
    for t in draw(single):
        labels = tuple(u.category for u in world.today if u.support == t.instance_id and u.relation == "on")
        text = f"what is on the {t.category} in the {t.room}?"
        probes.append(Probe("what_is_on", text, ", ".join(labels), these_labels(labels), None))
    return probes


@_template
def _what_is_in(world: Timeline, draw: Draw) -> List[Probe]:
    probes = []
    for room in dict.fromkeys(t.room for t in draw(world.today)):
        labels = tuple(t.category for t in world.today if t.room == room)
        probes.append(Probe("what_is_in", f"what is in the {room}?", ", ".join(labels), these_labels(labels), None))
    return probes


@_template
def _what_is_within(world: Timeline, draw: Draw) -> List[Probe]:
    probes = []
    for t in draw(world.unmoved()):
        x, y, _ = t.position_m
        within = [u for u in world.today if _plan_m(u, (x, y)) <= 1.0]
        if any(abs(_plan_m(u, (x, y)) - 1.0) < 0.1 for u in world.today):
            continue
        text = f"what is within 1 m of ({x:.2f}, {y:.2f})?"
        labels = [u.category for u in within]
        probes.append(Probe("what_is_within", text, ", ".join(labels), these_labels(labels), None))
    return probes


@_template
def _what_colour(world: Timeline, draw: Draw) -> List[Probe]:
    def verdict(colour: str) -> Callable[[Answer], bool]:
        return lambda answer: bool(answer.objects) and answer.objects[0].colour == colour

    things = [t for t in world.only_category(world.today) if t.colour and t.support]
    return [
        Probe("what_colour", f"what colour is the {t.category}?", t.colour, verdict(t.colour)) for t in draw(things)
    ]


@_template
def _how_many(world: Timeline, draw: Draw) -> List[Probe]:
    n = Counter(t.category for t in world.today)
    several = sorted(c for c in n if n[c] >= 2)[:2]
    return [Probe("how_many", f"how many {plural(c)} are there?", str(n[c]), this_many(n[c])) for c in several]


@_template
def _how_many_in_a_room(world: Timeline, draw: Draw) -> List[Probe]:
    n = Counter((t.category, t.room) for t in world.today)
    several = sorted(pair for pair in n if n[pair] >= 2)[:2]
    return [
        Probe("how_many_in_a_room", f"how many {plural(c)} are in the {room}?", str(n[c, room]), this_many(n[c, room]))
        for c, room in several
    ]


@_template
def _which_room_is_it_in(world: Timeline, draw: Draw) -> List[Probe]:
    def verdict(room: str) -> Callable[[Answer], bool]:
        return lambda answer: bool(answer.objects) and answer.objects[0].room == room

    things = world.one_of_a_kind(world.unmoved())
    return [
        Probe("which_room_is_it_in", f"which room is the {name_of(t)} in?", t.room, verdict(t.room))
        for t in draw(things)
    ]


@_template
def _which_room_has(world: Timeline, draw: Draw) -> List[Probe]:
    def verdict(room: str) -> Callable[[Answer], bool]:
        return lambda answer: bool(answer.rooms) and answer.rooms[0].name == room

    probes = []
    single = world.only_category(world.unmoved())
    for t in draw(single):
        others = [u for u in single if u.room == t.room and u is not t]
        if others:
            text = f"which room has a {t.category} and a {others[0].category}?"
            probes.append(Probe("which_room_has", text, t.room, verdict(t.room), None))
    return probes


@_template
def _not_seen_since(world: Timeline, draw: Draw) -> List[Probe]:
    midnight_ns = world.midnight_ns(-1)
    last_ns: Dict[int, int] = {}
    for session in world.sessions:
        for t in session.objects:
            if t.last_sighting is not None:
                last_ns[t.instance_id] = t.last_sighting.stamp_ns
    lost = [t.category for t in world.ever if last_ns.get(t.instance_id, midnight_ns) < midnight_ns]
    return [
        Probe(
            "not_seen_since",
            "what have you not seen since yesterday?",
            ", ".join(lost),
            these_labels(lost, gone=True),
            None,
        )
    ]
