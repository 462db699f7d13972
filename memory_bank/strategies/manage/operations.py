"""Add, update, delete, or leave it."""

from __future__ import annotations

import numpy as np

from embodied.config import Config
from memory_bank.strategies.protocol import Decision, Notes
from memory_bank.strategies.ranking import cosines


class Operations(Config):
    """Compare the new note with the others of the same intent.

    Source: the operations ADD, UPDATE, DELETE and NOOP of Memory-R1 (arXiv 2508.19828), which trains a model to choose
    them; here rules do. The same words with the same ending say nothing new (noop). Nearly the same words with the same
    ending are the later telling (update). The same words with the other ending contradict: the later one holds
    (delete). All else is added; so two ways to one goal stay, and a failure beside a success.
    """

    same_intent: float = 0.98
    """Least cosine of two intents that are one. MemRL (arXiv 2601.03192) adds below 0.90 to 0.99; but sentence encoders
    put "open the left drawer" that near to "open the right drawer", and what is taken for the same is lost."""
    same_text: float = 0.99
    """Least cosine of two texts that say the same."""
    near_text: float = 0.93
    """Least cosine of two texts of which the later one tells it better."""

    def __call__(self, notes: Notes, capacity: int) -> Decision:
        """Decide by the text that is most alike among those of the same intent."""
        new = len(notes) - 1
        intents = cosines(notes.intents[new], notes.intents[:new])
        same = np.flatnonzero(intents >= self.same_intent)
        texts = cosines(notes.texts[new], notes.texts[same])
        agrees = notes.succeeded[same] == notes.succeeded[new]
        contradicted = same[~agrees & (texts >= self.same_text)]
        if len(contradicted):
            return Decision("delete", tuple(contradicted.tolist()))
        alike = np.where(agrees, texts, -1.0)
        if not len(alike) or alike.max() < self.near_text:
            return Decision("add")
        nearest = int(same[np.argmax(alike)])
        return Decision("noop", alike=nearest) if alike.max() >= self.same_text else Decision("update", (nearest,))
