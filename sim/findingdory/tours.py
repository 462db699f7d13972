"""The shortest way past several goals, each of which any of some places satisfies. Exact."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

import numpy as np

from embodied.arrays import Bool, Float
from sim.ways import Ways

Place = Tuple[float, float]
_INFINITE = float("inf")


def shortest_tour(
    from_start_m: Sequence[Float[np.ndarray, " _n_places"]],
    between_m: Sequence[Sequence[Float[np.ndarray, "_n_from _n_to"]]],
    *,
    ordered: bool,
) -> float:
    """Return the length of the shortest way that passes one place of every goal; inf if there is none.

    Dynamic programming over sets of goals (Held and Karp 1962), with a state for each place.

    Args:
        from_start_m: For each goal, the way from the start to each of its places.
        between_m: ``between_m[a][b]`` leads from places of goal a to places of goal b.
        ordered: The goals are passed in their order, otherwise in the best one.
    """
    n = len(from_start_m)
    if ordered:
        reached = from_start_m[0]
        for goal in range(1, n):
            reached = (reached[:, None] + between_m[goal - 1][goal]).min(axis=0, initial=_INFINITE)
        return float(reached.min(initial=_INFINITE))
    best: List[List[Float[np.ndarray, " _n_places"]]] = [
        [np.full(len(places), _INFINITE) for places in from_start_m] for _ in range(1 << n)
    ]
    for goal in range(n):
        best[1 << goal][goal] = np.asarray(from_start_m[goal], dtype=float)
    for passed in range(1, 1 << n):
        for last in range(n):
            if not passed >> last & 1:
                continue
            for goal in range(n):
                if not passed >> goal & 1:
                    way = (best[passed][last][:, None] + between_m[last][goal]).min(axis=0, initial=_INFINITE)
                    both = passed | 1 << goal
                    best[both][goal] = np.minimum(best[both][goal], way)
    return min(float(places.min(initial=_INFINITE)) for places in best[-1])


class Tours:
    """Shortest tours over one floor; ways from a place are computed once."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways
        self._fields: Dict[Tuple[int, int], Float[np.ndarray, "rows columns"]] = {}

    def length(self, start: Place, goals: Sequence[Sequence[Place]], *, ordered: bool) -> float:
        """Return the length of the shortest tour from a start past one place of every goal in metres.

        Args:
            start: x, y in metres; like all places it is one where the robot can stand.
            goals: The places that satisfy each.
            ordered: See ``shortest_tour``.
        """
        cells = [self._cells(places) for places in goals]
        from_start_m = [self._field(start)[c] for c in cells]
        if len(goals) == 1:
            return float(from_start_m[0].min(initial=_INFINITE))
        between_m = [
            [np.array([self._field(place)[c] for place in places]).reshape(len(places), -1) for c in cells]
            for places in goals
        ]
        return shortest_tour(from_start_m, between_m, ordered=ordered)

    def _field(self, place: Place) -> Float[np.ndarray, "rows columns"]:
        cell = self._ways.grid.cell_at(*place)
        if cell not in self._fields:
            goals: Bool[np.ndarray, "rows columns"] = np.zeros(self._ways.grid.cells.shape, dtype=bool)
            goals[cell] = True
            self._fields[cell] = self._ways.field_of(goals).astype(np.float32)
        return self._fields[cell]

    def _cells(self, places: Sequence[Place]) -> Tuple[np.ndarray, np.ndarray]:
        cells = np.array([self._ways.grid.cell_at(*place) for place in places], dtype=int).reshape(-1, 2)
        return cells[:, 0], cells[:, 1]


def thinned(places: Float[np.ndarray, "n 2"], apart_m: float) -> List[Place]:
    """Return places of which no two are nearer than ``apart_m``, and to one of which every place is."""
    kept: List[np.ndarray] = []
    for place in places:
        if all(np.linalg.norm(place - other) >= apart_m for other in kept):
            kept.append(place)
    return [(float(place[0]), float(place[1])) for place in kept]
