"""Ask questions about the past, the present and the future of houses whose things have habits.

After LA-EQA ("Enter the Mind Palace", arXiv 2507.12846): a robot visited a house on 3 to 9 mornings and evenings and
now stands somewhere in it, at a time that it has not seen yet. It recalls past visits, drives where it must, and
answers. Beside ours, in the same run: ``no memory`` knows floor and furniture but nothing of the past, searches nearest
first, and does not look for what it could not compare; ``full recall`` loads all visits before it goes, and searches
where the thing was, nearest first. Houses, questions and verdicts are our own (``sim/laeqa``), not the paper's.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import simplejpeg
from evaluation_page import PageSettings
from evaluation_run import Episode, EpisodeResult, EvaluationSettings, Failure, Row, evaluate, houses, measure
from laeqa_palace import MemoryPalace, when_of
from laeqa_robot import Explorer, ExplorerConfig
from recall_world import Detector, live

from embodied.arrays import Float
from embodied.figures import MeasuredFigure
from embodied.progress import Progress
from memory_bank.bank import MemoryBank
from memory_bank.mapper import MapperConfig
from memory_bank.perception.simulator import SimulatorPerception, SimulatorPerceptionConfig
from memory_bank.stores.sqlite_store import SqliteStore
from policies.mind_palace.belief import When
from policies.mind_palace.mind import Conclusion, Mind, MindConfig
from policies.mind_palace.protocols import Place
from sim.collision import obstacle_grid
from sim.laeqa.habits import HabitWorld, make_world
from sim.laeqa.present import PresentRobot, draw_start
from sim.laeqa.questions import CATEGORIES, N_EACH, LongTermQuestion, Reply, make_questions
from sim.laeqa.shortest import ShortestViews
from sim.renderer import Renderer
from sim.tours import Tour

PAST = "past.db"
CORRECT_GOAL, SPL_GOAL, IMAGES_GOAL = 0.90, 0.80, 10.0
PAGE = PageSettings(
    title="Questions over many visits",
    introduction="Past, present and future of simulated houses whose things have habits.",
    values=("correct", "spl", "images", "way_m", "best_m"),
    smaller_is_better=("images", "way_m"),
)
N_FAILURES = 6
DETOUR_SPL = 0.5
"""Ways are shown among the failures where the best one is less than this share of them."""
STILL_M = 0.01
"""Who had nowhere to go and went no farther than this did not move."""
BASELINES = {
    "no memory": MindConfig(recall="none", plan="nearest"),
    "full recall": MindConfig(recall="all", plan="nearest"),
}


class Settings(EvaluationSettings):
    """What to measure."""

    seed: int = 720
    """Of the first house; the others follow."""
    detector: Detector = Detector()
    """What the detector gets wrong, on past visits and in the present."""
    mind: MindConfig = MindConfig()
    """How ours recalls and searches."""
    explorer: ExplorerConfig = ExplorerConfig()
    """How any of them looks around."""
    n_each: int = N_EACH
    """Questions of each category in a house."""
    n_views: int = 2
    """On a past visit each thing is seen well from so many places."""
    baselines: bool = True
    """Whether to measure the others too."""


@dataclass
class House:
    """One house with its past in a memory on disk, and all that its questions share."""

    settings: Settings
    world: HabitWorld
    folder: Path
    palace: MemoryPalace
    renderer: Renderer

    def __post_init__(self) -> None:
        scene = self.world.now.scene
        self.renderer.load(scene)
        self.obstacles = obstacle_grid(self.renderer.mesh)
        self.shortest = ShortestViews(scene)

    def start(self, number: int) -> tuple[float, float, float]:
        """Return where the robot begins with a question: each has a place of its own."""
        rng = np.random.default_rng([self.world.seed, 43, number])
        return draw_start(self.obstacles, self.shortest.grid, rng)

    def best_m(self, number: int, question: LongTermQuestion) -> float:
        """Return the shortest way that settles a question; inf where the truth shows it from nowhere."""
        return self.shortest.way_m(self.start(number)[:2], question.sights)

    def robot(self, number: int) -> PresentRobot:
        """Return the robot of one question."""
        scene, slot = self.world.now.scene, self.world.now.slot
        return PresentRobot(
            scene, self.renderer, self.obstacles, self.start(number),
            session=slot.session, start_ns=slot.start_ns, seed=1000 * self.world.seed + number,
        )  # fmt: skip

    def present_store(self, *, empty: bool) -> SqliteStore:
        """Return a store for the present: a copy of the past's, or an empty one."""
        path = self.folder / "present" / "memory.db"
        shutil.rmtree(path.parent, ignore_errors=True)
        path.parent.mkdir()
        if not empty:
            shutil.copyfile(self.folder / PAST, path)
        return SqliteStore(path)


class PresentBody:
    """The robot of one question. What only asks of the past never wakes it."""

    def __init__(self, house: House, number: int, *, empty_memory: bool) -> None:
        self._house, self._number, self._empty = house, number, empty_memory
        self.robot = house.robot(number)
        self._store: SqliteStore | None = None
        self.now: When = when_of(house.world.now.slot.start_ns)

    @cached_property
    def _explorer(self) -> Explorer:
        house, settings = self._house, self._house.settings
        self._store = house.present_store(empty=self._empty)
        perception = _perception(settings.detector, 1000 * house.world.seed + 500 + self._number)
        memory = MemoryBank(MapperConfig(), perception, self._store)
        return Explorer(house.palace, memory, self.robot, settings.explorer)

    def close(self) -> None:
        """Forget the present."""
        if self._store is not None:
            self._store.close()

    def ways_m(self) -> tuple[Float[np.ndarray, " n_areas"], Float[np.ndarray, "n_areas n_areas"]]:
        """Return how far it is to each area, and between them."""
        return self._explorer.ways_m()

    def looks(self) -> Float[np.ndarray, " n_areas"]:
        """Return how well each area has been looked at."""
        return self._explorer.looks()

    def look_around(self, thing: str, spot: Place | None) -> Place | None:
        """Turn once."""
        return self._explorer.look_around(thing, spot)

    def has_seen(self, spot: Place) -> bool:
        """Tell whether a spot has been seen well."""
        return self._explorer.has_seen(spot)

    def look_at(self, area: int, thing: str, spots: Sequence[Place]) -> Place | None:
        """Go to an area."""
        return self._explorer.look_at(area, thing, spots)


def _perception(detector: Detector, seed: int) -> SimulatorPerception:
    return SimulatorPerception(
        SimulatorPerceptionConfig(dropout=detector.dropout, label_noise=detector.label_noise, seed=seed)
    )


def live_past(settings: Settings, world: HabitWorld, path: Path, renderer: Renderer) -> list[list[int]]:
    """Let a memory on disk go through all past visits; return the things that were in view on each."""
    seen: list[list[int]] = []
    store = SqliteStore(path)
    try:
        memory = MemoryBank(MapperConfig(), _perception(settings.detector, world.seed), store)
        for number, visit in enumerate(world.past):
            tour = Tour(
                visit.scene, session=visit.slot.session, start_ns=visit.slot.start_ns, seed=10 * world.seed + number,
                n_views=settings.n_views, renderer=renderer,
            )  # fmt: skip
            truth = live(memory, tour)
            seen.append([thing.instance_id for thing in truth.objects if thing.n_sightings])
    finally:
        store.close()
    return seen


def spl(right: bool, best_m: float, way_m: float) -> float:
    """Return success weighted by path length; where there was nowhere to go, whether the robot stayed (LA-EQA)."""
    if best_m <= 0.0:
        return float(right and way_m <= STILL_M)
    return float(right) * min(1.0, best_m / max(way_m, best_m))


def say(conclusion: Conclusion) -> str:
    """Return an answer in words."""
    if conclusion.yes is not None:
        return "yes" if conclusion.yes else "no"
    if conclusion.count is not None:
        return str(conclusion.count)
    if conclusion.position_m is None:
        return "unknown"
    return f"{conclusion.carrier or 'somewhere'} at ({conclusion.position_m[0]:.1f}, {conclusion.position_m[1]:.1f})"


def put(
    house: House, number: int, question: LongTermQuestion, method: str, config: MindConfig
) -> tuple[Row, Failure | None]:
    """Let one method answer one question."""
    body = PresentBody(house, number, empty_memory=config.recall == "none")
    best_m = house.best_m(number, question)
    try:
        got = Mind(config, house.palace, body).answer(question.text)
    finally:
        body.close()
    right = question.is_right(Reply(position_m=got.position_m, carrier=got.carrier, yes=got.yes, count=got.count))
    values = {
        "correct": float(right),
        "spl": spl(right, best_m, body.robot.way_m),
        "images": float(got.n_images),
        "recalls": float(got.n_recalls),
        "way_m": body.robot.way_m,
        "best_m": best_m,
        "frames": float(body.robot.n_observations),
    }
    key = f"{house.world.seed}/{number}: {question.text}"
    told = f"{say(got)}, expected {question.truth}; {body.robot.way_m:.1f} m of {best_m:.1f} m, {got.n_images} images"
    row = Row(
        key=key,
        method=method,
        category=question.category,
        values=values,
        wrong=() if right or method != "ours" else (told,),
    )
    if method != "ours" or values["spl"] >= DETOUR_SPL:
        return row, None
    rgb = body.robot.last_rgb
    picture = b"" if rgb is None else simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=85)
    return row, Failure(title=("Wrong: " if not right else "Detour: ") + question.text, text=told, picture_jpeg=picture)


def run(settings: Settings, episode: Episode) -> EpisodeResult:
    """Live through one house's past, and put all questions to all methods."""
    world = make_world(episode.seed)
    methods = {"ours": settings.mind, **(BASELINES if settings.baselines else {})}
    rows: list[Row] = []
    failures: list[tuple[float, float, Failure]] = []
    with TemporaryDirectory() as directory:
        folder = Path(directory)
        renderer = Renderer(world.past[0].scene)
        seen = live_past(settings, world, folder / PAST, renderer)
        store = SqliteStore(folder / PAST, read_only=True)
        try:
            house = House(settings, world, folder, MemoryPalace(MemoryBank(MapperConfig(), None, store)), renderer)
            for number, question in enumerate(make_questions(world, seen, world.seed, settings.n_each)):
                if not np.isfinite(house.best_m(number, question)):
                    continue  # Nobody could see it.
                for method, config in methods.items():
                    row, failure = put(house, number, question, method, config)
                    rows.append(row)
                    failures += [] if failure is None else [(row.values["correct"], row.values["spl"], failure)]
        finally:
            store.close()
    worst = sorted(failures, key=lambda failed: failed[:2])[:N_FAILURES]
    return EpisodeResult(rows=tuple(rows), failures=tuple(failure for _, _, failure in worst))


def summarise(rows: Sequence[Row]) -> list[MeasuredFigure]:
    """Return the figures: of all questions, and of each category."""
    figures = [
        measure(rows, "correct", name="laeqa.correct", goal=CORRECT_GOAL),
        measure(rows, "spl", name="laeqa.spl", goal=SPL_GOAL),
        measure(rows, "images", name="laeqa.images", goal=IMAGES_GOAL, higher_is_better=False),
        measure(rows, "way_m", name="laeqa.way", unit="m", higher_is_better=False),
    ]
    for category in CATEGORIES:
        for value in ("correct", "spl", "images"):
            if any(row.category == category for row in rows):
                name = f"laeqa.{value}.{category}"
                better = value != "images"
                figures.append(measure(rows, value, name=name, category=category, higher_is_better=better))
    return figures


def main(settings: Settings, progress: Progress) -> None:
    """Measure, and write figures and report."""
    evaluate("laeqa", settings, houses(settings), run, summarise, progress, PAGE)
