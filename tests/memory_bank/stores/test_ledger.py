"""The ledger of a store: whatever is written in whatever order, it knows every row, and its digests are theirs."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_bank.stores import ledger as ledger_module
from memory_bank.stores.ledger import BLOCKS, KEYFRAMES, Changes, Ledger, row_checksum

N = 4
"""Keyframes in a block, here."""


@pytest.fixture(autouse=True, scope="module")
def small_blocks() -> Iterator[None]:
    with mock.patch.object(ledger_module, "KEYFRAMES_PER_BLOCK", N):
        yield


def checksum(table: str, key: object, value: int) -> bytes:
    return row_checksum(table, (key, bytes([value])))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("track"), st.integers(0, 3), st.integers(0, 3)),
        st.tuples(st.just("keyframe"), st.integers(0, 11), st.integers(0, 3)),
        st.tuples(st.just("seal"), st.integers(0, 2), st.integers(0, 3)),
        st.tuples(st.just("fail"), st.integers(0, 11), st.integers(0, 3)),
    ),
    max_size=40,
)


@given(STEPS)
@settings(max_examples=50)
def test_it_knows_every_row(steps: list[tuple[str, int, int]]) -> None:
    ledger = Ledger()
    tracks: dict[str, bytes] = {}
    keyframes: dict[int, bytes] = {}
    n_blocks = 0
    for commit, (kind, number, value) in enumerate(steps, 1):
        changes = Changes(ledger)
        if kind == "track":
            key = f"o{number}"
            # A value of zero takes the row out.
            changes.put("tracks", key, checksum("tracks", key, value) if value else None)
            tracks.pop(key, None)
            if value:
                tracks[key] = checksum("tracks", key, value)
        elif kind == "keyframe":
            found = checksum(KEYFRAMES, number, value) if value else None
            changes.put(KEYFRAMES, number, found)
            if number < n_blocks * N:
                changes.put(BLOCKS, number // N * N, checksum(BLOCKS, changes.seal(number // N * N), value))
            keyframes.pop(number, None)
            if found:
                keyframes[number] = found
        elif kind == "seal":
            changes.put(BLOCKS, n_blocks * N, checksum(BLOCKS, changes.seal(n_blocks * N), value))
            n_blocks += 1
        else:
            # A batch that is given up leaves nothing behind.
            changes.put(KEYFRAMES, number, checksum(KEYFRAMES, number, value))
            continue
        changes.check_sealed()
        changes.apply(commit)
        assert ledger.commit == commit
        assert ledger.digests == ledger.count()
        assert ledger.rows["tracks"] == tracks
        assert ledger.keyframe_indices() == sorted(keyframes)
        assert {index: ledger.keyframe(index) for index in keyframes} == keyframes
        assert ledger.keyframe(99) is None
        assert set(ledger.rows[KEYFRAMES]) == {index for index in keyframes if index >= n_blocks * N}


def test_a_block_does_not_change_behind_its_back() -> None:
    ledger = Ledger()
    changes = Changes(ledger)
    changes.put(KEYFRAMES, 1, b"checksum")
    changes.seal(0)
    changes.check_sealed()
    changes.apply(1)
    changes = Changes(ledger)
    changes.put(KEYFRAMES, 1, None)
    with pytest.raises(ValueError, match=r"expected blocks \[0\] anew"):
        changes.check_sealed()
    assert ledger.keyframe(1) == b"checksum"


@pytest.mark.parametrize("change", [{"table": "maps"}, {"row": ("k", b"y")}, {"row": ("j", b"x")}])
def test_a_checksum_is_of_table_key_and_body(change: dict[str, object]) -> None:
    arguments: dict[str, object] = {"table": "rooms", "row": ("k", b"x")}
    before = row_checksum(**arguments)  # type: ignore[arg-type]
    assert len(before) == 8
    assert row_checksum(**{**arguments, **change}) != before  # type: ignore[arg-type]


@pytest.mark.parametrize("row", [(0, b"s", b"bodz"), (0, b"t", b"body"), (4, b"s", b"body"), (0, b"s", b"body\0")])
def test_so_is_that_of_a_block(row: tuple[object, ...]) -> None:
    assert row_checksum(BLOCKS, row) != row_checksum(BLOCKS, (0, b"s", b"body"))
