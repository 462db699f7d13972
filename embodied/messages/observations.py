"""The stream of a robot: sessions and observations, and how a consumer takes them off the pipe."""

from __future__ import annotations

from typing import Literal, Optional, Tuple, Union

import msgspec
import numpy as np

from embodied.messages.base import PROTOCOL_VERSION, Message


class Intrinsics(msgspec.Struct, frozen=True, kw_only=True):
    """Pinhole camera: ``u = fx x / z + cx`` with pixel centres at whole numbers."""

    width_px: int
    height_px: int
    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float


class CameraFrame(msgspec.Struct, frozen=True, kw_only=True):
    """What one camera saw at the observation's stamp."""

    name: str
    intrinsics: Intrinsics
    T_base_camera: np.ndarray
    """float64 (4, 4), optical frame: x right, y down, z forward."""
    rgb: np.ndarray
    """uint8 (height, width, 3) if ``rgb_encoding`` is raw, else the bytes of a JPEG, uint8 (n,)."""
    rgb_encoding: Literal["raw", "jpeg"] = "raw"
    depth: Optional[np.ndarray] = None
    """uint16 (height, width), millimetres along z, 0 where invalid."""
    segments: Optional[np.ndarray] = None
    """uint16 (height, width): 0 background, else 1 + index into ``segment_labels``. Numbered anew in every frame."""
    segment_labels: Tuple[str, ...] = ()


class SessionStart(Message, tag="session_start"):
    """Opens a session: one continuous run of a robot. First message of the lossless channel."""

    session: str
    robot: str
    stamp_ns: int
    world_frame: str = "map"
    """Sessions with the same name share one world frame."""
    instruction: str = ""
    """What the robot is told to do; empty where it has no task."""
    action_names: Tuple[str, ...] = ()
    """What the numbers of ``Observation.action`` are, and of the actions it takes; empty: not told."""
    proprioception_names: Tuple[str, ...] = ()
    """What the numbers of ``Observation.proprioception`` are; empty: not told."""
    control_period_s: float = 0.0
    """For how long one action is held; 0: not told, or not the same all the time."""


class Observation(Message, tag="observation"):
    """One instant of a robot."""

    session: str
    seq: int
    """0, 1, 2, … within the session."""
    stamp_ns: int
    """Instant of capture."""
    T_world_base: np.ndarray
    """float64 (4, 4), as the robot's localisation believes it."""
    cameras: Tuple[CameraFrame, ...]
    proprioception: np.ndarray
    """float32 (n,): what ``SessionStart.proprioception_names`` say. A wheeled base: measured forward m/s, left m/s,
    counter-clockwise rad/s."""
    action: Optional[np.ndarray] = None
    """float32 (n,): what was really commanded since the observation before."""
    intended_action: Optional[np.ndarray] = None
    """float32 (n,): what a demonstrator would have commanded instead, where it was disturbed on purpose: what there is
    to be learned. None: what was commanded."""
    collided: bool = False
    """A bumper touched something since the observation before."""
    awaiting_action: bool = False
    """The robot stands still until a new chunk of actions comes."""


class SessionEnd(Message, tag="session_end"):
    """Closes a session. Last message of the lossless channel for it."""

    session: str
    stamp_ns: int
    n_observations: int


class Hello(Message, tag="hello"):
    """A consumer introduces itself to the lossless channel; sent first on every connection."""

    name: str
    protocol_version: int = PROTOCOL_VERSION


class Welcome(Message, tag="welcome"):
    """The producer accepts the consumer. ``window`` messages may be on their way unreceived."""

    window: int
    protocol_version: int = PROTOCOL_VERSION


class Credit(Message, tag="credit"):
    """The consumer has taken messages off the lossless channel; counts since its Hello."""

    received: int
    durable: int = 0
    """Of those, how many are on disk to stay (fsynced): acknowledged."""


class ErrorReply(Message, tag="error"):
    """A typed refusal: ``code`` is the name of a class in ``embodied.errors``, or ``ValueError``."""

    code: str
    message: str


StreamMessage = Union[SessionStart, Observation, SessionEnd]
ProducerMessage = Union[SessionStart, Observation, SessionEnd, Welcome, ErrorReply]
ConsumerMessage = Union[Hello, Credit]
