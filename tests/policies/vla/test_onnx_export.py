"""A tiny network with random weights, in torch and in onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from embodied.errors import ConfigurationError  # noqa: E402
from fake_policy import INTERFACE, NETWORK, record_of, words_of  # noqa: E402
from policies.vla.action_codec import ROTATION_NAMES  # noqa: E402
from policies.vla.backend import SamplingConfig, TorchBackend  # noqa: E402
from policies.vla.checkpoint import save_policy, stored_tensors  # noqa: E402
from policies.vla.config import MemoryConfig, NetworkConfig, RotationConfig  # noqa: E402
from policies.vla.model import MemoryPolicy  # noqa: E402
from policies.vla.onnx_backend import OnnxBackend  # noqa: E402
from policies.vla.onnx_export import export_policy, greatest_difference  # noqa: E402

SAMPLING = SamplingConfig(n_denoising=4, guidance=2.0)
SIX = RotationConfig(form="roll_pitch_yaw")


def save(folder: Path, network: NetworkConfig, felt: tuple[str, ...] = ()) -> Path:
    torch.manual_seed(0)
    names = INTERFACE.action_names if network.rotations.form == "as_given" else ROTATION_NAMES
    interface = msgspec.structs.replace(INTERFACE, proprioception_names=felt, action_names=names)
    policy = MemoryPolicy(network, interface).eval()
    with torch.no_grad():
        # A new network is zero where it ends.
        for parameter in policy.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    save_policy(folder, stored_tensors(policy), record_of(network, interface))
    return folder


@pytest.mark.parametrize(
    ("changed", "felt", "half", "tolerance"),
    [
        ({}, (), False, 1e-4),
        ({}, (), True, 1e-2),
        ({"memory": MemoryConfig(kind="none")}, (), False, 1e-4),
        (
            {"memory": MemoryConfig(capacity=2, store="fused", streams="cognitive", step_encoding=False, pool=1)},
            (),
            False,
            1e-4,
        ),
        ({"proprioception": True, "n_stacked_frames": 2, "rotations": SIX}, ("a", "b"), False, 1e-3),
    ],
)
def test_an_exported_policy_acts_as_it_does_in_torch_from_an_empty_memory_to_a_full_one(
    changed: dict[str, Any], felt: tuple[str, ...], half: bool, tolerance: float, tmp_path: Path
) -> None:
    network = msgspec.structs.replace(NETWORK, **changed)
    checkpoint = save(tmp_path / "checkpoint", network, felt)
    export_policy(checkpoint, tmp_path / "out", SAMPLING, half=half, words=words_of)
    ours = OnnxBackend(tmp_path / "out", SAMPLING)
    assert 0.0 < greatest_difference(ours, TorchBackend(checkpoint, SAMPLING), SAMPLING) < tolerance


def test_an_export_replaces_an_earlier_one_and_nothing_else(tmp_path: Path) -> None:
    checkpoint = save(tmp_path / "checkpoint", NETWORK)
    with pytest.raises(ConfigurationError, match="holds no exported policy"):
        export_policy(checkpoint, checkpoint, SAMPLING, words=words_of)
    for sampling in (SAMPLING, SamplingConfig(n_denoising=1, guidance=1.0)):
        export_policy(checkpoint, tmp_path / "out", sampling, words=words_of)
        OnnxBackend(tmp_path / "out", sampling)
