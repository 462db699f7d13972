"""Measure how far one gets at Meta-World's table with the cue and without: the expert, and the best without a memory.

What the robot perceives once it may move is the same for every answer (tests/sim/metaworld/ holds it), so whoever does
not remember the cue can do no better than always act on the same guess: success of one in as many as there are answers.
That player is measured beside the expert, in the same episodes. Needs the extra ``metaworld``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec
import simplejpeg
from evaluation_run import Episode, EpisodeResult, EvaluationSettings, Failure, PageSettings, Row, evaluate, measure

from embodied.errors import ConfigurationError
from embodied.figures import MeasuredFigure
from embodied.progress import Progress
from sim.manipulation import TaskEpisode
from sim.metaworld import TASKS, MetaworldSimulator

EXPERT, MEMORYLESS = "expert", "always the same guess"
GOAL = 0.95
PAGE = PageSettings(
    title="Tasks of memory at Meta-World's table",
    introduction="The expert saw the cue. The other player acts as well, on the same guess every time.",
)


class Settings(EvaluationSettings):
    """What to measure."""

    episodes: int = 100
    """Seeds, each in every task."""
    seed: int = 1000
    """The first; the others follow."""
    tasks: tuple[str, ...] = tuple(TASKS)
    """Which tasks."""


@lru_cache(maxsize=1)
def _simulator() -> MetaworldSimulator:
    """Keep one open: a model takes a second to compile."""
    return MetaworldSimulator()


def play(simulator: MetaworldSimulator) -> tuple[bool, int]:
    """Let the expert act on what it believes; return whether the task was done, and after how many steps."""
    for n_steps in range(1, 10_000):
        result = simulator.step(simulator.expert_action(), simulator.control_period_s)
        if result.success or result.ended:
            return result.success, n_steps
    raise AssertionError("an episode without an end")


def run_episode(settings: Settings, episode: Episode) -> EpisodeResult:
    """Play one task with one seed, once with the cue and once without."""
    task = episode.source
    simulator = _simulator()
    world = TaskEpisode(task, episode.seed)
    answer = simulator.answer_of(world)
    rows, failures = [], []
    for method, believed in ((EXPERT, answer), (MEMORYLESS, 0)):
        simulator.load_answer(world, answer, believed)
        success, n_steps = play(simulator)
        values = {"success": float(success), "steps": float(n_steps)}
        wrong = () if success or method != EXPERT else (f"not done after {n_steps} steps",)
        rows.append(Row(key=task, method=method, category=task, values=values, wrong=wrong))
        if wrong:
            (view,) = simulator.observe().views
            picture = simplejpeg.encode_jpeg(view.rgb)
            failures.append(Failure(title=f"{task}, seed {episode.seed}", text=wrong[0], picture_jpeg=picture))
    return EpisodeResult(rows=tuple(rows), failures=tuple(failures))


def summarise(rows: Sequence[Row]) -> list[MeasuredFigure]:
    """Return the expert's success in each task, and that of the memoryless player beside what it must be."""
    figures = []
    for task in dict.fromkeys(row.category for row in rows):
        figures.append(measure(rows, "success", name=f"expert.{task}", method=EXPERT, category=task, goal=GOAL))
        measured = measure(rows, "success", name=f"memoryless.{task}", method=MEMORYLESS, category=task)
        optimum = {"optimum": 1.0 / TASKS[task].n_answers, **measured.peers}
        figures.append(msgspec.structs.replace(measured, peers=optimum))
    return figures


def main(settings: Settings, progress: Progress) -> None:
    """Play every task with every seed."""
    unknown = [task for task in settings.tasks if task not in TASKS]
    if unknown:
        raise ConfigurationError(f"tasks: expected some of {', '.join(TASKS)}, got {', '.join(unknown)}")
    seeds = range(settings.seed, settings.seed + settings.episodes)
    episodes = [
        Episode(key=f"{task}, seed {seed}", seed=seed, source=task) for task in settings.tasks for seed in seeds
    ]
    evaluate("metaworld", settings, episodes, run_episode, summarise, progress, PAGE)
