"""Episodes in lock-step with whoever acts: a chunk of actions in, what the robot perceives at its end out.

For evaluations, which want neither a picture of every step nor a robot's clock. What is asked and answered here crosses
a process where the simulator needs an interpreter of its own (``sim/rollout_server.py``).
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Protocol, Tuple, Union, runtime_checkable

import numpy as np

from embodied.messages import ErrorReply, Message
from sim.manipulation import TaskEpisode
from sim.simulator import Demonstrator, Simulator, StepResult

EXPERT = "expert"


class BeginEpisode(Message, tag="begin_episode"):
    """Lay out an episode."""

    task: str
    seed: int
    show: bool = True
    """Tell of its first instant."""


class Act(Message, tag="act"):
    """Carry out a chunk of actions; less of it if the task is done or the episode ends before."""

    actions: np.ndarray
    """float32 (n_steps, n_actions)."""
    n_instants: int = 1
    """Of how many instants to tell, at the end of the chunk; of none where the episode is over by then."""
    show_end: bool = False
    """Tell of the last instant of an episode as well."""


class Play(Message, tag="play"):
    """Have someone act who knows the world's state, until the task is done or the episode ends."""

    player: str
    """The expert, or one whom the simulator knows by name."""
    show_every: int = 0
    """Tell of an instant each so many steps, and of the last; 0 of none."""


class Instant(Message, tag="instant"):
    """What a robot perceives at one time."""

    step: int
    """Control steps since the episode began."""
    images: Dict[str, np.ndarray]
    """By the camera's name: uint8 (height, width, 3)."""
    proprioception: np.ndarray
    """float32 (n,)."""


class EpisodeBegun(Message, tag="episode_begun"):
    """The robot waits for its first actions."""

    instruction: str
    action_names: Tuple[str, ...]
    proprioception_names: Tuple[str, ...]
    control_period_s: float
    instants: Tuple[Instant, ...]
    """The first, or none."""


class Acted(Message, tag="acted"):
    """What became of it."""

    n_steps: int
    """Since the episode began."""
    success: bool
    """The task is done, and the episode over."""
    ended: bool
    """It is over."""
    instants: Tuple[Instant, ...]
    """Oldest first."""


RolloutRequest = Union[BeginEpisode, Act, Play]
RolloutResponse = Union[EpisodeBegun, Acted, ErrorReply]


@runtime_checkable
class Stage(Protocol):
    """A simulator in which others than its expert can play."""

    def cast(self, player: str) -> None:
        """Have a player give ``expert_action`` until the next ``load``.

        Raises:
            ValueError: Nobody is called so in the present task.
        """
        ...


class Rollout:
    """One simulator, one episode after the other."""

    def __init__(self, simulator: Simulator[TaskEpisode]) -> None:
        self._simulator = simulator
        self._n_steps = 0
        self._is_over = True

    def answer(self, request: RolloutRequest) -> Union[EpisodeBegun, Acted]:
        """Do what is asked.

        Raises:
            ValueError: There is no such task, seed or player, no episode runs, or the actions are refused.
        """
        if isinstance(request, BeginEpisode):
            return self._begin(request)
        if self._is_over:
            raise ValueError(f"{type(request).__name__}: expected an episode that goes on, got none")
        return self._act(request) if isinstance(request, Act) else self._play(request)

    def close(self) -> None:
        """Close the simulator."""
        self._simulator.close()

    def _begin(self, request: BeginEpisode) -> EpisodeBegun:
        simulator = self._simulator
        simulator.load(TaskEpisode(request.task, request.seed))
        self._n_steps, self._is_over = 0, False
        assert simulator.control_period_s is not None, "tasks have a period of their own"
        return EpisodeBegun(
            instruction=simulator.instruction,
            action_names=simulator.action_space.names,
            proprioception_names=simulator.proprioception_names,
            control_period_s=simulator.control_period_s,
            instants=(self._instant(),) if request.show else (),
        )

    def _act(self, request: Act) -> Acted:
        shape, n_actions = request.actions.shape, len(self._simulator.action_space.names)
        if len(shape) != 2 or shape[0] < 1 or shape[1] != n_actions:
            raise ValueError(f"actions: expected shape (1 or more, {n_actions}), got {shape}")
        instants: List[Instant] = []
        for n_left, action in zip(range(len(request.actions), 0, -1), self._simulator.limited(request.actions)):
            result = self._step(action)
            if self._is_over:
                return self._acted(result, [self._instant()] if request.show_end else [])
            if n_left <= request.n_instants:
                instants.append(self._instant())
        return self._acted(result, instants)

    def _play(self, request: Play) -> Acted:
        simulator = self._simulator
        if not isinstance(simulator, Demonstrator):
            raise ValueError(
                f"player: expected nobody in {simulator.name}, which has no expert, got {request.player!r}"
            )
        if request.player != EXPERT:
            if not isinstance(simulator, Stage):
                raise ValueError(f"player: expected {EXPERT} in {simulator.name}, got {request.player!r}")
            simulator.cast(request.player)
        instants: List[Instant] = []
        result: Optional[StepResult] = None
        while not self._is_over:
            result = self._step(simulator.limited(np.asarray(simulator.expert_action(), dtype=np.float32)[None])[0])
            if request.show_every and (self._is_over or self._n_steps % request.show_every == 0):
                instants.append(self._instant())
        assert result is not None, "an episode that goes on was checked for"
        return self._acted(result, instants)

    def _step(self, action: np.ndarray) -> StepResult:
        period_s = self._simulator.control_period_s
        assert period_s is not None, "tasks have a period of their own"
        result = self._simulator.step(action, period_s)
        self._n_steps += 1
        self._is_over = result.success or result.ended
        return result

    def _acted(self, result: StepResult, instants: List[Instant]) -> Acted:
        return Acted(n_steps=self._n_steps, success=result.success, ended=self._is_over, instants=tuple(instants))

    def _instant(self) -> Instant:
        cameras, views = self._simulator.cameras, self._simulator.observe().views
        images = {camera.name: np.ascontiguousarray(view.rgb) for camera, view in zip(cameras, views)}
        measured: Any = self._simulator.measured()
        return Instant(step=self._n_steps, images=images, proprioception=np.asarray(measured, dtype=np.float32))
