"""What an evaluation has measured so far, one JSON line an episode, so that a stopped evaluation can be continued.

The first line tells what the rows belong to. An episode counts from the moment its line is on the disk; a last line
that was cut short is dropped when the file is opened again.
"""

from __future__ import annotations

import fcntl
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import msgspec

from embodied.config import git_hash
from embodied.errors import ConfigurationError
from embodied.structure import Structure


@dataclass(frozen=True)
class Episode:
    """An independent piece of work. Its result depends on the settings and on what stands here, on nothing else."""

    key: str
    """Names it; no two of an evaluation have the same."""
    seed: int
    source: str = ""
    """What it is taken from, the folder of a finished run, say; empty where a world is lived through."""


class Row(Structure):
    """What was measured once: of a house, a question, a task."""

    key: str
    """What was measured, as people call it."""
    episode: str = ""
    """The key of its episode; ``evaluate`` fills it in."""
    method: str = "ours"
    """Whose result it is."""
    category: str = ""
    """What kind of question or task it is."""
    values: dict[str, float]
    """By name, finite. ``confidence`` with ``correct`` makes the report draw a curve of calibration."""
    wrong: tuple[str, ...] = ()
    """What was wrong, one sentence each, for people."""
    notes: dict[str, str] = {}
    """What else figures are made from, in words."""


class Failure(Structure):
    """Something that went wrong, to be shown in the report."""

    title: str
    text: str
    picture_jpeg: bytes = b""


class EpisodeResult(Structure):
    """All that comes out of one episode."""

    rows: tuple[Row, ...]
    failures: tuple[Failure, ...] = ()
    """The worst first, a few at most."""


class _Header(Structure, forbid_unknown_fields=True):
    evaluation: str
    settings: dict[str, Any]
    git: str


class _ShownFailure(Structure, forbid_unknown_fields=True):
    title: str
    text: str
    picture: str
    """The name of a file in the folder of pictures; empty for none."""


class _Line(Structure, forbid_unknown_fields=True):
    episode: str
    seed: int
    git: str
    took_s: float
    rows: tuple[Row, ...]
    failures: tuple[_ShownFailure, ...]


class RowsFile:
    """The rows of one evaluation on disk. One process writes it at a time; a context manager."""

    def __init__(self, path: Path, evaluation: str, settings: dict[str, Any], *, restart: bool = False) -> None:
        """Open or make the file.

        Raises:
            ConfigurationError: It belongs to another evaluation or other settings, is damaged before its last line, or
                another process writes it.
        """
        self.path = path
        self.pictures = path.with_name(path.name.replace(".rows.jsonl", "") + ".failures")
        self._git = git_hash()
        self._lines: dict[str, _Line] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("a+b")
        try:
            self._lock()
            if restart:
                self._forget()
            self._read(_Header(evaluation=evaluation, settings=settings, git=self._git))
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> RowsFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def holds(self, episode: Episode) -> bool:
        """Tell whether an episode is done.

        Raises:
            ConfigurationError: One of its name and with another seed is: a run that was replaced by another, say.
        """
        line = self._lines.get(episode.key)
        if line is not None and line.seed != episode.seed:
            raise ConfigurationError(
                f"out: {self.path} holds {episode.key} with seed {line.seed}, not {episode.seed}; name another "
                "file, or start anew with --restart"
            )
        return line is not None

    def versions(self, keys: Sequence[str]) -> tuple[str, ...]:
        """Return the commits whose code measured these episodes, in the order in which they first appear."""
        return tuple(dict.fromkeys(self._lines[key].git for key in keys))

    def append(self, episode: Episode, result: EpisodeResult, took_s: float) -> None:
        """Add a finished episode; it is on the disk when this returns.

        Raises:
            ValueError: A value is not finite, or the episode is there already.
        """
        if episode.key in self._lines:
            raise ValueError(f"episode {episode.key}: expected a new one, got one that has its rows already")
        for row in result.rows:
            for name, value in row.values.items():
                if not math.isfinite(value):
                    raise ValueError(f"episode {episode.key}, {row.key}: expected a finite {name}, got {value}")
        line = _Line(
            episode=episode.key,
            seed=episode.seed,
            git=self._git,
            took_s=round(took_s, 3),
            rows=tuple(msgspec.structs.replace(row, episode=episode.key) for row in result.rows),
            failures=tuple(self._keep(len(self._lines), n, failure) for n, failure in enumerate(result.failures)),
        )
        self._write(line)
        self._lines[episode.key] = line

    def rows_of(self, key: str) -> tuple[Row, ...]:
        """Return the rows of an episode that is there."""
        return self._lines[key].rows

    def failures_of(self, key: str) -> tuple[Failure, ...]:
        """Return the failures of an episode that is there; a picture that somebody deleted is left out."""
        return tuple(
            Failure(title=one.title, text=one.text, picture_jpeg=self._picture(one.picture))
            for one in self._lines[key].failures
        )

    def took_s(self, key: str) -> float:
        """Return how long an episode took."""
        return self._lines[key].took_s

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(f"out: another evaluation writes {self.path}; wait, or name another") from error

    def _forget(self) -> None:
        self._file.truncate(0)
        for picture in self.pictures.glob("*.jpg"):
            picture.unlink()

    def _read(self, header: _Header) -> None:
        self._file.seek(0)
        contents = self._file.read()
        # A line without its end was being written when the process was killed.
        whole = contents[: contents.rfind(b"\n") + 1]
        if len(whole) < len(contents):
            self._file.truncate(len(whole))
        lines = whole.split(b"\n")[:-1]
        if not lines:
            self._write(header)
            return
        self._check(self._decode(lines[0], 1, _Header), header)
        for number, line in enumerate(lines[1:], start=2):
            decoded = self._decode(line, number, _Line)
            if decoded.episode in self._lines:
                raise ConfigurationError(f"{self.path}, line {number}: episode {decoded.episode} is there twice")
            self._lines[decoded.episode] = decoded

    def _decode(self, line: bytes, number: int, kind: type[Any]) -> Any:
        try:
            return msgspec.json.decode(line, type=kind)
        except msgspec.MsgspecError as error:
            raise ConfigurationError(
                f"{self.path}, line {number}: {error}; name another file, or start anew with --restart"
            ) from error

    def _check(self, found: _Header, expected: _Header) -> None:
        there = f"{self.path} holds rows of"
        advice = "name another file, or start anew with --restart"
        if found.evaluation != expected.evaluation:
            raise ConfigurationError(f"out: {there} {found.evaluation}, not of {expected.evaluation}; {advice}")
        if found.settings != expected.settings:
            names = sorted(set(found.settings) | set(expected.settings))
            differing = ", ".join(
                f"{name} {found.settings.get(name)!r} (now {expected.settings.get(name)!r})"
                for name in names
                if found.settings.get(name) != expected.settings.get(name)
            )
            raise ConfigurationError(f"out: {there} other settings: {differing}; {advice}")

    def _keep(self, episode_number: int, number: int, failure: Failure) -> _ShownFailure:
        name = ""
        if failure.picture_jpeg:
            name = f"{episode_number:05d}-{number}.jpg"
            self.pictures.mkdir(parents=True, exist_ok=True)
            (self.pictures / name).write_bytes(failure.picture_jpeg)
        return _ShownFailure(title=failure.title, text=failure.text, picture=name)

    def _picture(self, name: str) -> bytes:
        path = self.pictures / Path(name).name
        return path.read_bytes() if name and path.is_file() else b""

    def _write(self, line: Structure) -> None:
        self._file.write(msgspec.json.encode(line) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
