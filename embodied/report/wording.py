"""How numbers, instants and states are written for a person."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import Optional, Union

from embodied.clock import NANOSECONDS
from embodied.messages import Change, SessionRecord


def frame_phrase(record: SessionRecord) -> str:
    """Write a session's frame, and where in the memory's frame it lies if that is another one."""
    if record.alignment is None:
        return record.world_frame
    x_m, y_m, _ = record.alignment.position_m
    turn_deg = math.degrees(record.alignment.yaw_rad)
    return f"{record.world_frame} at ({x_m:.2f}, {y_m:.2f}) in {record.memory_frame}, turned {turn_deg:.0f}°"


def instant(stamp_ns: Optional[int]) -> str:
    """Write an instant in UTC to the second; a dash for none."""
    if stamp_ns is None:
        return "–"
    try:
        moment = datetime.fromtimestamp(stamp_ns / NANOSECONDS, tz=timezone.utc)
    except (ValueError, OverflowError, OSError):
        return f"{stamp_ns} ns"
    return f"{moment:%a} {moment.day} {moment:%b %Y, %H:%M:%S}"


def clock_time(stamp_ns: int) -> str:
    """Write the time of day in UTC."""
    return instant(stamp_ns).rpartition(", ")[2]


def duration(start_ns: int, end_ns: Optional[int]) -> str:
    """Write a length of time in minutes and seconds."""
    if end_ns is None:
        return "cut off"
    minutes, seconds = divmod(round((end_ns - start_ns) / NANOSECONDS), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


def number(value: Union[float, str, None]) -> str:
    """Write a figure with the digits that matter."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if value == int(value) if abs(value) < 1e15 else False:
        return f"{int(value):,}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}".rstrip("0").rstrip(".")


def share(value: float) -> str:
    """Write a share of one in per cent."""
    return f"{100.0 * value:.0f} %"


def in_room(room: str) -> str:
    """Write where, as the end of a sentence."""
    return f"in {_the(room)}" if room else "outside all rooms"


def _the(room: str) -> str:
    """Give a room its article, where its name is no number."""
    return room if room.startswith("room ") else f"the {room}"


def change_sentence(change: Change) -> str:
    """Say what changed."""
    name = change.label or "thing"
    if change.kind == "moved":
        if change.from_room == change.to_room:
            return (
                f"The {name} was moved within {_the(change.to_room)}." if change.to_room else f"The {name} was moved."
            )
        start, end = (_the(room) if room else "somewhere else" for room in (change.from_room, change.to_room))
        return f"The {name} was moved from {start} to {end}."
    if change.kind == "removed":
        return f"{'The' if change.label else 'A'} {name} that was {in_room(change.from_room)} is gone."
    return f"There is a new {name} {in_room(change.to_room)}."
