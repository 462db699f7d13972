"""Policies and unfinished trainings on disk: tensors as safetensors, all else as JSON.

A folder holds a policy, ``policy.json`` with the weights it names, and while it is trained also ``training.json`` with
the tensors it names. Each JSON file is replaced in one go, after the tensors are on the disk, and then the tensors of
before are deleted: whenever the power fails, there is a whole and matching pair.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import safetensors
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from embodied.errors import ConfigurationError
from embodied.structure import Structure
from policies.vla.model import MemoryPolicy
from policies.vla.record import POLICY_FILE, PolicyRecord, read_record

TRAINING_FILE = "training.json"
_HASH_DIGITS = 12
"""Of a tensor file's checksum, in its name."""


class TrainingState(Structure, forbid_unknown_fields=True):
    """How far a training has come; its tensors are beside it."""

    n_steps: int
    trained_s: float
    settings: dict[str, Any]
    """What must be the same when it goes on."""
    tensors: str = ""
    """Their file; filled in when it is saved."""
    sha256: str = ""


def stored_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return what is stored of a model: parameters that are trained, and buffers. Frozen ones come from elsewhere."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    return {name: tensor for name, tensor in model.state_dict().items() if name not in frozen}


def fill_model(model: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Put stored tensors into a model.

    Raises:
        ConfigurationError: They belong to another network: names or shapes differ; begins with ``where``.
    """
    expected = stored_tensors(model)
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise ConfigurationError(f"{where}: weights of another network: {name} is missing")
        if name not in expected:
            raise ConfigurationError(f"{where}: weights of another network: {name} has no place in this one")
        got, want = tuple(tensors[name].shape), tuple(expected[name].shape)
        if got != want:
            raise ConfigurationError(f"{where}: weights of another network: {name} is {got}, expected {want}")
    model.load_state_dict(dict(tensors), strict=False)


def save_policy(folder: Path, tensors: Mapping[str, Tensor], record: PolicyRecord, *, half: bool = False) -> None:
    """Write a policy in place of the one that is there.

    Args:
        folder: Is made if need be.
        tensors: As of ``stored_tensors``.
        record: What they are.
        half: Store numbers in 16 bits instead of 32.
    """
    kept = {name: tensor.half() if half and tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    name, digest = _write_tensors(folder, "weights", kept)
    _write_json(folder / POLICY_FILE, msgspec.structs.replace(record, weights=name, weights_sha256=digest))
    _delete_others(folder, "weights", name)


def load_policy(folder: str | Path, device: str = "cpu") -> tuple[MemoryPolicy, PolicyRecord]:
    """Return a policy that is ready to act, its weights in float32, and what is known of it.

    Raises:
        ConfigurationError: The folder holds no policy, or one that is damaged or does not fit its configuration.
    """
    folder = Path(folder)
    record = read_record(folder)
    if not (folder / record.weights).is_file():
        record = read_record(folder)  # a training may have replaced both just now
    where = f"checkpoint {folder}"
    tensors = _read_tensors(folder, record.weights, record.weights_sha256)
    try:
        policy = MemoryPolicy(record.network, record.interface)
    except ValueError as error:
        raise ConfigurationError(f"{where}: {error}") from error
    fill_model(policy, tensors, where)
    return policy.requires_grad_(False).eval().to(device), record


def save_training(folder: Path, tensors: Mapping[str, Tensor], state: TrainingState) -> None:
    """Write how far a training has come, in place of what is there."""
    name, digest = _write_tensors(folder, "training", tensors)
    _write_json(folder / TRAINING_FILE, msgspec.structs.replace(state, tensors=name, sha256=digest))
    _delete_others(folder, "training", name)


def read_training(folder: Path) -> TrainingState | None:
    """Return how far the training in a folder has come, None if there is none.

    Raises:
        ConfigurationError: It is damaged.
    """
    path = folder / TRAINING_FILE
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=TrainingState)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError(f"checkpoint {folder}: {TRAINING_FILE}: {error}") from error


def load_training(folder: Path, state: TrainingState) -> dict[str, Tensor]:
    """Return the tensors of an unfinished training.

    Raises:
        ConfigurationError: They are missing or damaged.
    """
    return _read_tensors(folder, state.tensors, state.sha256)


def _write_tensors(folder: Path, kind: str, tensors: Mapping[str, Tensor]) -> tuple[str, str]:
    """Write tensors under a name that no other content has; return the name and the checksum."""
    folder.mkdir(parents=True, exist_ok=True)
    # Copies: parameters that share their memory are stored once each.
    kept = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    partial = folder / f".{kind}.partial"
    partial.touch()
    mode = partial.stat().st_mode
    save_file(kept, partial)
    partial.chmod(mode)  # safetensors leaves a file that only its owner can read
    digest = _sha256(partial)
    name = f"{kind}-{digest[:_HASH_DIGITS]}.safetensors"
    _put_in_place(partial, folder / name)
    return name, digest


def _read_tensors(folder: Path, name: str, sha256: str) -> dict[str, Tensor]:
    path = folder / name
    where = f"checkpoint {folder}"
    if Path(name).name != name or not path.is_file():
        raise ConfigurationError(f"{where}: the file {name!r} is missing")
    if _sha256(path) != sha256:
        raise ConfigurationError(f"{where}: {name} is damaged: its checksum is another")
    try:
        return dict(load_file(path))
    except (OSError, safetensors.SafetensorError) as error:
        raise ConfigurationError(f"{where}: {name}: {error}") from error


def _write_json(path: Path, contents: Structure) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(contents), indent=2) + b"\n")
    _put_in_place(partial, path)


def _put_in_place(partial: Path, path: Path) -> None:
    """Give a file its name, once its contents are on the disk; then that is, too."""
    _sync(partial)
    partial.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _delete_others(folder: Path, kind: str, name: str) -> None:
    for path in folder.glob(f"{kind}-{'[0-9a-f]' * _HASH_DIGITS}.safetensors"):
        if path.name != name:
            path.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
