"""Writes a trained policy as ONNX files, which run without torch (``policies/vla/onnx_backend.py``).

The parts of the network have next to no weights in common. The steps of denoising are rolled out: what is exported
is what ``MemoryPolicy`` does, and there is no second version of it.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
import onnx
import torch
from torch import Tensor, nn

from embodied.arrays import Float
from embodied.errors import ConfigurationError
from policies.vla.acting import ActingConfig, Actor
from policies.vla.action_codec import n_network_actions
from policies.vla.backbones.settings import VLMVision
from policies.vla.backend import Backend, SamplingConfig
from policies.vla.checkpoint import load_policy
from policies.vla.config import WORDS_DIM
from policies.vla.lora import merge_lora
from policies.vla.memory import Entries
from policies.vla.model import MemoryPolicy, Tokens
from policies.vla.onnx_backend import EXPORT_FILE, ExportRecord, Part, is_exported, open_session, part_file
from policies.vla.record import POLICY_FILE
from policies.vla.words import encode_words

OPSET = 17
_N_ENTRIES = 2
"""Of the memory while the network is traced; afterwards it may hold any number."""
_LEAST_HALVED = 256
"""Numbers of a weight that is worth being stored in 16 bits; small ones are scales and offsets, which stay exact."""


class _Traced(nn.Module):
    """A part of the network, as torch exports it."""

    def __init__(self, policy: MemoryPolicy, run: Callable[..., tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.policy = policy  # whose weights are then known to be weights
        self._run = run

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Run the part."""
        return self._run(*inputs)


def export_policy(
    checkpoint: Path,
    out: Path,
    sampling: SamplingConfig = SamplingConfig(),
    *,
    half: bool = False,
    words: Callable[[Sequence[str]], Float[np.ndarray, "n 384"]] = encode_words,
) -> None:
    """Write a checkpoint's policy as an exported folder.

    Args:
        checkpoint: As ``launch/train.py vla`` wrote it.
        out: New or empty, or an earlier export, which is replaced.
        sampling: How its actions will be drawn.
        half: Store large weights in 16 bits; sums are made in 32.
        words: The encoder of instructions that the policy was trained with.

    Raises:
        ConfigurationError: There is no policy, or one whose encoder cannot be exported; ``out`` holds something else.
    """
    policy, record = load_policy(checkpoint)
    merge_lora(policy)
    if isinstance(record.network.vision, VLMVision):
        raise ConfigurationError(f"checkpoint {checkpoint}: a vision-language model reads texts, and is not exported")
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not is_exported(out)):
        raise ConfigurationError(f"out: {out} is not empty and holds no exported policy; name another folder")
    texts = record.data.instructions
    vectors = {text: tuple(vector.tolist()) for text, vector in zip(texts, words(texts), strict=True)}
    parts = {part: _onnx(policy, *made, half=half) for part, made in _parts(policy, sampling).items()}
    out.mkdir(parents=True, exist_ok=True)
    (out / EXPORT_FILE).unlink(missing_ok=True)
    for part, contents in parts.items():
        (out / part_file(part)).write_bytes(contents)
    (out / POLICY_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
    digests = {str(part): hashlib.sha256(contents).hexdigest() for part, contents in parts.items()}
    export = ExportRecord(sha256=digests, sampling=sampling, words=vectors)
    (out / EXPORT_FILE).write_bytes(msgspec.json.encode(export) + b"\n")


def greatest_difference(one: Backend, other: Backend, sampling: SamplingConfig = SamplingConfig()) -> float:
    """Return by how much actions of two runtimes differ at most, -1 to 1 being what was demonstrated.

    They see the same made-up pictures until their memories are more than full.
    """
    record = one.record
    interface, network = record.interface, record.network
    rng = np.random.default_rng(0)
    felt = np.zeros(len(interface.proprioception_names), dtype=np.float32) if network.proprioception else None
    vector = rng.standard_normal((1, WORDS_DIM), dtype=np.float32)
    vector /= np.linalg.norm(vector)
    actors = [Actor(each, ActingConfig(sampling=sampling), words=lambda _: vector) for each in (one, other)]
    for actor in actors:
        actor.begin("look", "comparison")
    most = 0.0
    for call in range(network.memory.capacity + 2):
        shape = (len(interface.cameras), interface.height_px, interface.width_px, 3)
        frames = list(rng.integers(0, 256, shape, dtype=np.uint8))
        a, b = (actor.act(frames, call * interface.execute_steps, felt) for actor in actors)
        normalise = record.normaliser.actions.normalise
        most = max(most, float(np.abs(normalise(a) - normalise(b)).max()))
    return most


_Made = tuple[Callable[..., tuple[Tensor, ...]], dict[str, Tensor], tuple[str, ...]]
"""What a part does, with its inputs and the names of its outputs."""


def _parts(policy: MemoryPolicy, sampling: SamplingConfig) -> dict[Part, _Made]:
    """Return the parts of a network, each with inputs that it can be traced with."""
    interface, network = policy.interface, policy.config
    n_images = len(interface.cameras) * network.n_stacked_frames
    images = torch.zeros(1, n_images, interface.height_px, interface.width_px, 3, dtype=torch.uint8)
    words = torch.zeros(1, WORDS_DIM)
    felt = torch.zeros(1, len(interface.proprioception_names) if network.proprioception else 0)
    noise = torch.zeros(1, interface.chunk_steps, n_network_actions(network, interface))

    def encode(images: Tensor, words: Tensor, felt: Tensor) -> Tokens:
        return policy.encode(images, words, ("",), felt)

    def locate(images: Tensor) -> tuple[Tensor]:
        return (policy.locate(images),)

    def store(*tokens: Tensor) -> Tokens:
        return policy.to_store(Tokens(*tokens))

    def read(step: Tensor, *rest: Tensor) -> Tokens:
        tokens, held = Tokens(*rest[:2]), (rest[2:4], rest[4:6])
        entries = (Entries(steps, each, torch.ones_like(steps, dtype=torch.bool)) for steps, each in held)
        return policy.read(tokens, step, *entries)

    def sample(perceptual: Tensor, cognitive: Tensor, positions: Tensor, noise: Tensor) -> tuple[Tensor]:
        fused = Tokens(perceptual, cognitive)
        return (policy.sample(fused, positions, noise, sampling.n_denoising, sampling.guidance),)

    with torch.inference_mode():
        tokens = policy.encode(images, words, ("",), felt)
        stored, positions = policy.to_store(tokens), policy.locate(images)
    now = tokens._asdict()
    held = {}
    for name, each in stored._asdict().items():
        held[f"{name}_steps"] = torch.zeros(1, _N_ENTRIES)
        held[f"{name}_entries"] = torch.stack([each] * _N_ENTRIES, dim=1)
    names = Tokens._fields
    return {
        "encode": (encode, {"images": images, "words": words, "proprioception": felt}, names),
        "locate": (locate, {"images": images}, ("positions",)),
        "store": (store, now, tuple(f"stored_{name}" for name in names)),
        "read": (read, {"step": torch.zeros(1), **now, **held}, tuple(f"fused_{name}" for name in names)),
        "sample": (sample, {**now, "positions": positions, "noise": noise}, ("actions",)),
    }


def _onnx(
    policy: MemoryPolicy,
    run: Callable[..., tuple[Tensor, ...]],
    inputs: dict[str, Tensor],
    outputs: tuple[str, ...],
    *,
    half: bool,
) -> bytes:
    """Return a part of the network as the contents of an ONNX file."""
    growing = {name: {1: f"n_{name.split('_')[0]}"} for name in inputs if name.endswith(("_steps", "_entries"))}
    with TemporaryDirectory(prefix="embodied-export-") as folder:
        traced, simple = Path(folder) / "traced.onnx", Path(folder) / "simple.onnx"
        with warnings.catch_warnings(), torch.inference_mode():
            # It warns of each shape that becomes a number, which is meant, and of being the older of two exporters: it
            # is the one that needs no further library.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _Traced(policy, run), tuple(inputs.values()), str(traced), dynamo=False, opset_version=OPSET,
                input_names=list(inputs), output_names=list(outputs), dynamic_axes=growing,
            )  # fmt: skip
        # Rolled out, the network is mostly sums of constants: worked out now, they need not be whenever it is opened.
        open_session(traced.read_bytes(), "export", simple)
        model = onnx.load(simple)
    if half:
        _halve(model.graph)
    return bytes(model.SerializeToString())


def _halve(graph: Any) -> None:
    """Store large weights in 16 bits, each with a node that widens it; onnxruntime does so once, when it loads them."""
    for weight in graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < _LEAST_HALVED or np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = weight.name
        weight.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        widened = onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT)
        graph.node.insert(0, widened)
