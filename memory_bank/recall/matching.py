"""What in a memory fits a query: by label, meaning, colour, place, relation and source. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from embodied.errors import ConfigurationError
from embodied.messages import (
    Box,
    Change,
    Evidence,
    Interval,
    ObjectRecord,
    Point,
    Query,
    RelationFilter,
    RoomRecord,
    SessionRecord,
    ViewHit,
)
from memory_bank.recall.meaning import Meaning
from memory_bank.recall.words import COLOURS, known_as, label_matches

MIN_LABEL_SHARE = 0.3
"""Share of the label histogram from which a thing may be meant by a label that is not its first."""
UNSURE_COLOUR = 0.4
"""Probability that a thing has the colour asked for if it looked like none, or if only a similar one is known of it."""
MIN_COLOUR_SHARE = 0.05
"""Share of a colour in how a thing looked from which it may be called by it."""
MIN_LIKENESS = 0.3
"""Cosine from which free words may mean a thing …"""
SURE_LIKENESS = 0.8
"""… and from which they surely do …"""
LIKENESS_MARGIN = 0.2
"""… if nothing else is so much more alike."""
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
    agent_m: Point | None = None
    """Where the robot is, or was last; None before its first observation."""
    world_frame: str = ""
    """The frame that the robot is in, or was in last."""
    meaning: Meaning | None = None
    """Compares free words with labels and notes; None without a model of words."""
    views: Callable[[Query], tuple[ViewHit, ...]] | None = None
    """Finds keyframes, best first, by the fields of a ``views`` query; None where no keyframes are kept."""
    calibrated: bool = True
    """Whether confidences of answers are put on the fitted curves."""

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


def split_colour(phrase: str, view: MemoryView) -> tuple[str, str]:
    """Return label and colour of a name such as "red mug", in our words."""
    first, _, rest = phrase.partition(" ")
    if rest and first in COLOURS and known_as(phrase, view.labels) is None:
        return known_as(rest, view.labels) or rest, COLOURS[first]
    return known_as(phrase, view.labels) or phrase, ""


# ------------------------------------------------------------------------------------------ what fits


def _label_fit(asked: str, record: ObjectRecord) -> float:
    if not asked:
        return 1.0
    if is_given(record) and (asked == record.label or _is_kind_of(asked, record)):
        return 1.0
    if label_matches(asked, record.label):
        share = sum(label_matches(asked, label) * share for label, share in record.labels.items())
        return max(share, 0.5 * label_matches(asked, record.label))
    share = sum(label_matches(asked, label) * share for label, share in record.labels.items())
    return share if share >= MIN_LABEL_SHARE else 0.0


def is_given(record: ObjectRecord) -> bool:
    """Tell whether a person gave the name, above all that was seen."""
    return bool(record.label) and record.label not in record.labels


def _is_kind_of(asked: str, record: ObjectRecord) -> bool:
    """Tell whether a given name ends with the word asked for: "Ann's mug" is a mug."""
    return is_given(record) and record.label.lower().endswith(f" {asked}")


def _colour_fit(asked: str, record: ObjectRecord | None, view: MemoryView) -> float:
    colour = record.colour if record else ""
    if not asked:
        return 1.0
    shares = view.colours(record.id) if record else {}
    share = shares.get(asked, 0.0)
    if asked == colour:
        # Of two clocks with white faces, the one that is all white is the white one.
        return 0.8 + 0.2 * share if share > 0 else 1.0
    if share >= MIN_COLOUR_SHARE:
        return min(0.9, UNSURE_COLOUR + share)
    if colour and any(shares.values()):
        return 0.0
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

    Raises:
        ConfigurationError: The query has free words, and the memory no model to compare them with.

    Weaker fits (a similar colour, "in" for "on", "coffee table" for "table") only count where no better one is there.
    """
    by_id = {record.id: record for record in view.objects}
    meant = _meant(query.text, view) if query.text else {}
    hits: list[tuple[tuple[bool, ...], Hit]] = []
    for record in view.objects:
        if not _is_asked_for(query, record, view):
            continue
        fit = _label_fit(query.label, record) * _colour_fit(query.colour, record, view)
        if query.text:
            fit *= meant.get(record.id, 0.0)
        exact_relation, rooms = True, [record.room]
        if query.relation is not None and fit > 0:
            relation_fit, room = _relation_fit(query.relation, record, by_id, view)
            fit *= min(1.0, relation_fit + 0.4) if relation_fit > 0 else 0.0
            exact_relation = relation_fit > 0.3
            rooms.append(room)
        if query.room and query.room not in rooms:
            continue
        if fit > 0:
            exact_label = not query.label or record.label == query.label or _is_kind_of(query.label, record)
            exact_colour = not query.colour or record.colour == query.colour
            some_colour = exact_colour or view.colours(record.id).get(query.colour, 0.0) >= MIN_COLOUR_SHARE
            hits.append(((exact_label, exact_colour, some_colour, exact_relation), Hit(record, fit)))
    for i in range(4):
        exact = [hit for hit in hits if hit[0][i]]
        hits = exact or hits
    return _ranked([hit for _, hit in hits], query, view)


def _is_asked_for(query: Query, record: ObjectRecord, view: MemoryView) -> bool:
    """Tell whether a record meets the conditions that nothing can meet by half."""
    if query.object_id and record.id != query.object_id:
        return False
    if query.near_m is not None and plan_distance_m(record.position_m, query.near_m) > query.radius_m:
        return False
    if query.box is not None and not _within(record.position_m, query.box):
        return False
    if query.unseen_since_ns is not None and record.last_seen_ns >= query.unseen_since_ns:
        return False
    return not query.source or query.source == record.source or (query.source == "told" and was_told(record, view))


def was_told(record: ObjectRecord, view: MemoryView) -> bool:
    """Tell whether somebody told of a thing, perhaps before it was seen."""
    return record.source == "told" or any(interval.cause == "told" for interval in view.history(record.id))


def _within(point_m: Point, box: Box) -> bool:
    """Tell whether a point lies in a box that may be turned about the vertical."""
    x, y, z = (p - c for p, c in zip(point_m, box.center_m))
    cos, sin = float(np.cos(box.yaw_rad)), float(np.sin(box.yaw_rad))
    local = (x * cos + y * sin, y * cos - x * sin, z)
    return all(abs(offset) <= size / 2 for offset, size in zip(local, box.size_m))


def _meant(text: str, view: MemoryView) -> dict[str, float]:
    """Return, by id, how well things fit free words: by label, with the colour, and by what notes say."""
    if view.meaning is None:
        raise ConfigurationError(
            f"{text!r} can only be compared by meaning, and this memory has no model of words (features.text)"
        )
    texts: list[str] = []
    owners: list[str] = []
    for record in view.objects:
        names = [record.label, f"{record.colour} {record.label}" if record.colour else ""]
        for words in [*names, *(note.text for note in record.notes)]:
            if words:
                texts.append(words)
                owners.append(record.id)
    fits: dict[str, float] = {}
    cosines = view.meaning.likeness(text, texts).tolist() if texts else []
    least = max(MIN_LIKENESS, max(cosines, default=0.0) - LIKENESS_MARGIN)
    for owner, cosine in zip(owners, cosines):
        if cosine >= least:
            fits[owner] = max(fits.get(owner, 0.0), min(1.0, cosine / SURE_LIKENESS))
    return fits


def plan_distance_m(a_m: Sequence[float], b_m: Sequence[float]) -> float:
    """Return the distance of two points seen from above."""
    return float(np.hypot(a_m[0] - b_m[0], a_m[1] - b_m[1]))


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
        "nearest": lambda hit: plan_distance_m(hit.record.position_m, query.near_m or (0.0, 0.0, 0.0)),
        "most_often": lambda hit: -weight(hit),
    }
    return sorted(hits, key=lambda hit: (keys[query.order](hit), int(hit.record.id[1:])))


def find_changes(query: Query, view: MemoryView, window: tuple[int | None, int | None]) -> list[Change]:
    """Return the changes that fit a query and were noticed in a window, latest first."""
    (since, until), box = window, query.box
    by_id = {record.id: record for record in view.objects}
    fitting = []
    for change in view.changes:
        record = by_id.get(change.object_id)
        if (
            (query.change and change.kind != query.change)
            or (query.object_id and change.object_id != query.object_id)
            or (query.near_m is not None and not _happened(change, lambda p: _is_near(p, query)))
            or (box is not None and not _happened(change, lambda p: _within(p, box)))
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


def _happened(change: Change, is_there: Callable[[Point], bool]) -> bool:
    """Tell whether a change began or ended at such a point."""
    return any(p is not None and is_there(p) for p in (change.from_position_m, change.to_position_m))


def _is_near(point_m: Point, query: Query) -> bool:
    return query.near_m is not None and plan_distance_m(point_m, query.near_m) <= query.radius_m
