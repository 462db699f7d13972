from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest
from PIL import Image

from demonstrations import action, demonstration, few_words, write_demonstrations
from embodied.errors import LogError
from embodied.recording.lerobot_export import export_lerobot
from policies.vla.data.cache import EpisodeCache, open_cache
from policies.vla.data.lerobot import N_ROWS

arrow = pytest.importorskip("pyarrow", reason="LeRobot datasets need pyarrow")
N_FRAMES = 5 + N_ROWS


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demonstrations(
        tmp_path_factory.mktemp("run") / "logs",
        demonstration(0, 6, cameras=("front", "wrist")),
        demonstration(1, 1 + N_ROWS, cameras=("front", "wrist"), instruction="wait"),
    )


@pytest.fixture(scope="module")
def exported(logs: Path) -> Path:
    export_lerobot(sorted(logs.iterdir()), logs.parent / "dataset")
    return logs.parent / "dataset"


@pytest.fixture
def dataset(tmp_path: Path, exported: Path) -> Path:
    """Return one that a test may change."""
    return Path(shutil.copytree(exported, tmp_path / "dataset"))


def opened(folder: Path, *data: Path, **options: Any) -> EpisodeCache:
    return open_cache([*data], folder, encode=few_words, **options)


def change_info(dataset: Path, **fields: Any) -> None:
    path = dataset / "meta" / "info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def rewrite(dataset: Path, columns: Dict[str, Any]) -> None:
    """Replace columns of the data."""
    from pyarrow import parquet

    (path,) = (dataset / "data").glob("*/*.parquet")
    table = parquet.read_table(path)
    for name, column in columns.items():
        table = table.set_column(table.column_names.index(name), name, [column])
    parquet.write_table(table, path)


def test_logs_and_the_dataset_exported_from_them_are_the_same_data(tmp_path: Path, logs: Path, dataset: Path) -> None:
    first, second = opened(tmp_path / "a", logs), opened(tmp_path / "b", dataset)
    assert second.layout == first.layout
    assert second.data_hash == first.data_hash
    assert second.index.instructions == first.index.instructions
    for index in range(2):
        for one, other in zip(first.episode(index).images, second.episode(index).images):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(first.episode(index).actions, second.episode(index).actions)
        np.testing.assert_array_equal(first.episode(index).keypoints, second.episode(index).keypoints)
        np.testing.assert_array_equal(first.episode(index).positions, second.episode(index).positions)
    assert np.isfinite(second.episode(1).keypoints).any(axis=(0, 3)).all()
    assert opened(tmp_path / "c", dataset, cameras=("wrist",)).layout.cameras == ("wrist",)


def test_columns_as_other_writers_have_them_are_read(tmp_path: Path, dataset: Path) -> None:
    image = io.BytesIO()
    Image.fromarray(np.full((16, 16, 3), 77, np.uint8)).save(image, format="PNG")
    pictures = arrow.array([{"bytes": image.getvalue(), "path": "front-0.png"}] * N_FRAMES)
    actions = arrow.array([action(step).astype(np.float64).tolist() for step in range(N_FRAMES)])
    rewrite(dataset, {"observation.images.front": pictures, "action": actions})
    info = json.loads((dataset / "meta" / "info.json").read_text())["features"]
    info["action"]["names"] = {"motors": ["x", "y", "z", "gripper"]}
    info["observation.state"]["names"] = None
    info["observation.images.front"].update(shape=[3, 16, 16], names=["channels", "height", "width"])
    change_info(dataset, features=info, codebase_version="v3.1", fps=30)
    cache = opened(tmp_path / "cache", dataset, cameras=("front",))
    assert cache.layout.action_names == ("x", "y", "z", "gripper")
    assert cache.layout.proprioception_names == ("state_0", "state_1", "state_2")
    assert cache.layout.control_period_s == pytest.approx(1 / 30)
    np.testing.assert_array_equal(cache.episode(0).images[0], 77)
    np.testing.assert_array_equal(cache.episode(1).actions[0], action(5))


@pytest.mark.parametrize(("name", "shape"), [("intrinsics.front", None), ("extrinsics.T_base_camera.front", [16])])
def test_without_cameras_as_we_write_them_it_is_not_known_where_a_motion_leads(
    tmp_path: Path, dataset: Path, name: str, shape: Any
) -> None:
    known = opened(tmp_path / "a", dataset)
    info = json.loads((dataset / "meta" / "info.json").read_text())["features"]
    feature = info.pop(name)
    change_info(dataset, features=info if shape is None else {**info, name: {**feature, "shape": shape}})
    cache = opened(tmp_path / "b", dataset)
    for index in range(2):
        places = cache.episode(index).keypoints
        assert np.isnan(places[:, 0]).all()
        np.testing.assert_array_equal(places[:, 1], known.episode(index).keypoints[:, 1])
    assert cache.data_hash != known.data_hash


def test_videos_are_refused_with_what_to_do(tmp_path: Path, dataset: Path) -> None:
    info = json.loads((dataset / "meta" / "info.json").read_text())["features"]
    info["observation.images.front"]["dtype"] = "video"
    change_info(dataset, features=info)
    with pytest.raises(LogError, match=r"expected images, got videos \(observation.images.front\): .*use_videos=False"):
        opened(tmp_path / "cache", dataset, cameras=("front",))
    assert opened(tmp_path / "cache", dataset).layout.cameras == ("wrist",)


def test_what_is_missing_or_of_another_version_is_said(tmp_path: Path, dataset: Path) -> None:
    with pytest.raises(LogError, match="expected camera head, got front, wrist"):
        opened(tmp_path / "cache", dataset, cameras=("head",))
    rewrite(dataset, {"task_index": arrow.array([7] * N_FRAMES)})
    with pytest.raises(LogError, match="task_index of episode 0: expected one of meta/tasks.parquet, got 7"):
        opened(tmp_path / "cache", dataset)
    rewrite(dataset, {"action": arrow.array([[0.0, np.nan, 0.0, 1.0]] * N_FRAMES)})
    with pytest.raises(LogError, match="dataset: episode 0: action of observation 0: expected finite numbers"):
        opened(tmp_path / "cache", dataset)
    change_info(dataset, codebase_version="v2.1")
    with pytest.raises(LogError, match=r"codebase_version: expected v3.x, got v2.1"):
        opened(tmp_path / "cache", dataset)
    change_info(dataset, codebase_version="v3.0", features={})
    with pytest.raises(LogError, match="expected a column 'action', got none"):
        opened(tmp_path / "cache", dataset)
