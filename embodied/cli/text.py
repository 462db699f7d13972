"""What the memory answers, as a person wants to read it. Times are UTC."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import List, Optional, Sequence

from embodied.cli.output import table
from embodied.clock import NANOSECONDS
from embodied.messages import (
    Answer,
    Change,
    Evidence,
    Habit,
    InteractionsReply,
    Interval,
    ObjectRecord,
    Point,
    RoomRecord,
    SessionRecord,
    ViewHit,
)
from embodied.report.wording import frame_phrase

NOTHING = "-"


def answer_lines(answer: Answer, sessions: Sequence[SessionRecord]) -> List[str]:
    """Return the sentence, how sure it is, and what it rests on."""
    # Where something was that is gone now is known, though not where it is.
    is_gone = bool(answer.objects) and all(entry.state == "gone" for entry in answer.objects)
    lines = [f"unknown: {answer.text}" if answer.unknown and not is_gone else answer.text]
    details = [f"confidence {answer.confidence:.2f}"]
    if answer.count is not None:
        details.append(f"count {answer.count}")
    if answer.stamp_ns is not None:
        details.append(f"at {moment(answer.stamp_ns, sessions)} UTC")
    lines.append(", ".join(details))
    if answer.objects:
        lines += ["", *object_lines(answer.objects, sessions)]
    if answer.rooms:
        lines += ["", *room_lines(answer.rooms)]
    if answer.habits:
        lines += ["", *habit_lines(answer.habits)]
    if answer.views:
        lines += ["", *view_lines(answer.views)]
    if answer.changes:
        lines += ["", *change_lines(answer.changes, sessions)]
    if answer.evidence:
        lines += ["", "evidence:", *(f"  {evidence_line(evidence)}" for evidence in answer.evidence)]
    lines += [f"warning: {warning}" for warning in answer.warnings]
    return lines


def object_lines(objects: Sequence[ObjectRecord], sessions: Sequence[SessionRecord]) -> List[str]:
    """Return a table of objects."""
    return table(
        ("id", "what", "where (room; x, y, z in m)", "state", "confidence", "last seen (UTC)"),
        [
            (
                entry.id,
                what(entry),
                where(entry.room, entry.position_m),
                entry.state,
                f"{entry.confidence:.2f}",
                moment(entry.last_seen_ns, sessions),
            )
            for entry in objects
        ],
    )


def history_lines(intervals: Sequence[Interval]) -> List[str]:
    """Return a table of an object's track."""
    return table(
        ("from (UTC)", "to (UTC)", "state", "where (room; x, y, z in m)", "session", "because"),
        [
            (
                time_text(interval.valid_from_ns),
                "now" if interval.valid_to_ns is None else time_text(interval.valid_to_ns),
                interval.state if interval.known_to_ns is None else f"{interval.state} (corrected)",
                where(interval.room, interval.position_m),
                interval.session,
                interval.cause.replace("_", " "),
            )
            for interval in intervals
        ],
    )


def interaction_lines(done: InteractionsReply) -> List[str]:
    """Return a table of what the robot took up and put down, and one of the rooms it was in."""
    lines: List[str] = []
    if done.interactions:
        lines += table(
            ("id", "what", "taken (UTC)", "from (room; x, y, z in m)", "put down (UTC)", "on (room; x, y, z in m)"),
            [
                (
                    each.object_id,
                    each.label,
                    time_text(each.picked_ns),
                    f"{each.picked_from or NOTHING}, {where(each.picked_room, each.picked_from_m)}",
                    "holds it now" if each.is_held else NOTHING if not each.placed_ns else time_text(each.placed_ns),
                    f"{each.placed_on or NOTHING}, {where(each.placed_room, each.placed_m)}",
                )
                for each in done.interactions
            ],
        )
    if done.visits:
        lines += [""] if lines else []
        lines += table(
            ("room", "entered (UTC)", "left (UTC)", "session"),
            [(v.room, time_text(v.entered_ns), time_text(v.left_ns), v.session) for v in done.visits],
        )
    return lines


def room_lines(rooms: Sequence[RoomRecord]) -> List[str]:
    """Return a table of rooms."""
    names = {room.id: room.name for room in rooms}
    return table(
        ("id", "name", "area (m²)", "centre (m)", "objects", "doors to"),
        [
            (
                room.id,
                room.name,
                f"{room.area_m2:.1f}",
                point(room.center_m),
                str(room.n_objects),
                ", ".join(names.get(other, other) for other in room.connects) or NOTHING,
            )
            for room in rooms
        ],
    )


def session_lines(sessions: Sequence[SessionRecord]) -> List[str]:
    """Return a table of sessions."""
    return table(
        ("session", "robot", "world frame", "start (UTC)", "end (UTC)", "observations", "path (m)"),
        [
            (
                session.session,
                session.robot,
                frame_phrase(session),
                time_text(session.start_ns),
                "open or cut off" if session.end_ns is None else time_text(session.end_ns),
                str(session.n_observations),
                f"{session.path_length_m:.1f}",
            )
            for session in sessions
        ],
    )


def change_lines(changes: Sequence[Change], sessions: Sequence[SessionRecord]) -> List[str]:
    """Return a table of changes."""
    return table(
        ("what", "id", "change", "from (room; x, y, z in m)", "to", "after (UTC)", "noticed (UTC)"),
        [
            (
                change.label,
                change.object_id,
                change.kind,
                where(change.from_room, change.from_position_m),
                where(change.to_room, change.to_position_m),
                moment(change.after_ns, sessions),
                moment(change.noticed_ns, sessions),
            )
            for change in changes
        ],
    )


def habit_lines(habits: Sequence[Habit]) -> List[str]:
    """Return a table of the places where something is found."""
    return table(
        ("share of the time", "where (room; x, y, z in m)", "on", "stays"),
        [(f"{h.share:.0%}", where(h.room, h.position_m), h.on or NOTHING, str(h.n_stays)) for h in habits],
    )


def view_lines(views: Sequence[ViewHit]) -> List[str]:
    """Return a table of keyframes."""
    return table(
        ("keyframe", "taken (UTC)", "session", "from (room; x, y, z in m)", "score", "shows"),
        [
            (
                str(view.keyframe),
                time_text(view.stamp_ns),
                view.session,
                where(view.room, view.position_m),
                f"{view.score:.2f}",
                ", ".join(view.object_ids) or NOTHING,
            )
            for view in views
        ],
    )


def evidence_line(evidence: Evidence) -> str:
    """Return when and from where a picture was taken."""
    size = f"picture of {len(evidence.crop_jpeg) / 1000:.1f} kB" if evidence.crop_jpeg else "no picture"
    return (
        f"{evidence.object_id} seen {time_text(evidence.stamp_ns)} ({evidence.session}) from "
        f"{point(evidence.position_m)}, keyframe {evidence.keyframe}, {size}"
    )


def what(entry: ObjectRecord) -> str:
    """Return an object's name, with its colour where the name lacks it."""
    label = entry.label or "thing"
    # A name that a person gave needs no colour.
    is_given = bool(entry.labels) and label not in entry.labels
    return label if is_given or not entry.colour or entry.colour in label.split() else f"{entry.colour} {label}"


def described(entry: ObjectRecord) -> str:
    """Return id, name and place of an object."""
    return f"{entry.id} ({what(entry)}, {where(entry.room, entry.position_m)})"


def where(room: str, position_m: Optional[Point]) -> str:
    """Return a place as room and coordinates."""
    if position_m is None:
        return NOTHING
    return f"{room}; {point(position_m)}" if room else point(position_m)


def point(position_m: Point) -> str:
    """Return x, y, z in metres to the centimetre."""
    return ", ".join(f"{value:.2f}" for value in position_m)


def moment(stamp_ns: int, sessions: Sequence[SessionRecord]) -> str:
    """Return an instant with the session in which it lies."""
    inside = [
        session.session
        for session in sessions
        if session.start_ns <= stamp_ns and (session.end_ns is None or stamp_ns <= session.end_ns)
    ]
    return f"{time_text(stamp_ns)} ({inside[-1]})" if inside else time_text(stamp_ns)


def time_text(stamp_ns: int) -> str:
    """Return an instant in UTC to the second."""
    try:
        instant = datetime.fromtimestamp(stamp_ns // NANOSECONDS, tz=timezone.utc)
    except (OverflowError, ValueError, OSError):
        return f"{stamp_ns} ns"  # beyond the calendar: a damaged record is still shown
    return instant.strftime("%Y-%m-%d %H:%M:%S")
