from __future__ import annotations

import numpy as np

from policies.vla.data.labels import columns_of, destinations, onset_weights


def moves(*speeds: float) -> np.ndarray:
    return np.array([[speed, 0.0, 0.0] for speed in speeds])


def places(n: int) -> np.ndarray:
    return np.stack([np.arange(n), np.zeros(n), np.zeros(n)], axis=1).astype(np.float64)


def test_a_motion_leads_to_where_the_tool_rests_next() -> None:
    reached = destinations(places(8), moves(1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0))
    # Two motions: to 2, where it waits, and to the end of the episode.
    np.testing.assert_array_equal(reached[:, 0], [2, 2, 2, 3, 7, 7, 7, 7])


def test_one_slow_step_and_a_slow_creep_are_told_apart() -> None:
    reached = destinations(places(6), moves(1.0, 0.05, 1.0, 0.09, 0.05, 0.01))
    np.testing.assert_array_equal(reached[:, 0], [3, 3, 3, 3, 4, 5])


def test_an_arm_that_never_moves_is_where_it_goes() -> None:
    np.testing.assert_array_equal(destinations(places(3), moves(0.0, 0.0, 0.0)), places(3))


def test_frames_count_more_the_more_the_action_changes() -> None:
    actions = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.5], [1.0, 0.5]])
    np.testing.assert_allclose(onset_weights(actions, 5.0), [1.0, 1.0, 5.0, 3.0, 1.0])
    np.testing.assert_array_equal(onset_weights(actions, 1.0), np.ones(5))
    np.testing.assert_array_equal(onset_weights(np.zeros((2, 2)), 5.0), np.ones(2))


def test_columns_are_found_by_name_or_not_at_all() -> None:
    assert columns_of(("c", "a", "b"), ("a", "b")) == [1, 2]
    assert columns_of(("a",), ("a", "b")) is None
