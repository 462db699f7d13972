"""Where a memory lies when no process holds it: one protocol, and SQLite behind it.

What ``write`` returned for is *acknowledged*: in the file and fsynced, whole batches or nothing. What is read is
checked: every row against its checksum, and every table against a digest over all its rows that is part of the same
transaction, so that flipped bytes, lost rows and stale pages are found. What does not fit is a ``StoreError``.

Keyframes are many and large, so that opening a store reads none of them but the newest. What is needed of each to
search among them lies in *blocks*: block n has the columns of keyframes 1,024 n to 1,024 n + 1,023 (``archive``), and
the store keeps the checksums of these rows with it. The rows themselves are read, and checked, one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from embodied.messages import SessionRecord
from memory_bank.episodes.keyframes import Keyframe
from memory_bank.objects.track import Track
from memory_bank.space.rooms import RoomMap

KEYFRAMES_PER_BLOCK = 1024
META_UNFINISHED = "unfinished copy"
"""Name in ``meta`` that a copy carries until it is complete: nobody takes half a memory for a whole one."""


@dataclass
class Batch:
    """What changed since the last one. Later entries for one key replace earlier ones."""

    sessions: dict[str, SessionRecord] = field(default_factory=dict)
    tracks: dict[str, Track] = field(default_factory=dict)
    """To be stored anew, by id. Read when the batch is written, not before."""
    removed_tracks: set[str] = field(default_factory=set)
    keyframes: list[Keyframe] = field(default_factory=list)
    removed_keyframes: set[int] = field(default_factory=set)
    """Indices, which are never used again. Of a keyframe in a block, the block comes anew in the same batch."""
    keyframe_blocks: dict[int, bytes] = field(default_factory=dict)
    """Opaque, by the index of the first keyframe: a multiple of ``KEYFRAMES_PER_BLOCK``. Blocks are sealed in order."""
    maps: dict[str, bytes] = field(default_factory=dict)
    """``OccupancyMap.to_bytes`` by world frame."""
    rooms: dict[str, RoomMap] = field(default_factory=dict)
    """By world frame."""
    removed_frames: set[str] = field(default_factory=set)
    """World frames whose map and rooms go, unless the batch has them anew."""
    meta: dict[str, bytes] = field(default_factory=dict)
    """Small things by name."""
    removed_meta: set[str] = field(default_factory=set)
    """Names that go, unless the batch has them anew."""

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
    keyframe_blocks: dict[int, bytes]
    """By the index of the first keyframe, in order."""
    keyframe_tail: tuple[Keyframe, ...]
    """Those that are in no block yet, by index. ``Store.keyframes`` reads the others."""
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

    def keyframe_indices(self) -> Sequence[int]:
        """Return the indices of all keyframes, in order, as of the last time that anything was read or written."""
        ...

    def keyframes(self, indices: Iterable[int]) -> tuple[Keyframe, ...]:
        """Read whole keyframes, in the order of the indices.

        Raises:
            StoreError: There is no such keyframe, or it was removed, or it is damaged.
        """
        ...

    def purge(self) -> None:
        """Make what was removed or replaced unreadable on disk, and give its space back. Takes time: all is rewritten.

        Raises:
            StoreError: The disk is full, or a reader is in the way. What was removed may still be there in bytes.
        """
        ...

    @property
    def version(self) -> int:
        """A number that differs once another process has written to the store."""
        ...

    def check(self) -> None:
        """Read everything, all keyframes too, and find whatever is damaged.

        Raises:
            StoreError: Something is; the text says what.
        """
        ...

    def close(self) -> None:
        """Give back what was opened."""
        ...
