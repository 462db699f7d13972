"""The tables of a memory file, and how older files become new ones.

The file says whose it is (``application_id``) and how old its schema is (``user_version``). A migration is a script of
SQL; migrations run in order, each in one transaction, and are never changed once released.
"""

from __future__ import annotations

import sqlite3

APPLICATION_ID = 0x454D4231
"""``EMB1``: what ``file`` and other tools see in bytes 68 to 71."""

_FIRST = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY, body BLOB NOT NULL, checksum BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE sessions (
    key TEXT PRIMARY KEY, world_frame TEXT NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER,
    body BLOB NOT NULL, checksum BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE tracks (
    key TEXT PRIMARY KEY, label TEXT NOT NULL, state TEXT NOT NULL, confirmed INTEGER NOT NULL,
    x_m REAL NOT NULL, y_m REAL NOT NULL, z_m REAL NOT NULL, existence REAL NOT NULL,
    first_seen_ns INTEGER NOT NULL, last_seen_ns INTEGER NOT NULL,
    body BLOB NOT NULL, checksum BLOB NOT NULL
);
CREATE INDEX tracks_by_label ON tracks (label, state);
CREATE TABLE intervals (
    track TEXT NOT NULL REFERENCES tracks (key) ON DELETE CASCADE, number INTEGER NOT NULL, state TEXT NOT NULL,
    x_m REAL NOT NULL, y_m REAL NOT NULL, z_m REAL NOT NULL,
    valid_from_ns INTEGER NOT NULL, valid_to_ns INTEGER, known_from_ns INTEGER NOT NULL, known_to_ns INTEGER,
    session TEXT NOT NULL, cause TEXT NOT NULL,
    PRIMARY KEY (track, number)
) WITHOUT ROWID;
CREATE INDEX intervals_by_time ON intervals (valid_from_ns, valid_to_ns);
CREATE TABLE keyframes (
    key INTEGER PRIMARY KEY, session TEXT NOT NULL, seq INTEGER NOT NULL, stamp_ns INTEGER NOT NULL,
    body BLOB NOT NULL, checksum BLOB NOT NULL
);
CREATE INDEX keyframes_by_time ON keyframes (stamp_ns);
CREATE TABLE maps (
    key TEXT PRIMARY KEY, body BLOB NOT NULL, checksum BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE rooms (
    key TEXT PRIMARY KEY, body BLOB NOT NULL, checksum BLOB NOT NULL
) WITHOUT ROWID;
"""
# ``body`` is what the memory goes on with; the columns beside it repeat parts of it for queries and for other tools.

_BLOCKS = """
CREATE TABLE keyframe_blocks (
    key INTEGER PRIMARY KEY, checksum BLOB NOT NULL, checksums BLOB NOT NULL, body BLOB NOT NULL
);
"""
# The checksums stand before the body: they are read alone, and SQLite walks through all that comes before a column.

MIGRATIONS: tuple[str, ...] = (_FIRST, _BLOCKS)
"""``MIGRATIONS[n]`` brings a file from version n to n + 1."""

VERSION = len(MIGRATIONS)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a file, perhaps an empty one, to the newest version. A migration that fails leaves the file as it was."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for number in range(version, VERSION):
        script = f"BEGIN IMMEDIATE;\n{MIGRATIONS[number]}\nPRAGMA user_version = {number + 1};\n"
        if number == 0:
            script += f"PRAGMA application_id = {APPLICATION_ID};\n"
        try:
            connection.executescript(script + "COMMIT;")
        except BaseException:
            if connection.in_transaction:
                connection.rollback()
            raise
