"""Measure how well the memory keeps up with a house that changes: three days and two nights, from noisy detections.

Each night things are moved, taken away and brought in, and three things happen that are easily got wrong: one is
replaced by another at the same place, one is pushed by 0.2 m, and one of two like things side by side is carried off.
With ``--data`` the days are those of finished runs of ``sim_episode.py``, from their logs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from evaluation_run import (
    Episode,
    EpisodeResult,
    EvaluationSettings,
    Failure,
    PageSettings,
    Row,
    evaluate,
    houses,
    measure,
)
from failure_pictures import Album, last_view
from recorded_runs import recorded, sessions_of

from embodied.figures import MeasuredFigure
from embodied.messages import ObjectRecord, Observation, SessionEnd, SessionStart, StreamMessage
from embodied.progress import Progress
from embodied.recording.reader import read_session
from memory_bank.mapper import Mapper, MapperConfig
from memory_bank.objects.track import Track
from memory_bank.perception.simulator import SimulatorPerception, SimulatorPerceptionConfig
from sim.houses import generate_house
from sim.houses.hard_changes import add_twin, hard_night
from sim.judge import change_is_true, match_objects, score_changes, score_objects
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
MAX_FAILURES = 3
PAGE = PageSettings(
    title="What the memory notices of changes",
    introduction="Three days in each house, with a night of changes between them, from noisy detections.",
    smaller_is_better=tuple(name for name, _, higher in GOALS if not higher),
)


class Settings(EvaluationSettings):
    """What to measure."""

    episodes: int = 20
    """Houses."""
    seed: int = 400
    """Of the first house; the others follow."""
    data: tuple[str, ...] = ()
    """Folders of finished runs to take the days from, instead of living through new ones."""
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
    failures: list[Failure] = field(default_factory=list)
    """Things that were missed, as they were seen."""


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


def live(mapper: Mapper, messages: Iterable[StreamMessage]) -> Album:
    """Let a mapper go through a day; return what was seen."""
    album = Album()
    for message in messages:
        album.take(message)
        if isinstance(message, SessionStart):
            mapper.start_session(message)
        elif isinstance(message, Observation):
            mapper.integrate(message)
        else:
            assert isinstance(message, SessionEnd)
            mapper.end_session(message)
    return album


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
        self._days: list[tuple[TruthSession, Album]] = []
        self.wrong: list[str] = []
        self.failures: list[Failure] = []

    def day(self, mapper: Mapper, truth: TruthSession, album: Album | None = None) -> None:
        """Judge what the memory believes at a day's end."""
        self._days.append((truth, album or Album()))
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
        for thing in truth.objects:
            if thing.instance_id not in ids:
                self._show(
                    thing.instance_id, f"{truth.session}: {thing.category} not remembered", "As it was best seen."
                )
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
        for change in truth.changes:
            if not any(change_is_true(one, change) for one in noticed):
                title = f"{truth.session}: {change.category} {change.kind}, and it went unnoticed"
                self._show(change.instance_id, title, "As it was best seen when it was last in view.")
        names = {thing.instance_id: thing.category for thing in truth.objects}
        return [
            *(f"change missed: {text}" for text in changes.missed),
            *(f"change invented: {text}" for text in changes.invented),
            *(f"identity lost in a move: {names[i]} was {self._ids.get(i)}, is {ids.get(i)}" for i in lost),
            *(f"identity lost in place: {names[i]} was {self._ids[i]}, is {ids[i]}" for i in swapped),
        ]

    def _show(self, instance_id: int, title: str, text: str) -> None:
        picture = last_view(instance_id, self._days)
        self.failures.append(
            Failure(title=title, text=text if picture else "It was never well in view.", picture_jpeg=picture)
        )

    def _add(self, name: str, value: float) -> None:
        self._rows[name].append(value)

    def score(self) -> HouseScore:
        """Return the means over the days."""
        values = {name: float(np.mean(rows)) for name, rows in self._rows.items() if rows}
        # What was seen and yet missed is worse than what was not.
        failures = sorted(self.failures, key=lambda failure: not failure.picture_jpeg)
        return HouseScore(values, self.wrong, failures)


def evaluate_house(seed: int, settings: Settings) -> HouseScore:
    """Live through one house and judge the memory at the end of each day."""
    mapper = new_mapper(seed, settings)
    judge = Judge()
    for tour, changes in tours_of(seed, settings):
        album = live(mapper, tour)
        judge.day(mapper, tour.truth(changes), album)
    return judge.score()


def evaluate_recorded(run: Path, seed: int, settings: Settings) -> HouseScore:
    """Read the days of a run and judge the memory at the end of the first, and of each with changes before it."""
    mapper = new_mapper(seed, settings)
    judge = Judge()
    for number, session in enumerate(sessions_of(run)):
        album = live(mapper, read_session(session.log, decode_rgb=True))
        if number == 0 or session.truth.changes:
            judge.day(mapper, session.truth, album)
    return judge.score()


def new_mapper(seed: int, settings: Settings) -> Mapper:
    """Return an empty memory with a noisy detector."""
    perception = SimulatorPerceptionConfig(dropout=settings.dropout, label_noise=settings.label_noise, seed=seed)
    return Mapper(MapperConfig(), SimulatorPerception(perception))


def run_house(settings: Settings, episode: Episode) -> EpisodeResult:
    """Evaluate one house."""
    score = (
        evaluate_recorded(Path(episode.source), episode.seed, settings)
        if episode.source
        else evaluate_house(episode.seed, settings)
    )
    row = Row(key=episode.key, values=score.values, wrong=tuple(score.wrong))
    return EpisodeResult(rows=(row,), failures=tuple(score.failures[:MAX_FAILURES]))


def summarise(rows: Sequence[Row]) -> list[MeasuredFigure]:
    """Return the figures: means over houses."""
    return [
        measure(rows, name, goal=goal, higher_is_better=higher)
        for name, goal, higher in GOALS
        if any(name in row.values for row in rows)
    ]


def main(settings: Settings, progress: Progress) -> None:
    """Measure, print what went wrong, and write figures and report."""
    episodes = recorded(settings.data) if settings.data else houses(settings)
    evaluate("changes", settings, episodes, run_house, summarise, progress, PAGE)
