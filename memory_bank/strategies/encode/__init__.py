"""Which moments of a stream are kept. A strategy is a structure of its settings that can be called (``Encode``)."""

from __future__ import annotations

from collections.abc import Mapping

from embodied.config import Config
from memory_bank.strategies.encode.by_novelty import ByNovelty
from memory_bank.strategies.encode.by_pose import ByPose
from memory_bank.strategies.encode.by_time import ByTime

STRATEGIES: Mapping[str, type[Config]] = {"novelty": ByNovelty, "pose": ByPose, "time": ByTime}
"""By the name that settings use."""
