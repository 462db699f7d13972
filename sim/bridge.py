"""A simulated robot on the wires that a real one would use.

It binds four addresses: ``pipe`` and ``latest`` for observations, ``actions`` for commands, ``operator`` for whoever
runs the episode. Everything happens in one thread and in lock-step: the robot's clock moves only while a chunk of
commands is executed, so the same seed gives the same session whatever the machine. A session that takes chunks ahead of
time (``SessionSettings.ahead``) moves with the wall clock instead, as a real robot does, and waits for nobody.
"""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Optional, Protocol, Set, Tuple, Type, runtime_checkable

from embodied.config import Config
from embodied.errors import EmbodiedError, PeerLost, ProcessError
from embodied.messages import ActionChunk, ActionReply, ActionRequest, ActionResponse, Halted, Message
from embodied.process import ProcessConfig, ProcessLink
from embodied.transport import LatestPublisher, LosslessProducer, RpcServer, Security, wait_any
from sim.bridge_session import BridgeSession, Frame, SessionSettings, StageTimes
from sim.operator_messages import (
    ChangeHouse,
    EndSession,
    GetOperatorStatus,
    HouseChanged,
    OperatorRequest,
    OperatorResponse,
    OperatorStatus,
    SessionEnded,
    SessionStarted,
    StartSession,
)
from sim.simulator import Simulator
from sim.simulator_settings import HousesSettings, SimulatorSettings

logger = logging.getLogger(__name__)

_POLL_S = 0.1
_SESSION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Files are named after sessions."""


class BridgeConfig(Config):
    """The bridge process."""

    process: ProcessConfig = ProcessConfig(name="bridge")
    """Name and supervisor."""
    pipe: str
    """Address of the lossless stream of observations."""
    latest: str
    """Address where only the newest observation is published."""
    actions: str
    """Address that takes commands."""
    operator: str
    """Address of whoever runs the episode."""
    dataset: str = ""
    """A ``*.scene_dataset_config.json``, for a simulator of houses; one of tasks needs none."""
    scene_name: Optional[str] = None
    """Which scene of the dataset; its only one if None."""
    seed: int = 0
    """Of all noise."""
    truth_directory: Optional[str] = None
    """Where truth files go; none are written if None. No other process may know it but the judge."""
    consumers: Tuple[str, ...] = ("memory", "recorder")
    """Who must take the lossless stream before a session starts."""
    n_subscribers: int = 1
    """How many must listen to the newest observation before a session starts."""
    window: int = 8
    """Observations on their way to a consumer before the robot waits for it."""
    peer_timeout_s: float = 20.0
    """How long to wait for a consumer, before and during a session."""
    flush_timeout_s: float = 60.0
    """How long consumers may take to put a session on disk."""
    simulator: SimulatorSettings = HousesSettings()
    """Which simulator, and the robot's body and camera in it."""
    session: SessionSettings = SessionSettings()
    """Noise and the control period."""
    security: Optional[Security] = None
    """Keys, for addresses that other machines can reach."""


@runtime_checkable
class BridgeWorld(Protocol):
    """What the bridge's robot lives in, and the judge's eye on it."""

    simulator: Simulator[Any]

    def begin(self, request: StartSession) -> str:
        """Put the simulator where the session begins; ValueError for what it cannot do.

        Returns:
            The name of the world frame: sessions that share a world share its name.
        """
        ...

    def record(self, frame: Frame) -> None:
        """Note the truth behind an observation."""
        ...

    def finish(self, session: BridgeSession, seed: int, directory: Optional[Path]) -> Optional[bool]:
        """Write what was true of the session into the directory, if there is one.

        Returns:
            Whether the task was done, None where there was none.
        """
        ...

    def change(self, seed: int) -> int:
        """Let the night pass; return how many things changed. ValueError where nothing can."""
        ...


class Bridge:
    """Serves the four addresses. All methods run in one thread."""

    def __init__(self, config: BridgeConfig, link: ProcessLink, world: BridgeWorld) -> None:
        self._config = config
        self._link = link
        self._world = world
        self._session: Optional[BridgeSession] = None
        self._n_sessions = 0
        self._past: Set[str] = set()
        self._latest_ns = 0
        self._times = StageTimes()
        self._active_s = 0.0
        self._started_s = 0.0
        self._step_due_s = 0.0
        """On the wall clock: when the step is over, where a session's time passes by itself."""
        security = config.security
        self._pipe = LosslessProducer(
            config.pipe,
            consumers=config.consumers,
            window=config.window,
            peer_timeout_s=config.peer_timeout_s,
            security=security,
        )
        self._latest = LatestPublisher(config.latest, security=security)
        self._actions = RpcServer(config.actions, ActionRequest, security=security)
        self._operator = RpcServer(config.operator, OperatorRequest, security=security)

    def __enter__(self) -> Bridge:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close sockets and simulator."""
        self._world.simulator.close()
        # A client drops an answer that it has not read when the connection goes: the operator's, which may say why all
        # this ends, has the most time.
        for channel in (self._latest, self._pipe, self._actions, self._operator):
            channel.close()

    def run(self) -> None:
        """Serve until the process is asked to stop.

        Raises:
            ProcessError: A consumer of the stream went away; the robot was halted first.
        """
        while not self._link.stopping:
            idle = not wait_any([self._operator, self._actions, self._pipe], _POLL_S)
            if idle and self._session is not None:
                self._latest.repeat()  # the robot waits for an answer to the last observation: it must be seen
            try:
                self._serve_consumers()
                self._serve_operator()
                self._serve_actions()
                while self._session is not None and self._session.busy and not self._link.stopping:
                    self._emit(self._advance(self._session))
                    # A halt takes effect within one frame.
                    self._serve_actions()
                    if self._session.demonstrated or self._session.step_wall_s:
                        self._serve_operator()  # nobody else hears how it goes
            except EmbodiedError as error:
                if self._session is not None:
                    self._session.halt(str(error))
                if isinstance(error, PeerLost):
                    raise ProcessError(f"a consumer of the observations is gone: {error}") from error
                raise

    def _advance(self, session: BridgeSession) -> Frame:
        """Make a step; where time passes by itself, take as long for it as the robot, and go on taking commands."""
        step_wall_s = session.step_wall_s
        # A step that comes late by less than its length is made up for; what is lost beyond it stays lost.
        self._step_due_s = max(self._step_due_s + step_wall_s, time.monotonic())
        frame = session.advance()
        while step_wall_s and (left_s := self._step_due_s - time.monotonic()) > 0.0 and not self._link.stopping:
            wait_any([self._actions], min(left_s, _POLL_S))
            self._serve_actions()
        return frame

    # ------------------------------------------------------------------------------------- commands

    def _serve_actions(self) -> None:
        while True:
            call = self._actions.receive(0.0)
            if call is None:
                return
            call.reply(self._obey(call.request))

    def _obey(self, request: ActionRequest) -> ActionResponse:
        session = self._session
        if isinstance(request, ActionChunk):
            if session is None:
                return ActionReply(seq=request.seq, accepted=False, reason="wrong_session: no session is running")
            if not session.busy:
                self._step_due_s = time.monotonic()
            reply = session.accept(request)
            if not reply.accepted:
                logger.warning("refused chunk %d: %s", request.seq, reply.reason)
            return reply
        logger.warning("halt: %s", request.reason)
        if session is not None:
            session.halt(request.reason)
        return Halted(stamp_ns=session.now_ns if session is not None else 0)

    # ------------------------------------------------------------------------------------- the operator

    def _serve_operator(self) -> None:
        call = self._operator.receive(0.0)
        if call is None:
            return
        try:
            call.reply(self._operate(call.request))
        except (ValueError, EmbodiedError) as error:
            call.fail(error)
            if isinstance(error, EmbodiedError):
                raise

    def _operate(self, request: OperatorRequest) -> OperatorResponse:
        if isinstance(request, StartSession):
            return self._start(request)
        if isinstance(request, EndSession):
            return self._end()
        if isinstance(request, ChangeHouse):
            return self._change(request)
        assert isinstance(request, GetOperatorStatus)
        return self._status()

    def _start(self, request: StartSession) -> SessionStarted:
        if self._session is not None:
            raise ValueError(f"session: expected none to be running, got {self._session.session!r}")
        if not _SESSION_NAME.fullmatch(request.session):
            raise ValueError(f"session: expected {_SESSION_NAME.pattern}, got {request.session!r:.80}")
        if request.session in self._past:
            raise ValueError(f"session: expected a new name, got {request.session!r} again")
        if request.stamp_ns < self._latest_ns:
            raise ValueError(f"stamp_ns: expected {self._latest_ns} or later, got {request.stamp_ns}")
        self._pipe.wait_for_consumers(self._config.peer_timeout_s)
        self._latest.wait_for_subscribers(self._config.n_subscribers, self._config.peer_timeout_s)
        world_frame = self._world.begin(request)
        self._session = BridgeSession(
            self._world.simulator,
            request.session,
            request.stamp_ns,
            (self._config.seed, self._n_sessions),
            self._config.session,
            demonstrate=request.demonstrate,
            world_frame=world_frame,
        )
        self._n_sessions += 1
        self._past.add(request.session)
        self._started_s = time.monotonic()
        opening = self._session.opening()
        self._send(opening)
        self._emit(self._session.first())
        return SessionStarted(session=request.session, opening=opening)

    def _end(self) -> SessionEnded:
        session = self._session
        if session is None:
            raise ValueError("session: expected one to be running, got none")
        session.halt("the session ended")
        ending = session.closing()
        self._latest_ns = ending.stamp_ns
        self._send(ending)
        self._pipe.flush(self._config.flush_timeout_s, durable=True)
        directory = self._config.truth_directory
        success = self._world.finish(session, self._config.seed, Path(directory) if directory is not None else None)
        self._active_s += time.monotonic() - self._started_s
        self._session = None
        return SessionEnded(session=session.session, n_observations=ending.n_observations, success=success)

    def _change(self, request: ChangeHouse) -> HouseChanged:
        if self._session is not None:
            raise ValueError(f"session: expected none to be running, got {self._session.session!r}")
        return HouseChanged(n_changes=self._world.change(request.seed))

    def _status(self) -> OperatorStatus:
        session = self._session
        running_s = time.monotonic() - self._started_s if session is not None else 0.0
        return OperatorStatus(
            session=session.session if session is not None else "",
            seq=session.seq if session is not None else -1,
            halted=session is not None and bool(session.halted),
            n_frames=self._times.n_frames,
            active_s=self._active_s + running_s,
            stage_ms=self._times.mean_ms,
            busy=session is not None and session.busy,
            ended=session is not None and session.ended,
            action_counts=session.action_counts if session is not None else {},
        )

    # ------------------------------------------------------------------------------------- observations

    def _emit(self, frame: Frame) -> None:
        """Send one observation to everybody and note the truth behind it."""
        began_s = time.perf_counter()
        observation = frame.observation
        self._send(observation)
        sent_s = time.perf_counter()
        # The subscriber may act at once, so the lossless stream goes first.
        self._latest.publish(observation)
        published_s = time.perf_counter()
        self._world.record(frame)
        self._times.add(
            render=frame.render_s,
            noise=frame.noise_s,
            send=sent_s - began_s,
            publish=published_s - sent_s,
            truth=time.perf_counter() - published_s,
        )
        counts = {f"actions_{name}": n for name, n in self._session.action_counts.items()} if self._session else {}
        self._link.worked(1, **{f"{name}_ms": value for name, value in self._times.mean_ms.items()}, **counts)

    def _serve_consumers(self) -> None:
        """Welcome consumers that introduce themselves, and tell the supervisor how far behind they are."""
        behind = {f"{name}_behind": counts.sent - counts.received for name, counts in self._pipe.counters.items()}
        self._link.worked(0, **behind)

    def _send(self, message: Message) -> None:
        self._pipe.send(message, self._config.peer_timeout_s)
