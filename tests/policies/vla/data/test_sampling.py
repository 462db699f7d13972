from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from policies.vla.data.sampling import call_steps, group_steps, shuffled_episode, stream_window


@given(st.integers(0, 2**31), st.integers(1, 60), st.integers(1, 20), st.integers(1, 9))
def test_calls_begin_at_the_beginning_and_stay_within_gap_and_episode(
    seed: int, n_frames: int, n_calls: int, max_gap: int
) -> None:
    steps = call_steps(np.random.default_rng(seed), n_frames, n_calls, max_gap)
    assert steps[0] == 0
    assert len(steps) <= n_calls
    assert steps[-1] < n_frames
    assert (np.diff(steps) >= 1).all()
    if len(steps) < n_calls:
        assert (np.diff(steps) <= max_gap).all()
        assert n_frames - steps[-1] <= max_gap


def test_gaps_vary_and_calls_that_are_left_out_do_too() -> None:
    rng = np.random.default_rng(0)
    assert {int(gap) for _ in range(50) for gap in np.diff(call_steps(rng, 40, 40, 3))} == {1, 2, 3}
    assert len({tuple(call_steps(rng, 100, 3, 1)) for _ in range(20)}) > 15


def test_a_group_is_frames_of_the_whole_episode_in_the_order_of_time() -> None:
    steps = group_steps(np.random.default_rng(0), 100, 16)
    assert (np.diff(steps) > 0).all()
    assert steps[0] < 30 < 70 < steps[-1]
    np.testing.assert_array_equal(group_steps(np.random.default_rng(0), 4, 16), np.arange(4))


def test_each_episode_comes_once_before_any_comes_again() -> None:
    epochs = [[shuffled_episode(3, 7, 7 * epoch + offset) for offset in range(7)] for epoch in range(3)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(7))] * 3
    assert epochs[0] != epochs[1]


def test_a_stream_is_whole_episodes_one_after_the_other() -> None:
    n_windows = np.array([2, 1, 3])
    drawn = [stream_window(0, 0, n_windows, 4, step) for step in range(12)]
    assert [epoch for epoch, _, _ in drawn] == [0] * 6 + [1] * 6
    for epoch in (drawn[:6], drawn[6:]):
        assert Counter(episode for _, episode, _ in epoch) == {0: 2, 1: 1, 2: 3}
    for (_, episode, first), (_, following, then) in zip(drawn, drawn[1:]):
        is_over = first // 4 == n_windows[episode] - 1
        assert then == (0 if is_over else first + 4)
        assert is_over or following == episode
    orders = {tuple(stream_window(0, row, n_windows, 4, step)[1] for step in range(12)) for row in range(8)}
    assert len(orders) > 1
