"""Answers every request to a memory, whoever holds it: the memory process, or a program that opened the file."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np

from embodied.config import Config
from embodied.messages import (
    Answer,
    ChangesReply,
    Evidence,
    GetHistory,
    GetMap,
    GetStatus,
    HistoryReply,
    Interval,
    ListChanges,
    ListObjects,
    ListRooms,
    ListSessions,
    MapReply,
    MemoryRequest,
    MemoryResponse,
    MemoryStatus,
    ObjectsReply,
    Point,
    Query,
    Recall,
    RoomRecord,
    RoomsReply,
    SessionRecord,
    SessionsReply,
)
from memory_bank.appearance import COLOURS
from memory_bank.floor_plan import RoomsConfig
from memory_bank.grammar import parse
from memory_bank.keyframes import Keyframe
from memory_bank.matching import MemoryView
from memory_bank.occupancy import OccupancyMap
from memory_bank.recall import answer
from memory_bank.records import RoomIndex, history_of, named_rooms, object_records
from memory_bank.relations import RelationConfig
from memory_bank.rooms import EMPTY_ROOMS, RoomMap, segment_rooms
from memory_bank.scene_graph import SceneGraph
from memory_bank.upper_walls import UpperWalls, UpperWallsConfig


class ServiceConfig(Config):
    """How what is remembered is told."""

    rooms: RoomsConfig = RoomsConfig()
    """How rooms are told apart."""
    upper_walls: UpperWallsConfig = UpperWallsConfig()
    """Where walls are looked for that furniture cannot be."""
    relations: RelationConfig = RelationConfig()
    """When two things are related."""


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


@dataclass
class MemoryState:
    """What a memory holds. The memory process changes it and raises the versions; that of a file is made anew."""

    graph: SceneGraph = field(default_factory=SceneGraph)
    occupancy: OccupancyMap = field(default_factory=OccupancyMap)
    keyframes: list[Keyframe] = field(default_factory=list)
    """By index; only ever appended to."""
    sessions: dict[str, SessionRecord] = field(default_factory=dict)
    """In the order of their starts."""
    rooms: RoomMap = EMPTY_ROOMS
    """As last found, to keep their ids."""
    health: Health = field(default_factory=Health)
    open_session: str = ""
    """The session that runs; empty between sessions."""
    version: int = 0
    """Grows with every change of anything."""
    map_version: int = 0
    """Grows with every change of the map."""


@dataclass(frozen=True)
class _Derived:
    """What follows from the state, computed when asked for."""

    version: int
    index: RoomIndex
    rooms: tuple[RoomRecord, ...]
    view: MemoryView


class MemoryService:
    """Answers requests from a state. Rooms and records are derived when first needed after a change."""

    def __init__(self, state: MemoryState, config: ServiceConfig = ServiceConfig()) -> None:
        self.state = state
        self._config = config
        self._rooms_version = -1
        self._upper = UpperWalls(state.occupancy.config.resolution_m, config.upper_walls)
        self._derived: _Derived | None = None

    def handle(self, request: MemoryRequest) -> MemoryResponse:
        """Answer a request. A map is told as it stands, without waiting.

        Raises:
            ValueError: The question is beyond the grammar, or there is no such object.
        """
        if isinstance(request, Recall):
            return self._recall(request.question)
        if isinstance(request, ListObjects):
            objects = self.view.objects
            return ObjectsReply(objects=tuple(o for o in objects if request.include_gone or o.state != "gone"))
        if isinstance(request, GetHistory):
            return HistoryReply(intervals=self._history(request.object_id))
        if isinstance(request, ListRooms):
            return RoomsReply(rooms=self._derive().rooms)
        if isinstance(request, ListSessions):
            return SessionsReply(sessions=tuple(self.state.sessions.values()))
        if isinstance(request, ListChanges):
            since_ns = request.since_ns
            changes = [c for c in self.view.changes if since_ns is None or c.noticed_ns >= since_ns]
            return ChangesReply(changes=tuple(reversed(changes)))
        if isinstance(request, GetMap):
            return self._map(request)
        assert isinstance(request, GetStatus), request
        return self._status()

    @property
    def view(self) -> MemoryView:
        """What an answer may rest on, as of now."""
        return self._derive().view

    def find_rooms(self) -> RoomMap:
        """Return the rooms of the map as it is now."""
        state = self.state
        if self._rooms_version != state.map_version:
            told = state.occupancy.reply()
            self._upper.add(state.keyframes[self._upper.n_keyframes :])
            state.rooms = segment_rooms(
                told.occupancy,
                told.resolution_m,
                told.origin_m,
                previous=state.rooms,
                upper=self._upper.mask(told.occupancy.shape, told.origin_m),
                config=self._config.rooms,
            )
            self._rooms_version = state.map_version
        return state.rooms

    def _derive(self) -> _Derived:
        state = self.state
        if self._derived is None or self._derived.version != state.version:
            index, rooms = named_rooms(self.find_rooms(), state.graph)
            view = MemoryView(
                objects=object_records(list(state.graph), index, self._config.relations),
                changes=tuple(state.graph.changes(None, index.name_at)),
                rooms=rooms,
                sessions=tuple(state.sessions.values()),
                now_ns=state.health.now_ns,
                history=self._history,
                evidence=self._evidence,
                colours=self._colours,
                warnings=self._warnings(),
            )
            self._derived = _Derived(state.version, index, rooms, view)
        return self._derived

    def _recall(self, question: str | Query) -> Answer:
        view = self.view
        if isinstance(question, Query):
            return answer(question, view)
        names = frozenset(room.name for room in view.rooms)
        query = parse(question, labels=view.labels, rooms=names, sessions=view.sessions, now_ns=view.now_ns)
        return answer(query, view)

    def _history(self, object_id: str) -> tuple[Interval, ...]:
        track = self.state.graph.get(object_id)
        if track is None or not track.confirmed:
            raise ValueError(f"object_id: expected the id of an object that I know, got {object_id!r}")
        index = self._derived.index if self._derived else self._derive().index
        return history_of(track, index.name_at)

    def _evidence(self, object_id: str, limit: int) -> tuple[Evidence, ...]:
        track = self.state.graph.get(object_id)
        if track is None:
            return ()
        return tuple(
            Evidence(
                object_id=track.id,
                session=picture.session,
                stamp_ns=picture.stamp_ns,
                position_m=_point(picture.camera_position_m),
                keyframe=picture.keyframe,
                crop_jpeg=picture.crop_jpeg,
            )
            for picture in track.views[:limit]
        )

    def _colours(self, object_id: str) -> dict[str, float]:
        track = self.state.graph.get(object_id)
        shares = track.appearance.shares() if track else np.zeros(len(COLOURS))
        return dict(zip(COLOURS, shares.tolist()))

    def _warnings(self) -> tuple[str, ...]:
        health, warnings = self.state.health, []
        if not self.state.sessions:
            warnings.append("nothing has been observed yet")
        if not health.healthy:
            warnings.append(f"perception ({health.perception}) is not working, so I may be out of date: {health.fault}")
        for session in self.state.sessions.values():
            if session.end_ns is None and session.session != self.state.open_session:
                warnings.append(f"session {session.session} was cut off after {session.n_observations} observations")
        return tuple(warnings)

    def _map(self, request: GetMap) -> MapReply:
        told = self.state.occupancy.reply()
        if request.session and request.session not in self.state.sessions:
            raise ValueError(f"session: expected one that I know, got {request.session!r}")
        session = told.session or self.state.health.session
        return msgspec.structs.replace(told, session=session, seq=self.state.health.seq)

    def _status(self) -> MemoryStatus:
        health = self.state.health
        return MemoryStatus(
            session=health.session,
            seq=health.seq,
            n_objects=len(self.state.graph.confirmed()),
            n_keyframes=len(self.state.keyframes),
            perception=health.perception,
            perception_healthy=health.healthy,
            durable_seq=health.durable_seq,
            stage_ms=health.stage_ms,
        )


def _point(position_m: Point) -> Point:
    x, y, z = position_m
    return (x, y, z)
