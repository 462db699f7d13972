"""What to say where nothing fits: what was sought, why it may be missing, and what comes closest. Pure."""

from __future__ import annotations

import msgspec

from embodied.messages import Answer, ObjectRecord, Query
from memory_bank.recall import sentences as say
from memory_bank.recall.matching import MemoryView, find
from memory_bank.recall.words import nearly_known_as, plural

NEVER_SEEN = 0.95
"""Confidence in not having seen something of which there is no trace …"""
NEARLY_SEEN = 0.85
"""… and where there is one elsewhere, of another colour, or a thing that is often taken for it."""


def nothing_is(query: Query, count: int | None = None) -> Answer:
    """Return that nothing fits; ``unknown`` finds the words for it."""
    return Answer(query=query, text="", unknown=True, confidence=NEVER_SEEN, count=count)


def unknown(found: Answer, asked: Query, query: Query, then: MemoryView, view: MemoryView) -> Answer:
    """Return an empty answer with its sentence, a confidence and what comes closest.

    Args:
        found: The empty answer.
        asked: The query in the words of whoever asked …
        query: … and in those of the memory.
        then: The memory as of the time that is asked about …
        view: … and as of now.
    """
    if found.text:
        return found
    anchor = _missing_anchor(query, then)
    if anchor is not None:
        query = asked = anchor
    missing = _missing_room(query, view)
    if missing:
        return msgspec.structs.replace(found, text=missing)
    known = bool(find(Query(kind="where", label=query.label), view)) if query.label else False
    name = query if known else asked
    text = f"I have not {say.say_seen(query)} {say.sought_one(name)}{say.say_window(query)}."
    if query.unseen_since_ns is not None:
        text = f"There is no {say.sought(name)} that I have not seen since {say.say_time(query.unseen_since_ns)}."
    if not query.label and not query.colour:
        text = f"I have {say.say_seen(query)} nothing{say.sought(query)[5:]}{say.say_window(query)}."
    hints = [_hint(query, then), _other_time(query, then, view), _alike(asked, view) if not known else ""]
    confidence = min(NEARLY_SEEN if hints[0] or hints[2] else NEVER_SEEN, 1.0 - _trace(query, then))
    return msgspec.structs.replace(
        found, text=" ".join([text, *(hint for hint in hints if hint)]), confidence=confidence
    )


def _missing_anchor(query: Query, view: MemoryView) -> Query | None:
    """Return the question for the thing that a place is told by, if that is what is not known."""
    if query.relation is None or query.kind not in ("what", "count"):
        return None
    anchor = Query(kind="where", label=query.relation.label, colour=query.relation.colour, room=query.room)
    return anchor if not any(hit.record.state != "gone" for hit in find(anchor, view)) else None


def _missing_room(query: Query, view: MemoryView) -> str:
    connects = query.relation is not None and query.relation.kind == "connects"
    room = query.relation.label if connects and query.relation is not None else query.room
    if not room or any(each.name == room for each in view.rooms):
        return ""
    names = say.say_several([say.the(name) for name in sorted(each.name for each in view.rooms)])
    return f"I know no {room}" + (f"; I know {names}." if names else " yet: I have found no rooms.")


def _hint(query: Query, view: MemoryView) -> str:
    """Return what there is of the same label, elsewhere or of another colour."""
    narrowed = query.colour or query.room or query.relation or query.near_m or query.box or query.source
    if not query.label or not (narrowed or query.unseen_since_ns is not None):
        return ""
    others: list[ObjectRecord] = []
    for colour in dict.fromkeys((query.colour, "")):
        wider = Query(kind="where", label=query.label, colour=colour)
        others = others or [hit.record for hit in find(wider, view) if hit.record.state != "gone"]
    if not others:
        return ""
    label = others[0].label
    if len(others) == 1:
        return f"I know {say.with_article(say.name_of(label, others[0].colour))} {say.say_spot(others[0])}."
    listed = "; ".join(say.say_listed(record, label) for record in others[:3])
    return f"I know {len(others)} {plural(label)}: {listed}" + ("; …" if len(others) > 3 else ".")


def _other_time(query: Query, then: MemoryView, view: MemoryView) -> str:
    """Return when the thing was seen, if it was, outside of the time that is asked about."""
    if not query.label or say.say_window(query) == "" or find(Query(kind="where", label=query.label), then):
        return ""
    hits = find(Query(kind="where", label=query.label, colour=query.colour), view)
    if not hits:
        return ""
    record = hits[0].record
    first, last = say.say_time(record.first_seen_ns), say.say_time(record.last_seen_ns)
    return f"I first saw {say.the(record.label)} at {first}, last at {last}."


def _alike(asked: Query, view: MemoryView) -> str:
    """Return the thing that is often taken for what is asked for."""
    label = nearly_known_as(asked.label, view.labels) if asked.label else None
    if label is None:
        return ""
    others = [hit.record for hit in find(Query(kind="where", label=label), view) if hit.record.state != "gone"]
    return f"But I know {say.with_article(label)}: {say.say_listed(others[0], label)}." if others else ""


def _trace(query: Query, view: MemoryView) -> float:
    """Return the largest share that the label sought has among the labels of anything: perhaps that is one."""
    shares = (record.labels.get(query.label, 0.0) * record.confidence for record in view.objects)
    # Where one of them is known, but does not meet the conditions, its label says nothing.
    is_known = any(record.label == query.label for record in view.objects)
    return max(shares, default=0.0) if query.label and not is_known else 0.0
