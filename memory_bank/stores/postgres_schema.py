"""The tables of a memory in PostgreSQL: a schema of its own for each memory of the database.

The tables are those of a memory file (``schema``), plus the embeddings of keyframes where the server has pgvector.
Each memory has its own version; migrations run in order, in one transaction, and are never changed once released.
"""

from __future__ import annotations

import re

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
"""What a memory may be called."""

_TABLES = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY, body BYTEA NOT NULL, checksum BYTEA NOT NULL
);
CREATE TABLE sessions (
    key TEXT PRIMARY KEY, world_frame TEXT NOT NULL, start_ns BIGINT NOT NULL, end_ns BIGINT,
    body BYTEA NOT NULL, checksum BYTEA NOT NULL
);
CREATE TABLE tracks (
    key TEXT PRIMARY KEY, label TEXT NOT NULL, state TEXT NOT NULL, confirmed INTEGER NOT NULL,
    x_m DOUBLE PRECISION NOT NULL, y_m DOUBLE PRECISION NOT NULL, z_m DOUBLE PRECISION NOT NULL,
    existence DOUBLE PRECISION NOT NULL, first_seen_ns BIGINT NOT NULL, last_seen_ns BIGINT NOT NULL,
    body BYTEA NOT NULL, checksum BYTEA NOT NULL
);
CREATE INDEX tracks_by_label ON tracks (label, state);
CREATE TABLE intervals (
    track TEXT NOT NULL REFERENCES tracks (key) ON DELETE CASCADE, number INTEGER NOT NULL, state TEXT NOT NULL,
    x_m DOUBLE PRECISION NOT NULL, y_m DOUBLE PRECISION NOT NULL, z_m DOUBLE PRECISION NOT NULL,
    valid_from_ns BIGINT NOT NULL, valid_to_ns BIGINT, known_from_ns BIGINT NOT NULL, known_to_ns BIGINT,
    session TEXT NOT NULL, cause TEXT NOT NULL,
    PRIMARY KEY (track, number)
);
CREATE INDEX intervals_by_time ON intervals (valid_from_ns, valid_to_ns);
CREATE TABLE keyframes (
    key BIGINT PRIMARY KEY, session TEXT NOT NULL, seq BIGINT NOT NULL, stamp_ns BIGINT NOT NULL,
    body BYTEA NOT NULL, checksum BYTEA NOT NULL
);
CREATE INDEX keyframes_by_time ON keyframes (stamp_ns);
CREATE TABLE keyframe_blocks (
    key BIGINT PRIMARY KEY, checksum BYTEA NOT NULL, checksums BYTEA NOT NULL, body BYTEA NOT NULL
);
CREATE TABLE maps (
    key TEXT PRIMARY KEY, body BYTEA NOT NULL, checksum BYTEA NOT NULL
);
CREATE TABLE rooms (
    key TEXT PRIMARY KEY, body BYTEA NOT NULL, checksum BYTEA NOT NULL
);
-- Bodies are pictures and compressed maps: trying to compress them again only takes time.
ALTER TABLE tracks ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE keyframes ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE keyframe_blocks ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE maps ALTER COLUMN body SET STORAGE EXTERNAL;
"""

MIGRATIONS: tuple[str, ...] = (_TABLES,)
"""``MIGRATIONS[n]`` brings a memory from version n to n + 1."""

VERSION = len(MIGRATIONS)

VECTORS = """
CREATE TABLE IF NOT EXISTS keyframe_vectors (
    key BIGINT PRIMARY KEY REFERENCES keyframes (key) ON DELETE CASCADE,
    session TEXT NOT NULL, stamp_ns BIGINT NOT NULL,
    x_m DOUBLE PRECISION NOT NULL, y_m DOUBLE PRECISION NOT NULL, z_m DOUBLE PRECISION NOT NULL,
    embedding HALFVEC NOT NULL
);
CREATE INDEX IF NOT EXISTS keyframe_vectors_by_time ON keyframe_vectors (stamp_ns);
"""
"""Only where the server has pgvector. No index over the vectors: those that there are lose hits once a filter is added,
while reading every row that passes the filter loses none."""


def schema_name(memory: str) -> str:
    """Return the name of the schema that holds a memory.

    Raises:
        ValueError: No memory can be called so.
    """
    if not NAME.fullmatch(memory):
        raise ValueError(f"memory: expected up to 40 letters, digits, - and _, got {memory!r}")
    return f"memory_{memory}"
