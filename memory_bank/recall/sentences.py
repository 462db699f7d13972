"""What the memory says, in words that a person likes. Pure; times are UTC."""

from __future__ import annotations

import re
from collections.abc import Sequence

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
    "pants",
    "jeans",
    "socks",
    "slippers",
    "gloves",
)
_DETERMINERS = ("the ", "my ", "our ", "your ", "his ", "her ", "their ", "this ", "that ")


def say_time(stamp_ns: int) -> str:
    """Return "2026-01-06 09:03:12"."""
    return str(np.datetime64(stamp_ns, "ns").astype("datetime64[s]")).replace("T", " ")


def say_point(position_m: Point) -> str:
    """Return "(3.2, 1.1, 0.8) m"."""
    return "({:.1f}, {:.1f}, {:.1f}) m".format(*(round(x, 1) + 0.0 for x in position_m))


def stands_alone(name: str) -> bool:
    """Tell whether a name takes no article, as "Ann's mug", "my keys" and "bedroom 2" do."""
    return re.search(r"\w['’]s \w|s['’] \w| \d+$", name) is not None or name.lower().startswith(_DETERMINERS)


def name_of(label: str, colour: str = "") -> str:
    """Return "red mug"; of "Ann's mug" no colour is told."""
    if stands_alone(label):
        return label
    return " ".join(word for word in (colour, label or "thing") if word)


def with_article(name: str) -> str:
    """Return "a red mug", "scissors", "Ann's mug"."""
    if name.endswith(_UNCOUNTED) or stands_alone(name):
        return name
    return ("an " if name[:1].lower() in "aeiou" else "a ") + name


def the(name: str) -> str:
    """Return "the red mug", "Ann's mug"."""
    return name if stands_alone(name) else f"the {name}"


def begun(words: str) -> str:
    """Return words as a sentence begins."""
    return words[:1].upper() + words[1:]


def _is_plural(name: str) -> bool:
    return name.endswith(_UNCOUNTED) and name.endswith("s")


def _verb(name: str, *, past: bool = False) -> str:
    return ("were" if past else "are") if _is_plural(name) else ("was" if past else "is")


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
            return f"{relation.kind} {the(relation.label or 'thing')}"
    bottom_m = record.box.center_m[2] - record.box.size_m[2] / 2
    if bottom_m <= FLOOR_M:
        return "on the floor"
    near = next((relation for relation in record.relations if relation.kind == "near"), None)
    return f"near {the(near.label or 'thing')}" if near else ""


def place_phrase(record: ObjectRecord) -> str:
    """Return "on the table in the kitchen"; empty if neither carrier nor room is known."""
    parts = [carrier_phrase(record), f"in {the(record.room)}" if record.room else ""]
    return " ".join(part for part in parts if part)


def say_where(record: ObjectRecord, query: Query, *, past: bool = False, again: bool = False) -> str:
    """Return the sentence on where a thing is.

    Args:
        record: The thing.
        query: What was asked.
        past: It is told of a time that is over.
        again: The sentence before has named it.
    """
    # A thing that fits the colour asked for only partly is called by its own.
    colour = record.colour or query.colour if query.colour or not query.label else ""
    subject = _subject(record, colour, again=again)
    verb, place = _verb(record.label, past=past or record.state == "unknown"), say_spot(record)
    if record.state == "held" and not past:
        return f"{subject} {verb} in my gripper; I took {'them' if _is_plural(record.label) else 'it'} from {place}."
    if record.source == "told":
        return f"{subject} {verb} {place}, as I was told."
    sentence = f"{subject} {verb} {place}; last seen {say_time(record.last_seen_ns)}"
    return sentence + (", and not found at its place since." if record.state == "unknown" else ".")


def _subject(record: ObjectRecord, colour: str, *, again: bool = False) -> str:
    """Return "The red mug"; "It" if the sentence before has named it."""
    if again:
        return "They" if _is_plural(record.label) else "It"
    return begun(the(name_of(record.label, colour)))


def say_before(change: Change) -> str:
    """Return where a moved thing was before."""
    assert change.from_position_m is not None
    room = f"in {the(change.from_room)}, " if change.from_room else ""
    return f"Before, it was {room}at {say_point(change.from_position_m)}, until {say_time(change.after_ns)} or later."


def say_gone(record: ObjectRecord, query: Query, *, again: bool = False) -> str:
    """Return the sentence on a thing that is not there any more."""
    place = place_phrase(record) or f"at {say_point(record.position_m)}"
    subject, verb = _subject(record, query.colour, again=again), _verb(record.label)
    return f"{subject} {verb} gone: last seen {say_time(record.last_seen_ns)} {place}."


def say_listed(record: ObjectRecord, label: str) -> str:
    """Return one of several: "a red one on the table in the kitchen, at (3.2, 1.1, 0.8) m".

    Args:
        record: The thing.
        label: What the sentence has called all of them; a thing of another name is told by its own.
    """
    same = record.label == label
    which = (
        with_article(name_of("one" if same else record.label, record.colour)) if record.colour or not same else "one"
    )
    return f"{which} {say_spot(record)}"


def say_unseen(records: Sequence[ObjectRecord], where: str, since_ns: int) -> str:
    """Return what was not seen since an instant, and what of it is gone."""
    standing, gone = ([r for r in records if (r.state == "gone") == is_gone] for is_gone in (False, True))
    begin = f"Not seen{where and f' {where}'} since {say_time(since_ns)}: "
    if not standing:
        return f"{begin}{say_amounts(gone)}, which {'is' if len(gone) == 1 else 'are'} gone."
    return f"{begin}{say_amounts(standing)}." + (f" Gone: {say_amounts(gone)}." if gone else "")


def say_change(change: Change, colour: str = "") -> str:
    """Return "the red mug was moved from the kitchen to the bedroom"."""
    name, was = name_of(change.label, colour), _verb(change.label, past=True)
    if change.kind == "removed":
        place = f" from {the(change.from_room)}" if change.from_room else ""
        return f"{the(name)} {was} removed{place}"
    if change.kind == "added":
        return f"{with_article(name)} {was} added" + (f" in {the(change.to_room)}" if change.to_room else "")
    if change.from_room and change.to_room and change.from_room != change.to_room:
        return f"{the(name)} {was} moved from {the(change.from_room)} to {the(change.to_room)}"
    where = f" in {the(change.to_room)}" if change.to_room else ""
    ends = [say_point(p) for p in (change.from_position_m, change.to_position_m) if p is not None]
    return f"{the(name)} {was} moved{where}" + (f" from {ends[0]} to {ends[1]}" if len(ends) == 2 else "")


def sought(query: Query) -> str:
    """Return what a query looks for, as a person would say it: "red mug on the table in the kitchen"."""
    words = [name_of(query.label, query.colour)]
    if query.relation:
        preposition = {"near": "near", "on": "on", "in": "in"}.get(query.relation.kind, query.relation.kind)
        words.append(f"{preposition} {the(name_of(query.relation.label, query.relation.colour))}")
    if query.room:
        words.append(f"in {the(query.room)}")
    if query.text:
        words.append(f"meaning {query.text!r}")
    if query.box is not None:
        words.append(f"in the box around {say_point(query.box.center_m)}")
    if query.near_m is not None:
        words.append(f"within {query.radius_m:g} m of ({query.near_m[0]:.1f}, {query.near_m[1]:.1f}) m")
    return " ".join(words)


def sought_one(query: Query) -> str:
    """Return what a query looks for, with its article: "a red mug on the table in the kitchen"."""
    name = name_of(query.label, query.colour)
    return with_article(name) + sought(query)[len(name) :]


def say_window(query: Query) -> str:
    """Return " since 2026-01-05 00:00:00", with a blank before it; empty for all time."""
    words = ""
    if query.session:
        words += f" in session {query.session}"
    if query.unseen_since_ns is not None:
        words += f", not seen since {say_time(query.unseen_since_ns)}"
    if query.since_ns is not None and query.until_ns is not None:
        words += f" from {say_time(query.since_ns)} until {say_time(query.until_ns)}"
    elif query.since_ns is not None:
        words += f" since {say_time(query.since_ns)}"
    elif query.until_ns is not None:
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
    at: dict[int, list[str]] = {}
    for record, stamp_ns in zip(records, stamps):
        at.setdefault(stamp_ns // 1_000_000_000, []).append(with_article(name_of(record.label, record.colour)))
    listed = [f"{say_several(names)} at {say_time(second * 1_000_000_000)}" for second, names in at.items()]
    return f"I {'first' if first else 'last'} saw {'; '.join(listed)}."


def say_habits(habits: Sequence[Habit], name: str) -> str:
    """Return where something is most often: "The mug is usually on the table in the kitchen (75 % of the time); …"."""
    spots = []
    for habit in habits[:3]:
        parts = (f"on {the(habit.on)}" if habit.on else "", f"in {the(habit.room)}" if habit.room else "")
        spot = " ".join(part for part in parts if part) or f"at {say_point(habit.position_m)}"
        stays = "one stay" if habit.n_stays == 1 else f"{habit.n_stays} stays"
        spots.append(f"{spot} ({say_share(habit.share)} of the time, {stays})")
    return f"{begun(the(name))} {_verb(name)} usually {'; else '.join(spots)}."


def say_share(share: float) -> str:
    """Return "75 %"; neither all nor nothing of what is only nearly so."""
    if 0.0 < share < 0.01:
        return "less than 1 %"
    return "more than 99 %" if 0.99 < share < 1.0 else f"{share:.0%}".replace("%", " %")


def say_colour(record: ObjectRecord) -> str:
    """Return "The mug is red."."""
    name = record.label or "thing"
    return f"{begun(the(name))} {_verb(name)} {record.colour or 'of no colour that stands out'}."


def say_told(record: ObjectRecord, history: Sequence[Interval]) -> str:
    """Return who told of a thing, and when."""
    told = next((interval for interval in history if interval.cause == "told"), None)
    by = next((note.author for note in record.notes if note.author), "") or "Somebody"
    when = f" at {say_time(told.known_from_ns)}" if told is not None else ""
    return f"{by} told me of {the(record.label or 'thing')}{when}."


def say_source(record: ObjectRecord, history: Sequence[Interval]) -> str:
    """Return, with a blank before it, that a thing was only told of; empty if it was seen."""
    if record.source != "told":
        return ""
    it = "them" if _is_plural(record.label) else "it"
    return f" {say_told(record, history)} I have not seen {it} myself."


def say_history(record: ObjectRecord, history: Sequence[Interval]) -> str:
    """Return since when a thing is known, and how often it moved."""
    n_moves = sum(interval.state == "moved" for interval in history)
    it, they = ("them", "they have") if _is_plural(record.label) else ("it", "it has")
    moved = {0: "", 1: f"; {they} moved once since"}.get(n_moves, f"; {they} moved {n_moves} times since")
    return f"I have known {it} since {say_time(record.first_seen_ns)}{moved}."


def say_note(note: Note) -> str:
    """Return a note, as a quotation."""
    return f"{note.author or 'Somebody'} noted at {say_time(note.stamp_ns)}: “{note.text}”."


def say_counts_by_room(records: Sequence[ObjectRecord]) -> str:
    """Return ": 2 in the kitchen and 1 in the office", or ", all in the kitchen"; empty if all rooms are unknown."""
    counts: dict[str, int] = {}
    for record in sorted(records, key=lambda record: not record.room):
        counts[record.room] = counts.get(record.room, 0) + 1
    rooms = list(counts)
    if rooms in ([], [""]):
        return ""
    if len(rooms) == 1:
        return f", {({1: '', 2: 'both '}).get(len(records), 'all ')}in {the(rooms[0])}"
    return ": " + say_several([f"{n} in {the(room) if room else 'no room that I know'}" for room, n in counts.items()])
