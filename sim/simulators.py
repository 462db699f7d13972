"""Which simulators there are. The library of each is loaded when it is opened, so that each may have an interpreter."""

from __future__ import annotations

from typing import Union

from sim.manipulation import TaskEpisode
from sim.scene import Scene
from sim.simulator import Simulator
from sim.simulator_settings import (
    HabitatSettings,
    HousesSettings,
    MetaworldSettings,
    MikasaSettings,
    TabletopSettings,
)

HouseSettings = Union[HousesSettings, HabitatSettings]
TaskSettings = Union[MetaworldSettings, MikasaSettings, TabletopSettings]


def open_house_simulator(settings: HouseSettings, scene: Scene) -> Simulator[Scene]:
    """Open a simulator in which a robot drives through a scene.

    Raises:
        ConfigurationError: Its library is not installed in this interpreter.
    """
    if isinstance(settings, HousesSettings):
        from sim.houses_simulator import HousesSimulator

        return HousesSimulator(scene, settings)
    from sim.habitat_simulator import HabitatSimulator

    return HabitatSimulator(scene, settings)


def open_task_simulator(settings: TaskSettings) -> Simulator[TaskEpisode]:
    """Open a simulator of tasks; nothing is loaded before the first ``load``.

    Raises:
        ConfigurationError: Its library is not installed in this interpreter.
    """
    if isinstance(settings, MetaworldSettings):
        from sim.metaworld import MetaworldSimulator

        return MetaworldSimulator(settings)
    if isinstance(settings, TabletopSettings):
        from sim.tabletop import TabletopSimulator

        return TabletopSimulator(settings)
    from sim.mikasa import MikasaSimulator

    return MikasaSimulator(settings)
