"""Measure trained policies at tasks of memory, closed loop: success, steps and calls, of one or several trainings each.

A checkpoint is called after its folder, or as ``--names`` says; NAME-seed0, NAME-seed1, … are trainings of one method.
``--baselines`` adds players who know the simulator's state: the expert, and in RememberColor the sweep over all cubes,
which remembers nothing, and a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec
from evaluation_run import Episode, EpisodeResult, EvaluationSettings, Failure, PageSettings, Row, evaluate
from manipulation_figures import summarise
from manipulation_policy import Checkpoint, open_policy, read_checkpoints
from manipulation_rollouts import Played, open_rollouts, play_player, play_policy
from manipulation_tasks import Task, find_task, find_tasks

from embodied.errors import ConfigurationError
from embodied.progress import Progress
from embodied.report.strips import Strip, strips_jpeg
from policies.vla.acting import ActingConfig

IMAGE_PX = 128
"""Of players, who look at nothing, where no checkpoint says otherwise."""
PAGE = PageSettings(
    title="Policies at tasks of memory",
    introduction="Success if the task is done at any instant. Where a method was trained several times, the intervals "
    "of the figures are over episodes and trainings, those of the tables over episodes.",
    values=("success", "steps", "calls"),
    smaller_is_better=("steps", "calls"),
    pictures="Episodes",
    wide_pictures=True,
)


class Settings(EvaluationSettings):
    """What to measure."""

    HOW_NOT_WHAT: ClassVar[frozenset[str]] = EvaluationSettings.HOW_NOT_WHAT | {"tasks", "checkpoint", "strips"}

    episodes: int = 100
    """Of each task."""
    seed: int = 100_000
    """Of a task's first episode; the others follow. Demonstrations are recorded with lower ones."""
    mikasa_seed: int = 4_242_424_242
    """Likewise in MIKASA, which keeps the seeds from this one on for evaluations."""
    tasks: tuple[str, ...] = ()
    """SIMULATOR:NAME, or NAME where only one simulator has it."""
    checkpoint: tuple[str, ...] = ()
    """Folders of policies."""
    names: tuple[str, ...] = ()
    """What they are called, one each; by default as their folders."""
    baselines: tuple[str, ...] = ()
    """Players: expert, and where a task has them sweep and guess."""
    acting: ActingConfig = ActingConfig()
    """How the policies act."""
    strips: int = 0
    """Draw so many of each task's first episodes, all methods below each other, whatever came of them."""
    weights: tuple[str, ...] = ()
    """Filled in: the checksums of the policies' weights, so that rows of other weights are never taken for theirs."""


def run_episode(settings: Settings, episode: Episode) -> EpisodeResult:
    """Have every method play one episode of one task."""
    task = find_task(episode.source)
    is_drawn = episode.seed - first_seed(settings, task) < settings.strips
    checkpoints = read_checkpoints(settings.checkpoint, settings.names)
    ask = open_rollouts(task, _image_px(checkpoints))
    rows: list[Row] = []
    strips: list[Strip] = []
    failures: list[Failure] = []
    title = f"{task.name}, seed {episode.seed}"
    for player in (player for player in settings.baselines if player in task.players):
        played = play_player(ask, task, episode.seed, player, show=is_drawn)
        rows.append(_row(task, player, {"kind": "player"}, played))
        strips += [_strip(player, played)] if is_drawn else []
    for checkpoint, weights in zip(checkpoints, settings.weights, strict=True):
        policy = open_policy(checkpoint.folder, weights, settings.acting)
        played = play_policy(ask, task, episode.seed, policy, show_end=is_drawn)
        row = _row(task, checkpoint.method, {"kind": checkpoint.kind, "training": checkpoint.training}, played)
        rows.append(row)
        strip = _strip(checkpoint.name, played)
        if is_drawn:
            strips.append(strip)
        elif row.wrong:
            failures.append(Failure(title=title, text=strip.title, picture_jpeg=strips_jpeg([strip])))
    if strips:
        text = "; ".join(strip.title for strip in strips)
        failures.insert(0, Failure(title=title, text=text, picture_jpeg=strips_jpeg(strips)))
    return EpisodeResult(rows=tuple(rows), failures=tuple(failures))


def _row(task: Task, method: str, notes: dict[str, str], played: Played) -> Row:
    values = {"success": float(played.success), "steps": float(played.n_steps)}
    if played.n_calls:
        values["calls"] = float(played.n_calls)
    wrong = () if played.success or notes["kind"] != "memory" else (f"not done after {played.n_steps} steps",)
    return Row(key=str(task), method=method, category=str(task), values=values, wrong=wrong, notes=notes)


def _strip(name: str, played: Played) -> Strip:
    title = f"{name}: {'done' if played.success else 'not done'} after {played.n_steps} steps"
    return Strip(title, played.frames, [str(step) for step in played.frame_steps], played.success)


def _image_px(checkpoints: Sequence[Checkpoint]) -> int:
    if not checkpoints:
        return IMAGE_PX
    interface = checkpoints[0].record.interface
    if interface.width_px != interface.height_px:
        raise ConfigurationError(
            f"checkpoint {checkpoints[0].folder}: expected square pictures, got {interface.width_px}x"
            f"{interface.height_px}"
        )
    return interface.height_px


def first_seed(settings: Settings, task: Task) -> int:
    """Return the seed of a task's first episode."""
    return settings.mikasa_seed if task.simulator == "mikasa" else settings.seed


def resolved(settings: Settings, tasks: Sequence[Task]) -> Settings:
    """Return the settings with names and weights filled in.

    Raises:
        ConfigurationError: There is nobody to play, a checkpoint cannot be read, or a player is unknown.
    """
    if not settings.checkpoint and not settings.baselines:
        raise ConfigurationError("checkpoint: expected at least one folder, or baselines, got neither")
    players = list(dict.fromkeys(player for task in tasks for player in task.players))
    unknown = [player for player in settings.baselines if player not in players]
    if unknown:
        raise ConfigurationError(f"baselines: expected some of {', '.join(players)}, got {', '.join(unknown)}")
    checkpoints = read_checkpoints(settings.checkpoint, settings.names)
    taken = [checkpoint.name for checkpoint in checkpoints if checkpoint.method in settings.baselines]
    if taken:
        raise ConfigurationError(f"names: {', '.join(taken)} is the name of a player as well; choose another")
    _image_px(checkpoints)
    return msgspec.structs.replace(
        settings,
        names=tuple(checkpoint.name for checkpoint in checkpoints),
        weights=tuple(checkpoint.record.weights_sha256 for checkpoint in checkpoints),
    )


def main(settings: Settings, progress: Progress) -> None:
    """Play every task with every seed and every method."""
    tasks = find_tasks(settings.tasks)
    settings = resolved(settings, tasks)
    episodes = [
        Episode(key=f"{task}, seed {seed}", seed=seed, source=str(task))
        for task in tasks
        for seed in (first_seed(settings, task) + n for n in range(settings.episodes))
    ]
    evaluate("manipulation", settings, episodes, run_episode, summarise, progress, PAGE)
