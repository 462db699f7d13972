"""What a memory keeps, as it is shown to others: objects, rooms, sessions, changes."""

from __future__ import annotations

from typing import Dict, Literal, Optional, Tuple

import msgspec

from embodied.messages.base import Point

ObjectState = Literal["present", "moved", "held", "gone", "unknown"]
"""``held``: the robot has it in its gripper; its position is where it was picked up."""
RelationKind = Literal["on", "in", "near", "connects"]
Source = Literal["seen", "told"]
"""Whether the robot saw it itself, or somebody said so."""


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """Box with a vertical axis, world frame, metres."""

    center_m: Point
    size_m: Point
    """Full lengths along the box's own x, y and z."""
    yaw_rad: float = 0.0


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    """The subject stands in this relation to ``object_id``."""

    kind: RelationKind
    object_id: str
    label: str
    confidence: float = 1.0
    source: Source = "seen"
    seen_ns: Optional[int] = None
    """What a seen relation rests on: the latest instant by which both its ends had been seen. None if told."""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wrote to an object. Data, never a command."""

    text: str
    author: str
    stamp_ns: int


class ObjectRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One remembered object."""

    id: str
    label: str
    position_m: Point
    box: Box
    state: ObjectState
    confidence: float
    first_seen_ns: int
    last_seen_ns: int
    room: str
    """Name of the room, empty if it lies in none."""
    colour: str = ""
    labels: Dict[str, float] = {}
    """Share of each label that detectors gave it."""
    relations: Tuple[Relation, ...] = ()
    n_observations: int = 0
    epoch: int = 0
    """Grows whenever the object's name, state, place or identity changes, or a person edits it: an edit names it."""
    world_frame: str = ""
    """The frame of all its positions."""
    place: str = ""
    """Id of the place (``PlaceRecord``) it stands at, empty if it stands at none."""
    source: Source = "seen"
    """``told``: a person said so, and no camera has shown it yet."""
    pinned: bool = False
    """A person keeps it as it is: nothing automatic renames, merges, removes or forgets it."""
    notes: Tuple[Note, ...] = ()
    """Oldest first."""


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of an object's track, true in the world from-to, known to the memory from-to (bi-temporal)."""

    object_id: str
    state: ObjectState
    position_m: Point
    box: Box
    room: str
    valid_from_ns: int
    valid_to_ns: Optional[int]
    """None while it still holds."""
    known_from_ns: int
    known_to_ns: Optional[int]
    session: str
    cause: str
    """Why the interval began: seen_first, seen_elsewhere, missed, seen_again, told, picked, placed."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not where it was."""

    kind: Literal["moved", "removed", "added"]
    object_id: str
    label: str
    from_position_m: Optional[Point]
    to_position_m: Optional[Point]
    from_room: str
    to_room: str
    after_ns: int
    """The change happened after this instant, when the old state was last seen …"""
    noticed_ns: int
    """… and before this one, when the new state was."""
    confidence: float = 1.0


class RoomRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A room found in the map and named by what stands in it."""

    id: str
    name: str
    center_m: Point
    area_m2: float
    outline_m: Tuple[Tuple[float, float], ...]
    n_objects: int
    connects: Tuple[str, ...] = ()
    """Ids of the rooms behind its doors."""
    world_frame: str = ""


class PlaceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A spot of free floor where a robot can stand, one of a graph that covers its room."""

    id: str
    room_id: str
    position_m: Point
    clearance_m: float
    """Distance to the nearest obstacle."""
    neighbours: Tuple[str, ...] = ()
    """Ids of the places that can be reached in a straight line, also behind doors."""
    world_frame: str = ""


class Alignment(msgspec.Struct, frozen=True, kw_only=True):
    """Where the frame of a session lies in the memory's: a turn about the vertical, then a shift."""

    yaw_rad: float
    position_m: Point
    n_matched: int
    """Objects that stand where they stood before, by it."""
    confidence: float


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One continuous run of a robot, as remembered."""

    session: str
    robot: str
    world_frame: str
    start_ns: int
    end_ns: Optional[int]
    """None while it runs, or if it was cut off."""
    n_observations: int
    path_length_m: float
    memory_frame: str = ""
    """The frame in which the memory keeps what it saw: that of an earlier session if it could be aligned with it."""
    alignment: Optional[Alignment] = None
    """``T_memory_session``; None where the two are one frame, or while none is found."""
