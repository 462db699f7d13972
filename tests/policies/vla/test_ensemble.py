from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from policies.vla.ensemble import ensemble

ACTIONS = st.floats(-1.0, 1.0, width=32)
CHUNKS = st.integers(1, 4).flatmap(
    lambda n: st.lists(arrays(np.float32, (5, 3), elements=ACTIONS), min_size=n, max_size=n)
)


@settings(max_examples=25)
@given(CHUNKS, st.integers(1, 3), st.floats(0.0, 2.0))
def test_an_average_lies_between_what_was_predicted_for_its_instant(
    chunks: list[np.ndarray], gap: int, alpha: float
) -> None:
    steps = [gap * k for k in range(len(chunks))]
    averaged = ensemble(chunks, steps, alpha)
    assert averaged.shape == (5, 3)
    assert averaged.dtype == np.float32
    for k in range(5):
        instant = steps[-1] + k
        said = np.array([chunk[instant - step] for chunk, step in zip(chunks, steps) if instant - step < 5])
        assert (averaged[k] >= said.min(axis=0) - 1e-6).all()
        assert (averaged[k] <= said.max(axis=0) + 1e-6).all()


@settings(max_examples=25)
@given(arrays(np.float32, (5, 3), elements=ACTIONS), st.integers(0, 4))
def test_plans_that_agree_are_left_as_they_are(plan: np.ndarray, gap: int) -> None:
    older = np.concatenate([np.full((gap, 3), 9.0, np.float32), plan])[:5]  # says the same of the instants they share
    np.testing.assert_allclose(ensemble([older, plan], [0, gap], 0.1) if gap else plan, plan, atol=1e-6)


def test_what_points_the_other_way_weighs_less_by_the_formula() -> None:
    newest, against = np.array([[1.0, 0.0]], np.float32), np.array([[0.0, 0.0], [-1.0, 0.0]], np.float32)
    share = np.exp(2.0) / (np.exp(2.0) + np.exp(-2.0))
    averaged = ensemble([against, newest], [0, 1], alpha=2.0)
    np.testing.assert_allclose(averaged, [[share - (1.0 - share), 0.0]], rtol=1e-6)
    np.testing.assert_allclose(ensemble([against, newest], [0, 1], alpha=0.0), [[0.0, 0.0]], atol=1e-7)


def test_a_plan_whose_instants_are_over_says_nothing() -> None:
    newest = np.ones((2, 2), np.float32)
    np.testing.assert_array_equal(ensemble([np.zeros((2, 2), np.float32), newest], [0, 2], 0.1), newest)


@pytest.mark.parametrize(("n_chunks", "steps"), [(0, []), (2, [0]), (2, [1, 1])])
def test_steps_that_do_not_fit_are_refused(n_chunks: int, steps: list[int]) -> None:
    with pytest.raises(ValueError, match="steps"):
        ensemble([np.zeros((2, 1), np.float32)] * n_chunks, steps, 0.1)
