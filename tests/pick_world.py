"""The tiny world of boxes with a robot that takes things up and puts them down, for tests of interactions."""

from __future__ import annotations

from typing import Callable, Optional, Tuple

import msgspec
import numpy as np

from box_world import SECOND_NS, WOODEN, Thing, World
from embodied.messages import SessionEnd, SessionStart, StreamMessage

NAMES = ("forward_m_s", "left_m_s", "turn_rad_s", "gripper_closed")
TABLE = Thing("table", (2.4, 0.0, 0.36), (1.2, 1.4, 0.72), WOODEN)
DESK = Thing("desk", (-2.4, 0.0, 0.36), (1.2, 1.4, 0.72), WOODEN)
RED_MUG = Thing("mug", (2.1, 0.2, 0.78), (0.1, 0.1, 0.12), (200, 30, 30))
BLUE_MUG = Thing("mug", (2.1, -0.25, 0.78), (0.1, 0.1, 0.12), (40, 60, 200))
BALL = Thing("ball", (-2.1, -0.35, 0.8), (0.16, 0.16, 0.16), (40, 160, 50))
ROOM = (TABLE, DESK, RED_MUG, BLUE_MUG, BALL)
AT_TABLE = (1.1, 0.0, 0.0)
AT_DESK = (-1.1, 0.0, np.pi)


class PickingRobot:
    """Streams what it sees to somebody while it works."""

    def __init__(self, take: Callable[[StreamMessage], None], things: Tuple[Thing, ...] = ROOM) -> None:
        self.world = World(things)
        self.take = take
        self.session = ""
        self.seq = 0
        self.pose: Tuple[float, float, float] = (0.0, 0.0, 0.0)
        self.held: Optional[Thing] = None
        self.has_signal = True

    @property
    def now_ns(self) -> int:
        """Instant of the latest observation."""
        return self.world._now_ns

    def start(self, session: str = "a") -> None:
        """Open a session."""
        self.session, self.seq = session, 0
        start: SessionStart = self.world.start(session)
        self.take(msgspec.structs.replace(start, proprioception_names=NAMES if self.has_signal else NAMES[:3]))

    def end(self) -> None:
        """Close it."""
        end: SessionEnd = self.world.end(self.session, self.seq)
        self.take(end)

    def look(self, n_frames: int = 1) -> None:
        """Observe; the robot sways a little, so that things are seen from several places."""
        for _ in range(n_frames):
            x, y, yaw = self.pose
            sway = 0.06 * np.sin(1.3 * self.seq)
            pose = (x - sway * np.sin(yaw), y + sway * np.cos(yaw), yaw)
            things = self.world.things
            if self.held is not None:
                ahead = (pose[0] + 0.6 * np.cos(yaw), pose[1] + 0.6 * np.sin(yaw), 0.85)
                self.world.things = (*things, self.held.at(*ahead))
            observation = self.world.observe(self.session, self.seq, pose)
            self.world.things = things
            numbers = [0.0, 0.0, 0.0, float(self.held is not None)][: 4 if self.has_signal else 3]
            self.take(msgspec.structs.replace(observation, proprioception=np.array(numbers, dtype=np.float32)))
            self.seq += 1

    def go(self, pose: Tuple[float, float, float]) -> None:
        """Turn and move there in steps that no localisation would doubt."""
        start = np.array(self.pose)
        n_steps = int(max(np.hypot(*(np.array(pose) - start)[:2]) / 0.35, abs(pose[2] - start[2]) / 0.45, 1)) + 1
        for step in range(1, n_steps + 1):
            x, y, yaw = start + (np.array(pose) - start) * step / n_steps
            self.pose = (float(x), float(y), float(yaw))
            self.look()

    def pick(self, thing: Thing, n_frames: int = 2) -> None:
        """Take a thing that stands there."""
        self.world.things = tuple(each for each in self.world.things if each != thing)
        self.held = thing
        self.look(n_frames)

    def place(self, x_m: float, y_m: float, z_m: float, n_frames: int = 6) -> Thing:
        """Put down what is held; return it where it stands now."""
        assert self.held is not None
        placed = self.held.at(x_m, y_m, z_m)
        self.world.things = (*self.world.things, placed)
        self.held = None
        self.look(n_frames)
        return placed

    def rest(self, seconds: float) -> None:
        """Let time pass; nothing is observed."""
        self.world._now_ns += round(seconds * SECOND_NS)
