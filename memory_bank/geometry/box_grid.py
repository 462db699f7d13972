"""Which boxes are where: a uniform grid of cells, kept up to date, so that asking costs what is near and not all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from embodied.arrays import Vector3

Cell = tuple[int, int, int]

CELL_M = 2.0
_MOST_CELLS = 1000
"""A box that covers more cells is kept apart and told in every answer: a fault of measurement, or a whole building."""


class BoxGrid:
    """Named axis-aligned boxes by the cells that they reach into."""

    def __init__(self) -> None:
        self._names: dict[Cell, set[str]] = {}
        self._span: dict[str, tuple[Cell, Cell]] = {}
        self._large: set[str] = set()

    def __len__(self) -> int:
        return len(self._span)

    def put(self, name: str, low_m: Vector3, high_m: Vector3) -> None:
        """Add a box, or take note of its new place and size.

        Raises:
            ValueError: A corner is not finite.
        """
        span = _cell(low_m), _cell(high_m)
        before = self._span.get(name)
        if before == span:
            return
        if before is not None:
            self.drop(name)
        self._span[name] = span
        if _n_cells(*span) > _MOST_CELLS:
            self._large.add(name)
            return
        for cell in _cells(*span):
            self._names.setdefault(cell, set()).add(name)

    def drop(self, name: str) -> None:
        """Forget a box."""
        span = self._span.pop(name)
        if name in self._large:
            self._large.discard(name)
            return
        for cell in _cells(*span):
            names = self._names[cell]
            names.discard(name)
            if not names:
                del self._names[cell]

    def near(self, low_m: Vector3, high_m: Vector3) -> set[str]:
        """Return the names of all boxes that may touch the given one: every one that does, and some close by."""
        low, high = _cell(low_m), _cell(high_m)
        found = set(self._large)
        if _n_cells(low, high) > len(self._names):
            for cell, names in self._names.items():
                if all(a <= c <= b for a, c, b in zip(low, cell, high)):
                    found |= names
            return found
        for cell in _cells(low, high):
            found |= self._names.get(cell, set())
        return found


def _cell(point_m: Vector3) -> Cell:
    """Return the cell of a point."""
    x, y, z = np.floor(np.asarray(point_m, dtype=float) / CELL_M).tolist()
    if not np.isfinite(x + y + z):
        raise ValueError(f"corner: expected three finite numbers, got {np.asarray(point_m).tolist()}")
    return int(x), int(y), int(z)


def _n_cells(low: Cell, high: Cell) -> int:
    """Return how many cells there are from one to another."""
    return (high[0] - low[0] + 1) * (high[1] - low[1] + 1) * (high[2] - low[2] + 1)


def _cells(low: Cell, high: Cell) -> Iterator[Cell]:
    """Yield all cells from one to another."""
    for x in range(low[0], high[0] + 1):
        for y in range(low[1], high[1] + 1):
            for z in range(low[2], high[2] + 1):
                yield x, y, z
