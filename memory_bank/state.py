"""What a memory holds while it is at work: one part for each map frame, and what all of them share.

Positions of two frames cannot be compared. Each frame has its own objects, map and rooms; ids, sessions and keyframes
are counted over all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from embodied.messages import Point, SessionRecord
from memory_bank.episodes.archive import KeyframeArchive
from memory_bank.objects.scene_graph import SceneGraph
from memory_bank.objects.track import Track
from memory_bank.space.occupancy import OccupancyMap
from memory_bank.space.places import NO_PLACES, PlaceMap
from memory_bank.space.rooms import EMPTY_ROOMS, RoomMap


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How the memory stood at its last observation; stored with it."""

    session: str = ""
    """The session that runs, or ran last."""
    seq: int = -1
    durable_seq: int = -1
    """The last observation of that session on disk."""
    now_ns: int = 0
    """Instant of the last observation."""
    perception: str = ""
    healthy: bool = True
    fault: str = ""
    """Why perception is not healthy."""
    stage_ms: dict[str, float] = {}
    agent_m: Point | None = None
    """Where the robot's base was at the last observation, in the memory's frame of that session."""


@dataclass
class FrameState:
    """What lies in one map frame."""

    name: str = ""
    graph: SceneGraph = field(default_factory=SceneGraph)
    occupancy: OccupancyMap = field(default_factory=OccupancyMap)
    rooms: RoomMap = EMPTY_ROOMS
    """As last found, to keep their ids."""
    places: PlaceMap = NO_PLACES
    """As last found, to keep their ids."""
    version: int = 0
    """Grows with every change of its objects or its map."""
    map_version: int = 0
    """Grows with every change of its map."""
    upper_walls: bytes = b""
    """``UpperWalls.to_bytes`` as last stored: spares reading the keyframes that went into it."""
    merges: int = 0
    """Grows when another frame is merged into it: keyframes of earlier sessions have come to it."""


@dataclass
class MemoryState:
    """What a memory holds. The memory process changes it and raises the versions; that of a file is made anew."""

    frames: dict[str, FrameState] = field(default_factory=dict)
    """By name (``SessionRecord.memory_frame``), in the order of their first sessions."""
    keyframes: KeyframeArchive = field(default_factory=KeyframeArchive)
    """Of all frames, by index; each is in the frame of its session."""
    sessions: dict[str, SessionRecord] = field(default_factory=dict)
    """In the order of their starts."""
    health: Health = field(default_factory=Health)
    open_session: str = ""
    """The session that runs; empty between sessions."""
    version: int = 0
    """Grows with every change of anything."""

    @property
    def current(self) -> str:
        """The name of the frame that the robot is in now, or was in last; empty before the first session."""
        record = self.sessions.get(self.health.session)
        if record is None:
            return next(reversed(self.frames), "")
        return frame_of(record)

    @property
    def frame(self) -> FrameState:
        """The frame that the robot is in now, or was in last; an empty one before the first session."""
        return self.frames.get(self.current) or FrameState()

    def frame_named(self, name: str) -> FrameState:
        """Return a frame of the memory.

        Raises:
            ValueError: There is none of this name.
        """
        if name not in self.frames:
            known = ", ".join(repr(each) for each in self.frames) or "none"
            raise ValueError(f"world_frame: expected one that I know ({known}), got {name!r}")
        return self.frames[name]

    def find(self, object_id: str) -> tuple[FrameState, Track] | None:
        """Return the track of an id, whichever its frame, following merges; None if there is none."""
        for frame in self.frames.values():
            track = frame.graph.get(object_id)
            if track is not None:
                return frame, track
        return None

    def tracks(self) -> Iterator[Track]:
        """Yield all tracks, frame by frame."""
        for frame in self.frames.values():
            yield from frame.graph

    def sessions_in(self, frame: str) -> tuple[SessionRecord, ...]:
        """Return the sessions that are kept in a frame, oldest first."""
        return tuple(record for record in self.sessions.values() if frame_of(record) == frame)


def frame_of(record: SessionRecord) -> str:
    """Return the memory's frame of a session; records of the first release name only the session's own."""
    return record.memory_frame or record.world_frame
