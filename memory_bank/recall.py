"""Answers to structured queries: a pure function of the query and a view of the memory.

What fits is ranked by how sure the memory is that it exists, that it is what is asked for, and how lately it was seen.
The confidence of an answer is meant as a probability that it is right. What does not fit is *unknown*, and said so.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from embodied.messages import Answer, ObjectRecord, Query
from memory_bank import sentences as say
from memory_bank.matching import Hit, MemoryView, as_it_was, find, find_changes, in_our_words, window_of
from memory_bank.words import plural

N_PICTURED = 3
"""Of so many objects an answer brings pictures …"""
N_PICTURES = 2
"""… so many of each."""
NEVER_SEEN = 0.9
"""Confidence in not having seen something."""


def answer(query: Query, view: MemoryView) -> Answer:
    """Answer a query.

    Args:
        query: Labels may be synonyms of those known; colours any colour word.
        view: What the memory holds.
    """
    query = in_our_words(query, view)
    # A question about the past is answered from the world as it was then.
    view = as_it_was(query, view) if query.kind in ("where", "what", "count") else view
    kinds = {"where": _where, "what": _what, "when": _when, "changes": _changes, "count": _count}
    found = kinds[query.kind](query, view)
    pictures = [e for record in found.objects[:N_PICTURED] for e in view.evidence(record.id, N_PICTURES)]
    return msgspec.structs.replace(found, evidence=tuple(pictures), warnings=view.warnings)


def _unknown(query: Query, view: MemoryView, count: int | None = None) -> Answer:
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
    text = " ".join([text, *hints])
    return Answer(query=query, text=text, unknown=True, confidence=NEVER_SEEN, count=count)


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
        text = f"There is 1 {name}{where}" if len(there) == 1 else f"There are {len(there)} {plural(name)}{where}"
        text += f": {rooms}." if rooms else "."
    # All of them must be real, and none be missing.
    confidence = float(np.prod([hit.confidence for hit in there])) if there else gone[0].fit
    return Answer(
        query=query, text=text, unknown=False, confidence=confidence, objects=_records(there, query), count=len(there)
    )
