"""Where a memory lies when no process holds it: one protocol, and SQLite behind it.

What ``write`` returned for is *acknowledged*: in the file and fsynced, whole batches or nothing. What is read is
checked: every row against its checksum, and every table against a digest over all its rows that is part of the same
transaction, so that flipped bytes, lost rows and stale pages are found. What does not fit is a ``StoreError``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from embodied.messages import SessionRecord
from memory_bank.keyframes import Keyframe
from memory_bank.rooms import RoomMap
from memory_bank.track import Track


@dataclass
class Batch:
    """What changed since the last one. Later entries for one key replace earlier ones."""

    sessions: dict[str, SessionRecord] = field(default_factory=dict)
    tracks: dict[str, Track] = field(default_factory=dict)
    """To be stored anew, by id. Read when the batch is written, not before."""
    removed_tracks: set[str] = field(default_factory=set)
    keyframes: list[Keyframe] = field(default_factory=list)
    maps: dict[str, bytes] = field(default_factory=dict)
    """``OccupancyMap.to_bytes`` by world frame."""
    rooms: dict[str, RoomMap] = field(default_factory=dict)
    """By world frame."""
    meta: dict[str, bytes] = field(default_factory=dict)
    """Small things by name."""

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__dataclass_fields__)

    def remove_track(self, track_id: str) -> None:
        """Take a track out of the store."""
        self.tracks.pop(track_id, None)
        self.removed_tracks.add(track_id)

    def put_track(self, track: Track) -> None:
        """Store a track anew."""
        self.removed_tracks.discard(track.id)
        self.tracks[track.id] = track


@dataclass(frozen=True)
class Contents:
    """Everything in a store, checked."""

    sessions: tuple[SessionRecord, ...]
    """Oldest first."""
    tracks: tuple[Track, ...]
    """By number."""
    keyframes: tuple[Keyframe, ...]
    """By index."""
    maps: dict[str, bytes]
    rooms: dict[str, RoomMap]
    meta: dict[str, bytes]


@runtime_checkable
class Store(Protocol):
    """Keeps a memory. One writer at a time; readers at any time."""

    def write(self, batch: Batch) -> None:
        """Store a batch as one; when this returns it is on disk to stay.

        Raises:
            StoreError: The disk is full, the file is damaged, or it is open for reading only. Nothing was written.
        """
        ...

    def load(self) -> Contents:
        """Read everything.

        Raises:
            StoreError: Something is damaged; the text says what.
        """
        ...

    def close(self) -> None:
        """Give back what was opened."""
        ...
