from __future__ import annotations

import pytest

from embodied.errors import SceneError
from sim.houses_simulator import CameraSettings, HousesSettings, HousesSimulator
from sim.scene import Scene
from sim_contracts import WheelsConformance, contract_scene


class TestHousesSimulator(WheelsConformance):
    def make(self, world: Scene) -> HousesSimulator:
        return HousesSimulator(world, HousesSettings(camera=CameraSettings(width_px=96, height_px=72)))

    def test_the_camera_is_the_one_that_was_set(self) -> None:
        simulator = HousesSimulator(contract_scene())
        (camera,), (view,) = simulator.cameras, simulator.observe().views
        assert (camera.intrinsics.width_px, camera.intrinsics.fx_px) == (256, pytest.approx(128.0))
        assert view.T_base_camera[2, 3] == 1.25

    def test_a_scene_whose_start_is_blocked_is_refused(self) -> None:
        with pytest.raises(SceneError, match="cannot stand at its start"):
            self.make(contract_scene(-2.1))
