"""Questions to a memory as structures, and its answers."""

from __future__ import annotations

from typing import Literal, Optional, Tuple

import msgspec

from embodied.messages.base import Message, Point
from embodied.messages.records import Box, Change, ObjectRecord, RelationKind, RoomRecord

QuestionKind = Literal["where", "what", "when", "changes", "count", "which_room", "views"]
Moment = Literal["last_seen", "first_seen", "moved"]
Order = Literal["confidence", "latest", "earliest", "nearest", "most_often"]


class RelationFilter(msgspec.Struct, frozen=True, kw_only=True):
    """The sought thing stands in this relation to something with this label."""

    kind: RelationKind
    label: str
    colour: str = ""


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to recall. Every filled field narrows the answer.

    A memory refuses a field that it does not know: to ignore a condition would be to answer another question.
    """

    kind: QuestionKind
    """``which_room``: the rooms that hold all of ``labels``. ``views``: keyframes, by meaning, place and time."""
    object_id: str = ""
    label: str = ""
    colour: str = ""
    room: str = ""
    relation: Optional[RelationFilter] = None
    near_m: Optional[Point] = None
    radius_m: float = 1.0
    box: Optional[Box] = None
    """Only what lies in it; of views, those taken from in it."""
    world_frame: str = ""
    """Empty: the frame that the robot is in now, or was in last."""
    labels: Tuple[str, ...] = ()
    """Of ``which_room``: what stands in the room."""
    text: str = ""
    """Free words, compared by meaning with labels and notes, and with pictures where the image model can."""
    image_jpeg: bytes = b""
    """Of ``views``: a picture to compare with."""
    since_ns: Optional[int] = None
    until_ns: Optional[int] = None
    unseen_since_ns: Optional[int] = None
    """Only what was not seen at or after this instant."""
    known_ns: Optional[int] = None
    """Answer as the memory would have at this instant: nothing that it learned later counts."""
    session: str = ""
    source: Literal["", "seen", "told"] = ""
    """Only what the robot saw itself, or only what somebody told it of."""
    change: Literal["", "moved", "removed", "added"] = ""
    moment: Moment = "last_seen"
    order: Order = "confidence"
    """``nearest`` to ``near_m``. ``most_often``: of ``where``, the places by the time spent there."""
    limit: int = 10


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Why the memory believes it: one keyframe."""

    object_id: str
    session: str
    stamp_ns: int
    position_m: Point
    """Where the camera was."""
    keyframe: int
    crop_jpeg: bytes = b""
    """The object's picture, cut from the keyframe."""


class Habit(msgspec.Struct, frozen=True, kw_only=True):
    """One of the places where something is found."""

    room: str
    on: str
    """Label of what it stands on or in there, empty if on the floor or unknown."""
    position_m: Point
    share: float
    """Of the time for which the memory knows where it was, 0 to 1."""
    n_stays: int


class ViewHit(msgspec.Struct, frozen=True, kw_only=True):
    """A keyframe that fits a question."""

    keyframe: int
    session: str
    stamp_ns: int
    position_m: Point
    """Where the camera was."""
    room: str
    score: float
    object_ids: Tuple[str, ...] = ()
    """What is seen in it."""
    thumbnail_jpeg: bytes = b""


class Answer(Message, tag="answer"):
    """What the memory recalls, best first."""

    query: Query
    text: str
    """The answer as a sentence."""
    unknown: bool
    confidence: float
    objects: Tuple[ObjectRecord, ...] = ()
    changes: Tuple[Change, ...] = ()
    evidence: Tuple[Evidence, ...] = ()
    stamp_ns: Optional[int] = None
    """The instant asked for, of a ``when`` question."""
    count: Optional[int] = None
    """Of a ``count`` question."""
    rooms: Tuple[RoomRecord, ...] = ()
    """Of a ``which_room`` question, best first."""
    habits: Tuple[Habit, ...] = ()
    """Of a question with order ``most_often``, most often first."""
    views: Tuple[ViewHit, ...] = ()
    """Of a ``views`` question, best first."""
    warnings: Tuple[str, ...] = ()
    """What makes the answer less trustworthy: perception down, a session cut off, a store behind."""
