"""What every simulator has to keep: inherit, say how one is made, and the tests come along.

``SimulatorConformance`` holds for all; ``WheelsConformance`` for robots that drive through a ``Scene``;
``TaskConformance`` for arms that have a ``TaskEpisode``.
"""

from __future__ import annotations

from typing import Any, List, Sequence, Tuple

import numpy as np
import pytest

from embodied.geometry import invert, planar_pose, project, transform_points, unproject, yaw_of
from sim.manipulation import TaskEpisode
from sim.scene import Scene
from sim.simulator import WHEEL_ACTIONS, Demonstrator, Reading, Simulator, View
from sim_scenes import box_template, room_scene

PERIOD_S = 0.2


def arrays_of(reading: Reading) -> List[np.ndarray]:
    """Return all arrays of a reading, in order."""
    arrays = [(view.rgb, view.depth_m, view.instance_ids, view.T_base_camera) for view in reading.views]
    return [array for view in arrays for array in view if array is not None]


def assert_rigid(T: np.ndarray) -> None:
    """Fail unless a transform is a rotation and a translation."""
    assert (T.shape, T.dtype) == ((4, 4), np.float64)
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-6)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0)
    np.testing.assert_array_equal(T[3], [0, 0, 0, 1])


class SimulatorConformance:
    """The contract of ``sim.simulator.Simulator``."""

    worlds: Tuple[Any, Any]
    """Two that can be told apart in the first picture."""

    def make(self, world: Any) -> Simulator[Any]:
        """Build the simulator with the settings under test and the world loaded."""
        raise NotImplementedError

    def action(self, simulator: Simulator[Any]) -> np.ndarray:
        """Return an action that moves the robot, within its limits."""
        space = simulator.action_space
        return (0.6 * space.high + 0.4 * space.low).astype(np.float32)

    def run(self, simulator: Simulator[Any], n_steps: int = 3) -> List[np.ndarray]:
        """Return all that a few steps show."""
        shown = [*arrays_of(simulator.observe()), simulator.measured()]
        for _ in range(n_steps):
            result = simulator.step(self.action(simulator), self.period_s(simulator))
            shown += [*arrays_of(simulator.observe()), result.measured, simulator.T_world_base]
        return shown

    def period_s(self, simulator: Simulator[Any]) -> float:
        """Return for how long an action is held."""
        return simulator.control_period_s or PERIOD_S

    def test_it_is_a_simulator_by_its_shape(self) -> None:
        assert isinstance(self.make(self.worlds[0]), Simulator)

    def test_arrays_have_the_shapes_and_types_of_the_contract(self) -> None:
        simulator = self.make(self.worlds[0])
        reading = simulator.observe()
        assert len(reading.views) == len(simulator.cameras) > 0
        assert len({camera.name for camera in simulator.cameras}) == len(simulator.cameras)
        for view, camera in zip(reading.views, simulator.cameras):
            shape = (camera.intrinsics.height_px, camera.intrinsics.width_px)
            assert (view.rgb.shape, view.rgb.dtype) == ((*shape, 3), np.uint8)
            assert view.rgb.std() > 1.0, "an empty picture"
            if view.depth_m is not None:
                assert (view.depth_m.shape, view.depth_m.dtype) == (shape, np.float32)
                assert np.isfinite(view.depth_m).all()
                assert view.depth_m.min() >= 0.0
            if view.instance_ids is not None:
                assert (view.instance_ids.shape, view.instance_ids.dtype) == (shape, np.int32)
            assert_rigid(view.T_base_camera)
        assert_rigid(simulator.T_world_base)

    def test_every_instance_in_view_has_a_label(self) -> None:
        simulator = self.make(self.worlds[0])
        for view in simulator.observe().views:
            if view.instance_ids is not None:
                seen = {int(i) for i in np.unique(view.instance_ids)} - {0}
                assert seen <= set(simulator.labels)
        assert all(label for label in simulator.labels.values())

    def test_the_action_space_is_named_finite_and_not_empty(self) -> None:
        space = self.make(self.worlds[0]).action_space
        n_actions = len(space.names)
        assert len(set(space.names)) == n_actions > 0
        assert (space.low.shape, space.low.dtype) == (space.high.shape, space.high.dtype) == ((n_actions,), np.float32)
        assert np.isfinite([space.low, space.high]).all()
        assert (space.low < space.high).all()

    def test_what_the_robot_feels_is_named(self) -> None:
        simulator = self.make(self.worlds[0])
        n_values = len(simulator.proprioception_names)
        result = simulator.step(self.action(simulator), self.period_s(simulator))
        for measured in (simulator.measured(), result.measured):
            assert (measured.shape, measured.dtype) == ((n_values,), np.float32)
            assert np.isfinite(measured).all()
        np.testing.assert_array_equal(simulator.measured(), result.measured)

    def test_limits_hold_once_and_for_all_and_change_nothing_within(self) -> None:
        simulator = self.make(self.worlds[0])
        space = simulator.action_space
        wanted = np.stack([9.0 * space.high, 9.0 * space.low, self.action(simulator)]).astype(np.float32)
        kept = wanted.copy()
        limited = simulator.limited(wanted)
        assert (limited.shape, limited.dtype) == (wanted.shape, np.float32)
        assert (limited >= space.low - 1e-6).all()
        assert (limited <= space.high + 1e-6).all()
        np.testing.assert_allclose(simulator.limited(limited), limited, atol=1e-6)
        np.testing.assert_array_equal(wanted, kept)

    @pytest.mark.parametrize("bad", ["short", "long", "nan", "infinite", "table"])
    def test_a_bad_action_is_refused_and_moves_nothing(self, bad: str) -> None:
        simulator = self.make(self.worlds[0])
        good = self.action(simulator)
        before, T_before = simulator.measured(), simulator.T_world_base
        actions = {
            "short": good[:-1],
            "long": np.append(good, good[:1]),
            "nan": np.full_like(good, np.nan),
            "infinite": np.full_like(good, np.inf),
            "table": good[None],
        }
        with pytest.raises(ValueError, match="action: expected"):
            simulator.step(actions[bad], self.period_s(simulator))
        np.testing.assert_array_equal(simulator.measured(), before)
        np.testing.assert_array_equal(simulator.T_world_base, T_before)

    def test_time_passes_in_steps_alone(self) -> None:
        simulator = self.make(self.worlds[0])
        first = [*arrays_of(simulator.observe()), simulator.measured(), simulator.T_world_base]
        simulator.limited(self.action(simulator)[None])
        second = [*arrays_of(simulator.observe()), simulator.measured(), simulator.T_world_base]
        for before, after in zip(first, second):
            np.testing.assert_array_equal(before, after)

    def test_the_same_calls_give_the_same_readings_loaded_again_or_built_anew(self) -> None:
        simulator = self.make(self.worlds[0])
        first = self.run(simulator)
        simulator.load(self.worlds[0])
        again = self.run(simulator)
        simulator.close()
        anew = self.run(self.make(self.worlds[0]))
        for a, b, c in zip(first, again, anew):
            np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(a, c)

    def test_another_world_shows_as_it_would_in_a_simulator_of_its_own(self) -> None:
        simulator = self.make(self.worlds[0])
        first = self.run(simulator)
        cameras = simulator.cameras
        simulator.load(self.worlds[1])
        assert simulator.cameras == cameras
        second = self.run(simulator)
        simulator.close()
        fresh = self.run(self.make(self.worlds[1]))
        assert not np.array_equal(first[0], second[0])
        for a, b in zip(second, fresh):
            np.testing.assert_allclose(a, b, atol=1e-5)

    def test_readings_share_no_memory(self) -> None:
        simulator = self.make(self.worlds[0])
        first = arrays_of(simulator.observe())
        kept = [array.copy() for array in first]
        felt = simulator.measured()
        kept_felt = felt.copy()
        simulator.step(self.action(simulator), self.period_s(simulator))
        for array, copy, later in zip(first, kept, arrays_of(simulator.observe())):
            assert not np.shares_memory(array, later)
            np.testing.assert_array_equal(array, copy)
        np.testing.assert_array_equal(felt, kept_felt)

    def test_a_closed_simulator_says_so_and_may_be_closed_again(self) -> None:
        simulator = self.make(self.worlds[0])
        simulator.close()
        simulator.close()
        with pytest.raises(ValueError, match="closed"):
            simulator.observe()
        with pytest.raises(ValueError, match="closed"):
            simulator.step(np.zeros(len(simulator.action_space.names), dtype=np.float32), PERIOD_S)


# ------------------------------------------------------------------------------------------ robots on wheels


def contract_scene(x_m: float = 1.0) -> Scene:
    """Return a room of 6 m with a cupboard whose front stands at ``x_m``, ahead of the robot at (-2, 0)."""
    cupboard = box_template("cupboard", "cupboard", (0.4, 1.0, 1.8))
    return room_scene([(cupboard, x_m + 0.2, 0.0, 0.0)])


class WheelsConformance(SimulatorConformance):
    """What holds besides for a robot that drives; its only camera has depth and instances and sees straight ahead."""

    worlds = (contract_scene(), contract_scene(1.5))

    def make(self, world: Scene) -> Simulator[Scene]:
        """Build the simulator with the settings under test."""
        raise NotImplementedError

    def look(self, simulator: Simulator[Scene]) -> Tuple[View, np.ndarray, np.ndarray]:
        """Return what the camera sees: the view, its depth in metres and its instance ids."""
        (view,) = simulator.observe().views
        assert view.depth_m is not None
        assert view.instance_ids is not None
        return view, view.depth_m, view.instance_ids

    def test_it_is_told_and_feels_twists(self) -> None:
        simulator = self.make(self.worlds[0])
        assert simulator.action_space.names == simulator.proprioception_names == WHEEL_ACTIONS
        assert simulator.control_period_s is None
        assert simulator.instruction == ""
        np.testing.assert_array_equal(simulator.measured(), np.zeros(3))

    def test_depth_is_along_the_optical_axis_and_lands_on_the_scene(self) -> None:
        simulator = self.make(self.worlds[0])
        view, depth_m, instance_ids = self.look(simulator)
        T_world_camera = simulator.T_world_base @ view.T_base_camera
        points_camera = unproject(depth_m, simulator.cameras[0].intrinsics)[instance_ids == 1].astype(float)
        points = transform_points(T_world_camera, points_camera)
        inside = np.maximum(np.abs(points - [1.2, 0.0, 0.9]) - [0.2, 0.5, 0.9], 0.0)
        assert len(points) > 50
        assert inside.max() < 2e-3
        assert np.median(points[:, 0]) == pytest.approx(1.0, abs=2e-3)

    def test_ids_are_those_of_the_scene_at_the_right_pixels(self) -> None:
        simulator = self.make(self.worlds[0])
        view, _, instance_ids = self.look(simulator)
        T_camera_world = invert(simulator.T_world_base @ view.T_base_camera)
        points_world = np.array([[1.0, 0.0, 1.0], [1.0, 0.4, 1.0], [1.0, -0.4, 1.0], [1.0, 0.7, 1.0], [1.0, -0.7, 1.0]])
        points_camera = transform_points(T_camera_world, points_world)
        pixels = np.round(project(points_camera, simulator.cameras[0].intrinsics)).astype(int)
        assert [int(instance_ids[v, u]) for u, v in pixels] == [1, 1, 1, 0, 0]
        assert dict(simulator.labels) == {1: "cupboard"}

    def test_the_robot_starts_at_the_start_pose(self) -> None:
        scene = self.worlds[0]
        np.testing.assert_allclose(self.make(scene).T_world_base, planar_pose(*scene.start_pose), atol=1e-9)

    def test_a_step_moves_the_robot_as_it_reports(self) -> None:
        simulator = self.make(self.worlds[0])
        before = self.look(simulator)[1]
        result = simulator.step(np.array([0.5, 0.0, 0.0]), PERIOD_S)
        assert not result.collided
        assert result.measured[0] == pytest.approx(0.5, rel=0.02)
        assert simulator.T_world_base[0, 3] == pytest.approx(-1.9, abs=2e-3)
        assert np.median(before) > np.median(self.look(simulator)[1])

    def test_a_positive_turn_is_to_the_left(self) -> None:
        simulator = self.make(self.worlds[0])
        simulator.step(np.array([0.0, 0.0, 0.5]), PERIOD_S)
        assert yaw_of(simulator.T_world_base) == pytest.approx(0.1, abs=2e-3)

    def test_the_robot_cannot_pass_through_the_cupboard_and_says_so(self) -> None:
        simulator = self.make(self.worlds[0])
        results = [simulator.step(np.array([0.8, 0.0, 0.0]), PERIOD_S) for _ in range(30)]
        assert results[-1].collided
        assert simulator.T_world_base[0, 3] < 1.0

    def test_twists_are_limited_the_same_whether_asked_or_stepped(self) -> None:
        simulator = self.make(self.worlds[0])
        wanted = np.array([[9.0, 0.0, 0.0]], dtype=np.float32)
        limited = simulator.limited(wanted)
        result = simulator.step(wanted[0], PERIOD_S)
        assert limited[0, 0] < 9.0
        assert result.measured[0] == pytest.approx(float(limited[0, 0]), rel=0.02)

    def test_loading_puts_the_robot_back(self) -> None:
        simulator = self.make(self.worlds[0])
        simulator.step(np.array([0.8, 0.0, 0.5]), PERIOD_S)
        other = self.worlds[1]
        simulator.load(other)
        np.testing.assert_allclose(simulator.T_world_base, planar_pose(*other.start_pose), atol=1e-9)
        np.testing.assert_array_equal(simulator.measured(), np.zeros(3))


# ------------------------------------------------------------------------------------------ arms with a task


class TaskConformance(SimulatorConformance):
    """What holds besides for an arm that has a task, and an expert to show it."""

    worlds: Tuple[TaskEpisode, TaskEpisode]
    """Two seeds of one task."""
    max_steps: int = 400
    """Steps in which an episode has ended or its expert has done it."""

    def make_empty(self) -> Simulator[TaskEpisode]:
        """Build the simulator with the settings under test, before anything is loaded."""
        raise NotImplementedError

    def make(self, world: TaskEpisode) -> Simulator[TaskEpisode]:
        """Build the simulator and load an episode."""
        simulator = self.make_empty()
        simulator.load(world)
        return simulator

    def demonstrate(self, simulator: Simulator[TaskEpisode]) -> Sequence[bool]:
        """Let the expert act until its task is done; return at which steps it was."""
        assert isinstance(simulator, Demonstrator)
        done: List[bool] = []
        while len(done) < self.max_steps and not any(done):
            action = simulator.limited(simulator.expert_action()[None])[0]
            result = simulator.step(action, self.period_s(simulator))
            done.append(result.success)
            if result.ended:
                break
        return done

    def test_it_can_be_asked_what_it_is_before_anything_is_loaded(self) -> None:
        simulator = self.make_empty()
        assert simulator.cameras
        assert simulator.action_space.names[-1] == "gripper"
        assert simulator.proprioception_names
        assert simulator.control_period_s is not None
        with pytest.raises(ValueError, match="load"):
            simulator.observe()

    def test_an_unknown_task_is_refused_by_name_and_the_next_one_loads(self) -> None:
        simulator = self.make_empty()
        with pytest.raises(ValueError, match="no-such-task"):
            simulator.load(TaskEpisode("no-such-task", 0))
        simulator.load(self.worlds[0])
        simulator.observe()

    def test_the_robot_is_told_what_to_do_and_has_not_done_it_yet(self) -> None:
        simulator = self.make(self.worlds[0])
        assert simulator.instruction
        standing = np.zeros(len(simulator.action_space.names), dtype=np.float32)
        assert not simulator.step(standing, self.period_s(simulator)).success

    def test_the_expert_does_its_task_and_does_it_again(self) -> None:
        simulator = self.make(self.worlds[0])
        first = self.demonstrate(simulator)
        assert any(first)
        simulator.load(self.worlds[0])
        assert self.demonstrate(simulator) == first

    def test_asking_the_expert_passes_no_time(self) -> None:
        simulator = self.make(self.worlds[0])
        assert isinstance(simulator, Demonstrator)
        before = arrays_of(simulator.observe())
        action = simulator.expert_action()
        assert (action.shape, action.dtype) == ((len(simulator.action_space.names),), np.float32)
        for a, b in zip(before, arrays_of(simulator.observe())):
            np.testing.assert_array_equal(a, b)
