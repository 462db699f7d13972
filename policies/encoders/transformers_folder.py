"""A CLIP or SigLIP model in a local folder, as ``transformers`` saves it: pictures and words in one space.

Nothing is downloaded and no code of the folder is run: only safetensors weights are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from embodied.arrays import Float, Image
from embodied.errors import ConfigurationError

BATCH = 8
KINDS = ("clip", "siglip", "siglip2")
_HINT = 'encoder transformers: pip install "embodied-memory[vision]"'


class _Loaded:
    """Model, processor and what they are called."""

    def __init__(self, folder: Path) -> None:
        config = folder / "config.json"
        try:
            described = msgspec.json.decode(config.read_bytes(), type=dict[str, Any])
        except (OSError, msgspec.MsgspecError) as error:
            raise ConfigurationError(f"encoder transformers: {folder} holds no model: {error}") from error
        kind = described.get("model_type")
        if kind not in KINDS:
            raise ConfigurationError(f"encoder transformers: {folder}: expected one of {KINDS}, got {kind!r}")
        try:
            import torch
            from transformers import AutoImageProcessor, AutoModel, AutoTokenizer
        except ImportError as error:
            raise ConfigurationError(f"{_HINT} ({error})") from error
        local = {"local_files_only": True, "trust_remote_code": False}
        try:
            self.model: Any = AutoModel.from_pretrained(folder, use_safetensors=True, **local).eval()
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, **local)
            self.images: Any = AutoImageProcessor.from_pretrained(folder, **local)
        except Exception as error:
            # A broken folder shows in many ways: OSError, ValueError, KeyError, safetensors' own.
            raise ConfigurationError(f"encoder transformers: {folder} cannot be loaded: {error}") from error
        self.torch = torch
        self.name = f"{kind}:{folder.name}"
        # SigLIP was trained on texts padded to their full length, CLIP on texts padded to the longest.
        self.padding = "max_length" if kind.startswith("siglip") else True

    def unit(self, features: Any) -> Float[np.ndarray, "n dim"]:
        """Return features, or the pooled ones of a model's output, as unit vectors."""
        pooled = getattr(features, "pooler_output", features)
        vectors: np.ndarray = self.torch.nn.functional.normalize(pooled.float(), dim=-1).numpy()
        return vectors


class FolderTextEncoder:
    """The words' half of a model."""

    def __init__(self, loaded: _Loaded) -> None:
        self._loaded = loaded
        self.name = loaded.name
        self.dim = self._run(["a"]).shape[1]

    def encode(self, texts: Sequence[str]) -> Float[np.ndarray, "n dim"]:
        """Return one float32 unit vector for each text, in order; shape (0, dim) for none."""
        found = [self._run(list(texts[start : start + BATCH])) for start in range(0, len(texts), BATCH)]
        return np.concatenate([np.zeros((0, self.dim), dtype=np.float32), *found])

    def _run(self, texts: list[str]) -> Float[np.ndarray, "n dim"]:
        loaded = self._loaded
        inputs = loaded.tokenizer(texts, padding=loaded.padding, truncation=True, return_tensors="pt")
        names = {"input_ids", "attention_mask"}
        with loaded.torch.inference_mode():
            features = loaded.model.get_text_features(**{k: v for k, v in inputs.items() if k in names})
            return loaded.unit(features)


class FolderImageEncoder:
    """The pictures' half of a model."""

    def __init__(self, folder: Path) -> None:
        """Load a folder.

        Raises:
            ConfigurationError: It holds no CLIP or SigLIP model with safetensors weights, or torch or transformers are
                not installed.
        """
        self._loaded = _Loaded(folder)
        self.text_encoder = FolderTextEncoder(self._loaded)
        self.name, self.dim = self._loaded.name, self.text_encoder.dim

    def encode(self, images: Sequence[Image]) -> Float[np.ndarray, "n dim"]:
        """Return one float32 unit vector for each RGB image, in order; shape (0, dim) for none."""
        loaded = self._loaded
        found = [np.zeros((0, self.dim), dtype=np.float32)]
        for start in range(0, len(images), BATCH):
            inputs = loaded.images(images=list(images[start : start + BATCH]), return_tensors="pt")
            with loaded.torch.inference_mode():
                found.append(loaded.unit(loaded.model.get_image_features(pixel_values=inputs["pixel_values"])))
        return np.concatenate(found)


def open_encoder(argument: str = "") -> FolderImageEncoder:
    """Build the encoder; the function behind the entry point ``transformers`` of ``embodied.encoders``.

    Args:
        argument: The folder.

    Raises:
        ConfigurationError: It cannot be loaded.
    """
    if not argument:
        raise ConfigurationError("encoder transformers: name the folder, as in transformers:/models/siglip")
    return FolderImageEncoder(Path(argument))
