"""A memory that answers from a dictionary, for tests of those who ask."""

from __future__ import annotations

from typing import Dict, List, Optional, Type

import msgspec

from embodied.messages import (
    Answer,
    Box,
    Change,
    ChangesReply,
    Evidence,
    GetHistory,
    HistoryReply,
    Interval,
    ListChanges,
    ListObjects,
    ListRooms,
    ListSessions,
    MemoryRequest,
    MemoryResponse,
    ObjectRecord,
    ObjectsReply,
    Query,
    Recall,
    RoomRecord,
    RoomsReply,
    SessionRecord,
    SessionsReply,
)

DAY_1_NS = 1_767_603_600_000_000_000  # 2026-01-05 09:00:00 UTC
DAY_2_NS = DAY_1_NS + 86_400_000_000_000
SECOND = 1_000_000_000
BOX = Box(center_m=(1.2, -0.5, 0.8), size_m=(0.1, 0.1, 0.1))

MUG = ObjectRecord(
    id="o12",
    label="mug",
    position_m=(1.2, -0.5, 0.8),
    box=BOX,
    state="present",
    confidence=0.92,
    first_seen_ns=DAY_1_NS + 5 * SECOND,
    last_seen_ns=DAY_1_NS + 192 * SECOND,
    room="kitchen",
    colour="red",
)
COUCH = msgspec.structs.replace(MUG, id="o3", label="couch", colour="", room="", state="moved", last_seen_ns=DAY_2_NS)
MOVE = Change(
    kind="moved",
    object_id="o3",
    label="couch",
    from_position_m=(4.0, 2.0, 0.4),
    to_position_m=(1.2, -0.5, 0.8),
    from_room="living room",
    to_room="",
    after_ns=DAY_1_NS + 30 * SECOND,
    noticed_ns=DAY_2_NS,
)
REMOVAL = msgspec.structs.replace(MOVE, kind="removed", object_id="o7", label="lamp", to_position_m=None)
SESSIONS = tuple(
    SessionRecord(
        session=name,
        robot="tester",
        world_frame="map",
        start_ns=start_ns,
        end_ns=end_ns,
        n_observations=412,
        path_length_m=31.4159,
    )
    for name, start_ns, end_ns in (("day-1", DAY_1_NS, DAY_1_NS + 600 * SECOND), ("day-2", DAY_2_NS, None))
)
INTERVALS = tuple(
    Interval(
        object_id="o3",
        state="present",
        position_m=position_m,
        box=BOX,
        room=room,
        valid_from_ns=from_ns,
        valid_to_ns=to_ns,
        known_from_ns=from_ns,
        known_to_ns=None,
        session=session,
        cause=cause,
    )
    for position_m, room, from_ns, to_ns, session, cause in (
        ((4.0, 2.0, 0.4), "living room", DAY_1_NS, DAY_2_NS, "day-1", "seen_first"),
        ((1.2, -0.5, 0.8), "kitchen", DAY_2_NS, None, "day-2", "seen_elsewhere"),
    )
)
ROOMS = (
    RoomRecord(
        id="r1",
        name="kitchen",
        center_m=(1.0, 1.0, 0.0),
        area_m2=12.34,
        outline_m=((0.0, 0.0), (3.0, 0.0), (3.0, 4.0)),
        n_objects=17,
        connects=("r2",),
    ),
    RoomRecord(id="r2", name="hall", center_m=(5.0, 1.0, 0.0), area_m2=6.0, outline_m=(), n_objects=0),
)
ANSWER = Answer(
    query=Query(kind="where", label="mug", colour="red"),
    text="The red mug is on the table in the kitchen.",
    unknown=False,
    confidence=0.92,
    objects=(MUG, COUCH),
    evidence=(
        Evidence(
            object_id="o12",
            session="day-1",
            stamp_ns=DAY_1_NS + 192 * SECOND,
            position_m=(0.5, 1.0, 1.25),
            keyframe=37,
            crop_jpeg=b"\xff\xd8" + bytes(1998),
        ),
    ),
    warnings=("session day-2 was cut off",),
)
UNKNOWN = Answer(
    query=Query(kind="where", label="elephant"),
    text="I have never seen a purple elephant.",
    unknown=True,
    confidence=0.97,
)


class FakeBackend:
    """Answers each type of request with a fixed response, and remembers the requests."""

    def __init__(self, responses: Optional[Dict[Type[msgspec.Struct], MemoryResponse]] = None) -> None:
        self.requests: List[MemoryRequest] = []
        self.closed = False
        self.responses: Dict[Type[msgspec.Struct], MemoryResponse] = {
            Recall: ANSWER,
            ListObjects: ObjectsReply(objects=(MUG, COUCH)),
            GetHistory: HistoryReply(intervals=INTERVALS),
            ListRooms: RoomsReply(rooms=ROOMS),
            ListSessions: SessionsReply(sessions=SESSIONS),
            ListChanges: ChangesReply(changes=(MOVE, REMOVAL)),
            **(responses or {}),
        }

    def call(self, request: MemoryRequest) -> MemoryResponse:
        """Return the response for requests of this type."""
        self.requests.append(request)
        return self.responses[type(request)]

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True


class FakeEntryPoint:
    """Stands for an installed package that opens memory files."""

    name = "file"
    value = "fake:open_memory"

    def __init__(self, backend: FakeBackend) -> None:
        self.backend = backend
        self.paths: List[object] = []

    def load(self) -> object:
        """Return the function that opens a file."""
        return self.open

    def open(self, path: object) -> FakeBackend:
        """Return the backend, whatever the file."""
        self.paths.append(path)
        return self.backend
