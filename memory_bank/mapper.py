"""The mapper: one observation in; the scene graph, the occupancy map and the keyframes brought up to date.

A frame that the detector cannot work on is unhealthy: the map of free space goes on, tracks stay as they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from embodied.arrays import Float, Transform
from embodied.config import Config
from embodied.errors import PerceptionError
from embodied.messages import Observation, SessionEnd, SessionStart
from memory_bank.episodes.archive import KeyframeArchive
from memory_bank.episodes.eviction import KeyframeEviction
from memory_bank.episodes.hands import Hands, HandsConfig
from memory_bank.episodes.keyframes import (
    FrameFacts,
    Keyframe,
    KeyframeConfig,
    KeyframeSelector,
    coarse_depth,
    make_crop,
    make_thumbnail,
)
from memory_bank.features.protocol import ImageEncoder
from memory_bank.objects.absence import Background
from memory_bank.objects.lifecycle import confirm, continue_elsewhere, declare_gone, doubt, offer_view
from memory_bank.objects.linking import LinkingConfig, find_moves, is_newcomer, last_seen_empty, last_seen_occupied
from memory_bank.objects.replacement import (
    ReplacementConfig,
    can_take_apart,
    fills_place,
    hides,
    is_replaced,
    is_the_same,
    take_apart,
)
from memory_bank.objects.scene_graph import SceneGraph
from memory_bank.objects.told import meet_told
from memory_bank.objects.track import BestView, Track
from memory_bank.objects.tracker import Tracker, TrackerConfig, ViewInput, ViewResult
from memory_bank.objects.visibility import aside_rad
from memory_bank.perception.detections import DetectionConfig, Measured, MeasuredFrame, RayCache, measure_frame
from memory_bank.perception.protocol import Perception, View, view_of
from memory_bank.space.occupancy import OccupancyConfig, OccupancyMap


class MapperConfig(Config):
    """Settings of the mapper."""

    detections: DetectionConfig = DetectionConfig()
    tracker: TrackerConfig = TrackerConfig()
    linking: LinkingConfig = LinkingConfig()
    replacement: ReplacementConfig = ReplacementConfig()
    occupancy: OccupancyConfig = OccupancyConfig()
    keyframes: KeyframeConfig = KeyframeConfig()
    hands: HandsConfig = HandsConfig()
    crop_px: int = 128
    """Longest side of an object's picture."""
    crop_quality: int = 85
    """JPEG quality of it."""
    jump_m: float = 0.6
    """A pose that moves more than this …"""
    jump_m_s: float = 3.0
    """… plus this times the time since the last frame is a localisation fault."""
    link_every: int = 25
    """Frames between looks for moved things during a session."""
    background: Literal["level", "mesh"] = "level"
    """What to expect where a thing is gone: the level surface that it stood on, or also a mesh of what is behind."""
    background_keyframes: int = 400
    """The latest so many make that mesh; it needs open3d."""


@dataclass(frozen=True)
class FrameReport:
    """What one observation did."""

    session: str
    seq: int
    stage_ms: dict[str, float] = field(default_factory=dict)
    dirty_ids: tuple[str, ...] = ()
    """Tracks that must be stored anew, by number."""
    removed_ids: tuple[str, ...] = ()
    """Tracks that no longer exist under their own id: delete them from the store."""
    keyframes: tuple[Keyframe, ...] = ()
    """New keyframes of this frame, usually none."""
    removed_keyframes: tuple[int, ...] = ()
    """Indices of those that had to leave for them."""
    healthy: bool = True
    """Whether perception gave detections for it."""
    fault: str = ""
    """What was wrong if not."""


class Mapper:
    """Holds ``graph``, ``occupancy`` and decides on keyframes. One thread."""

    def __init__(
        self,
        config: MapperConfig,
        perception: Perception,
        timer: Callable[[], float] = time.perf_counter,
        keyframes: KeyframeArchive | None = None,
        image_encoder: ImageEncoder | None = None,
    ) -> None:
        """Begin with an empty map.

        Args:
            config: Settings.
            perception: The detector.
            timer: Gives seconds for the statistics; nothing else depends on it.
            keyframes: Where keyframes are kept; mappers of several frames of one memory share it.
            image_encoder: Gives keyframes their vectors; None for keyframes without.
        """
        self.config = config
        self.graph = SceneGraph()
        self.occupancy = OccupancyMap(config.occupancy)
        self.session = ""
        self.healthy = True
        self._perception = perception
        self._timer = timer
        self._tracker = Tracker(config.tracker, self.graph)
        self._hands = Hands(config.hands, self.graph, config.tracker.lifecycle)
        self._encoder = image_encoder
        self._selector = KeyframeSelector(config.keyframes, has_vectors=image_encoder is not None)
        self._eviction = KeyframeEviction(config.keyframes, has_vectors=image_encoder is not None)
        self._evicted: list[int] = []
        self._rays = RayCache()
        self._keyframes = KeyframeArchive() if keyframes is None else keyframes
        self.foreign_sessions: set[str] = set()
        """Sessions whose keyframes are in other frames, and say nothing about this one."""
        self._session_start_ns = 0
        self._last_pose: tuple[int, Transform] | None = None
        self._last_seq = -1
        self._n_new_tracks = 0
        self._links_due = False

    @property
    def keyframes(self) -> KeyframeArchive:
        """All keyframes, of all sessions, by index."""
        return self._keyframes

    # ------------------------------------------------------------------------------------------- sessions

    def start_session(self, start: SessionStart) -> None:
        """Begin a session; one that was left open is ended first by the caller (``end_session``).

        Raises:
            ConfigurationError: A mesh is asked for, and open3d or a system library that it needs is missing.
        """
        if self.session:
            raise ValueError(f"start: expected the session {self.session} to be ended first, got {start.session}")
        self.session = start.session
        self._session_start_ns = start.stamp_ns
        self._last_pose, self._last_seq, self._n_new_tracks = None, -1, 0
        self.occupancy.start_session(start.session)
        self._hands.start(start.session, start.proprioception_names)
        self._tracker.background = self._background() if self.config.background == "mesh" else None

    def _background(self) -> Background | None:
        """Fuse the latest keyframes of this frame; None if there are none yet.

        Raises:
            ConfigurationError: open3d, or a system library that it needs, is missing.
        """
        from memory_bank.dense.background import KeyframeBackground

        earlier = self._keyframes.indices(sessions=self._keyframes.sessions - self.foreign_sessions)
        latest = earlier[-self.config.background_keyframes :].tolist()
        return KeyframeBackground(self._keyframes.whole(latest)) if latest else None

    def go_on(self, other: Mapper, T_here_there: Transform) -> None:
        """Take over the session that is open in the mapper of another frame; the caller brings over its map."""
        self.session, other.session = other.session, ""
        self.healthy, self._session_start_ns = other.healthy, other._session_start_ns
        self._last_seq, self._n_new_tracks, self._links_due = other._last_seq, 0, True
        self._last_pose = other._last_pose and (other._last_pose[0], T_here_there @ other._last_pose[1])
        self._hands.go_on(other._hands, T_here_there)

    def end_session(self, end: SessionEnd | None = None) -> FrameReport:
        """Link, merge and clean up; also for a session that was cut off (None)."""
        if not self.session:
            raise ValueError("end: expected an open session, got none")
        result = ViewResult()
        self._hands.end(result)
        for track in [t for t in self.graph if not t.confirmed]:
            self.graph.remove(track.id)
            result.removed_ids.add(track.id)
        last_ns = self._last_pose[0] if self._last_pose else self._session_start_ns
        stamp_ns = end.stamp_ns if end is not None else last_ns
        self._tracker.merge_twins(result)
        self._judge_missed(stamp_ns, result)
        self._judge_newcomers([t for t in self.graph if t.first_session == self.session], result)
        self._link(stamp_ns, final=True, result=result)
        self.graph.check()
        for track in self.graph:
            track.before = None
        report = self._report(self._last_seq, {}, result, ())
        self.session = ""
        return report

    def restore(
        self, tracks: Iterable[Track], keyframes: Iterable[Keyframe], occupancy: bytes | None, n_tracks: int
    ) -> None:
        """Go on where another process stopped.

        Args:
            tracks: All that were stored, gone ones too.
            keyframes: Those of all sessions: their coarse depth tells what was seen where.
            occupancy: From ``OccupancyMap.to_bytes``; None if none was stored.
            n_tracks: One more than the highest number that any track ever had, so that no id is given twice.
        """
        self.graph.restore(tracks, n_tracks)
        self._keyframes.extend(sorted(keyframes, key=lambda keyframe: keyframe.index))
        if occupancy is not None:
            self.occupancy = OccupancyMap.from_bytes(occupancy, self.config.occupancy)
        self.graph.check()

    # ------------------------------------------------------------------------------------------- frames

    def integrate(self, observation: Observation) -> FrameReport:
        """Take in one observation. Observations of a session come in order of ``seq``."""
        if observation.session != self.session or observation.seq <= self._last_seq:
            raise ValueError(
                f"observation: expected session {self.session!r} and seq > {self._last_seq}, "
                f"got {observation.session!r} and {observation.seq}"
            )
        result, stage_ms, fault = ViewResult(), _Stages(self._timer), ""
        self._tracker.spared = self._hands.feel(observation)
        keyframes: list[Keyframe] = []
        steady = self._is_steady(observation)
        for camera in observation.cameras:
            if camera.depth is None:
                continue
            view = view_of(observation, camera)
            rays = self._rays.rays(camera.intrinsics)
            stage_ms.done("decode")
            frame, observed = None, []
            try:
                frame = self._measure(view, rays, stage_ms)
            except PerceptionError as error:
                fault = str(error)
            # What the robot holds is no part of the house: it moves with the camera.
            frame, depth_m = self._hands.take_out(frame, view, observation.T_world_base)
            view = replace(view, depth_m=depth_m)
            if steady:
                self.occupancy.integrate(view.depth_m, rays, view.T_world_camera, observation.T_world_base)
            stage_ms.done("occupancy")
            if steady and frame is not None:
                observed = self._track(view, frame, result, stage_ms)
            keyframes += self._keep(camera.name, view, observed)
            stage_ms.done("keyframes")
        self._hands.settle(observation.stamp_ns, result)
        self.healthy = not fault
        fault = fault or ("" if steady else "the pose jumped")
        self._last_seq = self.occupancy.seq = observation.seq
        self._links_due = self._links_due or result.n_gone > 0 or bool(result.confirmed)
        if self._links_due and observation.seq % self.config.link_every == 0:
            self._link(observation.stamp_ns, final=False, result=result)
            self._links_due = False
        stage_ms.done("links")
        return self._report(observation.seq, stage_ms.ms, result, tuple(keyframes), fault)

    def _is_steady(self, observation: Observation) -> bool:
        """Tell whether the robot can have come here since the last frame."""
        last, self._last_pose = self._last_pose, (observation.stamp_ns, observation.T_world_base)
        if last is None:
            return True
        moved_m = float(np.linalg.norm(observation.T_world_base[:3, 3] - last[1][:3, 3]))
        elapsed_s = (observation.stamp_ns - last[0]) * 1e-9
        return moved_m <= self.config.jump_m + self.config.jump_m_s * max(elapsed_s, 0.0)

    def _measure(self, view: View, rays: Float[np.ndarray, "height width 3"], stages: _Stages) -> MeasuredFrame:
        """Detect and measure."""
        detections = self._perception.detect(view)
        stages.done("detect")
        frame = measure_frame(detections, view.rgb, view.depth_m, rays, view.T_world_camera, self.config.detections)
        stages.done("measure")
        return frame

    def _track(
        self, view: View, frame: MeasuredFrame, result: ViewResult, stages: _Stages
    ) -> list[tuple[Track, Measured]]:
        """Find out which track is seen where; return what was observed in this view."""
        seen = self._tracker.step(_view_input(view, frame))
        meet_told(self.graph, seen, view.session, view.stamp_ns)
        self._replace(seen, view.stamp_ns)
        self._judge_newcomers(seen.confirmed, result)
        self._n_new_tracks += len(seen.confirmed)
        result.confirmed += seen.confirmed
        result.dirty_ids |= seen.dirty_ids
        result.removed_ids |= seen.removed_ids
        result.n_gone += seen.n_gone
        stages.done("track")
        return seen.observed

    def _keep(self, camera: str, view: View, observed: list[tuple[Track, Measured]]) -> list[Keyframe]:
        """Keep the frame if it is a keyframe, and the pictures of things that it shows better than before."""
        facts = FrameFacts(
            session=view.session,
            stamp_ns=view.stamp_ns,
            T_world_camera=view.T_world_camera,
            n_new_tracks=self._n_new_tracks,
            vector=self._embed(view) if self._selector.needs_vectors else None,
        )
        kept = []
        if self._selector.wants(camera, facts) or self._hands.changed:
            self._n_new_tracks = 0
            keyframe = self._make_keyframe(camera, view, observed, facts.vector)
            self._keyframes.append(keyframe)
            self._evicted += self._eviction.apply(self._keyframes)
            kept.append(keyframe)
        for track, thing in observed:
            self._offer(track, thing, view)
        return kept

    def _embed(self, view: View) -> np.ndarray | None:
        """Return what a view looks like; None without an encoder."""
        return None if self._encoder is None else self._encoder.encode([view.rgb])[0]

    def _make_keyframe(
        self, camera: str, view: View, observed: list[tuple[Track, Measured]], vector: np.ndarray | None
    ) -> Keyframe:
        """Return the view as a keyframe."""
        vector = self._embed(view) if vector is None else vector
        settings = self.config.keyframes
        depth_mm, depth_shape = coarse_depth(view.depth_m)
        ids = sorted({track.id for track, _ in observed}, key=lambda name: int(name[1:]))
        return Keyframe(
            index=self._keyframes.next_index,
            session=view.session,
            seq=view.seq,
            stamp_ns=view.stamp_ns,
            camera=camera,
            T_world_camera=tuple(view.T_world_camera.ravel().tolist()),
            intrinsics=view.intrinsics,
            thumbnail_jpeg=make_thumbnail(view.rgb, settings.thumbnail_px, settings.jpeg_quality),
            depth_mm=depth_mm,
            depth_shape=depth_shape,
            track_ids=tuple(ids),
            embedding=b"" if vector is None else vector.astype("<f2").tobytes(),
        )

    def _offer(self, track: Track, thing: Measured, view: View) -> None:
        """Keep a picture of a thing if it shows it clearly better than those before."""
        score = float(thing.n_pixels) * (0.4 if thing.partial else 1.0)
        settings = self.config.tracker.lifecycle
        if len(track.views) >= settings.n_views and score < 1.2 * track.views[-1].score:
            return
        if track.views and score < 0.25 * track.views[0].score:
            return
        x, y, z = view.T_world_camera[:3, 3].tolist()
        picture = BestView(
            session=view.session,
            stamp_ns=view.stamp_ns,
            keyframe=self._keyframes.next_index - 1,
            camera_position_m=(x, y, z),
            score=score,
            crop_jpeg=b"",
            seq=view.seq,
            aside_rad=aside_rad(view.T_world_camera, thing.center_m),
        )
        if offer_view(track, picture, settings):
            picture.crop_jpeg = make_crop(view.rgb, thing.bounds_px, self.config.crop_px, self.config.crop_quality)

    # ------------------------------------------------------------------------------------------- what became of it

    def _judge_newcomers(self, tracks: list[Track], result: ViewResult) -> None:
        """Find out whether earlier sessions saw the places of new things without them."""
        earlier = self._keyframes.sessions - self.foreign_sessions - {self.session}
        newcomers = [track for track in tracks if is_newcomer(track, self.session)]
        if not earlier or not newcomers:
            return
        margins, linking = self.config.tracker.visibility, self.config.linking
        everything = self.graph.confirmed(include_gone=True)
        for track in newcomers:
            occupied_ns = last_seen_occupied(track, everything, self.session, linking)
            near = self._keyframes.near(track.position_m, linking.view_distance_m, linking.max_keyframes, earlier)
            empty_ns = last_seen_empty(track, near, margins, linking)
            track.place_was_empty_ns = max((ns for ns in (occupied_ns, empty_ns) if ns is not None), default=None)
            result.dirty_ids.add(track.id)

    def _replace(self, seen: ViewResult, stamp_ns: int) -> None:
        """Take tracks apart in whose place another thing turned out to stand."""
        config = self.config.replacement
        for track in {track.id: track for track, _ in seen.observed if track.before is not None}.values():
            if is_the_same(track, config):
                track.before = None
            elif is_replaced(track, config) and can_take_apart(track):
                self._take_apart(track, seen, stamp_ns)

    def _take_apart(self, track: Track, seen: ViewResult, stamp_ns: int) -> None:
        """Let what this session saw in a track's place be a thing of its own."""
        new = take_apart(track, self.graph.new_id())
        confirm(new, stamp_ns, self.session)
        self.graph.insert(new)
        self.graph.touch(track)
        for other in [self.graph.get(name) for name in track.seen_with]:
            if other is not None and other.last_session == self.session and other.is_there:
                other.seen_with.add(new.id)
                new.seen_with.add(other.id)
        if fills_place(new, track, self.config.replacement) and track.state != "gone":
            track.seen_empty_ns = new.first_seen_ns
            declare_gone(track, stamp_ns, self.session)
            seen.n_gone += 1
        seen.observed = [(new if each is track else each, thing) for each, thing in seen.observed]
        seen.confirmed.append(new)
        seen.dirty_ids |= {track.id, new.id, *new.seen_with}

    def _judge_missed(self, stamp_ns: int, result: ViewResult) -> None:
        """Decide at the session's end about things that were not seen in it, and not surely gone at once."""
        arrived = [track for track in self.graph if track.is_there and track.intervals[-1].session == self.session]
        for track in self.graph.confirmed():
            if track.last_seen_ns >= self._session_start_ns:
                continue
            if track.n_missed >= 2:
                declare_gone(track, stamp_ns, self.session)
            elif track.n_missed == 1 or (track.source == "seen" and any(hides(new, track) for new in arrived)):
                doubt(track)
            else:
                continue
            result.dirty_ids.add(track.id)

    def _link(self, stamp_ns: int, final: bool, result: ViewResult) -> None:
        """Continue the identities of things that vanished here and appeared there."""
        for old, new in find_moves(self.graph, self.session, self._session_start_ns, final, self.config.linking):
            continue_elsewhere(old, new, stamp_ns, self.session)
            self.graph.merge(old.id, new.id)
            result.dirty_ids.add(old.id)
            result.removed_ids.add(new.id)

    def _report(
        self,
        seq: int,
        stage_ms: dict[str, float],
        result: ViewResult,
        keyframes: tuple[Keyframe, ...],
        fault: str = "",
    ) -> FrameReport:
        """Sum up what a frame did."""
        alive = [i for i in result.dirty_ids if i not in result.removed_ids]
        evicted, self._evicted = self._evicted, []
        return FrameReport(
            session=self.session,
            seq=seq,
            stage_ms=stage_ms,
            dirty_ids=tuple(sorted(alive, key=lambda name: int(name[1:]))),
            removed_ids=tuple(sorted(result.removed_ids, key=lambda name: int(name[1:]))),
            keyframes=keyframes,
            removed_keyframes=tuple(evicted),
            healthy=not fault,
            fault=fault,
        )


class _Stages:
    """Time spent in each stage of a frame."""

    def __init__(self, timer: Callable[[], float]) -> None:
        self.ms: dict[str, float] = {}
        self._timer = timer
        self._since = timer()

    def done(self, stage: str) -> None:
        """Charge the time since the last call to ``stage``."""
        now = self._timer()
        self.ms[stage] = self.ms.get(stage, 0.0) + 1e3 * (now - self._since)
        self._since = now


def _view_input(view: View, frame: MeasuredFrame) -> ViewInput:
    """Return what the tracker works on."""
    return ViewInput(
        session=view.session,
        stamp_ns=view.stamp_ns,
        frame=frame,
        depth_m=view.depth_m,
        intrinsics=view.intrinsics,
        T_world_camera=view.T_world_camera,
    )
