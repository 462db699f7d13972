"""Where the map of a session lies in a map known before: found by what stands in both, checked by their free space.

Things are constellations: two things of one map and two like things of the other, as far apart from each other, give a
turn about the vertical and a shift (gravity is known to both). Of all that are so proposed, the one is taken by which
most things have a like one where they stand (RANSAC, Fischler and Bolles, 1981, over all fitting pairs), refined by
least squares (Umeyama, 1991) and by the walls (the likelihood field of Thrun et al., 2005, ch. 6.4). What moved
meanwhile has no partner, which does no harm.

To merge two maps wrongly destroys both, to keep them apart costs little: an alignment counts only if many things agree,
if walls and free space do, and if no other alignment explains nearly as much. Everything is a pure function of arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.optimize import least_squares, linear_sum_assignment

from embodied.arrays import Bool, Float, Int, Points, UInt8
from embodied.config import Config
from embodied.geometry import wrap_angle
from embodied.messages import Alignment
from memory_bank.frames.poses import Pose, inverted, moved
from memory_bank.objects.track import Track
from memory_bank.space.occupancy import FREE, OCCUPIED, UNKNOWN, OccupancyMap

DISTINCT_M, DISTINCT_RAD = 0.5, 0.25
"""Alignments that differ by less are one."""


class AlignmentConfig(Config):
    """When two maps count as maps of one place."""

    every: int = 25
    """Observations between two attempts while frames are apart; more with large maps."""
    min_objects: int = 8
    """Fewest things that must agree, each in its place …"""
    min_kinds: int = 5
    """… of so many different labels."""
    min_share: float = 0.55
    """Of all things that one map has where the other one has been, so many must stand there too."""
    min_walls: float = 0.9
    """Of what stands in one map where the other one has been, so much must stand in the other one."""
    min_overlap_m2: float = 4.0
    """Of floor that both maps know."""
    rival_ratio: float = 0.6
    """The next best alignment must explain less than this share of what the best one explains."""
    label_likeness: float = 0.3
    """Two things are alike from this overlap of their label histograms on …"""
    size_likeness: float = 0.4
    """… and this likeness of their sizes."""
    apart_m: float = 0.8
    """Two things must be so far from each other to tell a turn."""
    tolerance_m: float = 0.3
    """A thing may be so far from its place: what is seen from other sides has another centre."""
    max_landmarks: int = 3000
    """Of the things of a map, those seen most often."""
    max_pairs: int = 1500
    """Of pairs of like things, the rarest."""
    max_proposals: int = 4000
    """Of pairs of pairs, those of the rarest things."""
    max_support: int = 20_000
    """Of pairs of like things, those of the rarest things, by which proposals are compared: all would take minutes."""
    max_candidates: int = 8
    """Distinct proposals that are refined."""


@dataclass(frozen=True)
class Landmarks:
    """The things of one map that an alignment may rest on, as arrays."""

    positions_m: Points
    heights_m: Float[np.ndarray, " n"]
    footprints_m: Float[np.ndarray, " n"]
    """Diagonal of the box from above: turned boxes have the same."""
    shares: Float[np.ndarray, "n labels"]
    """Label histogram of each, over the labels of both maps."""

    def __len__(self) -> int:
        return len(self.positions_m)


@dataclass(frozen=True)
class Grid:
    """A map of free space: (row, column) covers y, x from the origin upwards."""

    cells: UInt8[np.ndarray, "rows columns"]
    resolution_m: float
    origin_m: tuple[float, float]

    @classmethod
    def of(cls, occupancy: OccupancyMap) -> Grid:
        """Return the map as it stands."""
        told = occupancy.reply()
        return cls(told.occupancy, told.resolution_m, told.origin_m)

    def centres(self, mask: Bool[np.ndarray, "rows columns"]) -> Float[np.ndarray, "n 2"]:
        """Return the x, y of the centres of some cells."""
        row, column = np.nonzero(mask)
        return (np.stack([column, row], axis=1) + 0.5) * self.resolution_m + np.array(self.origin_m)


@dataclass(frozen=True)
class Finding:
    """What came of an attempt."""

    alignment: Alignment | None
    """``T_memory_session``; None if the two are to be kept apart."""
    reason: str
    """Why they are; empty if they are not."""
    best: Candidate | None = None
    """What came nearest."""
    rival: float = 0.0
    """Score of the best of all others, in shares of its own."""


def landmarks_of(tracks: Sequence[Track], labels: Sequence[str], limit: int) -> Landmarks:
    """Return what is there of some tracks, at most ``limit``; ``labels`` are those of both maps."""
    index = {label: i for i, label in enumerate(labels)}
    there = sorted((track for track in tracks if track.is_there), key=lambda track: -track.n_observations)[:limit]
    shares = np.zeros((len(there), len(labels)))
    for row, track in enumerate(there):
        for label, share in track.label_shares.items():
            shares[row, index[label]] = share
    sizes = np.array([track.box.size_m for track in there]).reshape(-1, 3)
    return Landmarks(
        positions_m=np.array([track.position_m for track in there]).reshape(-1, 3),
        heights_m=sizes[:, 2],
        footprints_m=np.hypot(sizes[:, 0], sizes[:, 1]),
        shares=shares,
    )


def align(
    session: Sequence[Track],
    session_map: Grid,
    memory: Sequence[Track],
    memory_map: Grid,
    config: AlignmentConfig = AlignmentConfig(),
) -> Finding:
    """Find where the frame of a session lies in a frame of the memory.

    Args:
        session: Tracks of the session's frame.
        session_map: Its free space.
        memory: Tracks of the memory's frame.
        memory_map: Its free space.
        config: When it counts.

    Returns:
        ``T_memory_session`` as ``alignment``, or why the two are to be kept apart.
    """
    labels = sorted({label for track in (*session, *memory) for label in track.label_weights})
    a, b = (landmarks_of(tracks, labels, config.max_landmarks) for tracks in (session, memory))
    alike = likeness(a, b, config)
    if np.count_nonzero(alike.any(axis=1)) < config.min_objects:
        return Finding(None, "too few things are alike")
    pairs = Pairs.of(alike)
    proposals = propose(a, b, pairs, config)
    if not len(proposals):
        return Finding(None, "no two things stand to each other as two others do")
    chosen = distinct(proposals, support(proposals, a, b, pairs, config), config)
    one, other = Scene(a, session_map, WallField(session_map)), Scene(b, memory_map, WallField(memory_map))
    found = [judge(refine(proposals[i], a, b, pairs, config), one, other, pairs, config) for i in chosen]
    found.sort(key=lambda candidate: -candidate.score)
    best = judge(refine_by_walls(found[0].pose, session_map, other.field), one, other, pairs, config)
    others = [candidate.score for candidate in found[1:] if differ(candidate.pose, best.pose)]
    rival = min(max(others, default=0.0) / max(best.score, 1e-9), 1.0)
    reason = decide(best, rival, config)
    if reason:
        return Finding(None, reason, best, rival)
    yaw, x, y, z = best.pose.tolist()
    alignment = Alignment(
        yaw_rad=round(yaw, 6),
        position_m=(round(x, 4), round(y, 4), round(z, 4)),
        n_matched=best.n_matched,
        confidence=round(best.share * best.walls * (1.0 - rival), 3),
    )
    return Finding(alignment, "", best, rival)


def likeness(a: Landmarks, b: Landmarks, config: AlignmentConfig) -> Float[np.ndarray, "n_a n_b"]:
    """Return how alike things are but for their place: overlap of labels times likeness of size; 0 if too unlike."""
    label = np.zeros((len(a), len(b)))
    for one, other in zip(a.shares.T, b.shares.T):
        rows, columns = np.flatnonzero(one), np.flatnonzero(other)
        label[np.ix_(rows, columns)] += np.minimum(one[rows, None], other[None, columns])
    height = _ratio(a.heights_m, b.heights_m)
    size = height * _ratio(a.footprints_m, b.footprints_m)
    alike: Float[np.ndarray, "n_a n_b"] = label * np.sqrt(size)
    alike[(label < config.label_likeness) | (size < config.size_likeness)] = 0.0
    return alike


def _ratio(a_m: Float[np.ndarray, " n_a"], b_m: Float[np.ndarray, " n_b"]) -> Float[np.ndarray, "n_a n_b"]:
    """Return smaller by larger; a little noise is forgiven, and that a thing was seen from one side only."""
    low, high = np.minimum(a_m[:, None], b_m[None, :]) + 0.05, np.maximum(a_m[:, None], b_m[None, :]) + 0.05
    ratio: Float[np.ndarray, "n_a n_b"] = np.minimum(1.0, 1.3 * low / high)
    return ratio


@dataclass(frozen=True)
class Pairs:
    """Things of one map and like ones of the other: which may be one thing, and what it says if they are."""

    rows: Int[np.ndarray, " n"]
    """Of the session's things, ascending."""
    columns: Int[np.ndarray, " n"]
    """Of the memory's things."""
    weights: Float[np.ndarray, " n"]

    @classmethod
    def of(cls, alike: Float[np.ndarray, "n_a n_b"]) -> Pairs:
        """Return all pairs that are alike. That one of many alike is where it should be says little."""
        rows, columns = np.nonzero(alike)
        n = np.bincount(rows, minlength=alike.shape[0])[rows] * np.bincount(columns, minlength=alike.shape[1])[columns]
        return cls(rows, columns, alike[rows, columns] / n.astype(float) ** 0.25)

    def rarest(self, limit: int) -> Pairs:
        """Return all pairs of the session's things that say most, at most ``limit`` of them."""
        if len(self.rows) <= limit:
            return self
        starts = np.flatnonzero(np.diff(self.rows, prepend=-1))
        order = np.argsort(-np.maximum.reduceat(self.weights, starts), kind="stable")
        n = np.diff(starts, append=len(self.rows))
        things = order[np.cumsum(n[order]) <= max(limit, n[order[0]])]
        kept = np.isin(self.rows, self.rows[starts[things]])
        return Pairs(self.rows[kept], self.columns[kept], self.weights[kept])


def propose(a: Landmarks, b: Landmarks, pairs: Pairs, config: AlignmentConfig) -> Float[np.ndarray, "n 4"]:
    """Return the poses by which two things of one map come to lie on two like ones of the other."""
    best = np.argsort(-pairs.weights, kind="stable")[: config.max_pairs]
    rows, columns, weights = pairs.rows[best], pairs.columns[best], pairs.weights[best]
    p, q = a.positions_m[rows], b.positions_m[columns]
    i, j = np.triu_indices(len(rows), 1)
    far = np.hypot(*(p[j] - p[i])[:, :2].T) >= config.apart_m
    far &= (rows[i] != rows[j]) & (columns[i] != columns[j])
    i, j = i[far], j[far]
    from_m, to_m = p[j] - p[i], q[j] - q[i]
    length_m = np.hypot(from_m[:, 0], from_m[:, 1])
    fits = np.abs(length_m - np.hypot(to_m[:, 0], to_m[:, 1])) < config.tolerance_m
    fits &= np.abs(from_m[:, 2] - to_m[:, 2]) < config.tolerance_m
    i, j, from_m, to_m, length_m = i[fits], j[fits], from_m[fits], to_m[fits], length_m[fits]
    if len(i) > config.max_proposals:
        # Rare things far from each other tell most.
        worth = weights[i] * weights[j] * np.minimum(length_m, 4.0)
        best = np.argsort(-worth, kind="stable")[: config.max_proposals]
        i, j, from_m, to_m = i[best], j[best], from_m[best], to_m[best]
    yaw = np.arctan2(to_m[:, 1], to_m[:, 0]) - np.arctan2(from_m[:, 1], from_m[:, 0])
    middle_a, middle_b = 0.5 * (p[i] + p[j]), 0.5 * (q[i] + q[j])
    cos, sin = np.cos(yaw), np.sin(yaw)
    turned_x = cos * middle_a[:, 0] - sin * middle_a[:, 1]
    turned_y = sin * middle_a[:, 0] + cos * middle_a[:, 1]
    return np.stack(
        [wrap(yaw), middle_b[:, 0] - turned_x, middle_b[:, 1] - turned_y, middle_b[:, 2] - middle_a[:, 2]], axis=1
    )


def wrap(angle: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return angles within -pi and pi."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def support(
    poses: Float[np.ndarray, "n 4"],
    a: Landmarks,
    b: Landmarks,
    pairs: Pairs,
    config: AlignmentConfig,
) -> Float[np.ndarray, " n"]:
    """Return how much each pose explains: the weights of the things that have a like one where they stand."""
    pairs = pairs.rarest(config.max_support)
    starts = np.flatnonzero(np.diff(pairs.rows, prepend=-1))
    p, q, weight = a.positions_m[pairs.rows], b.positions_m[pairs.columns], pairs.weights
    scores = np.zeros(len(poses))
    for first in range(0, len(poses), 256):
        yaw, x, y, z = (each[:, None] for each in poses[first : first + 256].T)
        cos, sin = np.cos(yaw), np.sin(yaw)
        gap = (cos * p[:, 0] - sin * p[:, 1] + x - q[:, 0]) ** 2
        gap += (sin * p[:, 0] + cos * p[:, 1] + y - q[:, 1]) ** 2
        gap += (p[:, 2] + z - q[:, 2]) ** 2
        near = weight * np.maximum(1.0 - gap / config.tolerance_m**2, 0.0)
        scores[first : first + 256] = np.maximum.reduceat(near, starts, axis=1).sum(axis=1)
    return scores


def distinct(poses: Float[np.ndarray, "n 4"], scores: Float[np.ndarray, " n"], config: AlignmentConfig) -> list[int]:
    """Return the best poses, no two of them nearly the same."""
    chosen: list[int] = []
    for i in np.argsort(-scores, kind="stable").tolist():
        if all(differ(poses[i], poses[j]) for j in chosen):
            chosen.append(i)
            if len(chosen) == config.max_candidates:
                break
    return chosen


def differ(one: Pose, other: Pose) -> bool:
    """Tell whether two poses are two answers, not one with an error."""
    apart_m = float(np.hypot(*(one[1:3] - other[1:3])))
    return apart_m > DISTINCT_M or abs(wrap_angle(float(one[0] - other[0]))) > DISTINCT_RAD


# ------------------------------------------------------------------------------------------ refining


def partners(
    pose: Pose, a: Landmarks, b: Landmarks, pairs: Pairs, tolerance_m: float
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return which things of the session stand where which like ones of the memory do, each at most once.

    Returns:
        Rows, columns, and how much each such pair says: less if it fits worse.
    """
    gap = moved(pose, a.positions_m)[pairs.rows] - b.positions_m[pairs.columns]
    near = pairs.weights * (1.0 - (gap * gap).sum(axis=1) / tolerance_m**2)
    fits = np.flatnonzero(near > 0)
    rows, row = np.unique(pairs.rows[fits], return_inverse=True)
    columns, column = np.unique(pairs.columns[fits], return_inverse=True)
    worth = np.zeros((len(rows), len(columns)))
    worth[row, column] = near[fits]
    i, j = linear_sum_assignment(worth, maximize=True)
    real = worth[i, j] > 0
    return rows[i[real]], columns[j[real]], worth[i[real], j[real]]


def refine(pose: Pose, a: Landmarks, b: Landmarks, pairs: Pairs, config: AlignmentConfig) -> Pose:
    """Return the pose by least squares over the things that it matches, found anew as it gets better."""
    for tolerance_m in (1.5 * config.tolerance_m, config.tolerance_m, config.tolerance_m):
        rows, columns, _ = partners(pose, a, b, pairs, tolerance_m)
        if len(rows) < 2:
            return pose
        # The centre of a large thing depends on which part of it was seen.
        exact = 1.0 / (0.1 + 0.25 * np.maximum(a.footprints_m[rows], b.footprints_m[columns]))
        pose = fitted(a.positions_m[rows], b.positions_m[columns], exact)
    return pose


def fitted(from_m: Points, to_m: Points, weights: Float[np.ndarray, " n"]) -> Pose:
    """Return the pose that brings points nearest to others, by weighted squares (Umeyama, 1991, about one axis)."""
    share = weights / weights.sum()
    middle_from, middle_to = share @ from_m, share @ to_m
    p, q = from_m - middle_from, to_m - middle_to
    cos = float((share * (p[:, 0] * q[:, 0] + p[:, 1] * q[:, 1])).sum())
    sin = float((share * (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0])).sum())
    yaw = float(np.arctan2(sin, cos))
    turned = moved(np.array([yaw, 0.0, 0.0, 0.0]), middle_from[None])[0]
    return np.array([yaw, *(middle_to - turned)])


class WallField:
    """The walls of the memory's map: how far every place is from the nearest, and which places were seen at all."""

    def __init__(self, grid: Grid, reach_m: float = 0.3) -> None:
        self.reach_m = reach_m
        self._grid = grid
        self.known: Bool[np.ndarray, "rows columns"] = grid.cells != UNKNOWN
        occupied = grid.cells == OCCUPIED
        self.distance_m = np.full(grid.cells.shape, reach_m)
        if occupied.any():
            self.distance_m = np.minimum(ndimage.distance_transform_edt(~occupied) * grid.resolution_m, reach_m)

    def _cells(self, xy_m: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "2 n"]:
        """Return row and column, with fractions, of places."""
        at = (xy_m - np.array(self._grid.origin_m)) / self._grid.resolution_m - 0.5
        return at[:, ::-1].T

    def distances_m(self, xy_m: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
        """Return the distance of places from the nearest wall, at most ``reach_m``."""
        found: Float[np.ndarray, " n"] = ndimage.map_coordinates(
            self.distance_m, self._cells(xy_m), order=1, mode="constant", cval=self.reach_m
        )
        return found

    def values(self, xy_m: Float[np.ndarray, "n 2"]) -> UInt8[np.ndarray, " n"]:
        """Return UNKNOWN, FREE or OCCUPIED of places."""
        found: UInt8[np.ndarray, " n"] = ndimage.map_coordinates(
            self._grid.cells, self._cells(xy_m), order=0, mode="constant", cval=UNKNOWN
        )
        return found


def refine_by_walls(pose: Pose, session_map: Grid, field: WallField, limit: int = 1500) -> Pose:
    """Return the pose, moved a little so that the session's walls come to lie on the memory's."""
    walls = session_map.centres(session_map.cells == OCCUPIED)
    walls = walls[:: max(1, len(walls) // limit)]
    walls = walls[field.distances_m(moved(pose, walls)) < field.reach_m]
    if len(walls) < 20:
        return pose
    middle = walls.mean(axis=0)

    def errors(step: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " n"]:
        return field.distances_m(moved(_stepped(pose, step, middle), walls))

    found = least_squares(errors, np.zeros(3), loss="soft_l1", f_scale=0.05, diff_step=1e-3, x_scale=(0.02, 0.05, 0.05))
    return _stepped(pose, found.x, middle)


def _stepped(pose: Pose, step: Float[np.ndarray, " 3"], middle_m: Float[np.ndarray, " 2"]) -> Pose:
    """Turn a pose further about where it brings a point, and shift it."""
    target = moved(pose, middle_m[None])[0] + step[1:]
    yaw = float(pose[0] + step[0])
    turned = moved(np.array([yaw, 0.0, 0.0, 0.0]), middle_m[None])[0]
    return np.array([wrap_angle(yaw), *(target - turned), pose[3]])


# ------------------------------------------------------------------------------------------ judging


@dataclass(frozen=True)
class Candidate:
    """An alignment, and what speaks for it."""

    pose: Pose
    score: float
    """Weight of the things that agree, times ``walls``."""
    n_matched: int
    n_kinds: int
    """Different labels among them."""
    share: float
    """Of the things that one map has where the other one has been, those that both have; mean of both directions."""
    walls: float
    """Of what stands in one map where the other one has been, what stands in both; the worse direction."""
    overlap_m2: float
    """Floor that is free in both."""


@dataclass(frozen=True)
class Scene:
    """One of the two maps: its things, its free space, and how far every place is from its walls."""

    landmarks: Landmarks
    grid: Grid
    field: WallField


def judge(pose: Pose, a: Scene, b: Scene, pairs: Pairs, config: AlignmentConfig) -> Candidate:
    """Count what speaks for a pose of one scene in another."""
    there, back = moved(pose, a.landmarks.positions_m), inverted(pose)
    rows, columns, worth = partners(pose, a.landmarks, b.landmarks, pairs, config.tolerance_m)
    n = len(rows)
    n_a = int(np.count_nonzero(b.field.values(there[:, :2]) != UNKNOWN))
    n_b = int(np.count_nonzero(a.field.values(moved(back, b.landmarks.positions_m)[:, :2]) != UNKNOWN))
    walls = min(_walls(pose, a.grid, b.field), _walls(back, b.grid, a.field))
    free = moved(pose, a.grid.centres(a.grid.cells == FREE))
    kinds = np.minimum(a.landmarks.shares[rows], b.landmarks.shares[columns])
    return Candidate(
        pose=pose,
        score=float(worth.sum()) * walls,
        n_matched=n,
        n_kinds=len(np.unique(kinds.argmax(axis=1))) if n else 0,
        share=0.5 * (n / max(n_a, n, 1) + n / max(n_b, n, 1)),
        walls=walls,
        overlap_m2=float(np.count_nonzero(b.field.values(free) == FREE)) * a.grid.resolution_m**2,
    )


def decide(best: Candidate, rival: float, config: AlignmentConfig) -> str:
    """Return why an alignment does not count; empty if it does.

    Args:
        best: The best one.
        rival: Score of the best of all others, in shares of its own.
        config: Thresholds.
    """
    if best.n_matched < config.min_objects or best.n_kinds < config.min_kinds:
        return f"only {best.n_matched} things of {best.n_kinds} kinds agree"
    if best.overlap_m2 < config.min_overlap_m2:
        return f"the maps share only {best.overlap_m2:.1f} square metres"
    if best.share < config.min_share:
        return f"only {best.share:.0%} of the things that should be there are"
    if best.walls < config.min_walls:
        return f"only {best.walls:.0%} of the walls agree"
    if rival > config.rival_ratio:
        return f"another alignment explains {rival:.0%} as much"
    return ""


def _walls(pose: Pose, grid: Grid, field: WallField, tolerance_m: float = 0.15) -> float:
    """Return the share of what stands in one map, where the other one knows the place, that stands there too."""
    walls = moved(pose, grid.centres(grid.cells == OCCUPIED))
    walls = walls[field.values(walls) != UNKNOWN]
    if len(walls) == 0:
        return 0.0
    return float(np.mean(field.distances_m(walls) <= tolerance_m))
