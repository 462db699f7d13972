"""The robot's side of chunks that come ahead of time: actions with instants, of which the right one is played.

A policy that computes while the robot moves answers for instants that may be past when its answer arrives, or not have
come yet. What is over is dropped; from its first instant on, a newer chunk takes the place of what was queued.
"""

from __future__ import annotations

from typing import Dict, List, Literal, NamedTuple, Optional

import numpy as np

from embodied.config import Config


class ActionQueueSettings(Config):
    """How a robot takes chunks."""

    overlap: Literal["replace", "blend"] = "replace"
    """Where a newer chunk meets what is queued: it takes its place, or takes over by and by, with weights that grow
    linearly over the instants that both have an action for."""
    max_steps: int = 256
    """Actions for later than so many control periods are dropped; twice as many may wait at once."""


class Put(NamedTuple):
    """What became of a chunk."""

    actions: np.ndarray
    """(n_kept, n_actions): what is queued of it, after blending."""
    n_late: int
    """Of its first actions, how many were dropped because their time was over."""
    n_beyond: int
    """Of its last actions, how many were dropped: they would begin after the chunk's validity, or beyond the queue."""


class _Slot(NamedTuple):
    begin_ns: int
    end_ns: int
    action: np.ndarray


class ActionQueue:
    """Actions, each with the control period in which it may be played. The caller has the clock."""

    def __init__(self, period_ns: int, settings: ActionQueueSettings = ActionQueueSettings()) -> None:
        """Begin with nothing.

        Args:
            period_ns: For how long one action is held.
            settings: How chunks are taken.

        Raises:
            ValueError: The period or the bound is not positive.
        """
        if period_ns < 1 or settings.max_steps < 1:
            raise ValueError(f"period_ns, max_steps: expected at least 1, got {period_ns}, {settings.max_steps}")
        self._period_ns = period_ns
        self._settings = settings
        self._slots: List[_Slot] = []
        self._playing_ns = -1
        """Where the slot that was taken last begins."""
        self.counts: Dict[str, int] = dict.fromkeys(("chunks", "late", "dropped", "blended", "played", "held"), 0)
        """Chunks taken, those whose first instant was past; actions dropped unplayed because their time was over,
        blended, played; and the times that there was nothing to play."""

    def __len__(self) -> int:
        return len(self._slots)

    def put(self, actions: np.ndarray, start_ns: int, now_ns: int, valid_until_ns: Optional[int] = None) -> Put:
        """Take a chunk.

        Args:
            actions: (n_steps, n_actions), one for each control period.
            start_ns: When the first one begins; it may be past.
            now_ns: The robot's clock.
            valid_until_ns: Actions that begin later are dropped; None: all are valid.

        Returns:
            What is queued of it. Nothing changes where that is nothing.
        """
        self._forget(now_ns)
        limit_ns = now_ns + (self._settings.max_steps - 1) * self._period_ns
        last_ns = limit_ns if valid_until_ns is None else min(limit_ns, valid_until_ns)
        slots = [
            _Slot(start_ns + k * self._period_ns, start_ns + (k + 1) * self._period_ns, action)
            for k, action in enumerate(actions)
        ]
        n_late = sum(slot.end_ns <= now_ns for slot in slots)
        kept = [slot for slot in slots if slot.end_ns > now_ns and slot.begin_ns <= last_ns]
        self.counts["chunks"] += 1
        self.counts["late"] += start_ns < now_ns
        self.counts["dropped"] += n_late
        if kept:
            kept = self._join(kept, max(kept[0].begin_ns, now_ns))
        queued = np.array([slot.action for slot in kept], dtype=np.float32).reshape(len(kept), actions.shape[1])
        return Put(queued, n_late, len(slots) - n_late - len(kept))

    def take(self, now_ns: int) -> Optional[np.ndarray]:
        """Return the action to play now, (n_actions,); None: there is none, the robot stands still."""
        self._forget(now_ns)
        if not self._slots or self._slots[0].begin_ns > now_ns:
            self.counts["held"] += 1
            return None
        self.counts["played"] += 1
        self._playing_ns = self._slots[0].begin_ns
        return self._slots[0].action

    def has_more(self, now_ns: int) -> bool:
        """Tell whether there is an action for now or later."""
        self._forget(now_ns)
        return bool(self._slots)

    def clear(self) -> None:
        """Drop everything."""
        self._slots = []

    def _forget(self, now_ns: int) -> None:
        """Drop what is over."""
        while self._slots and self._slots[0].end_ns <= now_ns:
            self.counts["dropped"] += self._slots[0].begin_ns > self._playing_ns
            del self._slots[0]

    def _join(self, newer: List[_Slot], first_ns: int) -> List[_Slot]:
        """Let a chunk take the place of what was queued from an instant on; return its slots as they will be played."""
        if self._settings.overlap == "blend":
            newer = self._blended(newer, first_ns)
        before = [slot for slot in self._slots if slot.begin_ns < first_ns][: self._settings.max_steps]
        if before and before[-1].end_ns > first_ns:
            before[-1] = before[-1]._replace(end_ns=first_ns)
        self._slots = before + newer
        return newer

    def _blended(self, newer: List[_Slot], first_ns: int) -> List[_Slot]:
        older = [self._at(max(slot.begin_ns, first_ns)) for slot in newer]
        n_both = sum(action is not None for action in older)
        self.counts["blended"] += n_both
        blended, n_done = [], 0
        for slot, action in zip(newer, older):
            if action is not None:
                n_done += 1
                weight = n_done / (n_both + 1)
                slot = slot._replace(action=(weight * slot.action + (1.0 - weight) * action).astype(np.float32))
            blended.append(slot)
        return blended

    def _at(self, instant_ns: int) -> Optional[np.ndarray]:
        """Return what is queued for an instant."""
        return next((slot.action for slot in self._slots if slot.begin_ns <= instant_ns < slot.end_ns), None)
