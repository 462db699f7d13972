"""Made-up keyframes to search among, and questions about them, for ``benchmark_recall.py``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

START_S = 1_767_603_600.0
HOUSE_M = (20.0, 12.0)
BOX_M = 3.0
"""Side of the region asked for: 3.75 % of the house."""
STEP_M = 0.6
N_CLUSTERS = 2000
CHUNK = 20_000
RUN = 20
"""Frames in a row that show the same place."""
CLUSTER_NOISE = 0.5
"""Length of the noise around a cluster's centre: two of one cluster have a cosine of 0.8."""

Box = tuple[np.ndarray, np.ndarray]
"""Lower and upper corner."""


@dataclass(frozen=True)
class Frames:
    """What is searched: row by row one keyframe, in the order of time."""

    vectors: np.ndarray
    """float32 (n, dim), unit length."""
    times_s: np.ndarray
    positions_m: np.ndarray


@dataclass(frozen=True)
class Question:
    """The keyframes most like a vector; of a window of time if ``span_s``, of a region if ``box``."""

    vector: np.ndarray
    k: int
    span_s: tuple[float, float] | None = None
    """First and last instant, both included."""
    box: Box | None = None


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return float32 vectors of length one."""
    scaled: np.ndarray = (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)
    return scaled


def _centres(dim: int, seed: int) -> np.ndarray:
    return unit(np.random.default_rng([seed, 7]).standard_normal((N_CLUSTERS, dim)))


def _around(centres: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noise = rng.standard_normal(centres.shape, dtype=np.float32) * (CLUSTER_NOISE / np.sqrt(centres.shape[1]))
    return unit(centres + noise)


def make_frames(n: int, dim: int, kind: str, seed: int) -> Frames:
    """Return a robot's keyframes: one a second on a random walk through a house.

    Args:
        n: How many.
        dim: Of the vectors.
        kind: ``random`` vectors have nothing to do with one another; ``clustered`` ones show one of
            ``N_CLUSTERS`` places, ``RUN`` frames in a row.
        seed: Same seed, same keyframes.
    """
    rng = np.random.default_rng([seed, n])
    walk = np.cumsum(rng.standard_normal((n, 2)) * STEP_M / np.sqrt(2.0), axis=0)
    floor_m = np.abs((walk + rng.uniform(0.0, 1.0, 2) * HOUSE_M) % (2 * np.array(HOUSE_M)) - HOUSE_M)
    positions_m = np.column_stack([floor_m, rng.uniform(1.1, 1.3, n)]).astype(np.float32)
    vectors = np.empty((n, dim), dtype=np.float32)
    centres = _centres(dim, seed)
    places = np.repeat(rng.integers(0, N_CLUSTERS, -(-n // RUN)), RUN)[:n]
    for first in range(0, n, 50_000):
        rows = slice(first, min(first + 50_000, n))
        if kind == "random":
            vectors[rows] = unit(rng.standard_normal((rows.stop - first, dim), dtype=np.float32))
        else:
            vectors[rows] = _around(centres[places[rows]], rng)
    return Frames(vectors, START_S + np.arange(n, dtype=float), positions_m)


def make_questions(
    frames: Frames, kind: str, seed: int, n: int, k: int, share: float | None, boxed: bool
) -> Iterator[Question]:
    """Yield questions; windows of a ``share`` of the whole span and boxes lie anywhere."""
    rng = np.random.default_rng([seed, len(frames.vectors), 1])
    dim, centres = frames.vectors.shape[1], _centres(frames.vectors.shape[1], seed)
    start_s, end_s = float(frames.times_s[0]), float(frames.times_s[-1])
    for _ in range(n):
        fresh = rng.standard_normal((1, dim), dtype=np.float32)
        place = centres[rng.integers(0, N_CLUSTERS)][None]
        vector = unit(fresh)[0] if kind == "random" else _around(place, rng)[0]
        window = (end_s - start_s) * (share or 0.0)
        since_s = float(np.round(rng.uniform(start_s, end_s - window)))
        corner = rng.uniform(0.0, 1.0, 2) * (np.array(HOUSE_M) - BOX_M)
        lower, upper = np.array([*corner, 0.0]), np.array([*(corner + BOX_M), 2.5])
        yield Question(vector, k, (since_s, since_s + window) if share else None, (lower, upper) if boxed else None)


def right_rows(frames: Frames, questions: Sequence[Question]) -> list[np.ndarray]:
    """Return the right answers: by float64, over all rows that fulfil the conditions."""
    wanted = np.stack([question.vector for question in questions]).astype(float)
    best = [(np.zeros(0, dtype=np.int64), np.zeros(0)) for _ in questions]
    for first in range(0, len(frames.vectors), CHUNK):
        part = slice(first, first + CHUNK)
        scores = frames.vectors[part].astype(float) @ wanted.T
        for i, question in enumerate(questions):
            fits = np.flatnonzero(_fulfils(frames, question, part))
            rows = np.concatenate([best[i][0], fits + first])
            values = np.concatenate([best[i][1], scores[fits, i]])
            order = np.lexsort((rows, -values))[: question.k]
            best[i] = rows[order], values[order]
    return [rows for rows, _ in best]


def _fulfils(frames: Frames, question: Question, part: slice) -> np.ndarray:
    times_s, positions_m = frames.times_s[part], frames.positions_m[part].astype(float)
    fits = np.ones(len(times_s), dtype=bool)
    if question.span_s is not None:
        fits &= (times_s >= question.span_s[0]) & (times_s <= question.span_s[1])
    if question.box is not None:
        fits &= ((positions_m >= question.box[0]) & (positions_m <= question.box[1])).all(axis=1)
    return fits
