"""What may be asked of a memory process, and what it replies."""

from __future__ import annotations

from typing import Dict, Optional, Tuple, Union

import numpy as np

from embodied.messages.base import Message
from embodied.messages.edits import Edit, EditReply, Forget, ForgetReply
from embodied.messages.experiences import (
    AddExperience,
    AddExperienceReply,
    ExperiencesReply,
    RecallExperiences,
    RewardExperiences,
)
from embodied.messages.interactions import FindGoals, GoalsReply, InteractionsReply, ListInteractions
from embodied.messages.observations import ErrorReply
from embodied.messages.recall import Answer, Query
from embodied.messages.records import Change, Interval, ObjectRecord, PlaceRecord, RoomRecord, SessionRecord
from embodied.messages.tokens import ClearTokens, ReadTokens, TokensReply, WriteTokens


class Recall(Message, tag="recall"):
    """Ask in English or by structure."""

    question: Union[str, Query]


class ListObjects(Message, tag="list_objects"):
    """Ask for the objects."""

    include_gone: bool = False
    world_frame: str = ""
    """In whose coordinates; empty: the frame that the robot is in now, or was in last."""


class GetHistory(Message, tag="get_history"):
    """Ask for the track of one object."""

    object_id: str


class ListRooms(Message, tag="list_rooms"):
    """Ask for the rooms."""

    world_frame: str = ""
    """In whose coordinates; empty: the frame that the robot is in now, or was in last."""


class ListPlaces(Message, tag="list_places"):
    """Ask for the places."""

    world_frame: str = ""
    """In whose coordinates; empty: the frame that the robot is in now, or was in last."""


class ListSessions(Message, tag="list_sessions"):
    """Ask for the sessions."""


class ListChanges(Message, tag="list_changes"):
    """Ask what changed."""

    since_ns: Optional[int] = None
    world_frame: str = ""
    """In whose coordinates; empty: the frame that the robot is in now, or was in last."""


class GetMap(Message, tag="get_map"):
    """Ask for the occupancy map, once everything up to an observation has gone into it."""

    session: str = ""
    min_seq: int = -1
    world_frame: str = ""
    """Empty: the session's own; without a session, the frame that the robot is in now, or was in last."""


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


class PlacesReply(Message, tag="places_reply"):
    """Places, by id."""

    places: Tuple[PlaceRecord, ...]


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
    world_frame: str = ""


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


MemoryRequest = Union[
    Recall, ListObjects, GetHistory, ListRooms, ListPlaces, ListSessions, ListChanges, GetMap, GetStatus,
    Edit, Forget, WriteTokens, ReadTokens, ClearTokens, AddExperience, RecallExperiences, RewardExperiences,
    ListInteractions, FindGoals,
]  # fmt: skip
MemoryResponse = Union[
    Answer, ObjectsReply, HistoryReply, RoomsReply, PlacesReply, SessionsReply, ChangesReply, MapReply, MemoryStatus,
    EditReply, ForgetReply, TokensReply, AddExperienceReply, ExperiencesReply, InteractionsReply, GoalsReply,
    ErrorReply,
]  # fmt: skip
