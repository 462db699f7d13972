"""What the one who runs an episode tells the bridge. Only the launcher knows the address.

Replies say how things go and nothing about what stands where: the truth is in the truth files.
"""

from __future__ import annotations

from typing import Dict, Optional, Union

from embodied.messages import ErrorReply, Message, SessionStart


class StartSession(Message, tag="start_session"):
    """Put the robot at its start pose and begin; the first observation follows at once."""

    session: str
    stamp_ns: int
    """What the robot's clock shows then."""
    task: str = ""
    """What a robot with tasks is to do, by its simulator's name for it; empty for a robot without."""
    seed: int = 0
    """Of the task's episode: the same one lays everything out alike."""
    demonstrate: bool = False
    """The bridge lets the simulator's expert act until the task is done; nobody else is heard."""


class EndSession(Message, tag="end_session"):
    """Stop the robot and close the session, once every consumer has it all on disk."""


class ChangeHouse(Message, tag="change_house"):
    """Let the night pass: move, remove and add some things. Between sessions only."""

    seed: int


class GetOperatorStatus(Message, tag="get_operator_status"):
    """Ask how it goes."""


class SessionStarted(Message, tag="session_started"):
    """The session runs."""

    session: str
    opening: Optional[SessionStart] = None
    """What the stream begins with: the robot's instruction, and what its actions are."""


class SessionEnded(Message, tag="session_ended"):
    """The session is closed and safe."""

    session: str
    n_observations: int
    success: Optional[bool] = None
    """Whether the task was done at any instant; None where there was no task."""


class HouseChanged(Message, tag="house_changed"):
    """The night is over."""

    n_changes: int


class OperatorStatus(Message, tag="operator_status"):
    """How it goes."""

    session: str
    """Empty between sessions."""
    seq: int
    """Of the last observation of the session, -1 before the first."""
    halted: bool
    n_frames: int
    """In all sessions."""
    active_s: float
    """Wall time in sessions, from start to end."""
    stage_ms: Dict[str, float]
    """Mean time a frame spends in each stage."""
    busy: bool = False
    """Actions are being carried out."""
    ended: bool = False
    """The session's world takes no more steps."""
    action_counts: Dict[str, int] = {}
    """What became of the chunks of a session that takes them ahead of time."""


OperatorRequest = Union[StartSession, EndSession, ChangeHouse, GetOperatorStatus]
OperatorResponse = Union[SessionStarted, SessionEnded, HouseChanged, OperatorStatus, ErrorReply]
