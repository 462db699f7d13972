"""Which frame a session goes into, and when two frames turn out to be one.

A session whose frame has a known name goes where the sessions of that name are. One with another name opens a frame of
its own, is compared with the others while it runs and at its end, and is brought over into one once both clearly show
the same place. Until then, and for ever if they never do, it is kept apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from embodied.messages import Alignment, SessionRecord
from memory_bank.episodes.keyframes import Keyframe
from memory_bank.frames.alignment import AlignmentConfig, Finding, Grid, align
from memory_bank.frames.merging import Merged, merge_frames
from memory_bank.frames.poses import after, moved_keyframe, moved_point, pose_of
from memory_bank.mapper import Mapper
from memory_bank.state import FrameState, MemoryState, frame_of

TRACKS_PER_PERIOD = 1000
"""Attempts become rarer by one period for every so many things."""


def place_for(sessions: Iterable[SessionRecord], world_frame: str) -> tuple[str, Alignment | None]:
    """Return the memory's frame for a new session, and where the session's own frame lies in it."""
    known = [record for record in sessions if record.world_frame == world_frame]
    return (frame_of(known[-1]), known[-1].alignment) if known else (world_frame, None)


@dataclass(frozen=True)
class Merge:
    """Two frames that are one."""

    source: FrameState
    target: FrameState
    alignment: Alignment
    """``T_target_source``."""


class FrameKeeper:
    """Looks for frames that are one, and brings one over into the other."""

    def __init__(self, config: AlignmentConfig, state: MemoryState, mappers: dict[str, Mapper]) -> None:
        """Args: ``state`` and ``mappers`` are the memory's own, changed in place."""
        self._config = config
        self._state = state
        self._mappers = mappers
        self._turn = 0
        self.last = Finding(None, "nothing to compare with yet")
        """What came of the last attempt, for those who wonder why two frames are apart."""

    def attempt(self, seq: int) -> Merge | None:
        """Compare the robot's frame with another one, each in turn, if it is time; return what to merge."""
        others = self._others()
        # The work grows with the maps: large ones are compared less often.
        n_tracks = sum(len(frame.graph) for frame in self._state.frames.values())
        if not others or (seq + 1) % (self._config.every * (1 + n_tracks // TRACKS_PER_PERIOD)):
            return None
        self._turn += 1
        return self._compare(others[self._turn % len(others)])

    def attempt_all(self) -> Merge | None:
        """Compare the robot's frame with all others; return what to merge first."""
        return next((merge for other in self._others() if (merge := self._compare(other))), None)

    def _others(self) -> list[FrameState]:
        current = self._state.current
        return [frame for name, frame in self._state.frames.items() if name != current]

    def _compare(self, other: FrameState) -> Merge | None:
        names = list(self._state.frames)
        source, target = sorted((other, self._state.frame), key=lambda frame: -names.index(frame.name))
        self.last = align(
            list(source.graph), Grid.of(source.occupancy), list(target.graph), Grid.of(target.occupancy), self._config
        )
        return Merge(source, target, self.last.alignment) if self.last.alignment is not None else None

    def merge(self, found: Merge) -> tuple[Merged, list[SessionRecord], list[Keyframe]]:
        """Bring the source into the target.

        Returns:
            Which tracks of the target changed, and the sessions and keyframes that did.
        """
        state, source, target, pose = self._state, found.source, found.target, pose_of(found.alignment)
        records = state.sessions_in(source.name)
        others = state.sessions_in(target.name)
        ours = {record.session for record in records}
        archive, keyframes = state.keyframes, []
        for keyframe in archive.whole(archive.indices(sessions=ours).tolist()):
            keyframes.append(moved_keyframe(keyframe, pose))
            archive.replace(keyframes[-1])
        merged = merge_frames(
            self._mappers[source.name],
            self._mappers[target.name],
            pose,
            records,
            others,
            archive,
            state.health.now_ns,
        )
        changed = [_aligned(record, target.name, found.alignment) for record in records]
        if state.health.session in ours and state.health.agent_m is not None:
            agent_m = moved_point(pose, state.health.agent_m)
            state.health = msgspec.structs.replace(state.health, agent_m=agent_m)
        state.sessions.update({record.session: record for record in changed})
        del state.frames[source.name], self._mappers[source.name]
        target.merges += 1
        self.tell_foreign(target.name)
        return merged, changed, keyframes

    def tell_foreign(self, name: str) -> None:
        """Tell the mapper of a frame which sessions lie in others."""
        foreign = {record.session for record in self._state.sessions.values() if frame_of(record) != name}
        self._mappers[name].foreign_sessions = foreign


def _aligned(record: SessionRecord, frame: str, found: Alignment) -> SessionRecord:
    """Return the record of a session whose frame has been brought into another one."""
    pose = pose_of(found)
    if record.alignment is not None:
        pose = after(pose, pose_of(record.alignment))
    yaw_rad, x, y, z = pose.tolist()
    alignment = msgspec.structs.replace(found, yaw_rad=yaw_rad, position_m=(x, y, z))
    return msgspec.structs.replace(record, memory_frame=frame, alignment=alignment)
