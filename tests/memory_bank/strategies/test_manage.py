"""What a new note does to the others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_bank.strategies import registry
from memory_bank.strategies.manage.failures_apart import FailuresApart
from memory_bank.strategies.manage.operations import Operations
from memory_bank.strategies.manage.utility import Utility
from memory_bank.strategies.protocol import Decision, Notes

ANGLES = {"same": 1.0, "nearly": 0.95, "otherwise": 0.9}
"""Cosine of a text with that of the new note."""


def told(*rows: tuple[float, str, bool]) -> Notes:
    """Return notes before a new, successful one: cosine of the intent, likeness of the text, success."""
    rows = (*rows, (1.0, "same", True))
    unit = [[c, np.sqrt(1.0 - c * c)] for c, _, _ in rows]
    texts = [[ANGLES[text], np.sqrt(1.0 - ANGLES[text] ** 2)] for _, text, _ in rows]
    succeeded = np.array([ok for _, _, ok in rows])
    return Notes(np.array(unit), np.array(texts), succeeded, np.zeros(len(rows)))


@pytest.mark.parametrize(
    ("before", "decision"),
    [
        ([], Decision("add")),
        ([(0.97, "same", True)], Decision("add")),  # another intent
        ([(1.0, "otherwise", True)], Decision("add")),  # another way to the same
        ([(1.0, "otherwise", False)], Decision("add")),  # a failure in another way
        ([(1.0, "nearly", True)], Decision("update", (0,))),
        ([(0.97, "same", True), (0.985, "same", True)], Decision("noop", alike=1)),
        ([(1.0, "nearly", False)], Decision("add")),
        ([(1.0, "same", False)], Decision("delete", (0,))),  # the same deed failed before, and works now
        ([(1.0, "same", True), (1.0, "same", False)], Decision("delete", (1,))),
    ],
)
def test_a_note_is_added_updates_contradicts_or_says_nothing_new(
    before: list[tuple[float, str, bool]], decision: Decision
) -> None:
    assert Operations()(told(*before), 100) == decision


def worth(utilities: list[float], succeeded: list[bool]) -> Notes:
    n = len(utilities)
    return Notes(np.eye(n), np.eye(n), np.array(succeeded, dtype=bool), np.array(utilities))


def test_the_least_useful_leaves_and_of_equal_ones_the_oldest() -> None:
    notes = worth([0.5, -0.2, -0.2, -0.9], [True] * 4)
    assert Utility()(notes, 4) == Decision("add")
    assert Utility()(notes, 3) == Decision("delete", (1,))  # not the new one, though it is worth less


def test_the_kind_that_has_more_than_its_share_gives_way() -> None:
    # 10 x 0.3: three failures may stay.
    successes = [0.1] * 7
    many_failures = worth([-0.5, *successes, 0.0, 0.0, 0.0], [False, *[True] * 7, False, False, False])
    assert FailuresApart()(many_failures, 10) == Decision("delete", (0,))
    few_failures = worth([-0.5, *successes, 0.0, 0.0, 0.2], [False, *[True] * 7, False, False, True])
    assert FailuresApart()(few_failures, 10) == Decision("delete", (1,))
    assert FailuresApart()(few_failures, 11) == Decision("add")


def test_the_new_note_stays_even_if_it_alone_is_too_many() -> None:
    notes = worth([0.2, 0.1, 0.0], [True, True, False])
    assert FailuresApart(share=0.0)(notes, 2) == Decision("delete", (1,))


@settings(max_examples=40)
@given(
    st.sampled_from(["utility", "failures_apart"]),
    st.lists(st.tuples(st.floats(-1, 1), st.booleans()), min_size=3, max_size=12),
)
def test_pruning_takes_the_worst_of_a_kind_and_never_the_new_one(name: str, rows: list[tuple[float, bool]]) -> None:
    notes = worth([utility for utility, _ in rows], [ok for _, ok in rows])
    operation, leaves, _ = registry.get("manage", name)(notes, len(rows) - 1)
    assert operation == "delete"
    (gone,) = leaves
    assert gone < len(rows) - 1
    alike = notes.succeeded[:-1] == notes.succeeded[gone] if name == "failures_apart" else notes.succeeded[:-1] >= False
    assert notes.utilities[gone] == notes.utilities[:-1][alike].min()
