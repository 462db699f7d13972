"""Measure sessions that start in a map frame of their own: whether they find their place in a house known before.

Day two of each house is mapped in a frame turned and shifted at random, after a night of changes, with a noisy
detector. The memory of the same house must take it in, as well as if the frame were the same; no other memory may.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from embodied.arrays import Transform
from embodied.config import Config
from embodied.figures import mean_figure, write_figures
from embodied.geometry import planar_pose, wrap_angle, yaw_of
from embodied.messages import Observation, SessionStart
from embodied.progress import Progress
from memory_bank.bank import MemoryBank
from memory_bank.frames.alignment import AlignmentConfig, Finding, Grid, align
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


class Settings(Config):
    """What to measure."""

    out: str
    """The figures file to write."""
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


@dataclass
class House:
    """One house: its memory after day one, day two on its way, and how day two went into the memory."""

    seed: int
    memory: Snapshot
    sessions: list[Snapshot]
    values: dict[str, float]


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


def attempts(house: House, others: Sequence[House], config: AlignmentConfig) -> Iterator[tuple[Finding, float]]:
    """Compare day two of a house, as it goes on, with the memories of others; yield findings and milliseconds."""
    for other in others:
        for session in house.sessions:
            started_s = time.process_time()
            found = align(session.tracks, session.grid, other.memory.tracks, other.memory.grid, config)
            yield found, 1e3 * (time.process_time() - started_s)


def main(settings: Settings, progress: Progress) -> None:
    """Map the houses, merge what belongs together, and try to merge what does not."""
    houses: list[House] = []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(settings.seed, settings.seed + settings.episodes):
            houses.append(map_house(seed, settings, Path(scratch)))
            shown = ", ".join(f"{name} {value:.3f}" for name, value in houses[-1].values.items())
            progress.done(f"house {seed}: {shown}")
    wrong, durations_ms, n_attempts, n_pairs = 0, [], 0, 0
    for house in houses:
        others = [other for other in houses if other is not house]
        for found, duration_ms in attempts(house, others, settings.alignment):
            n_attempts += 1
            durations_ms.append(duration_ms)
            wrong += found.alignment is not None
            progress.update(f"{n_attempts} attempts at other houses, {wrong} wrong")
        n_pairs += len(others)
    progress.done(f"{n_pairs} pairs of houses, {n_attempts} attempts, {wrong} wrong")
    figures = [
        mean_figure(name, values, unit=unit, goal=goal, higher_is_better=higher)
        for name, unit, goal, higher in GOALS
        if (values := [house.values[name] for house in houses if name in house.values])
    ]
    figures += [
        mean_figure("false_merges", [float(wrong)], unit=f"of {n_attempts}", goal=0.0, higher_is_better=False),
        mean_figure("pairs", [float(n_pairs)], unit="pairs of houses"),
        mean_figure("attempt", durations_ms, unit="ms", higher_is_better=False),
    ]
    write_figures(Path(settings.out), "alignment", figures)
    for figure in figures:
        verdict = "" if figure.met is None else " met" if figure.met else " MISSED"
        progress.done(f"{figure.name}: {figure.value:.3f} {figure.unit}{verdict}")
