"""Figures of policies at tasks: one or several trainings of each method, with intervals over episodes and trainings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
from evaluation_rows import Row
from evaluation_run import measure
from manipulation_tasks import ABOVE_CHANCE, GOALS, MEAN_GOALS, Task, find_task

from embodied.arrays import Float
from embodied.figures import MeasuredFigure

Kind = Literal["memory", "memoryless", "frames", "player"]
"""A policy with a memory, its twin without, one that sees the last frames instead, or a player who knows the state."""
SWEEP = "sweep"
N_RESAMPLES = 10_000


def crossed_mean(
    values: Float[np.ndarray, "n_trainings n_episodes"], seed: int = 0
) -> tuple[float, tuple[float, float]]:
    """Return a mean and its 95 % interval by the bootstrap over episodes and, apart from them, over trainings.

    The same episodes are played after every training, so both are drawn whole (Owen 2007, the pigeonhole bootstrap).
    With one training it is the bootstrap over episodes.
    """
    n_trainings, n_episodes = values.shape
    rng = np.random.default_rng(seed)
    trainings = rng.multinomial(n_trainings, np.full(n_trainings, 1 / n_trainings), size=N_RESAMPLES)
    episodes = rng.multinomial(n_episodes, np.full(n_episodes, 1 / n_episodes), size=N_RESAMPLES)
    means = ((trainings @ values) * episodes).sum(axis=1) / (n_trainings * n_episodes)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(values.mean()), (float(low), float(high))


def summarise(rows: Sequence[Row]) -> list[MeasuredFigure]:
    """Return success, steps and calls of each task and method, and the means over tasks that have goals."""
    figures: list[MeasuredFigure] = []
    for name in dict.fromkeys(row.category for row in rows):
        task = find_task(name)
        own = [row for row in rows if row.category == name]
        sweep = [row.values["success"] for row in own if row.method == SWEEP]
        allowed = float(np.mean(sweep)) if sweep else None if task.chance is None else task.chance + ABOVE_CHANCE
        for method in dict.fromkeys(row.method for row in own):
            figures += _of_method(own, method, task, allowed)
    for simulator, goal in MEAN_GOALS.items():
        figures += _over_tasks([row for row in rows if find_task(row.category).simulator == simulator], simulator, goal)
    return figures


def _of_method(rows: Sequence[Row], method: str, task: Task, allowed: float | None) -> list[MeasuredFigure]:
    chance = {} if task.chance is None else {"chance": task.chance}
    figures = [_success(rows, method, str(task), GOALS.get(str(task)), allowed, chance)]
    trainings = _trainings(rows, method)
    if len(trainings) > 1:
        for training in trainings:
            apart = [row for row in rows if row.method == method and row.notes.get("training") == training]
            figures.append(measure(apart, "success", name=f"{task}.{method}.{training}.success", method=method))
    for value in ("steps", "calls"):
        if any(value in row.values for row in rows if row.method == method):
            name = f"{task}.{method}.{value}"
            figures.append(measure(rows, value, name=name, method=method, higher_is_better=False))
    return figures


def _over_tasks(rows: Sequence[Row], simulator: str, goal: float) -> list[MeasuredFigure]:
    tasks = [find_task(name) for name in dict.fromkeys(row.category for row in rows)]
    if len(tasks) < 2:
        return []
    chances = [task.chance for task in tasks if task.chance is not None]
    chance = float(np.mean(chances)) if len(chances) == len(tasks) else None
    allowed = None if chance is None else chance + ABOVE_CHANCE
    peers = {} if chance is None else {"chance": chance}
    methods = dict.fromkeys(row.method for row in rows)
    return [_success(rows, method, f"{simulator}.mean", goal, allowed, peers) for method in methods]


def _success(
    rows: Sequence[Row], method: str, name: str, goal: float | None, allowed: float | None, chance: dict[str, float]
) -> MeasuredFigure:
    """Return the success of a method: with a memory at least ``goal``, without at most ``allowed``."""
    own = [row for row in rows if row.method == method]
    kind = own[0].notes["kind"]
    wanted = {"memory": goal, "memoryless": allowed}.get(kind)
    figure = measure(
        rows,
        "success",
        name=f"{name}.{method}.success",
        method=method,
        goal=wanted,
        higher_is_better=kind != "memoryless" or wanted is None,
    )
    if figure.interval is None:
        return msgspec.structs.replace(figure, peers={**figure.peers, **chance})
    table = [
        [row.values["success"] for row in own if row.notes.get("training", "") == training]
        for training in _trainings(rows, method)
    ]
    _, interval = crossed_mean(np.array(table, dtype=np.float64))
    return msgspec.structs.replace(figure, interval=interval, peers={**figure.peers, **chance})


def _trainings(rows: Sequence[Row], method: str) -> list[str]:
    return list(dict.fromkeys(row.notes.get("training", "") for row in rows if row.method == method))
