"""What is left of a track once some of its sightings are forgotten. Pure: says what to set, and sets nothing.

A track remembers no single sighting, but marks of many: where its stays begin and end, its first and last sighting, its
pictures, and the keyframes that show it. A stay shrinks to the marks that remain; one without any is forgotten; a track
without stays as well. What cannot be told apart by sighting (shape, colours, counts of labels) stays with what stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from embodied.messages import Box, Interval
from memory_bank.objects.track import BestView, Track
from memory_bank.person.edits import cloud_of

SAME_PLACE_M = 0.15
"""Two stays this near each other, with nothing left between them, are one."""

Forgotten = Callable[[int, str, Box], bool]
"""Of an instant, the session it lies in, and where the thing was."""


@dataclass(frozen=True, order=True)
class Mark:
    """That a thing was seen."""

    stamp_ns: int
    session: str


@dataclass(frozen=True)
class Trimmed:
    """What becomes of a track."""

    values: dict[str, Any] | None
    """Fields of the track to set; None if nothing of it is left."""
    n_pictures: int = 0
    n_intervals: int = 0

    @property
    def changes(self) -> bool:
        """Whether anything is forgotten of it."""
        return self.values is None or bool(self.values)


@dataclass(frozen=True)
class Memories:
    """What else is known of a track's sightings."""

    marks: tuple[Mark, ...] = ()
    """From keyframes that show it."""
    session_at: Callable[[int], str] = field(default=lambda stamp_ns: "")
    """The session in which an instant lies, empty if in none."""


def trim(
    track: Track, is_forgotten: Forgotten, is_forgotten_view: Callable[[BestView], bool], memories: Memories
) -> Trimmed:
    """Return what is left of a track.

    Args:
        track: Left as it is.
        is_forgotten: Of a sighting.
        is_forgotten_view: Of a picture, which may also show other things.
        memories: What keyframes and sessions tell.
    """
    views = [view for view in track.views if not is_forgotten_view(view)]
    n_pictures = len(track.views) - len(views)
    stays = _stays(track, is_forgotten, memories)
    kept = [mark for _, marks in stays for mark in marks]
    if not kept:
        return Trimmed(None, len(track.views), 0)
    values: dict[str, Any] = {"views": views} if n_pictures else {}
    if track.confirmed:
        intervals = _joined([interval for interval, _ in stays])
        if intervals != track.intervals:
            values |= _rewritten(track, intervals)
    values |= _ends(track, kept, is_forgotten)
    values |= _evidence(track, is_forgotten, memories)
    if values:
        values["before"] = None  # It still knows everything.
    return Trimmed(values, n_pictures, max(0, len(track.intervals) - len(values.get("intervals", track.intervals))))


def _stays(track: Track, is_forgotten: Forgotten, memories: Memories) -> list[tuple[Interval, list[Mark]]]:
    """Return what is left of each interval, and the marks that are left of it; an absence has none."""
    if not track.confirmed:
        ends = {Mark(track.first_seen_ns, track.first_session), Mark(track.last_seen_ns, track.last_session)}
        kept = [m for m in sorted(ends | set(memories.marks)) if not is_forgotten(m.stamp_ns, m.session, track.box)]
        return [(_tentative(track), kept)] if kept else []
    found: list[tuple[Interval, list[Mark]]] = []
    for interval in track.intervals:
        if interval.state not in ("present", "moved"):
            instants = [interval.valid_from_ns]
            if interval.state == "held" and interval.valid_to_ns is not None:
                # What was taken up is remembered together with where it was put, or not at all.
                instants.append(interval.valid_to_ns)
            if found and not any(is_forgotten(ns, interval.session, interval.box) for ns in instants):
                found.append((interval, []))
            continue
        marks = _marks_of(interval, track, memories)
        kept = [mark for mark in marks if not is_forgotten(mark.stamp_ns, mark.session, interval.box)]
        if kept:
            found.append((_shrunk(interval, marks, kept), kept))
    return found


def _tentative(track: Track) -> Interval:
    """Return a stay for a track that has no history yet."""
    return Interval(
        object_id=track.id, state="present", position_m=track.position_m, box=track.box, room="",
        valid_from_ns=track.first_seen_ns, valid_to_ns=None, known_from_ns=track.last_seen_ns, known_to_ns=None,
        session=track.first_session, cause="seen_first",
    )  # fmt: skip


def _marks_of(interval: Interval, track: Track, memories: Memories) -> list[Mark]:
    """Return the known sightings of a stay, oldest first."""
    begin_ns = interval.valid_from_ns
    end_ns = max(begin_ns, track.last_seen_ns if interval.valid_to_ns is None else interval.valid_to_ns)
    marks = {mark for mark in memories.marks if begin_ns < mark.stamp_ns < end_ns}
    marks |= {Mark(view.stamp_ns, view.session) for view in track.views if begin_ns < view.stamp_ns < end_ns}
    marks.add(Mark(begin_ns, interval.session))
    if end_ns > begin_ns:
        open_end = interval.valid_to_ns is None
        marks.add(Mark(end_ns, track.last_session if open_end else memories.session_at(end_ns) or interval.session))
    return sorted(marks)


def _shrunk(interval: Interval, marks: list[Mark], kept: list[Mark]) -> Interval:
    """Return a stay that begins and ends with the sightings that are kept."""
    if kept[0] != marks[0]:
        begin_ns = kept[0].stamp_ns
        interval = msgspec.structs.replace(
            interval,
            valid_from_ns=begin_ns,
            known_from_ns=max(interval.known_from_ns, begin_ns),
            session=kept[0].session,
        )
    if interval.valid_to_ns is not None and kept[-1] != marks[-1]:
        interval = msgspec.structs.replace(interval, valid_to_ns=kept[-1].stamp_ns)
    return interval


def _joined(intervals: Iterable[Interval]) -> list[Interval]:
    """Return a history as if what was between had never been known. The last interval is open again."""
    history: list[Interval] = []
    for interval in intervals:
        last = history[-1] if history else None
        if last is None:
            cause = interval.cause if interval.cause == "told" else "seen_first"
            history.append(msgspec.structs.replace(interval, state="present", cause=cause))
        elif interval.state == "gone":
            if last.state != "gone":
                history.append(interval)
        elif last.state == "gone" or interval.state == "held" or (last.state == "held" and interval.cause == "placed"):
            history.append(interval)
        elif math.dist(last.position_m, interval.position_m) < SAME_PLACE_M:
            history[-1] = msgspec.structs.replace(
                last,
                valid_to_ns=interval.valid_to_ns,
                known_to_ns=interval.known_to_ns,
                position_m=interval.position_m,
                box=interval.box,
            )
        else:
            history.append(msgspec.structs.replace(interval, state="moved", cause="seen_elsewhere"))
    if history and history[-1].state == "held" and history[-1].valid_to_ns is not None:
        history.pop()  # Where it was put is forgotten.
    if history:
        history[-1] = msgspec.structs.replace(history[-1], valid_to_ns=None, known_to_ns=None)
    return history


def _rewritten(track: Track, intervals: list[Interval]) -> dict[str, Any]:
    """Return the fields that follow from a new history."""
    last = intervals[-1]
    values: dict[str, Any] = {"intervals": intervals}
    before = track.intervals[-1]
    if before.box == last.box and (before.state == "gone") == (last.state == "gone"):
        # The first of a history has moved from nowhere.
        return values if track.state in ("unknown", last.state) else {**values, "state": last.state}
    has_left = math.dist(track.position_m, last.position_m) >= SAME_PLACE_M
    if has_left:
        values |= {"box": last.box, "voxels": cloud_of(last.box), "closest_m": math.inf}
    if last.state == "gone":
        values |= {"state": "gone", "existence": min(track.existence, 0.1)}
    else:
        # Where it went is forgotten: it may or may not still be where it was.
        values |= {"state": "unknown" if has_left else last.state, "existence": 0.5}
    return values


def _ends(track: Track, kept: list[Mark], is_forgotten: Forgotten) -> dict[str, Any]:
    """Return the first and last sighting, where they are forgotten."""
    places = [interval.box for interval in track.intervals if interval.state in ("present", "moved")] or [track.box]
    values: dict[str, Any] = {}
    if is_forgotten(track.first_seen_ns, track.first_session, places[0]):
        values |= {"first_seen_ns": min(kept).stamp_ns, "first_session": min(kept).session}
    if is_forgotten(track.last_seen_ns, track.last_session, places[-1]):
        values |= {"last_seen_ns": max(kept).stamp_ns, "last_session": max(kept).session}
        if track.last_session != max(kept).session and track.session_label_weights:
            values |= _without_last_session(track)
    return values


def _without_last_session(track: Track) -> dict[str, Any]:
    """Return the label weights without what the last session, which is forgotten, contributed."""
    left = {name: weight - track.session_label_weights.get(name, 0.0) for name, weight in track.label_weights.items()}
    kept = {name: weight for name, weight in left.items() if weight > 1e-6}
    return {"label_weights": kept or dict(track.label_weights), "session_label_weights": {}}


def _evidence(track: Track, is_forgotten: Forgotten, memories: Memories) -> dict[str, Any]:
    """Return the evidence of absence and the notes, where they have changed."""

    def gone(stamp_ns: int | None) -> bool:
        return stamp_ns is not None and is_forgotten(stamp_ns, memories.session_at(stamp_ns), track.box)

    values: dict[str, Any] = {}
    if gone(track.seen_empty_ns):
        values |= {"n_missed": 0, "missed_from": [], "seen_empty_ns": None}
    if gone(track.place_was_empty_ns):
        values["place_was_empty_ns"] = None
    notes = [note for note in track.notes if not gone(note.stamp_ns)]
    if len(notes) != len(track.notes):
        values["notes"] = notes
    return values
