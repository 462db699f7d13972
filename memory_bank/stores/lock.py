"""Who may write to a memory file, and how far the last writer came.

Beside ``memory.db`` a writer holds ``memory.db.lock`` locked, and notes in it the number of each commit once it is on
disk. A writer that ends well takes the file away; after a ``kill -9`` the number stays, and tells whether the database
still has everything that was acknowledged: a damaged write-ahead log otherwise looks like one that was never longer.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

from embodied.errors import StoreError

_FORMAT = struct.Struct("<8sQ")
_MAGIC = b"EMBlock1"


def lock_path(path: Path) -> Path:
    """Return the lock file of a memory file."""
    return path.with_name(path.name + ".lock")


def last_acknowledged(path: Path) -> int:
    """Return the last commit that a writer, running or killed, has acknowledged; 0 if none says."""
    try:
        data = lock_path(path).read_bytes()
    except OSError:
        return 0
    if len(data) != _FORMAT.size:
        return 0
    magic, number = _FORMAT.unpack(data)
    return int(number) if magic == _MAGIC else 0


class WriterLock:
    """Held by the one process that may write."""

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Raises:
            StoreError: Another process holds it, or the directory cannot be written to.
        """
        self.path = lock_path(path)
        while True:
            try:
                self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise StoreError(f"memory {path}: cannot be written to: {error}") from error
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(self._file)
                raise StoreError(f"memory {path}: another process is writing to it") from error
            if self._is_current():
                return
            os.close(self._file)  # its last holder took the file away after we had opened it

    def _is_current(self) -> bool:
        try:
            return os.fstat(self._file).st_ino == self.path.stat().st_ino
        except OSError:
            return False

    def note(self, commit: int) -> None:
        """Note that a commit is on disk."""
        os.pwrite(self._file, _FORMAT.pack(_MAGIC, commit), 0)

    def release(self, *, clean: bool) -> None:
        """Give the lock back; ``clean`` if everything is in the database itself."""
        if clean:
            self.path.unlink(missing_ok=True)
        os.close(self._file)
