"""Where instants come from: every ``stamp_ns`` is read from an injected clock, so a simulated day takes a second."""

from __future__ import annotations

import time
from typing import Protocol, runtime_checkable

NANOSECONDS = 1_000_000_000


@runtime_checkable
class Clock(Protocol):
    """A source of instants."""

    def now_ns(self) -> int:
        """Return nanoseconds since the Unix epoch."""
        ...


class SystemClock:
    """The host's clock."""

    def now_ns(self) -> int:
        """Return the host's time in nanoseconds since the Unix epoch."""
        return time.time_ns()


class ManualClock:
    """A clock that moves when it is told to: simulated time, and tests."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """Return the time last set."""
        return self._now_ns

    def advance(self, duration_s: float) -> None:
        """Move forward by ``duration_s`` seconds."""
        if duration_s < 0:
            raise ValueError(f"duration_s: expected a number that is not negative, got {duration_s}")
        self._now_ns += round(duration_s * NANOSECONDS)

    def set(self, stamp_ns: int) -> None:
        """Jump to ``stamp_ns``, which may lie in the past."""
        self._now_ns = stamp_ns
