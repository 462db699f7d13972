"""What the memory says, in words that a person likes. Pure; times are UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from embodied.messages import Change, ObjectRecord, Point, Query
from memory_bank.words import plural

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
    name = name_of(query.label and record.label, query.colour or (record.colour if not query.label else ""))
    name = record.label if name == "thing" and record.label else name
    place = ", ".join(part for part in (place_phrase(record), f"at {say_point(record.position_m)}") if part)
    doubt = "was" if record.state == "unknown" else "is"
    verb = doubt if not record.label.endswith(_UNCOUNTED) or not record.label.endswith("s") else _plural_verb(doubt)
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
    place = ", ".join(part for part in (place_phrase(record), f"at {say_point(record.position_m)}") if part)
    return f"{which} {place}"


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
    if query.near_m is not None:
        words.append(f"within {query.radius_m:g} m of ({query.near_m[0]:.1f}, {query.near_m[1]:.1f}) m")
    return " ".join(words)


def say_window(query: Query) -> str:
    """Return " since 2026-01-05 00:00:00", with a blank before it; empty for all time."""
    words = ""
    if query.session:
        words += f" in session {query.session}"
    if query.since_ns is not None:
        words += f" since {say_time(query.since_ns)}"
    if query.until_ns is not None:
        words += f" until {say_time(query.until_ns)}"
    return words


def say_counts_by_room(records: Sequence[ObjectRecord]) -> str:
    """Return "2 in the kitchen and 1 in the office"; empty if all rooms are unknown."""
    counts: Mapping[str, int] = {}
    counts = dict(counts)
    for record in records:
        if record.room:
            counts[record.room] = counts.get(record.room, 0) + 1
    return say_several([f"{n} in the {room}" for room, n in counts.items()])
