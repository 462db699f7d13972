"""Where a memory lies when no process holds it: one protocol, and SQLite behind it.

What ``write`` returned for is *acknowledged*: in the file and fsynced, whole batches or nothing. What is read is checked:
every row against its checksum, and every table against a digest over all its rows that is part of the same
transaction, so that flipped bytes, lost rows and stale pages are found. What does not fit is a ``StoreError``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Iterable, Protocol

import msgspec

from embodied.errors import StoreError
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


# ------------------------------------------------------------------------------------------ rows as bytes


class _StoredRooms(msgspec.Struct, frozen=True):
    rooms: list[_StoredRoom]
    cells: bytes
    shape: tuple[int, int]
    resolution_m: float
    origin_m: tuple[float, float]
    next_id: int


class _StoredRoom(msgspec.Struct, frozen=True):
    id: str
    index: int
    center_m: tuple[float, float]
    area_m2: float
    outline_m: tuple[tuple[float, float], ...]
    connects: tuple[str, ...]


def rooms_to_bytes(room_map: RoomMap) -> bytes:
    """Return a map of rooms for a store."""
    from memory_bank.rooms import Room

    names = Room.__dataclass_fields__
    rows, columns = room_map.cells.shape
    return msgspec.msgpack.encode(
        _StoredRooms(
            rooms=[_StoredRoom(**{name: getattr(room, name) for name in names}) for room in room_map.rooms],
            cells=room_map.cells.astype("<i2").tobytes(),
            shape=(rows, columns),
            resolution_m=room_map.resolution_m,
            origin_m=room_map.origin_m,
            next_id=room_map.next_id,
        )
    )


def rooms_from_bytes(data: bytes) -> RoomMap:
    """Read what ``rooms_to_bytes`` wrote.

    Raises:
        StoreError: The bytes are damaged.
    """
    import numpy as np

    from memory_bank.rooms import Room

    try:
        stored = msgspec.msgpack.decode(data, type=_StoredRooms)
        cells = np.frombuffer(stored.cells, dtype="<i2").reshape(stored.shape).astype(np.int16)
    except (msgspec.MsgspecError, ValueError) as error:
        raise StoreError(f"rooms: damaged ({error})") from error
    rooms = tuple(Room(**msgspec.structs.asdict(room)) for room in stored.rooms)
    return RoomMap(rooms, cells, stored.resolution_m, stored.origin_m, stored.next_id)


def decoded(kind: str, data: bytes, struct: type) -> object:
    """Decode a row's body; StoreError names the kind of row."""
    try:
        return msgspec.msgpack.decode(data, type=struct)
    except (msgspec.MsgspecError, ValueError) as error:
        raise StoreError(f"{kind}: damaged ({error})") from error


def by_number(tracks: Iterable[Track]) -> tuple[Track, ...]:
    """Return tracks in the order of their numbers."""
    return tuple(sorted(tracks, key=lambda track: track.number))
