"""Plays episodes of tasks: a policy that sees, or a player who knows, in a simulator that may be another process.

A simulator runs in this process unless a variable names another interpreter for it; then it runs there, and is asked
over a socket. Either stays open for the next episode.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from manipulation_tasks import Task, simulator_python

from embodied.arrays import Float, UInt8
from embodied.config import save_config
from embodied.errors import ProcessError
from embodied.process import PARENT_VARIABLE
from embodied.runs import run_address
from embodied.transport import RpcClient
from sim.rollout import Act, Acted, BeginEpisode, EpisodeBegun, Instant, Play, Rollout, RolloutRequest, RolloutResponse
from sim.rollout_server import RolloutConfig
from sim.simulators import TaskSettings, open_task_simulator

TIMEOUT_S = 900.0
"""To open a simulator's libraries, or a task, on a busy machine."""
GRACE_S = 5.0
"""What a simulator may take to end."""
STRIP_EVERY = 4
"""Steps between the pictures of a player who looks at none."""
_ROOT = Path(__file__).resolve().parents[1]
"""Where the other interpreter finds this project, whether it is installed there or not."""

Ask = Callable[[RolloutRequest], Any]


@runtime_checkable
class Acting(Protocol):
    """A policy in one episode after the other, as this module calls it."""

    @property
    def execute_steps(self) -> int:
        """Actions that are carried out between two calls."""
        ...

    @property
    def n_frames(self) -> int:
        """Instants that a call looks at."""
        ...

    def begin(self, begun: EpisodeBegun, episode: str) -> None:
        """Forget the last episode; everything drawn in this one depends on its name alone.

        Raises:
            ConfigurationError: The policy is for another robot.
        """
        ...

    def act(self, instants: tuple[Instant, ...]) -> Float[np.ndarray, "n_steps n_actions"]:
        """Return what to do, from the instants since the last call, oldest first."""
        ...


class Played(NamedTuple):
    """How an episode went."""

    success: bool
    n_steps: int
    n_calls: int
    """Of the policy."""
    frames: list[UInt8[np.ndarray, "height width 3"]]
    """What the first camera saw at each call, and at the end if that was asked for."""
    frame_steps: list[int]
    """When that was."""


def play_policy(ask: Ask, task: Task, seed: int, policy: Acting, *, show_end: bool = False) -> Played:
    """Have a policy play one episode, which is over when the task is done.

    Raises:
        ConfigurationError: The policy is for another robot.
    """
    begun = ask(BeginEpisode(task=task.name, seed=seed))
    policy.begin(begun, f"{task}/{seed}")
    frames, steps = [_shown(begun.instants[0])], [0]
    instants, n_calls = begun.instants, 0
    while True:
        actions = np.asarray(policy.act(instants), dtype=np.float32)[: policy.execute_steps]
        n_calls += 1
        done: Acted = ask(Act(actions=actions, n_instants=policy.n_frames, show_end=show_end))
        instants = done.instants
        if instants:
            frames.append(_shown(instants[-1]))
            steps.append(instants[-1].step)
        if done.ended:
            return Played(done.success, done.n_steps, n_calls, frames, steps)


def play_player(ask: Ask, task: Task, seed: int, player: str, *, show: bool = False) -> Played:
    """Have somebody play one episode who knows the simulator's state."""
    begun = ask(BeginEpisode(task=task.name, seed=seed, show=show))
    done: Acted = ask(Play(player=player, show_every=STRIP_EVERY if show else 0))
    instants = (*begun.instants, *done.instants)
    return Played(done.success, done.n_steps, 0, [_shown(each) for each in instants], [each.step for each in instants])


def _shown(instant: Instant) -> UInt8[np.ndarray, "height width 3"]:
    return next(iter(instant.images.values()))


def open_rollouts(task: Task, image_px: int) -> Ask:
    """Return what answers requests for the episodes of a task's simulator.

    Raises:
        ConfigurationError: Its library is not installed, or the interpreter that a variable names is not there.
    """
    return _opened(task.settings(image_px), simulator_python(task.simulator))


@cache
def _opened(settings: TaskSettings, python: str) -> Ask:
    if python == sys.executable:
        rollout = Rollout(open_task_simulator(settings))
        atexit.register(rollout.close)
        return rollout.answer
    other = OtherProcess(settings, python)
    atexit.register(other.close)
    return other.ask


class OtherProcess:
    """A simulator in another interpreter. Without a supervisor: its libraries hold up heartbeats for many seconds."""

    def __init__(self, settings: TaskSettings, python: str, module: str = "sim.rollout_server") -> None:
        """Start it; it is waited for with the first request.

        Raises:
            ProcessError: It could not be started.
        """
        with ExitStack() as stack:
            run = Path(stack.enter_context(TemporaryDirectory(prefix="embodied-rollouts-")))
            address = run_address(run, "rollouts")
            self._log = run / "simulator.log"
            save_config(RolloutConfig(address=address, simulator=settings), run / "simulator.json")
            log = stack.enter_context(self._log.open("wb"))
            environment = {**os.environ, "PYTHONPATH": str(_ROOT), PARENT_VARIABLE: str(os.getpid())}
            try:
                self._process = subprocess.Popen(
                    [python, "-m", module, str(run / "simulator.json")],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment,
                    start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                raise ProcessError(f"the simulator could not be started: {error}") from error
            stack.callback(self._end)
            self._client = stack.enter_context(
                RpcClient(address, RolloutResponse, timeout_s=TIMEOUT_S, while_waiting=self._check)
            )
            self._stack = stack.pop_all()

    def ask(self, request: RolloutRequest) -> Any:
        """Return its answer.

        Raises:
            ProcessError: It has ended; the text is its last line.
            ValueError: It refuses the request.
        """
        return self._client.call(request)

    def close(self) -> None:
        """End it."""
        self._stack.close()

    def _check(self) -> None:
        if self._process.poll() is not None:
            lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
            last = next((line for line in reversed(lines) if line.strip()), "its log is empty")
            raise ProcessError(f"the simulator ended with code {self._process.returncode}: {last}")

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(GRACE_S)
