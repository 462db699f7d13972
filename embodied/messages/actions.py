"""What moves a robot: commands, and tasks for the policy that gives them."""

from __future__ import annotations

from typing import Literal, Optional, Tuple, Union

import numpy as np

from embodied.messages.base import Message, Point
from embodied.messages.observations import ErrorReply


class ActionChunk(Message, tag="action_chunk"):
    """Commands for the next steps of the robot."""

    session: str
    seq: int
    """Counts chunks of a session from 0; a chunk that is not newer than the last is refused."""
    observation_seq: int
    """The observation that the chunk answers."""
    stamp_ns: int
    valid_until_ns: int
    """On the robot's clock: commands not begun by then are dropped."""
    actions: np.ndarray
    """float32 (n_steps, n_actions): what the session's ``action_names`` say, each held for one control period. Wheels:
    forward m/s, left m/s, counter-clockwise rad/s."""
    start_ns: Optional[int] = None
    """When the first action begins, past or to come, on the clock of a robot that takes chunks while it carries one
    out. None, and on a robot that waits for its chunks: at once."""


class ActionReply(Message, tag="action_reply"):
    """What became of a chunk."""

    seq: int
    accepted: bool
    reason: str = ""
    commanded: Optional[np.ndarray] = None
    """float32 (n_steps, n_actions): the actions after limits, as they will really be sent."""
    n_late: int = 0
    """How many of the chunk's first actions were dropped because their time was over; ``commanded`` is without them."""


class Halt(Message, tag="halt"):
    """Stop the robot now and refuse further chunks until the next session."""

    reason: str


class Halted(Message, tag="halted"):
    """The robot stands still."""

    stamp_ns: int


ActionRequest = Union[ActionChunk, Halt]
ActionResponse = Union[ActionReply, Halted, ErrorReply]


# ----------------------------------------------------------------------------------------- tasks for the policy


class RunTask(Message, tag="run_task"):
    """Give the policy something to do. One task at a time."""

    kind: Literal["explore", "go_to", "act"]
    """``act``: do as the instruction says, with a trained policy."""
    session: str
    target_m: Optional[Point] = None
    """``go_to``: what to stand before and look at, in the world frame of the session itself."""
    max_steps: int = 2000
    instruction: str = ""
    """``act``: what to do, in words; ``SessionStart`` tells it where the robot has a task of its own."""
    action_names: Tuple[str, ...] = ()
    """``act``: of the session's robot, so that a policy which was trained for another is refused; empty: not told."""
    proprioception_names: Tuple[str, ...] = ()
    """Likewise."""


class GetTask(Message, tag="get_task"):
    """Ask how the task stands."""


class TaskStatus(Message, tag="task_status"):
    """How the task stands."""

    state: Literal["idle", "running", "succeeded", "failed"]
    kind: str = ""
    n_steps: int = 0
    progress: float = 0.0
    """0 to 1, the policy's own estimate."""
    detail: str = ""


TaskRequest = Union[RunTask, GetTask]
TaskResponse = Union[TaskStatus, ErrorReply]
