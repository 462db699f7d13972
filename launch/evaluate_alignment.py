"""Measure sessions that start in a map frame of their own: whether they find their place in a house known before.

Day two of each house is mapped in a frame turned and shifted at random, after a night of changes, with a noisy
detector. The memory of the same house must take it in, as well as if the frame were the same; no other memory may.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from evaluation_run import Episode, EpisodeResult, EvaluationSettings, PageSettings, Row, evaluate, houses, measure

from embodied.arrays import Transform
from embodied.config import git_hash
from embodied.figures import MeasuredFigure, mean_figure
from embodied.geometry import planar_pose, wrap_angle, yaw_of
from embodied.messages import Observation, SessionStart
from embodied.progress import Progress
from memory_bank.bank import MemoryBank
from memory_bank.frames.alignment import AlignmentConfig, Grid, align
from memory_bank.frames.poses import matrix_of, pose_of
from memory_bank.mapper import Mapper, MapperConfig
from memory_bank.objects.track import Track
from memory_bank.perception.simulator import SimulatorPerception, SimulatorPerceptionConfig
from memory_bank.stores.sqlite_store import SqliteStore
from sim.houses import change_overnight, generate_house
from sim.judge import score_changes, score_objects
from sim.renderer import Renderer
from sim.scene import Scene
from sim.tours import Tour, TourMessage, TourNoise
from sim.truth import TruthSession

DAY_NS = 86_400_000_000_000
FIRST_DAY_NS = 1_767_603_600_000_000_000
GOALS: tuple[tuple[str, str, float | None, bool], ...] = (
    ("merged", "share", 0.95, True),
    ("error", "m", 0.05, False),
    ("error.angle", "deg", 1.0, False),
    ("merged_after", "observations", None, False),
    ("merged.change_f1", "", None, True),
    ("one_frame.change_f1", "", None, True),
    ("merged.object_f1", "", None, True),
    ("one_frame.object_f1", "", None, True),
    ("merged.duplicates", "share", None, False),
    ("one_frame.duplicates", "share", None, False),
)
"""Name, unit, goal, and whether higher is better."""
OWN, OTHER = "its own house", "another house"
PAGE = PageSettings(
    title="Sessions that start in a map frame of their own",
    introduction="Whether day two of each house finds its place in the memory of day one, and in no other memory.",
    values=(*(name for name, *_ in GOALS), "wrong merges", "attempts"),
    smaller_is_better=(*(name for name, _, _, higher in GOALS if not higher), "wrong merges"),
)


class Settings(EvaluationSettings):
    """What to measure."""

    seed: int = 400
    """The first house; its number is its seed."""
    episodes: int = 10
    """Houses; each day two is compared with the day one of all others, several times while it goes on."""
    label_noise: float = 0.1
    """Share of detections with a wrong label."""
    dropout: float = 0.1
    """Share of things in a frame that the detector overlooks."""
    n_views: int = 3
    """From so many stops each thing is seen well."""
    noise: TourNoise = TourNoise()
    """Errors of depth and localisation."""
    alignment: AlignmentConfig = AlignmentConfig()
    """When two maps count as maps of one place."""


@dataclass(frozen=True)
class Snapshot:
    """A map as it stood at one moment."""

    tracks: list[Track]
    grid: Grid

    @classmethod
    def of(cls, mapper: Mapper) -> Snapshot:
        """Copy what lies in a mapper."""
        return cls([Track.from_bytes(track.to_bytes()) for track in mapper.graph], Grid.of(mapper.occupancy))


class _StoredSnapshot(msgspec.Struct, frozen=True):
    tracks: list[bytes]
    cells: bytes
    n_rows: int
    resolution_m: float
    origin_m: tuple[float, float]

    @classmethod
    def of(cls, snapshot: Snapshot) -> _StoredSnapshot:
        grid = snapshot.grid
        tracks = [track.to_bytes() for track in snapshot.tracks]
        return cls(tracks, grid.cells.tobytes(), len(grid.cells), grid.resolution_m, grid.origin_m)

    def snapshot(self) -> Snapshot:
        cells = np.frombuffer(self.cells, dtype=np.uint8).reshape(self.n_rows, -1)
        grid = Grid(cells, self.resolution_m, self.origin_m)
        return Snapshot([Track.from_bytes(track) for track in self.tracks], grid)


class _StoredMaps(msgspec.Struct, frozen=True):
    memory: _StoredSnapshot
    sessions: list[_StoredSnapshot]


@dataclass
class House:
    """One house: its memory after day one, day two on its way, and how day two went into the memory."""

    seed: int
    memory: Snapshot
    sessions: list[Snapshot]
    values: dict[str, float]


def maps_of(seed: int, settings: Settings) -> tuple[Snapshot, list[Snapshot]]:
    """Return a house's memory of day one and day two on its way, kept from before or made anew."""
    path = _maps_path(seed, settings)
    if not path.exists():
        house = _new_house(seed, settings)
        return house.memory, house.sessions
    stored = msgspec.msgpack.decode(path.read_bytes(), type=_StoredMaps)
    return stored.memory.snapshot(), [session.snapshot() for session in stored.sessions]


def _new_house(seed: int, settings: Settings) -> House:
    with tempfile.TemporaryDirectory() as scratch:
        house = map_house(seed, settings, Path(scratch))
    stored = _StoredMaps(_StoredSnapshot.of(house.memory), [_StoredSnapshot.of(one) for one in house.sessions])
    path = _maps_path(seed, settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    unfinished.write_bytes(msgspec.msgpack.encode(stored))
    os.replace(unfinished, path)
    return house


def _maps_folder(settings: Settings) -> Path:
    return Path(settings.out).with_suffix(".maps")


def _maps_path(seed: int, settings: Settings) -> Path:
    """Return where the maps of a house are kept while the evaluation lasts, under what they depend on."""
    depends_on = msgspec.json.encode(
        (git_hash(), settings.label_noise, settings.dropout, settings.n_views, settings.noise, settings.alignment)
    )
    return _maps_folder(settings) / f"{seed}-{hashlib.sha256(depends_on).hexdigest()[:16]}.bin"


def map_house(seed: int, settings: Settings, scratch: Path) -> House:
    """Map one house on two days: day two by itself, into the memory in a frame of its own, and in the same frame."""
    rng = np.random.default_rng([seed, 9])
    T_session_house = planar_pose(*rng.uniform(-8.0, 8.0, 2), rng.uniform(-np.pi, np.pi))
    T_session_house[2, 3] = rng.uniform(-0.03, 0.03)
    first = generate_house(seed)
    second, changes = change_overnight(first, seed)
    renderer = Renderer(first)
    day_1 = list(_tour(first, 1, settings, renderer))
    tour = _tour(second, 2, settings, renderer)
    day_2 = list(tour)
    truth = tour.truth(changes)
    turned = [_in_frame(message, T_session_house, f"start of {seed}") for message in day_2]

    apart, sessions = _memory(scratch / f"{seed}-apart.db", settings), []
    for number, message in enumerate(turned):
        apart.take(message)
        if (number and number % settings.alignment.every == 0) or number == len(turned) - 1:
            sessions.append(Snapshot.of(apart.mapper))
    two, merged_after = _memory(scratch / f"{seed}-two.db", settings), 0
    for message in day_1:
        two.take(message)
    memory = Snapshot.of(two.mapper)
    for message in turned:
        two.take(message)
        merged_after += two.world_frame != "map"
    one = _memory(scratch / f"{seed}-one.db", settings)
    for message in (*day_1, *day_2):
        one.take(message)
    values = {"merged": float(two.world_frame == "map")}
    if values["merged"]:
        values["merged_after"] = float(merged_after)
        values.update(_error(two, T_session_house, first.start_pose))
        values.update(_scores("merged", two, truth))
        values.update(_scores("one_frame", one, truth))
    return House(seed, memory, sessions, values)


def _tour(scene: Scene, day: int, settings: Settings, renderer: Renderer) -> Tour:
    return Tour(
        scene,
        session=f"day-{day}",
        start_ns=FIRST_DAY_NS + day * DAY_NS,
        seed=day,
        n_views=settings.n_views,
        noise=settings.noise,
        renderer=renderer,
    )


def _memory(path: Path, settings: Settings) -> MemoryBank:
    config = SimulatorPerceptionConfig(label_noise=settings.label_noise, dropout=settings.dropout)
    return MemoryBank(MapperConfig(), SimulatorPerception(config), SqliteStore(path), alignment=settings.alignment)


def _in_frame(message: TourMessage, T_frame_house: Transform, name: str) -> TourMessage:
    """Return a message of a session that was started in another frame."""
    if isinstance(message, SessionStart):
        return msgspec.structs.replace(message, world_frame=name)
    if isinstance(message, Observation):
        return msgspec.structs.replace(message, T_world_base=T_frame_house @ message.T_world_base)
    return message


def _error(memory: MemoryBank, T_session_house: Transform, start: tuple[float, float, float]) -> dict[str, float]:
    """Return how far day two lies from where it belongs: at the place where the robot starts, and in its turn."""
    alignment = memory.state.sessions["day-2"].alignment
    assert alignment is not None, "it was merged"
    T_error = matrix_of(pose_of(alignment)) @ T_session_house
    place = np.array([start[0], start[1], 1.0, 1.0])
    return {
        "error": float(np.linalg.norm(T_error @ place - place)),
        "error.angle": abs(float(np.rad2deg(wrap_angle(yaw_of(T_error))))),
    }


def _scores(name: str, memory: MemoryBank, truth: TruthSession) -> dict[str, float]:
    """Return how well the memory knows the house and what changed."""
    view = memory.service.view
    objects = score_objects(truth.objects, [record for record in view.objects if record.state != "gone"])
    changes = score_changes(truth.changes, [c for c in view.changes if c.noticed_ns >= truth.start_ns])
    return {
        f"{name}.object_f1": 2 * objects.precision * objects.recall / max(objects.precision + objects.recall, 1e-9),
        f"{name}.duplicates": objects.duplicates,
        f"{name}.change_f1": changes.f1,
    }


def run_episode(settings: Settings, episode: Episode) -> EpisodeResult:
    """Map one house, or try to merge day two of one house into the memory of another while it goes on."""
    if not episode.source:
        house = _new_house(episode.seed, settings)
        return EpisodeResult(rows=(Row(key=episode.key, category=OWN, values=house.values),))
    memory, _ = maps_of(int(episode.source), settings)
    _, sessions = maps_of(episode.seed, settings)
    n_wrong, started_s = 0, time.process_time()
    for session in sessions:
        found = align(session.tracks, session.grid, memory.tracks, memory.grid, settings.alignment)
        n_wrong += found.alignment is not None
    values = {
        "wrong merges": float(n_wrong),
        "attempts": float(len(sessions)),
        "attempts_ms": 1e3 * (time.process_time() - started_s),
    }
    wrong = ("taken for the same house",) if n_wrong else ()
    return EpisodeResult(rows=(Row(key=episode.key, category=OTHER, values=values, wrong=wrong),))


def summarise(rows: Sequence[Row]) -> list[MeasuredFigure]:
    """Return the figures."""
    own = [row for row in rows if row.category == OWN]
    figures = [
        measure(own, name, unit=unit, goal=goal, higher_is_better=higher)
        for name, unit, goal, higher in GOALS
        if any(name in row.values for row in own)
    ]
    others = [row.values for row in rows if row.category == OTHER]
    if others:
        n_wrong, n_attempts, took_ms = (
            sum(values[name] for values in others) for name in ("wrong merges", "attempts", "attempts_ms")
        )
        unit = f"of {n_attempts:.0f}"
        figures += [
            mean_figure("false_merges", [n_wrong], unit=unit, goal=0.0, higher_is_better=False),
            mean_figure("pairs", [float(len(others))], unit="pairs of houses"),
            mean_figure("attempt", [took_ms / n_attempts], unit="ms", higher_is_better=False),
        ]
    return figures


def main(settings: Settings, progress: Progress) -> None:
    """Map the houses, merge what belongs together, and try to merge what does not."""
    mapped = houses(settings)
    pairs = [
        Episode(key=f"house {one.seed} in house {other.seed}", seed=one.seed, source=str(other.seed))
        for one in mapped
        for other in mapped
        if one is not other
    ]
    evaluate("alignment", settings, [*mapped, *pairs], run_episode, summarise, progress, PAGE)
    shutil.rmtree(_maps_folder(settings), ignore_errors=True)
