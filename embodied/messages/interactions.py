"""What a robot did with its hands and where it went, as remembered, and instructions that refer to it."""

from __future__ import annotations

from typing import Literal, Optional, Tuple

import msgspec

from embodied.messages.base import Message, Point


class Interaction(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the robot took up, and put down again. Rooms and surfaces are those known today."""

    object_id: str
    label: str
    session: str
    picked_ns: int
    picked_from_m: Point
    """Middle of the thing before."""
    picked_room: str = ""
    picked_from: str = ""
    """Label of what it lay on or in, empty if that is not known."""
    picked_from_id: str = ""
    pick_keyframe: Optional[int] = None
    """The frame in which the robot had just taken it."""
    placed_ns: Optional[int] = None
    """None while it is held, and where nobody knows when it was put down."""
    is_held: bool = False
    """Whether it still is in the gripper, as far as is known."""
    placed_m: Optional[Point] = None
    placed_room: str = ""
    placed_on: str = ""
    """Label of what it was put on or in, empty if that is not known."""
    placed_on_id: str = ""
    place_keyframe: Optional[int] = None
    """The frame in which the robot had just put it down."""


class RoomVisit(msgspec.Struct, frozen=True, kw_only=True):
    """One stay of the robot in a room, as its keyframes tell."""

    room_id: str
    room: str
    session: str
    entered_ns: int
    left_ns: int
    keyframe: int
    """The one taken nearest to the middle of the room."""


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """Where to go: back to a frame of the robot's history from which the thing, or the room, was seen from near."""

    kind: Literal["object", "room"]
    session: str
    seq: int
    """Of the observation to return to."""
    stamp_ns: int
    """Its instant."""
    viewpoint_m: Point
    """Where the camera was."""
    position_m: Point
    """Of the thing, or of the room's middle."""
    object_id: str = ""
    label: str = ""
    room: str = ""


class ListInteractions(Message, tag="list_interactions"):
    """Ask what the robot took up and put down, and which rooms it was in."""

    since_ns: Optional[int] = None
    """Only what ended at or after this instant, or goes on."""
    object_id: str = ""
    """Only those with this object; rooms are told all the same."""
    world_frame: str = ""
    """In whose coordinates; empty: the frame that the robot is in now, or was in last."""


class InteractionsReply(Message, tag="interactions_reply"):
    """Interactions and stays, oldest first."""

    interactions: Tuple[Interaction, ...]
    visits: Tuple[RoomVisit, ...] = ()


class FindGoals(Message, tag="find_goals"):
    """Ask where to go to carry out an instruction that refers to what the robot has seen and done."""

    instruction: str
    """In English: "go to the mug that you moved first"."""


class GoalsReply(Message, tag="goals_reply"):
    """Where to go."""

    goals: Tuple[Goal, ...]
    ordered: bool = False
    """Whether they are to be reached in this order."""
    unknown: bool = False
    """Nothing that is remembered fits."""
    text: str = ""
    """What was understood and found, as a sentence."""
