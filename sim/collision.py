"""Where a robot's body fits: obstacles of a scene on a fine grid, the room around them, ways between places."""

from __future__ import annotations

from typing import NamedTuple, Tuple

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from embodied.arrays import Bool, Float, Points2
from sim.scene import Scene
from sim.world_mesh import MeshBuilder, WorldMesh

CELL_M = 0.02
BODY_Z_M = (0.03, 1.30)
"""Heights between which the robot's body touches things."""
ROBOT_RADIUS_M = 0.20
_MARGIN_M = 1.0
_SAMPLE_M = CELL_M / 2
_MAX_SAMPLES = 1 << 22
_STEPS = ((0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (2, 1), (1, -2), (2, -1))
"""Rows and columns of a step on a way; their opposites go without saying."""


class Grid(NamedTuple):
    """Cells of the floor. Cell (row, column) covers y, x from ``origin_m`` upwards."""

    cells: Bool[np.ndarray, "rows columns"]
    origin_m: Tuple[float, float]
    """World x, y of the corner of cell (0, 0)."""
    resolution_m: float

    def cell_at(self, x_m: float, y_m: float) -> Tuple[int, int]:
        """Return row and column of the cell that holds a point; it may lie outside."""
        column = int(np.floor((x_m - self.origin_m[0]) / self.resolution_m))
        row = int(np.floor((y_m - self.origin_m[1]) / self.resolution_m))
        return row, column

    def center(self, row: int, column: int) -> Tuple[float, float]:
        """Return world x, y of the middle of a cell."""
        x_m = self.origin_m[0] + (column + 0.5) * self.resolution_m
        y_m = self.origin_m[1] + (row + 0.5) * self.resolution_m
        return x_m, y_m


def obstacle_grid(mesh: WorldMesh, z_m: Tuple[float, float] = BODY_Z_M, cell_m: float = CELL_M) -> Grid:
    """Mark the cells over or under which there is a surface between two heights."""
    points = _sampled(_clipped_to_slab(mesh.corners.astype(np.float64), *z_m))
    low = mesh.corners.reshape(-1, 3).min(axis=0)[:2] - _MARGIN_M
    high = mesh.corners.reshape(-1, 3).max(axis=0)[:2] + _MARGIN_M
    shape = tuple(int(n) for n in np.ceil((high - low) / cell_m)[::-1])
    cells = np.zeros(shape, dtype=bool)
    column, row = np.floor((points - low) / cell_m).astype(np.int64).T
    cells[row, column] = True
    return Grid(cells, (float(low[0]), float(low[1])), cell_m)


def _clipped_to_slab(triangles: Float[np.ndarray, "n 3 3"], low_m: float, high_m: float) -> Float[np.ndarray, "m 3 2"]:
    """Return the parts of triangles between two heights, as triangles seen from above."""
    z = triangles[..., 2]
    touching = triangles[(z.min(axis=1) <= high_m) & (z.max(axis=1) >= low_m)]
    inside = (touching[..., 2] >= low_m).all(axis=1) & (touching[..., 2] <= high_m).all(axis=1)
    pieces = [touching[inside][..., :2]]
    for triangle in touching[~inside]:
        polygon = _cut(_cut(triangle, low_m, 1.0), high_m, -1.0)
        if len(polygon) >= 3:
            fan = [np.stack([polygon[0], polygon[k], polygon[k + 1]]) for k in range(1, len(polygon) - 1)]
            pieces.append(np.stack(fan)[..., :2])
    return np.concatenate(pieces)


def _cut(polygon: Float[np.ndarray, "n 3"], z_m: float, side: float) -> Float[np.ndarray, "m 3"]:
    """Keep the part of a convex polygon above (side 1) or below (side -1) a height (Sutherland and Hodgman 1974)."""
    kept = []
    for here, following in zip(polygon, np.roll(polygon, -1, axis=0)):
        a, b = side * (here[2] - z_m), side * (following[2] - z_m)
        if a >= 0:
            kept.append(here)
        if (a < 0) != (b < 0):
            kept.append(here + (following - here) * (a / (a - b)))
    return np.array(kept).reshape(-1, 3)


def _sampled(triangles: Float[np.ndarray, "n 3 2"]) -> Points2:
    """Return points no more than half a cell apart on triangles of the plane, edges and corners included."""
    edges = np.linalg.norm(triangles - np.roll(triangles, -1, axis=1), axis=2)
    longest = edges.argmax(axis=1)
    rows = np.arange(len(triangles))
    a, b, c = (triangles[rows, (longest + k) % 3] for k in range(3))
    base = edges[rows, longest]
    cross = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    height = np.abs(cross) / np.maximum(base, 1e-12)
    n_along = np.ceil(base / _SAMPLE_M).astype(np.int64) + 1
    n_up = np.ceil(height / _SAMPLE_M).astype(np.int64) + 1
    found = []
    counts = n_along * n_up
    for part in np.array_split(rows, max(1, int(counts.sum() // _MAX_SAMPLES))):
        triangle = np.repeat(part, counts[part])
        within = np.arange(len(triangle)) - np.repeat(np.cumsum(counts[part]) - counts[part], counts[part])
        up = (within // n_along[triangle]) / np.maximum(n_up[triangle] - 1, 1)
        along = (within % n_along[triangle]) / np.maximum(n_along[triangle] - 1, 1)
        on_base = a[triangle] + along[:, None] * (b - a)[triangle]
        found.append(on_base + up[:, None] * (c[triangle] - on_base))
    return np.concatenate(found)


class Clearance:
    """Answers whether a disc stands clear of all obstacle cells."""

    def __init__(self, obstacles: Grid) -> None:
        self.obstacles = obstacles
        to_center, nearest = ndimage.distance_transform_edt(~obstacles.cells, return_indices=True)
        self._to_center_m = to_center * obstacles.resolution_m
        self._nearest = nearest

    def is_free(self, x_m: float, y_m: float, radius_m: float) -> bool:
        """Return whether a disc overlaps no obstacle cell and lies inside the grid."""
        row, column = self.obstacles.cell_at(x_m, y_m)
        if not (0 <= row < self._to_center_m.shape[0] and 0 <= column < self._to_center_m.shape[1]):
            return False
        # Both the disc's centre and the obstacle's nearest point may lie half a diagonal from their cell's middle.
        diagonal = self.obstacles.resolution_m * np.sqrt(2.0)
        if self._to_center_m[row, column] > radius_m + diagonal:
            return True
        return self._distance_m(x_m, y_m, radius_m) >= radius_m

    def _distance_m(self, x_m: float, y_m: float, within_m: float) -> float:
        """Return the distance to the nearest obstacle cell, exact up to ``within_m``."""
        row, column = self.obstacles.cell_at(x_m, y_m)
        reach = int(np.ceil(within_m / self.obstacles.resolution_m)) + 1
        rows = slice(max(0, row - reach), row + reach + 1)
        columns = slice(max(0, column - reach), column + reach + 1)
        found = np.argwhere(self.obstacles.cells[rows, columns])
        if not len(found):
            return np.inf
        low_y = self.obstacles.origin_m[1] + (found[:, 0] + rows.start) * self.obstacles.resolution_m
        low_x = self.obstacles.origin_m[0] + (found[:, 1] + columns.start) * self.obstacles.resolution_m
        dx = np.maximum(np.maximum(low_x - x_m, x_m - low_x - self.obstacles.resolution_m), 0.0)
        dy = np.maximum(np.maximum(low_y - y_m, y_m - low_y - self.obstacles.resolution_m), 0.0)
        return float(np.sqrt((dx * dx + dy * dy).min()))

    def towards_obstacle(self, x_m: float, y_m: float) -> Float[np.ndarray, " 2"]:
        """Return the unit vector to the nearest obstacle cell, zero if the point lies in it."""
        row, column = self.obstacles.cell_at(x_m, y_m)
        nearest = self.obstacles.center(*(int(axis[row, column]) for axis in self._nearest))
        offset = np.array([nearest[0] - x_m, nearest[1] - y_m])
        length = np.linalg.norm(offset)
        return offset / length if length > 1e-9 else np.zeros(2)


def navigable_grid(scene: Scene, radius_m: float = ROBOT_RADIUS_M) -> Grid:
    """Return the cells (4 cm) on whose middle the robot can stand and that it can reach from the scene's start pose."""
    obstacles = obstacle_grid(MeshBuilder().build(scene))
    half_diagonal = CELL_M / np.sqrt(2.0)
    clear = ndimage.distance_transform_edt(~obstacles.cells) * CELL_M >= radius_m + half_diagonal
    rows, columns = (n // 2 * 2 for n in clear.shape)
    coarse = clear[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2).all(axis=(1, 3))
    grid = Grid(coarse, obstacles.origin_m, 2 * CELL_M)
    regions, _ = ndimage.label(coarse)
    start = _nearest_cell(grid, scene.start_pose[:2])
    return grid._replace(cells=regions == regions[start])


def geodesic_distance(grid: Grid, a_xy: Tuple[float, float], b_xy: Tuple[float, float]) -> float:
    """Return the length of the shortest way between two points in metres; inf if there is none.

    A point that is not navigable (a thing on a table) counts from the nearest navigable cell, plus the distance to it.
    Ways run between cell middles in steps of 16 directions, so they come out up to 3 % too long.
    """
    start, goal = _nearest_cell(grid, a_xy), _nearest_cell(grid, b_xy)
    index: np.ndarray = np.full(grid.cells.shape, -1)
    index[grid.cells] = np.arange(int(grid.cells.sum()))
    sources, targets, lengths = [], [], []
    for d_row, d_column in _STEPS:
        here = index[: index.shape[0] - d_row, max(0, -d_column) : index.shape[1] - max(0, d_column)]
        there = index[d_row:, max(0, d_column) : index.shape[1] - max(0, -d_column)]
        both = (here >= 0) & (there >= 0)
        sources.append(here[both])
        targets.append(there[both])
        lengths.append(np.full(int(both.sum()), np.hypot(d_row, d_column) * grid.resolution_m))
    n = int(grid.cells.sum())
    graph = sparse.csr_matrix(
        (np.concatenate(lengths), (np.concatenate(sources), np.concatenate(targets))), shape=(n, n)
    )
    between = csgraph.dijkstra(graph, directed=False, indices=int(index[start]))[int(index[goal])]
    ends = sum(_beyond(grid, cell, xy) for cell, xy in ((start, a_xy), (goal, b_xy)))
    return float(between + ends)


def _nearest_cell(grid: Grid, xy: Tuple[float, float]) -> Tuple[int, int]:
    cells = np.argwhere(grid.cells)
    if not len(cells):
        raise ValueError("grid: expected at least one free cell, got none")
    row, column = grid.cell_at(*xy)
    nearest = cells[((cells - [row, column]) ** 2).sum(axis=1).argmin()]
    return int(nearest[0]), int(nearest[1])


def _beyond(grid: Grid, cell: Tuple[int, int], xy: Tuple[float, float]) -> float:
    """Return the distance from a cell to a point outside of it, 0 for a point in it."""
    if grid.cell_at(*xy) == cell:
        return 0.0
    x_m, y_m = grid.center(*cell)
    return float(np.hypot(xy[0] - x_m, xy[1] - y_m))
