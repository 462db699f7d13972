"""What leaves a full memory. A strategy is a structure of its settings that can be called (``Store``)."""

from __future__ import annotations

from collections.abc import Mapping

from embodied.config import Config
from memory_bank.strategies.store.fifo import Fifo
from memory_bank.strategies.store.lifo import Lifo
from memory_bank.strategies.store.lvfo import Lvfo
from memory_bank.strategies.store.merge_similar import MergeSimilar
from memory_bank.strategies.store.mvfo import Mvfo
from memory_bank.strategies.store.reservoir import Reservoir

STRATEGIES: Mapping[str, type[Config]] = {
    "fifo": Fifo,
    "lifo": Lifo,
    "lvfo": Lvfo,
    "merge_similar": MergeSimilar,
    "mvfo": Mvfo,
    "reservoir": Reservoir,
}
"""By the name that settings use."""
