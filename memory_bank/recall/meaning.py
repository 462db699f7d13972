"""How alike words are in meaning, by a text encoder. Encoders remember what they encoded last; this does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embodied.arrays import Float
from memory_bank.features.protocol import TextEncoder


@dataclass(frozen=True)
class Meaning:
    """Compares free words with what the memory knows."""

    encoder: TextEncoder

    def likeness(self, text: str, others: Sequence[str]) -> Float[np.ndarray, " n"]:
        """Return the cosine of a text to each of the others, -1 to 1."""
        distinct = list(dict.fromkeys(others))
        vectors = self.encoder.encode([text, *distinct])
        cosines = dict(zip(distinct, (vectors[1:] @ vectors[0]).tolist()))
        return np.array([cosines[other] for other in others], dtype=np.float32)
