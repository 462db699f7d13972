from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.mind_palace.planner import MAX_AREAS, best_trip, expected_way_m, nearest_trip


def walked(
    order: tuple[int, ...], at: int | None, here: np.ndarray, between: np.ndarray, settling: int | None
) -> float:
    """Walk an order until the thing is met, step by step."""
    way, last = 0.0, -1
    for area in order:
        way += float(here[area] if last < 0 else between[last, area])
        last = area
        if area in (at, settling):
            break
    return way


def brute(order: tuple[int, ...], p: np.ndarray, here: np.ndarray, between: np.ndarray, settling: int | None) -> float:
    nowhere = 1.0 - float(p.sum())
    found = sum(float(p[a]) * walked(order, a, here, between, settling) for a in range(len(p)))
    return found + nowhere * walked(order, None, here, between, settling)


@st.composite
def houses(draw: st.DrawFn, most: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray, int | None]:
    n = draw(st.integers(1, most))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    places, robot = rng.uniform(0.0, 10.0, (n, 2)), rng.uniform(0.0, 10.0, 2)
    chance = rng.dirichlet(np.ones(n + 1))[:n]
    between = np.linalg.norm(places[:, None] - places[None], axis=2)
    return chance, np.linalg.norm(places - robot, axis=1), between, draw(st.sampled_from([None, 0, n - 1]))


@settings(max_examples=60, deadline=None)
@given(houses())
def test_the_best_trip_is_the_best_of_all_orders_walked_one_by_one(house) -> None:  # type: ignore[no-untyped-def]
    chance, here, between, settling = house
    ways = {order: brute(order, chance, here, between, settling) for order in permutations(range(len(chance)))}
    trip = best_trip(chance, here, between, settling)
    assert trip.expected_m == pytest.approx(min(ways.values()))
    assert ways[trip.order] == pytest.approx(trip.expected_m)


def test_two_areas_are_weighed_as_in_the_papers_code() -> None:
    here, between = np.array([4.0, 3.0]), np.array([[0.0, 5.0], [5.0, 0.0]])
    p = np.array([0.7, 0.3])
    first = 0.7 * 4.0 + 0.3 * (4.0 + 5.0)
    second = 0.3 * 3.0 + 0.7 * (3.0 + 5.0)
    trip = best_trip(p, here, between)
    assert trip.order == (0, 1)
    assert trip.expected_m == pytest.approx(min(first, second))


def test_three_areas_are_weighed_as_in_the_papers_code() -> None:
    here = np.array([2.0, 6.0, 4.0])
    between = np.array([[0.0, 3.0, 5.0], [3.0, 0.0, 1.5], [5.0, 1.5, 0.0]])
    p = np.array([0.2, 0.5, 0.1])
    order, (pa, pb, pc) = (0, 1, 2), (0.2, 0.5 / 0.8, 0.1 / 0.3)
    d_ra, d_ab, d_bc = 2.0, 3.0, 1.5
    total = d_ra + d_ab + d_bc
    expected = pa * d_ra + (1 - pa) * (pb * (d_ra + d_ab) + (1 - pb) * (pc * total + (1 - pc) * total))
    assert expected_way_m(order, p, here, between) == pytest.approx(expected)


def test_the_sight_of_a_settling_area_ends_the_way() -> None:
    here, between = np.array([1.0, 2.0]), np.array([[0.0, 9.0], [9.0, 0.0]])
    assert expected_way_m((0, 1), np.array([0.1, 0.9]), here, between, settling=0) == pytest.approx(1.0)


def test_areas_beyond_those_weighed_follow_nearest_first_and_unreachable_ones_not_at_all() -> None:
    n = MAX_AREAS + 4
    at = np.arange(n, dtype=float)
    here, between = at + 1.0, np.abs(at[:, None] - at[None])
    here[2] = np.inf
    chance = np.full(n, 0.5 / n)
    trip = best_trip(chance, here, between)
    assert sorted(trip.order) == [area for area in range(n) if area != 2]
    assert trip.order == tuple(sorted(trip.order))


def test_a_search_without_chances_goes_to_the_nearest_that_is_left() -> None:
    between = np.array([[0.0, 1.0, 4.0], [1.0, 0.0, 2.0], [4.0, 2.0, 0.0]])
    trip = nearest_trip(np.array([0, 1, 2]), np.array([3.0, 2.5, 9.0]), between)
    assert trip.order == (1, 0, 2)
    assert trip.expected_m == pytest.approx(2.5 + 1.0 + 4.0)


def test_chances_that_are_no_shares_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to 1 at most"):
        best_trip(np.array([0.9, 0.9]), np.ones(2), np.zeros((2, 2)))
