"""The bridge process of the tests' own arm: ``python -m arm_bridge SETTINGS.json``."""

from __future__ import annotations

from arm_simulator import ArmSimulator
from embodied.process import ProcessLink, run_process
from sim.bridge import Bridge, BridgeConfig
from sim.manipulation import TaskWorld


def main(config: BridgeConfig, link: ProcessLink) -> None:
    """Serve the arm, whichever simulator the settings name."""
    with Bridge(config, link, TaskWorld(ArmSimulator())) as bridge:
        link.ready()
        bridge.run()


if __name__ == "__main__":
    run_process(main, BridgeConfig)
