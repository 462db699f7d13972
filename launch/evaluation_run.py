"""Evaluations that can be stopped and continued, spread over workers, and that say how sure their figures are.

An evaluation is a module with ``Settings``, an ``EvaluationSettings``, a function that does one independent episode,
and one that makes figures of all rows. ``evaluate`` does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec
import numpy as np
from evaluation_page import Curve, Measured, PageSettings, settings_shown, write_evaluation
from evaluation_rows import Episode, EpisodeResult, Failure, Row, RowsFile
from evaluation_workers import results

from embodied.config import Config
from embodied.errors import ConfigurationError
from embodied.figures import MeasuredFigure, bootstrap_mean, write_figures
from embodied.progress import Progress

__all__ = [
    "Curve",
    "Episode",
    "EpisodeResult",
    "EvaluationSettings",
    "Failure",
    "PageSettings",
    "Row",
    "evaluate",
    "houses",
    "measure",
]


class EvaluationSettings(Config):
    """What every evaluation can be told."""

    HOW_NOT_WHAT: ClassVar[frozenset[str]] = frozenset(("out", "episodes", "workers", "cluster", "restart", "data"))
    """Settings that a continued evaluation may change: how, how many and which episodes are done, not what one is."""

    out: str
    """The figures file to write; rows and report go beside it."""
    episodes: int = 10
    """How many; more of them later continue what is there."""
    seed: int = 0
    """Of the first episode; the others follow."""
    workers: int = 1
    """Episodes done at a time; more than one needs the extra ray."""
    cluster: str | None = None
    """Address of a Ray cluster to work on; this machine by default."""
    restart: bool = False
    """Forget the rows that are there already."""


SettingsT = TypeVar("SettingsT", bound=EvaluationSettings)


def houses(settings: EvaluationSettings) -> list[Episode]:
    """Return one episode a house: the seeds from ``seed`` on."""
    return [Episode(key=f"house {seed}", seed=seed) for seed in range(settings.seed, settings.seed + settings.episodes)]


def measure(
    rows: Sequence[Row],
    value: str,
    *,
    name: str = "",
    method: str = "ours",
    category: str | None = None,
    unit: str = "",
    goal: float | None = None,
    higher_is_better: bool = True,
    seed: int = 0,
) -> MeasuredFigure:
    """Return the mean of a value over rows, its 95 % interval over episodes, and beside it what other methods have.

    Rows without the value are left out. The interval is None where all rows are of one episode.

    Raises:
        ValueError: No row of the method has the value.
    """
    name = name or value
    chosen = [row for row in rows if value in row.values and category in (None, row.category)]
    own = [row for row in chosen if row.method == method]
    if not own:
        raise ValueError(f"{name}: expected rows of {method} with {value}, got none")
    mean, low, high = bootstrap_mean([row.values[value] for row in own], [row.episode for row in own], seed)
    peers = {
        peer: float(np.mean([row.values[value] for row in chosen if row.method == peer]))
        for peer in dict.fromkeys(row.method for row in chosen)
        if peer != method
    }
    met = None if goal is None else (mean >= goal if higher_is_better else mean <= goal)
    several = len({row.episode for row in own}) > 1
    return MeasuredFigure(
        name=name,
        value=mean,
        unit=unit,
        interval=(low, high) if several else None,
        peers=peers,
        goal=goal,
        higher_is_better=higher_is_better,
        met=met,
    )


def evaluate(
    name: str,
    settings: SettingsT,
    episodes: Sequence[Episode],
    run: Callable[[SettingsT, Episode], EpisodeResult],
    summarise: Callable[[Sequence[Row]], Sequence[MeasuredFigure]],
    progress: Progress,
    page: PageSettings | None = None,
) -> list[MeasuredFigure]:
    """Do the episodes that are not done yet, and write figures and report.

    Args:
        name: Of the evaluation.
        settings: Also says where everything goes.
        episodes: With different keys.
        run: Does one; a function of a module, so that workers find it by its name.
        summarise: Makes figures of the rows of all episodes, which it gets in the order of ``episodes``.
        progress: Tells of each episode.
        page: What the report shows.

    Raises:
        ConfigurationError: The settings do not fit what is there, or workers are asked for without Ray.
    """
    out = check(settings)
    keys = [episode.key for episode in episodes]
    if not keys:
        raise ConfigurationError("episodes: expected at least one, got none")
    if len(set(keys)) < len(keys):
        raise ValueError(f"episodes: expected different keys, got {keys}")
    with RowsFile(rows_path(out), name, measured_settings(settings), restart=settings.restart) as done:
        missing = [episode for episode in episodes if not done.holds(episode)]
        if len(missing) < len(episodes):
            progress.done(f"{len(episodes) - len(missing)} of {len(episodes)} episodes are there already")
        for episode, result, took_s in results(
            run, settings, missing, workers=settings.workers, cluster=settings.cluster
        ):
            done.append(episode, result, took_s)
            _tell(progress, done, episode)
        rows = [row for key in keys for row in done.rows_of(key)]
        figures = list(summarise(rows))
        measured = Measured(rows, figures, _worst(done, keys), settings_shown(settings), done.versions(keys))
    write_figures(out, name, figures)
    write_evaluation(out.with_suffix(".html"), page or PageSettings(title=f"Evaluation: {name}"), measured)
    for figure in figures:
        _tell_figure(progress, figure)
    return figures


def _worst(done: RowsFile, keys: Sequence[str]) -> list[tuple[str, Failure]]:
    """Return the failures with their episodes: the worst of each episode, then the second of each, and so on."""
    by_episode = [(key, done.failures_of(key)) for key in keys]
    longest = max(len(failures) for _, failures in by_episode)
    return [(key, failures[n]) for n in range(longest) for key, failures in by_episode if n < len(failures)]


def check(settings: EvaluationSettings) -> Path:
    """Return the path of the figures file.

    Raises:
        ConfigurationError: A setting is out of its range.
    """
    out = Path(settings.out)
    if out.suffix != ".json":
        raise ConfigurationError(f"out: expected the name of a .json file, got {settings.out}")
    for name, least in (("episodes", 0), ("workers", 1)):
        if getattr(settings, name) < least:
            raise ConfigurationError(f"{name}: expected at least {least}, got {getattr(settings, name)}")
    return out


def rows_path(out: Path) -> Path:
    """Return where the rows of a figures file go."""
    return out.with_name(f"{out.stem}.rows.jsonl")


def measured_settings(settings: EvaluationSettings) -> dict[str, Any]:
    """Return the settings that the rows depend on."""
    contents: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(settings))
    return {name: value for name, value in contents.items() if name not in settings.HOW_NOT_WHAT}


def _tell(progress: Progress, done: RowsFile, episode: Episode) -> None:
    rows = done.rows_of(episode.key)
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method]
        names = dict.fromkeys(name for row in own for name in row.values)
        shown = ", ".join(
            f"{name} {np.mean([row.values[name] for row in own if name in row.values]):.3f}" for name in names
        )
        progress.done(f"{episode.key}, {method}: {shown} ({len(own)} rows, {done.took_s(episode.key):.0f} s)")
    for row in rows:
        for text in row.wrong:
            progress.done(f"    {row.key}: {text}")


def _tell_figure(progress: Progress, figure: MeasuredFigure) -> None:
    interval = "" if figure.interval is None else f" [{figure.interval[0]:.3f}, {figure.interval[1]:.3f}]"
    goal = "" if figure.goal is None else f" (goal {figure.goal:g}) {'met' if figure.met else 'MISSED'}"
    peers = "".join(f", {name} {value:.3f}" for name, value in figure.peers.items())
    unit = f" {figure.unit}" if figure.unit else ""
    progress.done(f"{figure.name}: {figure.value:.3f}{unit}{interval}{goal}{peers}")
