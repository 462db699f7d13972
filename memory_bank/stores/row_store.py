"""What all stores of rows do alike: batches to rows, rows to contents, and the checks between them.

A store of one kind of database adds how it opens, and a handful of operations on tables (the abstract methods).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from embodied.errors import StoreError
from embodied.messages import SessionRecord
from memory_bank.episodes.keyframes import Keyframe
from memory_bank.objects.track import Track
from memory_bank.stores.ledger import (
    BLOCKS,
    CHECKSUM_BYTES,
    COLUMNS,
    KEYFRAMES,
    Changes,
    Digest,
    Key,
    Ledger,
    names,
    row_checksum,
)
from memory_bank.stores.protocol import KEYFRAMES_PER_BLOCK, META_UNFINISHED, Batch, Contents
from memory_bank.stores.rows import deflate, inflate, read_struct, rooms_from_bytes, rooms_to_bytes

DIGEST = "digest"
"""Key in ``meta`` of the digests of all tables."""
COMMIT = "commit"
"""Key in ``meta`` of the number of batches written."""
_READ_AT_ONCE = 256

Row = tuple[Any, ...]


class RowStore(ABC):
    """A memory in tables of rows; see ``store.Store``."""

    def __init__(self, name: str, *, read_only: bool) -> None:
        """Begin with an empty ledger.

        Args:
            name: How errors call this memory.
            read_only: Whether ``write`` and ``purge`` are refused.
        """
        self.name = name
        self.read_only = read_only
        self._ledger = Ledger()

    # ------------------------------------------------------------------------------- of each kind of database

    @abstractmethod
    def _transaction(self, *, write: bool) -> AbstractContextManager[None]:
        """Do as one what happens inside, and all of it as of one commit; turn the database's errors into StoreError."""

    @abstractmethod
    def _upsert(self, table: str, rows: Sequence[Row]) -> None:
        """Insert rows, or replace those of the same keys; a row is key, columns, body, checksum."""

    @abstractmethod
    def _delete(self, table: str, keys: Sequence[Key]) -> None:
        """Take rows out; a key without a row is no error. With a track go its intervals."""

    @abstractmethod
    def _select(
        self, table: str, columns: Sequence[str], *, keys: Sequence[Key] | None = None, least: int | None = None
    ) -> Iterator[Row]:
        """Return these columns of all rows, of those with these keys, or of those from a key on; by key."""

    @abstractmethod
    def _put_derived(self, tracks: Sequence[Track], keyframes: Sequence[Keyframe]) -> None:
        """Let the tables that only queries from outside read be those of these tracks and keyframes."""

    @abstractmethod
    def _acknowledge(self, commit: int) -> None:
        """Note that a commit is on disk."""

    # -------------------------------------------------------------------------------------------- writing

    def write(self, batch: Batch) -> None:
        """Store a batch in one transaction, on disk before this returns.

        Raises:
            StoreError: The disk is full or broken, or the store is open for reading only. Nothing was written.
            ValueError: The batch contradicts itself or what is stored. Nothing was written.
        """
        self._check_writable()
        changes = Changes(self._ledger)
        commit = self._ledger.commit + 1
        kept = tuple({k.index: k for k in batch.keyframes if k.index not in batch.removed_keyframes}.values())
        with self._transaction(write=True):
            self._remove(batch, changes)
            for table, rows in _tables(batch, kept):
                self._put(table, rows, changes)
            self._put_derived(tuple(batch.tracks.values()), kept)
            for first in sorted(batch.keyframe_blocks):
                self._put(BLOCKS, [(first, changes.seal(first), batch.keyframe_blocks[first])], changes)
            changes.check_sealed()
            self._put("meta", [(COMMIT, str(commit).encode())], changes)
            digest = (DIGEST, msgspec.msgpack.encode(changes.digests))
            self._upsert("meta", [(*digest, row_checksum("meta", digest))])
        changes.apply(commit)
        self._acknowledge(commit)

    def _check_writable(self) -> None:
        if self.read_only:
            raise StoreError(f"{self.name}: is open for reading only")

    def _remove(self, batch: Batch, changes: Changes) -> None:
        removed: dict[str, list[Key]] = {
            "tracks": sorted(batch.removed_tracks),
            KEYFRAMES: sorted(batch.removed_keyframes),
            "maps": sorted(batch.removed_frames),
            "rooms": sorted(batch.removed_frames),
            "meta": sorted(_own_name(name) for name in batch.removed_meta),
        }
        for table, keys in removed.items():
            if keys:
                self._delete(table, keys)
            for key in keys:
                changes.put(table, key, None)

    def _put(self, table: str, rows: Sequence[Row], changes: Changes) -> None:
        checked = [(*row, row_checksum(table, row)) for row in rows]
        if checked:
            self._upsert(table, checked)
        for row in checked:
            changes.put(table, row[0], row[-1])

    # -------------------------------------------------------------------------------------------- reading

    def _damaged(self, what: str) -> StoreError:
        return StoreError(f"{self.name}: damaged: {what}")

    def _own(self) -> tuple[int, dict[str, Digest]]:
        """Return the number of commits and the digests that the last one left."""
        found: dict[Key, bytes] = {}
        for key, body, checksum in self._select("meta", (*names("meta"), "checksum"), keys=(COMMIT, DIGEST)):
            if row_checksum("meta", (key, body)) != checksum:
                raise self._damaged(f"meta {key!r} does not match its checksum")
            found[key] = body
        digests = {table: Digest() for table in COLUMNS}
        try:
            digests.update(msgspec.msgpack.decode(found.get(DIGEST, b"\x80"), type=dict[str, Digest]))
            return int(found.get(COMMIT, b"0")), digests
        except ValueError as error:
            raise self._damaged(f"its digest cannot be read: {error}") from error

    def _refresh(self) -> None:
        """Learn which rows there are if that has changed, and check that it is those which the last commit left."""
        commit, digests = self._own()
        if commit and commit == self._ledger.commit:
            return
        ledger = Ledger(commit)
        ledger.digests = digests
        for first, checksums, checksum in self._select(BLOCKS, ("key", "checksums", "checksum")):
            if first != ledger.tail_start or not _has_length(checksums, CHECKSUM_BYTES * KEYFRAMES_PER_BLOCK):
                raise self._damaged(f"there is no whole block {ledger.tail_start} of keyframes")
            ledger.blocks[first] = checksums
            ledger.rows[BLOCKS][first] = checksum
        for table in COLUMNS:
            if table != BLOCKS:
                least = ledger.tail_start if table == KEYFRAMES else None
                ledger.rows[table] = dict(self._select(table, ("key", "checksum"), least=least))
        ledger.rows["meta"].pop(DIGEST, None)
        for rows in ledger.rows.values():
            if not all(_has_length(checksum, CHECKSUM_BYTES) for checksum in rows.values()):
                raise self._damaged("a row has no checksum")
        for table, found in ledger.count().items():
            if found != digests[table]:
                raise self._damaged(
                    f"table {table} has {found.n_rows} rows where {digests[table].n_rows} were written, "
                    f"or not the same ones"
                )
        self._ledger = ledger

    def _bodies(self, table: str) -> Iterator[tuple[Key, bytes]]:
        """Return key and body of all rows of a table by key, checking each; of keyframes, of those in no block."""
        known = dict(self._ledger.rows[table])
        least = self._ledger.tail_start if table == KEYFRAMES else None
        for row in self._select(table, (*names(table), "checksum"), least=least):
            if (table, row[0]) != ("meta", DIGEST):
                self._check_row(table, row, known.pop(row[0], None))
                yield row[0], row[-2]
        if known:
            raise self._damaged(f"{table} {next(iter(known))!r} is missing")

    def _blocks(self) -> dict[int, bytes]:
        """Return all blocks of keyframes; one is checked while the next is read, for they may be a gigabyte."""
        known = self._ledger.rows[BLOCKS]
        found: dict[int, bytes] = {}
        with ThreadPoolExecutor(1) as checker:
            checks = []
            for row in self._select(BLOCKS, (*names(BLOCKS), "checksum")):
                found[row[0]] = row[-2]
                checks.append(checker.submit(self._check_row, BLOCKS, row, known.get(row[0])))
            for check in checks:
                check.result()
        if len(found) != len(known):
            raise self._damaged(f"{len(known) - len(found)} blocks of keyframes are missing")
        return found

    def _check_row(self, table: str, row: Row, known: bytes | None) -> None:
        if not isinstance(row[-2], bytes) or row_checksum(table, row[:-1]) != row[-1] or row[-1] != known:
            raise self._damaged(f"{table} {row[0]!r} does not match its checksum")

    def load(self) -> Contents:
        """Read and check everything but keyframes in blocks, as of one commit.

        Raises:
            StoreError: Something is damaged; the text says what.
        """
        with self._transaction(write=False):
            self._refresh()
            sessions = [read_struct(f"session {key}", body, SessionRecord) for key, body in self._bodies("sessions")]
            tracks = [Track.from_bytes(body) for _, body in self._bodies("tracks")]
            tail = [read_struct(f"keyframe {key}", body, Keyframe) for key, body in self._bodies(KEYFRAMES)]
            contents = Contents(
                sessions=tuple(sorted(sessions, key=lambda session: (session.start_ns, session.session))),
                tracks=tuple(sorted(tracks, key=lambda track: track.number)),
                keyframe_blocks=self._blocks(),
                keyframe_tail=tuple(tail),
                maps={str(key): inflate(body) for key, body in self._bodies("maps")},
                rooms={str(key): rooms_from_bytes(inflate(body)) for key, body in self._bodies("rooms")},
                meta={str(key): body for key, body in self._bodies("meta") if key != COMMIT},
            )
        if META_UNFINISHED in contents.meta:
            raise StoreError(f"{self.name}: is a copy that was not finished; delete it and copy again")
        return contents

    def keyframe_indices(self) -> Sequence[int]:
        """Return the indices of all keyframes, in order, as of the last time that anything was read or written."""
        return self._ledger.keyframe_indices()

    def keyframes(self, indices: Iterable[int]) -> tuple[Keyframe, ...]:
        """Read whole keyframes, in the order of the indices, checking each.

        Raises:
            StoreError: There is no such keyframe, or it was removed, or it is damaged.
        """
        wanted = [int(index) for index in indices]
        found: dict[Key, Keyframe] = {}
        with self._transaction(write=False):
            self._refresh()
            for start in range(0, len(wanted), _READ_AT_ONCE):
                keys = sorted(set(wanted[start : start + _READ_AT_ONCE]))
                for row in self._select(KEYFRAMES, (*names(KEYFRAMES), "checksum"), keys=keys):
                    self._check_row(KEYFRAMES, row, self._ledger.keyframe(row[0]))
                    found[row[0]] = read_struct(f"keyframe {row[0]}", row[-2], Keyframe)
            for index in wanted:
                if index not in found and self._ledger.keyframe(index) is not None:
                    raise self._damaged(f"keyframe {index} is missing")
                if index not in found:
                    raise StoreError(f"{self.name}: has no keyframe {index}, or no more")
        return tuple(found[index] for index in wanted)

    def check(self) -> None:
        """Read everything, all keyframes too, and find whatever is damaged.

        Raises:
            StoreError: Something is; the text says what.
        """
        self.load()
        indices = self.keyframe_indices()
        for start in range(0, len(indices), _READ_AT_ONCE):
            self.keyframes(indices[start : start + _READ_AT_ONCE])


def interval_rows(track: Track) -> list[Row]:
    """Return the intervals of a track as rows of the table of that name."""
    return [
        (track.id, number, i.state, *map(_plain, i.position_m),
         i.valid_from_ns, i.valid_to_ns, i.known_from_ns, i.known_to_ns, i.session, i.cause)
        for number, i in enumerate(track.intervals)
    ]  # fmt: skip


def _tables(batch: Batch, keyframes: Sequence[Keyframe]) -> Iterator[tuple[str, list[Row]]]:
    """Return the rows of a batch, but for blocks, by table."""
    encode = msgspec.msgpack.encode
    yield "sessions", [(s.session, s.world_frame, s.start_ns, s.end_ns, encode(s)) for s in batch.sessions.values()]
    yield "tracks", [_track_row(track) for track in batch.tracks.values()]
    yield KEYFRAMES, [(k.index, k.session, k.seq, k.stamp_ns, encode(k)) for k in keyframes]
    yield "maps", [(frame, deflate(data)) for frame, data in batch.maps.items()]
    yield "rooms", [(frame, deflate(rooms_to_bytes(rooms))) for frame, rooms in batch.rooms.items()]
    yield "meta", [(_own_name(name), data) for name, data in batch.meta.items()]


def _track_row(track: Track) -> Row:
    plain = (track.label, track.state, int(track.confirmed), *map(_plain, track.position_m))
    return (track.id, *plain, _plain(track.existence), track.first_seen_ns, track.last_seen_ns, track.to_bytes())


def _plain(value: float) -> float:
    """Return a number as SQLite gives it back: it knows no negative zero."""
    return float(value) + 0.0


def _own_name(name: str) -> str:
    if name in (DIGEST, COMMIT):
        raise ValueError(f"meta: expected a name other than {name!r}, which the store uses itself")
    return name


def _has_length(value: object, length: int) -> bool:
    return isinstance(value, bytes) and len(value) == length
