"""Answers what the robot did, and where to go to carry out an instruction that refers to it; part of the service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from embodied.arrays import Float, Points2
from embodied.messages import (
    FindGoals,
    Goal,
    GoalsReply,
    Interaction,
    InteractionsReply,
    ListInteractions,
    MemoryResponse,
    ObjectRecord,
    Point,
    RoomVisit,
)
from memory_bank.episodes.interactions import interactions_of, visits_of
from memory_bank.episodes.keyframes import Keyframe
from memory_bank.frames.poses import moved_point
from memory_bank.geometry.boxes import box_bounds
from memory_bank.objects.track import Track
from memory_bank.objects.visibility import aside_rad
from memory_bank.recall.goals import DAY_S, Meant, Recollection, in_short_order, meant
from memory_bank.recall.instructions import Day, Instruction, parse_instruction
from memory_bank.space.reach import FloorWays

if TYPE_CHECKING:
    from memory_bank.service import MemoryService
    from memory_bank.state import FrameState

NEAR_M = 1.7
"""A thing is well seen from within this distance …"""
AT_M = 0.95
"""… and the robot is at a piece of furniture within this one of its footprint."""
FURNITURE_M = 0.6
"""What is longer is furniture: the robot has to stand at it, not only see it."""
BESIDE_RAD = 0.62
"""… if it is not farther than this beside the middle of the picture."""
AT_BESIDE_RAD = 1.2
"""At furniture the robot may look farther aside."""
LATER = 0.9
"""Of what would do, each next one is worth so much less than the one before."""
N_LOOKED_AT = 16
"""Keyframes of a thing of which the best view is chosen."""


@dataclass(frozen=True)
class _Acts:
    """What follows from a frame, computed when asked for."""

    version: tuple[int, int]
    interactions: tuple[Interaction, ...]
    visits: tuple[RoomVisit, ...]


class Activities:
    """What the robot did in each map frame."""

    def __init__(self, service: MemoryService) -> None:
        self._service = service
        self._acts: dict[str, _Acts] = {}
        self._ways: dict[str, tuple[int, FloorWays]] = {}

    @property
    def readers(self) -> Mapping[type, Callable[[Any], MemoryResponse]]:
        """By type of request: what answers it."""
        return {ListInteractions: self.list, FindGoals: self.find}

    def _acts_in(self, frame: FrameState) -> _Acts:
        state, service = self._service.state, self._service
        version = (frame.version, state.keyframes.next_index)
        held = self._acts.get(frame.name)
        if held is None or held.version != version:
            index = service.room_index(frame)
            sessions = [record.session for record in state.sessions_in(frame.name)]
            interactions = interactions_of(frame.graph, index, state.keyframes, service.relations)
            held = _Acts(version, interactions, visits_of(state.keyframes, sessions, index))
            self._acts[frame.name] = held
        return held

    def _ways_in(self, frame: FrameState) -> FloorWays:
        held = self._ways.get(frame.name)
        if held is None or held[0] != frame.map_version:
            held = self._ways[frame.name] = (frame.map_version, FloorWays(frame.occupancy.reply()))
        return held[1]

    def list(self, request: ListInteractions) -> InteractionsReply:
        """Return what was taken up and put down, and the stays in rooms.

        Raises:
            ValueError: There is no such frame.
        """
        frame, pose = self._service.frame_in(request.world_frame)
        acts, since_ns = self._acts_in(frame), request.since_ns
        found = acts.interactions
        if request.object_id:
            object_id = frame.graph.resolve(request.object_id)
            found = tuple(each for each in found if each.object_id == object_id)
        visits = acts.visits
        if since_ns is not None:
            found = tuple(each for each in found if each.placed_ns is None or each.placed_ns >= since_ns)
            visits = tuple(each for each in visits if each.left_ns >= since_ns)
        if pose is not None:
            found = tuple(
                msgspec.structs.replace(
                    each,
                    picked_from_m=moved_point(pose, each.picked_from_m),
                    placed_m=None if each.placed_m is None else moved_point(pose, each.placed_m),
                )
                for each in found
            )
        return InteractionsReply(interactions=found, visits=visits)

    def find(self, request: FindGoals) -> GoalsReply:
        """Return the frames of the history to go back to.

        Raises:
            NotUnderstood: The instruction is beyond the grammar.
        """
        instruction = parse_instruction(request.instruction)
        frame = self._service.state.frame
        finder = _Finder(self._service, frame, self._ways_in(frame))
        if instruction.target == "moment":
            moment = finder.at_moment(instruction.at_s or 0, instruction.day)
            goals: tuple[Goal, ...] = () if moment is None else (moment,)
        else:
            acts, view = self._acts_in(frame), self._service.view_of(frame)
            start_ns, stop_ns = _ends_of(instruction.day, self._service.state.health.now_ns)
            memory = Recollection(
                interactions=tuple(each for each in acts.interactions if start_ns <= each.picked_ns < stop_ns),
                visits=tuple(visit for visit in acts.visits if start_ns <= visit.entered_ns < stop_ns),
                objects={record.id: record for record in view.objects},
                rooms=view.rooms,
                agent_m=view.agent_m or (0.0, 0.0, 0.0),
                colours=view.colours,
                meaning=view.meaning,
            )
            goals = tuple(finder.goals(meant(instruction, memory), memory))
            if instruction.every and not instruction.ordered:
                order = in_short_order([goal.viewpoint_m for goal in goals], memory.agent_m)
                goals = tuple(goals[place] for place in order)
        return GoalsReply(goals=goals, ordered=instruction.ordered, unknown=not goals, text=_said(instruction, goals))


def _ends_of(day: Day | None, now_ns: int) -> tuple[int, int]:
    """Return the first instant of a day (UTC), as seen from now, and of the next; of all time for none."""
    if day is None:
        return 0, 2**63
    day_ns = DAY_S * 10**9
    start_ns = now_ns - now_ns % day_ns - (day_ns if day == "yesterday" else 0)
    return start_ns, start_ns + day_ns


def _said(instruction: Instruction, goals: Sequence[Goal]) -> str:
    if not goals:
        return "I remember nothing that fits."
    names = [f"the {goal.label or goal.room or 'place'}" for goal in goals]
    way = ", then to ".join(names) if instruction.ordered else ", ".join(names)
    return f"Go to {way}."


@dataclass(frozen=True)
class _View:
    """A frame in which something is seen."""

    session: str
    seq: int
    stamp_ns: int
    viewpoint_m: Point
    quality: float
    """From 1, as near as it should be, downwards."""


class _Finder:
    """Chooses the frames from which things and rooms are well seen."""

    def __init__(self, service: MemoryService, frame: FrameState, ways: FloorWays) -> None:
        self._service = service
        self._ways = ways
        self._rooms = service.room_index(frame)
        self._frame = frame
        self._archive = service.state.keyframes
        self._sessions = {record.session for record in service.state.sessions_in(frame.name)}

    def goals(self, found: Sequence[Meant], memory: Recollection) -> list[Goal]:
        """Return one frame for each of what is meant, as far as there is one."""
        goals = [self._room(each, memory) if each.rooms else self._object(each, memory) for each in found]
        return [goal for goal in goals if goal is not None]

    def at_moment(self, at_s: int, day: Day | None) -> Goal | None:
        """Return the frame where the robot was at a time of a day; without a day at the latest such instant.

        None before the first frame, and for what is yet to come.
        """
        indices = self._archive.indices(sessions=self._sessions)
        if not len(indices):
            return None
        now_ns = self._service.state.health.now_ns
        at_ns = _ends_of(day or "today", now_ns)[0] + at_s * 10**9
        if day is None and at_ns > now_ns:
            at_ns -= DAY_S * 10**9
        stamps_ns = self._archive.stamps_of(indices)
        if not stamps_ns.min() <= at_ns <= now_ns:
            return None
        order = np.argsort(stamps_ns, kind="stable")
        row = int(np.searchsorted(stamps_ns[order], at_ns))
        # In a long rest nothing is seen: the first frame after it shows where the robot had rested.
        row = min(row, len(order) - 1)
        keyframe = self._archive.get(int(indices[order[row]]))
        return self._goal(_view_of(keyframe, 1.0), "room", keyframe.position_m)

    def _room(self, found: Meant, memory: Recollection) -> Goal | None:
        rooms = {room.id: room for room in memory.rooms}
        for room_id in found.rooms:
            visits = [visit for visit in memory.visits if visit.room_id == room_id]
            if visits:
                stay = max(visits, key=lambda visit: visit.left_ns - visit.entered_ns)
                keyframe = self._archive.get(stay.keyframe)
                room = rooms[room_id]
                return self._goal(_view_of(keyframe, 1.0), "room", room.center_m, room=room.name)
        return None

    def _object(self, found: Meant, memory: Recollection) -> Goal | None:
        best: tuple[float, _View, str] | None = None
        for rank, object_id in enumerate(found.objects):
            view = self._best_view(object_id, (found.keyframes or {}).get(object_id, ()))
            if view is not None and (best is None or view.quality * LATER**rank > best[0]):
                best = (view.quality * LATER**rank, view, object_id)
        if best is None:
            return None
        record = memory.objects.get(best[2])
        position_m = record.position_m if record else best[1].viewpoint_m
        return self._goal(best[1], "object", position_m, record=record)

    def _goal(
        self, view: _View, kind: Any, position_m: Point, *, record: ObjectRecord | None = None, room: str = ""
    ) -> Goal:
        return Goal(
            kind=kind,
            session=view.session,
            seq=view.seq,
            stamp_ns=view.stamp_ns,
            viewpoint_m=view.viewpoint_m,
            position_m=position_m,
            object_id=record.id if record else "",
            label=record.label if record else "",
            room=record.room if record else room,
        )

    # ------------------------------------------------------------------------------------------- views

    def _best_view(self, object_id: str, acts: Sequence[int]) -> _View | None:
        """Return the frame that shows a thing best from near, where it is now."""
        track = self._frame.graph.get(object_id) if object_id.startswith("o") else None
        if track is None:
            return _view_of(self._archive.get(acts[0]), 0.8) if acts else None
        if track.longest_m > FURNITURE_M:
            if acts:
                return _view_of(self._archive.get(acts[0]), 1.0)
            return max(self._keyframe_views(track, at_it=True), key=_quality, default=None)
        views = self._pictures(track)
        best = max(views, key=_quality, default=None)
        if best is None or best.quality < 0.5:
            best = max([*views, *self._keyframe_views(track, at_it=False)], key=_quality, default=None)
        if best is None and acts:
            return _view_of(self._archive.get(acts[-1]), 0.3)
        return best

    def _since_ns(self, track: Track) -> int:
        """Return since when a thing stands where it is."""
        return max((i.valid_from_ns for i in track.intervals if i.cause in ("placed", "seen_elsewhere")), default=0)

    def _ways_m(self, track: Track, viewpoints_m: Points2) -> Float[np.ndarray, " n"]:
        """Return how far it is to a thing from each of some viewpoints, over the floor."""
        room = self._rooms.room_at(track.position_m)
        return self._ways.distances_m(track.position_m, viewpoints_m, room, self._rooms.room_map)

    def _pictures(self, track: Track) -> list[_View]:
        """Return the best pictures of a thing where it is now."""
        pictures = [p for p in track.views if p.seq >= 0 and p.stamp_ns >= self._since_ns(track)]
        if not pictures:
            return []
        away_m = self._ways_m(track, np.array([picture.camera_position_m[:2] for picture in pictures]))
        return [
            _View(p.session, p.seq, p.stamp_ns, p.camera_position_m, quality * min(1.0, 0.5 + p.score / 400.0))
            for p, quality in zip(
                pictures,
                (_closeness(a) * _faced(p.aside_rad) for a, p in zip(away_m.tolist(), pictures)),
            )
        ]

    def _keyframe_views(self, track: Track, *, at_it: bool) -> list[_View]:
        """Return the keyframes that show a thing from near, as far as its middle is in the picture."""
        ids = (track.id, *track.merged_ids)
        indices = self._archive.indices(sessions=self._sessions, track_ids=ids, since_ns=self._since_ns(track))
        if not len(indices):
            return []
        positions = self._archive.positions_of(indices)[:, :2]
        low, high = box_bounds(track.box)
        if at_it:
            # A robot behind a wall is not at what stands before it.
            inside = self._rooms.room_map.indices_at(positions.astype(float))
            room = self._rooms.room_at(track.position_m)
            away_m = np.linalg.norm(np.maximum(np.maximum(low[:2] - positions, positions - high[:2]), 0.0), axis=1)
            away_m = away_m + 10.0 * ((room is not None) & (inside != (room.index if room else 0)))
            nearest = np.argsort(away_m, kind="stable")[:N_LOOKED_AT]
            qualities = [_closeness(a, AT_M) for a in away_m[nearest].tolist()]
        else:
            flat_m = np.linalg.norm(positions - np.array(track.position_m[:2]), axis=1)
            nearest = np.argsort(flat_m, kind="stable")[:N_LOOKED_AT]
            qualities = [_closeness(a) for a in self._ways_m(track, positions[nearest].astype(float)).tolist()]
        views = []
        for quality, keyframe in zip(qualities, self._archive.whole(indices[nearest].tolist())):
            beside_rad = aside_rad(keyframe.T, track.position_m)
            # Of two that are near enough, the one that faces it.
            faced = _faced(beside_rad, AT_BESIDE_RAD if at_it else BESIDE_RAD) * (1.0 - 0.1 * beside_rad)
            views.append(_view_of(keyframe, 0.9 * quality * faced))
        return views


def _quality(view: _View) -> float:
    return view.quality


def _faced(beside_rad: float, most_rad: float = BESIDE_RAD) -> float:
    """Return 1 for what the camera faces, and little for what is at the edge of its picture."""
    return 1.0 if beside_rad <= most_rad else 0.2


def _closeness(away_m: float, good_m: float = NEAR_M) -> float:
    """Return 1 within the distance from which something is well seen, and ever less beyond."""
    return 1.0 if away_m <= good_m else max(0.01, 0.5 * (good_m / away_m) ** 2)


def _view_of(keyframe: Keyframe, quality: float) -> _View:
    return _View(keyframe.session, keyframe.seq, keyframe.stamp_ns, keyframe.position_m, quality)
