"""The fleet's store: memories in a PostgreSQL database, each in a schema of its own, for as many readers as there are.

One process writes to a memory at a time; an advisory lock, which the server drops with the connection, sees to that.
The address names the memory: ``postgresql://USER@HOST/DATABASE?memory=NAME``, by default ``shared``. What is
acknowledged has been flushed to disk by the server. Where it has pgvector, ``search`` finds keyframes by meaning.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import numpy as np

from embodied.arrays import Float
from embodied.errors import ConfigurationError, StoreError
from embodied.messages import Box
from memory_bank.episodes.keyframes import Keyframe
from memory_bank.objects.track import Track
from memory_bank.stores.ledger import COLUMNS, Key, names
from memory_bank.stores.postgres_schema import MIGRATIONS, VECTORS, VERSION, schema_name
from memory_bank.stores.row_store import COMMIT, Row, RowStore, interval_rows

logger = logging.getLogger(__name__)

DEFAULT_MEMORY = "shared"
CONNECT_S = 10
"""How long a server may take to answer, and how long it may be silent in the middle of something."""
LOCK_S = 5
STATEMENT_S = 120
_FETCH_ROWS = 64
_DERIVED = ("intervals", "keyframe_vectors")


def split_address(address: str) -> tuple[str, str]:
    """Return an address without its memory, and the memory.

    Raises:
        ValueError: The memory's name cannot be one.
    """
    database, _, query = address.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    memory = options.pop("memory", DEFAULT_MEMORY)
    schema_name(memory)
    return database + (f"?{urlencode(options)}" if options else ""), memory


def shown_address(address: str) -> str:
    """Return an address for messages: without password and options."""
    parts = urlsplit(address)
    user, at, host = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{user.split(':')[0]}{at}{host}{parts.path}"


class PostgresStore(RowStore):
    """A memory in a database; see ``store.Store``."""

    def __init__(self, address: str, *, read_only: bool = False) -> None:
        """Open a memory; for writing also make a new one, or bring an old one to the newest schema.

        Raises:
            ConfigurationError: The driver is not installed, or the server would not keep what it acknowledges.
            StoreError: The server cannot be reached, it has no such memory (to read), the memory is damaged, its schema
                is newer than this program, or another process is writing to it.
            ValueError: The memory's name cannot be one.
        """
        try:
            import psycopg
        except ImportError as error:
            raise ConfigurationError(
                'memories in PostgreSQL need a driver: pip install "embodied-memory[fleet]"'
            ) from error
        self._psycopg = psycopg
        database, self.memory = split_address(address)
        self._schema = schema_name(self.memory)
        super().__init__(f"memory {self.memory} in {shown_address(database)}", read_only=read_only)
        with self._faults():
            self._connection = self._connect(database)
        try:
            with self._faults():
                self._open()
            with self._transaction(write=False):
                self._refresh()
        except BaseException:
            self.close()
            raise

    # -------------------------------------------------------------------------------------- opening

    def _connect(self, database: str) -> Any:
        connection = self._psycopg.connect(
            database,
            autocommit=True,
            connect_timeout=CONNECT_S,
            tcp_user_timeout=CONNECT_S * 1000,
            keepalives_idle=CONNECT_S,
            application_name="embodied-memory",
        )
        connection.isolation_level = self._psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute(
            "SELECT set_config('search_path', quote_ident(%s) || ', public', false), "
            "set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false), "
            "set_config('synchronous_commit', 'on', false)",
            (self._schema, f"{LOCK_S}s", f"{STATEMENT_S}s"),
        )
        return connection

    def _open(self) -> None:
        if not self.read_only:
            self._lock()
        version = self._version()
        if version is None and self.read_only:
            raise StoreError(f"{self.name}: there is no such memory")
        if version is not None and version > VERSION:
            raise StoreError(
                f"{self.name}: has schema version {version}, newer than this program's {VERSION}; "
                f"update embodied-memory"
            )
        if (version or 0) < VERSION:
            if self.read_only:
                raise StoreError(
                    f"{self.name}: has schema version {version}, older than this program's {VERSION}; "
                    f"open it once with a memory process, which brings it up to date"
                )
            self._migrate(version or 0)
        if not self.read_only:
            self._make_vectors()
        self._has_vectors = self._one("SELECT to_regclass('keyframe_vectors') IS NOT NULL")
        self._connection.read_only = self.read_only

    def _lock(self) -> None:
        if self._one("SHOW fsync") != "on":
            raise ConfigurationError(f"{self.name}: the server runs with fsync off: a crash would lose what is written")
        if not self._one("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", f"embodied memory {self.memory}"):
            raise StoreError(f"{self.name}: another process is writing to it")

    def _version(self) -> int | None:
        """Return the version of the memory's schema, None if there is no such memory."""
        if not self._one("SELECT to_regclass(quote_ident(%s) || '.schema_version') IS NOT NULL", self._schema):
            return None
        version: int = self._one("SELECT version FROM schema_version")
        return version

    def _migrate(self, version: int) -> None:
        """Make the memory, or bring it to the newest version: all of it or nothing."""
        with self._connection.transaction():
            if version == 0:
                self._connection.execute(self._psycopg.sql.SQL("CREATE SCHEMA {}").format(self._identifier()))
                self._connection.execute("CREATE TABLE schema_version (version INTEGER NOT NULL)")
                self._connection.execute("INSERT INTO schema_version VALUES (0)")
            for script in MIGRATIONS[version:]:
                self._connection.execute(script)
            self._connection.execute("UPDATE schema_version SET version = %s", (VERSION,))

    def _make_vectors(self) -> None:
        try:
            with self._connection.transaction():
                # One at a time: IF NOT EXISTS does not hold between two that make it at once.
                self._connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('embodied memory vector', 0))")
                self._connection.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
                self._connection.execute(VECTORS)
        except self._psycopg.Error as error:
            logger.warning("%s: no search among its keyframes: pgvector: %s", self.name, error)

    def _identifier(self) -> Any:
        return self._psycopg.sql.Identifier(self._schema)

    def _one(self, query: str, *values: object) -> Any:
        return self._connection.execute(query, values).fetchone()[0]

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn what the server and the network say into StoreError."""
        try:
            yield
        except self._psycopg.Error as error:
            raise StoreError(f"{self.name}: {' '.join(str(error).split()) or type(error).__name__}") from error

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[None]:
        # A batch is many statements of which none waits for another's answer.
        with self._faults(), self._connection.pipeline() if write else nullcontext(), self._connection.transaction():
            yield

    # -------------------------------------------------------------------------------------- tables

    def _upsert(self, table: str, rows: Sequence[Row]) -> None:
        columns = (*names(table), "checksum")
        marks = ", ".join(["%s"] * len(columns))
        update = ", ".join(f"{name} = excluded.{name}" for name in columns[1:])
        with self._connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) ON CONFLICT (key) DO UPDATE SET {update}",
                rows,
            )

    def _delete(self, table: str, keys: Sequence[Key]) -> None:
        self._connection.execute(f"DELETE FROM {table} WHERE key = ANY(%s)", (list(keys),))

    def _select(
        self, table: str, columns: Sequence[str], *, keys: Sequence[Key] | None = None, least: int | None = None
    ) -> Iterator[Row]:
        query = f"SELECT {', '.join(columns)} FROM {table}"
        if keys is not None:
            yield from self._connection.cursor(binary=True).execute(f"{query} WHERE key = ANY(%s)", (list(keys),))
            return
        where = "" if least is None else "WHERE key >= %s"
        # On the server's side, because the driver would otherwise hold the whole table before the first row.
        with self._connection.cursor(name="rows", binary=True) as cursor:
            cursor.itersize = _FETCH_ROWS
            cursor.execute(f"{query} {where} ORDER BY key", () if least is None else (least,))
            yield from cursor

    def _put_derived(self, tracks: Sequence[Track], keyframes: Sequence[Keyframe]) -> None:
        intervals = [row for track in tracks for row in interval_rows(track)]
        with self._connection.cursor() as cursor:
            if tracks:
                cursor.execute("DELETE FROM intervals WHERE track = ANY(%s)", ([track.id for track in tracks],))
                cursor.executemany(f"INSERT INTO intervals VALUES ({', '.join(['%s'] * 12)})", intervals)
            if keyframes and self._has_vectors:
                cursor.execute("DELETE FROM keyframe_vectors WHERE key = ANY(%s)", ([k.index for k in keyframes],))
                cursor.executemany(
                    "INSERT INTO keyframe_vectors VALUES (%s, %s, %s, %s, %s, %s, %s::halfvec)",
                    [_vector_row(k) for k in keyframes if k.embedding and np.isfinite(k.vector).all()],
                )

    def _acknowledge(self, commit: int) -> None:
        """Note nothing: the server's own log tells."""

    # -------------------------------------------------------------------------------------- the memory as a whole

    @property
    def version(self) -> int:
        """A number that differs once a process has written to the memory."""
        with self._faults():
            row = self._connection.execute("SELECT body FROM meta WHERE key = %s", (COMMIT,)).fetchone()
        try:
            return int(row[0]) if row else 0
        except ValueError as error:
            raise self._damaged(f"meta {COMMIT!r} is no number") from error

    def search(
        self,
        vector: Float[np.ndarray, " dim"],
        k: int,
        *,
        since_ns: int | None = None,
        until_ns: int | None = None,
        sessions: Sequence[str] = (),
        box: Box | None = None,
    ) -> tuple[tuple[int, float], ...]:
        """Find the keyframes whose embeddings point most nearly where a vector points, among those that pass.

        Every keyframe that passes is compared, so that none is missed, whatever the filters.

        Args:
            vector: Of the embeddings' length; others are passed over.
            k: At most how many.
            since_ns: Not before this instant.
            until_ns: Before this instant.
            sessions: Only of these; empty for all.
            box: Only those whose camera was inside.

        Returns:
            Index and cosine, highest first, lower indices first of equals.

        Raises:
            ConfigurationError: The server has no pgvector.
            StoreError: The server does not answer.
            ValueError: The vector is not finite, or has no direction.
        """
        if not self._has_vectors:
            raise ConfigurationError(f"{self.name}: the server has no pgvector, which search needs")
        norm = float(np.linalg.norm(vector))
        if not math.isfinite(norm) or norm == 0.0:
            raise ValueError(f"vector: expected finite numbers, not all zero, got a norm of {norm}")
        where, values = _filters(since_ns, until_ns, sessions, box)
        query = (
            "SELECT key, 1 - (embedding::vector <=> %(vector)s::vector) AS score FROM keyframe_vectors "
            f"WHERE vector_dims(embedding) = %(dim)s {where} "
            "ORDER BY score DESC, key LIMIT %(k)s"
        )
        with self._transaction(write=False):
            rows = self._connection.execute(
                query, {**values, "vector": _text(vector / norm), "dim": len(vector), "k": k}
            ).fetchall()
        return tuple((int(key), float(score)) for key, score in rows)

    def purge(self) -> None:
        """Write the tables of this memory anew, without what was removed or replaced, and give its space back.

        The server's write-ahead log and its backups are not ours to clean: they forget when it lets go of them.

        Raises:
            StoreError: The disk is full, or a reader is in the way. What was removed may still be there in bytes.
        """
        self._check_writable()
        tables = (*COLUMNS, *(table for table in _DERIVED if table != "keyframe_vectors" or self._has_vectors))
        with self._faults():
            self._connection.execute("SELECT set_config('statement_timeout', '0', false)")
            try:
                self._connection.execute(f"VACUUM (FULL) {', '.join(tables)}")
            finally:
                self._connection.execute("SELECT set_config('statement_timeout', %s, false)", (f"{STATEMENT_S}s",))

    def close(self) -> None:
        """Close the connection, and with it give back the right to write. May be called twice."""
        connection = getattr(self, "_connection", None)
        if connection is not None:
            del self._connection
            connection.close()


def _vector_row(keyframe: Keyframe) -> Row:
    return (keyframe.index, keyframe.session, keyframe.stamp_ns, *keyframe.position_m, _text(keyframe.vector))


def _text(vector: Float[np.ndarray, " dim"]) -> str:
    return f"[{','.join(map(repr, vector.astype(float).tolist()))}]"


def _filters(
    since_ns: int | None, until_ns: int | None, sessions: Sequence[str], box: Box | None
) -> tuple[str, dict[str, Any]]:
    """Return the conditions of a search, each begun with AND, and their values."""
    where = ""
    values: dict[str, Any] = {}
    if since_ns is not None:
        where += " AND stamp_ns >= %(since)s"
        values["since"] = since_ns
    if until_ns is not None:
        where += " AND stamp_ns < %(until)s"
        values["until"] = until_ns
    if sessions:
        where += " AND session = ANY(%(sessions)s)"
        values["sessions"] = list(sessions)
    if box is not None:
        where += (
            " AND abs((x_m - %(x)s) * %(cos)s + (y_m - %(y)s) * %(sin)s) <= %(dx)s"
            " AND abs((y_m - %(y)s) * %(cos)s - (x_m - %(x)s) * %(sin)s) <= %(dy)s"
            " AND abs(z_m - %(z)s) <= %(dz)s"
        )
        values.update(zip("xyz", box.center_m), cos=math.cos(box.yaw_rad), sin=math.sin(box.yaw_rad))
        values.update({f"d{axis}": size_m / 2 for axis, size_m in zip("xyz", box.size_m)})
    return where, values
