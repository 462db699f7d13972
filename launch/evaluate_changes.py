"""Measure how well the memory keeps up with a house that changes: three days and two nights, from noisy detections.

Each night things are moved, taken away and brought in, and three things happen that are easily got wrong: one is
replaced by another at the same place, one is pushed by 0.2 m, and one of two like things side by side is carried off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from embodied.config import Config
from embodied.figures import mean_figure, write_figures
from embodied.messages import ObjectRecord, Observation, SessionEnd, SessionStart
from embodied.progress import Progress
from memory_bank.mapper import Mapper, MapperConfig
from memory_bank.objects.track import Track
from memory_bank.perception.simulator import SimulatorPerception, SimulatorPerceptionConfig
from sim.houses import generate_house
from sim.houses.hard_changes import add_twin, hard_night
from sim.judge import match_objects, score_changes, score_objects
from sim.renderer import Renderer
from sim.scene import Scene
from sim.tours import Tour, TourNoise
from sim.truth import TrueChange, TruthSession

N_DAYS = 3
DAY_NS = 86_400_000_000_000
FIRST_DAY_NS = 1_767_603_600_000_000_000
GOALS: tuple[tuple[str, float | None, bool], ...] = (
    ("changes.f1", 0.90, True),
    ("changes.precision", None, True),
    ("changes.recall", None, True),
    ("objects.ghost_rate", 0.02, False),
    ("objects.duplicate_rate", 0.02, False),
    ("identity.kept_moved", 0.8, True),
    ("identity.kept_stayed", None, True),
    ("objects.recall", None, True),
)
"""Name, goal, and whether higher is better."""


class Settings(Config):
    """What to measure."""

    out: str
    """The figures file to write."""
    episodes: int = 20
    """Houses."""
    seed: int = 400
    """Of the first house; the others follow."""
    label_noise: float = 0.1
    """Share of detections with a wrong label."""
    dropout: float = 0.1
    """Share of things in a frame that the detector overlooks."""
    n_views: int = 4
    """From so many stops each thing is seen well."""
    noise: TourNoise = TourNoise()
    """Errors of depth and localisation."""


@dataclass
class HouseScore:
    """What was right and wrong in one house."""

    values: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    """What was missed and invented, for people."""


def days_of(seed: int) -> list[tuple[Scene, tuple[TrueChange, ...]]]:
    """Return a house on each day, with what happened in the night before."""
    scene = add_twin(generate_house(seed), seed)
    days: list[tuple[Scene, tuple[TrueChange, ...]]] = [(scene, ())]
    for night in range(1, N_DAYS):
        days.append(hard_night(days[-1][0], seed + 1000 * night))
    return days


def tours_of(seed: int, settings: Settings) -> Iterator[tuple[Tour, tuple[TrueChange, ...]]]:
    """Yield a tour a day, with what happened in the night before."""
    renderer: Renderer | None = None
    for day, (scene, changes) in enumerate(days_of(seed)):
        renderer = renderer or Renderer(scene)
        tour = Tour(
            scene,
            session=f"day-{day + 1}",
            start_ns=FIRST_DAY_NS + day * DAY_NS,
            seed=10 * seed + day,
            n_views=settings.n_views,
            noise=settings.noise,
            renderer=renderer,
        )
        yield tour, changes


def live(mapper: Mapper, tour: Tour) -> None:
    """Let a mapper go through a day."""
    for message in tour:
        if isinstance(message, SessionStart):
            mapper.start_session(message)
        elif isinstance(message, Observation):
            mapper.integrate(message)
        else:
            assert isinstance(message, SessionEnd)
            mapper.end_session(message)


def record_of(track: Track) -> ObjectRecord:
    """Return what the judge needs of a track."""
    return ObjectRecord(
        id=track.id,
        label=track.label,
        position_m=track.position_m,
        box=track.box,
        state=track.state,
        confidence=track.existence,
        first_seen_ns=track.first_seen_ns,
        last_seen_ns=track.last_seen_ns,
        room="",
    )


class Judge:
    """Follows one house day by day."""

    def __init__(self) -> None:
        self._ids: dict[int, str] = {}
        """By instance, the id that the memory gave it on the day before."""
        self._rows: dict[str, list[float]] = {name: [] for name, *_ in GOALS}
        self.wrong: list[str] = []

    def day(self, mapper: Mapper, truth: TruthSession) -> None:
        """Judge what the memory believes at a day's end."""
        records = [record_of(track) for track in mapper.graph if track.is_there]
        objects = score_objects(truth.objects, records)
        ids = {truth.objects[i].instance_id: records[j].id for i, j in match_objects(truth.objects, records)}
        n_unmatched = len(objects.invented)
        n_duplicates = round(objects.duplicates * len(records))
        self._add("objects.recall", objects.recall)
        self._add("objects.duplicate_rate", n_duplicates / max(1, len(records)))
        self._add("objects.ghost_rate", (n_unmatched - n_duplicates) / max(1, len(records)))
        said = [f"not remembered: {text}" for text in objects.missed] + [
            f"not there: {text}" for text in objects.invented
        ]
        if self._ids:
            said += self._changes(mapper, truth, ids)
        self.wrong += [f"{truth.session}: {text}" for text in said]
        self._ids = ids

    def _changes(self, mapper: Mapper, truth: TruthSession, ids: dict[int, str]) -> list[str]:
        """Judge what the memory noticed, and whether it knows things again; return what was wrong."""
        noticed = mapper.graph.changes(since_ns=truth.start_ns)
        changes = score_changes(truth.changes, noticed)
        self._add("changes.f1", changes.f1)
        self._add("changes.precision", changes.precision)
        self._add("changes.recall", changes.recall)
        moved = {change.instance_id for change in truth.changes if change.kind == "moved"}
        stayed = set(self._ids) & set(ids) - {change.instance_id for change in truth.changes}
        lost = [i for i in sorted(moved) if i not in ids or ids[i] != self._ids.get(i)]
        swapped = [i for i in sorted(stayed) if ids[i] != self._ids[i]]
        self._add("identity.kept_moved", 1.0 - len(lost) / max(1, len(moved)))
        self._add("identity.kept_stayed", 1.0 - len(swapped) / max(1, len(stayed)))
        names = {thing.instance_id: thing.category for thing in truth.objects}
        return [
            *(f"change missed: {text}" for text in changes.missed),
            *(f"change invented: {text}" for text in changes.invented),
            *(f"identity lost in a move: {names[i]} was {self._ids.get(i)}, is {ids.get(i)}" for i in lost),
            *(f"identity lost in place: {names[i]} was {self._ids[i]}, is {ids[i]}" for i in swapped),
        ]

    def _add(self, name: str, value: float) -> None:
        self._rows[name].append(value)

    def score(self) -> HouseScore:
        """Return the means over the days."""
        return HouseScore({name: float(np.mean(rows)) for name, rows in self._rows.items()}, self.wrong)


def evaluate_house(seed: int, settings: Settings) -> HouseScore:
    """Live through one house and judge the memory at the end of each day."""
    perception = SimulatorPerceptionConfig(dropout=settings.dropout, label_noise=settings.label_noise, seed=seed)
    mapper = Mapper(MapperConfig(), SimulatorPerception(perception))
    judge = Judge()
    for tour, changes in tours_of(seed, settings):
        live(mapper, tour)
        judge.day(mapper, tour.truth(changes))
    return judge.score()


def main(settings: Settings, progress: Progress) -> None:
    """Measure, print what went wrong, and write the figures."""
    values: dict[str, list[float]] = {name: [] for name, *_ in GOALS}
    for seed in range(settings.seed, settings.seed + settings.episodes):
        score = evaluate_house(seed, settings)
        for name, value in score.values.items():
            values[name].append(value)
        progress.done(f"house {seed}: " + ", ".join(f"{name} {value:.3f}" for name, value in score.values.items()))
        for text in score.wrong:
            progress.done(f"    {text}")
    figures = [mean_figure(name, values[name], goal=goal, higher_is_better=higher) for name, goal, higher in GOALS]
    write_figures(Path(settings.out), "changes", figures)
    for figure in figures:
        verdict = "" if figure.met is None else ("met" if figure.met else "MISSED")
        progress.done(f"{figure.name}: {figure.value:.3f} (goal {figure.goal}) {verdict}")
