from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embodied.action_queue import ActionQueue, ActionQueueSettings

PERIOD_NS = 10


def chunk(first: float, n_steps: int) -> np.ndarray:
    """Return actions that are numbered, so that each can be told from the others."""
    return np.arange(first, first + n_steps, dtype=np.float32)[:, None]


def played(queue: ActionQueue, from_ns: int, n_steps: int) -> list[float | None]:
    actions = [queue.take(from_ns + k * PERIOD_NS) for k in range(n_steps)]
    return [None if action is None else float(action[0]) for action in actions]


def test_a_chunk_for_later_waits_for_its_time_and_the_robot_stands_still_before_and_after() -> None:
    queue = ActionQueue(PERIOD_NS)
    assert queue.put(chunk(1, 2), start_ns=20, now_ns=0).n_late == 0
    assert played(queue, 0, 5) == [None, None, 1, 2, None]
    assert (queue.counts["played"], queue.counts["held"], queue.counts["late"]) == (2, 3, 0)


def test_of_a_late_chunk_what_is_over_is_dropped_and_the_rest_played_in_its_own_time() -> None:
    queue = ActionQueue(PERIOD_NS)
    put = queue.put(chunk(1, 4), start_ns=0, now_ns=20)
    assert (put.actions[:, 0].tolist(), put.n_late, put.n_beyond) == ([3, 4], 2, 0)
    assert played(queue, 20, 3) == [3, 4, None]
    assert (queue.counts["late"], queue.counts["dropped"]) == (1, 2)


def test_a_chunk_whose_time_is_over_changes_nothing() -> None:
    queue = ActionQueue(PERIOD_NS)
    queue.put(chunk(1, 9), start_ns=0, now_ns=0)
    put = queue.put(chunk(20, 2), start_ns=0, now_ns=30)
    assert (put.actions.shape, put.n_late) == ((0, 1), 2)
    assert played(queue, 30, 2) == [4, 5]


def test_actions_that_would_begin_after_the_validity_are_dropped() -> None:
    queue = ActionQueue(PERIOD_NS)
    put = queue.put(chunk(1, 4), start_ns=0, now_ns=0, valid_until_ns=15)
    assert (put.actions[:, 0].tolist(), put.n_beyond) == ([1, 2], 2)
    assert played(queue, 0, 3) == [1, 2, None]


def test_a_newer_chunk_takes_the_place_of_the_older_from_its_first_instant_on() -> None:
    queue = ActionQueue(PERIOD_NS)
    queue.put(chunk(1, 6), start_ns=0, now_ns=0)
    queue.put(chunk(20, 2), start_ns=20, now_ns=0)
    assert played(queue, 0, 6) == [1, 2, 20, 21, None, None]


def test_where_chunks_are_blended_the_newer_takes_over_by_and_by() -> None:
    queue = ActionQueue(PERIOD_NS, ActionQueueSettings(overlap="blend"))
    queue.put(np.zeros((5, 1), np.float32), start_ns=0, now_ns=0)
    put = queue.put(np.full((5, 1), 4.0, np.float32), start_ns=20, now_ns=0)
    np.testing.assert_allclose(put.actions[:, 0], [1, 2, 3, 4, 4])
    assert played(queue, 0, 8) == [0, 0, 1, 2, 3, 4, 4, None]
    assert queue.counts["blended"] == 3


def test_a_chunk_between_the_ticks_cuts_the_older_one_short() -> None:
    queue = ActionQueue(PERIOD_NS)
    queue.put(chunk(1, 3), start_ns=0, now_ns=0)
    queue.put(chunk(20, 2), start_ns=15, now_ns=0)
    assert [float(a[0]) if (a := queue.take(t)) is not None else None for t in (0, 14, 15, 24, 25, 35)] == [
        1, 2, 20, 20, 21, None,
    ]  # fmt: skip


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(-60, 60), st.integers(1, 8), st.integers(0, 120)),
        min_size=1, max_size=12,
    ),
    st.sampled_from(["replace", "blend"]),
)  # fmt: skip
def test_whatever_comes_only_what_is_valid_is_played_in_order_and_the_queue_is_bounded(
    events: list[tuple[int, int, int, int]], overlap: str
) -> None:
    queue = ActionQueue(PERIOD_NS, ActionQueueSettings(overlap=overlap, max_steps=6))  # type: ignore[arg-type]
    now_ns, valid = 0, {}
    for number, (wait_ns, ahead_ns, n_steps, valid_ns) in enumerate(events):
        now_ns += wait_ns
        start_ns = now_ns + ahead_ns
        for k in range(n_steps):
            begin_ns = start_ns + k * PERIOD_NS
            if begin_ns <= now_ns + valid_ns:
                valid[100 * number + k] = (begin_ns, begin_ns + PERIOD_NS)
        put = queue.put(chunk(100 * number, n_steps), start_ns, now_ns, now_ns + valid_ns)
        assert put.n_late + len(put.actions) + put.n_beyond == n_steps
        assert len(queue) <= 2 * 6
        action = queue.take(now_ns)
        if action is not None and overlap == "replace":
            begin_ns, end_ns = valid[int(action[0])]
            assert begin_ns <= now_ns < end_ns
    order = []
    while queue.has_more(now_ns):
        action = queue.take(now_ns)
        if action is not None:
            order.append(float(action[0]))
        now_ns += PERIOD_NS
        assert now_ns < 10_000
    if overlap == "replace":
        assert order == sorted(order)
    else:
        assert all(0 <= value <= 100 * len(events) + 8 for value in order)


@pytest.mark.parametrize(("period_ns", "max_steps"), [(0, 1), (1, 0)])
def test_a_queue_without_time_or_room_is_refused(period_ns: int, max_steps: int) -> None:
    with pytest.raises(ValueError, match="period_ns, max_steps"):
        ActionQueue(period_ns, ActionQueueSettings(max_steps=max_steps))
