"""What a policy's folder says about its weights: ``policy.json``. No torch in here."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path
from typing import Any

import msgspec

from embodied.errors import ConfigurationError
from embodied.structure import Structure
from policies.vla.config import Interface, NetworkConfig
from policies.vla.normaliser import Normaliser

POLICY_FILE = "policy.json"
FORMAT_VERSION = 1
_PACKAGES = ("torch", "numpy", "safetensors", "timm", "transformers")


class DataRecord(Structure, forbid_unknown_fields=True):
    """What a policy was trained on."""

    folders: tuple[str, ...]
    """As they were named."""
    sha256: str
    """Of the episodes, wherever they lie."""
    n_episodes: int
    n_observations: int
    instructions: tuple[str, ...]
    """The different ones, sorted."""


class PolicyRecord(Structure, forbid_unknown_fields=True):
    """All that is needed to use a policy, and what it came from."""

    format_version: int = FORMAT_VERSION
    network: NetworkConfig
    interface: Interface
    normaliser: Normaliser
    data: DataRecord
    settings: dict[str, Any]
    """Those of the training that the weights depend on."""
    seed: int
    n_steps: int
    """Of training so far."""
    trained_s: float
    """Time that took."""
    git: str
    packages: dict[str, str]
    """Versions of what it was trained with."""
    weights: str = ""
    """The file beside this one; filled in when it is saved."""
    weights_sha256: str = ""


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that weights depend on, of those that are installed."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def read_record(folder: Path) -> PolicyRecord:
    """Return what a folder says about its policy.

    Raises:
        ConfigurationError: It is no policy's folder, or its record is damaged or of another version.
    """
    path = folder / POLICY_FILE
    if not path.is_file():
        raise ConfigurationError(f"checkpoint {folder}: it is no policy's folder: there is no {POLICY_FILE} in it")
    try:
        contents = path.read_bytes()
        version = msgspec.json.decode(contents, type=dict[str, Any]).get("format_version")
        if version != FORMAT_VERSION:
            raise ConfigurationError(
                f"checkpoint {folder}: {POLICY_FILE}: expected format_version {FORMAT_VERSION}, got {version!r}"
            )
        return msgspec.json.decode(contents, type=PolicyRecord)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError(f"checkpoint {folder}: {POLICY_FILE}: {error}") from error
