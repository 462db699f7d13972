from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, Dict

import pytest

torch = pytest.importorskip("torch")

import msgspec  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from embodied.errors import ConfigurationError  # noqa: E402
from policies.vla.checkpoint import (  # noqa: E402
    TrainingState,
    load_policy,
    load_training,
    read_training,
    save_policy,
    save_training,
    stored_tensors,
)
from policies.vla.config import PRESETS  # noqa: E402
from policies.vla.model import MemoryPolicy  # noqa: E402
from policies.vla.record import read_record  # noqa: E402
from tiny_policy import INTERFACE, tiny_record  # noqa: E402


@pytest.fixture(scope="module")
def tensors() -> Dict[str, Any]:
    torch.manual_seed(0)
    return stored_tensors(MemoryPolicy(PRESETS["small"], INTERFACE))


def test_a_policy_comes_back_as_it_was_saved(tmp_path: Path, tensors: Dict[str, Any]) -> None:
    record = tiny_record(n_steps=7)
    save_policy(tmp_path / "a", tensors, record)
    policy, read = load_policy(tmp_path / "a")
    assert msgspec.structs.replace(read, weights="", weights_sha256="") == record
    for name, tensor in policy.state_dict().items():
        assert torch.equal(tensor, tensors[name]), name
    (weights,) = (tmp_path / "a").glob("*.safetensors")
    assert stat.S_IMODE(weights.stat().st_mode) == stat.S_IMODE((tmp_path / "a" / "policy.json").stat().st_mode)


def test_in_16_bits_a_policy_takes_half_the_space_and_acts_in_32(tmp_path: Path, tensors: Dict[str, Any]) -> None:
    save_policy(tmp_path, tensors, tiny_record(), half=True)
    assert load_file(tmp_path / read_record(tmp_path).weights)["places"].dtype == torch.float16
    policy, _ = load_policy(tmp_path)
    assert policy.places.dtype == torch.float32
    assert torch.allclose(policy.places, tensors["places"], atol=1e-3)


class _PowerCut(BaseException):
    """Ends a save in the middle; nothing catches it."""


def test_wherever_a_save_is_cut_off_the_last_whole_one_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensors: Dict[str, Any]
) -> None:
    """Each call that changes the folder or waits for the disk is once the last one."""

    def state(n_steps: int) -> TrainingState:
        return TrainingState(n_steps=n_steps, trained_s=0.0, settings={})

    def marked(n_steps: int) -> Dict[str, Any]:
        return {**tensors, "places": torch.full_like(tensors["places"], float(n_steps))}

    save_policy(tmp_path, marked(1), tiny_record(n_steps=1))
    save_training(tmp_path, marked(1), state(1))
    left = 0

    def counted(done: Any) -> Any:
        def call(*args: Any, **words: Any) -> Any:
            nonlocal left
            if left == 0:
                raise _PowerCut
            left -= 1
            return done(*args, **words)

        return call

    n_cuts, seen = 0, set()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", counted(os.fsync))
        for name in ("replace", "unlink", "write_bytes", "touch", "chmod"):
            patch.setattr(Path, name, counted(getattr(Path, name)))
        while True:
            left = n_cuts
            try:
                save_training(tmp_path, marked(2), state(2))
                save_policy(tmp_path, marked(2), tiny_record(n_steps=2))
                break
            except _PowerCut:
                n_cuts += 1
            policy, record = load_policy(tmp_path)
            training = read_training(tmp_path)
            assert training is not None
            assert policy.places[0, 0] == record.n_steps
            assert load_training(tmp_path, training)["places"][0, 0] == training.n_steps
            seen.add((training.n_steps, record.n_steps))
    assert n_cuts > 15
    assert seen == {(1, 1), (2, 1), (2, 2)}
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".json", ".safetensors", ".safetensors"]


def test_a_folder_that_is_no_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"it is no policy's folder: there is no policy\.json"):
        load_policy(tmp_path / "nowhere")


def test_a_damaged_record_is_refused(tmp_path: Path, tensors: Dict[str, Any]) -> None:
    save_policy(tmp_path, tensors, tiny_record())
    path = tmp_path / "policy.json"
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    with pytest.raises(ConfigurationError, match=r"policy\.json: Input data was truncated"):
        load_policy(tmp_path)
    path.write_bytes(whole.replace(b'"format_version": 1', b'"format_version": 99'))
    with pytest.raises(ConfigurationError, match="expected format_version 1, got 99"):
        load_policy(tmp_path)


def test_missing_damaged_and_foreign_weights_are_refused(tmp_path: Path, tensors: Dict[str, Any]) -> None:
    save_policy(tmp_path, tensors, tiny_record(network=msgspec.structs.replace(PRESETS["small"], cognitive_width=48)))
    with pytest.raises(ConfigurationError, match=r"another network: \S+ is \(.*\), expected \(.*\)$"):
        load_policy(tmp_path)
    save_policy(tmp_path, {**tensors, "more": torch.ones(1)}, tiny_record())
    with pytest.raises(ConfigurationError, match="more has no place in this one"):
        load_policy(tmp_path)
    save_policy(tmp_path, {name: tensor for name, tensor in tensors.items() if name != "places"}, tiny_record())
    with pytest.raises(ConfigurationError, match="places is missing"):
        load_policy(tmp_path)
    weights = tmp_path / read_record(tmp_path).weights
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ConfigurationError, match="is damaged"):
        load_policy(tmp_path)
    weights.unlink()
    with pytest.raises(ConfigurationError, match=r"the file 'weights-\w+\.safetensors' is missing"):
        load_policy(tmp_path)
    path = tmp_path / "policy.json"
    path.write_bytes(path.read_bytes().replace(b'"weights": "', b'"weights": "../'))
    with pytest.raises(ConfigurationError, match="is missing"):
        load_policy(tmp_path)
