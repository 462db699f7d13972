"""Which encoders a memory uses, by name; a program that opens its file builds the same ones when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from embodied.arrays import Float, Image
from embodied.config import Config
from memory_bank.features.protocol import ImageEncoder, TextEncoder
from memory_bank.features.registry import build_image_encoder, build_text_encoder


class FeaturesConfig(Config):
    """Names of encoders, see ``registry``; empty for none."""

    text: str = ""
    """Compares words by meaning."""
    image: str = ""
    """Gives each keyframe what its picture means."""


class LateTextEncoder:
    """Builds its model when the first text is to be encoded: opening a file for other questions costs nothing."""

    def __init__(self, name: str, build: Callable[[str], TextEncoder] = build_text_encoder) -> None:
        self.name = name
        self._build = build
        self._encoder: TextEncoder | None = None

    @property
    def dim(self) -> int:
        """Of its vectors; 0 until the first text is encoded."""
        return self._encoder.dim if self._encoder is not None else 0

    def encode(self, texts: Sequence[str]) -> Float[np.ndarray, "n dim"]:
        """Return one float32 unit vector for each text.

        Raises:
            ConfigurationError: There is no such encoder here.
        """
        return self._built().encode(texts)

    def _built(self) -> TextEncoder:
        if self._encoder is None:
            self._encoder = self._build(self.name)
        return self._encoder


class LateImageEncoder:
    """The same for pictures."""

    def __init__(self, name: str, build: Callable[[str], ImageEncoder] = build_image_encoder) -> None:
        self.name = name
        self._build = build
        self._encoder: ImageEncoder | None = None

    @property
    def dim(self) -> int:
        """Of its vectors."""
        return self._built().dim

    @property
    def text_encoder(self) -> TextEncoder | None:
        """Its encoder of words; None if it knows none."""
        return self._built().text_encoder

    def encode(self, images: Sequence[Image]) -> Float[np.ndarray, "n dim"]:
        """Return one float32 unit vector for each picture.

        Raises:
            ConfigurationError: There is no such encoder here.
        """
        return self._built().encode(images)

    def _built(self) -> ImageEncoder:
        if self._encoder is None:
            self._encoder = self._build(self.name)
        return self._encoder
