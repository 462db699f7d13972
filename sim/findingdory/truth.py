"""What is true of a day of pick and place. It is the judge's and the oracle's; an agent never gets it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Tuple

import numpy as np

from embodied.arrays import Float, Int
from embodied.clock import NANOSECONDS
from sim.scene import Scene, Template


@dataclass(frozen=True)
class TrueInteraction:
    """One thing, from the place where it was picked up to the place where it was put down."""

    instance_id: int
    category: str
    colour: str
    picked_from: int
    """Instance of the receptacle."""
    picked_room: str
    picked_position_m: Tuple[float, float, float]
    """Middle of the thing's box before it was picked up."""
    picked_frame: int
    """First frame in which the robot holds it."""
    picked_ns: int
    placed_on: int
    """Instance of the receptacle."""
    placed_room: str
    placed_position_m: Tuple[float, float, float]
    """Middle of the thing's box where it came to rest."""
    placed_frame: int
    """First frame in which the robot holds it no more."""
    placed_ns: int

    @property
    def name(self) -> str:
        """Colour and category."""
        return f"{self.colour} {self.category}".strip()

    @property
    def duration_s(self) -> float:
        """From picking up to putting down."""
        return (self.placed_ns - self.picked_ns) / NANOSECONDS


@dataclass(frozen=True)
class RoomVisit:
    """A stay in one room."""

    room: str
    first_frame: int
    last_frame: int
    start_ns: int
    end_ns: int
    """When the robot was first in the next room, or the last frame's stamp."""

    @property
    def duration_s(self) -> float:
        """How long it lasted."""
        return (self.end_ns - self.start_ns) / NANOSECONDS


@dataclass(frozen=True)
class HistoryTruth:
    """All that is true of one day. Frame i is observation ``seq`` i."""

    before: Scene
    """The house in the morning."""
    after: Scene
    """The house in the evening, when the instruction is given. Ids are the same."""
    stamps_ns: Int[np.ndarray, " n_frames"]
    poses: Float[np.ndarray, "n_frames 3"]
    """True x, y in metres and yaw in radians."""
    rooms: Tuple[str, ...]
    """Of each frame; in a doorway the room that the robot comes from."""
    coverage: Float[np.ndarray, "n_frames n_ids"]
    """Share of the image that shows each instance; column 0 is the stage."""
    held: Int[np.ndarray, " n_frames"]
    """Instance in the gripper, 0 for none."""
    interactions: Tuple[TrueInteraction, ...]
    """In the order of time; no thing twice."""

    @property
    def n_frames(self) -> int:
        """Frames of the history."""
        return len(self.stamps_ns)

    @property
    def now_pose(self) -> Tuple[float, float, float]:
        """Where the robot stands when the instruction is given."""
        x_m, y_m, yaw_rad = self.poses[-1].tolist()
        return x_m, y_m, yaw_rad

    @property
    def visits(self) -> Tuple[RoomVisit, ...]:
        """Stays in rooms, in the order of time."""
        visits: List[RoomVisit] = []
        first = 0
        for frame in range(1, self.n_frames + 1):
            if frame == self.n_frames or self.rooms[frame] != self.rooms[first]:
                end_ns = int(self.stamps_ns[min(frame, self.n_frames - 1)])
                visits.append(RoomVisit(self.rooms[first], first, frame - 1, int(self.stamps_ns[first]), end_ns))
                first = frame
        return tuple(visits)

    @property
    def seconds_in(self) -> Dict[str, float]:
        """Time spent in each room that the robot was in."""
        seconds: Dict[str, float] = {}
        for visit in self.visits:
            seconds[visit.room] = seconds.get(visit.room, 0.0) + visit.duration_s
        return seconds

    def template(self, instance_id: int) -> Template:
        """Return what an instance looks like."""
        return self.after.templates[self.after.by_id()[instance_id].template]

    def last_touched_frame(self, instance_id: int) -> int:
        """Return the first frame from which on a thing stands as it does now."""
        return max((i.placed_frame for i in self.interactions if i.instance_id == instance_id), default=0)
