from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.messages import Box
from memory_bank.episodes.search import index as index_module
from memory_bank.episodes.search.index import Conditions, EpisodeIndex, load_compiled

DIM = 24
COMPILED = pytest.param(True, marks=pytest.mark.skipif(load_compiled() is None, reason="needs numba and AVX2"))
both_ways = pytest.mark.parametrize("compiled", [False, COMPILED])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


class Rows:
    """Rows as plain arrays, searched by brute force in float64."""

    def __init__(self, rng: np.random.Generator, n: int, *, in_order: bool = True, dim: int = DIM) -> None:
        stamps = rng.integers(0, 1000, n)
        self.stamps_ns = np.sort(stamps) if in_order else stamps
        self.sessions = rng.integers(0, 4, n)
        self.positions_m = rng.uniform(0.0, 4.0, (n, 3)).astype(np.float32)
        self.vectors = rng.standard_normal((n, dim)).astype(np.float32)
        self.vectors /= np.linalg.norm(self.vectors, axis=1, keepdims=True)
        self.alive = np.ones(n, dtype=bool)

    def put(self, index: EpisodeIndex, rows: slice = slice(None)) -> None:
        index.extend(self.stamps_ns[rows], self.sessions[rows], self.positions_m[rows], self.vectors[rows])

    def select(self, c: Conditions) -> np.ndarray:
        fits = self.alive.copy()
        if c.since_ns is not None:
            fits &= self.stamps_ns >= c.since_ns
        if c.until_ns is not None:
            fits &= self.stamps_ns <= c.until_ns
        if c.sessions is not None:
            fits &= np.isin(self.sessions, list(c.sessions))
        if c.rows is not None:
            fits &= np.isin(np.arange(len(fits)), c.rows)
        positions_m = self.positions_m.astype(float)
        if c.near_m is not None:
            fits &= np.linalg.norm(positions_m - np.array(c.near_m), axis=1) <= c.radius_m
        if c.box is not None:
            turn = np.exp(-1j * c.box.yaw_rad)
            offset = positions_m - np.array(c.box.center_m)
            flat = (offset[:, 0] + 1j * offset[:, 1]) * turn
            own = np.column_stack([flat.real, flat.imag, offset[:, 2]])
            fits &= (np.abs(own) <= np.array(c.box.size_m) / 2).all(axis=1)
        return np.flatnonzero(fits)

    def scores(self, vector: np.ndarray) -> np.ndarray:
        scores: np.ndarray = self.vectors.astype(float) @ (vector / np.linalg.norm(vector)).astype(float)
        return scores


def make(rows: Rows, compiled: bool) -> EpisodeIndex:
    index = EpisodeIndex(rows.vectors.shape[1], compiled=compiled)
    rows.put(index)
    return index


def check(index: EpisodeIndex, rows: Rows, vector: np.ndarray, k: int, conditions: Conditions) -> None:
    """Compare with brute force; rows whose scores differ by rounding alone may change places."""
    right = rows.select(conditions)
    assert index.select(conditions).tolist() == right.tolist()
    found, scores = index.search(vector, k, conditions)
    exact = rows.scores(vector)
    assert len(found) == len(set(found.tolist())) == min(k, len(right))
    assert set(found.tolist()) <= set(right.tolist())
    assert scores == pytest.approx(exact[found], abs=1e-4)
    assert np.sort(exact[found])[::-1] == pytest.approx(np.sort(exact[right])[::-1][:k], abs=1e-4)


CONDITIONS = st.builds(
    Conditions,
    since_ns=st.none() | st.integers(-10, 1010),
    until_ns=st.none() | st.integers(-10, 1010),
    box=st.none()
    | st.builds(
        Box,
        center_m=st.tuples(*[st.floats(0.0, 4.0)] * 3),
        size_m=st.tuples(*[st.floats(0.5, 4.0)] * 3),
        yaw_rad=st.sampled_from([0.0, 0.7]),
    ),
    near_m=st.none() | st.tuples(*[st.floats(0.0, 4.0)] * 3),
    radius_m=st.floats(0.5, 4.0),
    sessions=st.none() | st.frozensets(st.integers(0, 5)),
    rows=st.none() | st.just(np.arange(0, 300, 3)),
)


@both_ways
@settings(max_examples=40)
@given(conditions=CONDITIONS, in_order=st.booleans(), k=st.integers(1, 12), seed=st.integers(0, 99))
def test_any_conditions_find_what_brute_force_finds(
    compiled: bool, conditions: Conditions, in_order: bool, k: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = Rows(rng, 300, in_order=in_order)
    index = make(rows, compiled)
    check(index, rows, rng.standard_normal(DIM), k, conditions)


@pytest.mark.parametrize("kind", ["random", "clustered", "equal"])
@pytest.mark.parametrize("dim", [DIM, 384, 520])
def test_many_rows_are_narrowed_down_by_their_codes(dim: int, kind: str, rng: np.random.Generator) -> None:
    if load_compiled() is None:
        pytest.skip("needs numba and AVX2")
    rows = Rows(rng, 4000, dim=dim)
    if kind == "clustered":
        rows.vectors = rows.vectors[rng.integers(0, 20, 4000)] + 0.2 * rows.vectors
        rows.vectors /= np.linalg.norm(rows.vectors, axis=1, keepdims=True)
    if kind == "equal":
        rows.vectors[:] = rows.vectors[0]
    index = make(rows, compiled=True)
    for conditions in (Conditions(), Conditions(since_ns=200, until_ns=800), Conditions(sessions=frozenset({1, 2}))):
        assert len(index.select(conditions)) > index_module.FEW
        for _ in range(5):
            check(index, rows, rng.standard_normal(dim), 10, conditions)
    if kind == "equal":
        assert index.search(rows.vectors[0], 10)[0].tolist() == list(range(10))


@pytest.mark.skipif(load_compiled() is None, reason="needs numba and AVX2")
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60), st.data())
def test_the_kth_largest_is_that_of_the_sorted(numbers: list[int], data: st.DataObject) -> None:
    compiled = load_compiled()
    assert compiled is not None
    k = data.draw(st.integers(1, len(numbers)))
    values = np.array(numbers, dtype=np.float32)
    assert compiled.kth_largest(values, k) == sorted(numbers)[-k]
    assert sorted(values.tolist()) == sorted(numbers)


@both_ways
def test_rows_can_come_and_go_between_searches(compiled: bool, rng: np.random.Generator) -> None:
    rows = Rows(rng, 400)
    index = EpisodeIndex(DIM, compiled=compiled)
    rows.alive[:] = False
    for start in range(0, 400, 50):
        rows.put(index, slice(start, start + 50))
        rows.alive[start : start + 50] = True
        gone = rng.choice(start + 50, 7, replace=False)
        index.forget(gone)
        rows.alive[gone] = False
        check(index, rows, rng.standard_normal(DIM), 5, Conditions())
        check(index, rows, rng.standard_normal(DIM), 5, Conditions(since_ns=100, near_m=(2.0, 2.0, 2.0), radius_m=2.0))
    assert index.n_dead == 400 - np.count_nonzero(rows.alive)


def test_what_is_forgotten_is_overwritten_and_can_be_dropped(rng: np.random.Generator) -> None:
    rows = Rows(rng, 20)
    index = make(rows, compiled=False)
    index.forget(np.array([3, 4, 3]))
    assert not index.vectors.take(np.array([3, 4])).any()
    assert not index.codes.rows[3:5].any()
    assert not index.positions_m[3:5].any()
    assert index.compact().tolist() == [row not in (3, 4) for row in range(20)]
    assert len(index) == 18
    assert index.search(rows.vectors[5], 1)[0].tolist() == [3]


@both_ways
def test_rows_without_a_vector_are_selected_but_not_found(compiled: bool, rng: np.random.Generator) -> None:
    rows = Rows(rng, 30)
    index = EpisodeIndex(DIM, compiled=compiled)
    index.extend(np.arange(5), np.zeros(5, int), np.ones((5, 3)))
    rows.stamps_ns += 5
    rows.put(index)
    assert len(index.select(Conditions())) == 35
    # All others are less than nothing alike.
    opposite = -rows.vectors.sum(axis=0)
    assert set(index.search(opposite, 35)[0].tolist()) == set(range(5, 35))


def test_of_equals_the_earlier_comes_first(rng: np.random.Generator) -> None:
    rows = Rows(rng, 50)
    rows.vectors[20:30] = rows.vectors[7]
    index = make(rows, compiled=False)
    assert index.search(rows.vectors[7], 4)[0].tolist() == [7, 20, 21, 22]


def test_moved_rows_are_found_where_they_are(rng: np.random.Generator) -> None:
    rows = Rows(rng, 10)
    index = make(rows, compiled=False)
    index.move(np.array([2]), np.array([[9.0, 9.0, 9.0]]))
    assert index.select(Conditions(near_m=(9.0, 9.0, 9.0), radius_m=0.1)).tolist() == [2]


@pytest.mark.parametrize(
    ("vector", "k", "told"),
    [
        (np.ones(DIM + 1), 1, "expected shape"),
        (np.full(DIM, np.nan), 1, "finite"),
        (np.full(DIM, np.inf), 1, "finite"),
        (np.zeros(DIM), 1, "not all zero"),
        (np.ones(DIM), 0, "k: expected at least 1"),
    ],
)
def test_bad_questions_are_refused(vector: np.ndarray, k: int, told: str, rng: np.random.Generator) -> None:
    index = make(Rows(rng, 5), compiled=False)
    with pytest.raises(ValueError, match=told):
        index.search(vector, k)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"vectors": np.full((2, DIM), np.nan)}, "finite"),
        ({"vectors": np.ones((2, DIM - 1))}, "expected shape"),
        ({"positions_m": np.full((2, 3), np.inf)}, "finite"),
    ],
)
def test_bad_rows_are_refused_and_nothing_is_appended(
    changed: dict[str, Any], told: str, rng: np.random.Generator
) -> None:
    index = make(Rows(rng, 5), compiled=False)
    good = {"stamps_ns": np.arange(2), "sessions": np.zeros(2, int), "positions_m": np.ones((2, 3))}
    with pytest.raises(ValueError, match=told):
        index.extend(**{**good, "vectors": np.ones((2, DIM)), **changed})
    assert len(index) == 5
    assert index.search(np.ones(DIM), 9)[0].max() < 5


def test_an_empty_index_answers(rng: np.random.Generator) -> None:
    found, scores = EpisodeIndex(DIM, compiled=False).search(np.ones(DIM), 3)
    assert len(found) == len(scores) == 0
