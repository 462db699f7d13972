"""Answers about rooms and views: which room holds what, which lie side by side, where the robot is. Pure."""

from __future__ import annotations

import msgspec

from embodied.messages import Answer, ObjectRecord, Point, Query, RoomRecord
from memory_bank.recall import sentences as say
from memory_bank.recall.matching import Hit, MemoryView, find, split_colour
from memory_bank.recall.unknown import nothing_is


def answer_which_room(query: Query, view: MemoryView) -> Answer:
    """Answer which rooms hold all of some things, lie beside a room, or hold a point."""
    if query.relation is not None:
        return _beside(query, view)
    rooms = [room for room in view.rooms if not query.room or room.name == query.room]
    labels = [*query.labels, *([f"{query.colour} {query.label}".strip()] if query.label else [])]
    if query.near_m is not None:
        here = room_at(query.near_m, view)
        rooms = [room for room in rooms if here is not None and room.id == here.id]
    if labels:
        return _holding(query, view, labels, rooms)
    if not rooms:
        text = "I have found no rooms yet." if not view.rooms else "That is in no room that I know."
        return Answer(query=query, text=text, unknown=True, confidence=0.9, count=0)
    names = [say.the(room.name) for room in rooms]
    it = "I am" if query.near_m == view.agent_m else "That is"
    text = f"{it} in {names[0]}." if query.near_m is not None else f"I know {len(names)} rooms: "
    if query.near_m is None:
        text = f"I know one room: {names[0]}." if len(names) == 1 else f"{text}{say.say_several(names)}."
    return Answer(query=query, text=text, unknown=False, confidence=0.9, rooms=tuple(rooms), count=len(rooms))


def _holding(query: Query, view: MemoryView, labels: list[str], rooms: list[RoomRecord]) -> Answer:
    """Return the rooms in which all of the things stand."""
    named = [split_colour(label, view) for label in labels]
    # Where something has just this name, "chair" is not an office chair.
    exact = {label for label, _ in named if any(r.label == label and r.state != "gone" for r in view.objects)}
    complete: list[tuple[float, RoomRecord, list[Hit]]] = []
    partial: list[str] = []
    for room in rooms:
        hits = [_best(label, colour, room, exact, view) for label, colour in named]
        found = [hit for hit in hits if hit is not None]
        if len(found) == len(hits):
            likely = 1.0
            for hit in found:
                likely *= hit.confidence
            complete.append((likely, room, found))
        elif found:
            there = say.say_several([say.with_article(hit.record.label) for hit in found])
            partial.append(f"{say.the(room.name)} has {there}")
    things = say.say_several([say.with_article(say.name_of(label, colour)) for label, colour in named])
    if not complete:
        text = f"I know no room with {things}{say.say_window(query)}."
        text += f" But {'; '.join(partial[:3])}." if partial else ""
        return Answer(query=query, text=text, unknown=True, confidence=0.9)
    complete.sort(key=lambda each: (-each[0], each[1].name))
    names = say.say_several([say.the(room.name) for _, room, _ in complete])
    text = f"{names[:1].upper()}{names[1:]} {'has' if len(complete) == 1 else 'have'} {things}."
    objects = {hit.record.id: hit.record for _, _, hits in complete for hit in hits}
    return Answer(
        query=query,
        text=text,
        unknown=False,
        confidence=complete[0][0],
        objects=tuple(objects.values())[: max(query.limit, 0)],
        rooms=tuple(room for _, room, _ in complete)[: max(query.limit, 0)],
        count=len(complete),
    )


def _best(label: str, colour: str, room: RoomRecord, exact: set[str], view: MemoryView) -> Hit | None:
    """Return the surest thing of a name that stands in a room."""
    hits = find(Query(kind="where", label=label, colour=colour, room=room.name), view)
    fitting = (hit for hit in hits if label not in exact or hit.record.label == label)
    return next((hit for hit in fitting if hit.record.state != "gone"), None)


def _beside(query: Query, view: MemoryView) -> Answer:
    """Return the rooms behind the doors of a room."""
    assert query.relation is not None
    room = next((room for room in view.rooms if room.name == query.relation.label), None)
    if room is None:
        return nothing_is(query)
    by_id = {each.id: each for each in view.rooms}
    beside = tuple(by_id[i] for i in room.connects if i in by_id)
    names = say.say_several([say.the(each.name) for each in beside])
    text = (
        f"From {say.the(room.name)} doors lead to {names}." if beside else f"I know of no door of {say.the(room.name)}."
    )
    return Answer(query=query, text=text, unknown=not beside, confidence=0.9, rooms=beside, count=len(beside))


def room_at(point_m: Point, view: MemoryView) -> RoomRecord | None:
    """Return the room whose outline holds a point, the smallest of several; None if none does."""
    holding = [room for room in view.rooms if _is_inside(point_m, room.outline_m)]
    return min(holding, key=lambda room: (room.area_m2, room.id), default=None)


def _is_inside(point_m: Point, outline_m: tuple[tuple[float, float], ...]) -> bool:
    """Tell whether a point lies in a polygon, by how often a ray to the right crosses its sides."""
    x, y = point_m[:2]
    inside = False
    for (x1, y1), (x2, y2) in zip(outline_m, outline_m[1:] + outline_m[:1]):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
            inside = not inside
    return inside


# ------------------------------------------------------------------------------------------ views


def answer_views(query: Query, view: MemoryView) -> Answer:
    """Answer with keyframes: of an object, of what words mean, of a room, a place or a time."""
    if view.views is None:
        return Answer(query=query, text="I keep no pictures.", unknown=True, confidence=0.9)
    if query.room and all(room.name != query.room for room in view.rooms):
        return nothing_is(query)
    sought: Query = query
    objects: tuple[ObjectRecord, ...] = ()
    if query.label or query.colour or query.relation is not None:
        hits = find(msgspec.structs.replace(query, text="", since_ns=None, until_ns=None), view)
        if not hits:
            return nothing_is(query)
        objects = tuple(hit.record for hit in hits[:1])
        # A picture of the thing may be taken from another room.
        sought = msgspec.structs.replace(query, object_id=objects[0].id, label="", colour="", room="", relation=None)
    shown = view.views(sought)
    is_thing = bool(query.label or query.colour)
    what = say.the(say.sought(query)) if is_thing else say.sought(query)[6:] or query.text
    if not shown:
        return Answer(
            query=query, text=f"I have no picture of {what}{say.say_window(query)}.", unknown=True, confidence=0.9
        )
    n = f"{len(shown)} pictures" if len(shown) > 1 else "One picture"
    latest = say.say_time(max(hit.stamp_ns for hit in shown))
    of = f" of {what}" if is_thing else f" taken {what}" if query.room and not query.text else what and f" {what}"
    text = f"{n}{of}, {'the latest from' if len(shown) > 1 else 'from'} {latest}."
    return Answer(
        query=query,
        text=text,
        unknown=False,
        confidence=0.9,
        objects=objects,
        views=shown,
    )
