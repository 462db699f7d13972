"""Which detection is which track: pure functions of measured things.

Geometry decides and labels only lean: what falls into each other's place is the same thing, seen from both sides — the
share of the track's visible points in the mask, and the share of the mask's points near the track's surface. A label
is never a gate (label flicker otherwise breeds duplicates). Cost and greedy new-object rule as in ConceptGraphs (Gu et
al., 2024, Sec. III-B), with an optimal one-to-one assignment instead of its greedy one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from embodied.arrays import Bool, Float, Int, Points
from embodied.config import Config
from embodied.messages import Box
from memory_bank.geometry.boxes import points_in_box, shared_volume_m3


class AssociationConfig(Config):
    """Weights and thresholds of the assignment."""

    accept: float = 0.27
    """Scores from here on are the same thing."""
    doubt: float = 0.18
    """Scores from here on forbid making a new track of the detection."""
    on_surface: float = 0.2
    """Score of a mask that lies on a track's surface, whatever else speaks against it: enough for doubt, no more."""
    other_label: float = 0.45
    """Factor for a label that the track never had."""
    other_label_tentative: float = 0.7
    """The same for a track that does not count yet: its one or two labels may be the wrong ones."""
    other_colour: float = 0.85
    """Factor for colours with nothing in common."""
    near_m: float = 0.035
    """A point lies on a track's surface within so much …"""
    near_relative: float = 0.012
    """… plus this share of its distance …"""
    near_voxels: float = 0.75
    """… plus this times the track's voxel size."""
    compact_m: float = 0.45
    """Things up to this size are also compared by their centres."""


@dataclass(frozen=True)
class Assignment:
    """Who is who in one frame."""

    pairs: tuple[tuple[int, int], ...]
    """(detection, track) indices, by detection."""
    new: tuple[int, ...]
    """Detections that no track explains."""
    doubtful: tuple[int, ...]
    """Detections that might be something known: neither matched nor new."""


def label_factor(label: str, shares: Mapping[str, float], config: AssociationConfig) -> float:
    """Return how well a label fits a track's label histogram; 1 where either knows no labels."""
    if not label or not shares:
        return 1.0
    top = max(shares.values())
    return config.other_label + (1.0 - config.other_label) * min(1.0, shares.get(label, 0.0) / top)


def forward_share(
    inside: Int[np.ndarray, "*n"], seen: Int[np.ndarray, "*_n"], expected: Bool[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n"]:
    """Return the share of a track's visible points that fall into a mask, with a prior worth two points.

    From very near, or where something stands in front, hardly any of the track's points are in view. Then the mask of a
    thing that goes on elsewhere (``expected``) may well be the track's, and another one hardly.
    """
    return (inside + 2.0 * np.where(expected, 0.6, 0.15)) / (seen + 2.0)


def place_score(forward: float, backward: float) -> float:
    """Return how well two sets of points share one place, 0 to 1.

    Args:
        forward: Share of the track's visible points that fall into the mask. Nearly 1 for the same thing.
        backward: Share of the mask's points on the track's surface. Small while the track is known from one side only.
    """
    return forward * (0.3 + 0.7 * backward)


def centre_score(
    distance_m: Float[np.ndarray, "*n"],
    longest_a_m: Float[np.ndarray, "*_a"],
    longest_b_m: Float[np.ndarray, "*_b"],
    noise_m: Float[np.ndarray, "*_c"],
) -> Float[np.ndarray, "*n"]:
    """Return how well two small things agree by centre and size, 0 to 1. All arguments broadcast."""
    longer, shorter = np.maximum(longest_a_m, longest_b_m), np.minimum(longest_a_m, longest_b_m)
    sigma_m = 0.22 * longer + noise_m
    score: Float[np.ndarray, "*n"] = (
        np.exp(-0.5 * (distance_m / sigma_m) ** 2) * (shorter + noise_m) / (longer + noise_m)
    )
    return score


def assign(
    scores: Float[np.ndarray, "n_detections n_tracks"],
    config: AssociationConfig,
    more: Callable[[int, int], float] | None = None,
) -> Assignment:
    """Assign one-to-one, maximising the sum of scores over pairs from ``accept`` on.

    Args:
        scores: Of all pairs.
        config: Thresholds.
        more: Further scores by detection and track, below ``accept``: dear ones, asked for detections without a track.
    """
    n_detections = scores.shape[0]
    pairs: list[tuple[int, int]] = []
    if scores.size and float(scores.max()) >= config.accept:
        gains = np.where(scores >= config.accept, scores, 0.0)
        rows, columns = linear_sum_assignment(gains, maximize=True)
        pairs = [(int(d), int(t)) for d, t in zip(rows, columns) if gains[d, t] > 0]
    taken = {d for d, _ in pairs}
    used = {t: d for d, t in pairs}
    new: list[int] = []
    doubtful: list[int] = []
    for d in range(n_detections):
        if d in taken:
            continue
        # A track that another detection explains better does not speak against a new one.
        free = [t for t in range(scores.shape[1]) if t not in used]
        is_rival = any(scores[d, t] >= config.doubt or (more and more(d, t) >= config.doubt) for t in free)
        (doubtful if is_rival else new).append(d)
    return Assignment(pairs=tuple(pairs), new=tuple(new), doubtful=tuple(doubtful))


def boxes_touch(
    low_a: Float[np.ndarray, "n 3"],
    high_a: Float[np.ndarray, "n 3"],
    low_b: Float[np.ndarray, "m 3"],
    high_b: Float[np.ndarray, "m 3"],
    slack_m: float,
) -> Bool[np.ndarray, "n m"]:
    """Tell for each pair of boxes whether they come within ``slack_m`` of each other along every axis."""
    apart = np.maximum(low_a[:, None] - high_b[None], low_b[None] - high_a[:, None]).max(axis=2)
    touching: Bool[np.ndarray, "n m"] = apart <= slack_m
    return touching


def share_in_box(points: Points, box: Box, slack_m: float) -> float:
    """Return the share of points in a box that is ``slack_m`` larger on all sides."""
    return float(points_in_box(points, box, slack_m).mean()) if len(points) else 0.0


def shared_volume(a: Box, b: Box) -> float:
    """Return the volume that two boxes share, as a part of the smaller one's."""
    smaller = min(math.prod(a.size_m), math.prod(b.size_m))
    return min(1.0, shared_volume_m3(a, b) / smaller) if smaller > 0 else 0.0


def same_thing_counts(
    n_surface: Int[np.ndarray, "n_tracks n_owners"], pairs: tuple[tuple[int, int], ...], min_points: int, share: float
) -> list[tuple[int, int]]:
    """Return (unmatched, matched) pairs of tracks where the mask of the second covers the first's visible points.

    Such a pair, seen again and again, is one thing that was registered twice.
    """
    matched = {t for _, t in pairs}
    doubles = []
    for detection, track in pairs:
        column = n_surface[:, detection + 1]
        total = np.maximum(n_surface.sum(axis=1), 1)
        for other in np.flatnonzero((column >= min_points) & (column >= share * total)).tolist():
            if other not in matched:
                doubles.append((other, track))
    return doubles
