from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.errors import StoreError
from memory_bank.episodes.search.blocks import Block, read_block, write_block
from memory_bank.episodes.search.codes import encode, to_exact


def make_block(n: int = 5, dim: int = 8) -> Block:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((n, dim)).astype(np.float32)
    whole, scales = to_exact(vectors)
    codes, factors = encode(vectors) if dim else (np.zeros((n, 0), np.uint8), np.zeros(n, np.float32))
    n_tracks = rng.integers(0, 4, n)
    return Block(
        first=1024,
        dim=dim,
        names=("day-1", "day-2"),
        indices=1024 + 2 * np.arange(n),
        stamps_ns=rng.integers(0, 10**18, n),
        sessions=rng.integers(0, 2, n).astype(np.int32),
        positions_m=rng.standard_normal((n, 3)).astype(np.float32),
        n_tracks=n_tracks.astype(np.int32),
        tracks=rng.integers(0, 99, int(n_tracks.sum())).astype(np.uint32),
        vectors=whole,
        scales=scales,
        codes=codes,
        factors=factors,
    )


@pytest.mark.parametrize(("n", "dim"), [(5, 8), (5, 0), (0, 8)])
def test_a_block_comes_back(n: int, dim: int) -> None:
    block = make_block(n, dim)
    back = read_block(1024, write_block(block))
    for field in fields(Block):
        assert np.array_equal(getattr(back, field.name), getattr(block, field.name)), field.name


@settings(max_examples=50)
@given(cut=st.integers(0, 400))
def test_a_block_that_was_cut_is_refused(cut: int) -> None:
    data = write_block(make_block())
    with pytest.raises(StoreError, match="keyframes from 1024: damaged"):
        read_block(1024, data[: min(cut, len(data) - 1)])


@pytest.mark.parametrize("data", [b"", b"\xff" * 40, write_block(make_block()) + b"\0"])
def test_what_is_no_block_is_refused(data: bytes) -> None:
    with pytest.raises(StoreError, match="damaged"):
        read_block(1024, data)


def test_columns_that_do_not_fit_together_are_refused() -> None:
    block = make_block()
    for name, value in (
        ("sessions", np.full(5, 7, np.int32)),
        ("n_tracks", np.zeros(5, np.int32)),
        ("indices", np.full(5, 1024)),
        ("positions_m", np.full((5, 3), np.nan, np.float32)),
    ):
        data = write_block(Block(**{**vars(block), name: value}))
        with pytest.raises(StoreError, match="do not fit together"):
            read_block(1024, data)


def test_a_newer_format_is_refused() -> None:
    data = write_block(make_block())
    assert b"\xa6format\x01" in data
    with pytest.raises(StoreError, match="expected format 1, got 2"):
        read_block(1024, data.replace(b"\xa6format\x01", b"\xa6format\x02", 1))
