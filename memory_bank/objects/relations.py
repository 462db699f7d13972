"""What is on, in and near what, and what connects rooms: relations between boxes. Pure, vectorised over near pairs.

Each thing rests on or in at most one other; near is symmetric and only holds where neither carries the other. A door
connects the two rooms that lie on its sides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from embodied.arrays import Bool, Float, Int, Points2
from embodied.config import Config
from embodied.messages import Box, RelationKind
from memory_bank.geometry.kernels import BoxRows, box_rows

Pairs = Float[np.ndarray, " n_pairs"]
PairMask = Bool[np.ndarray, " n_pairs"]
Indices = Int[np.ndarray, " n_pairs"]

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


@dataclass(frozen=True)
class _Geometry:
    """All that the rules look at, for each pair of a subject and an object."""

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


_CELL_M = 2.0


def _near_pairs(boxes: BoxRows, reach_m: float) -> tuple[Indices, Indices]:
    """Return all pairs of boxes that may come within ``reach_m``, both ways, by subject and then by object.

    Boxes are put into all cells of the floor that their bounds, half the reach larger, touch; only those that share a
    cell are compared.
    """
    half = 0.5 * boxes[:, 3:6]
    if boxes[:, 6].any():
        # In the frame of an object that is turned by an eighth a subject is widened twice: see ``_geometry``.
        half[:, :2] = math.sqrt(2.0) * np.hypot(half[:, 0], half[:, 1])[:, None]
    low, high = boxes[:, :3] - half - 0.5 * reach_m, boxes[:, :3] + half + 0.5 * reach_m
    first = np.floor(low[:, :2] / _CELL_M).astype(np.int64)
    n_x, n_y = (np.floor(high[:, :2] / _CELL_M).astype(np.int64) - first + 1).T
    box = np.repeat(np.arange(len(boxes)), n_x * n_y)
    rank = np.arange(len(box)) - np.repeat(np.cumsum(n_x * n_y) - n_x * n_y, n_x * n_y)
    x, y = first[box, 0] + rank // n_y[box], first[box, 1] + rank % n_y[box]
    cell = (x << 32) + y
    order = np.lexsort((box, cell))
    box, cell = box[order], cell[order]
    starts = np.searchsorted(cell, cell, side="left")
    sizes = np.searchsorted(cell, cell, side="right") - starts
    a = np.repeat(box, sizes)
    b = box[np.arange(len(a)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + np.repeat(starts, sizes)]
    key = np.unique(a * len(boxes) + b)
    a, b = key // len(boxes), key % len(boxes)
    touch = (a != b) & (low[a] <= high[b]).all(axis=1) & (low[b] <= high[a]).all(axis=1)
    return a[touch], b[touch]


def _geometry(boxes: BoxRows, a: Indices, b: Indices) -> _Geometry:
    """Compare pairs of boxes, each subject in the frame of its object's box; its own turn widens it there."""
    size, yaw = np.maximum(boxes[:, 3:6], 1e-3), boxes[:, 6]
    cos, sin = np.cos(yaw[b]), np.sin(yaw[b])
    delta = boxes[a, :3] - boxes[b, :3]
    x = delta[:, 0] * cos + delta[:, 1] * sin
    y = -delta[:, 0] * sin + delta[:, 1] * cos
    turn = yaw[a] - yaw[b]
    c, s = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    mine, other = size[a] / 2, size[b] / 2
    half_x = c * mine[:, 0] + s * mine[:, 1]
    half_y = s * mine[:, 0] + c * mine[:, 1]
    z = delta[:, 2]
    shares, gaps, center_inside = [], [], np.ones(len(a), dtype=bool)
    for offset, half, reach in ((x, half_x, other[:, 0]), (y, half_y, other[:, 1]), (z, mine[:, 2], other[:, 2])):
        shared = np.minimum(offset + half, reach) - np.maximum(offset - half, -reach)
        shares.append(np.clip(shared, 0.0, None) / (2 * half))
        gaps.append(np.clip(-shared, 0.0, None))
        center_inside &= np.abs(offset) <= reach
    footprint = size[:, 0] * size[:, 1]
    return _Geometry(
        bottom_m=z - mine[:, 2] + other[:, 2],
        height_m=size[b, 2],
        overlap=shares[0] * shares[1],
        inside=shares[0] * shares[1] * shares[2],
        gap_m=np.sqrt(gaps[0] ** 2 + gaps[1] ** 2 + gaps[2] ** 2),
        footprint_ratio=footprint[a] / footprint[b],
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


def _on(g: _Geometry, deep: PairMask, config: RelationConfig) -> Pairs:
    """Return the confidence that the subject stands on the object."""
    gap_m = np.abs(g.bottom_m - g.height_m)
    contact = np.where(gap_m <= config.max_gap_m, np.exp2(-((gap_m / config.contact_m) ** 2)), 0.0)
    # On a seat or a desk with attachments: in the upper three quarters, never on the floor beside its legs.
    on_seat = deep & (g.bottom_m >= 0.25 * g.height_m) & (g.bottom_m <= g.height_m + config.max_gap_m)
    contact = np.maximum(contact, np.where(on_seat, 0.6, 0.0))
    fits = (g.overlap >= config.min_overlap) & (g.footprint_ratio < 1.0)
    return np.where(fits, contact * np.sqrt(g.overlap), 0.0)


def _in(g: _Geometry, container: PairMask, vessel: PairMask, config: RelationConfig) -> Pairs:
    """Return the confidence that the subject lies in the object."""
    smaller = g.footprint_ratio < 1.0
    # What stands on the top board of a shelf has its centre above the box.
    fits = container & g.center_inside & smaller & (g.inside >= config.min_inside)
    inside = np.where(fits, g.inside, 0.0)
    deep = (g.bottom_m > -config.contact_m) & (g.bottom_m < 0.75 * g.height_m) & (g.overlap >= 0.8)
    return np.maximum(inside, np.where(vessel & deep & smaller, 0.8 * g.overlap, 0.0))


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
    if len(boxes) < 2:
        return []
    rows = box_rows(boxes)
    a, b = _near_pairs(rows, max(config.near_m, config.max_gap_m))
    geometry = _geometry(rows, a, b)
    on = _on(geometry, kinds.deep[b], config)
    inside = _in(geometry, kinds.container[b], kinds.vessel[b], config)
    carriers = _carriers(a, np.maximum(on, inside), geometry.footprint_ratio)
    found = {
        int(a[pair]): [
            Related(
                int(a[pair]),
                int(b[pair]),
                "in" if inside[pair] >= on[pair] else "on",
                round(float(min(1.0, max(on[pair], inside[pair]))), 3),
            )
        ]
        for pair in carriers.tolist()
    }
    carrier = np.full(len(boxes), -1)
    carrier[a[carriers]] = b[carriers]
    # The same pair the other way round.
    gap_m = np.minimum(geometry.gap_m, geometry.gap_m[np.searchsorted(a * len(boxes) + b, b * len(boxes) + a)])
    near = (gap_m <= config.near_m) & (carrier[a] != b) & (carrier[b] != a) & ~kinds.flat[a] & ~kinds.flat[b]
    for pair in _first_of_each(a, b, gap_m, near, config.max_near).tolist():
        closeness = 1.0 - 0.5 * float(gap_m[pair]) / config.near_m
        found.setdefault(int(a[pair]), []).append(Related(int(a[pair]), int(b[pair]), "near", round(closeness, 3)))
    return [related for subject in sorted(found) for related in found[subject]]


def _carriers(a: Indices, carried: Pairs, footprint_ratio: Pairs) -> Int[np.ndarray, " n_carried"]:
    """Return the pairs of things and what carries them.

    Of several carriers that fit about as well the smallest is meant: the bowl, not the table below it.
    """
    most = np.zeros(int(a.max(initial=-1)) + 1)
    np.maximum.at(most, a, carried)
    good = np.flatnonzero((carried > 0) & (carried >= 0.6 * most[a]))
    good = good[np.lexsort((good, -footprint_ratio[good], a[good]))]
    best = good[np.append(True, a[good][1:] != a[good][:-1])] if len(good) else good
    return best[carried[best] >= 0.1]


def _first_of_each(a: Indices, b: Indices, gap_m: Pairs, which: PairMask, most: int) -> Int[np.ndarray, " n_kept"]:
    """Return some of the pairs, by subject, of each the ``most`` with the smallest gap, the nearest first."""
    pairs = np.flatnonzero(which)
    pairs = pairs[np.lexsort((b[pairs], gap_m[pairs], a[pairs]))]
    rank = np.arange(len(pairs)) - np.searchsorted(a[pairs], a[pairs], side="left")
    return pairs[rank < most]


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
