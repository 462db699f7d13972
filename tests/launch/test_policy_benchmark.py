"""What a memory costs is measured of a whole policy; without torch that is said in one line."""

from __future__ import annotations

import importlib.util
import sys
from io import StringIO
from pathlib import Path

import msgspec
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "launch"))

from benchmark_policy import GOAL_RATIO, MARKS, WINDOW, Settings, figures_of, main, random_policy
from manipulation_policy import open_policy
from manipulation_rollouts import play_policy
from manipulation_tasks import Task

from embodied.errors import ConfigurationError
from embodied.figures import FiguresFile
from embodied.progress import Progress
from policies.vla.acting import STAGES, ActingConfig
from policies.vla.config import PRESETS, Interface, RotationConfig
from sim.rollout import Rollout
from sim.simulator_settings import TabletopSettings
from sim.tabletop import TabletopSimulator

HAS_TORCH = importlib.util.find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")


def test_a_slow_moment_of_the_machine_is_no_cost_of_the_memory() -> None:
    n = MARKS[-1] + WINDOW
    slow = np.where(np.arange(n) < n // 2, 1.0, 3.0)
    times = dict.fromkeys(STAGES, [1.0] * n)
    times |= {"memory call": list(10.2 * slow), "twin call": list(10.1 * slow), "without call": list(10.0 * slow)}
    figures = {figure.name: figure for figure in figures_of(times, {"encoder": 90, "memory": 10, "total": 100})}
    ratio = figures["call.ratio"]
    assert (ratio.value, ratio.peers["twin"]) == (pytest.approx(1.02), pytest.approx(1.01))
    assert (ratio.goal, ratio.met) == (GOAL_RATIO, True)
    assert figures["call.growth"].value == pytest.approx(1.0)
    assert (figures["memory.share_of_parameters"].value, figures["memory.share_of_parameters"].met) == (0.1, False)
    assert figures[f"call.at_{MARKS[-1]}"].value == pytest.approx(30.6)


@pytest.mark.skipif(HAS_TORCH, reason="torch is installed")
def test_without_torch_one_line_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="torch is missing: pip install"):
        main(Settings(out=str(tmp_path / "figures.json")), Progress(StringIO()))


@needs_torch
def test_a_few_calls_of_a_random_policy_are_measured_by_stage(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    main(Settings(out=str(out), preset="small", calls=3), Progress(StringIO()))
    figures = {figure.name: figure for figure in msgspec.json.decode(out.read_bytes(), type=FiguresFile).figures}
    assert all(figures[f"stage.{stage}"].value > 0.0 for stage in STAGES)
    total = figures["parameters.total"].value
    assert sum(figures[f"parameters.{part}"].value for part in ("encoder", "memory", "head")) == total
    assert set(figures["call"].peers) == {"twin", "without"}
    with pytest.raises(ConfigurationError, match="preset: expected one of compact, small"):
        main(Settings(out=str(out), preset="huge"), Progress(StringIO()))


@needs_torch
def test_a_policy_with_rotations_of_six_numbers_is_measured_as_any_other(tmp_path: Path) -> None:
    interface = Interface(
        cameras=("front",), height_px=64, width_px=64, action_names=("tool_roll", "tool_pitch", "tool_yaw"),
        proprioception_names=(), chunk_steps=8, execute_steps=4, control_period_s=0.05,
    )  # fmt: skip
    network = msgspec.structs.replace(PRESETS["small"], rotations=RotationConfig(form="axis_angle"))
    random_policy(tmp_path / "policy", network, interface)
    out = tmp_path / "figures.json"
    main(Settings(out=str(out), checkpoint=str(tmp_path / "policy"), calls=2), Progress(StringIO()))
    assert msgspec.json.decode(out.read_bytes(), type=FiguresFile).figures


@needs_torch
def test_a_policy_plays_an_episode_the_same_way_twice(tmp_path: Path) -> None:
    simulator = TabletopSimulator(TabletopSettings(image_px=64))
    interface = Interface(
        cameras=tuple(camera.name for camera in simulator.cameras), height_px=64, width_px=64,
        action_names=simulator.action_space.names, proprioception_names=(), chunk_steps=8, execute_steps=4,
        control_period_s=simulator.control_period_s,
    )  # fmt: skip
    weights = random_policy(tmp_path, PRESETS["small"], interface)
    policy = open_policy(str(tmp_path), weights, ActingConfig())
    first, second = (play_policy(Rollout(simulator).answer, Task("tabletop", "count"), 5, policy) for _ in range(2))
    assert first.n_steps == second.n_steps
    np.testing.assert_array_equal(np.stack(first.frames), np.stack(second.frames))
    assert (first.frames[0] != first.frames[-1]).any(), "it moves"
    with pytest.raises(ConfigurationError, match="expected weights 000000000000, got"):
        open_policy(str(tmp_path), "0" * 64, ActingConfig())
