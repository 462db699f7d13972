from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, List, Sequence

import msgspec
import numpy as np
import pytest

from embodied.cli.app import main as command
from embodied.errors import LogError
from embodied.messages import Observation, SessionStart, StreamMessage
from embodied.recording import read_session
from embodied.recording.lerobot_stats import RunningStats
from recordings import N_OBSERVATIONS, START_NS, make_observation, make_session, write_session

PERIOD_NS = 100_000_000
LEROBOT_PYTHON = os.environ.get("EMBODIED_LEROBOT_PYTHON", "")
ACTION_NAMES = ("dx", "dy", "gripper")


def session(name: str = "day-1", task: str = "push", n: int = N_OBSERVATIONS, **changed: Any) -> List[StreamMessage]:
    """Return a session whose numbers are all finite, with regular stamps and names for its numbers."""
    start, *_, end = make_session()
    told = {"instruction": task, "action_names": ACTION_NAMES, "control_period_s": 0.1}
    start = msgspec.structs.replace(start, session=name, **{**told, **changed.pop("start", {})})
    observations = [
        make_observation(
            seq,
            session=name,
            stamp_ns=START_NS + seq * PERIOD_NS,
            action=None if seq == 0 else np.array([0.1, -0.2, seq], np.float32),
            **changed,
        )
        for seq in range(n)
    ]
    return [start, *observations, msgspec.structs.replace(end, session=name, n_observations=n)]


def write(directory: Path, messages: Sequence[StreamMessage]) -> Path:
    start = messages[0]
    assert isinstance(start, SessionStart)
    return write_session(directory / f"{start.session}.mcap", messages)


def observations_of(path: Path) -> List[Observation]:
    return [m for m in read_session(path, decode_rgb=True) if isinstance(m, Observation)]


# ------------------------------------------------------------------------------------- statistics


def test_statistics_are_those_of_all_frames_whether_merged_or_not() -> None:
    rng = np.random.default_rng(0)
    values = 1e6 + rng.normal(size=(50, 4))
    one, first, second = RunningStats(), RunningStats(), RunningStats()
    for index, value in enumerate(values):
        one.add(value)
        (first if index < 20 else second).add(value)
    first.merge(second)
    expected = {"min": values.min(0), "max": values.max(0), "mean": values.mean(0), "std": values.std(0)}
    for found in (one.result((4,)), first.result((4,))):
        assert found["count"] == [50]
        for name, wanted in expected.items():
            np.testing.assert_allclose(found[name], wanted, rtol=1e-9)


def test_pictures_have_statistics_by_channel_over_all_pixels() -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (5, 6, 8, 3)).astype(np.uint8)
    stats = RunningStats()
    for picture in pictures:
        stats.add(picture, scale=1 / 255)
    found = stats.result((3, 1, 1))
    flat = pictures.reshape(-1, 3) / 255
    np.testing.assert_allclose(np.ravel(found["mean"]), flat.mean(0))
    np.testing.assert_allclose(np.ravel(found["std"]), flat.std(0))
    assert np.shape(found["max"]) == (3, 1, 1)
    assert found["count"] == [5]


def test_nothing_merged_changes_nothing() -> None:
    stats = RunningStats()
    stats.add(np.array([2.0]))
    stats.merge(RunningStats())
    assert stats.result((1,))["mean"] == [2.0]


# ------------------------------------------------------------------------------------- the dataset


@pytest.fixture
def exporter() -> Any:
    pytest.importorskip("pyarrow", reason="the LeRobot export needs pyarrow")
    from embodied.recording import lerobot_export

    return lerobot_export


def two_logs(directory: Path) -> List[Path]:
    return [write(directory, session("day-1", "push")), write(directory, session("day-2", "pull", n=4))]


def read_table(path: Path) -> Any:
    from pyarrow import parquet

    return parquet.read_table(path)


def test_frames_carry_the_action_that_followed_and_the_last_one_is_left_out(exporter: Any, tmp_path: Path) -> None:
    logs = two_logs(tmp_path)
    assert exporter.export_lerobot(logs, tmp_path / "set") == (2, N_OBSERVATIONS - 1 + 3, 2)
    table = read_table(tmp_path / "set" / "data" / "chunk-000" / "file-000.parquet")
    originals = [o for log in logs for o in observations_of(log)]
    kept = [o for o, after in zip(originals, originals[1:]) if after.session == o.session]
    followed = [after for o, after in zip(originals, originals[1:]) if after.session == o.session]
    np.testing.assert_array_equal(table["action"].to_pylist(), [o.action for o in followed])
    np.testing.assert_array_equal(table["observation.state"].to_pylist(), [o.proprioception for o in kept])
    np.testing.assert_array_equal(table["extrinsics.T_world_base"].to_pylist(), [o.T_world_base for o in kept])
    assert table["stamp_ns"].to_pylist() == [o.stamp_ns for o in kept]
    assert table["episode_index"].to_pylist() == [0] * 5 + [1] * 3
    assert table["frame_index"].to_pylist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert table["index"].to_pylist() == list(range(8))
    assert table["task_index"].to_pylist() == [0] * 5 + [1] * 3
    np.testing.assert_allclose(table["timestamp"].to_pylist(), [0, 0.1, 0.2, 0.3, 0.4, 0, 0.1, 0.2], atol=1e-6)


def test_pictures_are_the_logs_own_files_and_depth_keeps_its_millimetres(exporter: Any, tmp_path: Path) -> None:
    from embodied.recording.png import decode_png

    near = np.full((24, 32), 200, dtype=np.uint16)
    log = write(tmp_path, session(depth=near))
    exporter.export_lerobot([log], tmp_path / "set")
    table = read_table(tmp_path / "set" / "data" / "chunk-000" / "file-000.parquet")
    first = next(m for m in read_session(log) if isinstance(m, Observation)).cameras[0]
    assert table["observation.images.head"][0].as_py()["bytes"] == first.rgb.tobytes()
    depth = table["observation.depth.head"][0].as_py()["bytes"]
    assert depth[24] == 16, "bits a pixel: a loader would take 8 for shares of 255"
    np.testing.assert_array_equal(decode_png(depth, 24, 32), near)


def test_what_describes_the_dataset_says_features_rate_and_tasks(exporter: Any, tmp_path: Path) -> None:
    exporter.export_lerobot(two_logs(tmp_path), tmp_path / "set")
    info = json.loads((tmp_path / "set" / "meta" / "info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["robot_type"]) == ("v3.0", 10, "tester")
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (2, 8, 2)
    assert info["features"]["action"] == {"dtype": "float32", "shape": [3], "names": list(ACTION_NAMES)}
    depth = info["features"]["observation.depth.head"]
    assert (depth["shape"], depth["info"]) == ([24, 32, 1], {"is_depth_map": True, "depth_unit": "mm"})
    assert not [name for name in info["features"] if "/" in name]
    episodes = read_table(tmp_path / "set" / "meta" / "episodes" / "chunk-000" / "file-000.parquet").to_pylist()
    assert [(e["dataset_from_index"], e["dataset_to_index"], e["tasks"]) for e in episodes] == [
        (0, 5, ["push"]),
        (5, 8, ["pull"]),
    ]
    stats = json.loads((tmp_path / "set" / "meta" / "stats.json").read_text())
    assert set(stats) == set(info["features"])
    assert stats["action"]["max"] == pytest.approx([0.1, -0.2, 5.0])


def test_a_dataset_of_many_episodes_goes_on_in_further_files(
    exporter: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "FILE_MB", 0)
    monkeypatch.setattr(exporter, "CHUNK_FILES", 2)
    monkeypatch.setattr(exporter, "GROUP_BYTES", 4_000)
    logs = [write(tmp_path, session(f"day-{k}", n=4)) for k in range(3)]
    exporter.export_lerobot(logs, tmp_path / "set")
    files = sorted(str(path.relative_to(tmp_path / "set")) for path in (tmp_path / "set" / "data").rglob("*.parquet"))
    assert files == [
        "data/chunk-000/file-000.parquet",
        "data/chunk-000/file-001.parquet",
        "data/chunk-001/file-000.parquet",
    ]
    episodes = read_table(tmp_path / "set" / "meta" / "episodes" / "chunk-000" / "file-000.parquet").to_pylist()
    assert [(e["data/chunk_index"], e["data/file_index"]) for e in episodes] == [(0, 0), (0, 1), (1, 0)]
    assert read_table(tmp_path / "set" / files[2])["index"].to_pylist() == [6, 7, 8]


def test_a_robot_that_was_not_commanded_gives_all_its_observations(exporter: Any, tmp_path: Path) -> None:
    start, *observations, end = session()
    still = [msgspec.structs.replace(o, action=None) for o in observations]
    log = write(tmp_path, [start, *still, end])
    assert exporter.export_lerobot([log], tmp_path / "set").n_frames == N_OBSERVATIONS
    info = json.loads((tmp_path / "set" / "meta" / "info.json").read_text())
    assert "action" not in info["features"]


def test_cameras_without_depth_and_numbers_without_names_export_as_well(exporter: Any, tmp_path: Path) -> None:
    log = write(tmp_path, session(depth=None, segments=None, start={"action_names": (), "control_period_s": 0.0}))
    exporter.export_lerobot([log], tmp_path / "set", fps=5)
    info = json.loads((tmp_path / "set" / "meta" / "info.json").read_text())
    assert "observation.depth.head" not in info["features"]
    assert info["features"]["action"]["names"] == ["action_0", "action_1", "action_2"]
    assert info["fps"] == 5


def nan_state(messages: List[StreamMessage]) -> List[StreamMessage]:
    bad = msgspec.structs.replace(messages[3], proprioception=np.array([0, np.nan, 0], np.float32))
    return [*messages[:3], bad, *messages[4:]]


def gap(messages: List[StreamMessage]) -> List[StreamMessage]:
    return [*messages[:3], *messages[4:]]


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (session("b", start={"robot": "other"}), "robot 'tester' at 10"),
        (session("b", start={"control_period_s": 0.05}), "got 'tester' at 20"),
        (session("b", start={"control_period_s": 0.03}), "a whole number of frames a second"),
        (session("b", start={"control_period_s": 0.0}), "give --fps"),
        (session("b", start={"action_names": ("x", "y", "z")}), r"action: expected float32 \[3\] \(dx, dy, gripper\)"),
        (session("b", start={"action_names": ("x", "y")}), "action: expected 2 numbers"),
        (session("b", depth=None), "observation.depth.head: expected image"),
        (session("b", proprioception=np.zeros(2, np.float32)), "observation.state: expected float32"),
        (nan_state(session("b")), "observation.state: expected finite numbers"),
        (gap(session("b")), "expected observation 2 after 1, got 3"),
        (session("b", n=1), "two observations or more"),
        (session("b", n=0), "two observations or more"),
    ],
)
def test_a_log_that_does_not_fit_is_named_and_nothing_is_left(
    exporter: Any, tmp_path: Path, second: List[StreamMessage], words: str
) -> None:
    logs = [write(tmp_path, session("a")), write(tmp_path, second)]
    with pytest.raises(LogError, match=words) as caught:
        exporter.export_lerobot(logs, tmp_path / "set")
    assert str(logs[1]) in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mcap", "b.mcap"]


def test_a_frame_unlike_the_first_one_of_its_log_is_refused(exporter: Any, tmp_path: Path) -> None:
    start, *observations, end = session()
    changed = make_observation(3, session="day-1", depth=None, action=np.zeros(3, np.float32))
    log = write(tmp_path, [start, *observations[:3], changed, *observations[4:], end])
    with pytest.raises(LogError, match="expected the features of the first frame"):
        exporter.export_lerobot([log], tmp_path / "set")


def test_a_folder_with_files_is_left_alone(exporter: Any, tmp_path: Path) -> None:
    log = write(tmp_path, session())
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("mine")
    with pytest.raises(LogError, match="is not empty"):
        exporter.export_lerobot([log], tmp_path / "set")
    assert (tmp_path / "set" / "mine.txt").read_text() == "mine"
    with pytest.raises(ValueError, match="at least one log"):
        exporter.export_lerobot([], tmp_path / "other")


def test_a_session_that_was_cut_off_is_exported_with_a_warning(
    exporter: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole, cut = write(tmp_path, session("whole")), write(tmp_path, session("cut")[:-2])
    exporter.export_lerobot([whole], tmp_path / "a")
    assert not caplog.messages
    assert exporter.export_lerobot([cut], tmp_path / "b").n_frames == N_OBSERVATIONS - 2
    assert caplog.messages == [f"{cut}: its session was cut off; the episode is what came before"]


def test_a_dataset_takes_the_place_of_the_empty_folder_and_of_no_other(
    exporter: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = write(tmp_path, session())
    for name in ("set", "set.partial"):
        (tmp_path / name).mkdir()
    (tmp_path / "set.partial" / "mine.txt").write_text("mine")
    monkeypatch.chdir(tmp_path / "set")
    exporter.export_lerobot([log], ".")
    assert (tmp_path / "set" / "meta" / "info.json").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["day-1.mcap", "set", "set.partial"]
    assert (tmp_path / "set.partial" / "mine.txt").read_text() == "mine"


def test_the_command_writes_a_dataset_of_several_logs(
    exporter: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = [str(log) for log in two_logs(tmp_path)]
    assert command(["log", "export", *logs, "--format", "lerobot", "--out", str(tmp_path / "set")]) == 0
    assert "2 episodes, 8 frames, 2 tasks" in capsys.readouterr().out
    assert command(["log", "export", *logs, "--format", "lerobot"]) != 0
    assert "--out: expected a folder" in capsys.readouterr().err
    assert command(["log", "export", *logs]) != 0
    assert "expected one for the format frames" in capsys.readouterr().err


@pytest.mark.skipif(not LEROBOT_PYTHON, reason="set EMBODIED_LEROBOT_PYTHON to an interpreter that has lerobot")
def test_the_real_lerobot_loads_what_was_exported(exporter: Any, tmp_path: Path) -> None:
    near = np.full((24, 32), 200, dtype=np.uint16)
    logs = [
        write(tmp_path, session("day-1", "push", depth=near)),
        write(tmp_path, session("day-2", "", n=4, depth=near)),
    ]
    exporter.export_lerobot(logs, tmp_path / "set")
    script = Path(__file__).parents[1] / "lerobot_load.py"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf"), "PYTHONPATH": ""}
    done = subprocess.run(
        [LEROBOT_PYTHON, str(script), str(tmp_path / "set")],
        capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    kept = [o for log in logs for o in observations_of(log)[:-1]]
    followed = [o for log in logs for o in observations_of(log)[1:]]
    assert (found["n_frames"], found["n_episodes"], found["fps"], found["last_episode"]) == (8, 2, 10, 3)
    assert found["robot"] == "tester"
    assert found["tasks"] == ["push"] * 5 + [""] * 3
    assert found["camera_keys"] == ["observation.depth.head", "observation.images.head"]
    assert found["shapes"] == {"observation.depth.head": [1, 24, 32], "observation.images.head": [3, 24, 32]}
    columns = found["columns"]
    np.testing.assert_allclose(columns["action"], [o.action for o in followed], rtol=1e-6)
    np.testing.assert_allclose(columns["observation.state"], [o.proprioception for o in kept], rtol=1e-6)
    np.testing.assert_allclose(columns["extrinsics.T_world_base"], [o.T_world_base for o in kept], rtol=1e-6)
    cameras = [o.cameras[0] for o in kept]
    np.testing.assert_allclose(
        columns["extrinsics.T_base_camera.head"], [c.T_base_camera for c in cameras], rtol=1e-6, atol=1e-6
    )
    fx = cameras[0].intrinsics.fx_px
    np.testing.assert_allclose([row[0] for row in columns["intrinsics.head"]], fx, rtol=1e-6)
    assert columns["stamp_ns"] == [o.stamp_ns for o in kept]
    assert found["names"]["action"] == list(ACTION_NAMES)
    means = found["means"]
    np.testing.assert_allclose(means["observation.depth.head"], 200.0)
    np.testing.assert_allclose(means["observation.images.head"], [c.rgb.mean() / 255 for c in cameras], atol=1e-3)
    mean = found["stats"]["observation.images.head"]["mean"]
    np.testing.assert_allclose(np.mean(mean), np.mean([c.rgb.mean() for c in cameras]) / 255, atol=1e-3)
    assert found["action_chunk"] == [4, 3, 3]
