"""Ways between places where a robot can stand: how far it has to go."""

from __future__ import annotations

from typing import Tuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from sim.collision import Grid, nearest_cell

_STEPS = ((0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (2, 1), (1, -2), (2, -1))
"""Rows and columns of a step on a way; their opposites go without saying."""


def geodesic_distance(grid: Grid, a_xy: Tuple[float, float], b_xy: Tuple[float, float]) -> float:
    """Return the length of the shortest way between two points in metres; inf if there is none.

    A point that is not navigable (a thing on a table) counts from the nearest navigable cell, plus the distance to it.
    Ways run between cell middles in steps of 16 directions, so they come out up to 3 % too long.
    """
    start, goal = nearest_cell(grid, a_xy), nearest_cell(grid, b_xy)
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


def _beyond(grid: Grid, cell: Tuple[int, int], xy: Tuple[float, float]) -> float:
    """Return the distance from a cell to a point outside of it, 0 for a point in it."""
    if grid.cell_at(*xy) == cell:
        return 0.0
    x_m, y_m = grid.center(*cell)
    return float(np.hypot(xy[0] - x_m, xy[1] - y_m))
