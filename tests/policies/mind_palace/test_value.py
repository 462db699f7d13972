from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.mind_palace.belief import BeliefConfig, When, after_misses, chances, weight
from policies.mind_palace.planner import best_trip, expected_way_m
from policies.mind_palace.value import Search, value_of_outcomes_m, value_of_recall_m

DAY_NS = 86_400 * 1_000_000_000
CONFIG = BeliefConfig(other_part=0.25, per_day=1.0, anywhere=0.5, missed=0.05)
LINE = Search(np.array([1.0, 2.0, 3.0]), np.abs(np.arange(3.0)[:, None] - np.arange(3.0)[None]))
"""Three areas along a corridor that begins at the robot: each lies on the way to the next."""
FORK = Search(np.array([4.0, 4.0]), np.array([[0.0, 8.0], [8.0, 0.0]]))
"""Two areas in opposite directions."""


def morning(day: int) -> When:
    return When(day * DAY_NS, "morning")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_recalling_is_worth_nothing_exactly_where_no_outcome_changes_the_plan(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    places = rng.uniform(0.0, 10.0, (n, 2))
    between = np.linalg.norm(places[:, None] - places[None], axis=2)
    search = Search(np.linalg.norm(places, axis=1), between)
    now, then = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(n), size=3)
    value = value_of_outcomes_m(search, now, np.array([0.5, 0.3, 0.2]), then)
    order = best_trip(now, search.from_here_m, between).order
    loses = [
        expected_way_m(order, belief, search.from_here_m, between)
        - best_trip(belief, search.from_here_m, between).expected_m
        for belief in then
    ]
    assert (value > 1e-9) == (max(loses) > 1e-9)
    assert value == pytest.approx(0.5 * loses[0] + 0.3 * loses[1] + 0.2 * loses[2])


def test_along_a_corridor_no_recall_changes_anything() -> None:
    assert value_of_recall_m(CONFIG, LINE, [], morning(1), morning(2), np.zeros(3)) == pytest.approx(0.0)


def test_at_a_fork_the_first_recall_is_worth_most_and_agreement_makes_more_of_them_worthless() -> None:
    known: list[tuple[When, int]] = []
    values = []
    for day in range(3):
        values.append(value_of_recall_m(CONFIG, FORK, known, morning(day), morning(5), np.zeros(2)))
        known.append((morning(day), 1))
    assert values[0] > 1.0
    assert values[2] == pytest.approx(0.0)


def test_the_same_part_of_the_day_tells_more() -> None:
    evening = When(DAY_NS, "evening")
    assert weight(CONFIG, morning(1), morning(5)) == 1.0
    assert weight(CONFIG, evening, morning(5)) == 0.25
    of_mornings = value_of_recall_m(CONFIG, FORK, [], morning(1), morning(5), np.zeros(2))
    assert of_mornings > value_of_recall_m(CONFIG, FORK, [], evening, morning(5), np.zeros(2))


def test_chances_follow_what_was_recalled_and_what_was_missed() -> None:
    share = chances(CONFIG, 2, [(morning(1), 1)], morning(2))
    assert share == pytest.approx([0.25 / 1.5, 1.25 / 1.5])
    left = after_misses(CONFIG, share, np.array([0.0, 1.0]))
    assert left == pytest.approx(np.array([0.25, 1.25 * 0.05]) / (0.25 + 1.25 * 0.05))


def test_where_nothing_can_be_reached_nothing_is_worth_a_recall() -> None:
    shut = Search(np.full(2, np.inf), np.zeros((2, 2)))
    assert value_of_recall_m(CONFIG, shut, [], morning(1), morning(2), np.zeros(2)) == 0.0
