"""Scores of what a memory says against what was true. Pure functions; only the judge of an episode imports truth.

Two things are the same thing if their labels agree and their centres lie within ``MATCH_RADIUS_M``: one gate for all
sizes, so that a generous threshold for sofas cannot hide a lost mug.
"""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

import msgspec
import numpy as np
from scipy.optimize import linear_sum_assignment

from embodied.messages import Change, ObjectRecord, Point
from sim.truth import TrueChange, TruthObject

MATCH_RADIUS_M = 0.5
_FAR = 1e6


class ObjectScore(msgspec.Struct, frozen=True, kw_only=True):
    """How well the remembered objects are the real ones."""

    precision: float
    recall: float
    position_error_m: float
    """Median over the matched objects, between box centres."""
    duplicates: float
    """Remembered objects that match a real one which another already matches better, as a share of all remembered."""
    n_truth: int
    n_memory: int
    missed: Tuple[str, ...]
    """Category and place of what was not remembered."""
    invented: Tuple[str, ...]
    """Label and place of what was remembered and is not there."""


class ChangeScore(msgspec.Struct, frozen=True, kw_only=True):
    """How well the noticed changes are the real ones."""

    precision: float
    recall: float
    f1: float
    n_truth: int
    n_memory: int
    missed: Tuple[str, ...]
    invented: Tuple[str, ...]


def _distance_m(a: Optional[Point], b: Optional[Point]) -> float:
    if a is None or b is None:
        return 0.0 if a is b else _FAR
    return float(np.linalg.norm(np.subtract(a, b)))


def _assign(cost: np.ndarray, limit: float) -> List[Tuple[int, int]]:
    """Return the one-to-one pairs of least total cost among those within ``limit``."""
    if cost.size == 0:
        return []
    rows, columns = linear_sum_assignment(np.where(cost <= limit, cost, _FAR))
    return [(int(r), int(c)) for r, c in zip(rows, columns) if cost[r, c] <= limit]


def _place(label: str, position_m: Optional[Point]) -> str:
    where = "nowhere" if position_m is None else "({:.2f}, {:.2f}, {:.2f})".format(*position_m)
    return f"{label} at {where}"


def match_objects(truth: Sequence[TruthObject], remembered: Sequence[ObjectRecord]) -> List[Tuple[int, int]]:
    """Return which real thing is which remembered one, as pairs of their places in the two sequences."""
    return _assign(_costs(truth, remembered), MATCH_RADIUS_M)


def _costs(truth: Sequence[TruthObject], remembered: Sequence[ObjectRecord]) -> np.ndarray:
    """Return the distances between things of one label, in metres."""
    cost = np.full((len(truth), len(remembered)), _FAR)
    for i, real in enumerate(truth):
        for j, record in enumerate(remembered):
            if real.category == record.label:
                cost[i, j] = _distance_m(real.position_m, record.position_m)
    return cost


def score_objects(truth: Sequence[TruthObject], remembered: Sequence[ObjectRecord]) -> ObjectScore:
    """Score the objects that the memory believes to be there now.

    Args:
        truth: Every object in the house, seen or not.
        remembered: What the memory says, without what it says is gone.
    """
    cost = _costs(truth, remembered)
    pairs = _assign(cost, MATCH_RADIUS_M)
    matched_truth = {i for i, _ in pairs}
    matched_memory = {j for _, j in pairs}
    unmatched = [j for j in range(len(remembered)) if j not in matched_memory]
    n_duplicates = sum(bool(len(truth) and cost[:, j].min() <= MATCH_RADIUS_M) for j in unmatched)
    errors = [cost[i, j] for i, j in pairs]
    return ObjectScore(
        precision=len(pairs) / len(remembered) if remembered else 0.0,
        recall=len(pairs) / len(truth) if truth else 1.0,
        position_error_m=float(np.median(errors)) if errors else float("inf"),
        duplicates=n_duplicates / len(remembered) if remembered else 0.0,
        n_truth=len(truth),
        n_memory=len(remembered),
        missed=tuple(_place(t.category, t.position_m) for i, t in enumerate(truth) if i not in matched_truth),
        invented=tuple(_place(remembered[j].label, remembered[j].position_m) for j in unmatched),
    )


def change_is_true(change: Change, truth: TrueChange) -> bool:
    """Tell whether a noticed change is this real one: kind, label, and both ends in place."""
    return (
        change.kind == truth.kind
        and change.label == truth.category
        and _distance_m(change.from_position_m, truth.from_position_m) <= MATCH_RADIUS_M
        and _distance_m(change.to_position_m, truth.to_position_m) <= MATCH_RADIUS_M
    )


def score_changes(truth: Sequence[TrueChange], noticed: Sequence[Change]) -> ChangeScore:
    """Score the changes noticed since the session before; a move told as a removal and an addition is wrong thrice."""
    cost = np.array([[0.0 if change_is_true(c, t) else _FAR for c in noticed] for t in truth]).reshape(
        len(truth), len(noticed)
    )
    pairs = _assign(cost, 0.5)
    precision = len(pairs) / len(noticed) if noticed else float(not truth)
    recall = len(pairs) / len(truth) if truth else 1.0
    hit_truth, hit_noticed = {i for i, _ in pairs}, {j for _, j in pairs}
    return ChangeScore(
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        n_truth=len(truth),
        n_memory=len(noticed),
        missed=tuple(
            _place(f"{t.kind} {t.category}", t.to_position_m or t.from_position_m)
            for i, t in enumerate(truth)
            if i not in hit_truth
        ),
        invented=tuple(
            _place(f"{c.kind} {c.label}", c.to_position_m or c.from_position_m)
            for j, c in enumerate(noticed)
            if j not in hit_noticed
        ),
    )
