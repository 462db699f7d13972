"""An evaluation that takes no time, for the tests of the tool; also a script, to be killed and to run workers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "launch"))

import numpy as np
import simplejpeg
from evaluation_rows import RowsFile
from evaluation_run import (
    Curve,
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

from embodied.errors import SceneError
from embodied.figures import MeasuredFigure
from embodied.progress import Progress

STOP_AT = "EVALUATION_STOPS_AT"
"""In the environment, the seed of an episode that waits for the end."""


class Settings(EvaluationSettings):
    """What to measure."""

    noise: float = 0.1
    """Of the results."""
    log: str = ""
    """A file that gets a line for each episode that is begun."""
    fail_at: int = -1
    """The episode with this seed goes wrong."""


__all__ = ["STOP_AT", "Episode", "EpisodeResult", "Row", "RowsFile", "Settings", "main"]

PAGE = PageSettings(
    title="A <b>small</b> evaluation",
    introduction="Numbers out of a hat.",
    values=("correct",),
    curves=(Curve("correct", "length"),),
)


def run_episode(settings: Settings, episode: Episode) -> EpisodeResult:
    if settings.log:
        with Path(settings.log).open("a") as log:
            log.write(f"{episode.key}\n")
    if str(episode.seed) == os.environ.get(STOP_AT):
        sys.stdout.write("waiting\n")
        sys.stdout.flush()
        sys.stdin.read()
    if episode.seed == settings.fail_at:
        raise SceneError(f"{episode.key} has no floor")
    rng = np.random.default_rng(episode.seed)
    rows = []
    for method, share in (("ours", 0.9), ("nothing", 0.3)):
        for number in range(6):
            right = rng.random() < share - settings.noise
            values = {"correct": float(right), "confidence": float(rng.uniform()), "length": float(number)}
            wrong = () if right else (f"<i>question {number}</i>",)
            category = "where & when" if number % 2 else "how many"
            rows.append(Row(key=f"q{number}", method=method, category=category, values=values, wrong=wrong))
    jpeg = simplejpeg.encode_jpeg(np.full((8, 8, 3), 90, dtype=np.uint8))
    failure = Failure(title=f"<u>{episode.key}</u>", text="It fell off.", picture_jpeg=jpeg)
    return EpisodeResult(rows=tuple(rows), failures=(failure,))


def summarise(rows: list[Row]) -> list[MeasuredFigure]:
    return [measure(rows, "correct", name="small.correct", goal=0.5), measure(rows, "length")]


def main(settings: Settings, progress: Progress) -> list[MeasuredFigure]:
    return evaluate("small", settings, houses(settings), run_episode, summarise, progress, PAGE)


if __name__ == "__main__":
    import tyro

    import launch_evaluation

    launch_evaluation.main(tyro.cli(launch_evaluation.Settings), Progress())
