"""What is on, in and near what, and what connects rooms: relations between boxes. Pure, vectorised over all pairs.

Each thing rests on or in at most one other; near is symmetric and only holds where neither carries the other. A door
connects the two rooms that lie on its sides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from embodied.arrays import Bool, Float, Int, Points2
from embodied.config import Config
from embodied.messages import Box, RelationKind

Pairs = Float[np.ndarray, "n_subjects n_objects"]
PairMask = Bool[np.ndarray, "n_subjects n_objects"]

CONTAINERS = frozenset(
    "bowl box basket shelf bookshelf bookcase cabinet cupboard drawer bathtub tub bin can bucket crate pot vase "
    "wardrobe closet fridge refrigerator oven microwave dishwasher bag backpack tray jar cup mug glass".split()
)
"""Last words of labels of things that hold others inside."""
VESSELS = frozenset("bowl box basket bathtub tub bucket crate tray bin can pan pot bag backpack".split())
"""Last words of labels of containers open at the top: what they hold may stand out of them."""
DEEP_SEATS = frozenset(
    "bed sofa couch armchair chair bench desk counter stove toilet dresser sideboard stand workbench cooker loveseat "
    "stool nightstand vanity crib sink washbasin".split()
)
"""Last words of labels of things that carry others below their highest point: backrests, headboards, attachments."""
FLAT = frozenset("rug carpet mat doormat picture painting poster mirror curtain".split())
"""Last words of labels of things that nothing is told to be in or near by."""

DOORS = frozenset("door doorway doorframe gate archway arch".split())
"""Last words of labels of what connects rooms …"""
NO_DOORS = frozenset(
    "fridge refrigerator freezer oven stove cabinet cupboard wardrobe closet shower dishwasher microwave washer "
    "car".split()
)
"""… unless one of these stands before."""

RoomsAt = Callable[[Points2], Sequence["str | None"]]
"""Gives the id of the room that each point of the floor plan lies in, None for none."""


class RelationConfig(Config):
    """When two boxes are related."""

    contact_m: float = 0.06
    """Vertical gap at which contact is as likely as not."""
    max_gap_m: float = 0.15
    """No contact beyond this gap."""
    min_overlap: float = 0.5
    """Share of the upper thing's footprint that lies over the lower one."""
    min_inside: float = 0.6
    """Share of a thing's box that lies within its container."""
    near_m: float = 0.5
    """Largest gap between two things that are near each other."""
    max_near: int = 6
    """Nearest neighbours told of each thing."""
    max_dense: int = 300
    """Up to so many things all are compared with all; beyond, tile by tile."""
    tile_m: float = 6.0
    """Side of a tile."""
    door_height_m: float = 1.2
    """What is lower is no door between rooms."""
    beside_door_m: tuple[float, ...] = (0.3, 0.5, 0.8)
    """The rooms of a door are looked for so far from its faces, or in circles around one that stands open."""


@dataclass(frozen=True)
class Related:
    """The thing with index ``subject`` stands in a relation to the one with index ``object``."""

    subject: int
    object: int
    kind: RelationKind
    confidence: float


@dataclass(frozen=True)
class Connection:
    """The thing with index ``subject`` leads from one room to another."""

    subject: int
    rooms: tuple[str, str]
    """Ids, sorted."""
    confidence: float


@dataclass(frozen=True)
class _Kinds:
    """What each thing is, as far as the rules care."""

    deep: Bool[np.ndarray, " n"]
    container: Bool[np.ndarray, " n"]
    vessel: Bool[np.ndarray, " n"]
    flat: Bool[np.ndarray, " n"]

    def part(self, rows: Int[np.ndarray, " n_rows"]) -> _Kinds:
        """Return some of them."""
        return _Kinds(self.deep[rows], self.container[rows], self.vessel[rows], self.flat[rows])


@dataclass(frozen=True)
class _Geometry:
    """All that the rules look at, for each pair of subject (row) and object (column)."""

    bottom_m: Pairs
    """Of the subject, above the object's bottom."""
    height_m: Pairs
    """Of the object."""
    overlap: Pairs
    """Share of the subject's footprint over the object's."""
    inside: Pairs
    """Share of the subject's box within the object's."""
    gap_m: Pairs
    footprint_ratio: Pairs
    """Subject's by object's."""
    center_inside: PairMask


def _pairwise(boxes: Sequence[Box]) -> _Geometry:
    center = np.array([box.center_m for box in boxes], dtype=float)
    size = np.maximum(np.array([box.size_m for box in boxes], dtype=float), 1e-3)
    yaw = np.array([box.yaw_rad for box in boxes], dtype=float)
    # Subjects in the frame of each object's box; their own rotation widens them.
    cos, sin = np.cos(yaw)[None, :], np.sin(yaw)[None, :]
    delta = center[:, None, :] - center[None, :, :]
    x = delta[..., 0] * cos + delta[..., 1] * sin
    y = -delta[..., 0] * sin + delta[..., 1] * cos
    turn = yaw[:, None] - yaw[None, :]
    c, s = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    half = size / 2
    half_x = c * half[:, None, 0] + s * half[:, None, 1]
    half_y = s * half[:, None, 0] + c * half[:, None, 1]
    z = delta[..., 2]
    half_z = np.broadcast_to(half[:, None, 2], z.shape)
    shares, gaps, center_inside = [], [], np.ones(z.shape, dtype=bool)
    for offset, mine, other in ((x, half_x, half[:, 0]), (y, half_y, half[:, 1]), (z, half_z, half[:, 2])):
        shared = np.minimum(offset + mine, other) - np.maximum(offset - mine, -other)
        shares.append(np.clip(shared, 0.0, None) / (2 * mine))
        gaps.append(np.clip(-shared, 0.0, None))
        center_inside &= np.abs(offset) <= other
    footprint = size[:, 0] * size[:, 1]
    return _Geometry(
        bottom_m=z - half_z + half[None, :, 2],
        height_m=np.broadcast_to(size[None, :, 2], z.shape),
        overlap=shares[0] * shares[1],
        inside=shares[0] * shares[1] * shares[2],
        gap_m=np.sqrt(gaps[0] ** 2 + gaps[1] ** 2 + gaps[2] ** 2),
        footprint_ratio=footprint[:, None] / footprint[None, :],
        center_inside=center_inside,
    )


def _last_word(label: str) -> str:
    return (label.lower().split() or [""])[-1]


def _is_one_of(
    labels: Sequence[str], shares: Sequence[Mapping[str, float]] | None, words: frozenset[str]
) -> Bool[np.ndarray, " n"]:
    """Tell what is of a kind: by what it was called most of the time, not by the one label on top.

    A person's own name for a thing is in no histogram; if it tells the kind, it is believed.
    """
    if shares is None:
        return np.array([_last_word(label) in words for label in labels], dtype=bool)
    return np.array(
        [
            sum(part for name, part in share.items() if _last_word(name) in words) >= 0.5
            or (label not in share and _last_word(label) in words)
            for label, share in zip(labels, shares, strict=True)
        ],
        dtype=bool,
    )


def _on(g: _Geometry, deep: Bool[np.ndarray, " n"], config: RelationConfig) -> Pairs:
    """Return the confidence that the subject stands on the object."""
    gap_m = np.abs(g.bottom_m - g.height_m)
    contact = np.where(gap_m <= config.max_gap_m, np.exp2(-((gap_m / config.contact_m) ** 2)), 0.0)
    # On a seat or a desk with attachments: in the upper three quarters, never on the floor beside its legs.
    on_seat = deep[None, :] & (g.bottom_m >= 0.25 * g.height_m) & (g.bottom_m <= g.height_m + config.max_gap_m)
    contact = np.maximum(contact, np.where(on_seat, 0.6, 0.0))
    fits = (g.overlap >= config.min_overlap) & (g.footprint_ratio < 1.0)
    return np.where(fits, contact * np.sqrt(g.overlap), 0.0)


def _in(
    g: _Geometry, container: Bool[np.ndarray, " n"], vessel: Bool[np.ndarray, " n"], config: RelationConfig
) -> Pairs:
    """Return the confidence that the subject lies in the object."""
    smaller = g.footprint_ratio < 1.0
    # What stands on the top board of a shelf has its centre above the box.
    fits = container[None, :] & g.center_inside & smaller & (g.inside >= config.min_inside)
    inside = np.where(fits, g.inside, 0.0)
    deep = (g.bottom_m > -config.contact_m) & (g.bottom_m < 0.75 * g.height_m) & (g.overlap >= 0.8)
    return np.maximum(inside, np.where(vessel[None, :] & deep & smaller, 0.8 * g.overlap, 0.0))


def find_relations(
    boxes: Sequence[Box],
    labels: Sequence[str],
    config: RelationConfig = RelationConfig(),
    shares: Sequence[Mapping[str, float]] | None = None,
) -> list[Related]:
    """Return the relations among things, by subject; of each the carrier first, then its neighbours, nearest first.

    Args:
        boxes: Of the things, world frame.
        labels: What they are.
        config: See ``RelationConfig``.
        shares: Share of each label that detectors gave them: then a few wrong labels change no relation.
    """
    if len(boxes) != len(labels) or (shares is not None and len(shares) != len(labels)):
        raise ValueError(f"labels: expected one for each of {len(boxes)} boxes, got {len(labels)}")
    kinds = _Kinds(
        *(_is_one_of(labels, shares, words) for words in (DEEP_SEATS, CONTAINERS, VESSELS, FLAT)),
    )
    if len(boxes) <= config.max_dense:
        return _relate(boxes, kinds, config)
    found: list[Related] = []
    for subjects, around in _tiles(boxes, config):
        part = around.tolist()
        near_here = _relate([boxes[i] for i in part], kinds.part(around), config)
        own = set(subjects.tolist())
        found += [
            Related(part[r.subject], part[r.object], r.kind, r.confidence) for r in near_here if part[r.subject] in own
        ]
    return sorted(found, key=lambda r: r.subject)


def _tiles(
    boxes: Sequence[Box], config: RelationConfig
) -> Iterator[tuple[Int[np.ndarray, " n_subjects"], Int[np.ndarray, " n_around"]]]:
    """Yield the things with their centre in each square of the floor, and all that can matter to them."""
    center = np.array([box.center_m[:2] for box in boxes], dtype=float)
    radius_m = 0.5 * float(max(np.hypot(*box.size_m[:2]) for box in boxes))
    # As far as a neighbour's own carrier may be.
    reach_m = 2.0 * (config.near_m + 2.0 * radius_m)
    tile = np.floor(center / config.tile_m).astype(np.int64)
    for corner in np.unique(tile, axis=0):
        low, high = corner * config.tile_m - reach_m, (corner + 1) * config.tile_m + reach_m
        around = np.flatnonzero(((center >= low) & (center <= high)).all(axis=1))
        yield np.flatnonzero((tile == corner).all(axis=1)), around


def _relate(boxes: Sequence[Box], kinds: _Kinds, config: RelationConfig) -> list[Related]:
    """Compare all with all."""
    if len(boxes) < 2:
        return []
    geometry = _pairwise(boxes)
    on = _on(geometry, kinds.deep, config)
    inside = _in(geometry, kinds.container, kinds.vessel, config)
    carried = np.maximum(on, inside)
    np.fill_diagonal(carried, 0.0)
    # Of several carriers that fit about as well the smallest is meant: the bowl, not the table below it.
    good = (carried > 0) & (carried >= 0.6 * carried.max(axis=1, keepdims=True))
    best = np.argmax(np.where(good, geometry.footprint_ratio, -1.0), axis=1)
    rows = np.arange(len(boxes))
    rests = carried[rows, best] >= 0.1
    linked = np.zeros(carried.shape, dtype=bool)
    linked[rows[rests], best[rests]] = True
    flat = kinds.flat
    near = (geometry.gap_m <= config.near_m) & ~linked & ~linked.T & ~flat[:, None] & ~flat[None, :]
    near = near | near.T
    np.fill_diagonal(near, False)
    found: list[Related] = []
    for i in range(len(boxes)):
        if rests[i]:
            j = int(best[i])
            kind: RelationKind = "in" if inside[i, j] >= on[i, j] else "on"
            found.append(Related(i, j, kind, round(float(min(1.0, carried[i, j])), 3)))
        gaps = np.minimum(geometry.gap_m[i], geometry.gap_m[:, i])
        neighbours = np.nonzero(near[i])[0]
        for j in neighbours[np.lexsort((neighbours, gaps[neighbours]))][: config.max_near].tolist():
            closeness = 1.0 - 0.5 * float(gaps[j]) / config.near_m
            found.append(Related(i, j, "near", round(closeness, 3)))
    return found


# ------------------------------------------------------------------------------------------- doors


def find_connections(
    boxes: Sequence[Box],
    labels: Sequence[str],
    rooms_at: RoomsAt,
    connected: Mapping[str, Collection[str]],
    config: RelationConfig = RelationConfig(),
) -> list[Connection]:
    """Return which doors lead from which room to which.

    Args:
        boxes: Of the things, world frame.
        labels: What they are; only doors are looked at.
        rooms_at: The rooms of the map.
        connected: By room, those that its free floor leads to: a door that stands open lies along one of these ways.
        config: See ``RelationConfig``.
    """
    found = []
    for subject, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        words = label.lower().split()
        if not words or words[-1] not in DOORS or NO_DOORS & set(words) or box.size_m[2] < config.door_height_m:
            continue
        closed = _rooms_on_sides(box, rooms_at, config)
        rooms = closed or _rooms_around(box, rooms_at, connected, config)
        if rooms is not None:
            found.append(Connection(subject, rooms, 0.9 if closed else 0.7))
    return found


def _rooms_on_sides(box: Box, rooms_at: RoomsAt, config: RelationConfig) -> tuple[str, str] | None:
    """Return the rooms before and behind a door in its frame; None if it does not part two."""
    length_m, width_m, _ = box.size_m
    normal_rad = box.yaw_rad + (math.pi / 2 if length_m >= width_m else 0.0)
    normal = np.array([math.cos(normal_rad), math.sin(normal_rad)])
    reach_m = 0.5 * min(length_m, width_m) + np.array(config.beside_door_m)
    center = np.array(box.center_m[:2])
    before, behind = (
        next((room for room in rooms_at(center + side * reach_m[:, None] * normal) if room), None) for side in (1, -1)
    )
    return _pair(before, behind)


def _rooms_around(
    box: Box, rooms_at: RoomsAt, connected: Mapping[str, Collection[str]], config: RelationConfig
) -> tuple[str, str] | None:
    """Return the two connected rooms that most of the floor around an open door belongs to; None if there are none."""
    angles = np.arange(0.0, 2.0 * np.pi, np.pi / 8)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    radii_m = 0.5 * max(box.size_m[:2]) + np.array(config.beside_door_m)
    points = np.array(box.center_m[:2]) + (radii_m[:, None, None] * circle[None]).reshape(-1, 2)
    counts: dict[str, int] = {}
    for room in rooms_at(points):
        if room:
            counts[room] = counts.get(room, 0) + 1
    pairs = [
        (a, b) for a in counts for b in counts if a < b and (b in connected.get(a, ()) or a in connected.get(b, ()))
    ]
    least = len(points) // 10
    pairs = [pair for pair in pairs if min(counts[pair[0]], counts[pair[1]]) >= least]
    return max(pairs, key=lambda pair: (min(counts[pair[0]], counts[pair[1]]), pair), default=None)


def _pair(a: str | None, b: str | None) -> tuple[str, str] | None:
    """Return two different rooms, sorted."""
    return (min(a, b), max(a, b)) if a and b and a != b else None
