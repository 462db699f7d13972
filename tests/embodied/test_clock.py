from __future__ import annotations

import time

import pytest

from embodied.clock import NANOSECONDS, ManualClock, SystemClock


def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(start_ns=5)
    assert clock.now_ns() == clock.now_ns() == 5
    clock.advance(0.2)
    assert clock.now_ns() == 5 + NANOSECONDS // 5
    clock.set(1)
    assert clock.now_ns() == 1


def test_many_small_steps_do_not_drift() -> None:
    clock = ManualClock()
    for _ in range(5 * 3600):
        clock.advance(0.2)
    assert clock.now_ns() == 3600 * NANOSECONDS


def test_a_manual_clock_does_not_advance_backwards() -> None:
    with pytest.raises(ValueError, match="duration_s"):
        ManualClock().advance(-0.1)


def test_the_system_clock_tells_unix_time() -> None:
    before_ns = time.time_ns()
    assert before_ns <= SystemClock().now_ns() <= time.time_ns()
