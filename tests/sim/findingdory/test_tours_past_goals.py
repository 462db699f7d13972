"""The shortest tour is exact: as short as the best of all orders and choices."""

from __future__ import annotations

from itertools import permutations, product
from typing import List

import numpy as np
import pytest

from sim.collision import Grid
from sim.findingdory.tours import Tours, shortest_tour, thinned
from sim.ways import Ways


def brute_force(from_start: List[np.ndarray], between: List[List[np.ndarray]], ordered: bool) -> float:
    goals = range(len(from_start))
    best = float("inf")
    for order in [tuple(goals)] if ordered else permutations(goals):
        for places in product(*(range(len(from_start[goal])) for goal in order)):
            length = from_start[order[0]][places[0]]
            for k in range(1, len(order)):
                length += between[order[k - 1]][order[k]][places[k - 1], places[k]]
            best = min(best, float(length))
    return best


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_the_tour_is_as_short_as_the_best_of_all(seed: int, ordered: bool) -> None:
    rng = np.random.default_rng(seed)
    points = [rng.uniform(0, 10, (int(rng.integers(1, 4)), 2)) for _ in range(int(rng.integers(1, 5)))]
    from_start = [np.linalg.norm(p - 5.0, axis=1) for p in points]
    between = [[np.linalg.norm(a[:, None] - b[None], axis=2) for b in points] for a in points]
    found = shortest_tour(from_start, between, ordered=ordered)
    assert found == pytest.approx(brute_force(from_start, between, ordered))


def test_ways_go_around_what_is_in_the_way() -> None:
    cells = np.ones((30, 50), dtype=bool)
    cells[:25, 25] = False
    tours = Tours(Ways(Grid(cells, (0.0, 0.0), 0.1)))
    start, near, behind = (1.05, 0.55), (1.55, 0.55), (3.05, 0.55)
    assert tours.length(start, [[near]], ordered=False) == pytest.approx(0.5)
    assert tours.length(start, [[behind, near]], ordered=False) == pytest.approx(0.5)
    assert tours.length(start, [[behind], [near]], ordered=False) == tours.length(
        start, [[near], [behind]], ordered=True
    )
    assert tours.length(start, [[behind], [near]], ordered=True) > 2 * 4.0


def test_thinning_leaves_every_place_near_one_that_is_kept() -> None:
    places = np.random.default_rng(0).uniform(0, 3, (80, 2))
    kept = np.array(thinned(places, 0.5))
    between = np.linalg.norm(kept[:, None] - kept[None], axis=2) + 9 * np.eye(len(kept))
    assert between.min() >= 0.5
    assert np.linalg.norm(places[:, None] - kept[None], axis=2).min(axis=1).max() < 0.5
