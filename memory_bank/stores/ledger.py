"""Which rows a store has: the checksum of each, and the digests over them that every commit carries.

A row is checked against its checksum, its checksum against this ledger, and the ledger, when a store is opened, against
the digest that the last commit left. So a changed byte, a lost row and a row from an earlier commit are all found. The
checksums of keyframes that lie in a block are kept by the block's row, eight bytes each, so that nothing has to be read
of a million keyframes to open a store.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from memory_bank.stores.protocol import KEYFRAMES_PER_BLOCK

Key = str | int

COLUMNS: dict[str, tuple[str, ...]] = {
    "meta": (),
    "sessions": ("world_frame", "start_ns", "end_ns"),
    "tracks": (
        "label", "state", "confirmed", "x_m", "y_m", "z_m", "existence", "first_seen_ns", "last_seen_ns",
    ),
    "keyframes": ("session", "seq", "stamp_ns"),
    "keyframe_blocks": ("checksums",),
    "maps": (),
    "rooms": (),
}  # fmt: skip
"""The tables with checksums: their columns between ``key`` and ``body``."""
KEYFRAMES = "keyframes"
BLOCKS = "keyframe_blocks"
CHECKSUM_BYTES = 8
_NONE = bytes(CHECKSUM_BYTES)
"""In a block: no such keyframe."""


def names(table: str) -> tuple[str, ...]:
    """Return the columns of a table in the order of its rows, without the checksum."""
    return ("key", *COLUMNS[table], "body")


def row_checksum(table: str, row: Sequence[Any]) -> bytes:
    """Return 8 bytes over everything in a row, its table's name included."""
    if table == BLOCKS:
        # Most of a megabyte, a thousand of them when a large store is opened: a CRC is six times as fast as the hash.
        row = (*row[:-1], len(row[-1]), zlib.crc32(row[-1]))
    return hashlib.blake2b(msgspec.msgpack.encode((table, *row)), digest_size=CHECKSUM_BYTES).digest()


def block_of(index: int) -> int:
    """Return the index of the first keyframe of the block that a keyframe belongs to."""
    return index // KEYFRAMES_PER_BLOCK * KEYFRAMES_PER_BLOCK


class Digest(msgspec.Struct):
    """Which rows a table has."""

    n_rows: int = 0
    checksums: int = 0
    """Exclusive or of the rows' checksums."""

    def add(self, checksum: bytes) -> None:
        """Count a row."""
        self.n_rows += 1
        self.checksums ^= int.from_bytes(checksum, "little")

    def take(self, checksum: bytes) -> None:
        """Count a row no more."""
        self.n_rows -= 1
        self.checksums ^= int.from_bytes(checksum, "little")


class Ledger:
    """The rows of a store as of one commit."""

    def __init__(self, commit: int = 0) -> None:
        self.commit = commit
        """How many batches were written."""
        self.rows: dict[str, dict[Key, bytes]] = {table: {} for table in COLUMNS}
        """Checksums by table and key; of keyframes only those in no block."""
        self.blocks: dict[int, bytes] = {}
        """Of each block the checksums of its keyframes, in order; zeros where there is none."""
        self.digests: dict[str, Digest] = {table: Digest() for table in COLUMNS}
        """What the last commit says that the rows are."""

    @property
    def tail_start(self) -> int:
        """Index from which on keyframes are in no block."""
        return len(self.blocks) * KEYFRAMES_PER_BLOCK

    def keyframe(self, index: int) -> bytes | None:
        """Return the checksum of a keyframe, None if there is no such keyframe."""
        block = self.blocks.get(block_of(index))
        if block is None:
            return self.rows[KEYFRAMES].get(index)
        start = (index - block_of(index)) * CHECKSUM_BYTES
        found = block[start : start + CHECKSUM_BYTES]
        return None if found == _NONE else found

    def keyframe_indices(self) -> list[int]:
        """Return the indices of all keyframes, in order."""
        found: list[int] = []
        for first, block in sorted(self.blocks.items()):
            found += (np.flatnonzero(np.frombuffer(block, dtype=np.uint64)) + first).tolist()
        return found + sorted(int(key) for key in self.rows[KEYFRAMES])

    def count(self) -> dict[str, Digest]:
        """Return the digest that each table should have, from its rows."""
        found = {table: Digest() for table in COLUMNS}
        for table, rows in self.rows.items():
            for checksum in rows.values():
                found[table].add(checksum)
        return found


class Changes:
    """What one batch changes in a ledger, which stays as it is until ``apply``."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.digests = {table: msgspec.structs.replace(digest) for table, digest in ledger.digests.items()}
        self._rows: dict[str, dict[Key, bytes | None]] = {}
        self._blocks: dict[int, bytearray] = {}
        self._sealed: set[int] = set()

    def put(self, table: str, key: Key, checksum: bytes | None) -> None:
        """Note a row that was written, or, with None, taken out."""
        if table == KEYFRAMES and block_of(int(key)) in self._ledger.blocks:
            self._place(int(key), checksum or _NONE)
        else:
            self._account(table, key, checksum)

    def _place(self, index: int, checksum: bytes) -> None:
        first = block_of(index)
        start = (index - first) * CHECKSUM_BYTES
        self._block(first)[start : start + CHECKSUM_BYTES] = checksum

    def _block(self, first: int) -> bytearray:
        if first not in self._blocks:
            self._blocks[first] = bytearray(self._ledger.blocks.get(first, _NONE * KEYFRAMES_PER_BLOCK))
        return self._blocks[first]

    def seal(self, first: int) -> bytes:
        """Let a block, new or old, hold the checksums of its keyframes, and return these.

        Raises:
            ValueError: This is not the first index of a block, or the blocks before it are missing.
        """
        n_blocks = len(self._ledger.blocks.keys() | self._sealed)
        if first % KEYFRAMES_PER_BLOCK or not 0 <= first <= n_blocks * KEYFRAMES_PER_BLOCK:
            raise ValueError(
                f"keyframe_blocks: expected multiples of {KEYFRAMES_PER_BLOCK}, at most "
                f"{n_blocks * KEYFRAMES_PER_BLOCK} next, got {first}"
            )
        if first not in self._ledger.blocks:
            for index in range(first, first + KEYFRAMES_PER_BLOCK):
                checksum = self._current(KEYFRAMES, index)
                if checksum is not None:
                    self._place(index, checksum)
                    self._account(KEYFRAMES, index, None)
        self._sealed.add(first)
        return bytes(self._block(first))

    def check_sealed(self) -> None:
        """Make sure that no block was left as it was although its keyframes changed.

        Raises:
            ValueError: One was.
        """
        stale = sorted(self._blocks.keys() - self._sealed)
        if stale:
            raise ValueError(f"keyframe_blocks: expected blocks {stale} anew, whose keyframes the batch changes")

    def _current(self, table: str, key: Key) -> bytes | None:
        changed = self._rows.get(table, {})
        return changed[key] if key in changed else self._ledger.rows[table].get(key)

    def _account(self, table: str, key: Key, checksum: bytes | None) -> None:
        old = self._current(table, key)
        if old is not None:
            self.digests[table].take(old)
        if checksum is not None:
            self.digests[table].add(checksum)
        self._rows.setdefault(table, {})[key] = checksum

    def apply(self, commit: int) -> None:
        """Bring the ledger up to date: the batch is on disk."""
        for table, rows in self._rows.items():
            for key, checksum in rows.items():
                if checksum is None:
                    self._ledger.rows[table].pop(key, None)
                else:
                    self._ledger.rows[table][key] = checksum
        for first in self._sealed:
            self._ledger.blocks[first] = bytes(self._blocks.get(first, _NONE * KEYFRAMES_PER_BLOCK))
        self._ledger.digests, self._ledger.commit = self.digests, commit
