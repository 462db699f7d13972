"""The tasks that a trained policy is evaluated on: how they are named, who plays them, and what is to be reached."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from typing import NamedTuple

from episode_settings import tasks_of

from embodied.errors import ConfigurationError
from sim.rollout import EXPERT
from sim.simulator_settings import MetaworldSettings, MikasaSettings, TabletopSettings
from sim.simulators import TaskSettings

SIMULATORS = ("mikasa", "metaworld", "tabletop")
GOALS = {
    "mikasa:RememberColor3-VLA-v0": 0.95,
    "mikasa:RememberColor5-VLA-v0": 0.93,
    "mikasa:RememberColor9-VLA-v0": 0.90,
    "mikasa:InterceptMedium-VLA-v0": 0.85,
}
"""Least success of a policy with a memory."""
MEAN_GOALS = {"metaworld": 0.90}
"""Likewise, of the mean over a simulator's tasks."""
ABOVE_CHANCE = 0.05
"""So much more than the best without a memory a policy without one may reach, where that is known."""


class Task(NamedTuple):
    """One task of one simulator."""

    simulator: str
    name: str

    def __str__(self) -> str:
        return f"{self.simulator}:{self.name}"

    @property
    def players(self) -> tuple[str, ...]:
        """Who can act in it knowing the simulator's state."""
        if self.simulator != "mikasa":
            return (EXPERT,)
        from sim.mikasa import PLAYERS

        return (EXPERT, *(player for player, tasks in PLAYERS.items() if self.name in tasks))

    @property
    def chance(self) -> float | None:
        """Success of the best policy without a memory; None where nobody knows."""
        if self.simulator == "metaworld":
            from sim.metaworld import TASKS

            return 1.0 / TASKS[self.name].n_answers
        if self.simulator == "tabletop":
            from sim.tabletop import TASKS as TABLETOP_TASKS

            return 1.0 / TABLETOP_TASKS[self.name].n_answers
        return None

    def settings(self, image_px: int) -> TaskSettings:
        """Return those of its simulator; a policy sees colours alone."""
        if self.simulator == "mikasa":
            return MikasaSettings(image_px=image_px)
        if self.simulator == "tabletop":
            return TabletopSettings(image_px=image_px)
        return MetaworldSettings(image_px=image_px, depth=False)


def find_task(text: str) -> Task:
    """Return the task of that name: ``SIMULATOR:NAME``, or the name alone where one simulator has it.

    Raises:
        ConfigurationError: There is none, or more than one.
    """
    simulator, separator, _ = text.partition(":")
    known = [Task(where, each) for where in SIMULATORS for each in tasks_of(where)]
    found = [task for task in known if str(task) == text or (not separator and task.name == text)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigurationError(f"tasks: {text} is ambiguous: {', '.join(map(str, found))}")
    among = [task for task in known if task.simulator == simulator] if separator else known
    if not among:
        raise ConfigurationError(f"tasks: expected one of the simulators {', '.join(SIMULATORS)}, got {text!r}")
    raise ConfigurationError(f"tasks: expected one of {', '.join(map(str, among))}, got {text!r}")


def find_tasks(texts: Sequence[str]) -> list[Task]:
    """Return the tasks of these names, each once.

    Raises:
        ConfigurationError: There is none, or one is unknown.
    """
    if not texts:
        raise ConfigurationError("tasks: expected at least one, got none")
    return list(dict.fromkeys(find_task(text) for text in texts))


def simulator_python(simulator: str) -> str:
    """Return the interpreter that a simulator runs in: ``EMBODIED_<SIMULATOR>_PYTHON``, or this one.

    Raises:
        ConfigurationError: The variable names no interpreter.
    """
    variable = f"EMBODIED_{simulator.upper()}_PYTHON"
    given = os.environ.get(variable)
    if not given:
        return sys.executable
    found = shutil.which(given)
    if found is None:
        raise ConfigurationError(f"{variable}: expected a Python interpreter, got {given}")
    return found
