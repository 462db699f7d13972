"""From an instruction and what the robot remembers of its own acts to the things and rooms that are meant. Pure.

Names fit by degrees: labels are noisy and colours doubtful, and among a handful of things that were handled the one
that fits best is meant, if it fits at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from embodied.messages import Interaction, ObjectRecord, Point, RoomRecord, RoomVisit
from memory_bank.recall.clauses import ANYTHING, Clause, Place, Thing
from memory_bank.recall.instructions import Instruction
from memory_bank.recall.meaning import Meaning
from memory_bank.recall.words import ROOM_KINDS, known_as, label_matches, near_synonyms, singular, synonyms

KINDS: Mapping[str, frozenset[str]] = {
    "soft toy": frozenset(("teddy bear", "stuffed animal", "plush toy", "doll")),
    "toy": frozenset(("teddy bear", "stuffed animal", "plush toy", "doll", "ball", "toy car", "rubber duck", "kite")),
    "fruit": frozenset(("apple", "banana", "pear", "orange", "lemon", "grapes", "peach")),
    "vegetable": frozenset(("carrot", "tomato", "cucumber", "potato", "onion", "broccoli")),
    "food": frozenset(("apple", "banana", "pear", "orange", "lemon", "bread", "cake", "pizza", "sandwich")),
    "dish": frozenset(("mug", "bowl", "plate", "cup", "saucer")),
    "crockery": frozenset(("mug", "bowl", "plate", "cup", "saucer", "teapot")),
    "tableware": frozenset(("mug", "bowl", "plate", "cup", "saucer", "wine glass", "teapot")),
    "cookware": frozenset(("pan", "pot", "kettle")),
    "clothing": frozenset(("hat", "shoe", "shirt", "jacket", "coat", "sock", "cap", "scarf", "glove", "sneaker")),
    "footwear": frozenset(("shoe", "sneaker", "boot", "slipper")),
    "luggage": frozenset(("suitcase", "backpack", "bag", "handbag")),
    "bag": frozenset(("backpack", "handbag", "bag")),
    "electronics": frozenset(("laptop", "radio", "tv", "monitor", "keyboard", "printer", "phone", "tablet")),
    "seat": frozenset(("chair", "armchair", "sofa", "stool", "office chair", "bench")),
}
"""Words for several kinds of things, and the labels that they cover."""
_KIND_NAMES = {
    "stuffed toy": "soft toy", "plush toy": "soft toy", "plush": "soft toy", "cuddly toy": "soft toy",
    "stuffed animal": "soft toy", "garment": "clothing", "clothes": "clothing", "piece of clothing": "clothing",
    "item of clothing": "clothing", "dishes": "dish", "piece of tableware": "tableware", "electronic device":
    "electronics", "piece of luggage": "luggage", "toys": "toy", "fruits": "fruit", "piece of fruit": "fruit",
}  # fmt: skip
MIN_FIT = 0.15
"""Least fit of a name for a thing to be meant …"""
OF_BEST = 0.4
"""… if it is also so large a share of the best fit."""
MIN_LIKENESS = 0.5
"""Cosine from which a word may mean a label by its meaning."""
PORTABLE_M = 0.5
"""What is longer was hardly meant by "an object that you did not interact with"."""
DAY_S = 86_400


@dataclass(frozen=True)
class Recollection:
    """What an instruction may refer to."""

    interactions: tuple[Interaction, ...]
    """Oldest first."""
    visits: tuple[RoomVisit, ...]
    """Oldest first."""
    objects: Mapping[str, ObjectRecord]
    """By id."""
    rooms: tuple[RoomRecord, ...]
    agent_m: Point
    """Where the robot is."""
    colours: Callable[[str], Mapping[str, float]] = lambda object_id: {}
    """Share of each colour in how an object looked."""
    meaning: Meaning | None = None
    """Compares words that are in no table; None to know none of them."""

    @cached_property
    def labels(self) -> frozenset[str]:
        """Every label that an object has for its own."""
        return frozenset(record.label for record in self.objects.values() if record.label)


@dataclass(frozen=True)
class Meant:
    """One goal, and what would do for it, best first."""

    objects: tuple[str, ...] = ()
    """Ids of things to be at …"""
    keyframes: Mapping[str, tuple[int, ...]] | None = None
    """… and, by id, the keyframes of what the robot did there."""
    rooms: tuple[str, ...] = ()
    """Ids of rooms."""


def meant(instruction: Instruction, memory: Recollection) -> tuple[Meant, ...]:
    """Return the goals of an instruction, in order if it has one; none if nothing remembered fits.

    Instructions to go back to a moment are none of its business: they mean a frame, not a thing.
    """
    if instruction.target == "room":
        return _rooms(instruction, memory)
    if not _is_about_acts(instruction):
        return _any_of(instruction, memory, frozenset())
    if instruction.clause.is_negated:
        return _any_of(instruction, memory, frozenset(i.object_id for i in memory.interactions))
    chosen = _interactions(instruction, memory)
    if instruction.target == "furniture":
        return _furniture(instruction, memory, chosen)
    ids = list(dict.fromkeys(interaction.object_id for interaction in chosen))
    if instruction.head != ANYTHING and not instruction.ordinals:
        ids.sort(key=lambda one: -round(_fit(instruction.head, one, memory), 1))
    ids = _extreme_objects(instruction, memory, ids)
    frames = {i.object_id: tuple(k for k in (i.place_keyframe,) if k is not None) for i in chosen}
    return _as_goals(instruction, ids, frames)


def _is_about_acts(instruction: Instruction) -> bool:
    told = (instruction.ordinals, instruction.after, instruction.before, instruction.took, instruction.carried)
    return bool(instruction.clause.acts) or instruction.at_s is not None or any(told)


def _as_goals(instruction: Instruction, ids: Sequence[str], frames: Mapping[str, tuple[int, ...]]) -> tuple[Meant, ...]:
    if not ids:
        return ()
    if instruction.every or len(instruction.ordinals) > 1:
        return tuple(Meant(objects=(one,), keyframes=frames) for one in ids)
    return (Meant(objects=tuple(ids), keyframes=frames),)


# ------------------------------------------------------------------------------------------ names


def label_fit(
    words: str, shares: Mapping[str, float], labels: Collection[str] = (), meaning: Meaning | None = None
) -> float:
    """Return how well a name fits a histogram of labels, 0 to 1; any label fits the empty name.

    Args:
        words: The name.
        shares: The histogram.
        labels: All that are known: what is called exactly so leaves out what is a kind of it.
        meaning: Compares other words; None to know none of them.
    """
    if not words:
        return 1.0
    known = known_as(words, labels)
    if known in labels:
        assert known is not None
        return shares.get(known, 0.0)
    asked = {words, singular(words)}
    kinds = {KINDS[name] for name in ({_KIND_NAMES.get(word, word) for word in asked} & set(KINDS))}
    if kinds:
        return sum(share for label, share in shares.items() if any(label in kind for kind in kinds))
    same = asked | {other for word in asked for other in synonyms(word)}
    fit = sum(share * max(label_matches(word, label) for word in same) for label, share in shares.items())
    if fit:
        return fit
    near = {other for word in asked for other in near_synonyms(word)}
    fit = 0.5 * sum(share for label, share in shares.items() if label in near)
    if fit or meaning is None or not shares:
        return fit
    likeness = meaning.likeness(words, list(shares))
    return sum(s * float(c) for s, c in zip(shares.values(), likeness.tolist()) if c >= MIN_LIKENESS)


def _fit(thing: Thing | None, object_id: str, memory: Recollection) -> float:
    """Return how well a name fits an object."""
    record = memory.objects.get(object_id)
    if thing is None or record is None:
        return 1.0 if thing is None or thing == ANYTHING else 0.0
    fit = label_fit(thing.label, record.labels or {record.label: 1.0}, memory.labels, memory.meaning)
    if not thing.colour or fit == 0.0:
        return fit
    share = memory.colours(object_id).get(thing.colour, 0.0)
    return fit * (0.6 + 0.4 * share if thing.colour == record.colour else 0.1 + 0.5 * share)


def _best(fits: Sequence[float]) -> list[int]:
    """Return the places of those that fit."""
    best = max(fits, default=0.0)
    if best < MIN_FIT:
        return []
    return [place for place, fit in enumerate(fits) if fit >= max(MIN_FIT, OF_BEST * best)]


def _rooms_named(thing: Thing, memory: Recollection) -> set[str]:
    """Return the names of the rooms that a phrase means; empty if it means none."""
    words = thing.label
    names = {room.name for room in memory.rooms}
    name = words
    for word, kind in ROOM_KINDS.items():
        if words == word or (words.startswith(word + " ") and words[len(word) + 1 :].isdigit()):
            name = kind + words[len(word) :]
    if name in names:
        return {name}
    kind = name.rstrip("0123456789 ")
    if kind not in ROOM_KINDS.values() and kind != "room":
        return set()
    return {other for other in names if other.rstrip("0123456789 ") == kind} or {name}


# ------------------------------------------------------------------------------------------ what was done


def _interactions(instruction: Instruction, memory: Recollection) -> list[Interaction]:
    """Return the interactions that are meant, in the order that is told, else in that of time."""
    found = list(memory.interactions)
    if instruction.after is not None or instruction.before is not None:
        found = _beside(instruction, memory)
    found = _where(instruction.clause, found, memory)
    if instruction.clause.moved is not None:
        found = _fitting(found, memory, lambda each: _fit(instruction.clause.moved, each.object_id, memory))
    if instruction.target == "object" and instruction.head != ANYTHING:
        found = _fitting(found, memory, lambda each: _fit(instruction.head, each.object_id, memory))
    if instruction.at_s is not None:
        found = _at_time(instruction.at_s, found)
    found = _extreme_interactions(instruction, found)
    if instruction.ordinals:
        found = [found[n] for n in instruction.ordinals if -len(found) <= n < len(found)]
    return found


def _fitting(
    found: Sequence[Interaction], memory: Recollection, fit: Callable[[Interaction], float]
) -> list[Interaction]:
    return [found[place] for place in _best([fit(each) for each in found])]


def _beside(instruction: Instruction, memory: Recollection) -> list[Interaction]:
    """Return the interactions next after, next before, or between the things that are named."""
    everything = list(memory.interactions)

    def places(thing: Thing) -> list[int]:
        fits = [_fit(thing, each.object_id, memory) for each in everything]
        best = max(fits, default=0.0)
        return [place for place, fit in enumerate(fits) if fit >= MIN_FIT and fit == best]

    if instruction.after is not None and instruction.before is not None:
        ends = [(a, b) for a in places(instruction.after) for b in places(instruction.before) if a != b]
        wanted = {n for a, b in ends for n in range(min(a, b) + 1, max(a, b))}
    elif instruction.after is not None:
        wanted = {place + 1 for place in places(instruction.after)}
    else:
        assert instruction.before is not None
        wanted = {place - 1 for place in places(instruction.before)}
    return [each for place, each in enumerate(everything) if place in wanted]


def _where(clause: Clause, found: Sequence[Interaction], memory: Recollection) -> list[Interaction]:
    """Keep what was taken from and put where the clause says."""
    kept = list(found)
    for place in clause.places:
        rooms = _rooms_named(place.thing, memory)
        if rooms:
            kept = [i for i in kept if (i.picked_room if place.act == "pick" else i.placed_room) in rooms]
            continue
        kept = _fitting(kept, memory, lambda each, place=place: _place_fit(place, each, memory))  # type: ignore[misc]
    return kept


def _place_fit(place: Place, interaction: Interaction, memory: Recollection) -> float:
    furniture = interaction.picked_from_id if place.act == "pick" else interaction.placed_on_id
    return _fit(place.thing, furniture, memory) if furniture else 0.0


def _at_time(at_s: int, found: Sequence[Interaction]) -> list[Interaction]:
    """Return what was held at a minute of the day, else what was held nearest to it."""

    def gap_s(each: Interaction) -> float:
        start_s = each.picked_ns // 1_000_000_000 % DAY_S
        return max(0.0, start_s - at_s, at_s - (start_s + _held_s(each)))

    gaps = [gap_s(each) for each in found]
    return [each for each, gap in zip(found, gaps) if gap == min(gaps)]


def _held_s(each: Interaction) -> float:
    return (each.placed_ns - each.picked_ns) * 1e-9 if each.placed_ns is not None else 0.0


def _extreme_interactions(instruction: Instruction, found: list[Interaction]) -> list[Interaction]:
    """Keep the one that took longest, was carried farthest, or the like."""
    took = instruction.took
    done = [each for each in found if each.placed_ns is not None and each.placed_m is not None]
    if took is not None and done:
        if isinstance(took, str):
            pick = max if took == "most" else min
            return [pick(done, key=_held_s)]
        return [min(done, key=lambda each: abs(_held_s(each) - took))]
    if instruction.carried is not None and done:
        pick = max if instruction.carried == "most" else min
        return [pick(done, key=lambda each: math.dist(each.picked_from_m[:2], (each.placed_m or (0.0, 0.0))[:2]))]
    return found


def _extreme_objects(instruction: Instruction, memory: Recollection, ids: list[str]) -> list[str]:
    """Keep the largest, or the one nearest to something, or the like."""
    known = [one for one in ids if one in memory.objects]
    if instruction.size is not None and known:
        pick = max if instruction.size == "most" else min
        return [pick(known, key=lambda one: math.prod(memory.objects[one].box.size_m))]
    if instruction.distance is not None and known:
        anchors = [memory.agent_m]
        if instruction.distance_to is not None:
            anchors = _positions_of(instruction.distance_to, memory, set(ids))
            if not anchors:
                return []
        pick = max if instruction.distance == "most" else min
        return [pick(known, key=lambda one: min(math.dist(memory.objects[one].position_m[:2], a[:2]) for a in anchors))]
    return ids


def _positions_of(thing: Thing, memory: Recollection, without: set[str]) -> list[Point]:
    """Return where the things are that a name means."""
    ids = [one for one, record in memory.objects.items() if record.state != "gone" and one not in without]
    places = _best([_fit(thing, one, memory) * memory.objects[one].confidence for one in ids])
    return [memory.objects[ids[place]].position_m for place in places]


# ------------------------------------------------------------------------------------------ furniture


def _ends(instruction: Instruction, chosen: Sequence[Interaction]) -> list[tuple[str, int | None]]:
    """Return the furniture of interactions, with the keyframe of each act, in order."""
    acts = [act for act in instruction.clause.acts if act != "touch"] or ["pick", "place"]
    found = []
    for each in chosen:
        if "pick" in acts:
            found.append((each.picked_from_id, each.pick_keyframe))
        if "place" in acts and each.placed_ns is not None:
            found.append((each.placed_on_id, each.place_keyframe))
    # Where nothing is known to stand, the frame alone says where the robot did it.
    return [
        (furniture or f"k{keyframe}", keyframe) for furniture, keyframe in found if furniture or keyframe is not None
    ]


def _furniture(instruction: Instruction, memory: Recollection, chosen: Sequence[Interaction]) -> tuple[Meant, ...]:
    ends = _ends(instruction, chosen)
    ids = list(dict.fromkeys(furniture for furniture, _ in ends))
    if len(instruction.ordinals) > 1:
        ids = [furniture for furniture, _ in ends]
    if instruction.head != ANYTHING:
        ids = [ids[place] for place in _best([_fit(instruction.head, one, memory) for one in ids])]
    ids = _extreme_objects(instruction, memory, ids)
    frames = {one: tuple(k for furniture, k in ends if furniture == one and k is not None) for one in ids}
    return _as_goals(instruction, ids, frames)


# ------------------------------------------------------------------------------------------ things and rooms


def _any_of(instruction: Instruction, memory: Recollection, without: frozenset[str]) -> tuple[Meant, ...]:
    """Return whatever has a name, handled or not; without a name what a hand can carry."""
    ids = [one for one, record in memory.objects.items() if record.state not in ("gone", "held") and one not in without]
    handled = {memory.objects[i.object_id].label for i in memory.interactions if i.object_id in memory.objects}
    fits = []
    for one in ids:
        record = memory.objects[one]
        fit = _fit(instruction.head, one, memory) * record.confidence
        if instruction.head.label == "":
            rests = any(relation.kind in ("on", "in") for relation in record.relations)
            portable = max(record.box.size_m) <= PORTABLE_M and rests
            fit *= 1.0 if record.label in handled and portable else 0.3 if portable else 0.05
        fits.append(fit)
    places = sorted(_best(fits), key=lambda place: -round(fits[place], 1))
    ids = _extreme_objects(instruction, memory, [ids[place] for place in places])
    return _as_goals(instruction, ids, {})


def _rooms(instruction: Instruction, memory: Recollection) -> tuple[Meant, ...]:
    names = {room.id: room.name for room in memory.rooms}
    visited = list(dict.fromkeys(visit.room_id for visit in memory.visits if visit.room_id in names))
    clause = instruction.clause
    if instruction.head != ANYTHING:
        wanted = _rooms_named(instruction.head, memory)
        ids = [room_id for room_id in visited if names[room_id] in wanted]
    elif instruction.time_spent is not None:
        seconds = {one: sum(v.left_ns - v.entered_ns for v in memory.visits if v.room_id == one) for one in visited}
        ids = [_end(seconds, instruction.time_spent)] if seconds else []
    elif instruction.entered is not None:
        times = {one: sum(v.room_id == one for v in memory.visits) for one in visited}
        ids = [_end(times, instruction.entered)] if times else []
    elif clause.acts or clause.is_negated:
        chosen = _interactions(instruction, memory) if not clause.is_negated else list(memory.interactions)
        acts = [act for act in clause.acts if act != "touch"] or ["pick", "place"]
        worked = [r for i in chosen for act, r in (("pick", i.picked_room), ("place", i.placed_room)) if act in acts]
        by_name = {name: room_id for room_id, name in names.items()}
        there = list(dict.fromkeys(by_name[name] for name in worked if name in by_name))
        ids = [one for one in visited if one not in there] if clause.is_negated else there
        # A room in which it was longer is a room more surely.
        ids = sorted(ids, key=lambda one: -_stay_ns(one, memory)) if not instruction.ordinals else ids
    else:
        ids = visited
    if instruction.every or len(instruction.ordinals) > 1:
        return tuple(Meant(rooms=(one,)) for one in ids)
    return (Meant(rooms=tuple(ids)),) if ids else ()


def _stay_ns(room_id: str, memory: Recollection) -> int:
    return sum(visit.left_ns - visit.entered_ns for visit in memory.visits if visit.room_id == room_id)


def _end(values: Mapping[str, int], which: str) -> str:
    return (max if which == "most" else min)(values, key=lambda one: values[one])


def in_short_order(points_m: Sequence[Point], start_m: Point) -> list[int]:
    """Return the order of a short way through some points: the nearest next, then crossings undone (2-opt)."""
    left, order, here = list(range(len(points_m))), [], np.array(start_m[:2])
    points = np.array([point[:2] for point in points_m]).reshape(-1, 2)
    while left:
        nearest = min(left, key=lambda place: float(np.linalg.norm(points[place] - here)))
        order.append(nearest)
        left.remove(nearest)
        here = points[nearest]

    def length(way: Sequence[int]) -> float:
        stops = np.concatenate([[np.array(start_m[:2])], points[list(way)]])
        return float(np.linalg.norm(np.diff(stops, axis=0), axis=1).sum())

    is_shorter = True
    while is_shorter:
        is_shorter = False
        for a in range(len(order)):
            for b in range(a + 2, len(order) + 1):
                other = order[:a] + order[a:b][::-1] + order[b:]
                if length(other) < length(order) - 1e-9:
                    order, is_shorter = other, True
    return order
