"""Short codes of unit vectors, from which a dot product can be estimated with a known error.

Two bits a dimension after a random rotation, as in RaBitQ (Gao & Long, SIGMOD 2024) and its extension to several bits
(Gao et al., SIGMOD 2025): after the rotation the coordinates of any vector are spread like Gaussian ones, so that one
fixed quantiser suits all data and nothing is trained; a factor for each vector makes the estimate unbiased.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from embodied.arrays import Float, Int, UInt8

LANES = 32
"""Bytes that are worked on at once; a code is padded to a multiple."""
STEP = 0.9957
"""Of the best uniform quantiser with four levels for a Gaussian of variance one (Max, 1960)."""
MAX_DIM = 4096
EXACT_MAX = 32767
_SEED = 20_250_101


def padded(dim: int) -> int:
    """Return how many dimensions a code has: four to a byte, a multiple of ``LANES`` bytes."""
    return -(-dim // (4 * LANES)) * 4 * LANES


@lru_cache(maxsize=2)
def rotation(dim: int) -> Float[np.ndarray, "dim wide"]:
    """Return a fixed random matrix with orthogonal rows, by which vectors are multiplied to turn them."""
    gaussian = np.random.default_rng(_SEED).standard_normal((padded(dim), padded(dim)))
    q, r = np.linalg.qr(gaussian)
    # The signs that make the decomposition, and with it the matrix, the same everywhere.
    turned: np.ndarray = np.ascontiguousarray((q * np.sign(np.diagonal(r)))[:dim], dtype=np.float32)
    return turned


def encode(
    vectors: Float[np.ndarray, "n dim"],
) -> tuple[UInt8[np.ndarray, "n bytes"], Float[np.ndarray, " n"]]:
    """Return codes of vectors, and the factor of each.

    The dot product of a vector with a query is about ``factor * ((digits - 1.5) @ turned_query)``, with digits 0 to 3.
    Byte b of a code holds the digits b, b + bytes, b + 2 bytes and b + 3 bytes, from its lowest bits up. A zero vector
    has the factor 0.
    """
    n, dim = vectors.shape
    turned = vectors @ rotation(dim)
    norms = np.linalg.norm(vectors, axis=1)
    step = STEP * np.maximum(norms, 1e-30) / np.sqrt(turned.shape[1])
    digits = np.clip(np.floor(turned / step[:, None]) + 2, 0, 3).astype(np.uint8)
    along = np.einsum("nd,nd->n", digits.astype(np.float32) - 1.5, turned)
    # <x, q> ~ <code, q> |x|² / <code, x>
    factors = np.where(along > 0, norms**2 / np.maximum(along, 1e-30), 0.0).astype(np.float32)
    quarters = digits.reshape(n, 4, turned.shape[1] // 4)
    codes = quarters[:, 0] | quarters[:, 1] << 2 | quarters[:, 2] << 4 | quarters[:, 3] << 6
    return np.ascontiguousarray(codes), factors


def error_of(dim: int) -> float:
    """Return the standard deviation of an estimate, over the length of the query's part across the vector.

    The quantiser leaves 0.1188 of the variance (Max, 1960): the angle between a vector and its code is the same for
    all but a little, and the error is what of the query falls on the code's part across the vector.
    """
    kept = 1.0 - 0.1188
    return float(np.sqrt((1.0 - kept) / kept / max(padded(dim) - 1, 1)))


def prepare(query: Float[np.ndarray, " dim"]) -> tuple[Int[np.ndarray, " wide"], float, float]:
    """Return a query turned and in whole numbers up to ±127, what 1.5 of each sum to, and the unit of the numbers."""
    turned = query @ rotation(len(query))
    unit = max(float(np.abs(turned).max()), 1e-30) / 127.0
    whole = np.rint(turned / unit).astype(np.int8)
    return whole, 1.5 * float(whole.astype(np.int64).sum()), unit


def to_exact(
    vectors: Float[np.ndarray, "n dim"],
) -> tuple[Int[np.ndarray, "n dim"], Float[np.ndarray, " n"]]:
    """Return vectors in int16 with a scale each: finer than float16 for these, and quickly turned back to float32."""
    scales = (np.abs(vectors).max(axis=1, initial=0.0) / EXACT_MAX).astype(np.float32)
    whole = np.rint(vectors / np.where(scales > 0, scales, 1.0)[:, None])
    return whole.astype(np.int16), scales
