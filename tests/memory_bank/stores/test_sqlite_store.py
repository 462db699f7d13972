"""The memory file: what was acknowledged stays, and what is damaged is never read as if it were whole."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from embodied.errors import StoreError
from memory_bank.stores import sqlite_schema as schema
from memory_bank.stores.protocol import KEYFRAMES_PER_BLOCK, Batch, Contents
from memory_bank.stores.sqlite_schema import VERSION
from memory_bank.stores.sqlite_store import SqliteStore
from memory_world import make_batch, make_keyframe
from store_contract import OpenStore, StoreContract, sealed_batch
from store_files import edit, environment, read

FIRST_RELEASE = Path(__file__).parents[2] / "data" / "memory-v1.db"
"""Three batches of ``make_batch`` with seed 1, written by version 1."""


class TestSqliteStore(StoreContract):
    """What every store does."""


def written(path: Path, n_batches: int = 3) -> None:
    rng = np.random.default_rng(1)
    store = SqliteStore(path)
    for number in range(n_batches):
        store.write(make_batch(number, rng))
    store.close()


# ------------------------------------------------------------------------------------------ the file


def test_nothing_but_the_file_is_left(path: Path, rng: np.random.Generator) -> None:
    written(path, 2)
    written_on = SqliteStore(path)
    written_on.write(make_batch(2, rng))
    written_on.close()
    assert len(read(path).tracks) == 9
    assert sorted(p.name for p in path.parent.iterdir()) == ["memory.db"]


def test_the_histories_can_be_queried_in_sql(open_store: OpenStore, path: Path, rng: np.random.Generator) -> None:
    store = open_store()
    store.write(make_batch(0, rng))
    store.write(make_batch(0, rng))
    store.write(Batch(removed_tracks={"o1"}))
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT track, state, cause FROM intervals ORDER BY track").fetchall()
    connection.close()
    assert rows == [(f"o{i}", "present", "seen_first") for i in (0, 2)]


class Refusing(sqlite3.Connection):
    """What a read-only directory does to a reader of a file with a write-ahead log."""

    def execute(self, *_: object) -> sqlite3.Cursor:
        raise sqlite3.OperationalError("unable to open database file")


def test_a_file_is_read_where_no_index_can_be_made_beside_it(
    open_store: OpenStore, path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store().write(make_batch(0, rng))
    connect = SqliteStore._connect

    def refuse(self: SqliteStore, where: Path, mode: str) -> sqlite3.Connection:
        return Refusing(":memory:") if where == path else connect(self, where, mode)

    monkeypatch.setattr(SqliteStore, "_connect", refuse)
    assert len(read(path).tracks) == 3


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot be read"), (b"", "is empty"), (b"hello" * 50, "not a memory file")]
)
def test_what_is_no_memory_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "x.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=message):
        SqliteStore(path, read_only=True)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_database_of_another_program_is_refused(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "x.db"
    edit(path, "CREATE TABLE t (x)")
    with pytest.raises(StoreError, match="another program"):
        SqliteStore(path, read_only=read_only)


# ------------------------------------------------------------------------------------------ versions


@pytest.mark.parametrize("read_only", [True, False])
def test_a_newer_schema_is_refused(path: Path, read_only: bool) -> None:
    written(path)
    edit(path, f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(StoreError, match="newer than this program"):
        SqliteStore(path, read_only=read_only)


@pytest.fixture
def first_release(path: Path) -> Path:
    path.parent.mkdir()
    shutil.copy(FIRST_RELEASE, path)
    return path


def check_first_release(contents: Contents) -> None:
    assert [t.id for t in contents.tracks] == [f"o{i}" for i in range(9)]
    assert [k.index for k in contents.keyframe_tail] == [0, 1, 2]
    assert (contents.meta["batch"], len(contents.maps["map"])) == (b"2", 6000)


def test_a_file_of_the_first_release_is_read_as_it_is(first_release: Path) -> None:
    before = first_release.read_bytes()
    check_first_release(read(first_release))
    assert first_release.read_bytes() == before


def test_a_file_of_the_first_release_goes_on(first_release: Path, rng: np.random.Generator) -> None:
    store = SqliteStore(first_release)
    check_first_release(store.load())
    keyframes = [make_keyframe(i, rng) for i in range(3, KEYFRAMES_PER_BLOCK)]
    store.write(Batch(keyframes=keyframes, keyframe_blocks={0: b"block"}))
    assert len(store.keyframes([0, 1, 2, 3])) == 4
    store.close()
    assert read(first_release).keyframe_blocks == {0: b"block"}


def test_a_migration_that_is_cut_off_leaves_the_old_file(first_release: Path) -> None:
    killed = f"""
import os, signal, sqlite3
from pathlib import Path
from memory_bank.stores import sqlite_schema as schema, sqlite_store
# Whoever is killed has not committed; the migration's own statements are done by then.
kill = "SELECT kill();"
schema.MIGRATIONS = tuple(script + kill for script in schema.MIGRATIONS)
connect = sqlite_store.SqliteStore._connect
def connect_and_kill(self, path, mode):
    connection = connect(self, path, mode)
    connection.create_function("kill", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
    return connection
sqlite_store.SqliteStore._connect = connect_and_kill
sqlite_store.SqliteStore(Path({str(first_release)!r}))
"""
    done = subprocess.run([sys.executable, "-c", killed], env=environment(), timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    connection = sqlite3.connect(first_release)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    connection.close()
    check_first_release(read(first_release))
    store = SqliteStore(first_release)
    check_first_release(store.load())
    store.close()


def test_a_migration_that_fails_leaves_the_old_file(first_release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", (schema.MIGRATIONS[0], "CREATE TABLE a (x);\nCREATE TABLE a (y);\n"))
    with pytest.raises(StoreError, match="already exists"):
        SqliteStore(first_release)
    monkeypatch.undo()
    check_first_release(read(first_release))


# ------------------------------------------------------------------------------------------ forgetting


def test_what_was_removed_is_on_the_disk_no_more(open_store: OpenStore, path: Path, rng: np.random.Generator) -> None:
    store = open_store()
    secrets = [f"secret number {i} ".encode() * 40 for i in range(4)]
    batch = sealed_batch(rng)
    batch.keyframes[3].thumbnail_jpeg = secrets[0]
    batch.keyframe_blocks = {0: secrets[1]}
    batch.meta["note"] = secrets[2]
    store.write(batch)
    track = make_batch(7, rng).tracks["o21"]
    track.views[0].crop_jpeg = secrets[3]
    store.write(Batch(tracks={track.id: track}))

    def left() -> list[int]:
        data = b"".join(p.read_bytes() for p in path.parent.iterdir())
        return [i for i, secret in enumerate(secrets) if secret[:20] in data]

    assert left() == [0, 1, 2, 3]
    store.write(Batch(removed_keyframes={3}, keyframe_blocks={0: b"-"}, removed_meta={"note"}, removed_tracks={"o21"}))
    store.purge()
    assert left() == []
    store.close()
    assert len(read(path).keyframe_tail) == 3


def test_a_purge_that_a_reader_is_in_the_way_of_says_so(
    open_store: OpenStore, path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory_bank.stores.sqlite_store.BUSY_S", 0.05)
    store = open_store()
    store.write(make_batch(0, rng))
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM tracks").fetchone()
    with pytest.raises(StoreError, match="somebody is reading"):
        store.purge()
    reader.close()
    store.purge()
    assert len(store.load().tracks) == 3
