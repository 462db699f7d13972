"""Failures never crowd out successes, nor successes failures."""

from __future__ import annotations

import numpy as np

from embodied.config import Config
from memory_bank.strategies.protocol import Decision, Notes


class FailuresApart(Config):
    """Where there are too many, the kind that has more than its share gives up its note of the lowest utility.

    Source: Evo-Memory (arXiv 2511.20857, table on failed experiences): failures among the successes made agents worse.
    Kept apart they still warn. Of equal utilities the oldest goes; the new note stays.
    """

    share: float = 0.3
    """Of the capacity, for failures. A kind may use what the other leaves free."""

    def __call__(self, notes: Notes, capacity: int) -> Decision:
        """Decide by the number of notes of each kind."""
        if len(notes) <= capacity:
            return Decision("add")
        failures_over = int(np.count_nonzero(~notes.succeeded)) > round(self.share * capacity)
        held = np.flatnonzero(notes.succeeded[:-1] != failures_over)
        if not len(held):
            held = np.arange(len(notes) - 1)
        return Decision("delete", (int(held[np.argmin(notes.utilities[held])]),))
