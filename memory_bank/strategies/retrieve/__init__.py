"""What is recalled. A strategy is a structure of its settings that can be called (``Retrieve``)."""

from __future__ import annotations

from collections.abc import Mapping

from embodied.config import Config
from memory_bank.strategies.retrieve.by_meaning import ByMeaning
from memory_bank.strategies.retrieve.by_place import ByPlace
from memory_bank.strategies.retrieve.by_time import ByTime
from memory_bank.strategies.retrieve.chunks import Chunks
from memory_bank.strategies.retrieve.fused import Fused
from memory_bank.strategies.retrieve.graph import Graph
from memory_bank.strategies.retrieve.two_phase import TwoPhase

STRATEGIES: Mapping[str, type[Config]] = {
    "chunks": Chunks,
    "fused": Fused,
    "graph": Graph,
    "meaning": ByMeaning,
    "place": ByPlace,
    "time": ByTime,
    "two_phase": TwoPhase,
}
"""By the name that settings use."""
