"""What a task of memory is made of: props, the table they stand on, and trials.

The frame ``table`` has its origin below the robot's shoulder at the height of the table top: x forward, y left, z up.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, Optional, Protocol, Sequence, Tuple, runtime_checkable

import numpy as np

from embodied.arrays import Vector3
from sim.metaworld.waypoints import Waypoint

Position = Tuple[float, float, float]
Color = Tuple[float, float, float]
"""Red, green, blue, 0 to 1."""

HIDDEN: Position = (0.6, 0.0, -2.0)
"""Below the floor, where no camera looks."""

DARK: Color = (0.12, 0.12, 0.14)
"""A pad or a lamp that is off."""
LIT: Color = (1.0, 0.9, 0.1)
"""A pad that is on."""


@dataclass(frozen=True)
class Prop:
    """A thing on the table."""

    name: str
    category: str
    kind: Literal["box", "cylinder", "sphere"]
    half_size_m: Position
    """Along x, y, z; a cylinder stands upright, and its radius and a sphere's is the first."""
    color: Color
    is_solid: bool = False
    """The robot cannot pass through it."""
    is_free: bool = False
    """It falls, slides and can be grasped; anything else stays where the task puts it."""


@runtime_checkable
class Table(Protocol):
    """The props and the robot's tool. Positions are in the frame ``table``, metres."""

    @property
    def tool_m(self) -> Vector3:
        """The middle between the finger tips."""
        ...

    @property
    def gripper_opening(self) -> float:
        """0 closed to 1 open."""
        ...

    def place(self, name: str, position_m: Position) -> None:
        """Put a prop's middle somewhere, upright and at rest."""
        ...

    def paint(self, name: str, color: Color) -> None:
        """Give a prop a colour."""
        ...

    def position_of(self, name: str) -> Vector3:
        """Return where a prop's middle is."""
        ...

    def speed_of(self, name: str) -> float:
        """Return how fast a prop moves, m/s."""
        ...


class Trial(ABC):
    """One episode of a task. It has no chance of its own."""

    n_held_steps: int
    """For how many control steps the robot is held; the same for every answer."""

    @abstractmethod
    def show(self, step: int, table: Table) -> None:
        """Set the props as they are after ``step`` held steps.

        At ``n_held_steps`` the robot is let go, and whatever depends on the answer must be out of sight.
        """

    @abstractmethod
    def judge(self, table: Table) -> Optional[bool]:
        """Return whether the task is done (True) or lost (False) by now; None while it is open."""

    @abstractmethod
    def waypoints(self) -> Tuple[Waypoint, ...]:
        """Return the expert's way, from the moment at which the robot is let go."""


class MemoryTask(ABC):
    """A kind of episode whose right action depends on what was shown before."""

    name: str
    instruction: str
    """What the robot is told, the same in every episode."""
    props: Tuple[Prop, ...]
    n_answers: int
    """How many right courses of action there are. All are equally likely, and what the robot sees once it is let go is
    the same for all: without a memory one cannot succeed more often than once in so many."""
    max_free_steps: int
    """Control steps after which an episode ends, counted from when the robot is let go."""

    @abstractmethod
    def deal(self, rng: np.random.Generator, answer: int) -> Trial:
        """Lay out an episode. As many numbers are drawn whatever the answer."""


class TouchSensor:
    """Tells which of several places the tool comes down on."""

    def __init__(
        self,
        places_m: Sequence[Tuple[float, float]],
        *,
        touch_height_m: float,
        release_height_m: float,
        radius_m: float = 0.045,
    ) -> None:
        self._places_m = np.asarray(places_m, dtype=float)
        self._touch_height_m = touch_height_m
        self._release_height_m = release_height_m
        self._radius_m = radius_m
        self.touching: Optional[int] = None
        """Which place is being touched; it is let go of when the tool has risen."""

    def update(self, tool_m: Vector3) -> Optional[int]:
        """Return the place that is touched anew, if any."""
        if self.touching is not None and tool_m[2] > self._release_height_m:
            self.touching = None
        if self.touching is None and tool_m[2] < self._touch_height_m:
            distances = np.linalg.norm(self._places_m - tool_m[:2], axis=1)
            nearest = int(distances.argmin())
            if distances[nearest] < self._radius_m:
                self.touching = nearest
                return nearest
        return None
