"""The folder of one run: its resolved settings, logs, memory and results."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from embodied.config import Config, git_hash
from embodied.errors import ConfigurationError

SETTINGS_FILE = "settings.json"


def new_run(directory: str, settings: Config) -> Path:
    """Make the folder of a run, in place of an earlier run's, with the resolved settings and the git hash in it.

    Raises:
        ConfigurationError: Something is there that is no earlier run: nobody's files are deleted by mistake.
    """
    run = Path(directory)
    if run.exists() and not run.is_dir():
        raise ConfigurationError(f"out: {run} is a file; name a folder")
    if run.is_dir() and any(run.iterdir()):
        if not (run / SETTINGS_FILE).is_file():
            raise ConfigurationError(f"out: {run} is not empty and is no earlier run; name another folder")
        shutil.rmtree(run)
    run.mkdir(parents=True, exist_ok=True)
    contents = {"git": git_hash(), "settings": settings}
    (run / SETTINGS_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(contents), indent=2) + b"\n")
    return run
