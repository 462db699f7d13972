"""The embedded store: one SQLite file in WAL mode with ``synchronous=FULL``."""

from __future__ import annotations

import hashlib
import logging
import shutil
import sqlite3
import struct
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from embodied.errors import StoreError
from embodied.messages import SessionRecord
from memory_bank.keyframes import Keyframe
from memory_bank.rooms import RoomMap
from memory_bank.rows import read_struct, rooms_from_bytes, rooms_to_bytes
from memory_bank.schema import APPLICATION_ID, VERSION, migrate
from memory_bank.store import Batch, Contents
from memory_bank.store_lock import WriterLock, last_acknowledged, lock_path
from memory_bank.track import Track

logger = logging.getLogger(__name__)

BUSY_S = 5.0
"""How long to wait for a moment in which the file is not locked."""
_HEADER = b"SQLite format 3\0"
_COLUMNS: dict[str, tuple[str, ...]] = {
    "meta": (),
    "sessions": ("world_frame", "start_ns", "end_ns"),
    "tracks": (
        "label", "state", "confirmed", "x_m", "y_m", "z_m", "existence", "first_seen_ns", "last_seen_ns",
    ),
    "keyframes": ("session", "seq", "stamp_ns"),
    "maps": (),
    "rooms": (),
}  # fmt: skip
"""Columns between key and body of the tables with checksums."""
_DIGEST = "digest"
"""Key in ``meta`` of the number of rows and the exclusive or of the checksums of each table."""
_COMMIT = "commit"
_SIZE = struct.Struct("<Q")
MAX_INFLATED = 1 << 30
_INTERVAL = "INSERT INTO intervals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

Key = str | int


class _Digest(msgspec.Struct):
    """Which rows a table has."""

    n_rows: int = 0
    checksums: int = 0
    """Exclusive or of the rows' checksums."""


def _checksum(table: str, row: Sequence[Any]) -> bytes:
    """Return 8 bytes over everything in a row, its table's name included."""
    return hashlib.blake2b(msgspec.msgpack.encode((table, *row)), digest_size=8).digest()


def _interval_rows(track: Track) -> list[tuple[Any, ...]]:
    return [
        (track.id, number, i.state, *map(float, i.position_m),
         i.valid_from_ns, i.valid_to_ns, i.known_from_ns, i.known_to_ns, i.session, i.cause)
        for number, i in enumerate(track.intervals)
    ]  # fmt: skip


def _deflate(data: bytes) -> bytes:
    return _SIZE.pack(len(data)) + zlib.compress(data, 1)


def _inflate(body: bytes) -> bytes:
    """Undo ``_deflate``; never makes more bytes than were put in."""
    if len(body) < _SIZE.size or _SIZE.unpack_from(body)[0] > MAX_INFLATED:
        raise StoreError("a compressed map is damaged")
    (size,) = _SIZE.unpack_from(body)
    try:
        data = zlib.decompressobj().decompress(body[_SIZE.size :], size or 1)
    except zlib.error as error:
        raise StoreError(f"a compressed map is damaged: {error}") from error
    if len(data) != size:
        raise StoreError(f"a compressed map is damaged: {len(data)} bytes where {size} were written")
    return data


class SqliteStore:
    """A memory in one file; see ``store.Store``.

    Open for writing, it is the file's only writer; readers may come and go meanwhile.
    """

    def __init__(self, path: Path | str, *, read_only: bool = False) -> None:
        """Open a memory file; for writing also make a new one, or bring an old one to the newest schema.

        Raises:
            StoreError: There is no such file (to read), it is not a memory, it is damaged, its schema is newer than
                this program, or another process is writing to it.
        """
        self.path = Path(path)
        self.read_only = read_only
        self._lock: WriterLock | None = None
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self._checksums: dict[str, dict[Key, bytes]] = {}
        self._digests: dict[str, _Digest] = {}
        self._commit = 0
        if self.path.exists() or read_only:
            self._check_header()
        acknowledged = last_acknowledged(self.path)
        if not read_only:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = WriterLock(self.path)
        try:
            with self._faults():
                self._connection = self._open()
                self._check_health(acknowledged)
        except BaseException:
            self.close()
            raise

    # -------------------------------------------------------------------------------------- opening

    def _check_header(self) -> None:
        try:
            with self.path.open("rb") as file:
                header = file.read(len(_HEADER))
        except OSError as error:
            raise StoreError(f"memory {self.path}: cannot be read: {error.strerror}") from error
        if header != _HEADER and (header or self.read_only):
            what = "is empty" if not header else "is not a memory file"
            raise StoreError(f"memory {self.path}: {what}")

    def _open(self) -> sqlite3.Connection:
        if self.read_only:
            return self._open_to_read()
        connection = self._connect(self.path, "rwc")
        try:
            self._check_schema(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_to_read(self) -> sqlite3.Connection:
        """Open to read; where not even the reader's index beside the file can be made, read a copy."""
        connection = self._connect(self.path, "ro")
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            connection.close()
            self._copy = tempfile.TemporaryDirectory(prefix="memory-")
            copied = Path(self._copy.name) / "memory.db"
            for suffix in ("", "-wal"):
                source = self.path.with_name(self.path.name + suffix)
                if source.exists():
                    shutil.copyfile(source, copied.with_name(copied.name + suffix))
            connection = self._connect(copied, "rw")
        try:
            self._check_schema(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self, path: Path, mode: str) -> sqlite3.Connection:
        uri = f"file:{quote(str(path.resolve()))}?mode={mode}"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)
        connection.execute("PRAGMA cell_size_check = ON")
        return connection

    def _check_schema(self, connection: sqlite3.Connection) -> None:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (n_tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application != APPLICATION_ID and (n_tables or self.read_only):
            raise StoreError(f"memory {self.path}: is a database of another program")
        if version > VERSION:
            raise StoreError(
                f"memory {self.path}: has schema version {version}, newer than this program's {VERSION}; "
                f"update embodied-memory"
            )
        if version < VERSION and self.read_only:
            raise StoreError(
                f"memory {self.path}: has schema version {version}, older than this program's {VERSION}; "
                f"open it once with a memory process, which brings it up to date"
            )

    def _check_health(self, acknowledged: int) -> None:
        problems = [row[0] for row in self._connection.execute("PRAGMA quick_check(3)")]
        if problems != ["ok"]:
            raise StoreError(f"memory {self.path}: damaged: {'; '.join(problems)}")
        with self._transaction("BEGIN"):
            self._read_checksums()
        if self._commit < acknowledged:
            raise StoreError(
                f"memory {self.path}: damaged: commit {acknowledged} was acknowledged, but only {self._commit} are "
                f"left; if the file was put back from a copy, delete {lock_path(self.path).name}"
            )

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn what SQLite and the disk say into StoreError."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise StoreError(f"memory {self.path}: {error}") from error
        except OSError as error:
            raise StoreError(f"memory {self.path}: {error}") from error

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        self._connection.execute(begin)
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    # -------------------------------------------------------------------------------------- writing

    def write(self, batch: Batch) -> None:
        """Store a batch in one transaction, fsynced before this returns.

        Raises:
            StoreError: The disk is full or broken, or the store is open for reading only. Nothing was written.
        """
        if self.read_only:
            raise StoreError(f"memory {self.path}: is open for reading only")
        assert self._lock is not None, "the store is closed"
        written: dict[str, dict[Key, bytes | None]] = {}
        digests = {table: msgspec.structs.replace(digest) for table, digest in self._digests.items()}
        with self._faults(), self._transaction("BEGIN IMMEDIATE"):
            for track_id in sorted(batch.removed_tracks):
                self._delete(track_id, written, digests)
            for table, row in self._rows(batch):
                self._put(table, row, written, digests)
            commit = self._commit + 1
            self._put("meta", (_COMMIT, str(commit).encode()), written, digests)
            self._put("meta", (_DIGEST, msgspec.msgpack.encode(digests)), written, None)
        for table, checksums in written.items():
            for key, checksum in checksums.items():
                if checksum is None:
                    self._checksums[table].pop(key, None)
                else:
                    self._checksums[table][key] = checksum
        self._digests, self._commit = digests, commit
        self._lock.note(commit)

    def _rows(self, batch: Batch) -> Iterator[tuple[str, tuple[Any, ...]]]:
        encode = msgspec.msgpack.encode
        for session in batch.sessions.values():
            yield "sessions", (session.session, session.world_frame, session.start_ns, session.end_ns, encode(session))
        for track in batch.tracks.values():
            plain = (track.label, track.state, int(track.confirmed), *map(float, track.position_m))
            times = (float(track.existence), track.first_seen_ns, track.last_seen_ns)
            yield "tracks", (track.id, *plain, *times, track.to_bytes())
            self._connection.execute("DELETE FROM intervals WHERE track = ?", (track.id,))
            self._connection.executemany(_INTERVAL, _interval_rows(track))
        for keyframe in batch.keyframes:
            yield "keyframes", (keyframe.index, keyframe.session, keyframe.seq, keyframe.stamp_ns, encode(keyframe))
        for world_frame, occupancy in batch.maps.items():
            yield "maps", (world_frame, _deflate(occupancy))
        for world_frame, room_map in batch.rooms.items():
            yield "rooms", (world_frame, _deflate(rooms_to_bytes(room_map)))
        for name, body in batch.meta.items():
            if name in (_DIGEST, _COMMIT):
                raise ValueError(f"meta: expected a name other than {name!r}, which the store uses itself")
            yield "meta", (name, body)

    def _put(
        self,
        table: str,
        row: tuple[Any, ...],
        written: dict[str, dict[Key, bytes | None]],
        digests: dict[str, _Digest] | None,
    ) -> None:
        checksum = _checksum(table, row)
        names = ("key", *_COLUMNS[table], "body", "checksum")
        marks = ", ".join("?" * len(names))
        update = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
        # An upsert, because REPLACE would delete a track's row and with it, by the foreign key, its intervals.
        self._connection.execute(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks}) ON CONFLICT (key) DO UPDATE SET {update}",
            (*row, checksum),
        )
        if digests is not None:
            self._account(table, row[0], checksum, written, digests)

    def _delete(self, track_id: str, written: dict[str, dict[Key, bytes | None]], digests: dict[str, _Digest]) -> None:
        self._connection.execute("DELETE FROM tracks WHERE key = ?", (track_id,))
        self._account("tracks", track_id, None, written, digests)

    def _account(
        self,
        table: str,
        key: Key,
        checksum: bytes | None,
        written: dict[str, dict[Key, bytes | None]],
        digests: dict[str, _Digest],
    ) -> None:
        """Bring the digest of a table up to date with one row."""
        changed = written.setdefault(table, {})
        old = changed[key] if key in changed else self._checksums[table].get(key)
        digest = digests[table]
        for each, step in ((old, -1), (checksum, +1)):
            if each is not None:
                digest.checksums ^= int.from_bytes(each, "little")
                digest.n_rows += step
        changed[key] = checksum

    # -------------------------------------------------------------------------------------- reading

    def _read_checksums(self) -> None:
        """Learn which rows there are, and check that it is those which the last commit left."""
        row = self._connection.execute("SELECT body FROM meta WHERE key = ?", (_DIGEST,)).fetchone()
        self._digests = {table: _Digest() for table in _COLUMNS}
        if row is not None:
            try:
                self._digests |= msgspec.msgpack.decode(row[0], type=dict[str, _Digest])
            except msgspec.MsgspecError as error:
                raise StoreError(f"memory {self.path}: damaged: its digest cannot be read: {error}") from error
        for table in _COLUMNS:
            rows = self._connection.execute(f"SELECT key, checksum FROM {table}").fetchall()
            self._checksums[table] = {key: checksum for key, checksum in rows if (table, key) != ("meta", _DIGEST)}
            found = _Digest(len(self._checksums[table]), 0)
            for checksum in self._checksums[table].values():
                found.checksums ^= int.from_bytes(checksum, "little")
            if found != self._digests[table]:
                raise StoreError(
                    f"memory {self.path}: damaged: table {table} has {found.n_rows} rows where "
                    f"{self._digests[table].n_rows} were written, or not the same ones"
                )
        row = self._connection.execute("SELECT body FROM meta WHERE key = ?", (_COMMIT,)).fetchone()
        self._commit = int(row[0]) if row else 0

    def _table(self, table: str) -> Iterator[tuple[Key, bytes]]:
        """Return key and body of all rows of a table by key, checking each."""
        names = ("key", *_COLUMNS[table], "body")
        for row in self._connection.execute(f"SELECT {', '.join(names)}, checksum FROM {table} ORDER BY key"):
            if _checksum(table, row[:-1]) != row[-1]:
                raise StoreError(f"memory {self.path}: damaged: {table} {row[0]!r} does not match its checksum")
            yield row[0], row[len(names) - 1]

    @property
    def version(self) -> int:
        """A number that differs once another process has written to the file."""
        with self._faults():
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)

    def load(self) -> Contents:
        """Read and check everything, as of one commit.

        Raises:
            StoreError: Something is damaged; the text says what.
        """
        with self._faults(), self._transaction("BEGIN"):
            self._read_checksums()
            sessions = [read_struct(f"session {key}", body, SessionRecord) for key, body in self._table("sessions")]
            tracks = [Track.from_bytes(body) for _, body in self._table("tracks")]
            keyframes = [read_struct(f"keyframe {key}", body, Keyframe) for key, body in self._table("keyframes")]
            maps = {str(key): _inflate(body) for key, body in self._table("maps")}
            rooms: dict[str, RoomMap] = {
                str(key): rooms_from_bytes(_inflate(body)) for key, body in self._table("rooms")
            }
            meta = {str(key): body for key, body in self._table("meta") if key not in (_DIGEST, _COMMIT)}
        return Contents(
            sessions=tuple(sorted(sessions, key=lambda session: (session.start_ns, session.session))),
            tracks=tuple(sorted(tracks, key=lambda track: track.number)),
            keyframes=tuple(keyframes),
            maps=maps,
            rooms=rooms,
            meta=meta,
        )

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it. May be called twice."""
        connection = getattr(self, "_connection", None)
        clean = False
        if connection is not None:
            del self._connection
            clean = self.read_only or self._fold(connection)
            connection.close()
        if self._lock is not None:
            self._lock.release(clean=clean)
            self._lock = None
        if self._copy is not None:
            self._copy.cleanup()
            self._copy = None

    def _fold(self, connection: sqlite3.Connection) -> bool:
        """Bring everything from the log into the file; tell whether that was possible, readers being in the way."""
        try:
            connection.execute("PRAGMA busy_timeout = 0")
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                return False
            # A plain file can be read where no other file can be made beside it.
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()
        except sqlite3.DatabaseError as error:
            logger.info("memory %s: the log stays beside it: %s", self.path, error)
            return False
        return True
