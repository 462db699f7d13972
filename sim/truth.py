"""The simulator's truth, for scoring. It goes to files that only the bridge and the judge know, never over a wire."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Optional, Tuple

import msgspec

from embodied.errors import SceneError
from embodied.messages import Box, Point


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """One frame in which an object could be seen."""

    seq: int
    stamp_ns: int
    n_pixels: int
    distance_m: float


class TruthObject(msgspec.Struct, frozen=True, kw_only=True):
    """One object during one session."""

    instance_id: int
    category: str
    colour: str
    position_m: Point
    """Centre of the bounding box."""
    box: Box
    """Axis-aligned in the world frame."""
    room: str
    support: int
    """Instance that it rests on or in, 0 for the floor."""
    relation: Literal["on", "in"]
    first_sighting: Optional[Sighting]
    """Of the frames in which enough of it was in view to tell what it is."""
    last_sighting: Optional[Sighting]
    best_sighting: Optional[Sighting]
    """The one with the most pixels."""
    n_sightings: int


class TrueChange(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to one object overnight."""

    kind: Literal["moved", "removed", "added"]
    instance_id: int
    category: str
    from_position_m: Optional[Point]
    to_position_m: Optional[Point]


class TruePose(msgspec.Struct, frozen=True, kw_only=True):
    """Where the robot really was at one observation."""

    seq: int
    stamp_ns: int
    x_m: float
    y_m: float
    yaw_rad: float
    visible: Tuple[int, ...] = ()
    """Instances of which enough was in view to tell what they are."""


class TruthSession(msgspec.Struct, frozen=True, kw_only=True):
    """All that the judge knows of one session."""

    session: str
    seed: int
    start_ns: int
    end_ns: int
    objects: Tuple[TruthObject, ...]
    changes: Tuple[TrueChange, ...]
    """Since the session before."""
    poses: Tuple[TruePose, ...]
    n_collisions: int


def write_truth(truth: TruthSession, directory: Path) -> Path:
    """Write ``<directory>/<session>.json``."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{truth.session}.json"
    path.write_bytes(msgspec.json.encode(truth))
    return path


def read_truth(path: Path) -> TruthSession:
    """Read what ``write_truth`` wrote.

    Raises:
        SceneError: The file is missing or damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=TruthSession)
    except (OSError, msgspec.MsgspecError) as error:
        raise SceneError(f"truth {path}: {error}") from error
