"""The bridge process: ``python -m sim.server SETTINGS.json``."""

from __future__ import annotations

from pathlib import Path

from embodied.errors import ConfigurationError
from embodied.process import ProcessLink, run_process
from sim.bridge import Bridge, BridgeConfig, BridgeWorld
from sim.manipulation import TaskWorld
from sim.simulator_settings import HabitatSettings, HousesSettings
from sim.simulators import open_house_simulator, open_task_simulator


def open_world(config: BridgeConfig) -> BridgeWorld:
    """Open the simulator, and the house if it is one of houses.

    Raises:
        ConfigurationError: The simulator's library is not installed in this interpreter, or a house is wanted and no
            dataset named.
        SceneError: The house cannot be read, or the robot cannot stand in it.
    """
    if not isinstance(config.simulator, (HousesSettings, HabitatSettings)):
        return TaskWorld(open_task_simulator(config.simulator))
    if not config.dataset:
        raise ConfigurationError("dataset: expected a scene dataset for a simulator of houses, got ''")
    # Only houses need the renderer's libraries; the interpreter of another simulator may lack them.
    from sim.foreign_scene import load_scene
    from sim.house_world import HouseWorld
    from sim.houses.changes import change_overnight

    scene = load_scene(Path(config.dataset), config.scene_name)
    return HouseWorld(scene, open_house_simulator(config.simulator, scene), change_overnight)


def main(config: BridgeConfig, link: ProcessLink) -> None:
    """Open the world, bind, say ready, and serve."""
    with Bridge(config, link, open_world(config)) as bridge:
        link.ready()
        bridge.run()


if __name__ == "__main__":
    run_process(main, BridgeConfig)
