"""Which detection is which track: pure functions of measured things.

Geometry decides and labels only lean: what falls into each other's place is the same thing, seen from both sides — the
share of the track's visible points in the mask, and the share of the mask's points near the track's surface. A label
is never a gate (label flicker otherwise breeds duplicates). Cost and greedy new-object rule as in ConceptGraphs (Gu et
al., 2024, Sec. III-B), with an optimal one-to-one assignment instead of its greedy one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from embodied.arrays import Bool, Float, Int, Points
from embodied.config import Config
from embodied.messages import Box


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


def forward_share(inside: int, seen: int, expected: bool) -> float:
    """Return the share of a track's visible points that fall into a mask, with a prior worth two points.

    From very near, or where something stands in front, hardly any of the track's points are in view. Then the mask of a
    thing that goes on elsewhere (``expected``) may well be the track's, and another one hardly.
    """
    return (inside + 2.0 * (0.6 if expected else 0.15)) / (seen + 2.0)


def place_score(forward: float, backward: float) -> float:
    """Return how well two sets of points share one place, 0 to 1.

    Args:
        forward: Share of the track's visible points that fall into the mask. Nearly 1 for the same thing.
        backward: Share of the mask's points on the track's surface. Small while the track is known from one side only.
    """
    return forward * (0.3 + 0.7 * backward)


def centre_score(distance_m: float, longest_a_m: float, longest_b_m: float, noise_m: float) -> float:
    """Return how well two small things agree by centre and size, 0 to 1."""
    sigma_m = 0.22 * max(longest_a_m, longest_b_m) + noise_m
    ratio = (min(longest_a_m, longest_b_m) + noise_m) / (max(longest_a_m, longest_b_m) + noise_m)
    return float(np.exp(-0.5 * (distance_m / sigma_m) ** 2)) * ratio


def assign(scores: Float[np.ndarray, "n_detections n_tracks"], config: AssociationConfig) -> Assignment:
    """Assign one-to-one, maximising the sum of scores over pairs from ``accept`` on."""
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
        rivals = [t for t in np.flatnonzero(scores[d] >= config.doubt).tolist() if t not in used]
        (doubtful if rivals else new).append(d)
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
    """Return the share of points in an axis-aligned box that is ``slack_m`` larger on all sides."""
    reach = 0.5 * np.array(box.size_m) + slack_m
    inside = (np.abs(points - np.array(box.center_m)) <= reach).all(axis=1)
    return float(inside.mean()) if len(points) else 0.0


def shared_volume(a: Box, b: Box) -> float:
    """Return the volume that two axis-aligned boxes share, as a part of the smaller one's."""
    center_a, center_b = np.array(a.center_m), np.array(b.center_m)
    half_a, half_b = 0.5 * np.array(a.size_m), 0.5 * np.array(b.size_m)
    sides = np.minimum(center_a + half_a, center_b + half_b) - np.maximum(center_a - half_a, center_b - half_b)
    smaller = min(float(np.prod(a.size_m)), float(np.prod(b.size_m)))
    return float(np.prod(np.maximum(sides, 0.0))) / smaller if smaller > 0 else 0.0


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
