"""The process of a trained policy: ``python -m policies.vla.server SETTINGS.json``.

It has the wires of ``policies.server`` and runs the task ``act``: do as the instruction says. In lock-step it answers
whenever the robot waits; ahead of time it works out the next chunk while the robot carries out the one before.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
import simplejpeg

from embodied.arrays import Image
from embodied.clock import NANOSECONDS
from embodied.config import Config
from embodied.errors import ConfigurationError, EmbodiedError, PolicyError, ProtocolError
from embodied.messages import (
    ActionChunk,
    ActionReply,
    ActionResponse,
    CameraFrame,
    GetTask,
    Halt,
    Observation,
    RunTask,
    TaskRequest,
    TaskStatus,
)
from embodied.process import ProcessConfig, ProcessLink, run_process
from embodied.security import Security
from embodied.transport import Deadline, LatestSubscriber, RpcClient, RpcServer, wait_any
from policies.vla.acting import ActingConfig, Actor, open_actor
from policies.vla.config import Interface
from policies.vla.record import read_record
from policies.vla.token_memory import ProcessMemory, stream_config

logger = logging.getLogger(__name__)

PASSED_OVER = ("stale", "not_newer")
"""Refusals that a policy which works ahead of time lives with: its next chunk may be in time."""


class VlaServerConfig(Config):
    """Settings of the process of a trained policy."""

    process: ProcessConfig = ProcessConfig(name="policy")
    checkpoint: str
    """The folder of a policy that ``launch/train.py vla`` wrote."""
    latest: str
    """Where the robot publishes its newest observation."""
    actions: str
    """Where the robot takes commands."""
    tasks: str
    """Where we take tasks."""
    memory_address: str | None = None
    """Where the memory answers that holds our tokens, so that they outlive us; None: they are in this process."""
    acting: ActingConfig = ActingConfig()
    """How the policy acts."""
    device: str = "cpu"
    """What torch calls where the network runs."""
    ahead: bool = False
    """The robot does not wait for chunks (``SessionSettings.ahead``): whole ones are sent, for the instants that they
    were made for, one for every ``execute_steps`` steps of the robot."""
    observation_timeout_s: float = 20.0
    """A task fails when the robot has nothing new to show for as long."""
    memory_timeout_s: float = 20.0
    """… or the memory does not answer."""
    action_timeout_s: float = 5.0
    """… or the robot does not answer a command."""
    grace_s: float = 1.0
    """A command is void when it has not begun as long after its time, on the robot's clock."""
    poll_s: float = 0.1
    """How often the process looks whether it is to end."""
    security: Security | None = None
    """Keys, for addresses off this machine."""


class VlaServer:
    """The sockets, the task that runs, and the actor that does it."""

    def __init__(self, config: VlaServerConfig, link: ProcessLink, actor: Actor) -> None:
        self._config = config
        self._link = link
        self._actor = actor
        record = actor.backend.record
        self._interface: Interface = record.interface
        self._sees_several = record.network.n_stacked_frames > 1
        self._status = TaskStatus(state="idle")
        self._request: RunTask | None = None
        self._observation: Observation | None = None
        self._first_seq = -1
        """Of the task; -1 before it acts."""
        self._answered_seq = -1
        self._deadline = Deadline(0.0)
        self._statistics = _Statistics()
        self._tasks = RpcServer(config.tasks, TaskRequest, security=config.security)
        self._latest = LatestSubscriber(config.latest, Observation, security=config.security)
        self._actions = RpcClient(
            config.actions, ActionResponse, timeout_s=config.action_timeout_s, security=config.security
        )

    def __enter__(self) -> VlaServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all sockets."""
        for channel in (self._tasks, self._latest, self._actions):
            channel.close()

    def run(self) -> None:
        """Serve until the process is asked to end."""
        while not self._link.stopping:
            self.turn(self._config.poll_s)

    def turn(self, timeout_s: float) -> None:
        """Wait for a request or an observation; answer it, and act if it is time."""
        ready = wait_any([self._tasks, self._latest], timeout_s)
        if self._latest in ready:
            self._guarded(self._look)
        if self._tasks in ready:
            call = self._tasks.receive(0.0)
            if call is not None:
                call.answer(self._answer)
        if self._request is None:
            return
        if self._is_due():
            self._guarded(self._step)
        elif self._deadline.over:
            expected = f"session {self._request.session!r} after observation {self._answered_seq}"
            self._end("failed", f"no new observation of {expected} within {self._config.observation_timeout_s} s")

    # ------------------------------------------------------------------------------------------- requests

    def _answer(self, request: RunTask | GetTask) -> TaskStatus:
        if isinstance(request, GetTask):
            return self._status
        if self._request is not None and self._request.session == request.session:
            raise ValueError(f"run_task: expected no running task, got one at step {self._status.n_steps}")
        _check(request, self._interface)
        if self._request is not None:  # a robot that is in another session is not in that one any more
            self._end("failed", f"session {self._request.session!r} is over")
        self._actor.begin(request.instruction, request.session)
        self._request = request
        self._first_seq = self._answered_seq = -1
        self._status = TaskStatus(state="running", kind=request.kind)
        self._deadline = Deadline(self._config.observation_timeout_s)
        logger.info("%r in session %s from step %d on", request.instruction, request.session, self._actor.last_step + 1)
        return self._status

    # ------------------------------------------------------------------------------------------- the robot

    def _look(self) -> None:
        observation = self._latest.receive(0.0)
        if observation is None:
            return
        before, request = self._observation, self._request
        self._observation = observation
        if request is None:
            return
        if observation.session == request.session:
            if self._sees_several:
                self._actor.see(_frames_of(observation, self._interface), observation.seq)
        elif before is not None and before.session == request.session:
            self._end("failed", f"session {request.session!r} is over")

    def _is_due(self) -> bool:
        """Tell whether the newest observation is to be answered."""
        observation, request = self._observation, self._request
        if observation is None or request is None or observation.session != request.session:
            return False
        if observation.seq <= self._answered_seq:
            return False
        if observation.awaiting_action or not self._config.ahead:
            return observation.awaiting_action
        return self._answered_seq >= 0 and observation.seq >= self._answered_seq + self._interface.execute_steps

    def _guarded(self, work: Callable[[], None]) -> None:
        """Go on; whatever is wrong with the world ends the task, not the process, and a bad policy halts the robot."""
        try:
            work()
        except (EmbodiedError, ValueError) as error:
            if self._request is None:
                logger.warning("observation refused: %s", error)
                return
            logger.warning("task failed", exc_info=True)
            if isinstance(error, PolicyError):
                self._halt(str(error))
            self._end("failed", f"{type(error).__name__}: {error}")

    def _halt(self, reason: str) -> None:
        try:
            self._actions.call(Halt(reason=reason))
        except EmbodiedError:
            logger.exception("the robot could not be halted")

    def _step(self) -> None:
        observation, request = self._observation, self._request
        assert observation is not None, "a step needs an observation"
        assert request is not None, "a step needs a task"
        if self._first_seq < 0:
            self._first_seq = observation.seq
            if observation.seq < self._actor.last_step:
                logger.warning("what is remembered of %s is of another run; it is dropped", request.session)
                self._actor.forget()
        n_steps = observation.seq - self._first_seq
        self._note(n_steps, request)
        if n_steps >= request.max_steps:
            self._end("succeeded", f"acted for {n_steps} steps")
            return
        started_s = time.perf_counter()
        frames = _frames_of(observation, self._interface)
        actions = self._actor.act(frames, observation.seq, _felt_by(observation, self._interface, request))
        decided_s = time.perf_counter()
        verdict = self._actions.call(self._chunk(observation, actions))
        if not isinstance(verdict, ActionReply):
            raise ProtocolError(f"expected an action_reply, got {type(verdict).__name__}")
        self._answered_seq = observation.seq
        self._deadline = Deadline(self._config.observation_timeout_s)
        ended_s = time.perf_counter()
        times_s = {**self._actor.stage_s, "send": ended_s - decided_s, "total": ended_s - started_s}
        self._statistics.add(times_s, verdict)
        self._link.worked(1, **self._statistics.values)
        if verdict.accepted or (self._config.ahead and verdict.reason.startswith(PASSED_OVER)):
            return
        if verdict.reason.startswith("ended"):
            self._end("succeeded", f"acted for {n_steps} steps, until {verdict.reason}")
        else:
            self._end("failed", f"the robot refused chunk {observation.seq}: {verdict.reason}")

    def _chunk(self, observation: Observation, actions: np.ndarray) -> ActionChunk:
        """Return what is sent: numbered by observations, whose numbers only grow, whoever has sent the one before."""
        ahead = self._config.ahead
        actions = actions if ahead else actions[: self._interface.execute_steps]
        valid_s = len(actions) * self._interface.control_period_s + self._config.grace_s
        return ActionChunk(
            session=observation.session,
            seq=observation.seq,
            observation_seq=observation.seq,
            stamp_ns=observation.stamp_ns,
            valid_until_ns=observation.stamp_ns + round(valid_s * NANOSECONDS),
            actions=actions,
            start_ns=observation.stamp_ns if ahead else None,
        )

    # ------------------------------------------------------------------------------------------- status

    def _note(self, n_steps: int, request: RunTask) -> None:
        progress = min(n_steps / request.max_steps, 1.0)
        self._status = TaskStatus(state="running", kind=request.kind, n_steps=n_steps, progress=progress)

    def _end(self, state: str, detail: str) -> None:
        status = self._status
        self._status = TaskStatus(
            state="succeeded" if state == "succeeded" else "failed",
            kind=status.kind,
            n_steps=status.n_steps,
            progress=status.progress,
            detail=detail,
        )
        self._request = None
        logger.info("%s %s after %d steps: %s", status.kind, state, status.n_steps, detail)


class _Statistics:
    """How long the stages of a call take, in the mean, and how many of its actions came too late."""

    def __init__(self) -> None:
        self._n = 0
        self._total_s: dict[str, float] = {}
        self._longest_s = 0.0
        self._counts = {"late_actions": 0, "refused_chunks": 0}

    def add(self, times_s: dict[str, float], verdict: ActionReply) -> None:
        """Count one call."""
        self._n += 1
        for name, duration_s in times_s.items():
            self._total_s[name] = self._total_s.get(name, 0.0) + duration_s
        self._longest_s = max(self._longest_s, times_s["total"])
        self._counts["late_actions"] += verdict.n_late
        self._counts["refused_chunks"] += not verdict.accepted

    @property
    def values(self) -> dict[str, float]:
        """Milliseconds by stage, the longest call, and the counts."""
        means = {f"{name}_ms": 1e3 * total / self._n for name, total in self._total_s.items()}
        return {**means, "longest_ms": 1e3 * self._longest_s, **self._counts}


def _check(request: RunTask, interface: Interface) -> None:
    """Refuse a task that the policy was not made for, before anything moves."""
    if request.kind != "act":
        raise ValueError(f"kind: expected act, which is all that a trained policy does, got {request.kind}")
    if request.max_steps < 1:
        raise ValueError(f"max_steps: expected at least 1, got {request.max_steps}")
    if not request.session:
        raise ValueError("session: expected the name of the session in which to act, got ''")
    if request.action_names and request.action_names != interface.action_names:
        raise ValueError(
            f"action_names: the policy was trained for {', '.join(interface.action_names)}; the robot takes "
            f"{', '.join(request.action_names)}"
        )
    missing = [name for name in interface.proprioception_names if name not in request.proprioception_names]
    if request.proprioception_names and missing:
        raise ValueError(f"proprioception_names: the policy needs {', '.join(missing)}, which the robot does not feel")


def _frames_of(observation: Observation, interface: Interface) -> list[Image]:
    """Return the image of each camera that the policy was trained with."""
    by_name = {camera.name: camera for camera in observation.cameras}
    missing = [name for name in interface.cameras if name not in by_name]
    if missing:
        raise ValueError(
            f"cameras: the policy was trained with {', '.join(interface.cameras)}; the robot has {', '.join(by_name)}"
        )
    return [_image_of(by_name[name]) for name in interface.cameras]


def _image_of(camera: CameraFrame) -> Image:
    if camera.rgb_encoding == "raw":
        return camera.rgb
    try:
        image: Image = simplejpeg.decode_jpeg(camera.rgb.tobytes(), colorspace="RGB")
    except ValueError as error:
        raise ProtocolError(f"camera {camera.name}: {error}") from error
    return image


def _felt_by(observation: Observation, interface: Interface, request: RunTask) -> np.ndarray | None:
    """Return what the robot feels, in the order in which the policy takes it."""
    names, told = interface.proprioception_names, request.proprioception_names
    if not names:
        return None
    felt = observation.proprioception
    if told and len(told) == len(felt):
        return felt[[told.index(name) for name in names]]
    return felt


def main(config: VlaServerConfig, link: ProcessLink) -> None:
    """Load the policy, bind, say ready, and serve.

    Raises:
        ConfigurationError: The checkpoint, or a setting, cannot work.
    """
    if not config.checkpoint:
        raise ConfigurationError("checkpoint: expected the folder of a policy, got ''")
    with ExitStack() as stack:
        memory = None
        if config.memory_address is not None:
            rule = stream_config(read_record(Path(config.checkpoint)).network.memory)
            memory = ProcessMemory(
                config.memory_address, rule, timeout_s=config.memory_timeout_s, security=config.security
            )
            stack.callback(memory.close)
        actor = open_actor(config.checkpoint, config.acting, memory, config.device)
        actor.warm_up()
        server = stack.enter_context(VlaServer(config, link, actor))
        link.ready()
        server.run()


if __name__ == "__main__":
    run_process(main, VlaServerConfig)
