"""What the memory says, in words that a person likes. Pure; times are UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from embodied.messages import Change, Habit, Interval, Note, ObjectRecord, Order, Point, Query
from memory_bank.recall.words import plural

FLOOR_M = 0.15
"""What stands on nothing and begins below this height stands on the floor."""
_UNCOUNTED = (
    "books",
    "shoes",
    "scissors",
    "glasses",
    "trousers",
    "curtains",
    "clothes",
    "stairs",
    "blinds",
    "toilet paper",
    "keys",
    "headphones",
)


def say_time(stamp_ns: int) -> str:
    """Return "2026-01-06 09:03:12"."""
    return str(np.datetime64(stamp_ns, "ns").astype("datetime64[s]")).replace("T", " ")


def say_point(position_m: Point) -> str:
    """Return "(3.2, 1.1, 0.8) m"."""
    return "({:.1f}, {:.1f}, {:.1f}) m".format(*(round(x, 1) + 0.0 for x in position_m))


def name_of(label: str, colour: str = "") -> str:
    """Return "red mug"."""
    return " ".join(word for word in (colour, label or "thing") if word)


def with_article(name: str) -> str:
    """Return "a red mug"."""
    if name.endswith(_UNCOUNTED):
        return name
    return ("an " if name[:1] in "aeiou" else "a ") + name


def say_several(items: Sequence[str], joint: str = ", ") -> str:
    """Return "a, b and c"."""
    return items[0] if len(items) == 1 else joint.join(items[:-1]) + " and " + items[-1] if items else ""


def say_amounts(records: Sequence[ObjectRecord]) -> str:
    """Return "a red mug, 2 books and a laptop"."""
    counts: dict[str, int] = {}
    for record in records:
        counts[record.label or "thing"] = counts.get(record.label or "thing", 0) + 1
    parts = []
    for label, n in counts.items():
        colour = next(r.colour for r in records if (r.label or "thing") == label)
        parts.append(with_article(name_of(label, colour)) if n == 1 else f"{n} {plural(label)}")
    return say_several(parts)


def carrier_phrase(record: ObjectRecord) -> str:
    """Return "on the table", "in the bowl", "on the floor"; empty if nothing is known to carry it."""
    for relation in record.relations:
        if relation.kind in ("on", "in"):
            return f"{relation.kind} the {relation.label or 'thing'}"
    bottom_m = record.box.center_m[2] - record.box.size_m[2] / 2
    if bottom_m <= FLOOR_M:
        return "on the floor"
    near = next((relation for relation in record.relations if relation.kind == "near"), None)
    return f"near the {near.label or 'thing'}" if near else ""


def place_phrase(record: ObjectRecord) -> str:
    """Return "on the table in the kitchen"; empty if neither carrier nor room is known."""
    parts = [carrier_phrase(record), f"in the {record.room}" if record.room else ""]
    return " ".join(part for part in parts if part)


def say_where(record: ObjectRecord, query: Query) -> str:
    """Return the sentence on where a thing is."""
    # A thing that fits the colour asked for only partly is called by its own.
    colour = record.colour or query.colour if query.colour or not query.label else ""
    name = name_of(query.label and record.label, colour)
    name = record.label if name == "thing" and record.label else name
    place = say_spot(record)
    doubt = "was" if record.state == "unknown" else "is"
    verb = doubt if not record.label.endswith(_UNCOUNTED) or not record.label.endswith("s") else _plural_verb(doubt)
    if record.source == "told":
        return f"The {name} {verb} {place}, as I was told."
    sentence = f"The {name} {verb} {place}; last seen {say_time(record.last_seen_ns)}"
    return sentence + (", and not found at its place since." if record.state == "unknown" else ".")


def _plural_verb(verb: str) -> str:
    return {"is": "are", "was": "were"}[verb]


def say_before(change: Change) -> str:
    """Return where a moved thing was before."""
    assert change.from_position_m is not None
    room = f"in the {change.from_room}, " if change.from_room else ""
    return f"Before it was {room}at {say_point(change.from_position_m)}, until {say_time(change.after_ns)} or later."


def say_gone(record: ObjectRecord, query: Query) -> str:
    """Return the sentence on a thing that is not there any more."""
    place = place_phrase(record) or f"at {say_point(record.position_m)}"
    name = name_of(record.label, query.colour)
    return f"The {name} is gone: last seen {say_time(record.last_seen_ns)} {place}."


def say_listed(record: ObjectRecord) -> str:
    """Return one of several: "a red one on the table in the kitchen, at (3.2, 1.1, 0.8) m"."""
    which = f"a {record.colour} one" if record.colour else "one"
    which = "an" + which[1:] if which.startswith("a orange") else which
    return f"{which} {say_spot(record)}"


def say_change(change: Change, colour: str = "") -> str:
    """Return "the red mug was moved from the kitchen to the bedroom"."""
    name = name_of(change.label, colour)
    if change.kind == "removed":
        place = f" from the {change.from_room}" if change.from_room else ""
        return f"the {name} was removed{place}"
    if change.kind == "added":
        return f"{with_article(name)} was added" + (f" in the {change.to_room}" if change.to_room else "")
    if change.from_room and change.to_room and change.from_room != change.to_room:
        return f"the {name} was moved from the {change.from_room} to the {change.to_room}"
    where = f" in the {change.to_room}" if change.to_room else ""
    ends = [say_point(p) for p in (change.from_position_m, change.to_position_m) if p is not None]
    return f"the {name} was moved{where}" + (f" from {ends[0]} to {ends[1]}" if len(ends) == 2 else "")


def sought(query: Query) -> str:
    """Return what a query looks for, as a person would say it: "red mug on the table in the kitchen"."""
    words = [name_of(query.label, query.colour)]
    if query.relation:
        preposition = {"near": "near", "on": "on", "in": "in"}.get(query.relation.kind, query.relation.kind)
        words.append(f"{preposition} the {name_of(query.relation.label, query.relation.colour)}")
    if query.room:
        words.append(f"in the {query.room}")
    if query.text:
        words.append(f"meaning {query.text!r}")
    if query.box is not None:
        words.append(f"in the box around {say_point(query.box.center_m)}")
    if query.near_m is not None:
        words.append(f"within {query.radius_m:g} m of ({query.near_m[0]:.1f}, {query.near_m[1]:.1f}) m")
    return " ".join(words)


def say_window(query: Query) -> str:
    """Return " since 2026-01-05 00:00:00", with a blank before it; empty for all time."""
    words = ""
    if query.session:
        words += f" in session {query.session}"
    if query.unseen_since_ns is not None:
        words += f", not seen since {say_time(query.unseen_since_ns)}"
    if query.since_ns is not None:
        words += f" since {say_time(query.since_ns)}"
    if query.until_ns is not None:
        words += f" until {say_time(query.until_ns)}"
    if query.known_ns is not None:
        words += f", as I knew it at {say_time(query.known_ns)}"
    return words


def say_seen(query: Query) -> str:
    """Return how the memory would have come to know of something: "seen", "been told of"."""
    return "been told of" if query.source == "told" else "seen"


def say_spot(record: ObjectRecord) -> str:
    """Return "on the table in the kitchen, at (3.2, 1.1, 0.8) m"."""
    return ", ".join(part for part in (place_phrase(record), f"at {say_point(record.position_m)}") if part)


def say_nearest(record: ObjectRecord, query: Query, distance_m: float) -> str:
    """Return the nearest thing, and how far it is."""
    what = f"The closest {name_of(query.label and record.label, query.colour)} is"
    what = f"{what} {with_article(name_of(record.label, record.colour))}," if not query.label else what
    return f"{what} {distance_m:.1f} m away: {say_spot(record)}; last seen {say_time(record.last_seen_ns)}."


def say_ordered(records: Sequence[ObjectRecord], order: Order) -> str:
    """Return things by when they were first, or last, seen."""
    first = order == "earliest"
    stamps = [record.first_seen_ns if first else record.last_seen_ns for record in records]
    listed = [
        f"{with_article(name_of(record.label, record.colour))} at {say_time(stamp_ns)}"
        for record, stamp_ns in zip(records, stamps)
    ]
    return f"I {'first' if first else 'last'} saw {', '.join(listed)}."


def say_habits(habits: Sequence[Habit], name: str) -> str:
    """Return where something is most often: "The mug is usually on the table in the kitchen (75 % of the time); …"."""
    spots = []
    for habit in habits[:3]:
        parts = (f"on the {habit.on}" if habit.on else "", f"in the {habit.room}" if habit.room else "")
        spot = " ".join(part for part in parts if part) or f"at {say_point(habit.position_m)}"
        stays = "one stay" if habit.n_stays == 1 else f"{habit.n_stays} stays"
        spots.append(f"{spot} ({habit.share:.0%} of the time, {stays})")
    return f"The {name} is usually {'; else '.join(spots)}."


def say_colour(record: ObjectRecord) -> str:
    """Return "The mug is red."."""
    return f"The {record.label or 'thing'} is {record.colour or 'of no colour that stands out'}."


def say_told(record: ObjectRecord, history: Sequence[Interval]) -> str:
    """Return who told of a thing, and when."""
    told = next((interval for interval in history if interval.cause == "told"), None)
    by = next((note.author for note in record.notes if note.author), "") or "Somebody"
    when = f" at {say_time(told.known_from_ns)}" if told is not None else ""
    return f"{by} told me of the {record.label or 'thing'}{when}."


def say_source(record: ObjectRecord, history: Sequence[Interval]) -> str:
    """Return, with a blank before it, that a thing was only told of; empty if it was seen."""
    if record.source != "told":
        return ""
    return f" {say_told(record, history)} I have not seen it myself."


def say_history(record: ObjectRecord, history: Sequence[Interval]) -> str:
    """Return since when a thing is known, and how often it moved."""
    n_moves = sum(interval.state == "moved" for interval in history)
    moved = {0: "", 1: "; it has moved once since"}.get(n_moves, f"; it has moved {n_moves} times since")
    return f"I know it since {say_time(record.first_seen_ns)}{moved}."


def say_note(note: Note) -> str:
    """Return a note, as a quotation."""
    return f"{note.author or 'Somebody'} noted at {say_time(note.stamp_ns)}: “{note.text}”."


def say_counts_by_room(records: Sequence[ObjectRecord]) -> str:
    """Return "2 in the kitchen and 1 in the office"; empty if all rooms are unknown."""
    counts: Mapping[str, int] = {}
    counts = dict(counts)
    for record in records:
        if record.room:
            counts[record.room] = counts.get(record.room, 0) + 1
    return say_several([f"{n} in the {room}" for room, n in counts.items()])
