"""What a mind needs of the memory's past and of a robot in the present."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from embodied.arrays import Float
from embodied.messages import Point
from policies.mind_palace.belief import When


@dataclass(frozen=True)
class Visit:
    """One world instance: the memory of one past visit."""

    name: str
    day: str
    """Monday, Tuesday, …"""
    when: When


@dataclass(frozen=True)
class Place:
    """Where a thing is or was."""

    position_m: Point
    area: int | None
    """The area it is in; None if in none of those known."""
    size_m: Point = (0.1, 0.1, 0.1)
    """Of the thing: it tells from how far it can be seen."""


@dataclass(frozen=True)
class Recalled:
    """What one visit shows of a thing."""

    place: Place | None
    """None where the memory did not see it on that visit."""
    n_images: int
    """Pictures that were loaded for it."""


@runtime_checkable
class Palace(Protocol):
    """The past: its visits, and the furniture that stays where it is."""

    @property
    def visits(self) -> Sequence[Visit]:
        """Oldest first."""
        ...

    @property
    def areas(self) -> Sequence[str]:
        """What the areas are called: furniture in or on which things are found."""
        ...

    def recall(self, visit: Visit, thing: str) -> Recalled:
        """Recall where a thing was on a visit."""
        ...


@runtime_checkable
class Body(Protocol):
    """A robot in the present."""

    @property
    def now(self) -> When:
        """The part of the day that it is."""
        ...

    def ways_m(self) -> tuple[Float[np.ndarray, " n_areas"], Float[np.ndarray, "n_areas n_areas"]]:
        """Return how far it is from the robot to each area, and between them; inf where there is no way."""
        ...

    def looks(self) -> Float[np.ndarray, " n_areas"]:
        """Return how well each area has been looked at: 1 for once from near, less for what was seen in passing."""
        ...

    def look_around(self, thing: str, spot: Place | None) -> Place | None:
        """Turn once, look longer at a spot if that is in sight, and return the thing if it is seen."""
        ...

    def look_at(self, area: int, thing: str, spots: Sequence[Place]) -> Place | None:
        """Go until some places in an area are seen, or the whole of it where they have been, or the thing anywhere."""
        ...

    def has_seen(self, spot: Place) -> bool:
        """Tell whether a spot has been seen so well that a thing there would have been noticed."""
        ...
