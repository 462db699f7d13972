"""What has helped least leaves."""

from __future__ import annotations

import numpy as np

from embodied.config import Config
from memory_bank.strategies.protocol import Decision, Notes


class Utility(Config):
    """Where there are too many, the note of the lowest learned utility goes; of equal ones the oldest.

    Source: the utilities are those of MemRL (arXiv 2601.03192); pruning by them follows its filter of low values. The
    new note, which could not yet earn any, stays.
    """

    def __call__(self, notes: Notes, capacity: int) -> Decision:
        """Decide by the number of notes."""
        if len(notes) <= capacity:
            return Decision("add")
        return Decision("delete", (int(np.argmin(notes.utilities[:-1])),))
