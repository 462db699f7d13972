"""The embedded store: one SQLite file in WAL mode with ``synchronous=FULL``."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from embodied.errors import StoreError
from memory_bank.episodes.keyframes import Keyframe
from memory_bank.objects.track import Track
from memory_bank.stores.ledger import COLUMNS, Key, names
from memory_bank.stores.lock import WriterLock, last_acknowledged, lock_path
from memory_bank.stores.row_store import Row, RowStore, interval_rows
from memory_bank.stores.sqlite_schema import APPLICATION_ID, VERSION, migrate

logger = logging.getLogger(__name__)

BUSY_S = 5.0
"""How long to wait for a moment in which the file is not locked."""
PAGE_BYTES = 8192
"""Of new files."""
CHECK_WHOLE_BYTES = 64 << 20
"""Up to this size the whole file is checked for its inner order when it is opened."""
_LARGE = ("keyframes", "keyframe_blocks")
"""Tables that grow with the life of the robot. Larger files are checked without them: their rows are when read."""
_HEADER = b"SQLite format 3\0"
_INTERVAL = "INSERT INTO intervals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class SqliteStore(RowStore):
    """A memory in one file; see ``store.Store``.

    Open for writing, it is the file's only writer; readers may come and go meanwhile.
    """

    def __init__(self, path: Path | str, *, read_only: bool = False) -> None:
        """Open a memory file; for writing also make a new one, or bring an old one to the newest schema.

        Raises:
            StoreError: There is no such file (to read), it is not a memory, it is damaged, its schema is newer than
                this program, or another process is writing to it.
        """
        super().__init__(f"memory {path}", read_only=read_only)
        self.path = Path(path)
        self._lock: WriterLock | None = None
        self._copy: tempfile.TemporaryDirectory[str] | None = None
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
            raise StoreError(f"{self.name}: cannot be read: {error.strerror}") from error
        if header != _HEADER and (header or self.read_only):
            what = "is empty" if not header else "is not a memory file"
            raise StoreError(f"{self.name}: {what}")

    def _open(self) -> sqlite3.Connection:
        if self.read_only:
            return self._open_to_read()
        connection = self._connect(self.path, "rwc")
        try:
            self._check_schema(connection)
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_to_read(self) -> sqlite3.Connection:
        """Open to read; read a copy where not even the reader's index beside the file can be made, or to migrate it."""
        connection = self._connect(self.path, "ro")
        try:
            is_old = self._check_schema(connection) < VERSION
        except sqlite3.OperationalError:
            is_old = True
        except BaseException:
            connection.close()
            raise
        if is_old:
            connection.close()
            connection = self._connect(self._copied(), "rw")
            try:
                if self._check_schema(connection) < VERSION:
                    migrate(connection)
            except BaseException:
                connection.close()
                raise
        return connection

    def _copied(self) -> Path:
        self._copy = tempfile.TemporaryDirectory(prefix="memory-")
        copied = Path(self._copy.name) / "memory.db"
        for suffix in ("", "-wal"):
            source = self.path.with_name(self.path.name + suffix)
            if source.exists():
                shutil.copyfile(source, copied.with_name(copied.name + suffix))
        return copied

    def _connect(self, path: Path, mode: str) -> sqlite3.Connection:
        uri = f"file:{quote(str(path.resolve()))}?mode={mode}"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)
        connection.execute("PRAGMA cell_size_check = ON")
        return connection

    def _check_schema(self, connection: sqlite3.Connection) -> int:
        """Return the version of the file's schema."""
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (n_tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application != APPLICATION_ID and (n_tables or self.read_only):
            raise StoreError(f"{self.name}: is a database of another program")
        if version > VERSION:
            raise StoreError(
                f"{self.name}: has schema version {version}, newer than this program's {VERSION}; "
                f"update embodied-memory"
            )
        return int(version)

    def _check_health(self, acknowledged: int) -> None:
        self._check_order(whole=self.path.stat().st_size <= CHECK_WHOLE_BYTES)
        with self._transaction(write=False):
            self._refresh()
        if self._ledger.commit < acknowledged:
            raise StoreError(
                f"{self.name}: damaged: commit {acknowledged} was acknowledged, but only {self._ledger.commit} are "
                f"left; if the file was put back from a copy, delete {lock_path(self.path).name}"
            )

    def _check_order(self, *, whole: bool) -> None:
        """Let SQLite check the order of its pages."""
        tables = ("",) if whole else tuple(f"({table})" for table in COLUMNS if table not in _LARGE)
        for table in tables:
            problems = [row[0] for row in self._connection.execute(f"PRAGMA quick_check{table or '(3)'}")]
            if problems != ["ok"]:
                raise self._damaged("; ".join(problems[:3]))

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn what SQLite and the disk say into StoreError."""
        try:
            yield
        except (sqlite3.DatabaseError, OverflowError, OSError) as error:
            raise StoreError(f"{self.name}: {error}") from error

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[None]:
        with self._faults():
            self._connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    # -------------------------------------------------------------------------------------- tables

    def _upsert(self, table: str, rows: Sequence[Row]) -> None:
        columns = (*names(table), "checksum")
        marks = ", ".join("?" * len(columns))
        update = ", ".join(f"{name} = excluded.{name}" for name in columns[1:])
        # An upsert, because REPLACE would delete a track's row and with it, by the foreign key, its intervals.
        self._connection.executemany(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) ON CONFLICT (key) DO UPDATE SET {update}",
            rows,
        )

    def _delete(self, table: str, keys: Sequence[Key]) -> None:
        self._connection.executemany(f"DELETE FROM {table} WHERE key = ?", [(key,) for key in keys])

    def _select(
        self, table: str, columns: Sequence[str], *, keys: Sequence[Key] | None = None, least: int | None = None
    ) -> Iterator[Row]:
        where, values = "", tuple(keys or ())
        if keys is not None:
            where = f"WHERE key IN ({', '.join('?' * len(keys))})"
        elif least is not None:
            where, values = "WHERE key >= ?", (least,)
        yield from self._connection.execute(f"SELECT {', '.join(columns)} FROM {table} {where} ORDER BY key", values)

    def _put_derived(self, tracks: Sequence[Track], keyframes: Sequence[Keyframe]) -> None:
        self._connection.executemany("DELETE FROM intervals WHERE track = ?", [(track.id,) for track in tracks])
        self._connection.executemany(_INTERVAL, [row for track in tracks for row in interval_rows(track)])

    def _acknowledge(self, commit: int) -> None:
        assert self._lock is not None, "the store is closed"
        with self._faults():
            self._lock.note(commit)

    # -------------------------------------------------------------------------------------- the file as a whole

    @property
    def version(self) -> int:
        """A number that differs once another process has written to the file."""
        with self._faults():
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)

    def check(self) -> None:
        """Read everything, all keyframes too, and find whatever is damaged.

        Raises:
            StoreError: Something is; the text says what.
        """
        with self._faults():
            self._check_order(whole=True)
        super().check()

    def purge(self) -> None:
        """Make what was removed or replaced unreadable in the file and its log, and give its space back.

        All that is left is written anew, which takes as much free disk as the file, and seconds for each gigabyte.

        Raises:
            StoreError: The disk is full, or a reader is in the way. What was removed may still be there in bytes.
        """
        self._check_writable()
        with self._faults():
            # Without it, pages that SQLite shuffles while it copies would keep bytes of their former rows.
            self._connection.execute("PRAGMA secure_delete = ON")
            try:
                self._connection.execute("VACUUM")
            finally:
                self._connection.execute("PRAGMA secure_delete = OFF")
            busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreError(f"{self.name}: what was removed is still in its log: somebody is reading; try again")

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
            logger.info("%s: the log stays beside it: %s", self.name, error)
            return False
        return True
