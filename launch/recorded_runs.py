"""Finished runs of ``sim_episode.py`` as what an evaluation works on: the logs of their sessions, with the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from evaluation_rows import Episode

from embodied.errors import ConfigurationError
from embodied.runs import SETTINGS_FILE
from sim.truth import TruthSession, read_truth


@dataclass(frozen=True)
class RecordedSession:
    """One session of a run."""

    log: Path
    truth: TruthSession


def recorded(folders: Sequence[str]) -> list[Episode]:
    """Return one episode a run, with the run's seed.

    Raises:
        ConfigurationError: A folder holds no finished run, or is named twice.
    """
    episodes = []
    for folder in folders:
        sessions_of(Path(folder))
        try:
            contents = msgspec.json.decode((Path(folder) / SETTINGS_FILE).read_bytes(), type=dict[str, Any])
            seed = int(contents["settings"]["seed"])
        except (OSError, msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"data: {folder} is no run of sim_episode.py: {error!r}") from error
        episodes.append(Episode(key=folder.rstrip("/"), seed=seed, source=folder))
    keys = [episode.key for episode in episodes]
    if len(set(keys)) < len(keys):
        raise ConfigurationError(f"data: expected each run once, got {', '.join(keys)}")
    return episodes


def sessions_of(run: Path) -> list[RecordedSession]:
    """Return the sessions of a run in the order of time.

    Raises:
        ConfigurationError: There is none, or one of them has no log.
        SceneError: A file of truth is damaged.
    """
    sessions = [
        RecordedSession(run / "logs" / f"{path.stem}.mcap", read_truth(path)) for path in run.glob("truth/*.json")
    ]
    if not sessions:
        raise ConfigurationError(f"data: {run} holds no sessions with their truth (truth/*.json)")
    missing = [str(session.log) for session in sessions if not session.log.is_file()]
    if missing:
        raise ConfigurationError(f"data: expected the log of each session, got no {', '.join(sorted(missing))}")
    return sorted(sessions, key=lambda session: session.truth.start_ns)
