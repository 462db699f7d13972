"""How far the robot would have to go, over the free floor of its own map. Pure."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from embodied.arrays import Float, Int, Points2
from embodied.messages import MapReply, Point
from memory_bank.space.rooms import Room, RoomMap

_STEPS = ((0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (2, 1), (1, -2), (2, -1))
FREE = 1


class FloorWays:
    """Shortest ways over the cells that have room for the robot: the graph is built once."""

    def __init__(self, told: MapReply, clearance_m: float = 0.2) -> None:
        """Join the free cells.

        Args:
            told: The map.
            clearance_m: The robot's middle is at least so far from all that is not free.
        """
        self._origin_m = np.array(told.origin_m)
        self._resolution_m = told.resolution_m
        free = np.pad(told.occupancy == FREE, 1)
        clear = ndimage.distance_transform_edt(free)[1:-1, 1:-1] * told.resolution_m >= clearance_m
        self._cells = np.argwhere(clear)
        self._index = np.full(clear.shape, -1)
        self._index[clear] = np.arange(len(self._cells))
        padded = np.pad(self._index, 2, constant_values=-1)
        rows, columns = clear.shape
        sources, targets, lengths = [], [], []
        for step in _STEPS:
            # A long step must not jump over what lies between.
            between = ((0, 0), step) if max(map(abs, step)) == 1 else ((0, 0), step, *_passed(step))
            places = [padded[2 + row : 2 + row + rows, 2 + column : 2 + column + columns] for row, column in between]
            both = np.all([place >= 0 for place in places], axis=0)
            sources.append(places[0][both])
            targets.append(places[1][both])
            lengths.append(np.full(int(both.sum()), np.hypot(*step) * told.resolution_m))
        n = len(self._cells)
        self._graph = sparse.csr_matrix(
            (np.concatenate(lengths), (np.concatenate(sources), np.concatenate(targets))), shape=(n, n)
        )

    def distances_m(self, goal_m: Point, points_m: Points2, room: Room | None = None, rooms: RoomMap | None = None
                    ) -> Float[np.ndarray, " n_points"]:  # fmt: skip
        """Return the way from each point to the cell nearest to a goal, and from there to the goal; inf for none.

        Args:
            goal_m: A thing, where no robot can stand.
            points_m: Where the robot may be.
            room: The goal's: a cell behind its wall is not near.
            rooms: The map of it.
        """
        if not len(self._cells):
            return np.full(len(points_m), np.inf)
        among = np.arange(len(self._cells))
        if room is not None and rooms is not None:
            inside = np.flatnonzero(rooms.indices_at(self._middles_m) == room.index)
            among = inside if len(inside) else among
        goal, gap_m = self._nearest(np.array([goal_m[:2]]), among)
        starts, start_gaps_m = self._nearest(np.asarray(points_m, dtype=float), np.arange(len(self._cells)))
        field = csgraph.dijkstra(self._graph, directed=False, indices=int(goal[0]))
        found: np.ndarray = field[starts] + start_gaps_m + gap_m[0]
        return found

    @property
    def _middles_m(self) -> Points2:
        return (self._cells[:, ::-1] + 0.5) * self._resolution_m + self._origin_m

    def _nearest(
        self, xy_m: Points2, among: Int[np.ndarray, " n"]
    ) -> tuple[Int[np.ndarray, " n_points"], Float[np.ndarray, " n_points"]]:
        """Return the nearest of some cells for each point, and how far it is."""
        distances = np.linalg.norm(self._middles_m[among][None] - xy_m[:, None], axis=2)
        nearest = distances.argmin(axis=1)
        return among[nearest], distances[np.arange(len(xy_m)), nearest]


def _passed(step: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Return the cells between the ends of a knight's step."""
    row, column = step
    if abs(row) == 1:
        half = column // 2
        return (0, half), (row, half)
    half = row // 2
    return (half, 0), (half, column)
