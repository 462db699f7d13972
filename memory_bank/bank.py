"""A memory at work: takes in the stream of a robot, keeps the state that questions are answered from, and stores it."""

from __future__ import annotations

import logging
import time
from typing import Any, Callable

import msgspec
import numpy as np

from embodied.errors import ConfigurationError, MalformedMessage, StoreError
from embodied.messages import (
    MemoryRequest,
    MemoryResponse,
    Observation,
    SessionEnd,
    SessionRecord,
    SessionStart,
    StreamMessage,
)
from memory_bank.mapper import FrameReport, Mapper, MapperConfig
from memory_bank.perception.protocol import Perception
from memory_bank.rooms import EMPTY_ROOMS
from memory_bank.rows import read_struct
from memory_bank.service import Health, MemoryService, MemoryState, ServiceConfig
from memory_bank.store import Batch, Contents, Store

logger = logging.getLogger(__name__)

META_HEALTH = "health"
META_OCCUPANCY = "occupancy"
"""The settings of the map, in JSON: a reader needs them."""
META_NEXT_TRACK = "next_track"


class MemoryBank:
    """One writer's memory: mapper, state and store. One thread."""

    def __init__(
        self,
        mapper_config: MapperConfig,
        perception: Perception,
        store: Store,
        service_config: ServiceConfig = ServiceConfig(),
        *,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Go on where the store's last writer stopped.

        Args:
            mapper_config: Settings of the mapper.
            perception: The detector.
            store: An open store, which this object does not close.
            service_config: Settings of the answers.
            timer: Seconds, for statistics only.

        Raises:
            StoreError: What is stored is damaged.
        """
        self._store = store
        self._timer = timer
        self._perception = perception.name
        self.mapper = Mapper(mapper_config, perception)
        self.state = MemoryState(occupancy=self.mapper.occupancy)
        self.service = MemoryService(self.state, service_config)
        self._batch = Batch()
        self._stages: dict[str, tuple[float, int]] = {}
        self._last_xy_m: np.ndarray | None = None
        self.n_uncommitted = 0
        """Messages taken in since the last commit."""
        self._writers: dict[type, Callable[[Any], MemoryResponse]] = {}
        """By type of request: what changes the memory. Each notes what it changed in the batch (``changed``)."""
        self._restore(store.load())

    def _restore(self, contents: Contents) -> None:
        next_track = int(contents.meta.get(META_NEXT_TRACK, b"0"))
        frames = sorted(contents.maps)
        if len(frames) > 1:
            raise StoreError(f"expected one world frame in a memory, got {', '.join(frames)}")
        occupancy = contents.maps[frames[0]] if frames else None
        self.mapper.restore(contents.tracks, contents.keyframes, occupancy, next_track)
        self.state.sessions = {session.session: session for session in contents.sessions}
        self.state.rooms = contents.rooms.get(frames[0], EMPTY_ROOMS) if frames else EMPTY_ROOMS
        if META_HEALTH in contents.meta:
            self.state.health = read_struct(META_HEALTH, contents.meta[META_HEALTH], Health)
        self._touch(
            health=msgspec.structs.replace(self.state.health, perception=self._perception, healthy=True, fault="")
        )

    def _touch(self, health: Health) -> None:
        """Let the state be that of the mapper."""
        state = self.state
        # The mapper replaces its graph and map when it restores.
        state.graph, state.occupancy = self.mapper.graph, self.mapper.occupancy
        state.keyframes = self.mapper.keyframes
        state.health = health
        state.version += 1
        state.map_version += 1

    # ------------------------------------------------------------------------------------------ requests

    def handle(self, request: MemoryRequest) -> MemoryResponse:
        """Answer a request; one that changes the memory is on disk when this returns."""
        writer = self._writers.get(type(request))
        if writer is None:
            return self.service.handle(request)
        response = writer(request)
        self.commit()
        return response

    # ------------------------------------------------------------------------------------------ the stream

    def take(self, message: StreamMessage) -> None:
        """Take in one message of the stream. It is not durable before ``commit``.

        Raises:
            ConfigurationError: A session that cannot go into this memory.
            MalformedMessage: An observation of no session, or of another one.
        """
        if isinstance(message, SessionStart):
            self._start(message)
        elif isinstance(message, SessionEnd):
            self._end(message)
        else:
            self._observe(message)
        self.n_uncommitted += 1

    @property
    def world_frame(self) -> str:
        """The frame that positions are in; empty before the first session."""
        return next((session.world_frame for session in self.state.sessions.values()), "")

    def _start(self, start: SessionStart) -> None:
        if self.state.open_session:
            self.cut_off()
        if start.session in self.state.sessions:
            raise ConfigurationError(f"session {start.session!r} is in this memory already; give each run its own name")
        if self.world_frame not in ("", start.world_frame):
            raise ConfigurationError(
                f"session {start.session!r} is in world frame {start.world_frame!r}, "
                f"this memory in {self.world_frame!r}; use another memory file"
            )
        self.mapper.start_session(start)
        record = SessionRecord(
            session=start.session,
            robot=start.robot,
            world_frame=start.world_frame,
            start_ns=start.stamp_ns,
            end_ns=None,
            n_observations=0,
            path_length_m=0.0,
        )
        self.state.open_session = start.session
        self._last_xy_m = None
        self._put_session(record)
        health = self.state.health
        self._touch(
            msgspec.structs.replace(health, session=start.session, seq=-1, durable_seq=-1, now_ns=start.stamp_ns)
        )

    def _observe(self, observation: Observation) -> None:
        if observation.session != self.state.open_session:
            raise MalformedMessage(
                f"observation {observation.seq} of session {observation.session!r} outside of it; "
                f"open is {self.state.open_session or 'none'!r}"
            )
        health = self.state.health
        if observation.seq <= health.seq:
            logger.warning("observation %d of %s came again; dropped", observation.seq, observation.session)
            return
        report = self.mapper.integrate(observation)
        self._collect(report)
        for stage, duration_ms in report.stage_ms.items():
            self._count(stage, duration_ms)
        xy_m = np.array(observation.T_world_base[:2, 3], dtype=float)
        step_m = float(np.linalg.norm(xy_m - self._last_xy_m)) if self._last_xy_m is not None else 0.0
        self._last_xy_m = xy_m
        record = self.state.sessions[observation.session]
        self._put_session(
            msgspec.structs.replace(
                record, n_observations=record.n_observations + 1, path_length_m=record.path_length_m + step_m
            )
        )
        # One jumping pose is no fault of perception's; only frames without detections are.
        healthy = self.mapper.healthy
        self._touch(
            msgspec.structs.replace(
                health,
                seq=observation.seq,
                now_ns=observation.stamp_ns,
                healthy=healthy,
                fault="" if healthy else report.fault,
            )
        )

    def _end(self, end: SessionEnd) -> None:
        if end.session != self.state.open_session:
            raise MalformedMessage(f"end of session {end.session!r}; open is {self.state.open_session or 'none'!r}")
        self._collect(self.mapper.end_session(end))
        self._close_session(
            msgspec.structs.replace(self.state.sessions[end.session], end_ns=end.stamp_ns), end.stamp_ns
        )

    def cut_off(self) -> None:
        """End a session whose end never came; it stays marked as cut off."""
        if not self.state.open_session:
            return
        self._collect(self.mapper.end_session(None))
        self._close_session(self.state.sessions[self.state.open_session], self.state.health.now_ns)
        self.n_uncommitted += 1

    def _close_session(self, record: SessionRecord, now_ns: int) -> None:
        self._put_session(record)
        self.state.open_session = ""
        self._touch(msgspec.structs.replace(self.state.health, now_ns=now_ns))
        self._batch.rooms[record.world_frame] = self.service.find_rooms()

    def _put_session(self, record: SessionRecord) -> None:
        self.state.sessions[record.session] = self._batch.sessions[record.session] = record

    def _collect(self, report: FrameReport) -> None:
        """Note what a frame changed."""
        for track_id in report.removed_ids:
            self._batch.remove_track(track_id)
        for track_id in report.dirty_ids:
            track = self.mapper.graph.get(track_id)
            if track is not None and track.id == track_id:
                self._batch.put_track(track)
            else:
                self._batch.remove_track(track_id)
        self._batch.keyframes.extend(report.keyframes)

    def _count(self, stage: str, duration_ms: float) -> None:
        total_ms, n = self._stages.get(stage, (0.0, 0))
        self._stages[stage] = (total_ms + duration_ms, n + 1)

    @property
    def stage_ms(self) -> dict[str, float]:
        """Mean time of each stage."""
        return {stage: round(total_ms / n, 3) for stage, (total_ms, n) in self._stages.items()}

    # ------------------------------------------------------------------------------------------ the store

    def commit(self) -> None:
        """Put everything taken in so far on disk.

        Raises:
            StoreError: It cannot be written; nothing of it was.
        """
        if not self.n_uncommitted:
            return
        started_s = self._timer()
        health = msgspec.structs.replace(self.state.health, durable_seq=self.state.health.seq, stage_ms=self.stage_ms)
        if self.world_frame:
            self._batch.maps[self.world_frame] = self.mapper.occupancy.to_bytes()
        self._batch.meta = {
            META_HEALTH: msgspec.msgpack.encode(health),
            META_OCCUPANCY: msgspec.json.encode(self.mapper.config.occupancy),
            META_NEXT_TRACK: str(self.mapper.graph.next_number).encode(),
        }
        self._store.write(self._batch)
        self._batch = Batch()
        self.n_uncommitted = 0
        self._count("commit", (self._timer() - started_s) * 1e3)
        # Readers of the running memory see what is durable; nothing that answers rest on has changed.
        self.state.health = msgspec.structs.replace(health, stage_ms=self.stage_ms)
