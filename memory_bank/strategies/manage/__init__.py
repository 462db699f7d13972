"""What a new note does to the others. A strategy is a structure of its settings that can be called (``Manage``)."""

from __future__ import annotations

from collections.abc import Mapping

from embodied.config import Config
from memory_bank.strategies.manage.failures_apart import FailuresApart
from memory_bank.strategies.manage.operations import Operations
from memory_bank.strategies.manage.utility import Utility

STRATEGIES: Mapping[str, type[Config]] = {
    "failures_apart": FailuresApart,
    "operations": Operations,
    "utility": Utility,
}
"""By the name that settings use."""
