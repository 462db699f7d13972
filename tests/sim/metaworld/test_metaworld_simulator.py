"""Needs ``pip install 'embodied-memory[metaworld]'`` and an OpenGL without a window (EGL or OSMesa)."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from typing import Iterator, List, Tuple

import numpy as np
import pytest

from embodied.errors import ConfigurationError
from embodied.geometry import invert, project, transform_points, unproject
from sim.manipulation import TaskEpisode
from sim.metaworld import TASKS, MetaworldSimulator
from sim.metaworld import simulator as simulator_module
from sim.metaworld.model import CAMERA_NAME, PROP_GROUP, TABLE_HEIGHT_M, to_mujoco
from sim.metaworld.rendering import is_noise
from sim.simulator import StepResult
from sim.simulator_settings import MetaworldSettings
from sim_contracts import TaskConformance, arrays_of

IS_INSTALLED = all(importlib.util.find_spec(name) is not None for name in ("mujoco", "metaworld"))
PERIOD_S = 0.05
SMALL = MetaworldSettings(image_px=64)

installed = pytest.mark.skipif(not IS_INSTALLED, reason="MuJoCo or Meta-World is not installed here")


@pytest.fixture(scope="module")
def simulator() -> Iterator[MetaworldSimulator]:
    simulator = MetaworldSimulator(SMALL)
    yield simulator
    simulator.close()


def seen_and_felt(simulator: MetaworldSimulator) -> List[np.ndarray]:
    return [*arrays_of(simulator.observe()), simulator.measured()]


def wait(simulator: MetaworldSimulator) -> None:
    """Let time pass until the robot is let go."""
    while simulator.is_held:
        simulator.step(simulator.expert_action(), PERIOD_S)


def finish(simulator: MetaworldSimulator) -> StepResult:
    """Let the expert act to the end."""
    while True:
        result = simulator.step(simulator.expert_action(), PERIOD_S)
        if result.success or result.ended:
            return result


@installed
@pytest.mark.metaworld
class TestMetaworldSimulator(TaskConformance):
    worlds = (TaskEpisode("put_back", 0), TaskEpisode("put_back", 1))

    def make_empty(self) -> MetaworldSimulator:
        return MetaworldSimulator(SMALL)


@installed
@pytest.mark.metaworld
class TestMemoryIsNeeded:
    """When the robot is let go, nothing it perceives tells the answer, and nothing does until the verdict.

    So whoever has no memory acts alike whatever was shown, and is right for one answer in ``n_answers``.
    """

    @pytest.mark.parametrize("name", TASKS)
    def test_the_present_frame_does_not_tell_the_action(self, simulator: MetaworldSimulator, name: str) -> None:
        episode = TaskEpisode(name, 5)
        frames, courses = [], []
        for answer in range(TASKS[name].n_answers):
            simulator.load_answer(episode, answer)
            wait(simulator)
            frames.append(seen_and_felt(simulator))
            course = []
            while not (result := simulator.step(simulator.expert_action(), PERIOD_S)).success:
                assert not result.ended
                course.append(simulator.expert_action())
            courses.append(np.array(course))
        for frame in frames[1:]:
            for array, first in zip(frame, frames[0]):
                np.testing.assert_array_equal(array, first)
        for i, course in enumerate(courses):
            assert not any(np.array_equal(course, other) for other in courses[:i])

    @pytest.mark.parametrize("name", TASKS)
    def test_nothing_tells_before_the_verdict_and_one_answer_in_all_is_hit(
        self, simulator: MetaworldSimulator, name: str
    ) -> None:
        n_answers = TASKS[name].n_answers
        believed = n_answers - 1
        streams, verdicts = [], []
        for answer in range(n_answers):
            simulator.load_answer(TaskEpisode(name, 6), answer, believed)
            wait(simulator)
            stream: List[List[np.ndarray]] = []
            while True:
                # Pictures are made at every fourth step only: they cost more than the world does.
                stream.append(seen_and_felt(simulator) if len(stream) % 4 == 0 else [simulator.measured()])
                result = simulator.step(simulator.expert_action(), PERIOD_S)
                if result.success or result.ended:
                    break
            streams.append(stream)
            verdicts.append(result.success)
        assert verdicts == [answer == believed for answer in range(n_answers)]
        for stream in streams[:-1]:
            for frame, same in zip(stream, streams[-1]):
                for array, other in zip(frame, same):
                    np.testing.assert_array_equal(array, other)

    def test_while_it_is_held_the_robot_cannot_write_the_cue_into_its_pose(self, simulator: MetaworldSimulator) -> None:
        frames = []
        for push in (0.0, 1.0):
            simulator.load(TaskEpisode("cue_delay", 2))
            while simulator.is_held:
                simulator.step(np.full(4, push, dtype=np.float32), PERIOD_S)
            frames.append(seen_and_felt(simulator))
        for array, other in zip(*frames):
            np.testing.assert_array_equal(array, other)


@installed
@pytest.mark.metaworld
class TestTable:
    @pytest.mark.parametrize("name", TASKS)
    def test_the_expert_does_every_task(self, simulator: MetaworldSimulator, name: str) -> None:
        for seed in (11, 12):
            simulator.load(TaskEpisode(name, seed))
            assert finish(simulator).success

    @pytest.mark.parametrize(
        ("name", "answer", "n_rests"), [("touch_order", 5, 3), ("count_blinks", 3, 5), ("put_back", 0, 2)]
    )
    def test_the_expert_rests_at_each_thing_that_it_goes_to(
        self, simulator: MetaworldSimulator, name: str, answer: int, n_rests: int
    ) -> None:
        """Where a motion leads is told by where it ends: a touch in passing would belong to the next one."""
        simulator.load_answer(TaskEpisode(name, 13), answer)
        wait(simulator)
        rests, ended = [False], False
        while not ended:
            action, height_m = simulator.expert_action(), simulator.measured()[2] - TABLE_HEIGHT_M
            rests.append(bool(np.linalg.norm(action[:3]) < 0.1 and height_m < 0.1))
            ended = simulator.step(action, PERIOD_S).ended
        begins = [i for i in range(1, len(rests) - 1) if not rests[i - 1] and rests[i] and rests[i + 1]]
        assert len(begins) == n_rests

    def test_each_answer_comes_up_as_often(self, simulator: MetaworldSimulator) -> None:
        answers = [simulator.answer_of(TaskEpisode("put_back", seed)) for seed in range(400)]
        assert np.bincount(answers).tolist() == pytest.approx([100] * 4, abs=25)

    def test_a_wrong_touch_ends_the_episode_and_it_takes_no_more_steps(self, simulator: MetaworldSimulator) -> None:
        simulator.load_answer(TaskEpisode("cue_delay", 0), 1, believed=2)
        result = finish(simulator)
        assert (result.success, result.ended) == (False, True)
        with pytest.raises(ValueError, match="ended"):
            simulator.step(np.zeros(4, dtype=np.float32), PERIOD_S)

    def test_an_idle_robot_runs_out_of_time(self, simulator: MetaworldSimulator) -> None:
        simulator.load(TaskEpisode("cue_delay", 0))
        limit = simulator.n_held_steps + TASKS["cue_delay"].max_free_steps
        results = [simulator.step(np.zeros(4, dtype=np.float32), PERIOD_S) for _ in range(limit)]
        assert [result.ended for result in results] == [False] * (limit - 1) + [True]

    @pytest.mark.parametrize(
        ("axis", "name"), [(0, "tool_forward"), (1, "tool_left"), (2, "tool_up")], ids=["forward", "left", "up"]
    )
    def test_an_action_moves_the_tool_along_its_axis_of_the_base(
        self, simulator: MetaworldSimulator, axis: int, name: str
    ) -> None:
        simulator.load(TaskEpisode("cue_delay", 0))
        wait(simulator)
        before = simulator.measured()
        action = np.zeros(4, dtype=np.float32)
        action[simulator.action_space.names.index(name)] = 0.5
        for _ in range(4):
            simulator.step(action, PERIOD_S)
        moved = (simulator.measured() - before)[:3]
        assert moved[axis] == pytest.approx(4 * 0.5 * 0.04, abs=0.04)
        assert np.abs(np.delete(moved, axis)).max() < 0.015

    def test_the_gripper_closes_at_plus_one(self, simulator: MetaworldSimulator) -> None:
        simulator.load(TaskEpisode("cue_delay", 0))
        wait(simulator)
        openings = [float(simulator.measured()[3])]
        for _ in range(15):
            openings.append(float(simulator.step(np.array([0.0, 0.0, 0.0, 1.0]), PERIOD_S).measured[3]))
        assert openings[0] > 0.8
        assert openings[-1] < 0.3

    def test_depth_and_instances_lie_on_the_things_in_the_base_frame(self) -> None:
        simulator = MetaworldSimulator(MetaworldSettings(image_px=128))
        simulator.load(TaskEpisode("new_block", 3))
        wait(simulator)
        world, _ = simulator._running()
        (view,), intrinsics = simulator.observe().views, simulator.cameras[0].intrinsics
        assert view.depth_m is not None
        assert view.instance_ids is not None
        for index in (1, 2, 3, 4):
            middle_m = world.position_of(f"block_{index - 1}") + [0.0, 0.0, TABLE_HEIGHT_M]
            is_block = view.instance_ids == index + 1
            points_camera = unproject(view.depth_m, intrinsics)[is_block].astype(float)
            points = transform_points(view.T_base_camera, points_camera)
            assert len(points) > 20
            assert np.abs(points - middle_m).max() < 0.03 + 2e-3
            pixel = project(transform_points(invert(view.T_base_camera), middle_m[None]), intrinsics)[0]
            assert is_block[tuple(np.round(pixel[::-1]).astype(int))]
        table = transform_points(
            view.T_base_camera, unproject(view.depth_m, intrinsics)[70:78, 60:68].reshape(-1, 3).astype(float)
        )
        np.testing.assert_allclose(table[:, 2], TABLE_HEIGHT_M, atol=2e-3)
        simulator.close()

    def test_instances_are_those_that_are_in_front(self, simulator: MetaworldSimulator) -> None:
        """Props are drawn without the robot; MuJoCo's own picture of what is where, with it, has to be the same."""
        import mujoco

        simulator.load(TaskEpisode("new_block", 11))
        finish(simulator)
        (view,) = simulator.observe().views
        world, _ = simulator._running()
        options = mujoco.MjvOption()
        options.sitegroup[:] = 0
        options.geomgroup[PROP_GROUP] = 1
        with mujoco.Renderer(world.model, 64, 64) as renderer:
            renderer.enable_segmentation_rendering()
            renderer.update_scene(world.data, CAMERA_NAME, options)
            geoms = renderer.render()[:, :, 0]
        np.testing.assert_array_equal(np.where(geoms >= 0, world.instance_of_geom[geoms], 0), view.instance_ids)

    def test_the_camera_is_upright(self, simulator: MetaworldSimulator) -> None:
        simulator.load(TaskEpisode("cue_delay", 0))
        (view,) = simulator.observe().views
        assert view.T_base_camera[2, 1] < -0.5, "down in the picture is down in the world"

    def test_without_depth_there_are_no_instances_either(self) -> None:
        simulator = MetaworldSimulator(MetaworldSettings(image_px=32, depth=False))
        simulator.load(TaskEpisode("cue_delay", 0))
        (view,) = simulator.observe().views
        assert (view.depth_m, view.instance_ids) == (None, None)
        simulator.close()

    @pytest.mark.parametrize(
        ("episode", "answer", "message"),
        [
            (TaskEpisode("cue_delay", -1), 0, "seed: expected 0 or more"),
            (TaskEpisode("cue_delay", 0), 4, "answer: expected 0 to 3, got 4"),
        ],
    )
    def test_what_cannot_be_laid_out_is_refused(
        self, simulator: MetaworldSimulator, episode: TaskEpisode, answer: int, message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            simulator.load_answer(episode, answer)

    def test_another_control_period_is_refused(self, simulator: MetaworldSimulator) -> None:
        simulator.load(TaskEpisode("cue_delay", 0))
        with pytest.raises(ValueError, match="period_s"):
            simulator.step(np.zeros(4, dtype=np.float32), 0.2)

    def test_mujoco_may_have_been_imported_before(self) -> None:
        code = (
            "import mujoco; from sim.metaworld import MetaworldSimulator; from sim.manipulation import TaskEpisode;"
            "s = MetaworldSimulator(); s.load(TaskEpisode('cue_delay', 0)); print(s.observe().views[0].rgb.std() > 1)"
        )
        environment = {name: value for name, value in os.environ.items() if name != "MUJOCO_GL"}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.stdout.strip() == "True", done.stderr

    def test_no_opengl_is_one_clear_line(self) -> None:
        code = (
            "from sim.metaworld import MetaworldSimulator; from sim.manipulation import TaskEpisode;"
            "s = MetaworldSimulator(); s.load(TaskEpisode('cue_delay', 0)); s.observe()"
        )
        environment = {**os.environ, "MUJOCO_GL": "osmesa", "PYOPENGL_PLATFORM": "osmesa", "LD_LIBRARY_PATH": ""}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode == 0:
            pytest.skip("this machine has OSMesa")
        assert "ConfigurationError: metaworld: no offscreen OpenGL" in done.stderr
        assert "libegl1" in done.stderr


def test_a_missing_library_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(ConfigurationError, match=r"embodied-memory\[metaworld\]"):
        MetaworldSimulator()


def test_a_picture_without_a_size_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="image_px: expected 1 or more, got 0"):
        MetaworldSimulator(MetaworldSettings(image_px=0))


def test_a_picture_of_noise_is_told_from_one_of_things() -> None:
    rng = np.random.default_rng(0)
    picture = np.zeros((64, 64, 3), dtype=np.uint8)
    picture[20:40, 10:50] = (200, 30, 30)
    assert is_noise(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    assert not is_noise(picture)
    assert not is_noise(np.zeros((64, 64, 3), dtype=np.uint8))


def test_the_base_has_its_origin_on_the_floor_and_looks_forward() -> None:
    T_base_mujoco = simulator_module._T_BASE_MUJOCO
    on_the_table: Tuple[float, float, float] = (0.7, 0.2, 0.0)
    point = transform_points(T_base_mujoco, to_mujoco(on_the_table)[None])[0]
    np.testing.assert_allclose(point, [0.7, 0.2, TABLE_HEIGHT_M])
    assert np.linalg.det(T_base_mujoco) == pytest.approx(1.0)
