from __future__ import annotations

import pytest

from embodied.errors import SceneError
from sim.houses_simulator import CameraSettings, HousesSettings, HousesSimulator
from sim.scene import Scene
from sim_contracts import SimulatorConformance, contract_scene


class TestHousesSimulator(SimulatorConformance):
    def make(self, scene: Scene) -> HousesSimulator:
        return HousesSimulator(scene, HousesSettings(camera=CameraSettings(width_px=96, height_px=72)))

    def test_the_camera_is_the_one_that_was_set(self) -> None:
        simulator = HousesSimulator(contract_scene())
        assert (simulator.intrinsics.width_px, simulator.intrinsics.fx_px) == (256, pytest.approx(128.0))
        assert simulator.T_base_camera[2, 3] == 1.25

    def test_a_scene_whose_start_is_blocked_is_refused(self) -> None:
        with pytest.raises(SceneError, match="cannot stand at its start"):
            self.make(contract_scene(-2.1))

    def test_a_closed_simulator_says_so(self) -> None:
        simulator = self.make(contract_scene())
        simulator.close()
        with pytest.raises(ValueError, match="closed"):
            simulator.observe()
