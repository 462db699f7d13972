"""The memory as an agent of FindingDory's instructions: it watches the day, and is asked where to go back to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from embodied.errors import NotUnderstood
from embodied.messages import FindGoals, GoalsReply
from memory_bank.bank import MemoryBank
from memory_bank.mapper import MapperConfig
from memory_bank.perception.simulator import SimulatorPerception, SimulatorPerceptionConfig
from memory_bank.stores.sqlite_store import SqliteStore
from sim.findingdory.agents import ExperienceMessage


class MemoryAgent:
    """Takes the stream into a memory on disk, and gives it the instruction's words. The file goes with the agent."""

    name = "ours"

    def __init__(self, seed: int, label_noise: float, dropout: float) -> None:
        """Begin with an empty memory.

        Args:
            seed: Of what its detector gets wrong.
            label_noise: Share of detections with a wrong label.
            dropout: Share of things in a frame that are overlooked.
        """
        perception = SimulatorPerceptionConfig(dropout=dropout, label_noise=label_noise, seed=seed)
        self._folder = TemporaryDirectory()
        self._store = SqliteStore(Path(self._folder.name) / "memory.db")
        self.memory = MemoryBank(MapperConfig(), SimulatorPerception(perception), self._store)

    def watch(self, message: ExperienceMessage) -> None:
        """Take one message of the day, in order."""
        self.memory.take(message)

    def choose(self, instruction: str) -> Sequence[int]:
        """Return the frames to go back to, in order; none where nothing remembered fits, or the words mean nothing."""
        try:
            reply = self.memory.handle(FindGoals(instruction=instruction))
        except NotUnderstood:
            return []
        assert isinstance(reply, GoalsReply), reply
        return [goal.seq for goal in reply.goals]

    def close(self) -> None:
        """Delete the memory."""
        self._store.close()
        self._folder.cleanup()


def our_agent(seed: int, label_noise: float, dropout: float) -> MemoryAgent:
    """Return the memory as an agent; see ``MemoryAgent``."""
    return MemoryAgent(seed, label_noise, dropout)
