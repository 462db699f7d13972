"""What every encoder of words or pictures gives the memory: unit vectors, alike for alike meanings.

An encoder is built once and holds its model; it is called with what there is, also with an empty list. The vectors of
two encoders are never compared unless one is the other's ``text_encoder``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from embodied.arrays import Float, Image


@runtime_checkable
class TextEncoder(Protocol):
    """Words to vectors."""

    name: str
    """Which model, with its version: vectors of another name are not comparable."""

    @property
    def dim(self) -> int:
        """Of its vectors."""
        ...

    def encode(self, texts: Sequence[str]) -> Float[np.ndarray, "n dim"]:
        """Return one float32 unit vector for each text, in order; shape (0, dim) for none."""
        ...


@runtime_checkable
class ImageEncoder(Protocol):
    """Pictures to vectors."""

    name: str
    """Which model, with its version: vectors of another name are not comparable."""

    @property
    def dim(self) -> int:
        """Of its vectors."""
        ...

    @property
    def text_encoder(self) -> TextEncoder | None:
        """Of models that put words and pictures into one space (CLIP, SigLIP); None for all others."""
        ...

    def encode(self, images: Sequence[Image]) -> Float[np.ndarray, "n dim"]:
        """Return one float32 unit vector for each RGB image, in order; shape (0, dim) for none."""
        ...
