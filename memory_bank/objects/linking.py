"""What became of it: links what vanished here with what appeared there, and tells what is new from what was overlooked.

The old places are compared with the new things at the end of a session by an optimal assignment; during the session
only pairs without any rival are linked, because a rival may still turn up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from embodied.config import Config
from embodied.geometry import invert
from embodied.messages import Box
from memory_bank.episodes.keyframes import DEPTH_STRIDE_PX, Keyframe
from memory_bank.geometry.boxes import share_within
from memory_bank.objects.appearance import similarity
from memory_bank.objects.scene_graph import SceneGraph
from memory_bank.objects.track import Track
from memory_bank.objects.visibility import VisibilityConfig
from memory_bank.person.edits import may_join


class LinkingConfig(Config):
    """How alike two tracks must be to be one thing that moved."""

    accept: float = 0.45
    """Least likeness: product of those of label, colour and size."""
    accept_doubtful: float = 0.7
    """The same for what was missed, and not often enough to be sure that it is gone."""
    min_observations: int = 4
    """Sightings of the new thing before it is linked during a session."""
    min_move_m: float = 0.15
    """Less is no move: the place is known no better."""
    n_samples: int = 24
    """Points of a track that are compared with earlier depth images."""
    view_distance_m: float = 3.5
    """An earlier keyframe within this tells whether the place was empty."""
    view_px: float = 8.0
    """A keyframe in which the thing would have been this large counts fully, a smaller picture in proportion …"""
    least_view_px: float = 4.0
    """… and one smaller than this not at all: the pose is no more exact."""
    n_views: float = 2.0
    """Keyframes that must tell so, counted like that."""
    clear_share: float = 0.9
    """A keyframe in which so much of it would be seen through counts up to twice, if the thing would be that large."""
    replaced_share: float = 0.4
    """A new thing with this share of its box in that of one that left stands in its place, or the other way round …"""
    replaced_ratio: float = 2.5
    """… if it is no longer than so many times the other."""
    thin_m: float = 0.07
    """Things lower than this lie too flat to be seen through: that they had no mask must do."""
    max_keyframes: int = 64
    """Earlier keyframes looked at, the nearest ones."""


def is_newcomer(track: Track, session: str) -> bool:
    """Tell whether a track began in this session and no earlier one continues in it."""
    if track.first_session != session or track.source != "seen" or not track.is_there:
        return False
    return all(interval.cause != "seen_elsewhere" for interval in track.intervals)


def likeness(old: Track, new: Track) -> float:
    """Return how alike two tracks are but for their place, 0 to 1."""
    a, b = old.label_shares, new.label_shares
    if a and b:
        same_label = sum(min(a.get(name, 0.0), b.get(name, 0.0)) for name in a)
    else:
        same_label = 0.7
    colour = similarity(old.appearance.shares(), new.appearance.shares())
    return same_label * colour * _size_likeness(old, new)


def _size_likeness(old: Track, new: Track) -> float:
    """Compare heights and footprints; a turned box has another footprint, a half-seen one is smaller."""
    noise_m = 0.05
    ratios = []
    for a_m, b_m, slack in (
        (old.box.size_m[2], new.box.size_m[2], 1.3),
        (math.hypot(*old.box.size_m[:2]), math.hypot(*new.box.size_m[:2]), 1.5),
    ):
        ratio = (min(a_m, b_m) + noise_m) / (max(a_m, b_m) + noise_m)
        ratios.append(min(1.0, ratio * slack))
    return ratios[0] * ratios[1]


def find_moves(
    graph: SceneGraph, session: str, session_start_ns: int, final: bool, config: LinkingConfig
) -> list[tuple[Track, Track]]:
    """Return (old, new) pairs of tracks that are one thing which moved.

    Args:
        graph: All tracks.
        session: The present session: new things were first seen in it.
        session_start_ns: Its start: what was not seen since may still stand where it stood.
        final: The session is over: take the best assignment. Otherwise only pairs without a rival.
        config: Thresholds.
    """
    newcomers = [
        t
        for t in graph.confirmed()
        if is_newcomer(t, session) and (final or t.n_observations >= config.min_observations)
    ]
    known = graph.confirmed(include_gone=True)
    gone = [t for t in known if t.state == "gone"]
    unseen = [t for t in known if t.state != "gone" and t.last_seen_ns < session_start_ns]
    doubtful = [t for t in unseen if t.n_missed > 0 or t.state == "unknown"]
    if not newcomers or not (gone or doubtful):
        return []
    # Before the session is over, whatever was not seen yet may be a rival, and only what is gone is linked.
    old = gone + (doubtful if final else unseen)
    scores = np.zeros((len(old), len(newcomers)))
    columns = list(range(len(newcomers)))
    for i, vanished in enumerate(old):
        if i == len(gone) and not final:
            # Rivals matter only for what has a match: most things in a large map are not asked.
            columns = [j for j in columns if scores[:i, j].any()]
            if not columns:
                break
        least = config.accept if i < len(gone) or not final else config.accept_doubtful
        for j in columns:
            score = _move_score(vanished, newcomers[j], config)
            scores[i, j] = score if score >= least else 0.0
    possible = scores >= config.accept
    if final:
        rows, columns = linear_sum_assignment(np.where(possible, scores, 0.0), maximize=True)
        pairs = [(int(i), int(j)) for i, j in zip(rows, columns)]
    else:
        alone = possible & (possible.sum(axis=0) == 1)[None, :] & (possible.sum(axis=1) == 1)[:, None]
        pairs = [(int(i), int(j)) for i, j in np.argwhere(alone[: len(gone)])]
    return [(old[i], newcomers[j]) for i, j in pairs if possible[i, j]]


def _move_score(old: Track, new: Track, config: LinkingConfig) -> float:
    """Return the likeness of two tracks if one can be the other's continuation, else 0."""
    if new.first_seen_ns <= old.last_seen_ns or new.id in old.seen_with or not may_join(old, new):
        return 0.0
    moved_m = math.dist(old.position_m, new.position_m)
    if moved_m < config.min_move_m:
        return 0.0
    # Of equally like ones the nearer is a little more likely.
    return likeness(old, new) * (1.0 - 0.01 * min(moved_m, 10.0))


def last_seen_empty(
    track: Track, keyframes: Sequence[Keyframe], margins: VisibilityConfig, config: LinkingConfig
) -> int | None:
    """Return the stamp of the last of some earlier keyframes that shows the track's place without it.

    None if too few of them looked there well enough: then nobody knows what stood there.
    """
    points, _ = track.voxels.samples(config.n_samples)
    if len(points) == 0 or not keyframes:
        return None
    center = np.array(track.position_m)
    cameras = np.array([keyframe.position_m for keyframe in keyframes])
    distances = np.linalg.norm(cameras - center, axis=1)
    near = np.argsort(distances, kind="stable")[: config.max_keyframes]
    stamps, n_views = [], 0.0
    for index in near.tolist():
        keyframe, distance = keyframes[index], float(distances[index])
        if distance > config.view_distance_m:
            break
        expected_px = track.longest_m * keyframe.intrinsics.fx_px / max(distance, 0.1)
        through = _share_through(points, track, keyframe, margins, config)
        if expected_px >= config.least_view_px and through is not None:
            stamps.append(keyframe.stamp_ns)
            n_views += min(2.0 if through >= config.clear_share else 1.0, expected_px / config.view_px)
    return max(stamps) if n_views >= config.n_views else None


def last_seen_occupied(track: Track, others: Iterable[Track], session: str, config: LinkingConfig) -> int | None:
    """Return when something else was last seen where a new thing stands; None if nothing was.

    What stood there in an earlier session and has left since says more than depth can: the new thing was not there.
    """
    stamps = [
        interval.valid_to_ns
        for other in others
        if len(other.intervals) > 1  # Of most things nothing has ever ended.
        for interval in other.intervals
        if other.id != track.id
        and interval.session != session
        and interval.state in ("present", "moved")
        and interval.valid_to_ns is not None
        and _shares_place(track.box, interval.box, config)
    ]
    return max(stamps, default=None)


def _shares_place(a: Box, b: Box, config: LinkingConfig) -> bool:
    """Tell whether two things cannot have stood there at once: a good part of one's box lies in the other's.

    A far smaller one may have stood under, on or in the other.
    """
    if share_within(a, b) >= config.replaced_share:
        return True
    return max(a.size_m) <= config.replaced_ratio * max(b.size_m) and share_within(b, a) >= config.replaced_share


def _share_through(
    points: np.ndarray, track: Track, keyframe: Keyframe, margins: VisibilityConfig, config: LinkingConfig
) -> float | None:
    """Return the share of the points behind which a keyframe's coarse depth shows something; None if nothing empty.

    Of flat things what is under them must do.
    """
    depth = keyframe.depth_m()
    T_camera_world = invert(keyframe.T)
    in_camera = points @ T_camera_world[:3, :3].T + T_camera_world[:3, 3]
    z = in_camera[:, 2]
    safe = np.maximum(z, 1e-3)
    u = np.rint((keyframe.intrinsics.fx_px * in_camera[:, 0] / safe + keyframe.intrinsics.cx_px) / DEPTH_STRIDE_PX)
    v = np.rint((keyframe.intrinsics.fy_px * in_camera[:, 1] / safe + keyframe.intrinsics.cy_px) / DEPTH_STRIDE_PX)
    inside = (z > margins.min_distance_m) & (u >= 1) & (v >= 1) & (u < depth.shape[1] - 1) & (v < depth.shape[0] - 1)
    if np.count_nonzero(inside) < 0.7 * len(points):
        return None
    rows, columns, z = v[inside].astype(int), u[inside].astype(int), z[inside]
    measured = depth[rows, columns]
    margin = margins.margin_m + margins.margin_relative * z + margins.margin_quadratic * z * z
    valid = measured > 0
    if np.count_nonzero(valid) < 0.7 * len(z):
        return None
    through = valid & (measured > z + margin)
    hidden = valid & (measured < z - margin)
    n_valid, n_through = np.count_nonzero(valid), np.count_nonzero(through)
    share = float(n_through / n_valid)
    if share >= 0.6:
        return share
    # The lower part of a thing touches what it stands on; that the rest is seen through must do.
    flat = min(track.box.size_m) < config.thin_m
    return share if (flat or share >= 0.35) and np.count_nonzero(hidden) <= 0.2 * n_valid else None
