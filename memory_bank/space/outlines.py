"""The outline of a region of cells, as a polygon. Pure."""

from __future__ import annotations

import numpy as np

from embodied.arrays import Bool

CellMask = Bool[np.ndarray, "rows columns"]
Corner = tuple[int, int]
"""Column and row of a corner of a cell."""


def trace_outline(mask: CellMask, tolerance: float = 1.5) -> list[Corner]:
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
    follow: dict[Corner, list[Corner]] = {}
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


def _simplified(corners: list[Corner], tolerance: float) -> list[Corner]:
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
