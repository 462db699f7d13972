"""Answers to structured queries: a pure function of the query and a view of the memory.

What fits is ranked by how sure the memory is that it exists, that it is what is asked for, and how lately it was seen.
The confidence of an answer is meant as a probability that it is right. What does not fit is *unknown*, and said so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from embodied.messages import (
    Answer,
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
from memory_bank import sentences as say
from memory_bank.relations import find_relations
from memory_bank.words import COLOURS, known_as, label_matches, plural

N_PICTURED = 3
"""Of so many objects an answer brings pictures …"""
N_PICTURES = 2
"""… so many of each."""
MIN_LABEL_SHARE = 0.3
"""Share of the label histogram from which a thing may be meant by a label that is not its first."""
UNSURE_COLOUR = 0.4
"""Probability that a thing has the colour asked for if it looked like a similar one, or like none."""
MIN_COLOUR_SHARE = 0.1
"""Share of a colour in how a thing looked from which it may be called by it."""
RECENCY_S = 30 * 86_400.0
"""Age of a sighting after which it counts half for the ranking."""
NEVER_SEEN = 0.9
"""Confidence in not having seen something."""

_SIMILAR = (
    {"red", "pink"}, {"red", "orange"}, {"red", "brown"}, {"orange", "brown"}, {"orange", "yellow"}, {"yellow", "brown"},
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


def answer(query: Query, view: MemoryView) -> Answer:
    """Answer a query.

    Args:
        query: Labels may be synonyms of those known; colours any colour word.
        view: What the memory holds.
    """
    query = _in_our_words(query, view)
    # A question about the past is answered from the world as it was then.
    view = _as_it_was(query, view) if query.kind in ("where", "what", "count") else view
    kinds = {"where": _where, "what": _what, "when": _when, "changes": _changes, "count": _count}
    found = kinds[query.kind](query, view)
    pictures = [e for record in found.objects[:N_PICTURED] for e in view.evidence(record.id, N_PICTURES)]
    return msgspec.structs.replace(found, evidence=tuple(pictures), warnings=view.warnings)


def _in_our_words(query: Query, view: MemoryView) -> Query:
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


def _as_it_was(query: Query, view: MemoryView) -> MemoryView:
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
    hits: list[tuple[tuple[bool, bool, bool], Hit]] = []
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
            hits.append(((exact_label, exact_colour, exact_relation), Hit(record, fit)))
    for i in range(3):
        exact = [hit for hit in hits if hit[0][i]]
        hits = exact or hits
    return _ranked([hit for _, hit in hits], query, view.now_ns)


def _plan_distance_m(record: ObjectRecord, point_m: Sequence[float]) -> float:
    return float(np.hypot(record.position_m[0] - point_m[0], record.position_m[1] - point_m[1]))


def _ranked(hits: list[Hit], query: Query, now_ns: int) -> list[Hit]:
    def weight(hit: Hit) -> float:
        age_s = max(0, now_ns - hit.record.last_seen_ns) * 1e-9
        return hit.confidence * float(np.exp2(-age_s / RECENCY_S))

    keys: dict[str, Callable[[Hit], float]] = {
        "confidence": lambda hit: -weight(hit),
        "latest": lambda hit: -hit.record.last_seen_ns,
        "earliest": lambda hit: hit.record.first_seen_ns,
    }
    return sorted(hits, key=lambda hit: (keys[query.order](hit), int(hit.record.id[1:])))


def _unknown(query: Query, view: MemoryView, **fields: object) -> Answer:
    """Return that nothing fits, and what comes closest."""
    text = f"I have not seen {say.with_article(say.sought(query))}{say.say_window(query)}."
    if not query.label and not query.colour:
        text = f"I have seen nothing{say.sought(query)[5:]}{say.say_window(query)}."
    hints = []
    if query.room and all(room.name != query.room for room in view.rooms):
        names = say.say_several(sorted(room.name for room in view.rooms))
        text = f"I know no {query.room}" + (f"; I know the {names}." if names else " yet: I have found no rooms.")
    elif query.label and (query.colour or query.room or query.relation):
        wider = Query(kind="where", label=query.label)
        others = [hit.record for hit in find(wider, view) if hit.record.state != "gone"]
        if others:
            what = f"a {others[0].label}" if len(others) == 1 else f"{len(others)} {plural(others[0].label)}"
            hints = [f"I know {what}: {'; '.join(say.say_listed(r) for r in others[:3])}."]
    return Answer(query=query, text=" ".join([text, *hints]), unknown=True, confidence=NEVER_SEEN, **fields)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------ kinds of questions


def _split(hits: Sequence[Hit]) -> tuple[list[Hit], list[Hit]]:
    """Return what stands, and what is gone."""
    return [h for h in hits if h.record.state != "gone"], [h for h in hits if h.record.state == "gone"]


def _records(hits: Sequence[Hit], query: Query) -> tuple[ObjectRecord, ...]:
    return tuple(hit.record for hit in hits[: max(query.limit, 0)])


def _where(query: Query, view: MemoryView) -> Answer:
    there, gone = _split(find(query, view))
    if not there and not gone:
        return _unknown(query, view)
    if not there:
        text = " ".join(say.say_gone(hit.record, query) for hit in gone[:2])
        sure = max(0.5, 1.0 - gone[0].record.confidence) * gone[0].fit
        return Answer(query=query, text=text, unknown=True, confidence=sure, objects=_records(gone, query))
    best = there[0].record
    if len(there) == 1:
        text = say.say_where(best, query)
        moved = [
            c for c in view.changes if c.object_id == best.id and c.kind == "moved" and c.noticed_ns <= view.now_ns
        ]
        if moved and best.state == "moved":
            text += " " + say.say_before(moved[-1])
    else:
        listed = "; ".join(say.say_listed(hit.record) for hit in there[: min(5, query.limit)])
        name = say.name_of(query.label or "thing", query.colour)
        text = f"{len(there)} {plural(name)}: {listed}" + ("; …" if len(there) > 5 else ".")
    return Answer(query=query, text=text, unknown=False, confidence=there[0].confidence, objects=_records(there, query))


def _what(query: Query, view: MemoryView) -> Answer:
    there, gone = _split(find(query, view))
    if query.label:
        if not there and not gone:
            return _unknown(query, view)
        record = (there or gone)[0].record
        colour = record.colour or "of no colour that stands out"
        sentence = say.say_where(record, query) if there else say.say_gone(record, query)
        text = f"The {record.label} is {colour}. {sentence}"
        return Answer(
            query=query,
            text=text,
            unknown=False,
            confidence=(there or gone)[0].confidence,
            objects=_records(there or gone, query),
        )
    where = say.sought(query)[6:]
    if not there and (missing := _missing_anchor(query, view)):
        return missing
    if not there:
        text = f"I have seen nothing {where}{say.say_window(query)}.".replace("  ", " ")
        return Answer(query=query, text=text, unknown=False, confidence=0.7)
    amounts = say.say_amounts([hit.record for hit in there])
    text = f"{where[:1].upper()}{where[1:]}: {amounts}." if where else f"I know of {amounts}."
    confidence = float(np.mean([hit.confidence for hit in there]))
    return Answer(query=query, text=text, unknown=False, confidence=confidence, objects=_records(there, query))


def _missing_anchor(query: Query, view: MemoryView) -> Answer | None:
    """Return that the room or the thing itself is not known to which a question refers."""
    if query.room and all(room.name != query.room for room in view.rooms):
        return _unknown(query, view)
    if query.relation is not None:
        anchor = Query(kind="where", label=query.relation.label, colour=query.relation.colour, room=query.room)
        if not _split(find(anchor, view))[0]:
            found = _unknown(anchor, view)
            return msgspec.structs.replace(found, query=query)
    return None


def _when(query: Query, view: MemoryView) -> Answer:
    if query.moment == "moved":
        return _when_changed(query, view)
    since, until = window_of(query, view)
    hits = find(query, view)
    if until is not None:
        hits = [hit for hit in hits if hit.record.first_seen_ns <= until]
    if since is not None:
        hits = [hit for hit in hits if hit.record.last_seen_ns >= since]
    if not hits:
        return _unknown(query, view)
    first = query.moment == "first_seen"
    hits = sorted(hits, key=lambda h: h.record.first_seen_ns if first else -h.record.last_seen_ns)
    record = hits[0].record
    stamp_ns = record.first_seen_ns if first else record.last_seen_ns
    if not first and until is not None:
        stamp_ns = min(stamp_ns, until)
    name = say.name_of(record.label, query.colour)
    place = say.place_phrase(record) or f"at {say.say_point(record.position_m)}"
    tail = ", and it is gone since" if record.state == "gone" and not first else f", {place}" if not first else ""
    text = f"I {'first' if first else 'last'} saw the {name} at {say.say_time(stamp_ns)}{tail}."
    return Answer(
        query=query, text=text, unknown=False, confidence=hits[0].fit, objects=_records(hits, query), stamp_ns=stamp_ns
    )


def _when_changed(query: Query, view: MemoryView) -> Answer:
    changes = find_changes(query, view)
    if not changes:
        hits = find(query, view)
        if not hits:
            return _unknown(query, view)
        done = {"moved": "moved", "removed": "removed", "added": "added"}.get(query.change, "changed")
        text = (
            f"I have not noticed that the {say.name_of(query.label, query.colour)} was {done}{say.say_window(query)}."
        )
        return Answer(query=query, text=text, unknown=True, confidence=NEVER_SEEN, objects=_records(hits, query))
    change = changes[0]
    sentence = say.say_change(change, query.colour)
    text = (
        f"{sentence[:1].upper()}{sentence[1:]}: after {say.say_time(change.after_ns)}, "
        f"noticed at {say.say_time(change.noticed_ns)}."
    )
    objects = tuple(record for record in view.objects if record.id == change.object_id)
    return Answer(
        query=query, text=text, unknown=False, confidence=change.confidence, objects=objects,
        changes=tuple(changes), stamp_ns=change.noticed_ns,
    )  # fmt: skip


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


def _changes(query: Query, view: MemoryView) -> Answer:
    changes = find_changes(query, view)
    if not changes:
        known = not query.label or bool(find(Query(kind="where", label=query.label, colour=query.colour), view))
        if not known or (query.room and all(room.name != query.room for room in view.rooms)):
            return _unknown(query, view)
        what = f"the {say.name_of(query.label, query.colour)}" if query.label else "anything"
        done = f"was {query.change}" if query.change else "changed"
        place = f" in the {query.room}" if query.room else ""
        text = f"I have not noticed that {what} {done}{place}{say.say_window(query)}."
        return Answer(query=query, text=text, unknown=False, confidence=0.7)
    by_id = {record.id: record for record in view.objects}
    listed = [say.say_change(c, by_id[c.object_id].colour if c.object_id in by_id else "") for c in changes]
    n = f"{len(changes)} changes" if len(changes) > 1 else "One change"
    text = f"{n}{say.say_window(query)}: {'; '.join(listed[:10])}" + ("; …" if len(listed) > 10 else ".")
    ids = dict.fromkeys(change.object_id for change in changes)
    return Answer(
        query=query, text=text, unknown=False, confidence=float(np.mean([c.confidence for c in changes])),
        objects=tuple(by_id[i] for i in ids if i in by_id), changes=tuple(changes[: max(query.limit, 0)]),
    )  # fmt: skip


def _count(query: Query, view: MemoryView) -> Answer:
    there, gone = _split(find(query, view))
    if not there and (missing := _missing_anchor(query, view)):
        return msgspec.structs.replace(missing, count=0)
    if not there and not gone:
        return _unknown(query, view, count=0)
    name = say.name_of(query.label or "thing", query.colour)
    where = say.sought(query)[len(say.name_of(query.label, query.colour)) :]
    records = [hit.record for hit in there]
    if not records:
        text = f"There is no {name}{where} any more: " + say.say_gone(gone[0].record, query)
    else:
        rooms = "" if query.room else say.say_counts_by_room(records)
        text = f"There {'is' if len(there) == 1 else 'are'} {len(there)} {name if len(there) == 1 else plural(name)}{where}"
        text += f": {rooms}." if rooms else "."
    # All of them must be real, and none be missing.
    confidence = float(np.prod([hit.confidence for hit in there])) if there else gone[0].fit
    return Answer(
        query=query, text=text, unknown=False, confidence=confidence, objects=_records(there, query), count=len(there)
    )
