"""Episodes in which an arm has one task: what is loaded, and what the judge learns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import msgspec

from embodied.errors import SceneError
from sim.bridge_session import BridgeSession, Frame
from sim.operator_messages import StartSession
from sim.simulator import Simulator


@dataclass(frozen=True)
class TaskEpisode:
    """What a simulator of tasks loads."""

    task: str
    """By the simulator's own name for it."""
    seed: int
    """The same one lays everything out alike."""


class TaskTruth(msgspec.Struct, frozen=True, kw_only=True):
    """All that the judge knows of one session."""

    session: str
    seed: int
    """Of the noise."""
    start_ns: int
    end_ns: int
    simulator: str
    task: str
    task_seed: int
    instruction: str
    demonstrated: bool
    """The simulator's expert acted."""
    success_once: bool
    """The task was done at some instant."""
    success_seq: Optional[int]
    """The first observation at which it was."""
    n_steps: int
    n_collisions: int


class TaskWorld:
    """``BridgeWorld`` of tasks: every session is an episode of its own."""

    def __init__(self, simulator: Simulator[TaskEpisode]) -> None:
        self.simulator = simulator
        self._episode = TaskEpisode("", 0)
        self._n_collisions = 0
        self._success_seq: Optional[int] = None

    def begin(self, request: StartSession) -> str:
        """Lay out the episode, which is a world of its own.

        Raises:
            ValueError: The simulator has no such task.
        """
        if not request.task:
            raise ValueError(f"task: expected the name of a task of {self.simulator.name}, got ''")
        episode = TaskEpisode(request.task, request.seed)
        self.simulator.load(episode)
        self._episode = episode
        self._n_collisions = 0
        self._success_seq = None
        return request.session

    def record(self, frame: Frame) -> None:
        """Note whether the task is done."""
        self._n_collisions += frame.observation.collided
        if frame.success and self._success_seq is None:
            self._success_seq = frame.observation.seq

    def finish(self, session: BridgeSession, seed: int, directory: Optional[Path]) -> Optional[bool]:
        """Write what was true; return whether the task was done."""
        success = self._success_seq is not None
        if directory is not None:
            truth = TaskTruth(
                session=session.session,
                seed=seed,
                start_ns=session.start_ns,
                end_ns=session.now_ns,
                simulator=self.simulator.name,
                task=self._episode.task,
                task_seed=self._episode.seed,
                instruction=self.simulator.instruction,
                demonstrated=session.demonstrated,
                success_once=success,
                success_seq=self._success_seq,
                n_steps=session.seq,
                n_collisions=self._n_collisions,
            )
            directory.mkdir(parents=True, exist_ok=True)
            (directory / f"{session.session}.json").write_bytes(msgspec.json.encode(truth))
        return success

    def change(self, seed: int) -> int:
        """Refuse: nothing stays between two episodes that could change.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"change_house: expected a simulator of houses, got {self.simulator.name}, seed {seed}")


def read_task_truth(path: Path) -> TaskTruth:
    """Read what ``TaskWorld`` wrote.

    Raises:
        SceneError: The file is missing or damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=TaskTruth)
    except (OSError, msgspec.MsgspecError) as error:
        raise SceneError(f"truth {path}: {error}") from error
