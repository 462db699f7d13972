"""Rooms, found in the map that the robot built: free space falls apart at its doors.

Furniture is as occupied as a wall, so walls are told from it first: a wall is a long straight run of occupied cells
that is thin along a good part of its length; better, it is what was seen above the height of doors (``upper_walls``), where
the lintels close the doors too. All that is not wall and lies within the seen house is *space*. The clearance of space from walls is then flooded from its peaks downwards; where two peaks meet at a clearance that a door
would have, and both are clearly roomier than that, they stay two rooms, else they become one (a merge tree pruned by
persistence, as in watershed segmentation by dynamics, Grimaud 1992). Everything is a pure function of arrays.

Naming rooms by their contents is ``room_names``' business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from embodied.arrays import Bool, Float, Int, UInt8
from embodied.config import Config

UNKNOWN, FREE, OCCUPIED = 0, 1, 2

ALONG_ROW = np.array([[0, 0, 0], [1, 1, 1], [0, 0, 0]])
MIN_PIECE_CELLS = 6
"""Fewer occupied cells in one piece are noise."""

Occupancy = UInt8[np.ndarray, "rows columns"]
CellMask = Bool[np.ndarray, "rows columns"]
CellLabels = Int[np.ndarray, "rows columns"]


class RoomsConfig(Config):
    """How rooms are told apart."""

    max_door_m: float = 1.3
    """Openings wider than this join two parts to one room."""
    min_contrast: float = 1.15
    """A room is at least so many times as wide as its door."""
    min_area_m2: float = 1.5
    """Smaller parts belong to their neighbour."""
    min_wall_m: float = 1.0
    """Shortest straight run of occupied cells that may be a wall."""
    max_wall_thickness_m: float = 0.32
    """A run thicker than this all along is furniture."""
    min_passage_m: float = 0.45
    """Two rooms connect if they touch in free cells over at least this width."""
    min_upper_share: float = 0.5
    """If so much of the walls was seen above the height of doors, rooms are told apart there, where they are closed."""
    max_hole_m2: float = 3.0
    """Unseen patches up to this size within the house, behind furniture, count as space."""


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


# ------------------------------------------------------------------------------------------ walls and space


def _run_lengths(mask: CellMask) -> Int[np.ndarray, "rows columns"]:
    """Return for each set cell how many set cells in a row (axis 1) it is part of; 0 for the others."""
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), dtype=np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    starts, ends = np.nonzero(steps == 1), np.nonzero(steps == -1)
    lengths = np.zeros(mask.shape, dtype=np.int32)
    lengths[mask] = np.repeat(ends[1] - starts[1], ends[1] - starts[1])
    return lengths


def _walls_along_rows(occupied: CellMask, thin: CellMask, min_length: int) -> CellMask:
    """Return the runs along axis 1 that are long, and thin along at least ``min_length`` / 2 cells."""
    long_run = occupied & (_run_lengths(occupied) >= min_length)
    runs, n_runs = ndimage.label(long_run, structure=ALONG_ROW)
    if n_runs == 0:
        return long_run
    n_thin = np.bincount(runs.ravel(), weights=(thin & long_run).ravel(), minlength=n_runs + 1)
    is_wall = n_thin >= min_length / 2
    is_wall[0] = False
    return is_wall[runs]


def find_walls(occupied: CellMask, resolution_m: float, config: RoomsConfig) -> tuple[CellMask, CellMask]:
    """Tell walls from furniture by shape: long straight runs, thin somewhere.

    A wall behind a sofa is as thick as both there, but the same run is thin to the left and right of it.

    Returns:
        Walls along x, walls along y.
    """
    closed = ndimage.binary_closing(occupied, structure=np.ones((3, 3), dtype=bool)) | occupied
    min_length = round(config.min_wall_m / resolution_m)
    max_thickness = config.max_wall_thickness_m / resolution_m
    found = []
    for image in (closed, closed.T):
        thin = image & (_run_lengths(image.T).T <= max_thickness)
        found.append(_walls_along_rows(image, thin, min_length))
    return found[0], found[1].T


def find_doors(
    occupied: CellMask,
    along_x: CellMask,
    along_y: CellMask,
    space: CellMask,
    resolution_m: float,
    config: RoomsConfig,
) -> CellMask:
    """Return the cells of space that close gaps up to a door wide, between a wall and what stands in line with it.

    The other side may be anything occupied: the piece of wall beyond a door is often too short to be told for a wall.
    """
    longest = config.max_door_m / resolution_m
    pieces, n_pieces = ndimage.label(occupied, structure=np.ones((3, 3)))
    solid = (np.bincount(pieces.ravel(), minlength=n_pieces + 1) >= MIN_PIECE_CELLS)[pieces] & occupied
    doors = np.zeros_like(occupied)
    for image, way, open_, result in (
        (solid | along_x, along_x, space, doors),
        ((solid | along_y).T, along_y.T, space.T, doors.T),
    ):
        gap = ~image
        gap &= _run_lengths(gap) <= longest
        runs, n_runs = ndimage.label(gap, structure=ALONG_ROW)
        in_line = np.zeros(n_runs + 1, dtype=bool)
        in_line[runs[:, 1:][way[:, :-1]]] = True
        in_line[runs[:, :-1][way[:, 1:]]] = True
        in_line[0] = False
        result |= in_line[runs] & open_
    return doors


def find_space(occupancy: Occupancy, walls: CellMask, resolution_m: float, config: RoomsConfig) -> CellMask:
    """Return all that is room rather than wall or outside: free cells, furniture, and unseen patches enclosed by them."""
    space = (occupancy != UNKNOWN) & ~walls
    unseen, n_unseen = ndimage.label((occupancy == UNKNOWN) & ~walls)
    sizes = np.bincount(unseen.ravel(), minlength=n_unseen + 1)
    edge = np.unique(np.concatenate([unseen[0], unseen[-1], unseen[:, 0], unseen[:, -1]]))
    small = sizes * resolution_m**2 <= config.max_hole_m2
    small[0] = False
    small[edge] = False
    space |= small[unseen]
    # Furniture that is seen through a window, or noise behind a wall, is not joined to any free cell.
    parts, n_parts = ndimage.label(space)
    keep = np.bincount(parts.ravel(), weights=(occupancy == FREE).ravel(), minlength=n_parts + 1) > 0
    keep[0] = False
    return keep[parts]


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
    closed, n_doors = ndimage.label(doors, structure=np.ones((3, 3)))
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
    """Number the regions 1, 2, … from the largest down and give them ids, the old ones where they overlap most."""
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
        pairs, counts = np.unique(
            np.stack([cells[row, column][within], old])[:, old > 0], axis=1, return_counts=True
        )
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


def trace_outline(mask: CellMask, tolerance: float = 1.5) -> list[tuple[int, int]]:
    """Return the corners (column, row) of the outer border of a connected mask, counter-clockwise, as cell corners.

    Corners that lie within ``tolerance`` cells of the line between those kept are left out.
    """
    inside = np.pad(mask, 1)
    y, x = np.nonzero(mask)
    sides = (
        (inside[:-2, 1:-1], (0, 0), (1, 0)),
        (inside[1:-1, 2:], (1, 0), (1, 1)),
        (inside[2:, 1:-1], (1, 1), (0, 1)),
        (inside[1:-1, :-2], (0, 1), (0, 0)),
    )
    follow: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for neighbour, (ax, ay), (bx, by) in sides:
        border = ~neighbour[y, x]
        for cx, cy in zip(x[border].tolist(), y[border].tolist()):
            follow.setdefault((cx + ax, cy + ay), []).append((cx + bx, cy + by))
    start = min(follow, key=lambda corner: (corner[1], corner[0]))
    corners, at, direction = [start], start, (1, 0)
    while True:
        # Where two cells touch in a corner only there are two ways on: the right turn stays outside of both.
        ways = follow[at]
        turns = [direction[0] * (w[1] - at[1]) - direction[1] * (w[0] - at[0]) for w in ways]
        to = ways.pop(int(np.argmin(turns)))
        step = (to[0] - at[0], to[1] - at[1])
        if step != direction and at != start:
            corners.append(at)
        at, direction = to, step
        if at == start and not follow[start]:
            return _simplified(corners, tolerance)


def _simplified(corners: list[tuple[int, int]], tolerance: float) -> list[tuple[int, int]]:
    """Drop corners that lie within ``tolerance`` cells of the line between those kept (Douglas and Peucker 1973)."""
    points = np.array([*corners, corners[0]], dtype=float)
    keep = np.zeros(len(points), dtype=bool)
    middle = int(np.argmax(np.linalg.norm(points - points[0], axis=1)))
    keep[[0, middle, -1]] = True
    spans = [(0, middle), (middle, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        along = points[last] - points[first]
        offsets = points[first + 1 : last] - points[first]
        distance = np.abs(along[0] * offsets[:, 1] - along[1] * offsets[:, 0]) / max(float(np.linalg.norm(along)), 1e-9)
        if distance.max() > tolerance:
            worst = first + 1 + int(np.argmax(distance))
            keep[worst] = True
            spans += [(first, worst), (worst, last)]
    return [corner for corner, kept in zip(corners, keep[:-1]) if kept]
