"""Forgetting for good: what a region, a time, a session or an object has left in the memory is found and taken out.

``plan`` only looks, ``carry_out`` does it. Everything that shows or tells of what is forgotten goes: keyframes,
pictures of objects, stretches of histories, objects that were seen nowhere else, notes. The map of free space and the
list of sessions stay: they tell where a robot can drive and when it ran, and not what was there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from embodied.messages import Box, Forget, ForgetReply
from memory_bank.episodes.sightlines import keyframe_shows, lies_in, picture_may_show
from memory_bank.geometry.boxes import fitted_box, points_in_box
from memory_bank.geometry.voxels import VoxelCloud, unpack
from memory_bank.objects.lifecycle import refresh
from memory_bank.objects.track import BestView, Track
from memory_bank.person.trimming import Mark, Memories, Trimmed, trim
from memory_bank.state import FrameState, MemoryState, frame_of

FARTHEST_SEEN_M = 12.0
"""No keyframe shows a region beyond this."""
PIXELS_PER_M = 40.0
"""Nor does one show a thing from farther than this times its length: it would have no three pixels in it."""
OBJECT_PIXELS = 3
"""Of the coarse depth of a keyframe in the box of an object: fewer are the edge of something else."""


@dataclass
class Plan:
    """What would go."""

    removed: list[tuple[FrameState, Track]] = field(default_factory=list)
    trimmed: list[tuple[FrameState, Track, dict[str, Any]]] = field(default_factory=list)
    keyframes: list[int] = field(default_factory=list)
    n_pictures: int = 0
    n_intervals: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to forget."""
        return not (self.removed or self.trimmed or self.keyframes)

    @property
    def reply(self) -> ForgetReply:
        """The numbers for the asker; things that were never shown to anybody are not counted."""
        return ForgetReply(
            n_objects=sum(track.is_shown for _, track in self.removed),
            n_keyframes=len(self.keyframes),
            n_pictures=self.n_pictures,
            n_intervals=self.n_intervals,
        )


def plan(forget: Forget, state: MemoryState) -> Plan:
    """Find what is to be forgotten; nothing is changed.

    Raises:
        ValueError: There is no condition, or it names a session, an object or a frame that is not known, or a region
            that is none.
    """
    search = _Search(forget, state)
    found = Plan()
    for frame in search.frames:
        marks = search.marks_of(frame)
        for track in frame.graph:
            trimmed = search.trimmed(track, marks.get(track.id, ()))
            found.n_pictures += trimmed.n_pictures
            found.n_intervals += trimmed.n_intervals
            if trimmed.values is None:
                found.removed.append((frame, track))
            elif trimmed.values:
                found.trimmed.append((frame, track, trimmed.values))
        found.keyframes += sorted(search.keyframes_of(frame))
    return found


def carry_out(found: Plan) -> list[tuple[FrameState, str]]:
    """Take out of the graphs what was found. Keyframes are the caller's.

    Returns:
        Frame and id of each track that is to be stored anew, or removed from the store.
    """
    for frame, track, values in found.trimmed:
        for name, value in values.items():
            setattr(track, name, value)
        track.epoch += 1
        if "box" in values:
            refresh(track)
        frame.graph.touch(track)
    for frame, track in found.removed:
        frame.graph.remove(track.id)
    changed = [(frame, track.id) for frame, track, _ in found.trimmed]
    return changed + [(frame, track.id) for frame, track in found.removed]


class _Search:
    """One request against the memory: what matches its conditions."""

    def __init__(self, forget: Forget, state: MemoryState) -> None:
        self._forget, self._state = forget, state
        _check(forget)
        if forget.session and forget.session not in state.sessions:
            known = ", ".join(repr(session) for session in state.sessions) or "none"
            raise ValueError(f"session: expected one that I know ({known}), got {forget.session!r}")
        self._object: Track | None = None
        self.frames = list(state.frames.values())
        if forget.region is not None:
            self.frames = [state.frame_named(forget.world_frame or state.current)] if self.frames else []
        if forget.object_id:
            found = state.find(forget.object_id)
            if found is None or not found[1].confirmed:
                raise ValueError(f"object_id: expected the id of an object that I know, got {forget.object_id!r}")
            self._object = found[1]
            self.frames = [frame for frame in self.frames if frame is found[0]]

    # ------------------------------------------------------------------------------------------ tracks

    def trimmed(self, track: Track, marks: tuple[Mark, ...]) -> Trimmed:
        """Return what is left of a track."""

        def is_forgotten(stamp_ns: int, session: str, place: Box) -> bool:
            return self._is_meant(track) and self._at(stamp_ns, session) and self._in_region(place)

        memories = Memories(marks, self._session_at)
        found = trim(track, is_forgotten, lambda view: self._is_forgotten_view(track, view), memories)
        if found.values is None or not self._cuts_shapes:
            return found
        return self._without_voxels(track, found)

    def _is_meant(self, track: Track) -> bool:
        return self._object is None or track is self._object

    def _at(self, stamp_ns: int, session: str) -> bool:
        """Tell whether time and session fit."""
        forget = self._forget
        return (
            (forget.since_ns is None or stamp_ns >= forget.since_ns)
            and (forget.until_ns is None or stamp_ns <= forget.until_ns)
            and (not forget.session or session == forget.session)
        )

    def _in_region(self, place: Box) -> bool:
        return self._forget.region is None or lies_in(place, self._forget.region)

    def _session_at(self, stamp_ns: int) -> str:
        for record in reversed(self._state.sessions.values()):
            if record.start_ns <= stamp_ns and (record.end_ns is None or stamp_ns <= record.end_ns):
                return record.session
        return ""

    def _is_forgotten_view(self, track: Track, view: BestView) -> bool:
        """Tell whether a picture of a track shows what is forgotten, be it behind the thing."""
        if not self._at(view.stamp_ns, view.session):
            return False
        place = _place_at(track, view.stamp_ns)
        if self._is_meant(track) and self._in_region(place):
            return True
        for start_ns, stop_ns in [] if self._object is None else self._carryings(self._object):
            if start_ns <= view.stamp_ns and (stop_ns is None or view.stamp_ns <= stop_ns):
                return True
        return any(picture_may_show(view.camera_position_m, place, box) for box in self._shown_at(view.stamp_ns))

    @property
    def _cuts_shapes(self) -> bool:
        """Whether the region alone decides: voxels know no time."""
        forget = self._forget
        return forget.region is not None and not self._object and not forget.session and self._is_any_time

    @property
    def _is_any_time(self) -> bool:
        return self._forget.since_ns is None and self._forget.until_ns is None

    def _without_voxels(self, track: Track, found: Trimmed) -> Trimmed:
        """Let a thing that reaches into the region lose that part of its shape."""
        assert self._forget.region is not None
        assert found.values is not None
        cloud: VoxelCloud = found.values.get("voxels", track.voxels)
        if len(cloud) == 0:
            return found
        centers = ((unpack(cloud.keys) + 0.5) * cloud.size_m).astype(np.float32)
        keep = ~points_in_box(centers, self._forget.region)
        if keep.all():
            return found
        if not keep.any():
            return Trimmed(None, len(track.views), 0)
        left = VoxelCloud(cloud.level)
        left.keys, left.hits, left.through = cloud.keys[keep], cloud.hits[keep], cloud.through[keep]
        values = {**found.values, "voxels": left, "box": fitted_box(left), "before": None}
        return Trimmed(values, found.n_pictures, found.n_intervals)

    # ------------------------------------------------------------------------------------------ keyframes

    def _sessions_in(self, frame: FrameState) -> set[str]:
        return {name for name, record in self._state.sessions.items() if frame_of(record) == frame.name}

    def marks_of(self, frame: FrameState) -> dict[str, tuple[Mark, ...]]:
        """Return by track when keyframes show it. Only a condition on time or session asks for it."""
        if self._is_any_time and not self._forget.session:
            return {}
        marks: dict[str, list[Mark]] = {}
        for stamp_ns, session, track_ids in self._state.keyframes.sightings(self._sessions_in(frame)):
            for track_id in track_ids:
                marks.setdefault(frame.graph.resolve(track_id), []).append(Mark(stamp_ns, session))
        return {track_id: tuple(found) for track_id, found in marks.items()}

    def keyframes_of(self, frame: FrameState) -> set[int]:
        """Return the indices of the keyframes of a frame that show what is forgotten."""
        forget, archive = self._forget, self._state.keyframes
        sessions = self._sessions_in(frame) & ({forget.session} if forget.session else set(self._state.sessions))
        since_ns, until_ns = forget.since_ns, forget.until_ns
        if self._object is not None:
            return self._keyframes_of_object(self._object, sessions)
        if forget.region is not None:
            return self._showing(forget.region, 1, FARTHEST_SEEN_M, (since_ns, until_ns), sessions)
        return set(archive.indices(since_ns=since_ns, until_ns=until_ns, sessions=sessions).tolist())

    def _keyframes_of_object(self, track: Track, sessions: set[str]) -> set[int]:
        """Return the keyframes in which it was detected, and those that show its place while it was there."""
        forget, names = self._forget, {track.id, *track.merged_ids}
        windows = [(forget.since_ns, forget.until_ns)] if forget.region is None else []
        found: set[int] = set()
        for stay in track.intervals:
            if stay.state in ("present", "moved") and self._in_region(stay.box):
                ends = (_latest(forget.since_ns, stay.valid_from_ns), _earliest(forget.until_ns, stay.valid_to_ns))
                reach_m = min(FARTHEST_SEEN_M, PIXELS_PER_M * max(stay.box.size_m))
                found |= self._showing(stay.box, OBJECT_PIXELS, reach_m, ends, sessions)
                windows.append(ends)
        for start_ns, stop_ns in self._carryings(track):
            ends = (_latest(forget.since_ns, start_ns), _earliest(forget.until_ns, stop_ns))
            found.update(self._state.keyframes.indices(since_ns=ends[0], until_ns=ends[1], sessions=sessions).tolist())
        for since_ns, until_ns in windows:
            found.update(
                self._state.keyframes.indices(
                    since_ns=since_ns, until_ns=until_ns, sessions=sessions, track_ids=names
                ).tolist()
            )
        return found

    def _carryings(self, track: Track) -> list[tuple[int, int | None]]:
        """Return from when to when the robot held a thing: it is in the picture then, though no keyframe lists it."""
        found: list[tuple[int, int | None]] = []
        for stay in track.intervals:
            if stay.state == "held" and self._in_region(stay.box):
                is_over = stay.valid_to_ns is None and track.state != "held"
                found.append((stay.valid_from_ns, track.last_seen_ns if is_over else stay.valid_to_ns))
        return found

    def _showing(
        self, box: Box, least_pixels: int, reach_m: float, ends_ns: tuple[int | None, int | None], sessions: set[str]
    ) -> set[int]:
        """Return the keyframes whose depth has points in a box, or none where it is."""
        archive = self._state.keyframes
        candidates = archive.indices(
            since_ns=ends_ns[0],
            until_ns=ends_ns[1],
            near_m=box.center_m,
            radius_m=reach_m + 0.5 * math.hypot(*box.size_m),
            sessions=sessions,
        ).tolist()
        return {each.index for each in archive.whole(candidates) if keyframe_shows(each, box, least_pixels)}

    def _shown_at(self, stamp_ns: int) -> list[Box]:
        """Return what a picture of an instant must not show: the region, or the object where it then was."""
        forget = self._forget
        if self._object is None:
            return [] if forget.region is None else [forget.region]
        stays = [
            interval.box
            for interval in self._object.intervals
            if interval.state in ("present", "moved")
            and interval.valid_from_ns <= stamp_ns
            and (interval.valid_to_ns is None or stamp_ns <= interval.valid_to_ns)
        ]
        return [box for box in stays if self._in_region(box)]


def _check(forget: Forget) -> None:
    """Refuse a request that would forget everything, or nothing that exists."""
    times = (forget.since_ns, forget.until_ns)
    if forget.region is None and times == (None, None) and not forget.session and not forget.object_id:
        raise ValueError("forget: expected at least one of region, since_ns, until_ns, session and object_id, got none")
    if forget.since_ns is not None and forget.until_ns is not None and forget.since_ns > forget.until_ns:
        raise ValueError(f"since_ns: expected at most until_ns, got {forget.since_ns} > {forget.until_ns}")
    region = forget.region
    if region is None:
        return
    if not all(math.isfinite(value) for value in (*region.center_m, *region.size_m, region.yaw_rad)):
        raise ValueError(f"region: expected finite metres, got {region}")
    if not all(value > 0.0 for value in region.size_m):
        raise ValueError(f"region: expected lengths above 0, got {region.size_m}")


def _place_at(track: Track, stamp_ns: int) -> Box:
    """Return where a track was at an instant."""
    for interval in track.intervals:
        if interval.valid_from_ns <= stamp_ns and (interval.valid_to_ns is None or stamp_ns <= interval.valid_to_ns):
            return interval.box
    return track.box


def _latest(a_ns: int | None, b_ns: int) -> int:
    return b_ns if a_ns is None else max(a_ns, b_ns)


def _earliest(a_ns: int | None, b_ns: int | None) -> int | None:
    return min((each for each in (a_ns, b_ns) if each is not None), default=None)
