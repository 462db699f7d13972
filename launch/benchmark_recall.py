"""Find the ten keyframes most like a vector among many, by meaning, time and place, beside other stores.

The others are measured where they are installed (emem, qdrant-edge-py, lancedb, faiss-cpu); none is needed. Each store
runs in a process of its own, on one thread (LanceDB on as many as it takes), and gets the same keyframes and questions.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from recall_data import Frames, Question, make_frames, make_questions, right_rows
from recall_peers import PEERS, is_there

from embodied.config import Config
from embodied.errors import ProcessError
from embodied.figures import MeasuredFigure, write_figures
from embodied.geometry import intrinsics_from_fov
from embodied.messages import Box
from embodied.progress import Progress
from memory_bank.episodes.archive import KeyframeArchive
from memory_bank.episodes.keyframes import Keyframe
from memory_bank.stores.protocol import KEYFRAMES_PER_BLOCK, Batch
from memory_bank.stores.sqlite_store import SqliteStore

ROWS: tuple[tuple[str, float | None, bool], ...] = (
    ("meaning", None, False),
    ("time 10 %", 0.1, False),
    ("time 1 %", 0.01, False),
    ("box", None, True),
    ("time 10 % and box", 0.1, True),
)
"""Name, share of the span that is asked for, and whether a region is."""
FILTERED_MS = 3.0
LARGE = 1_000_000
OPEN_S = 2.0
RECALL = 0.99
WARM_UP = 5
_SECOND_NS = 1_000_000_000


class Settings(Config):
    """What to measure."""

    out: str
    """The figures file to write."""
    seed: int = 0
    sizes: tuple[int, ...] = (100_000, LARGE)
    """Keyframes."""
    kinds: tuple[str, ...] = ("random", "clustered")
    """Of vectors."""
    dim: int = 384
    n_questions: int = 100
    """In each row."""
    k: int = 10
    cache: str | None = None
    """Folder to keep what was built in, to be used again; deleted afterwards otherwise."""
    peers: tuple[str, ...] = tuple(peer.module for peer in PEERS)
    """Modules of the stores to measure beside ours."""


class Ours:
    """A memory file, opened as a program opens it."""

    name = "ours"
    module = "memory_bank"

    def build(self, frames: Frames, folder: Path) -> None:
        """Write the memory file, batch by batch."""
        store = SqliteStore(folder / "memory.db")
        archive = KeyframeArchive(store.keyframes)
        intrinsics = intrinsics_from_fov(640, 480, 1.2)
        for first in range(0, len(frames.vectors), 4 * KEYFRAMES_PER_BLOCK):
            batch = Batch()
            for row in range(first, min(first + 4 * KEYFRAMES_PER_BLOCK, len(frames.vectors))):
                T = np.eye(4)
                T[:3, 3] = frames.positions_m[row]
                batch.keyframes.append(
                    Keyframe(
                        index=row,
                        session="day",
                        seq=row,
                        stamp_ns=round(frames.times_s[row]) * _SECOND_NS,
                        camera="head",
                        T_world_camera=tuple(T.ravel().tolist()),
                        intrinsics=intrinsics,
                        thumbnail_jpeg=b"",
                        depth_mm=b"",
                        depth_shape=(0, 0),
                        track_ids=(),
                        embedding=frames.vectors[row].astype("<f2").tobytes(),
                    )
                )
            archive.extend(batch.keyframes)
            batch.keyframe_blocks = archive.sealed(first // KEYFRAMES_PER_BLOCK)
            store.write(batch)
            archive.stored()
        store.close()

    def open(self, folder: Path, frames: Frames) -> None:
        """Open the file and read the columns."""
        del frames
        store = SqliteStore(folder / "memory.db", read_only=True)
        contents = store.load()
        self.archive = KeyframeArchive(store.keyframes)
        self.archive.restore(contents.keyframe_blocks, contents.keyframe_tail)

    def search(self, question: Question) -> list[int]:
        """Search the columns."""
        since_ns, until_ns = None, None
        if question.span_s is not None:
            since_ns = int(np.ceil(question.span_s[0])) * _SECOND_NS
            until_ns = int(np.floor(question.span_s[1])) * _SECOND_NS
        box = None
        if question.box is not None:
            center, size = (question.box[0] + question.box[1]) / 2, question.box[1] - question.box[0]
            box = Box(center_m=_point(center), size_m=_point(size))
        found, _ = self.archive.search(question.vector, question.k, since_ns=since_ns, until_ns=until_ns, box=box)
        return [int(index) for index in found]


def _point(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z


STORES = {store.module: store for store in (Ours, *PEERS)}


@dataclass(frozen=True)
class Measured:
    """One store on one set of keyframes."""

    open_s: float
    """To open it and answer a first question, in a fresh process."""
    ram_mb: float
    """What the process grew by."""
    times_ms: dict[str, list[float]]
    """By row, one for each question."""
    processor_ms: dict[str, list[float]]
    """The same in processor time of all threads: what else the machine does hardly shows in it."""
    answers: dict[str, list[list[int]]]


def _load(folder: Path) -> Frames:
    return Frames(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("vectors", "times_s", "positions_m")))


def _ram_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def build(module: str, data: Path, folder: Path) -> float:
    """Build a store from the keyframes in a folder, unless it is there; return the seconds it took, 0 if it was."""
    done = folder.with_name(folder.name + ".done")
    if done.exists():
        return 0.0
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    frames = _load(data)
    started_s = time.perf_counter()
    STORES[module]().build(Frames(*map(np.array, (frames.vectors, frames.times_s, frames.positions_m))), folder)
    done.touch()
    return time.perf_counter() - started_s


def measure(module: str, data: Path, folder: Path, questions: dict[str, list[Question]]) -> Measured:
    """Open a store and ask it all questions. Runs in a fresh process."""
    frames = _load(data)
    frames = Frames(frames.vectors, np.array(frames.times_s), np.array(frames.positions_m))
    store = STORES[module]()
    before_mb, started_s = _ram_mb(), time.perf_counter()
    store.open(folder, frames)
    store.search(next(iter(questions.values()))[0])
    open_s = time.perf_counter() - started_s
    times_ms: dict[str, list[float]] = {row: [] for row in questions}
    processor_ms: dict[str, list[float]] = {row: [] for row in questions}
    answers: dict[str, list[list[int]]] = {row: [] for row in questions}
    for row, asked in questions.items():
        for question in asked[:WARM_UP]:
            store.search(question)
        for question in asked:
            started_s, worked_s = time.perf_counter(), time.process_time()
            answer = store.search(question)
            times_ms[row].append((time.perf_counter() - started_s) * 1e3)
            processor_ms[row].append((time.process_time() - worked_s) * 1e3)
            answers[row].append(answer)
    return Measured(open_s, _ram_mb() - before_mb, times_ms, processor_ms, answers)


def recall_of(answers: list[list[int]], right: list[np.ndarray]) -> float:
    """Return the mean share of the right rows that were found; where there are none, none may be."""
    shares = [
        len(set(answer) & set(rows.tolist())) / len(rows) if len(rows) else float(not answer)
        for answer, rows in zip(answers, right, strict=True)
    ]
    return float(np.mean(shares))


def _in_fresh_process(function: object, *arguments: object) -> object:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(function, *arguments).result()  # type: ignore[arg-type]
        except BrokenProcessPool as error:
            raise ProcessError(f"the process of {arguments[0]} died") from error


def _figures(
    title: str, n: int, found: dict[str, Measured], right: dict[str, list[np.ndarray]]
) -> Iterator[MeasuredFigure]:
    """Yield the figures of one set of keyframes."""

    def figure(name: str, unit: str, values: dict[str, float], goal: float | None, higher: bool) -> MeasuredFigure:
        ours = values[Ours.module]
        peers = {STORES[module].name: value for module, value in values.items() if module != Ours.module}
        met = None if goal is None else (ours >= goal if higher else ours <= goal)
        return MeasuredFigure(
            name=f"{title}, {name}", value=ours, unit=unit, interval=None, peers=peers, goal=goal,
            higher_is_better=higher, met=met,
        )  # fmt: skip

    for row, *_ in ROWS:
        recalls = {module: recall_of(one.answers[row], right[row]) for module, one in found.items()}
        yield figure(f"{row}: recall@k", "", recalls, RECALL, True)
        for percentile in (50, 99):
            times = {module: float(np.percentile(one.times_ms[row], percentile)) for module, one in found.items()}
            goals = [times[module] for module in times if module != Ours.module and percentile == 50]
            goals += [FILTERED_MS] if row != "meaning" and n >= LARGE and percentile == 50 else []
            yield figure(f"{row}: p{percentile}", "ms", times, min(goals, default=None), False)
        works = {module: float(np.median(one.processor_ms[row])) for module, one in found.items()}
        yield figure(f"{row}: p50 of processor time", "ms", works, None, False)
    opens = {module: one.open_s for module, one in found.items()}
    yield figure("cold open with a first answer", "s", opens, OPEN_S if n >= LARGE else None, False)
    yield figure("memory", "MB", {module: one.ram_mb for module, one in found.items()}, None, False)


def _measure_set(settings: Settings, n: int, kind: str, cache: Path, progress: Progress) -> list[MeasuredFigure]:
    """Measure all stores on one set of keyframes."""
    frames = make_frames(n, settings.dim, kind, settings.seed)
    data = cache / f"data-{kind}-{n}"
    data.mkdir(parents=True, exist_ok=True)
    for name in ("vectors", "times_s", "positions_m"):
        np.save(data / f"{name}.npy", getattr(frames, name))
    questions = {
        row: list(make_questions(frames, kind, settings.seed, settings.n_questions, settings.k, share, boxed))
        for row, share, boxed in ROWS
    }
    right = {row: right_rows(frames, asked) for row, asked in questions.items()}
    del frames
    found: dict[str, Measured] = {}
    for module in (Ours.module, *settings.peers):
        if module != Ours.module and not is_there(STORES[module]()):
            progress.done(f"{STORES[module].name}: not installed, left out")
            continue
        folder = cache / f"{module}-{kind}-{n}"
        build_s = _in_fresh_process(build, module, data, folder)
        one = _in_fresh_process(measure, module, data, folder, questions)
        assert isinstance(one, Measured), one
        found[module] = one
        told = ", ".join(
            f"{row} {np.median(times):.2f} ms (processor {np.median(one.processor_ms[row]):.2f}, "
            f"recall {recall_of(one.answers[row], right[row]):.3f})"
            for row, times in one.times_ms.items()
        )
        progress.done(f"{n} {kind}, {STORES[module].name} (built in {build_s:.0f} s): {told}, open {one.open_s:.2f} s")
    return list(_figures(f"{n} {kind}", n, found, right))


def main(settings: Settings, progress: Progress) -> None:
    """Measure, and write the figures after each set: the large ones take long."""
    # LanceDB hangs on a single thread; it keeps its own number.
    for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = "1"
    figures: list[MeasuredFigure] = []
    with tempfile.TemporaryDirectory() as scratch:
        for n in settings.sizes:
            for kind in settings.kinds:
                figures += _measure_set(settings, n, kind, Path(settings.cache or scratch), progress)
                write_figures(Path(settings.out), "recall", figures)
    missed = [figure.name for figure in figures if figure.met is False]
    progress.done(f"{len(figures)} figures, missed: {', '.join(missed) or 'none'}")
