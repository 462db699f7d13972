"""An exported policy without a network: a few sums, written as ONNX files."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from embodied.errors import ConfigurationError  # noqa: E402
from fake_policy import INTERFACE, record_of  # noqa: E402
from policies.vla import onnx_backend  # noqa: E402
from policies.vla.acting import ActingConfig, open_actor  # noqa: E402
from policies.vla.backend import Backend, SamplingConfig, StoredStream, TokenArrays  # noqa: E402
from policies.vla.onnx_backend import EXPORT_FILE, PARTS, ExportRecord, OnnxBackend, part_file  # noqa: E402
from policies.vla.record import POLICY_FILE  # noqa: E402

GRAPHS = {
    "encode": """(uint8[1,1,32,32,3] images, float[1,384] words) => (float[1,2,3] perceptual, float[1,1,3] cognitive) {
        x = Cast<to=1>(images)
        color = ReduceMean<axes=[1,2,3], keepdims=0>(x)
        cognitive = Unsqueeze(color, one)
        perceptual = Concat<axis=1>(cognitive, cognitive)
    }""",
    "locate": """(uint8[1,1,32,32,3] images) => (float[1,1,3] positions) {
        x = Cast<to=1>(images)
        color = ReduceMean<axes=[1,2,3], keepdims=0>(x)
        positions = Unsqueeze(color, one)
    }""",
    "store": """(float[1,2,3] perceptual, float[1,1,3] cognitive)
        => (float[1,2,3] stored_perceptual, float[1,1,3] stored_cognitive) {
        stored_perceptual = Identity(perceptual)
        stored_cognitive = Identity(cognitive)
    }""",
    "read": """(float[1,2,3] perceptual, float[1,1,3] cognitive, float[1] step, float[1,n] perceptual_steps,
        float[1,n,2,3] perceptual_entries) => (float[1,2,3] fused_perceptual, float[1,1,3] fused_cognitive) {
        sum = ReduceSum<keepdims=0>(perceptual_entries, one)
        when = ReduceSum<keepdims=0>(perceptual_steps, one)
        since = Sub(step, when)
        fused_perceptual = Add(perceptual, sum)
        fused_cognitive = Add(cognitive, since)
    }""",
    "sample": """(float[1,2,3] perceptual, float[1,1,3] cognitive, float[1,1,3] positions, float[1,8,3] noise)
        => (float[1,8,3] actions) {
        there = Add(positions, cognitive)
        whole = Add(noise, there)
        actions = Tanh(whole)
    }""",
}
ONE = "<int64[1] one = {1}>"


def write(folder: Path, **changed: Any) -> Path:
    folder.mkdir()
    digests = {}
    for part in PARTS:
        text = f'<ir_version: 8, opset_import: ["" : 17]> {part} {GRAPHS[part].replace("{", ONE + " {", 1)}'
        contents = onnx.parser.parse_model(text).SerializeToString()
        (folder / part_file(part)).write_bytes(contents)
        digests[part] = hashlib.sha256(contents).hexdigest()
    (folder / POLICY_FILE).write_bytes(msgspec.json.encode(record_of()))
    fields = {"sha256": digests, "sampling": SamplingConfig(), "words": {"go": (0.5,) * 384}, **changed}
    (folder / EXPORT_FILE).write_bytes(msgspec.json.encode(ExportRecord(**fields)))
    return folder


def test_it_runs_each_part_with_the_inputs_that_it_heeds_and_a_memory_that_may_be_empty(tmp_path: Path) -> None:
    backend = OnnxBackend(write(tmp_path / "a"))
    assert isinstance(backend, Backend)
    images = np.full((1, 32, 32, 3), (1, 2, 3), dtype=np.uint8)
    tokens = backend.encode(images, np.zeros(384, np.float32), "go", np.zeros(0, np.float32))
    np.testing.assert_array_equal(tokens.perceptual, [[1, 2, 3], [1, 2, 3]])
    np.testing.assert_array_equal(backend.to_store(tokens).cognitive, [[1, 2, 3]])
    for n in (0, 1, 3):
        streams = (StoredStream(np.arange(n) * 4.0, np.ones((n, width, 3), np.float32)) for width in (2, 1))
        fused = backend.read(tokens, 12, *streams)
        np.testing.assert_array_equal(fused.perceptual, tokens.perceptual + n)
        np.testing.assert_array_equal(fused.cognitive, [[13, 14, 15] - np.float32(4 * n * (n - 1) / 2)])
    noise = np.ones((INTERFACE.chunk_steps, 3), np.float32)
    positions = backend.locate(images)
    np.testing.assert_array_equal(positions, [[1, 2, 3]])
    actions = backend.sample(TokenArrays(tokens.perceptual, -2.0 * tokens.cognitive), positions, noise)
    np.testing.assert_allclose(actions, np.tanh([[0.0, -1.0, -2.0]] * 8), atol=1e-6)


def test_a_robot_acts_on_an_instruction_of_the_training_without_its_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: object) -> np.ndarray:
        raise ConfigurationError("words need MiniLM")

    monkeypatch.setattr(onnx_backend, "encode_words", missing)
    actor = open_actor(write(tmp_path / "a"))
    actor.warm_up()
    actor.begin("go", "a")
    assert actor.act([np.zeros((32, 32, 3), np.uint8)], 0).shape == (INTERFACE.chunk_steps, 3)
    with pytest.raises(ConfigurationError, match="trained with 'go'; other words need MiniLM"):
        actor.begin("come", "b")


def test_what_cannot_be_run_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "a")
    with pytest.raises(
        ConfigurationError, match=r"exported with n_denoising 10, guidance 1\.5, asked for n_denoising 4"
    ):
        open_actor(folder, ActingConfig(sampling=SamplingConfig(n_denoising=4)))
    with pytest.raises(ConfigurationError, match="expected format_version 2, got 1"):
        OnnxBackend(write(tmp_path / "b", format_version=1))
    (folder / "read.onnx").write_bytes((folder / "store.onnx").read_bytes())
    with pytest.raises(ConfigurationError, match=r"read\.onnx is damaged"):
        OnnxBackend(folder)
    (folder / "read.onnx").unlink()
    with pytest.raises(ConfigurationError, match=r"read\.onnx: .*No such file"):
        OnnxBackend(folder)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigurationError, match=r"needs onnxruntime: pip install"):
        OnnxBackend(write(tmp_path / "c"))
