"""What the robot's gripper did to things: which track it took, and where that thing is after it let go.

The only signal is the gripper's own (``gripper_closed`` among the proprioception). While it is closed, what stays at
one place before the robot's base is held: it is no part of the house. The track that was taken is the one within reach
that is most like it; once it is let go, what newly appears within reach and is most like it is the same thing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from embodied.arrays import DepthMetres, Transform
from embodied.config import Config
from embodied.geometry import invert
from embodied.messages import Observation, Point
from memory_bank.geometry.boxes import box_between
from memory_bank.objects.appearance import Appearance, similarity
from memory_bank.objects.lifecycle import LifecycleConfig, doubt, new_track, pick_up, put_down, put_down_unseen
from memory_bank.objects.scene_graph import SceneGraph
from memory_bank.objects.track import Track
from memory_bank.objects.tracker import ViewResult
from memory_bank.perception.detections import Measured, MeasuredFrame
from memory_bank.perception.protocol import View

GRIPPER_CLOSED = "gripper_closed"
"""Name of the number of the proprioception that is 1 while the gripper holds something, else 0."""

MIN_SEEN = 2
"""Views of what is held below which nothing was taken."""


class HandsConfig(Config):
    """Where the gripper holds things, and when the memory is sure of what it did."""

    grasp_m: Point = (0.6, 0.0, 0.85)
    """Where a thing is held, in the base frame …"""
    within_m: float = 0.35
    """… and how far from there its middle may be when it is first seen …"""
    steady_m: float = 0.12
    """… and later from where it was first seen."""
    stands_m: float = 0.15
    """What is seen this near a known thing of its label is that thing, and not in the hand."""
    beside_px: int = 3
    """Depth this near the held thing's mask is not trusted either …"""
    behind_m: float = 0.15
    """… unless it lies so far behind."""
    reach_m: float = 2.2
    """Things farther than this from the base cannot have been taken, or put down."""
    largest_m: float = 0.9
    """Nor larger ones."""
    sure_after: int = 4
    """Views of the held thing after which the memory decides what it is …"""
    decide_within: int = 12
    """… or so many frames."""
    settle_within: int = 40
    """Frames after it was let go within which it should be seen again."""
    least_alike: float = 0.2
    """Least likeness of labels times that of colours …"""
    least_alike_later: float = 0.5
    """… and of what the gripper let go of between two sessions."""


@dataclass
class _Held:
    """A thing in the gripper."""

    picked_ns: int
    base_m: Point
    """Where the robot stood when it took it."""
    suspects: set[str]
    """Tracks that it may be."""
    track_id: str = ""
    """The one that it is, once that is decided."""
    labels: dict[str, float] = field(default_factory=dict)
    appearance: Appearance = field(default_factory=Appearance)
    n_frames: int = 0
    n_seen: int = 0
    at_m: Point | None = None
    """Its middle in the base frame."""
    last: Measured | None = None


@dataclass
class _Released:
    """A thing that was let go, and not seen since."""

    held: _Held
    placed_ns: int
    base_m: Point
    next_number: int
    """Tracks with this number or a higher one began since."""
    n_frames: int = 0
    was_seen: bool = True
    """Whether the gripper was seen to open; otherwise that was before the session."""


class Hands:
    """Follows the gripper through a session. Its mapper calls it for each observation, in this order.

    ``feel`` before anything else, ``take_out`` for each view, ``settle`` when the views have gone into the graph.
    """

    def __init__(self, config: HandsConfig, graph: SceneGraph, lifecycle: LifecycleConfig) -> None:
        self._config = config
        self._graph = graph
        self._lifecycle = lifecycle
        self._signal: int | None = None
        self._session = ""
        self._is_first = True
        self._now_ns = 0
        self._held: _Held | None = None
        self._released: list[_Released] = []
        self.changed = False
        """Whether the gripper opened or closed since the observation before."""

    def start(self, session: str, proprioception_names: Sequence[str]) -> None:
        """Begin a session of a robot whose proprioception has these names."""
        names = list(proprioception_names)
        self._signal = names.index(GRIPPER_CLOSED) if GRIPPER_CLOSED in names else None
        self._session, self._is_first, self.changed = session, True, False
        self._held, self._released = None, []

    def go_on(self, other: Hands, T_here_there: Transform) -> None:
        """Take over from the hands of another map frame whose tracks came over."""
        self._signal, self._session, self._is_first = other._signal, other._session, other._is_first
        self._held, self._released, self._now_ns = other._held, other._released, other._now_ns
        for each in [self._held, *self._released]:
            if each is not None:
                x_m, y_m, z_m = (T_here_there @ np.array([*each.base_m, 1.0]))[:3].tolist()
                each.base_m = (x_m, y_m, z_m)

    # ------------------------------------------------------------------------------------------- an observation

    def feel(self, observation: Observation) -> set[str]:
        """Take note of the gripper; return the tracks that it may have taken."""
        self.changed, self._now_ns = False, observation.stamp_ns
        if self._signal is None or self._signal >= len(observation.proprioception):
            return set()
        closed = bool(observation.proprioception[self._signal] > 0.5)
        x_m, y_m, z_m = observation.T_world_base[:3, 3].tolist()
        base_m = (x_m, y_m, z_m)
        if self._is_first:
            self._is_first = False
            self._resume(closed, observation.stamp_ns, base_m)
        elif closed and self._held is None:
            self.changed = True
            suspects = {track.id for track in self._within_reach(base_m)}
            self._held = _Held(picked_ns=observation.stamp_ns, base_m=base_m, suspects=suspects)
        elif not closed and self._held is not None:
            self.changed = True
            released = _Released(self._held, observation.stamp_ns, base_m, self._graph.next_number)
            self._released.append(released)
            self._held = None
        undecided = [each for each in [self._held, *(r.held for r in self._released)] if each and not each.track_id]
        return set().union(*(each.suspects for each in undecided))

    def _resume(self, closed: bool, stamp_ns: int, base_m: Point) -> None:
        """Find out at a session's first observation whether what was held still is."""
        tracks = [track for track in self._graph if track.state == "held"]
        held = _Held(picked_ns=stamp_ns, base_m=base_m, suspects=set())
        if len(tracks) == 1:
            # By what it was before it is known again once it is put down.
            held.track_id, held.labels = tracks[0].id, dict(tracks[0].label_shares)
            held.appearance.add(tracks[0].appearance.shares(), 1.0)
        elif closed:
            # The process may have died before it was decided what was taken.
            held.suspects = {track.id for track in self._within_reach(base_m)}
        if closed:
            self._held = held
        elif held.track_id:
            # It may have died before the thing was seen where it was put.
            glimpses = [t.number for t in self._graph if not t.confirmed and t.first_seen_ns > tracks[0].arrived_ns]
            first = min(glimpses, default=self._graph.next_number)
            self._released.append(_Released(held, stamp_ns, base_m, first, was_seen=False))
        for track in tracks:
            if self._held is None or track.id != self._held.track_id:
                doubt(track)

    def take_out(
        self, frame: MeasuredFrame | None, view: View, T_world_base: Transform
    ) -> tuple[MeasuredFrame | None, DepthMetres]:
        """Return what is seen of the house: things and depth without what is held."""
        held = self._held
        if held is None:
            return frame, view.depth_m
        held.n_frames += 1
        index = None if frame is None else self._find(frame, held, invert(T_world_base))
        if frame is not None and index is not None:
            held.last = thing = frame.things[index]
            held.n_seen += 1
            if thing.label:
                held.labels[thing.label] = held.labels.get(thing.label, 0.0) + thing.score
            held.appearance.add(thing.colour_shares, 1.0)
            self._remember(held, thing, view.stamp_ns)
            frame = _without(frame, index)
        if held.last is None:
            return frame, view.depth_m
        return frame, self._depth_without(view.depth_m, held.last)

    def _find(self, frame: MeasuredFrame, held: _Held, T_base_world: Transform) -> int | None:
        """Return which detection is the held thing, and note where it is."""
        if not frame.things:
            return None
        centers_m = np.stack([thing.center_m for thing in frame.things]) @ T_base_world[:3, :3].T + T_base_world[:3, 3]
        is_sure = held.at_m is not None and held.n_seen >= self._config.sure_after
        expected_m = held.at_m if held.at_m is not None and is_sure else self._config.grasp_m
        distances_m = np.linalg.norm(centers_m - np.array(expected_m), axis=1)
        if not is_sure:
            # What stands where something is known to stand, is not in the hand that comes near it.
            known = [self._stands_there(thing, held) for thing in frame.things]
            distances_m += self._config.within_m * np.array(known, dtype=float)
        index = int(np.argmin(distances_m))
        reach_m = self._config.steady_m if is_sure else self._config.within_m
        if distances_m[index] > reach_m or frame.things[index].longest_m > self._config.largest_m:
            return None
        x_m, y_m, z_m = centers_m[index].tolist()
        held.at_m = (x_m, y_m, z_m)
        return index

    def _stands_there(self, thing: Measured, held: _Held) -> bool:
        """Tell whether one of the things near the robot stands where something is seen, and is called the same."""
        for track in map(self._graph.get, held.suspects):
            if track is not None and track.label_shares.get(thing.label, 0.0) >= 0.3:
                if math.dist(track.position_m, thing.center_m.tolist()) <= self._config.stands_m:
                    return True
        return False

    def _remember(self, held: _Held, thing: Measured, stamp_ns: int) -> None:
        """Let the track that is held know what it is called while it is carried."""
        track = self._graph.get(held.track_id) if held.track_id else None
        if track is not None:
            track.last_seen_ns, track.last_session = stamp_ns, self._session
            if thing.label and not track.pinned:
                track.label_weights[thing.label] = track.label_weights.get(thing.label, 0.0) + thing.score

    def _depth_without(self, depth_m: DepthMetres, thing: Measured) -> DepthMetres:
        """Return a depth image in which nothing is known where the held thing is."""
        top, bottom, left, right = thing.bounds_px
        pad = self._config.beside_px
        rows, columns = slice(max(0, top - pad), bottom + pad), slice(max(0, left - pad), right + pad)
        cleared = depth_m.copy()
        part = cleared[rows, columns]
        part[part < thing.distance_m + 0.5 * thing.longest_m + self._config.behind_m] = 0.0
        return cleared

    # ------------------------------------------------------------------------------------------- what it means

    def settle(self, stamp_ns: int, result: ViewResult) -> None:
        """Decide what is held and where things were put, as far as what was seen says so."""
        config, held = self._config, self._held
        if held is not None and not held.track_id:
            if held.n_seen >= config.sure_after or (held.n_seen >= MIN_SEEN and held.n_frames >= config.decide_within):
                self._decide(held, stamp_ns, result)
        waiting = []
        for released in self._released:
            released.n_frames += 1
            late = released.n_frames > config.settle_within or held is not None
            if not self._place(released, stamp_ns, result, late):
                waiting.append(released)
        self._released = waiting

    def end(self, result: ViewResult) -> None:
        """Decide at a session's end what is still open."""
        for released in self._released:
            self._place(released, self._now_ns, result, True)
        if self._held is not None and not self._held.track_id and self._held.n_seen >= MIN_SEEN:
            self._decide(self._held, self._now_ns, result)
        self._held, self._released = None, []

    def _within_reach(self, base_m: Point) -> list[Track]:
        """Return what the robot can have taken: small things that stand near it."""
        found = []
        for track in self._graph.within((base_m[0], base_m[1], base_m[2] + 0.8), 1.5 * self._config.reach_m):
            away_m = math.dist(track.position_m[:2], base_m[:2])
            if track.state in ("gone", "held") or track.deleted or track.longest_m > self._config.largest_m:
                continue
            if away_m <= self._config.reach_m:
                found.append(track)
        return found

    def _decide(self, held: _Held, stamp_ns: int, result: ViewResult) -> None:
        """Find the track that is held; what was never seen before becomes one."""
        suspects = [track for track in map(self._graph.get, sorted(held.suspects)) if track is not None]
        # What is seen at its place after the gripper closed is not in it, unless it was mistaken for a neighbour.
        scored = [
            (_alike(held, track) * (0.3 if track.last_seen_ns > held.picked_ns else 1.0), -track.number, track)
            for track in suspects
            if track.state not in ("gone", "held")
        ]
        score, _, track = max(scored, key=lambda each: each[:2], default=(0.0, 0, None))
        if track is None or score < self._config.least_alike:
            assert held.last is not None
            track = new_track(self._graph.new_id(), held.last, held.picked_ns, self._session, self._lifecycle)
            self._graph.insert(track)
        pick_up(track, held.picked_ns, stamp_ns, self._session)
        for label, weight in held.labels.items():
            if not track.pinned:
                track.label_weights[label] = track.label_weights.get(label, 0.0) + weight
        held.track_id = track.id
        result.dirty_ids.add(track.id)

    def _place(self, released: _Released, stamp_ns: int, result: ViewResult, late: bool) -> bool:
        """Link a thing that was let go with what is seen now; return whether nothing more is to be done about it."""
        held = released.held
        if not held.track_id:
            if held.n_seen < MIN_SEEN:
                return True  # The gripper closed on nothing, or for a moment only.
            self._decide(held, stamp_ns, result)
        old = self._graph.get(held.track_id)
        if old is None or not old.intervals or old.intervals[-1].state != "held":
            return True
        new = self._newcomer(released, held, late)
        if new is not None:
            put_down(old, new, released.placed_ns, stamp_ns, self._session)
            self._graph.merge(old.id, new.id)
            result.removed_ids.add(new.id)
        elif late and held.last is not None:
            box = box_between(held.last.low_m, held.last.high_m)
            put_down_unseen(old, box, released.placed_ns, stamp_ns, self._session)
            self._graph.touch(old)
        elif late:
            doubt(old)  # It was never seen in this session's hand: where it was put, nobody knows.
            self._graph.touch(old)
        else:
            return False
        result.dirty_ids.add(old.id)
        return True

    def _newcomer(self, released: _Released, held: _Held, late: bool) -> Track | None:
        """Return the track that began where the robot let go, and is like what it held."""
        scored = [
            (_alike(held, track), -track.number, track)
            for track in self._within_reach(released.base_m)
            if track.number >= released.next_number and (late or track.confirmed) and track.source == "seen"
        ]
        score, _, track = max(scored, key=lambda each: each[:2], default=(0.0, 0, None))
        least = self._config.least_alike if released.was_seen else self._config.least_alike_later
        return track if score >= least else None


def _alike(held: _Held, track: Track) -> float:
    """Return how alike a held thing and a track are in labels and colour, 0 to 1."""
    total, shares = sum(held.labels.values()), track.label_shares
    if total and shares:
        same_label = sum(min(weight / total, shares.get(name, 0.0)) for name, weight in held.labels.items())
    else:
        same_label = 0.7
    return same_label * similarity(held.appearance.shares(), track.appearance.shares())


def _without(frame: MeasuredFrame, index: int) -> MeasuredFrame:
    """Return a frame without one of its things."""
    owner = frame.owner.copy()
    owner[owner == index + 1] = 0
    owner[owner > index + 1] -= 1
    return MeasuredFrame(things=frame.things[:index] + frame.things[index + 1 :], owner=owner)
