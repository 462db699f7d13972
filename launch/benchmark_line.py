"""Measure the whole job of ``sim_episode.py`` on several houses: the mean of each figure that has a goal."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from embodied.config import Config
from embodied.errors import ProcessError
from embodied.figures import mean_figure, write_figures
from embodied.progress import Progress
from sim.episode import EpisodeSummary
from sim.episode_report import GOALS, headline

SIM_EPISODE = Path(__file__).with_name("sim_episode.py")
TIMEOUT_S = 600.0


class Settings(Config):
    """What to measure."""

    out: str
    """The figures file to write."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Houses to run."""
    keep: str | None = None
    """Folder to keep the runs in; they are deleted otherwise."""


def run_house(seed: int, out: Path) -> EpisodeSummary:
    """Run one episode as a person would, by the command."""
    command = [sys.executable, str(SIM_EPISODE), "--seed", str(seed), "--out", str(out)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ProcessError(f"seed {seed} is not done after {TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        raise ProcessError((done.stderr.strip().splitlines() or ["sim_episode said nothing"])[-1])
    return msgspec.json.decode((out / "summary.json").read_bytes(), type=EpisodeSummary)


def _measure(settings: Settings, runs: Path, progress: Progress) -> None:
    """Run all houses and write the means."""
    values: dict[str, list[float]] = {name: [] for name, *_ in GOALS}
    for seed in settings.seeds:
        summary = run_house(seed, runs / f"seed-{seed}")
        for line in headline(summary):
            assert isinstance(line.value, float), line
            values[line.name].append(line.value)
        progress.done(f"seed {seed}: " + ", ".join(f"{name} {rows[-1]:.3f}" for name, rows in values.items()))
    figures = [
        mean_figure(name, values[name], unit=unit, goal=goal, higher_is_better=higher)
        for name, unit, goal, higher in GOALS
    ]
    write_figures(Path(settings.out), "line", figures)
    for figure in figures:
        verdict = "met" if figure.met else "MISSED"
        progress.done(f"{figure.name}: {figure.value:.3f} {figure.unit} (goal {figure.goal}) {verdict}")


def main(settings: Settings, progress: Progress) -> None:
    """Measure the line."""
    with tempfile.TemporaryDirectory() as scratch:
        _measure(settings, Path(settings.keep or scratch), progress)
