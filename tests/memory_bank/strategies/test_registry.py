"""Strategies by name, as settings choose them."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from memory_bank.strategies import registry
from memory_bank.strategies.protocol import Encode, Manage, Retrieve, Store
from source_tree import ROOT

PROTOCOLS = {"encode": Encode, "store": Store, "retrieve": Retrieve, "manage": Manage}
FOLDER = ROOT / "memory_bank" / "strategies"


@pytest.mark.parametrize("kind", get_args(registry.Kind))
def test_every_file_is_a_strategy_that_can_be_had_by_name_and_is_documented(kind: registry.Kind) -> None:
    page = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")
    files = {path.stem for path in (FOLDER / kind).glob("*.py")} - {"__init__"}
    modules = set()
    for name in registry.names(kind):
        strategy = registry.get(kind, name)  # type: ignore[call-overload]
        assert isinstance(strategy, PROTOCOLS[kind])
        modules.add(Path(*type(strategy).__module__.split(".")).name)
        assert f"| `{name}` |" in page
    assert modules == files


def test_settings_reach_the_strategy() -> None:
    assert registry.settings_of("retrieve", "two_phase") == ("threshold", "n_candidates", "weight")
    assert registry.get("retrieve", "two_phase", {"threshold": 0.2}) != registry.get("retrieve", "two_phase")


def test_a_name_or_setting_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ValueError, match="fifo, lifo, lvfo, merge_similar, mvfo, reservoir; got 'magic'"):
        registry.get("store", "magic")
    with pytest.raises(ValueError, match=r"unknown field `k`.* it has constant, depth"):
        registry.get("retrieve", "fused", {"k": 3.0})
    with pytest.raises(ValueError, match="Expected `int`"):
        registry.get("retrieve", "fused", {"depth": 2.5})
