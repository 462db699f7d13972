"""Opens a store by its name: a file, or a memory in a PostgreSQL database."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from memory_bank.stores.protocol import Store
from memory_bank.stores.sqlite_store import SqliteStore

DATABASE_SCHEMES = ("postgresql://", "postgres://")


def is_database(target: Path | str) -> bool:
    """Tell whether a memory lies in a database rather than in a file."""
    return str(target).startswith(DATABASE_SCHEMES)


def has_password(target: str) -> bool:
    """Tell whether a database's address carries a password, which is nothing to be written down."""
    return is_database(target) and (urlsplit(target).password is not None or "password=" in target)


def open_store(target: Path | str, *, read_only: bool = False) -> Store:
    """Open a memory; for writing also make a new one.

    Args:
        target: A file, or ``postgresql://USER@HOST/DATABASE?memory=NAME``.
        read_only: Whether to read what may be another process's.

    Raises:
        ConfigurationError: A database is meant, and its driver is not installed.
        StoreError: It is not there (to read), damaged, newer than this program, or another process is writing to it.
        ValueError: No memory can be called so.
    """
    if is_database(target):
        from memory_bank.stores.postgres_store import PostgresStore

        return PostgresStore(str(target), read_only=read_only)
    return SqliteStore(target, read_only=read_only)
