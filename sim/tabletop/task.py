"""What a task of memory is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Tuple

import numpy as np

from sim.tabletop.solids import Color, Prism, disc, rectangle

Position = Tuple[float, float, float]
Place = Tuple[float, float]


@dataclass(frozen=True)
class Thing:
    """What stands upright on the table. The frame is ``base``."""

    place_m: Place
    half_width_m: float
    height_m: float
    color: Color
    is_round: bool = False
    is_solid: bool = False
    """The tool cannot pass through it."""

    @property
    def top_m(self) -> Position:
        """The middle of its top."""
        return (*self.place_m, self.height_m)

    def prism(self) -> Prism:
        """Return it as it is drawn."""
        half = self.half_width_m
        outline = disc(*self.place_m, half) if self.is_round else rectangle(*self.place_m, half, half)
        return Prism(outline, 0.0, self.height_m, self.color)


@dataclass(frozen=True)
class Trial:
    """One episode of a task. Only ``shown`` and ``wanted`` may depend on the answer, and the length of neither."""

    shown: Tuple[Tuple[Thing, ...], ...]
    """What stands on the table at each step for which the robot is held."""
    left: Tuple[Thing, ...]
    """What stands there from then on."""
    places_m: Tuple[Position, ...]
    """What there is to be touched."""
    wanted: Tuple[int, ...]
    """Which of these, in order."""

    @property
    def n_held_steps(self) -> int:
        """For how many steps the robot is held."""
        return len(self.shown)


@dataclass(frozen=True)
class MemoryTask:
    """A kind of episode whose right action depends on what was shown before."""

    name: str
    instruction: str
    """What the robot is told, the same in every episode."""
    n_answers: int
    """How many right courses of action there are. All are equally likely, and what the robot perceives once it is let
    go is the same for all: without a memory one cannot succeed more often than once in so many."""
    max_free_steps: int
    """Control steps after which an episode ends, counted from when the robot is let go."""
    deal: Callable[[np.random.Generator, int], Trial]
    """Lays out an episode with an answer. As many numbers are drawn whatever the answer."""
