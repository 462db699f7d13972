"""Keep a moment that looks unlike those kept before."""

from __future__ import annotations

from collections.abc import Sequence

from embodied.config import Config
from memory_bank.strategies.protocol import FrameFacts


class ByNovelty(Config):
    """When what is seen differs from everything kept lately.

    Source: the image buffer of Optimus-1 (arXiv 2408.03615, section on the multimodal experience pool), which drops
    frames that are alike.
    """

    novelty: float = 0.1
    """Least distance, 1 - cosine, to each of the moments kept last."""
    interval_s: float = 60.0
    """Keep one after so long, whatever is seen: proof that nothing changed."""

    def __call__(self, now: FrameFacts, kept: Sequence[FrameFacts]) -> bool:
        """Compare with all moments of this session that are still known; vectors are of length one.

        Raises:
            ValueError: Nothing encoded the moment.
        """
        if now.vector is None:
            raise ValueError("encode strategy 'novelty': expected a vector of each moment; set an image encoder")
        same = [facts for facts in kept if facts.session == now.session]
        if not same or (now.stamp_ns - same[-1].stamp_ns) * 1e-9 >= self.interval_s:
            return True
        nearest = min(1.0 - float(facts.vector @ now.vector) for facts in same if facts.vector is not None)
        return nearest >= self.novelty
