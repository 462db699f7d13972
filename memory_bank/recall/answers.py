"""Answers to structured queries: a pure function of the query and a view of the memory.

What fits is ranked by how sure the memory is that it exists, that it is what is asked for, and how lately it was seen.
The confidence of an answer is a probability that it is right, calibrated on questions whose truth was known
(``calibration``). What does not fit is *unknown*, and said so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np

from embodied.messages import Answer, ObjectRecord, Query
from memory_bank.recall import sentences as say
from memory_bank.recall.calibration import calibrated
from memory_bank.recall.habits import habits_of
from memory_bank.recall.matching import Hit, MemoryView, find, find_changes, in_our_words, plan_distance_m
from memory_bank.recall.past import as_it_was, as_known_at, record_at, window_of
from memory_bank.recall.room_answers import answer_views, answer_which_room
from memory_bank.recall.unknown import nothing_is, unknown
from memory_bank.recall.words import plural

N_PICTURED = 3
"""Of so many objects an answer brings pictures …"""
N_PICTURES = 2
"""… so many of each."""
MOVES_PER_DAY = 0.5 / 90.0
"""How often a thing moves that the memory has watched for no time: half a move …"""
WATCHED_DAYS = 90.0
"""… in so many days."""
_AS_IT_WAS = ("where", "what", "count", "which_room")


def answer(query: Query, view: MemoryView) -> Answer:
    """Answer a query.

    Args:
        query: Labels may be synonyms of those known; colours any colour word.
        view: What the memory holds.

    Raises:
        ValueError: A condition that the kind of question does not have.
        ConfigurationError: A condition that needs a model which this memory does not have.
    """
    _check(query)
    if query.known_ns is not None:
        view = as_known_at(view, query.known_ns)
    asked, query = query, in_our_words(query, view)
    # A question about the past is answered from the world as it was then.
    then = as_it_was(query, view) if query.kind in _AS_IT_WAS else view
    kinds = {
        "where": _where,
        "what": _what,
        "when": _when,
        "changes": _changes,
        "count": _count,
        "which_room": answer_which_room,
        "views": answer_views,
    }
    found = kinds[query.kind](query, then)
    if found.unknown and not found.objects:
        found = unknown(found, asked, query, then, view)
    confidence = calibrated(found.confidence, found) if view.calibrated else found.confidence
    pictures = [e for record in found.objects[:N_PICTURED] for e in view.evidence(record.id, N_PICTURES)]
    return msgspec.structs.replace(found, confidence=confidence, evidence=tuple(pictures), warnings=view.warnings)


def _check(query: Query) -> None:
    """Refuse conditions that would be passed over: that would answer another question."""
    if query.labels and query.kind != "which_room":
        raise ValueError(f"labels: expected only of kind which_room, got kind {query.kind}")
    if query.image_jpeg and query.kind != "views":
        raise ValueError(f"image_jpeg: expected only of kind views, got kind {query.kind}")
    if query.order == "nearest" and query.near_m is None:
        raise ValueError("order: nearest needs near_m")
    if query.order == "most_often" and query.kind != "where":
        raise ValueError(f"order: most_often is an order of kind where, got kind {query.kind}")
    connects = query.relation is not None and query.relation.kind == "connects"
    if connects and query.kind != "which_room":
        raise ValueError(f"relation: connects is one of rooms, of kind which_room, got kind {query.kind}")
    if query.radius_m < 0 or not np.isfinite(query.radius_m) or not np.isfinite(query.near_m or 0.0).all():
        raise ValueError(f"near_m, radius_m: expected finite numbers, got {query.near_m} and {query.radius_m}")


# ------------------------------------------------------------------------------------------ kinds of questions


def _split(hits: Sequence[Hit]) -> tuple[list[Hit], list[Hit]]:
    """Return what stands, and what is gone."""
    return [h for h in hits if h.record.state != "gone"], [h for h in hits if h.record.state == "gone"]


def _records(hits: Sequence[Hit], query: Query) -> tuple[ObjectRecord, ...]:
    return tuple(hit.record for hit in hits[: max(query.limit, 0)])


def _where(query: Query, view: MemoryView) -> Answer:
    hits = find(query, view)
    there, gone = _split(hits)
    if not hits:
        return nothing_is(query)
    if query.order == "most_often":
        return _habits(query, view, hits)
    if query.moment == "first_seen":
        return _where_first(query, view, hits)
    if not there:
        text = " ".join(say.say_gone(hit.record, query) for hit in gone[:2])
        sure = max(0.5, 1.0 - gone[0].record.confidence) * gone[0].fit
        return Answer(query=query, text=text, unknown=True, confidence=sure, objects=_records(gone, query))
    until = window_of(query, view)[1]
    is_past = query.known_ns is not None or (until is not None and until < view.now_ns)
    if is_past:
        there = _seen_by_then(there, view.now_ns if until is None else min(until, view.now_ns), query, view)
    best = there[0].record
    if query.order == "nearest" and query.near_m is not None:
        text = say.say_nearest(best, query, plan_distance_m(best.position_m, query.near_m))
    elif len(there) == 1:
        text = say.say_where(best, query, past=is_past) + say.say_source(best, view.history(best.id))
        moved = [
            c for c in view.changes if c.object_id == best.id and c.kind == "moved" and c.noticed_ns <= view.now_ns
        ]
        if moved and best.state == "moved":
            text += " " + say.say_before(moved[-1])
    else:
        listed = "; ".join(say.say_listed(hit.record, query.label) for hit in there[: min(5, query.limit)])
        colour = query.colour if best.colour == query.colour else ""
        name = say.name_of(query.label or "thing", colour)
        text = f"{len(there)} {plural(name)}: {listed}" + ("; …" if len(there) > 5 else ".")
    confidence = there[0].confidence * _still_there(best, query, view)
    return Answer(query=query, text=text, unknown=False, confidence=confidence, objects=_records(there, query))


def _seen_by_then(hits: Sequence[Hit], at_ns: int, query: Query, view: MemoryView) -> list[Hit]:
    """Return hits with the times of their last sightings before an instant, where only the instant bounds them."""
    told = list(hits[: max(query.limit, 1)])
    for i, hit in enumerate(told):
        if hit.record.last_seen_ns == at_ns and hit.record.source != "told":
            seen_ns = _sighting_ns(hit.record, at_ns, view)
            told[i] = replace(hit, record=msgspec.structs.replace(hit.record, last_seen_ns=seen_ns))
    return [*told, *hits[len(told) :]]


def _still_there(record: ObjectRecord, query: Query, view: MemoryView) -> float:
    """Return the probability that a thing has not moved since it was last seen, by how often it has moved before.

    Moves are taken for a Poisson process whose rate has a gamma prior (``MOVES_PER_DAY``, ``WATCHED_DAYS``). Of the
    past, the answer is about where it was known to be.
    """
    if query.until_ns is not None and query.until_ns < view.now_ns:
        return 1.0
    day_ns = 86_400e9
    n_moves = sum(interval.state == "moved" for interval in view.history(record.id))
    watched_days = max(0, record.last_seen_ns - record.first_seen_ns) / day_ns
    per_day = (MOVES_PER_DAY * WATCHED_DAYS + n_moves) / (WATCHED_DAYS + watched_days)
    return float(np.exp(-per_day * max(0, view.now_ns - record.last_seen_ns) / day_ns))


def _where_first(query: Query, view: MemoryView, hits: Sequence[Hit]) -> Answer:
    """Answer where something was when it was first seen."""
    first = min(hits, key=lambda hit: (hit.record.first_seen_ns, int(hit.record.id[1:])))
    stamp_ns = first.record.first_seen_ns
    then = record_at(first.record, view, stamp_ns) or first.record
    name = say.the(say.name_of(then.label, query.colour))
    text = f"I first saw {name} at {say.say_time(stamp_ns)}, {say.say_spot(then)}."
    return Answer(query=query, text=text, unknown=False, confidence=first.fit, objects=(then,), stamp_ns=stamp_ns)


def _habits(query: Query, view: MemoryView, hits: Sequence[Hit]) -> Answer:
    """Answer where something is most often."""
    habits = habits_of([hit.record for hit in hits], view, *window_of(query, view))
    if not habits:
        return nothing_is(query)
    text = say.say_habits(habits, say.name_of(query.label or hits[0].record.label, query.colour))
    # The runner-up may be the truth where the shares are close.
    lead = habits[0].share / (habits[0].share + habits[1].share) if len(habits) > 1 else 1.0
    return Answer(
        query=query, text=text, unknown=False, confidence=hits[0].fit * lead, objects=_records(hits, query),
        habits=habits[: max(query.limit, 0)],
    )  # fmt: skip


def _what(query: Query, view: MemoryView) -> Answer:
    there, gone = _split(find(query, view))
    if query.label or query.object_id:
        return _about(query, view, there, gone)
    lost = gone if query.unseen_since_ns is not None else []
    there = [*there, *lost]
    where = say.sought(query)[6:]
    if not there and (missing := _missing_anchor(query, view)):
        return missing
    if not there:
        text = f"I have {say.say_seen(query)} nothing{where and f' {where}'}{say.say_window(query)}."
        if query.unseen_since_ns is not None:
            since = say.say_time(query.unseen_since_ns)
            text = f"There is nothing{where and f' {where}'} that I have not seen since {since}."
        return Answer(query=query, text=text, unknown=False, confidence=0.7)
    confidence = float(np.mean([hit.confidence for hit in there]))
    if query.order in ("earliest", "latest"):
        text = say.say_ordered([hit.record for hit in there[: max(query.limit, 1)]], query.order)
        confidence = there[0].confidence
    elif query.order == "nearest" and query.near_m is not None:
        text = say.say_nearest(there[0].record, query, plan_distance_m(there[0].record.position_m, query.near_m))
        confidence = there[0].confidence
    else:
        amounts = say.say_amounts([hit.record for hit in there])
        known = "was told of" if query.source == "told" else "know of"
        window = say.say_window(msgspec.structs.replace(query, since_ns=None, until_ns=None, session=""))
        text = f"{say.begun(where)}{window}: {amounts}." if where else f"I {known} {amounts}{window}."
        if query.unseen_since_ns is not None:
            text = say.say_unseen([hit.record for hit in there], where, query.unseen_since_ns)
    return Answer(query=query, text=text, unknown=False, confidence=confidence, objects=_records(there, query))


def _about(query: Query, view: MemoryView, there: Sequence[Hit], gone: Sequence[Hit]) -> Answer:
    """Answer with all that is known of one thing: looks, place, source, history and notes."""
    hits = [*there, *gone]
    if not hits:
        return nothing_is(query)
    record = hits[0].record
    history = view.history(record.id)
    place = say.say_where(record, query, again=True) if there else say.say_gone(record, query, again=True)
    sentences = [say.say_colour(record), place]
    if query.source == "told":
        sentences = [say.say_told(record, history), sentences[1]]
    sentences += [say.say_source(record, history).strip() if query.source != "told" else ""]
    sentences += [say.say_history(record, history), *(say.say_note(note) for note in record.notes)]
    return Answer(
        query=query,
        text=" ".join(sentence for sentence in sentences if sentence),
        unknown=False,
        confidence=hits[0].confidence if there else hits[0].fit,
        objects=_records(hits, query),
    )


def _missing_anchor(query: Query, view: MemoryView) -> Answer | None:
    """Return that the room or the thing itself is not known to which a question refers."""
    if query.room and all(room.name != query.room for room in view.rooms):
        return nothing_is(query)
    if query.relation is not None:
        anchor = Query(kind="where", label=query.relation.label, colour=query.relation.colour, room=query.room)
        if not _split(find(anchor, view))[0]:
            return nothing_is(query)
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
        return nothing_is(query)
    first = query.moment == "first_seen"
    hits = sorted(hits, key=lambda h: h.record.first_seen_ns if first else -h.record.last_seen_ns)
    record = hits[0].record
    stamp_ns = record.first_seen_ns if first else record.last_seen_ns
    if not first and until is not None and stamp_ns > until:
        stamp_ns = _sighting_ns(record, until, view)
    is_room = bool(query.room) and not query.label
    name = query.room if is_room else say.name_of(record.label, query.colour)
    place = "" if is_room or first else say.place_phrase(record) or f"at {say.say_point(record.position_m)}"
    tail = ", and it is gone since" if record.state == "gone" and not first else place and f", {place}"
    text = f"I {'first' if first else 'last'} saw {say.the(name)} at {say.say_time(stamp_ns)}{tail}."
    return Answer(
        query=query, text=text, unknown=False, confidence=hits[0].fit, objects=_records(hits, query), stamp_ns=stamp_ns
    )


def _sighting_ns(record: ObjectRecord, until_ns: int, view: MemoryView) -> int:
    """Return when a thing was last seen before an instant: by the keyframes that show it, else by its history."""
    query = Query(kind="views", object_id=record.id, until_ns=until_ns, order="latest", limit=1)
    shown = view.views(query) if view.views is not None else ()
    seen_ns = [hit.stamp_ns for hit in shown]
    if not seen_ns:
        then = record_at(record, view, until_ns)
        seen_ns = [then.last_seen_ns if then is not None else until_ns]
    return min(max(seen_ns), until_ns)


def _when_changed(query: Query, view: MemoryView) -> Answer:
    changes = find_changes(query, view, window_of(query, view))
    if not changes:
        hits = find(query, view)
        if not hits:
            return nothing_is(query)
        done = {"moved": "moved", "removed": "removed", "added": "added"}.get(query.change, "changed")
        what = say.the(say.name_of(query.label, query.colour))
        text = f"I have not noticed that {what} was {done}{say.say_window(query)}."
        return Answer(query=query, text=text, unknown=True, confidence=0.9, objects=_records(hits, query))
    change = changes[0]
    sentence = say.say_change(change, query.colour)
    text = (
        f"{say.begun(sentence)}: after {say.say_time(change.after_ns)}, noticed at {say.say_time(change.noticed_ns)}."
    )
    objects = tuple(record for record in view.objects if record.id == change.object_id)
    return Answer(
        query=query, text=text, unknown=False, confidence=change.confidence, objects=objects,
        changes=tuple(changes), stamp_ns=change.noticed_ns,
    )  # fmt: skip


def _changes(query: Query, view: MemoryView) -> Answer:
    changes = find_changes(query, view, window_of(query, view))
    if not changes:
        known = not (query.label or query.object_id) or bool(
            find(Query(kind="where", label=query.label, colour=query.colour, object_id=query.object_id), view)
        )
        if not known or (query.room and all(room.name != query.room for room in view.rooms)):
            return nothing_is(query)
        what = say.the(say.name_of(query.label, query.colour)) if query.label else "anything"
        done = f"was {query.change}" if query.change else "changed"
        place = f" in {say.the(query.room)}" if query.room else ""
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
        return nothing_is(query, count=0)
    name = say.name_of(query.label or "thing", query.colour)
    where = say.sought(query)[len(say.name_of(query.label, query.colour)) :]
    records = [hit.record for hit in there]
    if not records:
        text = f"There is no {name}{where} any more: " + say.say_gone(gone[0].record, query)
    else:
        rooms = "" if query.room else say.say_counts_by_room(records)
        text = f"There is 1 {name}{where}" if len(there) == 1 else f"There are {len(there)} {plural(name)}{where}"
        text += f"{rooms}."
    # A number is as sure as the least sure of what it counts: they are doubted for the same reasons.
    confidence = min(hit.confidence for hit in there) if there else gone[0].fit
    return Answer(
        query=query, text=text, unknown=False, confidence=confidence, objects=_records(there, query), count=len(there)
    )
