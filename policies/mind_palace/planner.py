"""In which order to look at areas: the least expected way until something is found. Pure, exact.

After "Enter the Mind Palace" (arXiv 2507.12846), whose released code enumerates ordered pairs and triples of rooms;
here any order of up to ``MAX_AREAS`` areas is weighed, all at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import numpy as np

from embodied.arrays import Float, Int

MAX_AREAS = 6
"""Of so many areas all orders are weighed; there are 720."""
TIE_M = 1e-9


@dataclass(frozen=True)
class Trip:
    """An order of areas, by their indices, and how far it is on average until one of them ends the search."""

    order: tuple[int, ...]
    expected_m: float


@lru_cache(maxsize=MAX_AREAS + 1)
def _orders(n: int) -> Int[np.ndarray, "n_orders n"]:
    return np.array(list(permutations(range(n))), dtype=np.int64).reshape(-1, n)


def expected_ways_m(
    orders: Int[np.ndarray, "n_orders n"],
    probability: Float[np.ndarray, " n_areas"],
    from_here_m: Float[np.ndarray, " n_areas"],
    between_m: Float[np.ndarray, "n_areas n_areas"],
    settling: int | None = None,
) -> Float[np.ndarray, " n_orders"]:
    """Return how far each order leads on average.

    The sum over k of the chance that the k-th area is where it is found, times the way up to there; where it is in none
    of them, the whole way (the formula of the paper's code, with chances that exclude one another).

    Args:
        orders: Areas by index, each order its own row.
        probability: That it is in an area; the sum is at most 1, the rest lies in none of them.
        from_here_m: From the robot to each area.
        between_m: From area to area.
        settling: An area whose sight ends the search whether it is there or not.
    """
    steps = np.concatenate([from_here_m[orders[:, :1]], between_m[orders[:, :-1], orders[:, 1:]]], axis=1)
    ways = np.cumsum(steps, axis=1)
    chance = np.asarray(probability, dtype=float)[orders]
    left = 1.0 - np.cumsum(chance, axis=1)
    if settling is not None:
        is_it = orders == settling
        # Whatever has not been found before is settled here, and nothing is left to do behind it.
        before = left + chance
        chance = np.where(is_it, before, np.where(np.cumsum(is_it, axis=1) > 0, 0.0, chance))
    found = (chance * ways).sum(axis=1)
    nowhere = np.maximum(1.0 - chance.sum(axis=1), 0.0)
    total: Float[np.ndarray, " n_orders"] = found + nowhere * ways[:, -1]
    return total


def shortlist(
    probability: Float[np.ndarray, " n_areas"], from_here_m: Float[np.ndarray, " n_areas"], settling: int | None = None
) -> Int[np.ndarray, " n"]:
    """Return the areas worth weighing, ascending: the likeliest ones that can be reached, the nearer of equal ones."""
    reachable = np.flatnonzero(np.isfinite(from_here_m) & (np.asarray(probability) > 0.0))
    ranked = reachable[np.lexsort((reachable, from_here_m[reachable], -np.asarray(probability)[reachable]))]
    chosen = ranked[:MAX_AREAS]
    if settling is not None and np.isfinite(from_here_m[settling]) and settling not in chosen:
        chosen = np.append(chosen[: MAX_AREAS - 1], settling)
    return np.sort(chosen)


def best_trip(
    probability: Float[np.ndarray, " n_areas"],
    from_here_m: Float[np.ndarray, " n_areas"],
    between_m: Float[np.ndarray, "n_areas n_areas"],
    settling: int | None = None,
) -> Trip:
    """Return all areas that can be reached, in the order with the least expected way; the first of equal ones.

    Exact for up to ``MAX_AREAS`` areas. Of more, the likeliest are weighed and the others follow, nearest first.

    Raises:
        ValueError: A probability is negative or their sum exceeds 1.
    """
    chance = np.asarray(probability, dtype=float)
    if (chance < 0.0).any() or chance.sum() > 1.0 + 1e-6:
        raise ValueError(f"probability: expected shares that sum to 1 at most, got {chance.tolist()}")
    areas = shortlist(chance, from_here_m, settling)
    if not len(areas):
        return Trip((), 0.0)
    orders = areas[_orders(len(areas))]
    ways = expected_ways_m(orders, chance, from_here_m, between_m, settling)
    best = orders[int(np.flatnonzero(ways <= ways.min() + TIE_M)[0])]
    others = np.setdiff1d(np.flatnonzero(np.isfinite(from_here_m)), best)
    order = (*best.tolist(), *nearest_trip(others, between_m[best[-1]], between_m).order)
    return Trip(order, expected_way_m(order, chance, from_here_m, between_m, settling))


def expected_way_m(
    order: Sequence[int],
    probability: Float[np.ndarray, " n_areas"],
    from_here_m: Float[np.ndarray, " n_areas"],
    between_m: Float[np.ndarray, "n_areas n_areas"],
    settling: int | None = None,
) -> float:
    """Return how far one order leads on average."""
    rows = np.array([order], dtype=np.int64)
    return float(expected_ways_m(rows, probability, from_here_m, between_m, settling)[0])


def nearest_trip(
    areas: Int[np.ndarray, " n"],
    from_here_m: Float[np.ndarray, " n_areas"],
    between_m: Float[np.ndarray, "n_areas n_areas"],
) -> Trip:
    """Return some areas nearest first, from each the nearest of those left: a search that knows no chances."""
    left = [int(area) for area in areas if np.isfinite(from_here_m[int(area)])]
    order: list[int] = []
    way_m, ways = from_here_m, 0.0
    while left:
        nearest = min(left, key=lambda area: (float(way_m[area]), area))
        ways += float(way_m[nearest])
        order.append(nearest)
        left.remove(nearest)
        way_m = between_m[nearest]
    return Trip(tuple(order), ways)
