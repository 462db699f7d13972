"""Settings: frozen, keyword-only structures that refuse unknown keys and travel as JSON.

A process receives one JSON file with its settings; a run keeps the resolved settings of all beside the git hash.
``msgspec.Struct`` instead of dataclasses: see docs/decisions.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Type, TypeVar

import msgspec

from embodied.errors import ConfigurationError
from embodied.structure import Structure

ConfigT = TypeVar("ConfigT", bound="Config")


class Config(Structure, forbid_unknown_fields=True):
    """Base of every settings structure. Fields are documented by the string below each, which ``--help`` shows."""


def save_config(config: Config, path: Path) -> None:
    """Write ``config`` as indented JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(config), indent=2) + b"\n")


def load_config(path: Path, config_type: Type[ConfigT]) -> ConfigT:
    """Read a settings file, checking every name and type.

    Raises:
        ConfigurationError: The file is missing, is not JSON, or does not fit ``config_type``; the text names the path.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=config_type)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError(f"settings {path}: {error}") from error


def git_hash() -> str:
    """Return the commit this code was checked out at, with ``+changes`` where the tree differs, or ``unknown``."""
    root = Path(__file__).resolve().parent
    commands = (["git", "rev-parse", "HEAD"], ["git", "status", "--porcelain", "--untracked-files=no"])
    try:
        commit, changes = (
            subprocess.run(c, cwd=root, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
            for c in commands
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return f"{commit}+changes" if changes else commit
