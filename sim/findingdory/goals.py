"""Where an instruction sends the robot, as sets of what would be right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Optional, Tuple

CATEGORIES = (
    "room visitation",
    "interaction",
    "object recall",
    "conditional interaction",
    "spatial relationship",
    "object attributes",
    "interaction order",
    "time-based",
    "duration tracking",
    "unordered revisitation",
    "ordered revisitation",
)
"""The benchmark's, in its order."""


@dataclass(frozen=True)
class Goal:
    """One place to go to. Any of its instances, or any of its rooms, will do."""

    kind: Literal["object", "receptacle", "room", "position"]
    instances: Tuple[int, ...] = ()
    """``object``, ``receptacle``: sorted ids."""
    rooms: Tuple[str, ...] = ()
    """``room``."""
    pose: Optional[Tuple[float, float, float]] = None
    """``position``: x, y in metres and yaw in radians."""


@dataclass(frozen=True)
class Instruction:
    """What the robot is told in the evening."""

    template: str
    """Name of the template; for the judge alone."""
    category: str
    """One of ``CATEGORIES``."""
    text: str
    goals: Tuple[Goal, ...]
    ordered: bool = False
    """Several goals are to be reached in their order; otherwise in any."""
