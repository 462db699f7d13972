"""Stores: what was acknowledged stays, and what is damaged is never read as if it were whole."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import numpy as np
import pytest

from embodied.errors import StoreError
from memory_bank.rooms import segment_rooms
from memory_bank.schema import VERSION
from memory_bank.sqlite_store import SqliteStore
from memory_bank.store import Batch, Contents
from memory_bank.store_lock import lock_path
from memory_world import SESSIONS, make_batch, make_keyframe, make_track


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "memory.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(path)
    yield opened
    opened.close()


def read(path: Path) -> Contents:
    store = SqliteStore(path, read_only=True)
    try:
        return store.load()
    finally:
        store.close()


def written(path: Path, n_batches: int = 3) -> None:
    rng = np.random.default_rng(1)
    store = SqliteStore(path)
    for number in range(n_batches):
        store.write(make_batch(number, rng))
    store.close()


def test_everything_written_is_loaded_as_it_was(store: SqliteStore, path: Path, rng: np.random.Generator) -> None:
    batch = make_batch(0, rng)
    occupancy = np.zeros((80, 90), dtype=np.uint8)
    occupancy[5:75, 5:85] = 1
    batch.rooms["map"] = segment_rooms(occupancy, 0.05, (-1.0, 2.0))
    store.write(batch)
    contents = read(path)
    assert contents.sessions == (SESSIONS[0],)
    assert [t.to_bytes() for t in contents.tracks] == [t.to_bytes() for t in batch.tracks.values()]
    assert list(contents.keyframes) == batch.keyframes
    assert contents.maps == batch.maps
    assert contents.meta == batch.meta
    assert contents.rooms["map"].rooms == batch.rooms["map"].rooms
    np.testing.assert_array_equal(contents.rooms["map"].cells, batch.rooms["map"].cells)


def test_a_later_batch_replaces_and_removes(store: SqliteStore, path: Path, rng: np.random.Generator) -> None:
    store.write(make_batch(0, rng))
    later = Batch()
    later.put_track(make_track(1, rng, label="bowl"))
    later.remove_track("o2")
    store.write(later)
    assert [(t.id, t.label) for t in read(path).tracks] == [("o0", "mug"), ("o1", "bowl")]


def test_a_writer_goes_on_where_the_last_one_stopped(path: Path, rng: np.random.Generator) -> None:
    written(path, 2)
    store = SqliteStore(path)
    store.write(make_batch(2, rng))
    store.close()
    assert len(read(path).tracks) == 9
    assert sorted(p.name for p in path.parent.iterdir()) == ["memory.db"]


def test_a_batch_that_fails_leaves_nothing_behind(store: SqliteStore, path: Path, rng: np.random.Generator) -> None:
    store.write(make_batch(0, rng))
    bad = make_batch(1, rng)
    bad.meta["commit"] = b"x"
    with pytest.raises(ValueError, match="uses itself"):
        store.write(bad)
    store.write(make_batch(2, rng))
    assert [t.id for t in read(path).tracks] == ["o0", "o1", "o2", "o6", "o7", "o8"]


def test_a_reader_sees_each_commit_of_a_running_writer(
    store: SqliteStore, path: Path, rng: np.random.Generator
) -> None:
    store.write(make_batch(0, rng))
    reader = SqliteStore(path, read_only=True)
    seen = reader.version
    assert len(reader.load().tracks) == 3
    store.write(make_batch(1, rng))
    assert reader.version != seen
    assert len(reader.load().tracks) == 6
    reader.close()


def test_a_reader_outlives_the_writer(path: Path, rng: np.random.Generator) -> None:
    store = SqliteStore(path)
    store.write(make_batch(0, rng))
    reader = SqliteStore(path, read_only=True)
    reader.load()
    store.close()
    assert len(reader.load().tracks) == 3
    reader.close()
    assert len(read(path).tracks) == 3


def test_the_histories_can_be_queried_in_sql(store: SqliteStore, path: Path, rng: np.random.Generator) -> None:
    store.write(make_batch(0, rng))
    store.write(make_batch(0, rng))
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT track, state, cause FROM intervals ORDER BY track").fetchall()
    connection.close()
    assert rows == [(f"o{i}", "present", "seen_first") for i in range(3)]


def test_two_writers_are_one_too_many(store: SqliteStore, path: Path) -> None:
    with pytest.raises(StoreError, match="another process is writing"):
        SqliteStore(path)


def test_reading_does_not_write(store: SqliteStore, path: Path, rng: np.random.Generator) -> None:
    store.write(make_batch(0, rng))
    reader = SqliteStore(path, read_only=True)
    with pytest.raises(StoreError, match="reading only"):
        reader.write(make_batch(1, rng))
    reader.close()


class Refusing(sqlite3.Connection):
    """What a read-only directory does to a reader of a file with a write-ahead log."""

    def execute(self, *_: object) -> sqlite3.Cursor:
        raise sqlite3.OperationalError("unable to open database file")


def test_a_file_is_read_where_no_index_can_be_made_beside_it(
    store: SqliteStore, path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(make_batch(0, rng))
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
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(StoreError, match="another program"):
        SqliteStore(path, read_only=read_only)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_newer_schema_is_refused(path: Path, read_only: bool) -> None:
    written(path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    with pytest.raises(StoreError, match="newer than this program"):
        SqliteStore(path, read_only=read_only)


def test_flipped_bytes_never_load_silently(path: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    written(path, 2)
    good = path.read_bytes()
    whole = read(path)
    expected = [t.to_bytes() for t in whole.tracks], list(whole.keyframes), whole.maps, whole.sessions, whole.meta
    n_refused = 0
    for _ in range(150):
        bad = bytearray(good)
        for _ in range(int(rng.integers(1, 4))):
            bad[int(rng.integers(len(bad)))] ^= 1 << int(rng.integers(8))
        damaged = tmp_path / "damaged.db"
        damaged.write_bytes(bad)
        try:
            contents = read(damaged)
        except StoreError:
            n_refused += 1
            continue
        # Free space and indices may be hit without harm.
        found = [t.to_bytes() for t in contents.tracks], list(contents.keyframes)
        assert (*found, contents.maps, contents.sessions, contents.meta) == expected
    assert n_refused > 50


def test_a_cut_file_never_loads_silently(path: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    written(path, 2)
    good = path.read_bytes()
    for length in rng.integers(1, len(good), 20).tolist():
        damaged = tmp_path / "cut.db"
        damaged.write_bytes(good[:length])
        with pytest.raises(StoreError):
            read(damaged)


def test_a_row_that_was_taken_out_is_missed(path: Path) -> None:
    written(path)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM keyframes WHERE key = 1")
    connection.close()
    with pytest.raises(StoreError, match="table keyframes has 2 rows where 3 were written"):
        read(path)


def test_a_damaged_log_of_a_killed_writer_is_noticed(path: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    store = SqliteStore(path)
    for number in range(4):
        store.write(make_batch(number, rng))
    # What a kill leaves behind, with the log cut in its middle.
    copy = tmp_path / "copy" / "memory.db"
    copy.parent.mkdir()
    for suffix in ("", "-wal", ".lock"):
        shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    wal = Path(f"{copy}-wal")
    wal.write_bytes(wal.read_bytes()[: wal.stat().st_size // 2])
    with pytest.raises(StoreError, match="commit 4 was acknowledged"):
        read(copy)
    lock_path(copy).unlink()
    assert 0 < len(read(copy).tracks) < 12
    store.close()


WRITER = """
import sys
import numpy as np
from pathlib import Path
from memory_world import make_batch
from memory_bank.sqlite_store import SqliteStore

store = SqliteStore(Path(sys.argv[1]))
rng = np.random.default_rng(0)
number = int(store.load().meta.get("batch", b"-1")) + 1
while True:
    store.write(make_batch(number, rng))
    print(number, flush=True)
    number += 1
"""


def test_kill_loses_nothing_that_was_acknowledged(path: Path, rng: np.random.Generator) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    acknowledged = -1
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert child.stdout is not None
        n_lines = int(rng.integers(1, 15))
        for _ in range(n_lines):
            acknowledged = int(child.stdout.readline())
        # It is killed at some moment of its next commits.
        child.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, child.stdout.read().split())])
        child.stdout.close()
        child.wait(timeout=10)
        contents = read(path)
        last = int(contents.meta["batch"])
        assert last >= acknowledged
        assert [t.number for t in contents.tracks] == list(range(3 * (last + 1)))
        assert [k.index for k in contents.keyframes] == list(range(last + 1))


def test_keyframes_of_a_batch_come_back_by_index(store: SqliteStore, path: Path, rng: np.random.Generator) -> None:
    batch = Batch(keyframes=[make_keyframe(i, rng) for i in (10, 2, 9)])
    store.write(batch)
    assert [k.index for k in read(path).keyframes] == [2, 9, 10]
