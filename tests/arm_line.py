"""The tests' arm on real sockets: bridge, recorder and operator, for policies that act on it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, List, Optional

from arm_simulator import TASK, ArmSimulator
from embodied.messages import Observation, RunTask, TaskResponse, TaskStatus
from embodied.process import ProcessConfig, ProcessLink
from embodied.transport import LosslessConsumer, RpcClient, socket_address
from sim.bridge import Bridge, BridgeConfig
from sim.bridge_session import SessionSettings
from sim.manipulation import TaskWorld
from sim.operator_messages import (
    EndSession,
    GetOperatorStatus,
    OperatorResponse,
    OperatorStatus,
    SessionStarted,
    StartSession,
)

LONG_S = 60.0
START_NS = 1_767_603_600_000_000_000
DAY_NS = 86_400_000_000_000


class ArmLine:
    """A bridge and a consumer of its stream, each in a thread."""

    def __init__(self, directory: Path, session: SessionSettings = SessionSettings()) -> None:
        self.addresses = {name: socket_address(directory, name) for name in ("pipe", "latest", "actions", "operator")}
        self.addresses["tasks"] = socket_address(directory, "tasks")
        self.observations: List[Observation] = []
        """Of all sessions, as they come off the pipe."""
        self.came = threading.Condition()
        self._link = ProcessLink(ProcessConfig(name="bridge"))
        names = ("pipe", "latest", "actions", "operator")
        config = BridgeConfig(
            consumers=("recorder",),
            peer_timeout_s=LONG_S,
            session=session,
            **{name: self.addresses[name] for name in names},
        )
        bound = threading.Event()
        self._threads = [
            threading.Thread(target=self._bridge, args=(config, bound)),
            threading.Thread(target=self._record),
        ]
        for thread in self._threads:
            thread.start()
        assert bound.wait(LONG_S)
        self.operator = RpcClient(self.addresses["operator"], OperatorResponse, timeout_s=LONG_S)
        self.tasks = RpcClient(self.addresses["tasks"], TaskResponse, timeout_s=LONG_S)
        self._n_sessions = 0

    def _bridge(self, config: BridgeConfig, bound: threading.Event) -> None:
        with Bridge(config, self._link, TaskWorld(ArmSimulator())) as bridge:
            bound.set()
            bridge.run()

    def _record(self) -> None:
        with LosslessConsumer(self.addresses["pipe"], name="recorder") as consumer:
            consumer.connect(LONG_S)
            while not self._link.stopping:
                message = consumer.receive(0.05)
                if message is None:
                    continue
                with self.came:
                    if isinstance(message, Observation):
                        self.observations.append(message)
                    self.came.notify_all()
                consumer.acknowledge(durable=consumer.n_received)

    def start(self, session: str = "day-1", seed: int = 1) -> SessionStarted:
        """Begin an episode."""
        stamp_ns = START_NS + self._n_sessions * DAY_NS
        self._n_sessions += 1
        started = self.operator.call(StartSession(session=session, stamp_ns=stamp_ns, task=TASK, seed=seed))
        assert isinstance(started, SessionStarted)
        return started

    def end(self) -> None:
        """End it."""
        self.operator.call(EndSession())

    def status(self) -> OperatorStatus:
        """Ask the bridge."""
        status = self.operator.call(GetOperatorStatus())
        assert isinstance(status, OperatorStatus)
        return status

    def run_task(self, **changed: Any) -> TaskStatus:
        """Have the policy act in the session."""
        fields = {"kind": "act", "session": "day-1", "instruction": "go to the red square", "max_steps": 12}
        status = self.tasks.call(RunTask(**{**fields, **changed}))  # type: ignore[arg-type]
        assert isinstance(status, TaskStatus)
        return status

    def wait_for(self, n: int, session: Optional[str] = None) -> List[Observation]:
        """Return the observations of a session, once so many have come."""

        def seen() -> List[Observation]:
            return [o for o in self.observations if session is None or o.session == session]

        with self.came:
            assert self.came.wait_for(lambda: len(seen()) >= n, LONG_S), f"{len(seen())} of {n} observations came"
            return seen()

    def close(self) -> None:
        """End all."""
        self._link.stop()
        for thread in self._threads:
            thread.join(LONG_S)
            assert not thread.is_alive()
        for client in (self.operator, self.tasks):
            client.close()
        self._link.close()
