"""The bridge process: ``python -m sim.server SETTINGS.json``."""

from __future__ import annotations

from pathlib import Path

from embodied.process import ProcessLink, run_process
from sim.bridge import Bridge, BridgeConfig
from sim.habitat_dataset import read_dataset
from sim.houses.changes import change_overnight
from sim.houses_simulator import HousesSimulator


def main(config: BridgeConfig, link: ProcessLink) -> None:
    """Load the scene, bind, say ready, and serve."""
    scene = read_dataset(Path(config.dataset), config.scene_name)
    simulator = HousesSimulator(scene, config.simulator)
    with Bridge(config, link, scene, simulator, change_overnight) as bridge:
        link.ready()
        bridge.run()


if __name__ == "__main__":
    run_process(main, BridgeConfig)
