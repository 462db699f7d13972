"""Writes logs as a LeRobot dataset of version 3: an episode a log, many episodes a file.

LeRobot pairs each observation with the action that was taken after it; a log holds with each observation the action
that led to it. So each frame gets the action of the observation that follows, and an episode's last observation, after
which nothing was done, is left out. A log of a robot that was not commanded gives all its observations, and no actions.
Where a demonstrator was disturbed on purpose, the dataset has what it meant to do.
"""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

import msgspec
import numpy as np

from embodied.errors import ConfigurationError, LogError
from embodied.messages import Observation, SessionStart
from embodied.recording.lerobot_features import (
    FRAME_COLUMNS,
    Feature,
    Value,
    check_frame,
    check_same,
    features_of,
    frame_columns,
    pixels_of,
    to_json,
    values_of,
)
from embodied.recording.lerobot_stats import RunningStats
from embodied.recording.reader import episode_observations, read_session

VERSION = "v3.0"
FILE_MB = 100
"""A file that has grown so large gets no further episode."""
CHUNK_FILES = 1000
"""Files in a folder."""
GROUP_BYTES = 64_000_000
"""Pictures that are held in memory before they are written. An episode with less is one group of rows, which is how
LeRobot's own writer leaves it."""
_FILES = "chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"

Frame = Tuple[Observation, Optional[np.ndarray]]
"""An observation and the action that followed."""


class Exported(NamedTuple):
    """What was written."""

    n_episodes: int
    n_frames: int
    n_tasks: int


def export_lerobot(
    paths: Sequence[Union[str, Path]], directory: Union[str, Path], *, fps: Optional[int] = None
) -> Exported:
    """Write one episode a log into a new dataset; nothing is left where it fails.

    Args:
        paths: Logs of one robot, in the order of the episodes.
        directory: A folder that is empty or does not exist.
        fps: Frames a second, where the logs' control period does not say, or is no whole number of them.

    Raises:
        ConfigurationError: pyarrow is not installed.
        LogError: A log cannot be read, is empty, differs from the first in what its frames hold, or holds numbers that
            are not finite; ``directory`` has files already, or cannot be written. The text names the log.
        ValueError: No log is given, or ``fps`` is not positive.
    """
    if not paths:
        raise ValueError("paths: expected at least one log, got none")
    if fps is not None and fps < 1:
        raise ValueError(f"fps: expected 1 or more, got {fps}")
    directory = Path(directory).absolute()
    try:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise LogError(f"{directory} is not empty; choose another directory for the dataset")
        directory.parent.mkdir(parents=True, exist_ok=True)
        # Beside it, for the renaming, under a name that is nobody else's.
        with tempfile.TemporaryDirectory(prefix=f"{directory.name}.partial-", dir=directory.parent) as folder:
            partial = Path(folder) / "dataset"
            partial.mkdir()
            exported = _write(paths, partial, fps)
            if directory.exists():
                directory.rmdir()
            partial.rename(directory)
    except OSError as error:
        raise LogError(f"cannot write the dataset {directory}: {error}") from error
    return exported


def _write(paths: Sequence[Union[str, Path]], directory: Path, fps: Optional[int]) -> Exported:
    dataset: Optional[_Dataset] = None
    try:
        for path in paths:
            try:
                dataset = _add(dataset, Path(path), directory, fps)
            except (LogError, ValueError) as error:
                text = str(error)
                raise LogError(text if str(path) in text else f"{path}: {text}") from error
    finally:
        if dataset is not None:
            dataset.close()
    assert dataset is not None, "at least one log was given"
    return dataset.finish()


def _add(dataset: Optional[_Dataset], path: Path, directory: Path, fps: Optional[int]) -> _Dataset:
    """Add a log as the next episode; make the dataset with the first."""
    messages = read_session(path)
    start = next(messages, None)
    if not isinstance(start, SessionStart):
        raise LogError("expected a session, got none")
    pairs = _with_actions(episode_observations(path, messages))
    first = next(pairs, None)
    if first is None:
        raise LogError("expected two observations or more, got fewer")
    features = features_of(start, *first)
    rate = fps or _frames_a_second(start)
    if dataset is None:
        dataset = _Dataset(directory, start.robot, rate, features)
    check_same(features, dataset.features)
    if (start.robot, rate) != (dataset.robot, dataset.fps):
        raise LogError(
            f"expected robot {dataset.robot!r} at {dataset.fps} frames/s as in the first log, got {start.robot!r} at "
            f"{rate}"
        )
    dataset.add_episode(start.instruction, itertools.chain([first], pairs))
    return dataset


def _with_actions(observations: Iterator[Observation]) -> Iterator[Frame]:
    """Yield each observation with the action that followed; the last only where the robot was never commanded."""
    before = next(observations, None)
    commanded: Optional[bool] = None
    for observation in observations:
        assert before is not None, "one was read before"
        if observation.seq != before.seq + 1:
            # Its action was taken after an observation that is lost.
            raise LogError(f"expected observation {before.seq + 1} after {before.seq}, got {observation.seq}")
        has_action = observation.action is not None
        if commanded is not None and commanded != has_action:
            raise LogError(f"observation {observation.seq}: expected an action in each or in none, as before")
        commanded = has_action
        intended = observation.intended_action
        yield before, observation.action if intended is None else intended
        before = observation
    if before is not None and commanded is False:
        yield before, None


def _frames_a_second(start: SessionStart) -> int:
    period_s = start.control_period_s
    if period_s <= 0.0:
        raise LogError("the log does not say how many frames a second it has; give --fps")
    rate = round(1.0 / period_s)
    if rate < 1 or abs(rate * period_s - 1.0) > 1e-3:
        raise LogError(f"expected a whole number of frames a second, got one each {period_s:g} s; give --fps")
    return rate


class _Dataset:
    """A dataset that is being written."""

    def __init__(self, directory: Path, robot: str, fps: int, features: Dict[str, Feature]) -> None:
        self._arrow, self._parquet = _pyarrow()
        self.robot = robot
        self.fps = fps
        self.features = features
        self._directory = directory
        self._columns = {**features, **frame_columns()}
        self._schema = self._arrow.schema([(name, self._type(each)) for name, each in self._columns.items()])
        self._writer: Any = None
        self._file_index = -1
        self._n_file_bytes = 0
        self._n_frames = 0
        self._tasks: Dict[str, int] = {}
        self._stats = {name: RunningStats() for name in self._columns}
        self._episodes: List[Dict[str, Any]] = []

    def add_episode(self, task: str, frames: Iterator[Frame]) -> None:
        """Write an episode."""
        if self._writer is None or self._n_file_bytes >= FILE_MB * 1_000_000:
            self._next_file()
        episode_index, first = len(self._episodes), self._n_frames
        task_index = self._tasks.setdefault(task, len(self._tasks))
        stats = {name: RunningStats() for name in self._columns}
        rows: List[Dict[str, Value]] = []
        n_bytes = 0
        for frame_index, (observation, action) in enumerate(frames):
            values = values_of(observation, action)
            check_frame(values, self.features)
            counters = (frame_index / self.fps, frame_index, episode_index, self._n_frames, task_index)
            values.update((name, np.array([number])) for name, number in zip(FRAME_COLUMNS, counters))
            self._count(stats, observation, values)
            rows.append(values)
            self._n_frames += 1
            n_bytes += sum(len(value) for value in values.values() if isinstance(value, bytes))
            if n_bytes >= GROUP_BYTES:
                self._flush(rows)
                n_bytes = 0
        self._flush(rows)
        for name, running in self._stats.items():
            running.merge(stats[name])
        self._episodes.append(self._episode_row(task, episode_index, first, stats))

    def close(self) -> None:
        """Close the file that is open."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def finish(self) -> Exported:
        """Write what describes the whole."""
        meta = self._directory / "meta"
        self._write_tasks(meta / "tasks.parquet")
        episodes = meta / "episodes" / _FILES.format(chunk_index=0, file_index=0)
        episodes.parent.mkdir(parents=True)
        self._parquet.write_table(self._arrow.Table.from_pylist(self._episodes), episodes)
        exported = Exported(len(self._episodes), self._n_frames, len(self._tasks))
        stats = {name: running.result(self._columns[name].stats_shape) for name, running in self._stats.items()}
        _write_json(meta / "stats.json", stats)
        _write_json(meta / "info.json", self._info(exported))
        return exported

    def _info(self, exported: Exported) -> Dict[str, Any]:
        return {
            "codebase_version": VERSION,
            "robot_type": self.robot,
            "total_episodes": exported.n_episodes,
            "total_frames": exported.n_frames,
            "total_tasks": exported.n_tasks,
            "chunks_size": CHUNK_FILES,
            "data_files_size_in_mb": FILE_MB,
            "video_files_size_in_mb": FILE_MB,
            "fps": self.fps,
            "splits": {"train": f"0:{exported.n_episodes}"},
            "data_path": f"data/{_FILES}",
            "video_path": None,
            "features": to_json(self._columns),
        }

    def _next_file(self) -> None:
        self.close()
        self._file_index += 1
        path = self._directory / "data" / _FILES.format(**self._place())
        path.parent.mkdir(parents=True, exist_ok=True)
        self._n_file_bytes = 0
        # Pictures are compressed already, and no two are alike.
        self._writer = self._parquet.ParquetWriter(path, self._schema, compression="snappy", use_dictionary=False)

    def _place(self) -> Dict[str, int]:
        return {"chunk_index": self._file_index // CHUNK_FILES, "file_index": self._file_index % CHUNK_FILES}

    def _count(self, stats: Dict[str, RunningStats], observation: Observation, values: Dict[str, Value]) -> None:
        for camera in observation.cameras:
            for name, (pixels, scale) in pixels_of(camera).items():
                stats[name].add(pixels, scale=scale)
        for name, value in values.items():
            if not isinstance(value, bytes):
                stats[name].add(value)

    def _flush(self, rows: List[Dict[str, Value]]) -> None:
        if not rows:
            return
        columns = [
            self._arrow.array([_plain(row[name], self._columns[name]) for row in rows], type=field.type)
            for name, field in zip(self._columns, self._schema)
        ]
        table = self._arrow.Table.from_arrays(columns, schema=self._schema)
        self._writer.write_table(table)
        self._n_file_bytes += table.nbytes
        rows.clear()

    def _type(self, feature: Feature) -> Any:
        """Return the Arrow type in which LeRobot expects a feature."""
        arrow = self._arrow
        if feature.is_image:
            return arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
        number = {"float32": arrow.float32(), "float64": arrow.float64(), "int64": arrow.int64()}[feature.dtype]
        if feature.shape == (1,):
            return number
        if len(feature.shape) == 1:
            return arrow.list_(number, feature.shape[0])
        return arrow.list_(arrow.list_(number))

    def _episode_row(self, task: str, episode_index: int, first: int, stats: Dict[str, RunningStats]) -> Dict[str, Any]:
        place = self._place()
        row: Dict[str, Any] = {
            "episode_index": episode_index,
            "tasks": [task],
            "length": self._n_frames - first,
            "data/chunk_index": place["chunk_index"],
            "data/file_index": place["file_index"],
            "dataset_from_index": first,
            "dataset_to_index": self._n_frames,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
        }
        for name, running in stats.items():
            for statistic, numbers in running.result(self._columns[name].stats_shape).items():
                row[f"stats/{name}/{statistic}"] = numbers
        return row

    def _write_tasks(self, path: Path) -> None:
        """Write the table of tasks, whose index is the text: pandas reads that from the schema's metadata."""
        path.parent.mkdir(parents=True, exist_ok=True)
        table = self._arrow.table({"task_index": list(self._tasks.values()), "task": list(self._tasks)})
        columns = [
            {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64"},
            {"name": "task", "field_name": "task", "pandas_type": "unicode", "numpy_type": "object"},
        ]
        pandas = {
            "index_columns": ["task"],
            "column_indexes": [],
            "columns": [{**column, "metadata": None} for column in columns],
            "pandas_version": "2.0.0",
        }
        table = table.replace_schema_metadata({"pandas": msgspec.json.encode(pandas)})
        self._parquet.write_table(table, path)


def _plain(value: Value, feature: Feature) -> Any:
    """Return a value as Arrow takes it."""
    if isinstance(value, bytes):
        return {"bytes": value, "path": None}
    return value.item() if feature.shape == (1,) else value.tolist()


def _write_json(path: Path, contents: Any) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(contents), indent=4) + b"\n")


def _pyarrow() -> Tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigurationError(
            f"a LeRobot dataset needs pyarrow ({error}): pip install 'embodied-memory[lerobot]'"
        ) from error
    return pyarrow, pyarrow.parquet
