"""What in a memory fits a query: by label, colour, place, relation and time. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from embodied.messages import (
    Change,
    Evidence,
    Interval,
    ObjectRecord,
    Query,
    Relation,
    RelationFilter,
    RoomRecord,
    SessionRecord,
)
from memory_bank.relations import find_relations
from memory_bank.words import COLOURS, known_as, label_matches

MIN_LABEL_SHARE = 0.3
"""Share of the label histogram from which a thing may be meant by a label that is not its first."""
UNSURE_COLOUR = 0.4
"""Probability that a thing has the colour asked for if it looked like a similar one, or like none."""
MIN_COLOUR_SHARE = 0.05
"""Share of a colour in how a thing looked from which it may be called by it."""
RECENCY_S = 30 * 86_400.0
"""Age of a sighting after which it counts half for the ranking."""
EARLIER_SESSION = 0.85
"""What was not seen in the latest session counts so much: much may have happened in between."""

_SIMILAR = (
    {"red", "pink"}, {"red", "orange"}, {"red", "brown"}, {"orange", "brown"}, {"orange", "yellow"},
    {"yellow", "brown"},
    {"white", "gray"}, {"gray", "black"}, {"blue", "purple"}, {"pink", "purple"}, {"brown", "black"}, {"blue", "green"},
)  # fmt: skip


@dataclass(frozen=True)
class MemoryView:
    """All that an answer may rest on."""

    objects: tuple[ObjectRecord, ...]
    """By id, gone ones too."""
    changes: tuple[Change, ...]
    """Oldest first."""
    rooms: tuple[RoomRecord, ...]
    sessions: tuple[SessionRecord, ...]
    """Oldest first."""
    now_ns: int
    """The instant of the latest observation."""
    history: Callable[[str], tuple[Interval, ...]]
    """Intervals of an object, oldest first."""
    evidence: Callable[[str, int], tuple[Evidence, ...]]
    """The best pictures of an object, best first, at most so many."""
    colours: Callable[[str], Mapping[str, float]] = lambda object_id: {}
    """Share of each colour word in how an object looked."""
    warnings: tuple[str, ...] = ()

    @property
    def labels(self) -> frozenset[str]:
        """Every label that an object has for its own."""
        return frozenset(record.label for record in self.objects if record.label)


@dataclass(frozen=True)
class Hit:
    """An object that fits, and how well."""

    record: ObjectRecord
    fit: float
    """Probability that it is what is asked for, if it exists."""

    @property
    def confidence(self) -> float:
        """Probability that it is what is asked for, and there."""
        return self.fit * self.record.confidence


def in_our_words(query: Query, view: MemoryView) -> Query:
    """Replace synonyms by the labels and colours that the memory uses."""
    relation = query.relation
    if relation is not None:
        relation = msgspec.structs.replace(
            relation,
            label=known_as(relation.label, view.labels) or relation.label,
            colour=COLOURS.get(relation.colour, relation.colour),
        )
    label = known_as(query.label, view.labels) or query.label
    return msgspec.structs.replace(
        query, label=label, colour=COLOURS.get(query.colour, query.colour), relation=relation
    )


# ------------------------------------------------------------------------------------------ the past


def window_of(query: Query, view: MemoryView) -> tuple[int | None, int | None]:
    """Return the instants between which the query asks, None where open."""
    since, until = query.since_ns, query.until_ns
    if query.session:
        for session in view.sessions:
            if session.session == query.session:
                since = max(since or session.start_ns, session.start_ns)
                end_ns = session.end_ns if session.end_ns is not None else view.now_ns
                until = end_ns if until is None else min(until, end_ns)
    return since, until


def as_it_was(query: Query, view: MemoryView) -> MemoryView:
    """Return the memory of the world as it was in the window that a query asks about; relations too."""
    since, until = window_of(query, view)
    objects = list(view.objects)
    if query.session and all(session.session != query.session for session in view.sessions):
        objects = []
    if until is not None and until < view.now_ns:
        then = [_record_then(record, view.history(record.id), until) for record in objects]
        objects = _related([record for record in then if record is not None])
    if since is not None:
        objects = [record for record in objects if record.last_seen_ns >= since]
    return replace(view, objects=tuple(objects))


def _record_then(record: ObjectRecord, history: Sequence[Interval], at_ns: int) -> ObjectRecord | None:
    """Return the record as of an instant; None if the object was not known yet."""
    past = [interval for interval in history if interval.valid_from_ns <= at_ns]
    if not past:
        return None
    now = past[-1]
    # Within an interval that is still open, it is not remembered when it was seen: at its end at the latest.
    seen_ns = [i.valid_to_ns if i.valid_to_ns is not None else record.last_seen_ns for i in past if i.state != "gone"]
    return msgspec.structs.replace(
        record,
        position_m=now.position_m,
        box=now.box,
        room=now.room,
        state="gone" if now.state == "gone" else "present",
        last_seen_ns=min(max(seen_ns, default=now.valid_from_ns), at_ns),
    )


def _related(records: list[ObjectRecord]) -> list[ObjectRecord]:
    standing = [record for record in records if record.state != "gone"]
    relations: dict[str, list[Relation]] = {record.id: [] for record in records}
    for r in find_relations([record.box for record in standing], [record.label for record in standing]):
        other = standing[r.object]
        relations[standing[r.subject].id].append(
            Relation(kind=r.kind, object_id=other.id, label=other.label, confidence=r.confidence)
        )
    return [msgspec.structs.replace(record, relations=tuple(relations[record.id])) for record in records]


# ------------------------------------------------------------------------------------------ what fits


def _label_fit(asked: str, record: ObjectRecord) -> float:
    if not asked:
        return 1.0
    if label_matches(asked, record.label):
        share = sum(label_matches(asked, label) * share for label, share in record.labels.items())
        return max(share, 0.5 * label_matches(asked, record.label))
    share = sum(label_matches(asked, label) * share for label, share in record.labels.items())
    return share if share >= MIN_LABEL_SHARE else 0.0


def _colour_fit(asked: str, record: ObjectRecord | None, view: MemoryView) -> float:
    colour = record.colour if record else ""
    if not asked or asked == colour:
        return 1.0
    share = view.colours(record.id).get(asked, 0.0) if record else 0.0
    if share >= MIN_COLOUR_SHARE:
        return min(0.9, UNSURE_COLOUR + share)
    return UNSURE_COLOUR if not colour or {asked, colour} in _SIMILAR else 0.0


def _relation_fit(
    asked: RelationFilter, record: ObjectRecord, by_id: Mapping[str, ObjectRecord], view: MemoryView
) -> tuple[float, str]:
    """Return how well the relations of a thing fit, and in which room the thing it relates to is."""
    best, room = 0.0, ""
    for relation in record.relations:
        same = relation.kind == asked.kind
        # What lies in a shelf for one lies on it for another.
        alike = {relation.kind, asked.kind} == {"on", "in"}
        other = by_id.get(relation.object_id)
        if not (same or alike) or not label_matches(asked.label, relation.label):
            continue
        colour = _colour_fit(asked.colour, other, view)
        fit = colour * (relation.confidence if same else 0.3)
        if fit > best:
            best, room = fit, other.room if other else ""
    return best, room


def find(query: Query, view: MemoryView) -> list[Hit]:
    """Return the objects that fit all of a query's fields but its times, gone ones too, best first.

    Weaker fits (a similar colour, "in" for "on", "coffee table" for "table") only count where no better one is there.
    """
    by_id = {record.id: record for record in view.objects}
    hits: list[tuple[tuple[bool, ...], Hit]] = []
    for record in view.objects:
        fit = _label_fit(query.label, record) * _colour_fit(query.colour, record, view)
        exact_relation, rooms = True, [record.room]
        if query.relation is not None and fit > 0:
            relation_fit, room = _relation_fit(query.relation, record, by_id, view)
            fit *= min(1.0, relation_fit + 0.4) if relation_fit > 0 else 0.0
            exact_relation = relation_fit > 0.3
            rooms.append(room)
        if query.room and query.room not in rooms:
            continue
        if query.near_m is not None and _plan_distance_m(record, query.near_m) > query.radius_m:
            continue
        if fit > 0:
            exact_label = not query.label or record.label == query.label
            exact_colour = not query.colour or record.colour == query.colour
            some_colour = exact_colour or view.colours(record.id).get(query.colour, 0.0) >= MIN_COLOUR_SHARE
            hits.append(((exact_label, exact_colour, some_colour, exact_relation), Hit(record, fit)))
    for i in range(4):
        exact = [hit for hit in hits if hit[0][i]]
        hits = exact or hits
    return _ranked([hit for _, hit in hits], query, view)


def _plan_distance_m(record: ObjectRecord, point_m: Sequence[float]) -> float:
    return float(np.hypot(record.position_m[0] - point_m[0], record.position_m[1] - point_m[1]))


def _ranked(hits: list[Hit], query: Query, view: MemoryView) -> list[Hit]:
    latest_ns = max((session.start_ns for session in view.sessions), default=0)

    def weight(hit: Hit) -> float:
        age_s = max(0, view.now_ns - hit.record.last_seen_ns) * 1e-9
        recency = float(np.exp2(-age_s / RECENCY_S))
        return hit.confidence * recency * (1.0 if hit.record.last_seen_ns >= latest_ns else EARLIER_SESSION)

    keys: dict[str, Callable[[Hit], float]] = {
        "confidence": lambda hit: -weight(hit),
        "latest": lambda hit: -hit.record.last_seen_ns,
        "earliest": lambda hit: hit.record.first_seen_ns,
    }
    return sorted(hits, key=lambda hit: (keys[query.order](hit), int(hit.record.id[1:])))


def find_changes(query: Query, view: MemoryView) -> list[Change]:
    """Return the changes that fit a query, latest first."""
    since, until = window_of(query, view)
    by_id = {record.id: record for record in view.objects}
    fitting = []
    for change in view.changes:
        record = by_id.get(change.object_id)
        if (
            (query.change and change.kind != query.change)
            or (query.label and not label_matches(query.label, change.label))
            or (query.colour and not _colour_fit(query.colour, record, view))
            or (query.room and query.room not in (change.from_room, change.to_room))
            or (since is not None and change.noticed_ns < since)
            or (until is not None and change.noticed_ns > until)
        ):
            continue
        if query.relation is not None and (record is None or not _relation_fit(query.relation, record, by_id, view)[0]):
            continue
        fitting.append(change)
    exact = [c for c in fitting if c.label == query.label]
    return sorted(exact or fitting, key=lambda c: (-c.noticed_ns, int(c.object_id[1:])))
