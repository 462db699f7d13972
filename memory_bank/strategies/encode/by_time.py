"""Keep a moment at equal distances in time."""

from __future__ import annotations

from collections.abc import Sequence

from embodied.config import Config
from memory_bank.strategies.protocol import FrameFacts


class ByTime(Config):
    """Every so often, whatever is seen.

    Source: the fixed frame rate of most episodic memories; FindingDory (arXiv 2506.15635) samples its histories so.
    """

    interval_s: float = 20.0
    """From one that is kept to the next."""

    def __call__(self, now: FrameFacts, kept: Sequence[FrameFacts]) -> bool:
        """Keep the first moment of a session, and each that comes an interval after the last one kept."""
        if not kept or kept[-1].session != now.session:
            return True
        return (now.stamp_ns - kept[-1].stamp_ns) * 1e-9 >= self.interval_s
