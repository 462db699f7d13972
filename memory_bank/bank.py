"""A memory at work: takes in the stream of a robot, keeps the state that questions are answered from, and stores it."""

from __future__ import annotations

import logging
import time
from typing import Any, Callable

import msgspec
import numpy as np

from embodied.errors import ConfigurationError, MalformedMessage, PerceptionError, StoreError
from embodied.messages import (
    MemoryRequest,
    MemoryResponse,
    Observation,
    SessionEnd,
    SessionRecord,
    SessionStart,
    StreamMessage,
)
from memory_bank.agent.agent_memory import AgentConfig, AgentMemory
from memory_bank.episodes.eviction import check_keyframes
from memory_bank.features.protocol import ImageEncoder, TextEncoder
from memory_bank.features.settings import FeaturesConfig
from memory_bank.frames.alignment import AlignmentConfig
from memory_bank.frames.keeper import FrameKeeper, Merge, place_for
from memory_bank.frames.poses import matrix_of, pose_of
from memory_bank.mapper import FrameReport, Mapper, MapperConfig
from memory_bank.perception.protocol import Detection, Perception, View
from memory_bank.person.writers import person_writers
from memory_bank.restoring import (
    META_ADDRESS,
    META_FEATURES,
    META_HEALTH,
    META_IMAGE_ENCODER,
    META_NEXT_KEYFRAME,
    META_NEXT_TRACK,
    META_OCCUPANCY,
    META_PLACES,
    META_UPPER_WALLS,
    check_encoder,
    frames_of,
    health_of,
    next_track_of,
    places_of,
    places_to_bytes,
    restore_keyframes,
)
from memory_bank.service import MemoryService, ServiceConfig
from memory_bank.state import FrameState, Health, MemoryState
from memory_bank.stores.protocol import KEYFRAMES_PER_BLOCK, Batch, Contents, Store

logger = logging.getLogger(__name__)

Writer = Callable[[Any], MemoryResponse]


class NoPerception:
    """Stands for the detector where no stream will come."""

    name = "none"

    def detect(self, view: View) -> list[Detection]:
        """Refuse.

        Raises:
            PerceptionError: Always.
        """
        raise PerceptionError("this memory was opened without a detector")


class MemoryBank:
    """One writer's memory: a mapper for each map frame, state and store. One thread."""

    def __init__(
        self,
        mapper_config: MapperConfig,
        perception: Perception | None,
        store: Store,
        service_config: ServiceConfig = ServiceConfig(),
        *,
        alignment: AlignmentConfig = AlignmentConfig(),
        agent_config: AgentConfig | None = None,
        features: FeaturesConfig | None = None,
        text_encoder: TextEncoder | None = None,
        image_encoder: ImageEncoder | None = None,
        address: str = "",
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Go on where the store's last writer stopped.

        Args:
            mapper_config: Settings of the mappers.
            perception: The detector; None if no stream will come, only requests.
            store: An open store, which this object does not close.
            service_config: Settings of the answers.
            alignment: When two map frames are one.
            agent_config: Settings of the agent's own memory; None for those that the store was last used with.
            features: Names of the encoders, kept for those who open the file; None to leave them as they were.
            text_encoder: Compares words by meaning; None to compare experiences by their words, and other things not.
            image_encoder: Gives keyframes their vectors; None for keyframes without.
            address: Where this memory answers, for those who find the file taken.
            timer: Seconds, for statistics only.

        Raises:
            StoreError: What is stored is damaged.
            ConfigurationError: The vectors that are stored are another image encoder's, or a strategy cannot work.
        """
        self._store = store
        self._timer = timer
        self._config = mapper_config
        self._perception = perception or NoPerception()
        self.state = MemoryState()
        self._image_encoder = image_encoder
        self.service = MemoryService(self.state, service_config, text_encoder, image_encoder)
        self.batch = Batch()
        """What changed since the last commit. Writers note in it what they change."""
        self._mappers: dict[str, Mapper] = {}
        self.frames = FrameKeeper(alignment, self.state, self._mappers)
        self._changed_maps: set[str] = set()
        self._stages: dict[str, tuple[float, int]] = {}
        self._last_xy_m: np.ndarray | None = None
        self._about = _about(address, features)
        self.n_uncommitted = 1 if address else 0
        """Messages taken in, and requests carried out, since the last commit."""
        self._failure = ""  # Why nothing is taken in or answered any more.
        self.writers: dict[type, Writer] = {}
        """By type of request: what changes the memory. Each notes what it changed (``changed``, ``batch``)."""
        contents = store.load()
        self._restore(contents)
        self.writers.update(person_writers(self))
        agent = AgentMemory(agent_config, contents.meta, self._put_row, text_encoder)
        self.writers.update(agent.writers)
        self.service.readers.update(agent.readers)

    def _restore(self, contents: Contents) -> None:
        check_keyframes(self._config.keyframes, has_vectors=self._image_encoder is not None)
        state, next_track = self.state, next_track_of(contents)
        state.sessions = {session.session: session for session in contents.sessions}
        restore_keyframes(state.keyframes, contents, self._store.keyframes)
        self._n_sealed = len(contents.keyframe_blocks)
        check_encoder(state.keyframes, contents, self._image_encoder)
        for name, (tracks, occupancy, rooms) in frames_of(contents).items():
            mapper = self._mapper(name)
            mapper.restore(tracks, (), occupancy, next_track)
            frame = state.frames[name]
            frame.graph, frame.occupancy, frame.rooms = mapper.graph, mapper.occupancy, rooms
            frame.upper_walls = contents.meta.get(META_UPPER_WALLS + name, b"")
            frame.places = places_of(contents, name)
            frame.version = frame.map_version = 1
        state.health = health_of(contents)
        if not isinstance(self._perception, NoPerception):
            state.health = msgspec.structs.replace(
                state.health, perception=self._perception.name, healthy=True, fault=""
            )

    def _mapper(self, name: str) -> Mapper:
        """Return the mapper of a frame; make both if they are new."""
        mapper = self._mappers.get(name)
        if mapper is None:
            mapper = Mapper(self._config, self._perception, self._timer, self.state.keyframes, self._image_encoder)
            self._mappers[name] = mapper
            self.state.frames[name] = FrameState(name=name, graph=mapper.graph, occupancy=mapper.occupancy)
        return mapper

    def _put_row(self, name: str, body: bytes | None) -> None:
        """Let a small thing be stored at the next commit; None: be taken out."""
        if body is None:
            self.batch.meta.pop(name, None)
            self.batch.removed_meta.add(name)
        else:
            self.batch.removed_meta.discard(name)
            self.batch.meta[name] = body

    def _touch(self, frame: FrameState, health: Health | None = None, *, of_map: bool = True) -> None:
        """Take note that a frame has changed; ``of_map``: its map too."""
        state = self.state
        state.version += 1
        frame.version += 1
        if of_map:
            frame.map_version += 1
            self._changed_maps.add(frame.name)
        if health is not None:
            state.health = health

    @property
    def world_frame(self) -> str:
        """The frame that the robot is in now, or was in last; empty before the first session."""
        return self.state.current

    @property
    def mapper(self) -> Mapper:
        """The mapper of that frame.

        Raises:
            ConfigurationError: There has been no session yet.
        """
        if self.world_frame not in self._mappers:
            raise ConfigurationError("this memory has no map yet: nothing has been observed")
        return self._mappers[self.world_frame]

    # ------------------------------------------------------------------------------------------ requests

    def handle(self, request: MemoryRequest) -> MemoryResponse:
        """Answer a request; one that changes the memory is on disk when this returns.

        Raises:
            StoreError: It cannot be written; or an earlier change could not.
            StaleEdit: See ``person_writers``.
            ValueError: The request makes no sense; nothing was changed.
        """
        self._check_usable()
        writer = self.writers.get(type(request))
        if writer is None:
            return self.service.handle(request)
        try:
            response = writer(request)
        except StoreError as error:
            if self.batch:
                self._give_up(error)
            raise
        self.n_uncommitted += 1
        self.commit()
        return response

    def _check_usable(self) -> None:
        if self._failure:
            raise StoreError(f"this memory could not write and has to be opened again: {self._failure}")

    def _give_up(self, error: Exception) -> None:
        """Refuse everything from now on: memory holds what its asker was told is not stored, and may never be."""
        self._failure = str(error) or type(error).__name__
        self.n_uncommitted += 1

    def changed(self, frame: FrameState, *track_ids: str, of_map: bool = False) -> None:
        """Let tracks of a frame be stored anew, or taken out of the store if the graph has them no more."""
        for track_id in track_ids:
            track = frame.graph.get(track_id)
            if track is not None and track.id == track_id:
                track.world_frame = frame.name
                self.batch.put_track(track)
            else:
                self.batch.remove_track(track_id)
        self._touch(frame, of_map=of_map)

    def remove_keyframes(self, indices: list[int]) -> None:
        """Take keyframes out of memory and store; this returns when they cannot be read on the disk any more.

        Raises:
            StoreError: It cannot be written.
        """
        self.state.keyframes.remove(indices)
        self.batch.removed_keyframes |= set(indices)
        for name in self.state.frames if indices else ():
            # What was found in them goes too; it is found again in those that are left.
            self._put_row(META_UPPER_WALLS + name, None)
        self.n_uncommitted += 1
        self.commit()
        self._store.purge()

    # ------------------------------------------------------------------------------------------ the stream

    def take(self, message: StreamMessage) -> None:
        """Take in one message of the stream. It is not durable before ``commit``.

        Raises:
            ConfigurationError: A session that cannot go into this memory.
            MalformedMessage: An observation of no session, or of another one.
            StoreError: An earlier change could not be written.
        """
        self._check_usable()
        if isinstance(message, SessionStart):
            self._start(message)
        elif isinstance(message, SessionEnd):
            self._end(message)
        else:
            self._observe(message)
        self.n_uncommitted += 1

    def _start(self, start: SessionStart) -> None:
        if self.state.open_session:
            self.cut_off()
        if start.session in self.state.sessions:
            raise ConfigurationError(f"session {start.session!r} is in this memory already; give each run its own name")
        memory_frame, alignment = place_for(self.state.sessions.values(), start.world_frame)
        record = SessionRecord(
            session=start.session,
            robot=start.robot,
            world_frame=start.world_frame,
            start_ns=start.stamp_ns,
            end_ns=None,
            n_observations=0,
            path_length_m=0.0,
            memory_frame=memory_frame,
            alignment=alignment,
        )
        next_number = max((frame.graph.next_number for frame in self.state.frames.values()), default=0)
        mapper = self._mapper(memory_frame)
        mapper.graph.reserve(next_number)
        self.frames.tell_foreign(memory_frame)
        mapper.start_session(start)
        self.state.open_session = start.session
        self._last_xy_m = None
        self._put_session(record)
        self._touch(
            self.state.frames[record.memory_frame],
            msgspec.structs.replace(
                self.state.health, session=start.session, seq=-1, durable_seq=-1, now_ns=start.stamp_ns
            ),
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
        record, mapper = self.state.sessions[observation.session], self.mapper
        if record.alignment is not None:
            T_memory_base = matrix_of(pose_of(record.alignment)) @ observation.T_world_base
            observation = msgspec.structs.replace(observation, T_world_base=T_memory_base)
        report = mapper.integrate(observation)
        self._collect(report)
        for stage, duration_ms in report.stage_ms.items():
            self._count(stage, duration_ms)
        x_m, y_m, z_m = observation.T_world_base[:3, 3].tolist()
        xy_m = np.array([x_m, y_m])
        step_m = float(np.linalg.norm(xy_m - self._last_xy_m)) if self._last_xy_m is not None else 0.0
        self._last_xy_m = xy_m
        self._put_session(
            msgspec.structs.replace(
                record, n_observations=record.n_observations + 1, path_length_m=record.path_length_m + step_m
            )
        )
        self._touch(
            self.state.frame,
            msgspec.structs.replace(
                health,
                seq=observation.seq,
                now_ns=observation.stamp_ns,
                agent_m=(x_m, y_m, z_m),
                # One jumping pose is no fault of perception's; only frames without detections are.
                healthy=mapper.healthy,
                fault="" if mapper.healthy else report.fault,
            ),
        )
        self._merge(self.frames.attempt(observation.seq))

    def _end(self, end: SessionEnd) -> None:
        if end.session != self.state.open_session:
            raise MalformedMessage(f"end of session {end.session!r}; open is {self.state.open_session or 'none'!r}")
        self._merge_all()
        self._collect(self.mapper.end_session(end))
        self._close_session(
            msgspec.structs.replace(self.state.sessions[end.session], end_ns=end.stamp_ns), end.stamp_ns
        )

    def cut_off(self) -> None:
        """End a session whose end never came; it stays marked as cut off."""
        if not self.state.open_session:
            return
        self._merge_all()
        self._collect(self.mapper.end_session(None))
        self._close_session(self.state.sessions[self.state.open_session], self.state.health.now_ns)
        self.n_uncommitted += 1

    def _close_session(self, record: SessionRecord, now_ns: int) -> None:
        self._put_session(record)
        self.state.open_session = ""
        frame = self.state.frame
        self._touch(frame, msgspec.structs.replace(self.state.health, now_ns=now_ns))
        self.batch.rooms[frame.name] = self.service.find_rooms(frame)
        self.batch.meta[META_PLACES + frame.name] = places_to_bytes(self.service.find_places(frame))
        self.batch.meta[META_UPPER_WALLS + frame.name] = self.service.upper_walls(frame)
        self.batch.removed_meta -= set(self.batch.meta)

    def _merge_all(self) -> None:
        """Bring everything over that lies in the robot's frame: what it has seen is complete for now."""
        while (found := self.frames.attempt_all()) is not None:
            self._merge(found)

    def _merge(self, found: Merge | None) -> None:
        """Bring a frame over into another one, if one was found to lie in it."""
        if found is None:
            return
        started_s = self._timer()
        merged, records, keyframes = self.frames.merge(found)
        logger.info("frame %s lies in %s: %s", found.source.name, found.target.name, found.alignment)
        for record in records:
            self._put_session(record)
        ours = {record.session for record in records}
        self.batch.keyframes = [k for k in self.batch.keyframes if k.session not in ours] + keyframes
        self._forget_rows(found)
        self._last_xy_m = None
        self.changed(found.target, *merged.removed_ids, *merged.dirty_ids, of_map=True)
        self._count("merge", (self._timer() - started_s) * 1e3)

    def _forget_rows(self, found: Merge) -> None:
        """Take out of the store what it has of a frame that is no more, and what is now to be found anew."""
        source, target = found.source.name, found.target
        self.service.drop(source)
        self._changed_maps.discard(source)
        self.batch.removed_frames.add(source)
        self.batch.maps.pop(source, None)
        self.batch.rooms.pop(source, None)
        target.upper_walls = b""  # Keyframes of the other frame have come among its own.
        for name in (META_UPPER_WALLS + source, META_PLACES + source, META_UPPER_WALLS + target.name):
            self._put_row(name, None)

    def _put_session(self, record: SessionRecord) -> None:
        self.state.sessions[record.session] = self.batch.sessions[record.session] = record

    def _collect(self, report: FrameReport) -> None:
        """Note what a frame of the stream changed."""
        self.changed(self.state.frame, *report.removed_ids, *report.dirty_ids)
        self.batch.keyframes.extend(report.keyframes)
        if report.removed_keyframes:
            self.batch.removed_keyframes |= set(report.removed_keyframes)
            self.batch.keyframes = [k for k in self.batch.keyframes if k.index not in self.batch.removed_keyframes]

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
            StoreError: It cannot be written; nothing of it was, nor will be: this memory refuses everything from then
                on. What is stored is to be opened anew.
        """
        self._check_usable()
        if not self.n_uncommitted:
            return
        started_s = self._timer()
        health = self.state.health
        health = msgspec.structs.replace(health, durable_seq=health.seq, stage_ms=self.stage_ms or health.stage_ms)
        for name in sorted(self._changed_maps):
            self.batch.maps[name] = self.state.frames[name].occupancy.to_bytes()
        next_track = max((frame.graph.next_number for frame in self.state.frames.values()), default=0)
        self.batch.meta.update(
            {
                **self._about,
                META_HEALTH: msgspec.msgpack.encode(health),
                META_OCCUPANCY: msgspec.json.encode(self._config.occupancy),
                META_NEXT_TRACK: str(next_track).encode(),
                META_NEXT_KEYFRAME: str(self.state.keyframes.next_index).encode(),
            }
        )
        blocks = self.state.keyframes.sealed(self._n_sealed)
        self.batch.keyframe_blocks.update(blocks)
        if self._image_encoder is not None:
            self.batch.meta[META_IMAGE_ENCODER] = self._image_encoder.name.encode()
        try:
            self._store.write(self.batch)
        except Exception as error:
            self._give_up(error)
            raise
        self.state.keyframes.stored()
        self._n_sealed = max(self._n_sealed, self.state.keyframes.next_index // KEYFRAMES_PER_BLOCK)
        self.batch, self._changed_maps = Batch(), set()
        self.n_uncommitted = 0
        self._count("commit", (self._timer() - started_s) * 1e3)
        # Readers of the running memory see what is durable; nothing that answers rest on has changed.
        self.state.health = msgspec.structs.replace(health, stage_ms=self.stage_ms)


def _about(address: str, features: FeaturesConfig | None) -> dict[str, bytes]:
    """Return the rows that tell other programs how this memory is used."""
    named = {} if features is None else {META_FEATURES: msgspec.json.encode(features)}
    return {META_ADDRESS: address.encode(), **named}
