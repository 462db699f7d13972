from __future__ import annotations

import ctypes

import numpy as np
import pytest

from memory_bank.episodes.search.vectors import ADOPTED_ROWS, CHUNK_ROWS, VectorRows

DIM = 5


def numbered(first: int, n: int) -> np.ndarray:
    return np.repeat(np.arange(first, first + n, dtype=np.int16)[:, None], DIM, axis=1)


def read_at(address: int) -> list[int]:
    """What lies in memory there."""
    return list((ctypes.c_int16 * DIM).from_address(address))


@pytest.fixture
def rows() -> VectorRows:
    """1,800 rows that came one by one, many at once as bytes that were read, and a few at a time."""
    rows = VectorRows(DIM)
    for row in range(3):
        rows.extend(numbered(row, 1))
    rows.extend(np.frombuffer(numbered(3, 500).tobytes(), dtype=np.int16).reshape(-1, DIM))
    for first in range(503, 1800, ADOPTED_ROWS - 1):
        rows.extend(numbered(first, min(ADOPTED_ROWS - 1, 1800 - first)))
    return rows


def check(rows: VectorRows, right: list[int]) -> None:
    assert len(rows) == len(right)
    some = np.random.default_rng(0).permutation(len(right))
    assert rows.take(some)[:, DIM - 1].tolist() == [right[row] for row in some]
    assert [read_at(int(rows.addresses.rows[row])) for row in some[:50]] == [[right[row]] * DIM for row in some[:50]]


def test_rows_are_where_their_addresses_say(rows: VectorRows) -> None:
    check(rows, list(range(1800)))


def test_addresses_stay_while_rows_come(rows: VectorRows) -> None:
    before = rows.addresses.rows.tolist()
    rows.extend(numbered(1800, 3 * CHUNK_ROWS))
    rows.extend(numbered(1800 + 3 * CHUNK_ROWS, 2))
    assert rows.addresses.rows[:1800].tolist() == before
    check(rows, list(range(1802 + 3 * CHUNK_ROWS)))


def test_cleared_rows_are_zeros_in_memory(rows: VectorRows) -> None:
    gone = [1, 4, 400, 1700]
    rows.clear(np.array(gone))
    check(rows, [0 if row in gone else row for row in range(1800)])


def test_dropped_rows_leave_the_others_in_order(rows: VectorRows) -> None:
    kept = np.arange(1800) % 3 == 1
    size = rows.n_bytes
    rows.keep(kept)
    check(rows, np.flatnonzero(kept).tolist())
    rows.extend(numbered(7, 2))
    check(rows, [*np.flatnonzero(kept).tolist(), 7, 8])
    assert rows.n_bytes < size
