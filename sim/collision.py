"""Where a robot's body fits: obstacles of a scene on a fine grid, and the room around them."""

from __future__ import annotations

from typing import NamedTuple, Tuple

import numpy as np
from scipy import ndimage

from embodied.arrays import Bool, Float
from sim.scene import Scene
from sim.world_mesh import MeshBuilder, WorldMesh

CELL_M = 0.02
BODY_Z_M = (0.03, 1.30)
"""Heights between which the robot's body touches things."""
ROBOT_RADIUS_M = 0.20
_MARGIN_M = 1.0


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
    """Mark every cell over or under which there is a surface between two heights."""
    low = mesh.corners.reshape(-1, 3).min(axis=0)[:2] - _MARGIN_M
    high = mesh.corners.reshape(-1, 3).max(axis=0)[:2] + _MARGIN_M
    n_columns, n_rows = (int(n) for n in np.ceil((high - low) / cell_m))
    triangles = _within_slab(mesh.corners.astype(np.float64), *z_m)[..., :2]
    row, first, last = _spans((triangles - low) / cell_m)
    # Each span adds one at its first cell and takes it away behind its last: sums along a row count what covers a cell.
    starts = np.bincount(row * (n_columns + 1) + first, minlength=n_rows * (n_columns + 1))
    ends = np.bincount(row * (n_columns + 1) + last + 1, minlength=n_rows * (n_columns + 1))
    cells = np.cumsum((starts - ends).reshape(n_rows, n_columns + 1), axis=1)[:, :-1] > 0
    return Grid(cells, (float(low[0]), float(low[1])), cell_m)


def _within_slab(triangles: Float[np.ndarray, "n 3 3"], low_m: float, high_m: float) -> Float[np.ndarray, "m 3 3"]:
    """Return the parts of triangles between two heights, as triangles."""
    z = triangles[..., 2]
    touching = triangles[(z.min(axis=1) <= high_m) & (z.max(axis=1) >= low_m)]
    return _above(_above(touching, low_m, 1.0), high_m, -1.0)


def _above(triangles: Float[np.ndarray, "n 3 3"], z_m: float, side: float) -> Float[np.ndarray, "m 3 3"]:
    """Return the parts of triangles above (side 1) or below (side -1) a height, as triangles."""
    height = side * (triangles[..., 2] - z_m)
    n_kept = (height >= 0).sum(axis=1)
    pieces = [triangles[n_kept == 3]]
    for n, alone in ((1, height.argmax(axis=1)), (2, height.argmin(axis=1))):
        chosen = np.flatnonzero(n_kept == n)
        a, b, c = (triangles[chosen, (alone[chosen] + k) % 3] for k in range(3))
        at_a, at_b, at_c = (height[chosen, (alone[chosen] + k) % 3, None] for k in range(3))
        on_ab, on_ac = a + (b - a) * (at_a / (at_a - at_b)), a + (c - a) * (at_a / (at_a - at_c))
        if n == 1:
            pieces.append(np.stack([a, on_ab, on_ac], axis=1))
        else:
            pieces += [np.stack([on_ab, b, c], axis=1), np.stack([on_ab, c, on_ac], axis=1)]
    return np.concatenate(pieces)


def _spans(triangles: Float[np.ndarray, "n 3 2"]) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the cells that triangles touch, in units of a cell: row, first and last column of each stretch."""
    x, y = triangles[..., 0], triangles[..., 1]
    first_row, last_row = (np.floor(f(axis=1)).astype(np.int64) for f in (y.min, y.max))
    n_rows = last_row - first_row + 1
    triangle = np.repeat(np.arange(len(triangles)), n_rows)
    row = np.arange(len(triangle)) - np.repeat(np.cumsum(n_rows) - n_rows, n_rows) + first_row[triangle]
    left, right = np.full(len(row), np.inf), np.full(len(row), -np.inf)
    for k in range(3):
        # The part of an edge inside the row, from its lower to its upper end.
        ends = np.stack([x[:, k], y[:, k], x[:, (k + 1) % 3], y[:, (k + 1) % 3]])
        flipped = ends[1] > ends[3]
        ends[:, flipped] = ends[[2, 3, 0, 1]][:, flipped]
        x0, y0, x1, y1 = ends
        slope = np.divide(x1 - x0, y1 - y0, out=np.zeros_like(x0), where=y1 > y0)
        inside = np.flatnonzero((y0[triangle] <= row + 1) & (y1[triangle] >= row))
        of, rows = triangle[inside], row[inside]
        for at in (np.maximum(y0[of], rows), np.minimum(y1[of], rows + 1)):
            crossing = x0[of] + (at - y0[of]) * slope[of]
            left[inside] = np.minimum(left[inside], crossing)
            right[inside] = np.maximum(right[inside], crossing)
        # A level edge lies in the row with its whole length.
        left[inside] = np.minimum(left[inside], np.where(y0 == y1, np.minimum(x0, x1), np.inf)[of])
        right[inside] = np.maximum(right[inside], np.where(y0 == y1, np.maximum(x0, x1), -np.inf)[of])
    return row, np.floor(left).astype(np.int64), np.floor(right).astype(np.int64)


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
    start = nearest_cell(grid, scene.start_pose[:2])
    return grid._replace(cells=regions == regions[start])


def nearest_cell(grid: Grid, xy: Tuple[float, float]) -> Tuple[int, int]:
    """Return row and column of the marked cell nearest to a point."""
    cells = np.argwhere(grid.cells)
    if not len(cells):
        raise ValueError("grid: expected at least one free cell, got none")
    row, column = grid.cell_at(*xy)
    nearest = cells[((cells - [row, column]) ** 2).sum(axis=1).argmin()]
    return int(nearest[0]), int(nearest[1])
