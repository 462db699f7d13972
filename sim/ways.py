"""Ways between places where a robot can stand: how far it has to go."""

from __future__ import annotations

from typing import Tuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

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


def geodesic_distance(grid: Grid, a_xy: Tuple[float, float], b_xy: Tuple[float, float]) -> float:
    """Return the length of the shortest way between two points in metres; inf if there is none.

    A point that is not navigable (a thing on a table) counts from the nearest navigable cell, plus the distance to it.
    Ways run between cell middles in steps of 16 directions, so they come out up to 3 % too long.
    """
    start, goal = nearest_cell(grid, a_xy), nearest_cell(grid, b_xy)
    index: np.ndarray = np.full(grid.cells.shape, -1)
    index[grid.cells] = np.arange(int(grid.cells.sum()))
    rows, columns = index.shape
    padded = np.pad(index, 2, constant_values=-1)
    sources, targets, lengths = [], [], []
    for step in _STEPS:
        # A long step must not jump over what lies between.
        passed = ((0, 0), step, *_BETWEEN.get(step, ()))
        places = [padded[2 + row : 2 + row + rows, 2 + column : 2 + column + columns] for row, column in passed]
        free = np.all([place >= 0 for place in places], axis=0)
        sources.append(places[0][free])
        targets.append(places[1][free])
        lengths.append(np.full(int(free.sum()), np.hypot(*step) * grid.resolution_m))
    n = int(grid.cells.sum())
    graph = sparse.csr_matrix(
        (np.concatenate(lengths), (np.concatenate(sources), np.concatenate(targets))), shape=(n, n)
    )
    between = csgraph.dijkstra(graph, directed=False, indices=int(index[start]))[int(index[goal])]
    beyond = sum(_beyond(grid, cell, xy) for cell, xy in ((start, a_xy), (goal, b_xy)))
    return float(between + beyond)


def _beyond(grid: Grid, cell: Tuple[int, int], xy: Tuple[float, float]) -> float:
    """Return the distance from a cell to a point outside of it, 0 for a point in it."""
    if grid.cell_at(*xy) == cell:
        return 0.0
    x_m, y_m = grid.center(*cell)
    return float(np.hypot(xy[0] - x_m, xy[1] - y_m))
