"""Rows of int16 in chunks that never move: those of a stored block stay the bytes that were read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from embodied.arrays import Bool, Int
from memory_bank.episodes.search.columns import Column

CHUNK_ROWS = 1024
ADOPTED_ROWS = 256
"""So many rows that come together become a chunk as they are, without a copy."""


class VectorRows:
    """Vectors by row, and for the compiled loops where each lies in memory (``addresses``)."""

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._begin()

    def _begin(self) -> None:
        self._chunks: list[np.ndarray] = []
        self._room = 0
        """Rows that still fit into the last chunk."""
        self.addresses = Column(np.int64)
        self._chunk = Column(np.int32)
        self._place = Column(np.int32)

    def __len__(self) -> int:
        return len(self.addresses)

    @property
    def n_bytes(self) -> int:
        """Memory taken."""
        return sum(chunk.nbytes for chunk in self._chunks) + sum(column.n_bytes for column in self._columns)

    @property
    def _columns(self) -> tuple[Column, ...]:
        return self.addresses, self._chunk, self._place

    def reserve(self, n_rows: int) -> None:
        """Make room for so many rows in all, but for the vectors, which come in chunks."""
        for column in self._columns:
            column.reserve(n_rows)

    def extend(self, rows: Int[np.ndarray, "n dim"]) -> None:
        """Append rows. Many together are kept as they are, and must not be changed afterwards."""
        rows = np.ascontiguousarray(rows, dtype=np.int16)
        if len(rows) >= ADOPTED_ROWS:
            self._chunks.append(rows)
            self._room = 0
            self._number(np.arange(len(rows)))
            return
        while len(rows):
            if not self._room:
                self._chunks.append(np.zeros((CHUNK_ROWS, self._dim), dtype=np.int16))
                self._room = CHUNK_ROWS
            n, first = min(len(rows), self._room), CHUNK_ROWS - self._room
            self._chunks[-1][first : first + n] = rows[:n]
            self._room -= n
            self._number(np.arange(first, first + n))
            rows = rows[n:]

    def _number(self, places: Int[np.ndarray, " n"]) -> None:
        """Note that rows lie at some places of the last chunk."""
        self._chunk.extend(np.full(len(places), len(self._chunks) - 1))
        self._place.extend(places)
        self.addresses.extend(self._addresses(len(self._chunks) - 1, places))

    def _addresses(self, number: int, places: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        return self._chunks[number].ctypes.data + places.astype(np.int64) * 2 * self._dim

    def _runs(self, rows: Int[np.ndarray, " n"]) -> Iterator[tuple[int, Int[np.ndarray, " run"]]]:
        """Yield the numbers of chunks, and which of the rows lie in each."""
        chunks = self._chunk.rows[rows]
        order = np.argsort(chunks, kind="stable")
        bounds = np.flatnonzero(np.diff(chunks[order])) + 1
        for run in np.split(order, bounds):
            if len(run):
                yield int(chunks[run[0]]), run

    def take(self, rows: Int[np.ndarray, " n"]) -> Int[np.ndarray, "n dim"]:
        """Return some rows."""
        taken = np.empty((len(rows), self._dim), dtype=np.int16)
        for number, run in self._runs(rows):
            taken[run] = self._chunks[number][self._place.rows[rows[run]]]
        return taken

    def clear(self, rows: Int[np.ndarray, " n"]) -> None:
        """Overwrite rows with zeros; bytes that were read are left to go, copied without these rows."""
        for number, run in self._runs(rows):
            if not self._chunks[number].flags.writeable:
                self._put(number, self._chunks[number].copy())
            self._chunks[number][self._place.rows[rows[run]]] = 0

    def _put(self, number: int, chunk: np.ndarray) -> None:
        """Put another array in the place of a chunk, its rows at the places that are noted."""
        self._chunks[number] = chunk
        inside = np.flatnonzero(self._chunk.rows == number)
        self.addresses.rows[inside] = self._addresses(number, self._place.rows[inside])

    def keep(self, kept: Bool[np.ndarray, " n"]) -> None:
        """Drop all rows but those marked, and the memory of the others."""
        rows = np.flatnonzero(kept)
        taken = [self._chunks[number][self._place.rows[rows[run]]] for number, run in self._runs(rows)]
        self._begin()
        for chunk in taken:
            self.extend(chunk)
