"""What ``sim_episode.py`` can be told, and which of it can work together."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Literal

from embodied.config import Config
from embodied.errors import ConfigurationError
from memory_bank.dense.library import open3d

HOUSES = ("houses", "habitat")
"""Simulators in which a robot drives through a house; in the others an arm has a task."""


class SimEpisode(Config):
    """Two days in a simulated house, or demonstrations of a task."""

    simulator: Literal["houses", "habitat", "metaworld", "mikasa", "tabletop"] = "houses"
    """Which simulator the bridge runs: houses and habitat live through two days, metaworld, mikasa and
    tabletop record demonstrations."""
    seed: int = 0
    """Draws the house, the noise, what changes overnight, and the questions; of a task, the first episode's layout:
    those after it have the numbers that follow."""
    out: str = "runs/episode"
    """Where everything goes; must not exist yet, or be an earlier run, which is replaced."""
    n_rooms: int = 5
    """Rooms of the house, 3 to 12."""
    variety: Literal["plain", "full"] = "plain"
    """A full house has doors, things in its cupboards, and more kinds of things."""
    light: Literal["lamps", "day", "evening", "night"] = "lamps"
    """How the house is lit."""
    image_px: int | None = None
    """Width and height of the camera's image; by default 256 in a house, 128 at a task."""
    dropout: float = 0.0
    """Share of things in view that the simulated detector overlooks."""
    label_noise: float = 0.0
    """Share of things in view that it calls something else."""
    max_steps: int = 700
    """Steps of the robot a day, or of a demonstration."""
    n_goals: int = 2
    """Answers that the robot drives to."""
    mesh: bool = False
    """Fuse each day's depth images into a mesh, beside its log, and show it in the report; needs open3d."""
    task: str | None = None
    """What to demonstrate, by the simulator's name for it."""
    episodes: int = 5
    """How many demonstrations."""
    action_noise: float = 0.0
    """Disturb half of the demonstrations: standard deviation of a disturbance as a share of the greatest action. The
    log keeps what the expert meant to do beside what was done."""
    remember: bool = False
    """Let the memory watch the demonstrations as well; for a simulator whose camera has depth and instances."""
    bridge_python: str | None = None
    """Interpreter of the bridge, if the simulator lives in another one; by default what the variable
    EMBODIED_<SIMULATOR>_PYTHON names, then this one."""

    @property
    def in_house(self) -> bool:
        """Whether a robot drives through a house."""
        return self.simulator in HOUSES

    @property
    def pixels(self) -> int:
        """Width and height of the image."""
        return self.image_px or (256 if self.in_house else 128)


def check(settings: SimEpisode) -> None:
    """Refuse what cannot work before anything is made or replaced.

    Raises:
        ConfigurationError: A setting is out of its range or does not go with the simulator, the bridge's interpreter
            is missing, or open3d is and a mesh is asked for.
    """
    ranges: dict[str, tuple[float, float]] = {
        "n_rooms": (3, 12),
        "seed": (0, 2**32),
        "pixels": (64, 1024),
        "dropout": (0.0, 1.0),
        "label_noise": (0.0, 1.0),
        "max_steps": (1, 100_000),
        "n_goals": (0, 10),
        "episodes": (1, 100_000),
        "action_noise": (0.0, 1.0),
    }
    for name, (low, high) in ranges.items():
        value = getattr(settings, name)
        if not low <= value <= high:
            shown = "image_px" if name == "pixels" else name
            raise ConfigurationError(f"{shown}: expected {low} to {high}, got {value}")
    if settings.in_house and settings.task is not None:
        raise ConfigurationError(f"task: expected none for --simulator {settings.simulator}, got {settings.task!r}")
    if settings.remember and settings.simulator != "metaworld":
        raise ConfigurationError(
            f"remember: expected --simulator metaworld, whose camera has depth and instances, got {settings.simulator}"
        )
    if settings.mesh:
        if not settings.in_house:
            raise ConfigurationError(f"mesh: expected a house, got --simulator {settings.simulator}")
        open3d()
    bridge_python(settings)
    if not settings.in_house and settings.task not in (known := tasks_of(settings.simulator)):
        raise ConfigurationError(f"task: expected one of {', '.join(known)} as --task, got {settings.task!r}")


def tasks_of(simulator: str) -> tuple[str, ...]:
    """Return the tasks of a simulator of tasks, whose own libraries need not be here."""
    if simulator == "metaworld":
        from sim.metaworld import TASKS

        return tuple(TASKS)
    if simulator == "tabletop":
        from sim.tabletop import TASKS as TABLETOP_TASKS

        return tuple(TABLETOP_TASKS)
    from sim.mikasa import EXPERTS

    return tuple(EXPERTS)


def bridge_python(settings: SimEpisode) -> str:
    """Return the interpreter that the bridge runs in.

    Raises:
        ConfigurationError: There is none of that name.
    """
    variable = f"EMBODIED_{settings.simulator.upper()}_PYTHON"
    for source, given in (("bridge_python", settings.bridge_python), (variable, os.environ.get(variable))):
        if given:
            found = shutil.which(given)
            if found is None:
                raise ConfigurationError(f"{source}: expected a Python interpreter, got {given}")
            return found
    return sys.executable
