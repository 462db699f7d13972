"""Finds the demonstrations that ``--data`` names, and tells whether they are still the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from embodied.errors import ConfigurationError, LogError
from embodied.structure import Structure
from policies.vla.data.lerobot import INFO_FILE, lerobot_files, read_lerobot
from policies.vla.data.logs import read_log
from policies.vla.data.recorded import RecordedEpisode


class SourceFile(Structure):
    """A file as it was when it was read."""

    path: str
    n_bytes: int
    mtime_ns: int


def find_sources(data: Sequence[Path]) -> tuple[Path, ...]:
    """Return the logs and LeRobot folders that folders and files name, in order.

    Args:
        data: Runs (with ``logs/``), folders of logs, logs, and LeRobot datasets.

    Raises:
        ConfigurationError: There are none, one does not exist, holds no demonstrations, or is named twice.
    """
    sources = [source.absolute() for path in data for source in _sources_of(path)]
    if not sources:
        raise ConfigurationError("data: expected a run, a log or a LeRobot dataset, got none")
    twice = sorted({str(source) for source in sources if sources.count(source) > 1}) if _has_twins(sources) else []
    if twice:
        raise ConfigurationError(f"data: expected each log once, got twice: {twice[0]}")
    return tuple(sources)


def stat_sources(sources: Sequence[Path]) -> tuple[SourceFile, ...]:
    """Return all files of the sources with what tells whether they have changed.

    Raises:
        ConfigurationError: One has gone.
    """
    found = []
    for path in (file for source in sources for file in (lerobot_files(source) if source.is_dir() else [source])):
        try:
            stat = path.stat()
        except OSError as error:
            raise ConfigurationError(f"data: {path}: {error.strerror}") from error
        found.append(SourceFile(path=str(path), n_bytes=stat.st_size, mtime_ns=stat.st_mtime_ns))
    return tuple(found)


def read_episodes(sources: Sequence[Path], cameras: tuple[str, ...]) -> Iterator[RecordedEpisode]:
    """Read the sources' episodes one after the other.

    Args:
        sources: From ``find_sources``.
        cameras: Whose images are wanted, all where none is named.

    Raises:
        LogError: One cannot be read or lacks what is needed; the text names it.
    """
    for source in sources:
        try:
            if source.is_dir():
                yield from read_lerobot(source, cameras)
            else:
                yield read_log(source, cameras)
        except (LogError, OSError, ValueError) as error:
            text = str(error)
            raise LogError(text if str(source) in text else f"{source}: {text}") from error


def _sources_of(path: Path) -> list[Path]:
    if not path.exists():
        raise ConfigurationError(f"data: {path} does not exist")
    if path.is_file():
        return [path]
    if (path / INFO_FILE).is_file():
        return [path]
    logs = sorted(path.glob("logs/*.mcap")) or sorted(path.glob("*.mcap"))
    if not logs:
        raise ConfigurationError(f"data: {path} holds no demonstrations (logs/*.mcap, *.mcap or {INFO_FILE})")
    return logs


def _has_twins(sources: Sequence[Path]) -> bool:
    return len(set(sources)) < len(sources)
