"""Where a disc-shaped robot can stand and how far it is from there to everywhere else, on an occupancy map.

Cells are (row, column) as in ``messages.MapReply``; positions are metres in the world frame, x along columns and y
along rows. Whatever is not known to be free is an obstacle here: the planner never counts on what nobody has seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from embodied.arrays import Bool, Float, Int, Points2, UInt8
from embodied.config import Config
from embodied.messages import MapReply

UNKNOWN, FREE, OCCUPIED = 0, 1, 2
_MARGIN_M = 1.0
"""Kept around the known part of a map."""
_NO_NODE = -9999
"""What scipy writes where there is no predecessor."""

Cell = tuple[int, int]
"""Row, column."""
Vector2 = Float[np.ndarray, "2"]
"""x and y in metres."""


class TerrainConfig(Config):
    """How near the robot may pass by things."""

    robot_radius_m: float = 0.20
    """Radius of the disc around the robot."""
    margin_m: float = 0.02
    """Least gap between the disc and anything not known to be free."""
    preferred_clearance_m: float = 0.35
    """From its middle to the nearest obstacle; nearer is possible and costs more."""
    crowding_cost: float = 2.0
    """How many times longer a metre counts where the gap is the least, on top of 1."""
    smallest_area_m2: float = 0.3
    """Floor for the robot's middle that is not joined to the rest and smaller than this is no place to be."""
    hole_width_m: float = 0.10
    """Unknown specks no wider than this, inside known floor, count as floor: depth noise leaves them."""

    @property
    def minimum_clearance_m(self) -> float:
        """From the robot's middle to the nearest obstacle, at least."""
        return self.robot_radius_m + self.margin_m


@dataclass(frozen=True)
class Disc:
    """A round place that the planner knows more about than the map says."""

    center_m: tuple[float, float]
    radius_m: float


@dataclass(frozen=True)
class Grid:
    """The memory's map with its arithmetic."""

    resolution_m: float
    origin_m: tuple[float, float]
    occupancy: UInt8[np.ndarray, "rows columns"]
    closest_view_m: Float[np.ndarray, "rows columns"]

    @classmethod
    def of(cls, reply: MapReply) -> Grid:
        """Wrap the known part of a map, checking that its two layers fit together.

        Raises:
            ValueError: The layers are empty or differ in shape.
        """
        if reply.occupancy.ndim != 2 or reply.occupancy.size == 0:
            raise ValueError(f"occupancy: expected rows x columns of cells, got shape {reply.occupancy.shape}")
        if reply.closest_view_m.shape != reply.occupancy.shape:
            raise ValueError(
                f"closest_view_m: expected shape {reply.occupancy.shape} of the occupancy, "
                f"got {reply.closest_view_m.shape}"
            )
        known = reply.occupancy != UNKNOWN
        if not known.any():
            return cls(reply.resolution_m, reply.origin_m, reply.occupancy, reply.closest_view_m)
        # Most of a growing map is empty margin. Some stays: the robot may stand where it has not seen anything yet.
        margin = round(_MARGIN_M / reply.resolution_m)
        spans = [np.flatnonzero(known.any(axis=1 - axis)) for axis in (0, 1)]
        rows, columns = (slice(max(int(span[0]) - margin, 0), int(span[-1]) + margin + 1) for span in spans)
        origin_m = (
            reply.origin_m[0] + columns.start * reply.resolution_m,
            reply.origin_m[1] + rows.start * reply.resolution_m,
        )
        return cls(reply.resolution_m, origin_m, reply.occupancy[rows, columns], reply.closest_view_m[rows, columns])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        rows, columns = self.occupancy.shape
        return rows, columns

    def cells_of(self, points_m: Float[np.ndarray, "*n 2"]) -> Int[np.ndarray, "*n 2"]:
        """Return the cell of each position, which may lie outside the map."""
        scaled = (np.asarray(points_m, dtype=float) - self.origin_m) / self.resolution_m
        return np.floor(scaled[..., ::-1]).astype(np.int64)

    def cell_of(self, x_m: float, y_m: float) -> Cell:
        """Return the cell of one position, which may lie outside the map."""
        row, column = self.cells_of(np.array([[x_m, y_m]]))[0].tolist()
        return row, column

    def centers_of(self, cells: Int[np.ndarray, "n_cells 2"]) -> Points2:
        """Return the middle of each cell in metres."""
        return (np.asarray(cells, dtype=float)[..., ::-1] + 0.5) * self.resolution_m + self.origin_m

    def contains(self, cell: Cell) -> bool:
        """Tell whether the cell lies on the map."""
        return 0 <= cell[0] < self.shape[0] and 0 <= cell[1] < self.shape[1]

    def within(self, disc: Disc) -> tuple[tuple[slice, slice], Bool[np.ndarray, "rows columns"]]:
        """Return the window of the map around a disc, and which of its cells have their middle in the disc."""
        low = np.maximum(self.cells_of(np.array([disc.center_m]) - disc.radius_m)[0], 0)
        high = np.maximum(np.minimum(self.cells_of(np.array([disc.center_m]) + disc.radius_m)[0] + 1, self.shape), low)
        window = slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))
        rows = (np.arange(low[0], high[0]) + 0.5) * self.resolution_m + self.origin_m[1] - disc.center_m[1]
        columns = (np.arange(low[1], high[1]) + 0.5) * self.resolution_m + self.origin_m[0] - disc.center_m[0]
        return window, rows[:, None] ** 2 + columns[None, :] ** 2 <= disc.radius_m**2


@dataclass(frozen=True)
class Terrain:
    """What a map means to this robot's body."""

    grid: Grid
    config: TerrainConfig
    occupancy: UInt8[np.ndarray, "rows columns"]
    """The map's, with specks filled and the planner's own knowledge in it."""
    clearance_m: Float[np.ndarray, "rows columns"]
    """From a cell's middle to the border of the nearest cell that is not free; 0 in such a cell."""
    traversable: Bool[np.ndarray, "rows columns"]
    """The robot's middle may be here."""

    def clearance_at(self, points_m: Points2) -> Float[np.ndarray, " n_points"]:
        """Return the clearance at positions, interpolated; 0 outside the map."""
        scaled = (np.asarray(points_m, dtype=float) - self.grid.origin_m) / self.grid.resolution_m - 0.5
        base = np.floor(scaled).astype(np.int64)
        part = scaled - base
        rows, columns = self.grid.shape
        total = np.zeros(len(scaled))
        for step_x in (0, 1):
            for step_y in (0, 1):
                column, row = base[:, 0] + step_x, base[:, 1] + step_y
                inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
                weight = np.abs(1 - step_x - part[:, 0]) * np.abs(1 - step_y - part[:, 1])
                value = self.clearance_m[np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)]
                total += np.where(inside, weight * value, 0.0)
        return total

    def line_clearance_m(self, a_m: Vector2, b_m: Vector2) -> float:
        """Return the least clearance on the straight line between two positions."""
        n_points = 2 + int(np.hypot(*(b_m - a_m)) / (0.5 * self.grid.resolution_m))
        share = np.linspace(0.0, 1.0, n_points)[:, None]
        return float(self.clearance_at(a_m + share * (b_m - a_m)).min())

    @cached_property
    def areas(self) -> tuple[Int[np.ndarray, "rows columns"], Float[np.ndarray, " n_areas"]]:
        """Number the traversable areas that are not joined; return the cells' numbers (0 for none) and sizes in m2."""
        labels, _ = ndimage.label(self.traversable, np.ones((3, 3), dtype=bool))
        sizes = np.bincount(labels.ravel()) * self.grid.resolution_m**2
        sizes[0] = 0.0
        return labels, sizes

    def nearest_traversable(self, x_m: float, y_m: float) -> Cell | None:
        """Return the cell nearest to a position from which the robot gets anywhere, None if there is none.

        Specks of floor between pieces of furniture count only where there is nothing larger.
        """
        labels, sizes = self.areas
        large = sizes >= min(self.config.smallest_area_m2, sizes.max())
        large[0] = False
        cells = np.argwhere(large[labels])
        if len(cells) == 0:
            return None
        offsets = self.grid.centers_of(cells) - (x_m, y_m)
        row, column = cells[int(np.argmin((offsets**2).sum(axis=1)))].tolist()
        return row, column

    def share_around(self, cell: Cell) -> float:
        """Return the share of all traversable floor that is joined to a traversable cell."""
        labels, sizes = self.areas
        return float(sizes[labels[cell]] / sizes.sum())


def build_terrain(
    grid: Grid, config: TerrainConfig, known_free: tuple[Disc, ...] = (), obstacles: tuple[Disc, ...] = ()
) -> Terrain:
    """Work out where the robot can stand.

    Args:
        grid: The memory's map.
        config: The robot's body and how shy it is.
        known_free: Places where unknown cells count as floor, for the robot stands or stood there.
        obstacles: Places that count as occupied whatever the map says, for the robot bumped into something there.
    """
    occupancy = _fill_specks(grid.occupancy, round(config.hole_width_m / grid.resolution_m))
    for disc in known_free:
        window, inside = grid.within(disc)
        part = occupancy[window]
        part[inside & (part == UNKNOWN)] = FREE
    for disc in obstacles:
        window, inside = grid.within(disc)
        occupancy[window][inside] = OCCUPIED
    # Beyond the map's edge nothing is known.
    padded = np.pad(occupancy == FREE, 1)
    distance = ndimage.distance_transform_edt(padded)[1:-1, 1:-1] * grid.resolution_m
    clearance_m = np.maximum(distance - 0.5 * grid.resolution_m, 0.0)
    return Terrain(grid, config, occupancy, clearance_m, clearance_m >= config.minimum_clearance_m)


def _fill_specks(occupancy: UInt8[np.ndarray, "rows columns"], width: int) -> UInt8[np.ndarray, "rows columns"]:
    """Return a copy in which gaps of at most ``width`` unknown cells between free ones are free, along rows or columns.

    Both directions are needed for floor seen from afar: there the rows of the image land cells apart.
    """
    filled = occupancy.copy()
    free = occupancy == FREE
    for axis in (0, 1):
        before, after = np.zeros_like(free), np.zeros_like(free)
        for offset in range(1, width + 1):
            shifted = _shift(free, offset, axis), _shift(free, -offset, axis)
            before |= shifted[0]
            after |= shifted[1]
        filled[(occupancy == UNKNOWN) & before & after] = FREE
    return filled


def _shift(mask: Bool[np.ndarray, "rows columns"], offset: int, axis: int) -> Bool[np.ndarray, "rows columns"]:
    """Return the mask moved by ``offset`` cells along an axis; False comes in at the edge."""
    moved = np.zeros_like(mask)
    size = mask.shape[axis]
    if abs(offset) < size:
        source, goal = [slice(None)] * 2, [slice(None)] * 2
        source[axis] = slice(max(0, -offset), size - max(0, offset))
        goal[axis] = slice(max(0, offset), size - max(0, -offset))
        moved[tuple(goal)] = mask[tuple(source)]
    return moved


@dataclass(frozen=True)
class DistanceField:
    """Cheapest ways over the traversable cells from one of them."""

    terrain: Terrain
    source: Cell
    cost_m: Float[np.ndarray, "rows columns"]
    """Metres, counted longer where it is crowded; inf where the robot cannot get to."""
    predecessor: Int[np.ndarray, "rows columns"]
    """Flat index of the cell before on the way from the source; its own at the source and where there is no way."""

    def path_to(self, cell: Cell) -> Points2:
        """Return the way from the source to a cell, as the cells' middles.

        Raises:
            ValueError: The cell cannot be reached.
        """
        if not self.terrain.grid.contains(cell) or not np.isfinite(self.cost_m[cell]):
            raise ValueError(f"cell: expected one that can be reached from {self.source}, got {cell}")
        columns = self.terrain.grid.shape[1]
        flat = [cell[0] * columns + cell[1]]
        predecessor = self.predecessor.ravel()
        while predecessor[flat[-1]] != flat[-1]:
            flat.append(int(predecessor[flat[-1]]))
        return self.terrain.grid.centers_of(np.stack(np.divmod(flat[::-1], columns), axis=1))

    def ancestors(self, flat: Int[np.ndarray, " n_cells"], near_cost_m: float) -> Int[np.ndarray, " n_cells"]:
        """Return for each cell the first on the way to it that lies beyond ``near_cost_m``, or itself."""
        predecessor, cost_m = self.predecessor.ravel(), self.cost_m.ravel()
        current = np.array(flat)
        while True:
            before = predecessor[current]
            move = (cost_m[before] > near_cost_m) & (before != current)
            if not move.any():
                return current
            current = np.where(move, before, current)


def distance_field(terrain: Terrain, source: Cell, limit_m: float = np.inf, shy: bool = True) -> DistanceField:
    """Return the cheapest ways from a traversable cell to all others within ``limit_m``: Dijkstra over 8 neighbours.

    Without ``shy`` a metre counts the same wherever it is.

    Raises:
        ValueError: The source is not traversable.
    """
    grid, config = terrain.grid, terrain.config
    if not grid.contains(source) or not terrain.traversable[source]:
        raise ValueError(f"source: expected a traversable cell, got {source}")
    rows, columns = grid.shape
    flat = np.flatnonzero(terrain.traversable)
    node = np.full((rows + 2, columns + 2), -1, dtype=np.int32)
    node[1:-1, 1:-1][terrain.traversable] = np.arange(len(flat), dtype=np.int32)
    gap = max(config.preferred_clearance_m - config.minimum_clearance_m, 1e-9)
    crowding = np.clip((config.preferred_clearance_m - terrain.clearance_m.ravel()[flat]) / gap, 0.0, 1.0)
    weight = (1.0 + (config.crowding_cost if shy else 0.0) * crowding) * grid.resolution_m
    offsets = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)])
    padded = (flat // columns + 1) * (columns + 2) + flat % columns + 1
    neighbours = node.ravel()[padded[:, None] + (offsets[:, 0] * (columns + 2) + offsets[:, 1])[None, :]]
    valid = neighbours >= 0
    lengths = np.hypot(offsets[:, 0], offsets[:, 1])
    edges = 0.5 * lengths[None, :] * (weight[:, None] + weight[neighbours])
    starts = np.concatenate([[0], np.cumsum(valid.sum(axis=1))]).astype(np.int32)
    graph = csr_matrix((edges[valid], neighbours[valid], starts), shape=(len(flat), len(flat)))
    start = int(node[source[0] + 1, source[1] + 1])
    cost, before = dijkstra(graph, indices=start, return_predecessors=True, limit=limit_m)
    cost_m = np.full(rows * columns, np.inf)
    cost_m[flat] = cost
    predecessor = np.arange(rows * columns)
    found = before != _NO_NODE
    predecessor[flat[found]] = flat[before[found]]
    return DistanceField(terrain, source, cost_m.reshape(rows, columns), predecessor.reshape(rows, columns))


def shorten_path(terrain: Terrain, path_m: Points2) -> Float[np.ndarray, "n_corners 2"]:
    """Return a path with fewer corners: straight wherever that comes no nearer to obstacles than the path itself did.

    Where the path keeps more than the preferred clearance the straight line need keep no more than that.
    """
    if len(path_m) <= 2:
        return path_m
    clearance = np.minimum(terrain.clearance_at(path_m), terrain.config.preferred_clearance_m)
    kept, here, last = [0], 0, len(path_m) - 1
    while here < last:
        reach, stride = here + 1, max(1, min(32, last - here))
        # Grow and halve the stride: tries few lines, and finds a corner that is far.
        while stride >= 1:
            there = reach + stride
            if there <= last and _straight_is_safe(terrain, path_m, clearance, here, there):
                reach = there
            else:
                stride //= 2
        kept.append(reach)
        here = reach
    return path_m[kept]


def _straight_is_safe(
    terrain: Terrain, path_m: Points2, clearance: Float[np.ndarray, " n_points"], here: int, there: int
) -> bool:
    needed = max(float(clearance[here : there + 1].min()), terrain.config.minimum_clearance_m)
    return terrain.line_clearance_m(path_m[here], path_m[there]) >= needed - 1e-9


def path_length_m(path_m: Points2) -> float:
    """Return the length of a polyline."""
    return float(np.hypot(*np.diff(path_m, axis=0).T).sum()) if len(path_m) > 1 else 0.0


def geodesic_distance_m(terrain: Terrain, a_m: tuple[float, float], b_m: tuple[float, float]) -> float:
    """Return the length of the way between the traversable cells nearest to two positions; inf if there is none."""
    start, goal = terrain.nearest_traversable(*a_m), terrain.nearest_traversable(*b_m)
    if start is None or goal is None:
        return float("inf")
    field = distance_field(terrain, start)
    if not np.isfinite(field.cost_m[goal]):
        return float("inf")
    return path_length_m(shorten_path(terrain, field.path_to(goal)))
