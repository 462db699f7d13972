"""The memory as it was: of the world at an instant, and as the memory knew it at one (bi-temporal). Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
from scipy.spatial import cKDTree

from embodied.arrays import Bool, Float
from embodied.messages import Box, Interval, ObjectRecord, Query, Relation, ViewHit
from memory_bank.objects.relations import find_relations
from memory_bank.recall.matching import MemoryView

AROUND_M = 0.6
"""Things with a wider gap between them are not related."""
SURE_PER_SIGHTING = 0.775
"""Doubt in a thing's existence that a sighting leaves over, as the tracker reckons."""


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


# ------------------------------------------------------------------------------------------ the world then


def as_it_was(query: Query, view: MemoryView) -> MemoryView:
    """Return the memory of the world as it was at the end of the window that a query asks about; relations too.

    With a beginning, only what was seen after it.
    """
    since, until = window_of(query, view)
    objects = list(view.objects)
    if query.session and all(session.session != query.session for session in view.sessions):
        objects = []
    if until is not None and until < view.now_ns:
        then = [_record_then(record, view.history(record.id), until) for record in objects]
        objects = _related([record for record in then if record is not None], view.objects)
    if since is not None:
        objects = [record for record in objects if record.last_seen_ns >= since]
    return replace(view, objects=tuple(objects))


def record_at(record: ObjectRecord, view: MemoryView, at_ns: int) -> ObjectRecord | None:
    """Return a record as of an instant, without relations; None if the object was not known yet."""
    then = _record_then(record, view.history(record.id), at_ns)
    return msgspec.structs.replace(then, relations=()) if then is not None else None


def _record_then(record: ObjectRecord, history: Sequence[Interval], at_ns: int) -> ObjectRecord | None:
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
        confidence=_belief_then(record, now),
        last_seen_ns=min(max(seen_ns, default=now.valid_from_ns), at_ns),
    )


def _belief_then(record: ObjectRecord, interval: Interval) -> float:
    """Return the belief in an object's presence during an interval: what was missed since does not count against it."""
    if interval.state == "gone":
        return min(record.confidence, 0.1)
    if interval.valid_to_ns is None:
        return record.confidence
    return max(record.confidence, min(0.99, 1.0 - 0.5 * SURE_PER_SIGHTING**record.n_observations))


def _related(records: list[ObjectRecord], now: Sequence[ObjectRecord]) -> list[ObjectRecord]:
    """Return records of the past with the relations that follow from their boxes.

    Where nothing around a thing has changed since, its relations are those of today.

    Args:
        records: As of then.
        now: As of today, with relations.
    """
    today = {record.id: record for record in now}
    then = {record.id: record for record in records}
    changed = {i for i, record in then.items() if _differs(record, today[i])} | (set(today) - set(then))
    if not changed:
        return records
    rings_m = np.array([_ring(r.box) for r in (*records, *(today[i] for i in sorted(changed)))])
    is_changed = np.array([r.id in changed for r in records] + [True] * len(changed))
    touched = _near_any(rings_m, rings_m[is_changed])[: len(records)]
    standing = np.array([record.state != "gone" for record in records], dtype=bool)
    around = np.flatnonzero(_near_any(rings_m[: len(records)], rings_m[: len(records)][touched]) & standing)
    near = [records[i] for i in around]
    relations: dict[str, list[Relation]] = {record.id: [] for record in records}
    boxes, labels, shares = zip(*((record.box, record.label, record.labels) for record in near)) if near else ((),) * 3
    for r in find_relations(boxes, labels, shares=shares):
        other = near[r.object]
        relations[near[r.subject].id].append(
            Relation(kind=r.kind, object_id=other.id, label=other.label, confidence=r.confidence)
        )
    return [
        msgspec.structs.replace(record, relations=tuple(relations[record.id])) if is_touched else record
        for record, is_touched in zip(records, touched.tolist())
    ]


def _differs(then: ObjectRecord, now: ObjectRecord) -> bool:
    return then.box != now.box or (then.state == "gone") != (now.state == "gone")


def _ring(box: Box) -> tuple[float, float, float]:
    """Return the middle and the radius of the circle around a box, seen from above."""
    return box.center_m[0], box.center_m[1], math.hypot(box.size_m[0], box.size_m[1]) / 2


def _near_any(rings_m: Float[np.ndarray, "n 3"], others_m: Float[np.ndarray, "n_others 3"]) -> Bool[np.ndarray, " n"]:
    """Tell which circles (middle and radius) come near enough to any of some others to be related to them."""
    found = np.zeros(len(rings_m), dtype=bool)
    if not len(rings_m):
        return found
    tree, widest_m = cKDTree(rings_m[:, :2]), float(rings_m[:, 2].max())
    for x, y, radius_m in others_m.tolist():
        candidates = np.array(tree.query_ball_point((x, y), radius_m + widest_m + AROUND_M), dtype=int)
        away_m = np.hypot(rings_m[candidates, 0] - x, rings_m[candidates, 1] - y)
        found[candidates[away_m <= rings_m[candidates, 2] + radius_m + AROUND_M]] = True
    return found


def carrier_of(box: Box, label: str, others: Sequence[ObjectRecord]) -> str:
    """Return the label of what a thing with this box would stand on or in; empty if on the floor or unknown."""
    boxes, labels = [box, *(other.box for other in others)], [label, *(other.label for other in others)]
    found = [r for r in find_relations(boxes, labels) if r.subject == 0 and r.kind in ("on", "in")]
    best = max(found, key=lambda r: r.confidence, default=None)
    return labels[best.object] if best is not None else ""


# ------------------------------------------------------------------------------------------ what was known then


def as_known_at(view: MemoryView, known_ns: int) -> MemoryView:
    """Return the memory as it was at an instant: nothing that it learned, or was told, later.

    Objects, their places and states, changes, notes, pictures and sessions are those of then. Rooms, labels and colours
    are not kept by time: they are today's.
    """
    if known_ns >= view.now_ns:
        return view
    histories = {record.id: known_history(view.history(record.id), known_ns) for record in view.objects}
    records = [
        _record_known(record, histories[record.id], view.history(record.id), known_ns)
        for record in view.objects
        if histories[record.id]
    ]
    sessions = [session for session in view.sessions if session.start_ns <= known_ns]
    views = view.views

    def views_then(query: Query) -> tuple[ViewHit, ...]:
        assert views is not None
        until_ns = known_ns if query.until_ns is None else min(query.until_ns, known_ns)
        return views(msgspec.structs.replace(query, until_ns=until_ns, known_ns=None))

    return replace(
        view,
        objects=tuple(_related(records, view.objects)),
        changes=tuple(change for change in view.changes if change.noticed_ns <= known_ns),
        sessions=tuple(
            msgspec.structs.replace(s, end_ns=s.end_ns if s.end_ns is not None and s.end_ns <= known_ns else None)
            for s in sessions
        ),
        now_ns=known_ns,
        history=lambda object_id: histories.get(object_id, ()),
        evidence=lambda object_id, limit: tuple(
            each for each in view.evidence(object_id, limit) if each.stamp_ns <= known_ns
        ),
        agent_m=None,
        views=views_then if views is not None else None,
    )


def known_history(history: Sequence[Interval], known_ns: int) -> tuple[Interval, ...]:
    """Return the intervals that were known at an instant; what ended one later had not happened yet for the memory."""
    return tuple(
        msgspec.structs.replace(interval, valid_to_ns=None, known_to_ns=None)
        if interval.known_to_ns is not None and interval.known_to_ns > known_ns
        else interval
        for interval in history
        if interval.known_from_ns <= known_ns
    )


def _record_known(
    record: ObjectRecord, history: Sequence[Interval], known_now: Sequence[Interval], known_ns: int
) -> ObjectRecord:
    now = history[-1]
    # A stay ends with the last sighting, which was one also before it was known to be the last.
    ends = [i.valid_to_ns for i in known_now[: len(history)] if i.state != "gone" and i.valid_to_ns is not None]
    last_seen_ns = max(ends, default=now.valid_from_ns)
    if known_now[len(history) - 1].valid_to_ns is None and now.state != "gone":
        last_seen_ns = record.last_seen_ns
    closed = msgspec.structs.replace(now, valid_to_ns=now.valid_from_ns)
    return msgspec.structs.replace(
        record,
        position_m=now.position_m,
        box=now.box,
        room=now.room,
        state=now.state,
        # What was learned since, by looking again, does not count.
        confidence=record.confidence if len(history) == len(known_now) else _belief_then(record, closed),
        first_seen_ns=min(record.first_seen_ns, known_ns),
        last_seen_ns=min(last_seen_ns, known_ns),
        source="told" if all(interval.cause == "told" for interval in history) else "seen",
        notes=tuple(note for note in record.notes if note.stamp_ns <= known_ns),
    )
