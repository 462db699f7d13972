"""What every simulator has to keep: inherit, say how one is made, and the tests come along."""

from __future__ import annotations

import numpy as np
import pytest

from embodied.geometry import invert, planar_pose, project, transform_points, unproject, yaw_of
from sim.scene import Scene
from sim.simulator import Simulator
from sim_scenes import box_template, room_scene

PERIOD_S = 0.2


def contract_scene(x_m: float = 1.0) -> Scene:
    """Return a room of 6 m with a cupboard whose front stands at ``x_m``, ahead of the robot at (-2, 0)."""
    cupboard = box_template("cupboard", "cupboard", (0.4, 1.0, 1.8))
    return room_scene([(cupboard, x_m + 0.2, 0.0, 0.0)])


class SimulatorConformance:
    """The contract of ``sim.simulator.Simulator``."""

    def make(self, scene: Scene) -> Simulator:
        """Build the simulator with the settings under test; its camera must see straight ahead."""
        raise NotImplementedError

    def test_arrays_have_the_shapes_and_types_of_the_contract(self) -> None:
        simulator = self.make(contract_scene())
        reading, camera = simulator.observe(), simulator.intrinsics
        shape = (camera.height_px, camera.width_px)
        assert (reading.rgb.shape, reading.rgb.dtype) == ((*shape, 3), np.uint8)
        assert (reading.depth_m.shape, reading.depth_m.dtype) == (shape, np.float32)
        assert (reading.instance_ids.shape, reading.instance_ids.dtype) == (shape, np.int32)
        assert np.isfinite(reading.depth_m).all()

    def test_depth_is_along_the_optical_axis_and_lands_on_the_scene(self) -> None:
        simulator = self.make(contract_scene())
        reading = simulator.observe()
        T_world_camera = simulator.T_world_base @ simulator.T_base_camera
        points_camera = unproject(reading.depth_m, simulator.intrinsics)[reading.instance_ids == 1].astype(float)
        points = transform_points(T_world_camera, points_camera)
        inside = np.maximum(np.abs(points - [1.2, 0.0, 0.9]) - [0.2, 0.5, 0.9], 0.0)
        assert len(points) > 50
        assert inside.max() < 2e-3
        assert np.median(points[:, 0]) == pytest.approx(1.0, abs=2e-3)

    def test_ids_are_those_of_the_scene_at_the_right_pixels(self) -> None:
        simulator = self.make(contract_scene())
        reading = simulator.observe()
        T_camera_world = invert(simulator.T_world_base @ simulator.T_base_camera)
        points_world = np.array([[1.0, 0.0, 1.0], [1.0, 0.4, 1.0], [1.0, -0.4, 1.0], [1.0, 0.7, 1.0], [1.0, -0.7, 1.0]])
        pixels = np.round(project(transform_points(T_camera_world, points_world), simulator.intrinsics)).astype(int)
        assert [int(reading.instance_ids[v, u]) for u, v in pixels] == [1, 1, 1, 0, 0]
        assert dict(simulator.labels) == {1: "cupboard"}

    def test_the_robot_starts_at_the_start_pose(self) -> None:
        scene = contract_scene()
        np.testing.assert_allclose(self.make(scene).T_world_base, planar_pose(*scene.start_pose), atol=1e-9)

    def test_a_step_moves_the_robot_as_it_reports(self) -> None:
        simulator = self.make(contract_scene())
        near = [simulator.observe().depth_m]
        result = simulator.step(np.array([0.5, 0.0, 0.0]), PERIOD_S)
        near.append(simulator.observe().depth_m)
        assert not result.collided
        assert result.twist[0] == pytest.approx(0.5, rel=0.02)
        assert simulator.T_world_base[0, 3] == pytest.approx(-1.9, abs=2e-3)
        assert np.median(near[0]) > np.median(near[1])

    def test_a_positive_turn_is_to_the_left(self) -> None:
        simulator = self.make(contract_scene())
        simulator.step(np.array([0.0, 0.0, 0.5]), PERIOD_S)
        assert yaw_of(simulator.T_world_base) == pytest.approx(0.1, abs=2e-3)

    def test_observing_moves_nothing(self) -> None:
        simulator = self.make(contract_scene())
        first = simulator.observe()
        np.testing.assert_array_equal(first.depth_m, simulator.observe().depth_m)

    def test_the_robot_cannot_pass_through_the_cupboard_and_says_so(self) -> None:
        simulator = self.make(contract_scene())
        results = [simulator.step(np.array([0.8, 0.0, 0.0]), PERIOD_S) for _ in range(30)]
        assert results[-1].collided
        assert simulator.T_world_base[0, 3] < 1.0

    def test_commands_are_limited_the_same_whether_asked_or_stepped(self) -> None:
        simulator = self.make(contract_scene())
        wanted = np.array([[9.0, 0.0, 0.0]], dtype=np.float32)
        limited = simulator.limited(wanted)
        result = simulator.step(wanted[0], PERIOD_S)
        assert limited[0, 0] < 9.0
        assert result.twist[0] == pytest.approx(float(limited[0, 0]), rel=0.02)

    def test_the_same_calls_give_the_same_readings(self) -> None:
        def run() -> tuple[np.ndarray, ...]:
            simulator = self.make(contract_scene())
            simulator.step(np.array([0.4, 0.1, 0.7]), PERIOD_S)
            reading = simulator.observe()
            return reading.rgb, reading.depth_m, reading.instance_ids, simulator.T_world_base

        for first, second in zip(run(), run()):
            np.testing.assert_array_equal(first, second)

    def test_readings_share_no_memory(self) -> None:
        simulator = self.make(contract_scene())
        first = simulator.observe()
        kept = first.depth_m.copy()
        simulator.step(np.array([0.8, 0.0, 0.5]), PERIOD_S)
        second = simulator.observe()
        for name in ("rgb", "depth_m", "instance_ids"):
            assert not np.shares_memory(getattr(first, name), getattr(second, name))
        np.testing.assert_array_equal(first.depth_m, kept)

    def test_loading_puts_the_scene_in_place_and_the_robot_back(self) -> None:
        simulator = self.make(contract_scene())
        simulator.step(np.array([0.8, 0.0, 0.5]), PERIOD_S)
        other = contract_scene(1.5)
        simulator.load(other)
        np.testing.assert_allclose(simulator.T_world_base, planar_pose(*other.start_pose), atol=1e-9)
        fresh = self.make(other).observe()
        np.testing.assert_allclose(simulator.observe().depth_m, fresh.depth_m, atol=1e-5)

    def test_closing_twice_is_allowed(self) -> None:
        simulator = self.make(contract_scene())
        simulator.close()
        simulator.close()
