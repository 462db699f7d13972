"""MIKASA-Robo keeps the contract, shows what MIKASA shows, and its experts do their tasks.

Needs an interpreter that has it: ``EMBODIED_MIKASA_PYTHON=/path/to/python pytest -m mikasa``.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path
from typing import Iterator

import numpy as np
import pytest

from embodied.geometry import invert, project, transform_points
from sim.manipulation import TaskEpisode
from sim.mikasa.experts import EXPERTS, PLAYERS, tool_action
from sim.simulator import Simulator
from sim_contracts import TaskConformance
from source_tree import ROOT

PYTHON = os.environ.get("EMBODIED_MIKASA_PYTHON", "")
HERE = importlib.util.find_spec("mikasa_robo_suite") is not None
SECONDS = 1500.0


def test_an_action_goes_straight_and_no_further_than_the_robot_can() -> None:
    near = tool_action(np.array([0.02, -0.05, 0.0]), 1.0)
    np.testing.assert_allclose(near, [0.2, -0.5, 0.0, 0.0, 0.0, 0.0, 1.0], atol=1e-6)
    far = tool_action(np.array([0.4, -0.2, 0.1]), 0.2, most=0.5)
    np.testing.assert_allclose(far, [0.5, -0.25, 0.125, 0.0, 0.0, 0.0, 0.2], atol=1e-6)
    assert far.dtype == np.float32


@pytest.mark.mikasa
@pytest.mark.skipif(HERE, reason="this interpreter has MIKASA-Robo: the tests below run")
@pytest.mark.skipif(not PYTHON, reason="EMBODIED_MIKASA_PYTHON does not name an interpreter with MIKASA-Robo")
def test_everything_below_holds_in_the_interpreter_that_has_it() -> None:
    command = [PYTHON, "-m", "pytest", "-q", "-m", "mikasa", "-p", "no:cacheprovider", str(Path(__file__))]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]


if HERE:
    from sim.mikasa import MikasaSimulator

    @pytest.fixture
    def simulator() -> Iterator[MikasaSimulator]:
        opened = MikasaSimulator()
        yield opened
        opened.close()

    class _MikasaConformance(TaskConformance):
        max_steps = 60

        def make_empty(self) -> Simulator[TaskEpisode]:
            return MikasaSimulator()

    @pytest.mark.mikasa
    class TestRememberColor(_MikasaConformance):
        worlds = (TaskEpisode("RememberColor3-VLA-v0", 1), TaskEpisode("RememberColor3-VLA-v0", 2))

    @pytest.mark.mikasa
    class TestIntercept(_MikasaConformance):
        worlds = (TaskEpisode("InterceptMedium-VLA-v0", 1), TaskEpisode("InterceptMedium-VLA-v0", 3))

    @pytest.mark.mikasa
    @pytest.mark.parametrize("task", list(EXPERTS))
    def test_the_experts_do_nearly_all_of_ten_episodes(simulator: MikasaSimulator, task: str) -> None:
        n_done = 0
        for seed in range(50, 60):
            simulator.load(TaskEpisode(task, seed))
            done, ended = False, False
            while not ended:
                result = simulator.step(simulator.expert_action(), 0.05)
                done, ended = done or result.success, result.ended
            n_done += done
        assert n_done >= 9

    @pytest.mark.mikasa
    @pytest.mark.parametrize("task", ["RememberColor5-VLA-v0", "RememberColor3-Long-VLA-v0"])
    @pytest.mark.parametrize("player", list(PLAYERS))
    def test_who_does_not_know_the_cue_acts_alike_whatever_it_is(
        simulator: MikasaSimulator, task: str, player: str
    ) -> None:
        ways = []
        for color in (0, 2):
            simulator.load(TaskEpisode(task, 11))
            environment = simulator._environment
            environment.true_color_indices[0] = color
            simulator.cast(player)
            n_hidden = int(environment.cue_steps_per_env[0] + environment.empty_steps_per_env[0])
            way, successes = [], []
            for _ in range(min(n_hidden + 60, 600) if "Long" in task else 25):
                way.append(simulator.expert_action())
                successes.append(simulator.step(way[-1], 0.05).success)
            assert not any(successes[: n_hidden - 1]), "nothing can be touched before it is there"
            ways.append(way)
        # The cubes that are moved away and back leave a trace in the solver, far below what a choice would make.
        np.testing.assert_allclose(*ways, atol=0.01)
        with pytest.raises(ValueError, match="player: expected one of sweep, guess in RememberColor"):
            simulator.cast("nobody")

    @pytest.mark.mikasa
    def test_touching_the_cue_is_no_success(simulator: MikasaSimulator) -> None:
        simulator.load(TaskEpisode("RememberColor5-Long-VLA-v0", 0))
        environment = simulator._environment
        theirs, ours = [], []
        for _ in range(40):
            tool_m = environment.agent.tcp.pose.p[0].numpy()
            result = simulator.step(tool_action(np.array([0.0, 0.0, 0.05]) - tool_m, 1.0, most=0.7), 0.05)
            theirs.append(bool(environment.evaluate()["success"][0]))
            ours.append(result.success)
        assert any(theirs), "MIKASA counts it"
        assert not any(ours)

    @pytest.mark.mikasa
    def test_the_sweep_touches_all_cubes_if_it_has_the_time(simulator: MikasaSimulator) -> None:
        for seed in range(3):
            simulator.load(TaskEpisode("RememberColor3-Long-VLA-v0", seed))
            simulator.cast("sweep")
            assert any(simulator.step(simulator.expert_action(), 0.05).success for _ in range(600))

    @pytest.mark.mikasa
    def test_an_episode_ends_where_mikasa_ends_it_and_takes_no_more_steps(simulator: MikasaSimulator) -> None:
        simulator.load(TaskEpisode("RememberColor3-VLA-v0", 0))
        still = np.zeros(7, dtype=np.float32)
        assert [simulator.step(still, 0.05).ended for _ in range(25)] == [False] * 24 + [True]
        with pytest.raises(ValueError, match="ended with step 25"):
            simulator.step(still, 0.05)
        simulator.load(TaskEpisode("RememberColor3-VLA-v0", 0))
        with pytest.raises(ValueError, match=r"period_s: expected 0\.05, got 0\.1"):
            simulator.step(still, 0.1)

    @pytest.mark.mikasa
    def test_the_picture_is_mikasas_own_and_the_camera_stands_where_it_says(simulator: MikasaSimulator) -> None:
        import gymnasium

        simulator.load(TaskEpisode("RememberColor3-VLA-v0", 5))
        (view,) = simulator.observe().views
        theirs = gymnasium.make(
            "RememberColor3-VLA-v0", obs_mode="rgb", control_mode="pd_ee_delta_pose", sim_backend="cpu",
            render_backend="cpu", sensor_configs={"width": 128, "height": 128},
        )  # fmt: skip
        shown, _ = theirs.reset(seed=5)
        expected = shown["sensor_data"]["base_camera"]["rgb"][0].numpy()
        np.testing.assert_array_equal(view.rgb, expected)
        # The cue stands in the middle of the table, in this episode until the fourth step.
        for _ in range(4):
            (before,) = simulator.observe().views
            simulator.step(np.append(np.zeros(6), 1.0), 0.05)
        (after,) = simulator.observe().views
        changed = np.abs(after.rgb.astype(int) - before.rgb).max(axis=2) > 60
        rows, columns = np.nonzero(changed)
        T_camera_world = invert(simulator.T_world_base @ after.T_base_camera)
        cue_camera = transform_points(T_camera_world, np.array([[0.0, 0.0, 0.02]]))
        u, v = project(cue_camera, simulator.cameras[0].intrinsics)[0]
        assert abs(np.median(columns) - u) < 1.0
        assert abs(np.median(rows) - v) < 1.5

    @pytest.mark.mikasa
    def test_the_tool_goes_where_it_is_told_in_the_frame_of_the_base(simulator: MikasaSimulator) -> None:
        names = [simulator.proprioception_names.index(name) for name in ("tool_x_m", "tool_y_m", "tool_z_m")]
        for axis in range(3):
            simulator.load(TaskEpisode("RememberColor3-VLA-v0", 0))
            before = simulator.measured()[names]
            action = np.zeros(7, dtype=np.float32)
            action[axis] = 0.3
            for _ in range(4):
                moved = simulator.step(action, 0.05).measured[names] - before
            assert 0.03 < moved[axis] < 0.12
            assert np.abs(np.delete(moved, axis)).max() < 0.2 * moved[axis]
