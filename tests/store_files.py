"""Memory files for tests, and what others do to them."""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path

from memory_bank.stores.protocol import Contents
from memory_bank.stores.sqlite_store import SqliteStore
from store_contract import comparable


def read(path: Path) -> Contents:
    store = SqliteStore(path, read_only=True)
    try:
        return store.load()
    finally:
        store.close()


def read_all(path: Path) -> dict[str, object]:
    """Return everything in a file, keyframes in blocks too."""
    store = SqliteStore(path, read_only=True)
    try:
        contents = comparable(store.load())
        return {**contents, "keyframes": store.keyframes(store.keyframe_indices())}
    finally:
        store.close()


def edit(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


def environment() -> dict[str, str]:
    """Return the environment of a process that imports what this one can."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
