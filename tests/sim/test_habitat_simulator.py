"""The simulator contract held by the real habitat-sim, in the interpreter that has it.

``EMBODIED_HABITAT_PYTHON=/path/to/python pytest -m habitat``; that interpreter needs this project and pytest.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path
from typing import Iterator, List

import numpy as np
import pytest

from embodied.errors import ConfigurationError, SceneError
from sim.collision import navigable_grid
from sim.habitat_simulator import HabitatSimulator
from sim.houses import change_overnight, generate_house
from sim.houses_simulator import HousesSimulator
from sim.scene import Scene
from sim.simulator_settings import CameraSettings, HabitatSettings, HousesSettings
from sim_contracts import WheelsConformance, contract_scene

PYTHON = os.environ.get("EMBODIED_HABITAT_PYTHON", "")
CAMERA = CameraSettings(width_px=96, height_px=72)
HERE = importlib.util.find_spec("habitat_sim") is not None
habitat = pytest.mark.habitat


@pytest.mark.skipif(HERE, reason="habitat_sim is installed here")
def test_without_the_library_one_line_says_where_it_is_to_be_had() -> None:
    with pytest.raises(ConfigurationError, match="--bridge-python"):
        HabitatSimulator(contract_scene())


@habitat
@pytest.mark.skipif(HERE, reason="the contract is tested in this very interpreter")
@pytest.mark.skipif(not PYTHON, reason="EMBODIED_HABITAT_PYTHON does not name an interpreter with habitat-sim")
def test_the_contract_holds_in_the_interpreter_of_habitat_sim() -> None:
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "PYTHONPATH")}
    command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "habitat", __file__]
    done = subprocess.run(
        command,
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@habitat
@pytest.mark.skipif(not HERE, reason="habitat_sim is not installed here")
class TestHabitatSimulator(WheelsConformance):
    @pytest.fixture(autouse=True)
    def _close_all(self) -> Iterator[None]:
        self.opened: List[HabitatSimulator] = []
        yield
        for simulator in self.opened:
            simulator.close()

    def make(self, world: Scene) -> HabitatSimulator:
        self.opened.append(HabitatSimulator(world, HabitatSettings(camera=CAMERA)))
        return self.opened[-1]

    def test_a_scene_whose_start_is_blocked_is_refused(self) -> None:
        with pytest.raises(SceneError, match="cannot stand at its start"):
            self.make(contract_scene(-2.1))

    def test_it_sees_and_goes_as_our_own_simulator_does_in_the_open(self) -> None:
        scene = generate_house(1)
        ours = HousesSimulator(scene, HousesSettings(camera=CAMERA))
        theirs = self.make(scene)
        for forward, turn in [(0.4, 0.0), (0.3, 1.2), (0.0, -1.5), (0.4, 0.8)]:
            results = [s.step(np.array([forward, 0.0, turn]), 0.2) for s in (ours, theirs)]
            assert not any(result.collided for result in results)
            np.testing.assert_allclose(results[0].measured, results[1].measured, atol=1e-3)
            (mine,), (other,) = ours.observe().views, theirs.observe().views
            assert mine.depth_m is not None
            error_m = np.abs(mine.depth_m - other.depth_m)
            assert np.median(error_m) <= 0.001
            assert np.mean(error_m <= 0.01) >= 0.99
            assert np.mean(mine.instance_ids == other.instance_ids) >= 0.99

    def test_its_floor_is_the_one_that_our_robot_has(self) -> None:
        scene = generate_house(1)
        grid = navigable_grid(scene)
        simulator = self.make(scene)
        area_m2 = float(grid.cells.sum()) * grid.resolution_m**2
        assert simulator.navigable_area_m2 == pytest.approx(area_m2, rel=0.1)

    def test_the_next_morning_is_another_house(self) -> None:
        scene = generate_house(1)
        simulator = self.make(scene)
        later, _ = change_overnight(scene, 1)
        simulator.load(later)
        assert simulator.labels == {i.instance_id: later.category_of(i.instance_id) for i in later.instances}
        simulator.observe()
