"""Ways between places where a robot can stand: how far it has to go."""

from __future__ import annotations

from typing import Optional, Tuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from embodied.arrays import Bool, Float, Int
from sim.collision import Grid, nearest_cell

_STEPS = ((0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (2, 1), (1, -2), (2, -1))
"""Rows and columns of a step on a way; their opposites go without saying."""
_BETWEEN = {
    (1, 2): ((0, 1), (1, 1)),
    (2, 1): ((1, 0), (1, 1)),
    (1, -2): ((0, -1), (1, -1)),
    (2, -1): ((1, 0), (1, -1)),
}
"""Cells that a step passes."""


class Ways:
    """Shortest ways over one grid: the graph is built once.

    Ways run between cell middles in steps of 16 directions, so they come out up to 3 % too long.
    """

    def __init__(self, grid: Grid, weight: Optional[Float[np.ndarray, "rows columns"]] = None) -> None:
        """Join the cells.

        Args:
            grid: Where the robot can stand.
            weight: A step costs its length times the mean weight of its two cells; None for the length alone.
        """
        self.grid = grid
        self._index: Int[np.ndarray, "rows columns"] = np.full(grid.cells.shape, -1)
        n = int(grid.cells.sum())
        self._index[grid.cells] = np.arange(n)
        rows, columns = grid.cells.shape
        padded = np.pad(self._index, 2, constant_values=-1)
        cost = np.ones(n) if weight is None else np.asarray(weight, dtype=float)[grid.cells]
        sources, targets, lengths = [], [], []
        for step in _STEPS:
            # A long step must not jump over what lies between.
            passed = ((0, 0), step, *_BETWEEN.get(step, ()))
            places = [padded[2 + row : 2 + row + rows, 2 + column : 2 + column + columns] for row, column in passed]
            free = np.all([place >= 0 for place in places], axis=0)
            source, target = places[0][free], places[1][free]
            sources.append(source)
            targets.append(target)
            lengths.append(np.hypot(*step) * grid.resolution_m * (cost[source] + cost[target]) / 2)
        self._graph = sparse.csr_matrix(
            (np.concatenate(lengths), (np.concatenate(sources), np.concatenate(targets))), shape=(n, n)
        )

    def field(self, xy: Tuple[float, float]) -> Float[np.ndarray, "rows columns"]:
        """Return the way from every cell to a point in metres; inf where there is none and where nobody can stand.

        A point that is not navigable counts from the nearest navigable cell, plus the distance to it.
        """
        cell = nearest_cell(self.grid, xy)
        sources: np.ndarray = np.zeros(self.grid.cells.shape, dtype=bool)
        sources[cell] = True
        return self.field_of(sources) + _beyond(self.grid, cell, xy)

    def field_of(self, goals: Bool[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows columns"]:
        """Return the way from every cell to the nearest of some navigable cells; inf where there is none."""
        field_m = np.full(self.grid.cells.shape, np.inf)
        indices = self._index[goals & self.grid.cells]
        if len(indices):
            field_m[self.grid.cells] = csgraph.dijkstra(self._graph, directed=False, indices=indices, min_only=True)
        return field_m

    def distance(self, a_xy: Tuple[float, float], b_xy: Tuple[float, float]) -> float:
        """Return the length of the shortest way between two points in metres; inf if there is none."""
        end = nearest_cell(self.grid, b_xy)
        return float(self.field(a_xy)[end] + _beyond(self.grid, end, b_xy))


def geodesic_distance(grid: Grid, a_xy: Tuple[float, float], b_xy: Tuple[float, float]) -> float:
    """Return ``Ways(grid).distance``, for one question only."""
    return Ways(grid).distance(a_xy, b_xy)


def _beyond(grid: Grid, cell: Tuple[int, int], xy: Tuple[float, float]) -> float:
    """Return the distance from a cell to a point outside of it, 0 for a point in it."""
    if grid.cell_at(*xy) == cell:
        return 0.0
    x_m, y_m = grid.center(*cell)
    return float(np.hypot(xy[0] - x_m, xy[1] - y_m))
