from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from policies.vla.data.sampling import (
    call_steps,
    decisions,
    group_steps,
    remembered_calls,
    shuffled_episode,
    stream_window,
)


@given(st.integers(0, 2**31), st.integers(1, 60), st.integers(1, 9))
def test_calls_are_at_the_beginning_and_then_as_far_apart_as_when_acting(seed: int, n_frames: int, gap: int) -> None:
    steps = call_steps(np.random.default_rng(seed), n_frames, gap)
    gaps = np.diff(np.append(steps, n_frames))
    assert steps[0] == 0
    assert (gaps[1:-1] == gap).all()
    assert 1 <= gaps.min()
    assert gaps.max() <= gap


def test_every_frame_is_a_call_now_and_then() -> None:
    rng = np.random.default_rng(0)
    assert {int(step) for _ in range(60) for step in call_steps(rng, 20, 5)} == set(range(20))


def test_what_is_left_out_is_neither_the_first_nor_learned_from() -> None:
    rng = np.random.default_rng(0)
    weights = np.array([0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0])
    kept = [remembered_calls(rng, weights, 4) for _ in range(100)]
    assert all(len(calls) == 4 and (np.diff(calls) > 0).all() and {0, 2, 5} <= set(calls.tolist()) for calls in kept)
    assert {int(call) for calls in kept for call in calls} == set(range(8))
    assert remembered_calls(rng, weights, 8).tolist() == list(range(8))
    assert remembered_calls(rng, weights, 1).tolist() == [0]
    some = [remembered_calls(rng, np.ones(8), 3).tolist() for _ in range(100)]
    assert all(calls[0] == 0 for calls in some)
    assert {call for calls in some for call in calls} == set(range(8))


def test_decisions_are_drawn_by_their_weight_and_count_alike() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([decisions(rng, np.array([1.0, 5.0, 1.0, 1.0], np.float32), 2) for _ in range(2000)])
    assert set(drawn.ravel().tolist()) == {0.0, 1.0}
    assert (drawn.sum(axis=1) == 2.0).all()
    # First by its share of the weights, or second, after one of the three others.
    np.testing.assert_allclose(drawn.mean(axis=0)[1], 5 / 8 + 3 / 8 * 5 / 7, atol=0.03)
    assert np.ptp(drawn.mean(axis=0)[[0, 2, 3]]) < 0.06
    assert decisions(rng, np.ones(2, np.float32), 3).tolist() == [1.0, 1.0]


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
