from __future__ import annotations

import numpy as np
import pytest

from memory_bank.episodes.search.codes import encode, error_of, padded, prepare, rotation, to_exact


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def digits_of(codes: np.ndarray) -> np.ndarray:
    return np.concatenate([codes & 3, codes >> 2 & 3, codes >> 4 & 3, codes >> 6], axis=1).astype(float)


def estimates(codes: np.ndarray, factors: np.ndarray, query: np.ndarray) -> np.ndarray:
    turned, offset, unit = prepare(query)
    found: np.ndarray = (digits_of(codes) @ turned.astype(float) - offset) * factors * unit
    return found


@pytest.mark.parametrize("dim", [100, 384])
def test_estimates_are_unbiased_and_err_as_much_as_is_told(dim: int, rng: np.random.Generator) -> None:
    vectors = rng.standard_normal((3000, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # Vectors that are anything but spread out: after the turn they are like others.
    vectors[:1000] = np.eye(dim, dtype=np.float32)[rng.integers(0, dim, 1000)]
    query = rng.standard_normal(dim).astype(np.float32)
    query /= np.linalg.norm(query)
    errors = estimates(*encode(vectors), query) - vectors @ query
    assert abs(errors.mean()) < 4 * error_of(dim) / np.sqrt(2000)
    assert np.std(errors) == pytest.approx(error_of(dim), rel=0.1)


def test_turning_keeps_lengths_and_angles() -> None:
    turn = rotation(100)
    assert turn.shape == (100, padded(100)) == (100, 128)
    assert turn @ turn.T == pytest.approx(np.eye(100), abs=1e-5)


def test_exact_vectors_are_closer_than_float16(rng: np.random.Generator) -> None:
    vectors = rng.standard_normal((50, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    whole, scales = to_exact(vectors)
    error = np.abs(whole * scales[:, None] - vectors).max()
    assert error < np.abs(vectors.astype(np.float16).astype(np.float32) - vectors).max()


def test_zero_vectors_are_like_nothing(rng: np.random.Generator) -> None:
    codes, factors = encode(np.zeros((2, 24), dtype=np.float32))
    assert estimates(codes, factors, rng.standard_normal(24).astype(np.float32)) == pytest.approx(0.0)
