"""Runs an exported policy with onnxruntime: without torch, and for the instructions it was trained with without MiniLM.

An exported folder holds ``policy.json``, as a checkpoint does, ``onnx.json``, and the parts of the network.
``policies/vla/onnx_export.py`` writes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import numpy as np

from embodied.arrays import Float, UInt8
from embodied.errors import ConfigurationError
from embodied.structure import Structure
from policies.vla.backend import SamplingConfig, StoredStream, TokenArrays
from policies.vla.record import PolicyRecord, read_record
from policies.vla.words import encode_words

EXPORT_FILE = "onnx.json"
FORMAT_VERSION = 2
Part = Literal["encode", "locate", "store", "read", "sample"]
PARTS: tuple[Part, ...] = get_args(Part)
_SILENT = 3
"""onnxruntime's level of errors: it warns of hardware that it looked for and did not find."""


class ExportRecord(Structure, forbid_unknown_fields=True):
    """What is in an exported folder beside the policy's own record."""

    format_version: int = FORMAT_VERSION
    sha256: dict[str, str]
    """Of the file of each part."""
    sampling: SamplingConfig
    """How actions are drawn: the steps of denoising are part of the network."""
    words: dict[str, tuple[float, ...]]
    """The vectors of the instructions that the policy was trained with."""


def is_exported(folder: Path) -> bool:
    """Return whether a folder holds an exported policy."""
    return (folder / EXPORT_FILE).is_file()


def part_file(part: Part) -> str:
    """Return the name of the file with a part of the network."""
    return f"{part}.onnx"


def open_session(model: bytes, where: str, optimised: Path | None = None) -> Any:
    """Return an inference session of onnxruntime on one thread.

    Args:
        model: Contents of an ONNX file.
        where: What a message begins with.
        optimised: Where to write the network once it is simplified, without anything that only onnxruntime knows; None
            for nowhere.

    Raises:
        ConfigurationError: onnxruntime is not installed, or it cannot run the file.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigurationError(f'{where}: needs onnxruntime: pip install "embodied-memory[policy]"') from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _SILENT
    if optimised is not None:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(optimised)
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # It has a dozen kinds of exceptions of its own.
        raise ConfigurationError(f"{where}: {error}") from error


class OnnxBackend:
    """``Backend`` of an exported policy, on one thread of the processor."""

    def __init__(self, folder: Path, sampling: SamplingConfig = SamplingConfig()) -> None:
        """Load it.

        Args:
            folder: Of the exported policy.
            sampling: How actions are to be drawn. That was fixed when the policy was exported, and is only compared.

        Raises:
            ConfigurationError: It is no exported policy, a damaged one, or one that draws actions otherwise; or
                onnxruntime is not installed.
        """
        self._record = read_record(folder)
        self._export = _read_export(folder)
        if sampling != self._export.sampling:
            raise ConfigurationError(
                f"checkpoint {folder}: exported with {_shown(self._export.sampling)}, asked for {_shown(sampling)}; "
                "export it again (launch/export_policy.py)"
            )
        self._sessions = {part: open_session(*_read_part(folder, part, self._export)) for part in PARTS}
        # An input that the network does not heed is not in its file.
        self._inputs = {part: {each.name for each in s.get_inputs()} for part, s in self._sessions.items()}

    @property
    def record(self) -> PolicyRecord:
        """What it is, and what it was trained for."""
        return self._record

    def encode_words(self, instructions: Sequence[str]) -> Float[np.ndarray, "n 384"]:
        """Return the instructions as vectors: those of the training from the folder, others by MiniLM.

        Raises:
            ConfigurationError: One is new, and MiniLM is not installed.
        """
        known = self._export.words
        try:
            rows = [known[text] if text in known else encode_words([text])[0] for text in instructions]
        except ConfigurationError as error:
            raise ConfigurationError(
                f"the policy was trained with {', '.join(map(repr, known))}; other {error}"
            ) from error
        return np.array(rows, dtype=np.float32)

    def encode(
        self,
        images: UInt8[np.ndarray, "n_images height width 3"],
        words: Float[np.ndarray, " 384"],
        instruction: str,
        proprioception: Float[np.ndarray, " n_proprioception"],
    ) -> TokenArrays:
        """Return what is perceived."""
        return TokenArrays(*self._run("encode", images=images, words=words, proprioception=proprioception))

    def read(self, tokens: TokenArrays, step: int, perceptual: StoredStream, cognitive: StoredStream) -> TokenArrays:
        """Return the tokens, fused with what is remembered."""
        fused = self._run(
            "read",
            step=np.array(step),
            perceptual=tokens.perceptual,
            cognitive=tokens.cognitive,
            perceptual_steps=perceptual.steps,
            perceptual_entries=perceptual.tokens,
            cognitive_steps=cognitive.steps,
            cognitive_entries=cognitive.tokens,
        )
        return TokenArrays(*fused)

    def to_store(self, tokens: TokenArrays) -> TokenArrays:
        """Return what of the tokens goes into the memory."""
        return TokenArrays(*self._run("store", **tokens._asdict()))

    def locate(
        self, images: UInt8[np.ndarray, "n_images height width 3"]
    ) -> Float[np.ndarray, "n_positions n_coordinates"]:
        """Return where the tool is, and where it would be if it came to rest at each token."""
        return self._run("locate", images=images)[0]

    def sample(
        self,
        fused: TokenArrays,
        positions: Float[np.ndarray, "n_positions n_coordinates"],
        noise: Float[np.ndarray, "n_steps n_actions"],
    ) -> np.ndarray:
        """Return a chunk of actions."""
        return self._run("sample", positions=positions, noise=noise, **fused._asdict())[0]

    def _run(self, part: Part, **inputs: np.ndarray) -> list[np.ndarray]:
        """Run a part of the network on a batch of one."""
        given = {
            name: np.ascontiguousarray(array[None], dtype=np.uint8 if array.dtype == np.uint8 else np.float32)
            for name, array in inputs.items()
            if name in self._inputs[part]
        }
        return [output[0] for output in self._sessions[part].run(None, given)]


def _read_export(folder: Path) -> ExportRecord:
    path = folder / EXPORT_FILE
    try:
        contents = path.read_bytes()
        version = msgspec.json.decode(contents, type=dict[str, Any]).get("format_version")
        if version != FORMAT_VERSION:
            raise ConfigurationError(
                f"checkpoint {folder}: {EXPORT_FILE}: expected format_version {FORMAT_VERSION}, got {version!r}"
            )
        return msgspec.json.decode(contents, type=ExportRecord)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError(f"checkpoint {folder}: {EXPORT_FILE}: {error}") from error


def _read_part(folder: Path, part: Part, export: ExportRecord) -> tuple[bytes, str]:
    """Return the contents of a part's file, and how to call it."""
    path = folder / part_file(part)
    where = f"checkpoint {folder}: {path.name}"
    try:
        contents = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{where}: {error}") from error
    if hashlib.sha256(contents).hexdigest() != export.sha256.get(part):
        raise ConfigurationError(f"{where} is damaged: its checksum is another")
    return contents, where


def _shown(sampling: SamplingConfig) -> str:
    return f"n_denoising {sampling.n_denoising}, guidance {sampling.guidance:g}"
