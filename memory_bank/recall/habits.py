"""Where something is most often: the stays of its history, by the time spent at each place. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embodied.messages import Habit, Interval, ObjectRecord, Point
from memory_bank.recall.matching import MemoryView
from memory_bank.recall.past import carrier_of

REACH_M = 2.0
"""What carries a thing has its middle no farther from it, or is larger than that."""


MAX_THINGS = 100
"""Of so many things, those that fit best, the stays are weighed."""


@dataclass
class _Spot:
    position_m: Point
    longest_ns: int
    total_ns: int = 0
    n_stays: int = 0


def habits_of(
    records: Sequence[ObjectRecord], view: MemoryView, since_ns: int | None = None, until_ns: int | None = None
) -> tuple[Habit, ...]:
    """Return the places where some objects were, the one with the most time first.

    A stay lasts as long as the memory knows it to: from the first to the last sighting of a closed interval, until now
    of an open one. Time between the last sighting at one place and the first at the next belongs to neither.

    Args:
        records: The objects.
        view: Gives their histories.
        since_ns: Count from here.
        until_ns: Count up to here.
    """
    until_ns = view.now_ns if until_ns is None else min(until_ns, view.now_ns)
    carriers = _Carriers(view)
    spots: dict[tuple[str, str], _Spot] = {}
    for record in records[:MAX_THINGS]:
        for interval in view.history(record.id):
            stay_ns = _length_ns(interval, since_ns, until_ns)
            if interval.state in ("gone", "held") or stay_ns is None:
                continue
            place = (interval.room, carriers.of(record, interval))
            spot = spots.setdefault(place, _Spot(interval.position_m, stay_ns))
            if stay_ns > spot.longest_ns:
                spot.position_m, spot.longest_ns = interval.position_m, stay_ns
            spot.total_ns += stay_ns
            spot.n_stays += 1
    total_ns = sum(spot.total_ns for spot in spots.values())
    found = [
        Habit(room=room, on=on, position_m=s.position_m, share=s.total_ns / max(total_ns, 1), n_stays=s.n_stays)
        for (room, on), s in spots.items()
    ]
    return tuple(sorted(found, key=lambda habit: (-habit.share, -habit.n_stays, habit.room, habit.on)))


def _length_ns(interval: Interval, since_ns: int | None, until_ns: int) -> int | None:
    """Return how long a stay lasted within the window, at least a second; None if it lies outside."""
    start_ns = interval.valid_from_ns if since_ns is None else max(interval.valid_from_ns, since_ns)
    end_ns = until_ns if interval.valid_to_ns is None else min(interval.valid_to_ns, until_ns)
    return max(end_ns - start_ns, 1_000_000_000) if end_ns >= start_ns else None


class _Carriers:
    """What stands where now, to tell what carried a thing at an earlier place."""

    def __init__(self, view: MemoryView) -> None:
        self._records = [record for record in view.objects if record.state != "gone"]
        self._centers_m = np.array([record.position_m[:2] for record in self._records]).reshape(-1, 2)
        self._reach_m = np.array([max(REACH_M, *record.box.size_m[:2]) for record in self._records])

    def of(self, record: ObjectRecord, interval: Interval) -> str:
        """Return the label of what a thing stood on during an interval; empty if on the floor or unknown."""
        away_m = np.abs(self._centers_m - np.array(interval.position_m[:2])).max(axis=1)
        around = [self._records[i] for i in np.flatnonzero(away_m <= self._reach_m)]
        return carrier_of(interval.box, record.label, [other for other in around if other.id != record.id])
