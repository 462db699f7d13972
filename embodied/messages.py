"""Every message that crosses a wire, and the channels they belong to.

Rules of evolution: a new field has a default, no field changes its type, a change that breaks them raises
``PROTOCOL_VERSION``. Arrays are numpy arrays in the structures and views into the frame after decoding (``codec``).
Nothing here may carry the simulator's truth: segments are numbered anew in each frame, and labels are what a detector
would say.
"""

from __future__ import annotations

from typing import Dict, Literal, Optional, Tuple, Union

import msgspec
import numpy as np

from embodied.structure import Structure

PROTOCOL_VERSION = 1

Point = Tuple[float, float, float]
ObjectState = Literal["present", "moved", "gone", "unknown"]
RelationKind = Literal["on", "in", "near", "connects"]
QuestionKind = Literal["where", "what", "when", "changes", "count"]
Moment = Literal["last_seen", "first_seen", "moved"]


class Message(Structure, tag_field="type"):
    """Base of all that is sent."""


# ----------------------------------------------------------------------------------------- observations


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
    """float32 (n,). A wheeled base: measured forward m/s, left m/s, counter-clockwise rad/s."""
    action: Optional[np.ndarray] = None
    """float32 (n,): what was really commanded since the observation before."""
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


# ----------------------------------------------------------------------------------------- actions


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
    twists: np.ndarray
    """float32 (n_steps, 3): forward m/s, left m/s, counter-clockwise rad/s, each held for one control period."""


class ActionReply(Message, tag="action_reply"):
    """What became of a chunk."""

    seq: int
    accepted: bool
    reason: str = ""
    commanded: Optional[np.ndarray] = None
    """float32 (n_steps, 3): the twists after limits, as they will really be sent."""


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

    kind: Literal["explore", "go_to"]
    session: str
    target_m: Optional[Point] = None
    """``go_to``: what to stand before and look at, world frame."""
    max_steps: int = 2000


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


# ----------------------------------------------------------------------------------------- what the memory answers


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
    """Why the interval began: seen_first, seen_elsewhere, missed, seen_again."""


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
    label: str = ""
    colour: str = ""
    room: str = ""
    relation: Optional[RelationFilter] = None
    near_m: Optional[Point] = None
    radius_m: float = 1.0
    since_ns: Optional[int] = None
    until_ns: Optional[int] = None
    session: str = ""
    change: Literal["", "moved", "removed", "added"] = ""
    moment: Moment = "last_seen"
    order: Literal["confidence", "latest", "earliest"] = "confidence"
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
    warnings: Tuple[str, ...] = ()
    """What makes the answer less trustworthy: perception down, a session cut off, a store behind."""


# ----------------------------------------------------------------------------------------- asking the memory


class Recall(Message, tag="recall"):
    """Ask in English or by structure."""

    question: Union[str, Query]


class ListObjects(Message, tag="list_objects"):
    """Ask for the objects."""

    include_gone: bool = False


class GetHistory(Message, tag="get_history"):
    """Ask for the track of one object."""

    object_id: str


class ListRooms(Message, tag="list_rooms"):
    """Ask for the rooms."""


class ListSessions(Message, tag="list_sessions"):
    """Ask for the sessions."""


class ListChanges(Message, tag="list_changes"):
    """Ask what changed."""

    since_ns: Optional[int] = None


class GetMap(Message, tag="get_map"):
    """Ask for the occupancy map, once everything up to an observation has gone into it."""

    session: str = ""
    min_seq: int = -1


class GetStatus(Message, tag="get_status"):
    """Ask how the memory is."""


class ObjectsReply(Message, tag="objects_reply"):
    """Objects, by id."""

    objects: Tuple[ObjectRecord, ...]


class HistoryReply(Message, tag="history_reply"):
    """Intervals, oldest first."""

    intervals: Tuple[Interval, ...]


class RoomsReply(Message, tag="rooms_reply"):
    """Rooms, largest first."""

    rooms: Tuple[RoomRecord, ...]


class SessionsReply(Message, tag="sessions_reply"):
    """Sessions, oldest first."""

    sessions: Tuple[SessionRecord, ...]


class ChangesReply(Message, tag="changes_reply"):
    """Changes, latest first."""

    changes: Tuple[Change, ...]


class MapReply(Message, tag="map_reply"):
    """The occupancy map built from depth. Cell (row, column) covers y, x from ``origin_m`` upwards."""

    session: str
    seq: int
    """The last observation in it; -1 for none."""
    resolution_m: float
    origin_m: Tuple[float, float]
    """World x, y of the corner of cell (0, 0)."""
    occupancy: np.ndarray
    """uint8 (rows, columns): 0 unknown, 1 free, 2 occupied."""
    closest_view_m: np.ndarray
    """float32 (rows, columns): from how near the cell was seen in this session, inf if it was not."""


class MemoryStatus(Message, tag="memory_status"):
    """How the memory is."""

    session: str
    seq: int
    n_objects: int
    n_keyframes: int
    perception: str
    perception_healthy: bool
    durable_seq: int
    stage_ms: Dict[str, float] = {}
    """Mean time a frame spends in each stage."""


MemoryRequest = Union[Recall, ListObjects, GetHistory, ListRooms, ListSessions, ListChanges, GetMap, GetStatus]
MemoryResponse = Union[
    Answer, ObjectsReply, HistoryReply, RoomsReply, SessionsReply, ChangesReply, MapReply, MemoryStatus, ErrorReply
]


# ----------------------------------------------------------------------------------------- supervisor


class Ready(Message, tag="ready"):
    """A process has bound its sockets and can work."""

    name: str
    pid: int


class Heartbeat(Message, tag="heartbeat"):
    """A process lives; sent several times a second."""

    name: str
    n_work: int
    """Units of work done (frames, requests): a hung loop shows here."""
    peak_rss_mb: float
    statistics: Dict[str, float] = {}


class Failed(Message, tag="failed"):
    """A process ends with an error; its last message."""

    name: str
    code: str
    message: str


SupervisorMessage = Union[Ready, Heartbeat, Failed]
