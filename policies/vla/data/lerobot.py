"""Reads LeRobot datasets of version 3 as demonstrations, whether this project wrote them or LeRobot."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from embodied.errors import ConfigurationError, LogError
from policies.vla.data.recorded import (
    Frame,
    Layout,
    RecordedEpisode,
    check_finite,
    choose_cameras,
    decode_image,
    names_or_numbers,
)

INFO_FILE = "meta/info.json"
TASKS_FILE = "meta/tasks.parquet"
VERSION = "v3"
N_ROWS = 64
"""Rows that are held in memory at once."""
_ACTION, _STATE = "action", "observation.state"
_PREFIXES = ("observation.images.", "observation.")
_GEOMETRY = {"extrinsics.T_base_camera.": (4, 4), "intrinsics.": (4,)}
"""Columns of each camera as this project writes them, and the shape of what they hold."""


class LeRobotInfo(msgspec.Struct, frozen=True):
    """What is needed of ``meta/info.json``; it has much more."""

    codebase_version: str
    fps: float
    features: dict[str, dict[str, Any]]


class _Row(NamedTuple):
    episode: int
    task: int
    frame: Frame


def lerobot_files(folder: Path) -> list[Path]:
    """Return the files of a dataset that hold demonstrations, in order."""
    return [folder / INFO_FILE, folder / TASKS_FILE, *_data_files(folder)]


def read_lerobot(folder: Path, cameras: tuple[str, ...]) -> Iterator[RecordedEpisode]:
    """Read a dataset's episodes one after the other; each one's frames have to be read before the next.

    Args:
        folder: Of the dataset.
        cameras: Whose images are wanted, all where none is named.

    Raises:
        ConfigurationError: pyarrow is not installed.
        LogError: The dataset is damaged, of another version, or lacks what is needed.
    """
    info = _read_info(folder)
    columns = _camera_columns(info, cameras)
    tasks = _read_tasks(folder)
    rows = itertools.groupby(_rows(folder, info, columns), key=lambda row: row.episode)
    for index, group in rows:
        first = next(group)
        if first.task not in tasks:
            raise LogError(f"task_index of episode {index}: expected one of {TASKS_FILE}, got {first.task}")
        sizes = {decode_image(data).shape[:2] for data in first.frame.encoded}
        if len(sizes) > 1:
            raise LogError(f"expected cameras of one size, got {sorted(sizes)}")
        ((height, width),) = sizes
        layout = Layout(
            cameras=tuple(columns),
            height_px=height,
            width_px=width,
            action_names=names_or_numbers(_names(info, _ACTION), first.frame.action.size, "action"),
            proprioception_names=names_or_numbers(_names(info, _STATE), first.frame.proprioception.size, "state"),
            control_period_s=1.0 / info.fps,
        )
        frames = (row.frame for row in itertools.chain([first], group))
        yield RecordedEpisode(f"{folder} episode {index}", tasks[first.task], layout, frames)


def _read_info(folder: Path) -> LeRobotInfo:
    try:
        info = msgspec.json.decode((folder / INFO_FILE).read_bytes(), type=LeRobotInfo)
    except msgspec.MsgspecError as error:
        raise LogError(f"{INFO_FILE}: {error}") from error
    if not info.codebase_version.startswith(VERSION):
        raise LogError(f"codebase_version: expected {VERSION}.x, got {info.codebase_version}")
    if info.fps <= 0.0:
        raise LogError(f"fps: expected a positive number, got {info.fps}")
    if _ACTION not in info.features:
        raise LogError(f"expected a column {_ACTION!r}, got none")
    return info


def _camera_columns(info: LeRobotInfo, cameras: tuple[str, ...]) -> dict[str, str]:
    """Return the column of each camera that is to be used."""
    columns: dict[str, str] = {}
    videos: dict[str, str] = {}
    for column, feature in info.features.items():
        prefix = next((prefix for prefix in _PREFIXES if column.startswith(prefix)), None)
        # Depth is one channel; LeRobot has the channels first or last.
        if prefix is not None and 3 in (feature.get("shape") or ()):
            kind = {"image": columns, "video": videos}.get(feature.get("dtype", ""), {})
            kind[column[len(prefix) :]] = column
    unread = [videos[name] for name in (cameras or videos) if name in videos]
    if unread and (cameras or not columns):
        raise LogError(f"expected images, got videos ({', '.join(unread)}): write the dataset with use_videos=False")
    return {name: columns[name] for name in choose_cameras(tuple(columns), cameras)}


def _names(info: LeRobotInfo, column: str) -> tuple[str, ...]:
    """Return a column's names: a list, or a dictionary of lists as some datasets have it."""
    names = info.features.get(column, {}).get("names")
    if isinstance(names, dict):
        names = [name for each in names.values() if isinstance(each, list) for name in each]
    return tuple(str(name) for name in names or ())


def _read_tasks(folder: Path) -> dict[int, str]:
    table = _parquet().read_table(folder / TASKS_FILE)
    # pandas calls an index without a name so.
    text = "task" if "task" in table.column_names else "__index_level_0__"
    try:
        return dict(zip(table["task_index"].to_pylist(), table[text].to_pylist(), strict=True))
    except KeyError as error:
        raise LogError(f"{TASKS_FILE}: expected columns task_index and task, got {table.column_names}") from error


def _rows(folder: Path, info: LeRobotInfo, cameras: dict[str, str]) -> Iterator[_Row]:
    numbers = [name for name in (_ACTION, _STATE) if name in info.features]
    numbers += [name for camera in cameras for name in _geometry_columns(info, camera)]
    for path in _data_files(folder):
        with _parquet().ParquetFile(path) as file:
            wanted = ["episode_index", "task_index", "frame_index", *numbers, *cameras.values()]
            missing = [name for name in wanted if name not in file.schema_arrow.names]
            if missing:
                raise LogError(f"{path}: expected column {', '.join(missing)}, got none")
            for batch in file.iter_batches(batch_size=N_ROWS, columns=wanted):
                yield from _rows_of(batch, cameras)


def _geometry_columns(info: LeRobotInfo, camera: str) -> list[str]:
    """Return the columns that say where a camera is and how it projects; none where they are not all there."""
    shapes = {prefix + camera: shape for prefix, shape in _GEOMETRY.items()}
    found = [name for name, shape in shapes.items() if tuple(info.features.get(name, {}).get("shape", ())) == shape]
    return found if len(found) == len(shapes) else []


def _rows_of(batch: Any, cameras: dict[str, str]) -> Iterator[_Row]:
    episodes, tasks, steps = (batch.column(name).to_pylist() for name in ("episode_index", "task_index", "frame_index"))
    actions, states = _matrix(batch, _ACTION), _matrix(batch, _STATE)
    pictures = [batch.column(name).to_pylist() for name in cameras.values()]
    geometry = [
        np.stack([_geometry(batch, prefix + camera, shape) for camera in cameras], axis=1)
        for prefix, shape in _GEOMETRY.items()
    ]
    for index, (episode, task, step) in enumerate(zip(episodes, tasks, steps, strict=True)):
        encoded = tuple(column[index]["bytes"] for column in pictures)
        if not all(encoded):
            raise LogError(
                f"episode {episode}: expected pictures inside the columns {', '.join(cameras.values())}, got none"
            )
        check_finite(f"episode {episode}: action", step, actions[index])
        check_finite(f"episode {episode}: proprioception", step, states[index])
        T_base_camera, intrinsics_px = (each[index] for each in geometry)
        yield _Row(episode, task, Frame(encoded, actions[index], states[index], T_base_camera, intrinsics_px))


def _matrix(batch: Any, name: str) -> np.ndarray:
    """Return a column of lists, or of single numbers, as float32 (n_rows, n_values); (n_rows, 0) if there is none."""
    if name not in batch.schema.names:
        return np.zeros((batch.num_rows, 0), dtype=np.float32)
    column = batch.column(name)
    flat = column.flatten() if hasattr(column.type, "value_type") else column
    return flat.to_numpy(zero_copy_only=False).astype(np.float32).reshape(batch.num_rows, -1)


def _geometry(batch: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return a column as float64 (n_rows, *shape); NaN if there is none."""
    if name not in batch.schema.names:
        return np.full((batch.num_rows, *shape), np.nan)
    return np.array(batch.column(name).to_pylist(), dtype=np.float64).reshape(batch.num_rows, *shape)


def _data_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("data/*/*.parquet"))


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigurationError(
            f"a LeRobot dataset needs pyarrow ({error}): pip install 'embodied-memory[lerobot]'"
        ) from error
    return pyarrow.parquet
