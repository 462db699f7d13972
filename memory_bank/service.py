"""Answers every request to a memory, whoever holds it: the memory process, or a program that opened the file.

A memory may hold several map frames. A request is answered in one of them: the one it names, else the one that the
robot is in now (or was in last). A frame that a session came in and that was aligned with another one since can still
be named: the same things are then told in its coordinates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from embodied.config import Config
from embodied.messages import (
    Answer,
    Change,
    ChangesReply,
    Evidence,
    GetHistory,
    GetMap,
    GetStatus,
    HistoryReply,
    Interval,
    ListChanges,
    ListObjects,
    ListPlaces,
    ListRooms,
    ListSessions,
    MapReply,
    MemoryRequest,
    MemoryResponse,
    MemoryStatus,
    ObjectRecord,
    ObjectsReply,
    PlaceRecord,
    PlacesReply,
    Point,
    Query,
    Recall,
    RoomRecord,
    RoomsReply,
    SessionsReply,
)
from memory_bank.activities import Activities
from memory_bank.episodes.views import Views, ViewsConfig, check_retrieve
from memory_bank.features.protocol import ImageEncoder, TextEncoder
from memory_bank.frames.poses import Pose, inverted, pose_of
from memory_bank.frames.views import moved_map, moved_place, moved_view
from memory_bank.objects.appearance import COLOURS
from memory_bank.objects.records import RoomIndex, history_of, named_rooms, object_records
from memory_bank.objects.relations import RelationConfig
from memory_bank.recall.answers import answer
from memory_bank.recall.grammar import parse
from memory_bank.recall.matching import MemoryView
from memory_bank.recall.meaning import Meaning
from memory_bank.space.floor_plan import RoomsConfig
from memory_bank.space.places import PlaceMap, PlacesConfig, find_places
from memory_bank.space.rooms import RoomMap, segment_rooms
from memory_bank.space.upper_walls import UpperWalls, UpperWallsConfig
from memory_bank.state import FrameState, Health, MemoryState, frame_of

__all__ = ["Health", "MemoryService", "MemoryState", "ServiceConfig"]

Reader = Callable[[Any], MemoryResponse]


class ServiceConfig(Config):
    """How what is remembered is told."""

    rooms: RoomsConfig = RoomsConfig()
    """How rooms are told apart."""
    upper_walls: UpperWallsConfig = UpperWallsConfig()
    """Where walls are looked for that furniture cannot be."""
    relations: RelationConfig = RelationConfig()
    """When two things are related."""
    places: PlacesConfig = PlacesConfig()
    """How the free floor is covered with places."""
    views: ViewsConfig = ViewsConfig()
    """How pictures that fit a question are ranked."""
    calibrated: bool = True
    """Whether confidences are probabilities; raw ones are for fitting the curves anew."""


def _check_instants(query: Query) -> None:
    """Refuse numbers that are no instants, before they stop what counts in 64 bits."""
    for name in ("since_ns", "until_ns", "unseen_since_ns", "known_ns"):
        stamp_ns = getattr(query, name)
        if stamp_ns is not None and not -(2**63) < stamp_ns < 2**63:
            raise ValueError(f"{name}: expected nanoseconds since 1970 in 64 bits, got {stamp_ns}")


@dataclass(frozen=True)
class _Derived:
    """What follows from a frame, computed when asked for."""

    version: int
    index: RoomIndex
    rooms: tuple[RoomRecord, ...]
    objects: tuple[ObjectRecord, ...]
    changes: tuple[Change, ...]


@dataclass
class _Walls:
    """The upper walls of a frame, and how far the keyframes have gone into them."""

    upper: UpperWalls
    merges: int
    next_index: int = 0
    """The first keyframe that has not."""
    map_version: int = -1
    places_version: int = -1


class MemoryService:
    """Answers requests from a state. Rooms and records are derived when first needed after a change."""

    def __init__(
        self,
        state: MemoryState,
        config: ServiceConfig = ServiceConfig(),
        text_encoder: TextEncoder | None = None,
        image_encoder: ImageEncoder | None = None,
    ) -> None:
        """Take a state to answer from.

        Args:
            state: What the memory holds.
            config: Settings.
            text_encoder: Compares free words with what is known; None to refuse such questions.
            image_encoder: What made the keyframes' vectors; None to refuse questions with pictures.

        Raises:
            ConfigurationError: Pictures cannot be ranked as the settings say.
        """
        check_retrieve(config.views)
        self.state = state
        self._encoders = image_encoder, text_encoder
        self._meaning = Meaning(text_encoder) if text_encoder is not None else None
        self._config = config
        self._walls: dict[str, _Walls] = {}
        self._derived: dict[str, _Derived] = {}
        self.readers: dict[type, Reader] = {
            Recall: self._recall,
            ListObjects: self._objects,
            GetHistory: lambda request: HistoryReply(intervals=self.history(request.object_id)),
            ListRooms: lambda request: RoomsReply(rooms=self.view_in(request.world_frame).rooms),
            ListPlaces: lambda request: PlacesReply(places=self._places(request.world_frame)),
            ListSessions: lambda request: SessionsReply(sessions=tuple(self.state.sessions.values())),
            ListChanges: self._changes,
            GetMap: self._map,
            GetStatus: lambda request: self._status(),
            **Activities(self).readers,
        }
        """By type of request: what reads the memory. Other parts of it add theirs."""

    def handle(self, request: MemoryRequest) -> MemoryResponse:
        """Answer a request. A map is told as it stands, without waiting.

        Raises:
            ValueError: The question is beyond the grammar, or there is no such object, session or frame.
        """
        reader = self.readers.get(type(request))
        if reader is None:
            raise ValueError(f"request: expected one that this memory answers, got {type(request).__name__}")
        return reader(request)

    @property
    def view(self) -> MemoryView:
        """What an answer may rest on, as of now, in the frame where the robot is."""
        return self.view_of(self.state.frame)

    def view_in(self, world_frame: str) -> MemoryView:
        """Return what an answer may rest on in the coordinates of a named frame; empty: where the robot is.

        Raises:
            ValueError: There is no such frame.
        """
        frame, pose = self.frame_in(world_frame)
        view = self.view_of(frame)
        return view if pose is None else moved_view(view, pose, world_frame)

    def view_of(self, frame: FrameState) -> MemoryView:
        """Return what an answer in a frame may rest on, as of now."""
        state, derived = self.state, self._derive(frame)
        return MemoryView(
            objects=derived.objects,
            changes=derived.changes,
            rooms=derived.rooms,
            sessions=state.sessions_in(frame.name),
            now_ns=state.health.now_ns,
            history=self.history,
            evidence=self._evidence,
            colours=self._colours,
            warnings=self._warnings(),
            agent_m=state.health.agent_m if frame.name == state.current else None,
            world_frame=frame.name,
            meaning=self._meaning,
            views=self._views(frame).find,
            calibrated=self._config.calibrated,
        )

    def _views(self, frame: FrameState) -> Views:
        sessions = [record.session for record in self.state.sessions_in(frame.name)]
        rooms, config = self._derive(frame).index, self._config.views
        return Views(self.state.keyframes, sessions, frame.graph, rooms, *self._encoders, config)

    @property
    def relations(self) -> RelationConfig:
        """When two things are related."""
        return self._config.relations

    def room_index(self, frame: FrameState) -> RoomIndex:
        """Return in which room each point of a frame lies, as of now."""
        return self._derive(frame).index

    def frame_in(self, world_frame: str) -> tuple[FrameState, Pose | None]:
        """Return the memory's frame behind a name, and its pose in the coordinates of that name if they differ.

        Raises:
            ValueError: There is no such frame.
        """
        state = self.state
        if not world_frame or world_frame in state.frames:
            return state.frames[world_frame] if world_frame else state.frame, None
        for record in reversed(state.sessions.values()):
            if record.world_frame == world_frame and record.alignment is not None:
                return state.frame_named(frame_of(record)), inverted(pose_of(record.alignment))
        return state.frame_named(world_frame), None

    # ------------------------------------------------------------------------------------------ what follows

    def find_rooms(self, frame: FrameState) -> RoomMap:
        """Return the rooms of a frame's map as it is now."""
        walls = self._walls.get(frame.name)
        if walls is None or walls.merges != frame.merges:
            walls = self._walls[frame.name] = self._begin_walls(frame)
        if walls.map_version != frame.map_version:
            told = frame.occupancy.reply()
            here = {record.session for record in self.state.sessions_in(frame.name)}
            keyframes = self.state.keyframes
            fresh = keyframes.indices(since_index=walls.next_index, sessions=here)
            walls.upper.add(keyframes.whole(fresh.tolist()))
            frame.rooms = segment_rooms(
                told.occupancy,
                told.resolution_m,
                told.origin_m,
                previous=frame.rooms,
                upper=walls.upper.mask(told.occupancy.shape, told.origin_m),
                config=self._config.rooms,
            )
            walls.next_index, walls.map_version = keyframes.next_index, frame.map_version
        return frame.rooms

    def _begin_walls(self, frame: FrameState) -> _Walls:
        """Go on with the upper walls as they were stored, unless keyframes have come or gone behind them."""
        resolution_m, config = frame.occupancy.config.resolution_m, self._config.upper_walls
        if frame.upper_walls and not frame.merges:
            stored = UpperWalls.from_bytes(frame.upper_walls, resolution_m, config)
            if stored is not None:
                return _Walls(stored[0], frame.merges, stored[1])
        return _Walls(UpperWalls(resolution_m, config), frame.merges)

    def upper_walls(self, frame: FrameState) -> bytes:
        """Return the upper walls of a frame for the store, as of the last ``find_rooms``."""
        walls = self._walls[frame.name]
        return walls.upper.to_bytes(walls.next_index)

    def find_places(self, frame: FrameState) -> PlaceMap:
        """Return the places of a frame's map as it is now."""
        rooms, walls = self.find_rooms(frame), self._walls[frame.name]
        if walls.places_version != frame.map_version:
            told = frame.occupancy.reply()
            frame.places = find_places(
                told.occupancy,
                told.resolution_m,
                told.origin_m,
                rooms,
                frame.places,
                world_frame=frame.name,
                config=self._config.places,
            )
            walls.places_version = frame.map_version
        return frame.places

    def drop(self, frame: str) -> None:
        """Let go of what was derived of a frame that is no more."""
        self._walls.pop(frame, None)
        self._derived.pop(frame, None)

    def _derive(self, frame: FrameState) -> _Derived:
        derived = self._derived.get(frame.name)
        if derived is None or derived.version != frame.version:
            index, rooms = named_rooms(self.find_rooms(frame), frame.graph)
            places = self.find_places(frame)
            derived = _Derived(
                version=frame.version,
                index=index,
                rooms=tuple(msgspec.structs.replace(room, world_frame=frame.name) for room in rooms),
                objects=tuple(
                    msgspec.structs.replace(record, world_frame=frame.name, place=places.place_at(record.position_m))
                    for record in object_records(list(frame.graph), index, self._config.relations)
                ),
                changes=tuple(frame.graph.changes(None, index.name_at)),
            )
            self._derived[frame.name] = derived
        return derived

    # ------------------------------------------------------------------------------------------ requests

    def _recall(self, request: Recall) -> Answer:
        question = request.question
        if isinstance(question, Query):
            _check_instants(question)
            query, view = question, self.view_in(question.world_frame or self._frame_meant(question))
        else:
            query, view = self._parsed(question)
        found = answer(query, view)
        nothing = found.unknown or (query.kind in ("what", "count") and not found.objects)
        return self._elsewhere(found, view) if nothing and not query.world_frame else found

    def _parsed(self, question: str) -> tuple[Query, MemoryView]:
        """Return an English question as a query, and what it is answered from. Words may be those of other frames."""
        state, here = self.state, self.view
        views = [here, *(self.view_of(frame) for name, frame in state.frames.items() if name != state.current)]
        query = parse(
            question,
            labels=frozenset().union(*(view.labels for view in views)),
            rooms=frozenset(room.name for view in views for room in view.rooms),
            sessions=tuple(state.sessions.values()),
            now_ns=here.now_ns,
            agent_m=here.agent_m,
        )
        meant = self._frame_meant(query)
        return query, self.view_in(meant) if meant else here

    def _frame_meant(self, query: Query) -> str:
        """Return the memory's frame of the session or the object that a query names; empty if it names none."""
        if query.session in self.state.sessions:
            return frame_of(self.state.sessions[query.session])
        found = self.state.find(query.object_id) if query.object_id else None
        return found[0].name if found else ""

    def _elsewhere(self, found: Answer, view: MemoryView) -> Answer:
        """Add what the other frames know of a question that this one knows nothing of. It counts for nothing here."""
        for name, frame in reversed(self.state.frames.items()):
            if name == view.world_frame:
                continue
            other = answer(found.query, self.view_of(frame))
            if not other.unknown and other.objects:
                text = f"{found.text} In another map ({name}), whose place here I do not know: {other.text}"
                return msgspec.structs.replace(found, text=text)
        return found

    def _objects(self, request: ListObjects) -> ObjectsReply:
        objects = self.view_in(request.world_frame).objects
        return ObjectsReply(objects=tuple(o for o in objects if request.include_gone or o.state != "gone"))

    def _places(self, world_frame: str) -> tuple[PlaceRecord, ...]:
        frame, pose = self.frame_in(world_frame)
        places = self.find_places(frame).places
        return places if pose is None else tuple(moved_place(place, pose, world_frame) for place in places)

    def _changes(self, request: ListChanges) -> ChangesReply:
        since_ns = request.since_ns
        changes = self.view_in(request.world_frame).changes
        recent = [change for change in changes if since_ns is None or change.noticed_ns >= since_ns]
        return ChangesReply(changes=tuple(reversed(recent)))

    def history(self, object_id: str) -> tuple[Interval, ...]:
        """Return the intervals of an object of any frame, oldest first, told in today's rooms.

        Raises:
            ValueError: There is no such object.
        """
        found = self.state.find(object_id)
        if found is None or not found[1].is_shown:
            raise ValueError(f"object_id: expected the id of an object that I know, got {object_id!r}")
        frame, track = found
        return history_of(track, self._derive(frame).index.name_at)

    def _evidence(self, object_id: str, limit: int) -> tuple[Evidence, ...]:
        found = self.state.find(object_id)
        if found is None:
            return ()
        track = found[1]
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
        found = self.state.find(object_id)
        shares = found[1].appearance.shares() if found else np.zeros(len(COLOURS))
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
        state = self.state
        if request.session and request.session not in state.sessions:
            raise ValueError(f"session: expected one that I know, got {request.session!r}")
        record = state.sessions.get(request.session)
        name = request.world_frame or (record.world_frame if record else "")
        frame, pose = self.frame_in(name)
        told = frame.occupancy.reply()
        if frame.name == state.current:
            told = msgspec.structs.replace(told, session=told.session or state.health.session, seq=state.health.seq)
        told = msgspec.structs.replace(told, world_frame=frame.name)
        return told if pose is None else moved_map(told, pose, name)

    def _status(self) -> MemoryStatus:
        health = self.state.health
        return MemoryStatus(
            session=health.session,
            seq=health.seq,
            n_objects=sum(len(frame.graph.confirmed()) for frame in self.state.frames.values()),
            n_keyframes=len(self.state.keyframes),
            perception=health.perception,
            perception_healthy=health.healthy,
            durable_seq=health.durable_seq,
            stage_ms=health.stage_ms,
        )


def _point(position_m: Point) -> Point:
    x, y, z = position_m
    return (x, y, z)
