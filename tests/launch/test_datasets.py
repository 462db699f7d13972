"""Whatever the simulator: the same logs, and a LeRobot dataset of them that lerobot loads.

Each simulator's bridge runs in the interpreter that EMBODIED_<SIMULATOR>_PYTHON names, lerobot in the one of
EMBODIED_LEROBOT_PYTHON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from embodied.recording import log_info

ROOT = Path(__file__).resolve().parents[2]
LEROBOT_PYTHON = os.environ.get("EMBODIED_LEROBOT_PYTHON", "")
DEADLINE_S = 600.0
DAYS = ("--n-rooms", "4", "--max-steps", "20", "--n-goals", "0")
SHARED = {"timestamp", "frame_index", "episode_index", "index", "task_index", "stamp_ns", "extrinsics.T_world_base"}
"""What every dataset has, whatever the robot."""


def flags_of(simulator: str, task: str) -> tuple[str, ...]:
    return ("--simulator", simulator, *(("--task", task, "--episodes", "2") if task else DAYS))


def run(*command: str, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=ROOT, text=True, capture_output=True, timeout=DEADLINE_S, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("simulator", "task"),
    [
        ("houses", ""),
        pytest.param("habitat", "", marks=pytest.mark.habitat),
        pytest.param("metaworld", "cue_delay", marks=pytest.mark.metaworld),
        pytest.param("mikasa", "RememberColor3-VLA-v0", marks=pytest.mark.mikasa),
    ],
)
def test_a_simulators_logs_become_a_dataset_that_lerobot_loads(simulator: str, task: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="the LeRobot export needs pyarrow")
    variable = f"EMBODIED_{simulator.upper()}_PYTHON"
    if simulator != "houses" and not os.environ.get(variable):
        pytest.skip(f"set {variable} to an interpreter that has the simulator")
    if not LEROBOT_PYTHON:
        pytest.skip("set EMBODIED_LEROBOT_PYTHON to an interpreter that has lerobot")
    out, dataset = tmp_path / "run", tmp_path / "dataset"
    run(sys.executable, "launch/sim_episode.py", "--out", str(out), *flags_of(simulator, task))
    logs = [path for path in sorted((out / "logs").glob("*.mcap")) if log_info(path).n_observations > 1]
    run(
        sys.executable, "-m", "embodied", "log", "export", *map(str, logs), "--format", "lerobot",
        "--out", str(dataset),
    )  # fmt: skip
    found = json.loads(
        run(
            LEROBOT_PYTHON, "tests/lerobot_load.py", str(dataset),
            HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "hf"), PYTHONPATH="",
        ).splitlines()[-1]
    )  # fmt: skip
    starts = [log_info(log).start for log in logs]
    assert found["robot"] == simulator
    assert found["n_episodes"] == len(logs) == 2
    assert found["n_frames"] == sum(log_info(log).n_observations - 1 for log in logs)
    for start in starts:
        assert start is not None
        assert found["fps"] == round(1.0 / start.control_period_s)
        assert found["names"] == {
            "observation.state": list(start.proprioception_names),
            "action": list(start.action_names),
        }
        assert start.instruction in found["tasks"]
    features = json.loads((dataset / "meta" / "info.json").read_text())["features"]
    assert set(features) >= SHARED | {"observation.state", "action"}
    for name, feature in features.items():
        kind, _, camera = name.rpartition(".")
        if kind == "observation.images":
            assert feature["names"] == ["height", "width", "channels"]
            assert found["shapes"][name] == [3, *feature["shape"][:2]]
            assert features[f"extrinsics.T_base_camera.{camera}"]["shape"] == [4, 4]
            assert features[f"intrinsics.{camera}"]["shape"] == [4]
    assert [features[name]["dtype"] for name in ("observation.state", "action", "stamp_ns")] == [
        "float32", "float32", "int64",
    ]  # fmt: skip
