"""A store that is opened again and again by one test, in a file unless a module says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from memory_bank.stores.protocol import Store
from memory_bank.stores.sqlite_store import SqliteStore
from store_contract import OpenStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "memory.db"


@pytest.fixture
def open_store(path: Path) -> Iterator[OpenStore]:
    opened: list[Store] = []

    def open_one(*, read_only: bool = False) -> Store:
        opened.append(SqliteStore(path, read_only=read_only))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
