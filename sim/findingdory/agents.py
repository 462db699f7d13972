"""What answers an instruction: it watches the day like a memory, and names frames of it."""

from __future__ import annotations

from typing import Protocol, Sequence, Union, runtime_checkable

from embodied.messages import Observation, SessionEnd, SessionStart

ExperienceMessage = Union[SessionStart, Observation, SessionEnd]


@runtime_checkable
class Agent(Protocol):
    """One method under test. It gets nothing but the stream of observations and the instruction's words."""

    name: str
    """Short, for the figures."""

    def watch(self, message: ExperienceMessage) -> None:
        """Take one message of the day, in order."""
        ...

    def choose(self, instruction: str) -> Sequence[int]:
        """Return one frame (``Observation.seq``) for each goal of an instruction, in the order to drive to them.

        An empty answer means that it knows of none, which counts as a response error.
        """
        ...
