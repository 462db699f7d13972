"""Instructions as vectors: MiniLM, the encoder that the memory reads words with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied.arrays import Float
from memory_bank.features.minilm import open_encoder

WORDS_ENCODER = "minilm"
"""Kept beside the vectors: those of another encoder are not comparable."""


def encode_words(instructions: Sequence[str]) -> Float[np.ndarray, "n 384"]:
    """Return one float32 unit vector for each instruction.

    Raises:
        ConfigurationError: MiniLM is not installed. There is nothing that could stand in for it: a policy that was
            trained with its vectors understands no others.
    """
    return open_encoder().encode(instructions)
