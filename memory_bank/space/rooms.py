"""Rooms, found in the map that the robot built: free space falls apart at its doors.

Furniture is as occupied as a wall, so walls are told from it first, by their shape (``floor_plan``) or better by what
was seen above the height of doors (``upper_walls``), where the lintels close the doors too. All that is not wall and
lies within the seen house is *space*. The clearance of space from walls is then flooded from its peaks downwards; where
two peaks meet at a clearance that a door would have, and both are clearly roomier than that, they stay two rooms, else
they become one (a merge tree pruned by persistence, as in watershed segmentation by dynamics, Grimaud 1992). Everything
is a pure function of arrays.

Naming rooms by their contents is ``room_names``' business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from embodied.arrays import Float, Int
from memory_bank.space.floor_plan import (
    FREE,
    OCCUPIED,
    UNKNOWN,
    CellLabels,
    CellMask,
    Occupancy,
    RoomsConfig,
    find_doors,
    find_space,
    find_walls,
)
from memory_bank.space.outlines import trace_outline


@dataclass(frozen=True)
class Room:
    """One room of a map."""

    id: str
    index: int
    """Its number in ``RoomMap.cells``."""
    center_m: tuple[float, float]
    """The cell of the room that is farthest from its borders: always inside."""
    area_m2: float
    outline_m: tuple[tuple[float, float], ...]
    connects: tuple[str, ...] = ()


@dataclass(frozen=True)
class RoomMap:
    """The rooms of one world frame."""

    rooms: tuple[Room, ...]
    cells: CellLabels
    """int16 (rows, columns): ``Room.index`` of each cell of space, 0 elsewhere."""
    resolution_m: float
    origin_m: tuple[float, float]
    next_id: int = 1
    """Number of the next new room; ids are never used again."""

    def nearest(self, max_distance_m: float = 1.0) -> CellLabels:
        """Return ``cells`` grown over walls and unseen cells up to ``max_distance_m`` away."""
        if not self.rooms:
            return self.cells
        distance, (row, column) = ndimage.distance_transform_edt(self.cells == 0, return_indices=True)
        return np.where(distance * self.resolution_m <= max_distance_m, self.cells[row, column], 0).astype(np.int16)

    def indices_at(self, xy_m: Float[np.ndarray, "n_points 2"]) -> Int[np.ndarray, " n_points"]:
        """Return ``Room.index`` of the room in which each point lies, 0 where it lies in none."""
        index = np.floor((np.asarray(xy_m, dtype=float) - self.origin_m) / self.resolution_m).astype(int)
        rows, columns = self.cells.shape
        inside = (index >= 0).all(axis=1) & (index[:, 0] < columns) & (index[:, 1] < rows)
        found = np.zeros(len(index), dtype=np.int64)
        found[inside] = self.cells[index[inside, 1], index[inside, 0]]
        return found

    def rooms_at(self, xy_m: Float[np.ndarray, "n_points 2"], nearest: CellLabels | None = None) -> list[Room | None]:
        """Return the room of each point: the one it lies in, or the nearest within a metre.

        Args:
            xy_m: World points.
            nearest: What ``nearest()`` returned, to ask often.
        """
        nearest = self.nearest() if nearest is None else nearest
        by_index = {room.index: room for room in self.rooms}
        index = np.floor((np.asarray(xy_m, dtype=float) - self.origin_m) / self.resolution_m).astype(int)
        rows, columns = nearest.shape
        inside = (index >= 0).all(axis=1) & (index[:, 0] < columns) & (index[:, 1] < rows)
        return [by_index.get(int(nearest[y, x])) if ok else None for (x, y), ok in zip(index, inside)]


EMPTY_ROOMS = RoomMap(rooms=(), cells=np.zeros((0, 0), dtype=np.int16), resolution_m=0.05, origin_m=(0.0, 0.0))


def segment_rooms(
    occupancy: Occupancy,
    resolution_m: float,
    origin_m: tuple[float, float],
    *,
    previous: RoomMap = EMPTY_ROOMS,
    upper: CellMask | None = None,
    config: RoomsConfig = RoomsConfig(),
) -> RoomMap:
    """Find the rooms of a map.

    Args:
        occupancy: uint8, 0 unknown, 1 free, 2 occupied; row is y, column is x, from the origin upwards.
        resolution_m: Side of a cell.
        origin_m: World x, y of the corner of cell (0, 0).
        previous: The rooms found before; a room that covers most of an old one keeps its id.
        upper: Cells that are wall above the height of doors (``upper_walls``), if that was seen.
        config: See ``RoomsConfig``.
    """
    empty = replace(EMPTY_ROOMS, next_id=previous.next_id, resolution_m=resolution_m, origin_m=origin_m)
    known = np.argwhere(occupancy != UNKNOWN)
    if not (occupancy == FREE).any():
        return replace(empty, cells=np.zeros(occupancy.shape, dtype=np.int16))
    # Maps are mostly unknown: everything is done in the part that is not.
    top, left = np.maximum(known.min(axis=0) - 1, 0)
    bottom, right = known.max(axis=0) + 2
    part = (slice(top, bottom), slice(left, right))
    cells = np.zeros(occupancy.shape, dtype=np.int16)
    cells[part] = _segment(occupancy[part], None if upper is None else upper[part], resolution_m, config)
    return _identified(cells, occupancy == FREE, replace(empty, cells=cells), previous, config)


def _segment(occupancy: Occupancy, upper: CellMask | None, resolution_m: float, config: RoomsConfig) -> CellLabels:
    """Return a number for each cell of space, 0 elsewhere; numbers may have gaps."""
    occupied = occupancy == OCCUPIED
    along_x, along_y = find_walls(occupied, resolution_m, config)
    walls = along_x | along_y
    closed = upper is not None and _covers(upper, walls, config)
    if closed:
        # The front of a counter is a long thin run too, but not below a wall.
        reach = 2 * round(config.max_wall_thickness_m / resolution_m) + 1
        walls = upper | (walls & ndimage.binary_dilation(upper, structure=np.ones((reach, reach), dtype=bool)))
    space = find_space(occupancy, walls, resolution_m, config)
    if closed:
        cells = _flood(space, resolution_m, config)
        _grow(cells, space | (occupancy == FREE))
    else:
        doors = find_doors(occupied, along_x, along_y, space, resolution_m, config)
        cells = _flood(space & ~doors, resolution_m, config)
        cells = _open_doors(cells, space, doors, resolution_m, config)
    return _merge_small(cells, occupancy == FREE, resolution_m, config)


def _covers(upper: CellMask, walls: CellMask, config: RoomsConfig) -> bool:
    """Tell whether enough of the walls was seen above the height of doors to go by that."""
    near = ndimage.binary_dilation(upper, structure=np.ones((5, 5), dtype=bool))
    return bool(upper.any() and (near & walls).sum() >= config.min_upper_share * walls.sum())


# ------------------------------------------------------------------------------------------ flooding


def _clearance(space: CellMask, resolution_m: float) -> Float[np.ndarray, "rows columns"]:
    """Return the distance in metres of each cell of space to the nearest cell that is not."""
    return ndimage.distance_transform_edt(np.pad(space, 1))[1:-1, 1:-1] * resolution_m


def _highest(
    clearance: Float[np.ndarray, "rows columns"], labels: CellLabels, n_labels: int
) -> Float[np.ndarray, " n"]:
    """Return the highest clearance under each label from 0 on."""
    highest = np.zeros(n_labels + 1)
    np.maximum.at(highest, labels.ravel(), clearance.ravel())
    return highest


def _flood(space: CellMask, resolution_m: float, config: RoomsConfig) -> CellLabels:
    """Flood the clearance from its peaks downwards; see the module's docstring.

    Returns:
        int16 (rows, columns), 0 outside of space.
    """
    clearance = _clearance(space, resolution_m)
    cells = np.zeros(space.shape, dtype=np.int16)
    peak_m: list[float] = [0.0]
    # Everything that meets above the half width of a door is one room: the flood may begin there.
    for level in (*np.arange(config.max_door_m / 2, 0.0, -resolution_m), 0.0):
        basin, n_basins = ndimage.label(clearance > level)
        tops = _highest(clearance, basin, n_basins)
        labelled = cells > 0
        members: list[list[int]] = [[] for _ in range(n_basins + 1)]
        for key in np.unique(basin[labelled].astype(np.int64) << 16 | cells[labelled]).tolist():
            members[key >> 16].append(key & 0xFFFF)
        rename = np.arange(len(peak_m) + n_basins)
        fresh = np.zeros(n_basins + 1, dtype=np.int16)
        for b in range(1, n_basins + 1):
            if not members[b]:
                fresh[b] = len(peak_m)
                peak_m.append(float(tops[b]))
            elif len(members[b]) > 1:
                _join(members[b], float(level), peak_m, rename, config)
        cells = rename[np.where(labelled, cells, fresh[basin])].astype(np.int16)
        _grow(cells, basin > 0)
    return cells


def _join(members: list[int], level: float, peak_m: list[float], rename: np.ndarray, config: RoomsConfig) -> None:
    """Join those of the regions meeting at ``level`` that no door explains to the roomiest; edits ``rename``.

    Regions that meet while the way between them is wider than a door are one; so are those hardly roomier than it.
    """
    members = sorted(members, key=lambda index: -peak_m[index])
    for index in members[1:]:
        too_wide = 2 * level > config.max_door_m
        if too_wide or peak_m[index] < config.min_contrast * max(level, 1e-6):
            rename[index] = members[0]


def _open_doors(
    cells: CellLabels, space: CellMask, doors: CellMask, resolution_m: float, config: RoomsConfig
) -> CellLabels:
    """Give the cells of doors to the rooms beside them, and join rooms that the closed gap did not really part.

    A corridor also has gaps in line with walls, across it: neither side of those is wider than the gap.
    """
    closed, _ = ndimage.label(doors, structure=np.ones((3, 3)))
    clearance = _clearance(space & ~doors, resolution_m)
    peak_m = _highest(clearance, cells, int(cells.max())).tolist()
    rename = np.arange(len(peak_m))
    for number, where in enumerate(ndimage.find_objects(closed), start=1):
        around = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in where)
        door = closed[around] == number
        beside = np.unique(cells[around][ndimage.binary_dilation(door)])
        half_width_m = max(door.shape) / 2 * resolution_m
        members = sorted({int(rename[i]) for i in beside if i > 0}, key=lambda i: -peak_m[i])
        for index in members[1:]:
            if peak_m[members[0]] < config.min_contrast * half_width_m:
                rename[rename == index] = members[0]
    cells = rename[cells].astype(np.int16)
    _grow(cells, space)
    return cells


def _grow(cells: CellLabels, mask: CellMask) -> None:
    """Grow the labels over ``mask`` by steps of one cell, in place."""
    todo = mask & (cells == 0)
    while todo.any():
        grown = ndimage.grey_dilation(cells, footprint=np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]))
        new = todo & (grown > 0)
        if not new.any():
            return
        cells[new] = grown[new]
        todo &= ~new


# ------------------------------------------------------------------------------------------ regions


def _borders(cells: CellLabels, among: CellMask) -> dict[tuple[int, int], int]:
    """Count the cell sides at which two regions meet, both sides in ``among``."""
    counts: dict[tuple[int, int], int] = {}
    for a, b, ok in (
        (cells[:, :-1], cells[:, 1:], among[:, :-1] & among[:, 1:]),
        (cells[:-1], cells[1:], among[:-1] & among[1:]),
    ):
        meet = ok & (a != b) & (a > 0) & (b > 0)
        pairs, n = np.unique(np.sort(np.stack([a[meet], b[meet]]), axis=0), axis=1, return_counts=True)
        for (low, high), count in zip(pairs.T, n):
            counts[int(low), int(high)] = counts.get((int(low), int(high)), 0) + int(count)
    return counts


def _merge_small(cells: CellLabels, free: CellMask, resolution_m: float, config: RoomsConfig) -> CellLabels:
    """Merge regions under the least area into the neighbour they share most border with; drop those without one."""
    cells = cells.copy()
    while True:
        # By free cells: the inside of a row of cabinets may be as large as a small room.
        areas = np.bincount(cells.ravel(), weights=free.ravel()) * resolution_m**2
        there = np.unique(cells[cells > 0])
        small = [int(i) for i in there[np.argsort(areas[there], kind="stable")] if areas[i] < config.min_area_m2]
        if not small:
            return cells
        borders = _borders(cells, np.ones_like(free))
        index = small[0]
        shared = {(set(pair) - {index}).pop(): n for pair, n in borders.items() if index in pair}
        cells[cells == index] = max(shared, key=lambda other: (shared[other], -other)) if shared else 0


def _identified(cells: CellLabels, free: CellMask, result: RoomMap, previous: RoomMap, config: RoomsConfig) -> RoomMap:
    """Give the regions numbers, from the largest down, and ids, the old ones where they overlap most."""
    found, areas = np.unique(cells[cells > 0], return_counts=True)
    sizes = np.lexsort((found, -areas))
    order, areas_m2 = found[sizes], areas[sizes] * result.resolution_m**2
    renumber = np.zeros(int(cells.max()) + 1, dtype=np.int16)
    renumber[order] = np.arange(1, len(order) + 1)
    cells = renumber[cells]
    ids, next_id = _match_ids(cells, len(order), result, previous)
    connects: dict[int, set[int]] = {i: set() for i in range(1, len(order) + 1)}
    for (a, b), n in _borders(cells, free).items():
        if n * result.resolution_m >= config.min_passage_m:
            connects[a].add(b)
            connects[b].add(a)
    parts = ndimage.find_objects(cells)
    rooms = []
    for index in range(1, len(order) + 1):
        center_m, outline_m = _shape(cells, index, parts[index - 1], result)
        rooms.append(
            Room(
                id=ids[index],
                index=index,
                center_m=center_m,
                area_m2=round(float(areas_m2[index - 1]), 2),
                outline_m=outline_m,
                connects=tuple(sorted((ids[other] for other in connects[index]), key=room_number)),
            )
        )
    return replace(result, rooms=tuple(rooms), cells=cells, next_id=next_id)


def _match_ids(cells: CellLabels, n_rooms: int, now: RoomMap, previous: RoomMap) -> tuple[dict[int, str], int]:
    """Give each region the id of the old room it shares the most cells with, each id once; new ids to the rest."""
    ids: dict[int, str] = {}
    next_id = previous.next_id
    if previous.rooms and n_rooms:
        row, column = np.nonzero(cells)
        shift = (np.array(now.origin_m) - previous.origin_m + 0.5 * now.resolution_m) / previous.resolution_m
        scale = now.resolution_m / previous.resolution_m
        old_row = np.floor(row * scale + shift[1]).astype(int)
        old_column = np.floor(column * scale + shift[0]).astype(int)
        rows, columns = previous.cells.shape
        within = (old_row >= 0) & (old_row < rows) & (old_column >= 0) & (old_column < columns)
        old = previous.cells[old_row[within], old_column[within]]
        pairs, counts = np.unique(np.stack([cells[row, column][within], old])[:, old > 0], axis=1, return_counts=True)
        old_ids = {room.index: room.id for room in previous.rooms}
        overlap = {(int(a), old_ids[int(b)]): int(n) for (a, b), n in zip(pairs.T, counts)}
        for index, room_id in sorted(overlap, key=lambda key: (-overlap[key], key)):
            if index not in ids and room_id not in ids.values():
                ids[index] = room_id
    for index in range(1, n_rooms + 1):
        if index not in ids:
            ids[index] = f"r{next_id}"
            next_id += 1
    return ids, next_id


def room_number(room_id: str) -> int:
    """Return the number in a room's id."""
    return int(room_id[1:])


def _shape(
    cells: CellLabels, index: int, part: tuple[slice, slice], room_map: RoomMap
) -> tuple[tuple[float, float], tuple[tuple[float, float], ...]]:
    """Return the innermost point of a region and its outline, a polygon along cell sides, in metres."""
    mask = cells[part] == index
    top, left = part[0].start, part[1].start
    clearance = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(clearance)), mask.shape)
    scale, (x0, y0) = room_map.resolution_m, room_map.origin_m
    outline = tuple(
        (round(x0 + (left + x) * scale, 3), round(y0 + (top + y) * scale, 3)) for x, y in trace_outline(mask)
    )
    center_m = (
        round(x0 + (left + float(column) + 0.5) * scale, 3),
        round(y0 + (top + float(row) + 0.5) * scale, 3),
    )
    return center_m, outline
