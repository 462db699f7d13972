"""Templates about what was, when it was, and what was never there."""

from __future__ import annotations

from collections import Counter
from typing import Dict, List, Sequence

import numpy as np

from embodied.clock import NANOSECONDS
from embodied.messages import Answer, Query, RelationFilter
from sim.questions import name_of, plural
from sim.recall_questions.timeline import (
    Draw,
    Probe,
    Template,
    Timeline,
    these_changes,
    this_instant,
    this_many,
    where_at,
)  # fmt: skip
from sim.truth import TrueChange

PAST: Dict[str, Template] = {}


def _template(make: Template) -> Template:
    PAST[make.__name__.strip("_")] = make
    return make


@_template
def _where_yesterday(world: Timeline, draw: Draw) -> List[Probe]:
    moved = set(world.changed("moved", -1)) | set(world.changed("moved", -2))
    things = [t for t in world.one_of_a_kind(world.today) if t.instance_id in moved]
    probes = []
    for t in draw(things):
        then = world.at(t.instance_id, -3)
        if then is None:
            continue  # It was brought in and moved within the last days.
        probes.append(where_at("where_yesterday", f"where was the {name_of(t)} yesterday?", then))
    return probes


@_template
def _where_on_a_weekday(world: Timeline, draw: Draw) -> List[Probe]:
    moved = set(world.changed("moved", 1))
    probes = []
    for t in draw([t for t in world.one_of_a_kind(world.today) if t.instance_id in moved]):
        then = world.at(t.instance_id, 0)
        if then is None:
            continue  # It was brought in and moved within the last days.
        probes.append(where_at("where_on_a_weekday", f"where was the {name_of(t)} on Monday?", then))
    return probes


@_template
def _where_in_session(world: Timeline, draw: Draw) -> List[Probe]:
    removed = set(world.changed("removed", 1))
    things = [t for t in world.sessions[0].objects if t.instance_id in removed]
    return [
        where_at("where_in_session", Query(kind="where", label=t.category, session=world.sessions[0].session), t)
        for t in draw(world.only_category(things))
    ]


@_template
def _where_you_thought(world: Timeline, draw: Draw) -> List[Probe]:
    moved = set(world.changed("moved", -2))
    probes = []
    for t in draw([t for t in world.one_of_a_kind(world.today) if t.instance_id in moved]):
        then = world.at(t.instance_id, -3)
        if then is None:
            continue  # It was brought in and moved within the last days.
        text = f"where did you think the {name_of(t)} was today at 08:00?"
        probes.append(where_at("where_you_thought", text, then))
    return probes


@_template
def _known_then(world: Timeline, draw: Draw) -> List[Probe]:
    moved = set(world.changed("moved", -1))
    probes = []
    for t in draw([t for t in world.one_of_a_kind(world.today) if t.instance_id in moved]):
        then = world.at(t.instance_id, -2)
        if then is None:
            continue  # It was brought in and moved within the last days.
        query = Query(
            kind="where", label=t.category, colour=t.colour, known_ns=world.sessions[-1].start_ns - NANOSECONDS
        )
        probes.append(where_at("known_then", query, then))
    return probes


@_template
def _unknown_then(world: Timeline, draw: Draw) -> List[Probe]:
    added = set(world.changed("added", -1))
    things = [t for t in world.only_category(world.today) if t.instance_id in added]
    before_ns = world.sessions[-1].start_ns - NANOSECONDS
    return [
        Probe(
            "unknown_then", Query(kind="where", label=t.category, known_ns=before_ns),
            f"{t.category}: not known then", lambda answer: answer.unknown and not answer.objects, None,
        )
        for t in draw(things)
    ]  # fmt: skip


@_template
def _how_many_yesterday(world: Timeline, draw: Draw) -> List[Probe]:
    then = Counter(t.category for t in world.sessions[-3].objects)
    now = Counter(t.category for t in world.today)
    different = sorted(c for c in then if then[c] != now[c])
    chosen = (different or sorted(then))[:2]
    return [
        Probe("how_many_yesterday", f"how many {plural(c)} were there yesterday?", str(then[c]), this_many(then[c]))
        for c in chosen
    ]


@_template
def _last_seen(world: Timeline, draw: Draw) -> List[Probe]:
    probes = []
    for t in draw(world.one_of_a_kind(world.unmoved())):
        assert t.last_sighting is not None, t
        text = f"when did you last see the {name_of(t)}?"
        stamp_ns = t.last_sighting.stamp_ns
        probes.append(Probe("last_seen", text, str(stamp_ns), this_instant(stamp_ns)))
    return probes


@_template
def _last_seen_removed(world: Timeline, draw: Draw) -> List[Probe]:
    removed = set(world.changed("removed", -1))
    things = [t for t in world.sessions[-2].objects if t.instance_id in removed]
    probes = []
    for t in draw(world.only_category(things)):
        assert t.last_sighting is not None, t
        text = f"when was the {t.category} last seen?"
        probes.append(
            Probe("last_seen_removed", text, str(t.last_sighting.stamp_ns), this_instant(t.last_sighting.stamp_ns))
        )
    return probes


@_template
def _first_seen(world: Timeline, draw: Draw) -> List[Probe]:
    probes = []
    for t in draw([t for t in world.one_of_a_kind(world.unmoved()) if t.support]):
        first = world.at(t.instance_id, 0)
        if first is not None and first.first_sighting is not None:
            stamp_ns = first.first_sighting.stamp_ns
            text = f"when did you first see the {name_of(t)}?"
            probes.append(Probe("first_seen", text, str(stamp_ns), this_instant(stamp_ns)))
    return probes


def _changed(template: str, text: str, changes: Sequence[TrueChange]) -> Probe:
    truth = "; ".join(f"{c.category} {c.kind}" for c in changes) or "nothing"
    return Probe(template, text, truth, these_changes(changes), None)


@_template
def _changed_yesterday(world: Timeline, draw: Draw) -> List[Probe]:
    return [_changed("changed_yesterday", "what changed yesterday?", world.sessions[-3].changes)]


@_template
def _changed_before_lunch(world: Timeline, draw: Draw) -> List[Probe]:
    return [_changed("changed_before_lunch", "what changed today before lunch?", world.sessions[-2].changes)]


@_template
def _moved_this_afternoon(world: Timeline, draw: Draw) -> List[Probe]:
    moved = [c for c in world.now.changes if c.kind == "moved"]
    return [_changed("moved_this_afternoon", "what was moved this afternoon?", moved)]


@_template
def _missing_since_yesterday(world: Timeline, draw: Draw) -> List[Probe]:
    # Since the beginning of yesterday: what was noticed yesterday counts.
    removed = [c for s in world.sessions[1:] for c in s.changes if c.kind == "removed"]
    return [_changed("missing_since_yesterday", "what was removed since yesterday?", removed)]


@_template
def _new_this_afternoon(world: Timeline, draw: Draw) -> List[Probe]:
    added = [c for c in world.now.changes if c.kind == "added"]
    return [_changed("new_this_afternoon", "what is new since noon?", added)]


@_template
def _when_was_it_moved(world: Timeline, draw: Draw) -> List[Probe]:
    probes = []
    moves = Counter(c.instance_id for s in world.sessions for c in s.changes)
    for t in draw([t for t in world.one_of_a_kind(world.today) if moves[t.instance_id] == 1]):
        for session in (1, 2, 3):
            if t.instance_id in world.changed("moved", session):
                start_ns, end_ns = world.sessions[session].start_ns, world.sessions[session].end_ns

                def verdict(answer: Answer, start_ns: int = start_ns, end_ns: int = end_ns) -> bool:
                    return answer.stamp_ns is not None and start_ns <= answer.stamp_ns <= end_ns

                text = f"when was the {name_of(t)} moved?"
                probes.append(Probe("when_was_it_moved", text, world.sessions[session].session, verdict))
    return probes


@_template
def _on_as_query(world: Timeline, draw: Draw) -> List[Probe]:
    by_id = {t.instance_id: t for t in world.today}
    on = [t for t in world.only_category(world.unmoved()) if t.relation == "on" and t.support in by_id]
    return [
        where_at(
            "on_as_query",
            Query(kind="where", label=t.category, relation=RelationFilter(kind="on", label=by_id[t.support].category)),
            t,
        )
        for t in draw(on)
    ]


@_template
def _never_there(world: Timeline, draw: Draw) -> List[Probe]:
    return [
        Probe(
            "never_there", f"where is the {label}?", f"there never was any {label}",
            lambda answer: answer.unknown and not answer.objects, False,
        )
        for label in lures(world)[:3]
    ]  # fmt: skip


LURES = (
    "piano", "umbrella", "toaster", "skateboard", "globe", "ladder", "telescope", "blender", "hairdryer", "iron",
    "bicycle", "drum", "violin", "kettle", "microwave", "basket", "printer", "camera", "suitcase", "teapot", "tent",
    "candle", "helmet", "racket", "vacuum cleaner", "coffee machine", "birdcage", "aquarium", "typewriter", "broom",
)  # fmt: skip
"""Things that a house like these might well have."""


def lures(world: Timeline) -> List[str]:
    """Return categories that were never in the house, in an order that depends on it."""
    ever = {t.category for t in world.ever}
    left = [label for label in LURES if label not in ever]
    return [left[int(i)] for i in np.random.default_rng(len(world.ever)).permutation(len(left))]
