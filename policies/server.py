"""The policy process: ``python -m policies.server SETTINGS.json``. Runs one task at a time, over the robot's wires.

It sees what a robot's own computer would: observations, the memory's map, and the replies to its commands.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TypeVar

import numpy as np

from embodied.config import Config
from embodied.errors import DeadlineExceeded, EmbodiedError, ProtocolError
from embodied.messages import (
    ActionChunk,
    ActionReply,
    ActionResponse,
    GetMap,
    GetTask,
    ListObjects,
    ListRooms,
    MapReply,
    MemoryRequest,
    MemoryResponse,
    ObjectRecord,
    ObjectsReply,
    Observation,
    Point,
    RoomsReply,
    RunTask,
    TaskRequest,
    TaskStatus,
)
from embodied.process import ProcessConfig, ProcessLink, run_process
from embodied.security import Security
from embodied.transport import Deadline, LatestSubscriber, RpcClient, RpcServer, wait_any
from policies.navigation.navigator import Body, Finished, GoTo, NavigationConfig, Task
from policies.navigation.patrol import Patrol
from policies.navigation.standing import Target

logger = logging.getLogger(__name__)

ReplyT = TypeVar("ReplyT", MapReply, ObjectsReply, RoomsReply)


class PolicyConfig(Config):
    """Settings of the policy process."""

    process: ProcessConfig = ProcessConfig(name="policy")
    latest: str
    """Where the robot publishes its newest observation."""
    actions: str
    """Where the robot takes commands."""
    memory: str
    """Where the memory answers."""
    tasks: str
    """Where we take tasks."""
    navigation: NavigationConfig = NavigationConfig()
    observation_timeout_s: float = 20.0
    """A task fails when the robot has nothing new to show for as long."""
    memory_timeout_s: float = 20.0
    """… or the memory does not answer; it first takes in all that the robot has shown."""
    action_timeout_s: float = 5.0
    """… or the robot does not answer a command."""
    same_thing_m: float = 0.1
    """The remembered thing as near to a target as this is what the robot is sent to."""
    grace_s: float = 1.0
    """A command is void when it has not begun as long after its time, on the robot's clock."""
    poll_s: float = 0.1
    """How often the process looks whether it is to end."""
    security: Security = Security()


class PolicyServer:
    """The sockets, the task that runs, and the robot's session."""

    def __init__(self, config: PolicyConfig, link: ProcessLink) -> None:
        self._config = config
        self._link = link
        self._status = TaskStatus(state="idle")
        self._task: Task | None = None
        self._request: RunTask | None = None
        self._body: Body | None = None
        self._session = ""
        self._session_start_ns = 0
        self._world_frame = ""
        """The session's own: the memory may keep what it sees in another one."""
        self._n_chunks = 0
        self._observation: Observation | None = None
        self._answered_seq = -1
        self._deadline = Deadline(0.0)
        self._n_plans = 0
        self._planning_s = 0.0
        self._waiting_s = 0.0
        self._tasks = RpcServer(config.tasks, TaskRequest, security=config.security)
        self._latest = LatestSubscriber(config.latest, Observation, security=config.security)
        self._memory = RpcClient(
            config.memory, MemoryResponse, timeout_s=config.memory_timeout_s, security=config.security
        )
        self._actions = RpcClient(
            config.actions, ActionResponse, timeout_s=config.action_timeout_s, security=config.security
        )

    def __enter__(self) -> PolicyServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all sockets."""
        for channel in (self._tasks, self._latest, self._memory, self._actions):
            channel.close()

    def run(self) -> None:
        """Serve until the process is asked to end."""
        while not self._link.stopping:
            self.turn(self._config.poll_s)

    def turn(self, timeout_s: float) -> None:
        """Wait for a request or an observation; answer it, and take the task a chunk further if the robot waits."""
        ready = wait_any([self._tasks, self._latest], timeout_s)
        if self._tasks in ready:
            call = self._tasks.receive(0.0)
            if call is not None:
                call.answer(self._answer)
        if self._latest in ready:
            self._look()
        if self._request is None:
            return
        if self._robot_waits():
            self._guarded_step(self._request)
        elif self._deadline.over:
            expected = f"session {self._request.session!r} after observation {self._answered_seq}"
            self._end("failed", f"no new observation of {expected} within {self._config.observation_timeout_s} s")

    # ------------------------------------------------------------------------------------------- requests

    def _answer(self, request: RunTask | GetTask) -> TaskStatus:
        if isinstance(request, GetTask):
            return self._status
        if self._request is not None:
            raise ValueError(
                f"run_task: expected no running task, got {request.kind} while {self._request.kind} is at step "
                f"{self._status.n_steps}"
            )
        _check(request)
        self._request, self._task = request, None
        self._status = TaskStatus(state="running", kind=request.kind)
        self._deadline = Deadline(self._config.observation_timeout_s)
        logger.info("%s in session %s, at most %d steps", request.kind, request.session, request.max_steps)
        return self._status

    # ------------------------------------------------------------------------------------------- the robot

    def _look(self) -> None:
        try:
            observation = self._latest.receive(0.0)
        except ProtocolError as error:
            if self._request is None:
                logger.warning("observation refused: %s", error)
            else:
                self._end("failed", f"{type(error).__name__}: {error}")
            return
        if observation is None:
            return
        if observation.session != self._session:
            logger.info("session %s begins at observation %d", observation.session, observation.seq)
            self._session, self._n_chunks, self._answered_seq = observation.session, 0, -1
            self._session_start_ns = observation.stamp_ns
            self._body = Body(self._config.navigation)
        self._observation = observation

    def _robot_waits(self) -> bool:
        observation = self._observation
        return (
            observation is not None
            and self._request is not None
            and observation.session == self._request.session
            and observation.awaiting_action
            and observation.seq > self._answered_seq
        )

    def _guarded_step(self, request: RunTask) -> None:
        """Take the task further; whatever is wrong with the world ends the task, not the process."""
        try:
            self._step(request)
        except (EmbodiedError, ValueError) as error:
            logger.warning("task failed", exc_info=True)
            self._end("failed", f"{type(error).__name__}: {error}")

    def _step(self, request: RunTask) -> None:
        observation, body = self._observation, self._body
        assert observation is not None, "a step needs an observation"
        assert body is not None, "a session has a body"
        started_s = time.perf_counter()
        reply = self._map(observation)
        planning_s = time.perf_counter()
        self._world_frame = reply.world_frame
        if self._task is None:
            self._task = self._new_task(request, body)
        answer = self._task.next_chunk(observation, reply)
        self._measure(started_s, planning_s)
        if isinstance(answer, Finished):
            self._note()
            self._end(answer.state, answer.detail)
            return
        period_s = self._config.navigation.controller.period_s
        valid_s = len(answer) * period_s + self._config.grace_s
        chunk = ActionChunk(
            session=observation.session,
            seq=self._n_chunks,
            observation_seq=observation.seq,
            stamp_ns=observation.stamp_ns,
            valid_until_ns=observation.stamp_ns + round(valid_s * 1e9),
            actions=answer,
        )
        self._n_chunks += 1
        verdict = self._actions.call(chunk)
        if not isinstance(verdict, ActionReply):
            raise ProtocolError(f"expected an action_reply, got {type(verdict).__name__}")
        self._note()
        if not verdict.accepted:
            self._end("failed", f"the robot refused chunk {chunk.seq}: {verdict.reason}")
            return
        self._answered_seq = observation.seq
        self._deadline = Deadline(self._config.observation_timeout_s)

    def _new_task(self, request: RunTask, body: Body) -> Task:
        if request.kind == "explore":
            return Patrol(body, request.max_steps, self._unseen)
        assert request.target_m is not None, "checked when the request came"
        return GoTo(body, self._target(request.target_m), request.max_steps)

    def _target(self, position_m: Point) -> Target:
        """Return what the memory knows of the thing at a place: size and room tell it from a wall that hides it."""
        objects = self._ask(ListObjects(world_frame=self._world_frame), ObjectsReply).objects
        near = [record for record in objects if _apart_m(record.position_m, position_m) <= self._config.same_thing_m]
        if not near:
            return Target(position_m)
        record = min(near, key=lambda other: _apart_m(other.position_m, position_m))
        return self._targets([record])[0]

    def _unseen(self) -> list[Target]:
        """Return what the memory expects to be there and has not seen since the session began."""
        objects = self._ask(ListObjects(world_frame=self._world_frame), ObjectsReply).objects
        return self._targets([record for record in objects if record.last_seen_ns < self._session_start_ns])

    def _targets(self, records: Sequence[ObjectRecord]) -> list[Target]:
        if not records:
            return []
        rooms = self._ask(ListRooms(world_frame=self._world_frame), RoomsReply).rooms
        outlines_m = {room.name: room.outline_m for room in rooms}
        return [
            Target(r.position_m, 0.5 * float(np.hypot(*r.box.size_m[:2])), outlines_m.get(r.room, ())) for r in records
        ]

    def _ask(self, request: MemoryRequest, reply_type: type[ReplyT]) -> ReplyT:
        reply = self._memory.call(request)
        if not isinstance(reply, reply_type):
            raise ProtocolError(f"expected {reply_type.__name__}, got {type(reply).__name__}")
        return reply

    def _map(self, observation: Observation) -> MapReply:
        reply = self._ask(GetMap(session=observation.session, min_seq=observation.seq), MapReply)
        if reply.session != observation.session or reply.seq < observation.seq:
            raise DeadlineExceeded(
                f"the memory's map is of {reply.session!r} up to {reply.seq}, not of {observation.session!r} up to "
                f"{observation.seq}"
            )
        return reply

    def _measure(self, started_s: float, planning_s: float) -> None:
        self._n_plans += 1
        self._waiting_s += planning_s - started_s
        self._planning_s += time.perf_counter() - planning_s
        self._link.worked(
            1, map_ms=1e3 * self._waiting_s / self._n_plans, plan_ms=1e3 * self._planning_s / self._n_plans
        )

    # ------------------------------------------------------------------------------------------- status

    def _note(self) -> None:
        task, request = self._task, self._request
        assert task is not None, "only a task that was begun is noted"
        assert request is not None, "only a task that was asked for is noted"
        self._status = TaskStatus(
            state="running", kind=request.kind, n_steps=task.n_steps, progress=float(min(max(task.progress, 0.0), 1.0))
        )

    def _end(self, state: str, detail: str) -> None:
        status = self._status
        self._status = TaskStatus(
            state="succeeded" if state == "succeeded" else "failed",
            kind=status.kind,
            n_steps=status.n_steps,
            progress=status.progress,
            detail=detail,
        )
        self._request, self._task = None, None
        logger.info("%s %s after %d steps: %s", status.kind, state, status.n_steps, detail)


def _check(request: RunTask) -> None:
    """Refuse a task that makes no sense, before anything moves."""
    if request.kind == "act":
        raise ValueError("kind: expected explore or go_to, got act; policies.vla.server does that")
    if request.max_steps < 1:
        raise ValueError(f"max_steps: expected at least 1, got {request.max_steps}")
    if not request.session:
        raise ValueError("session: expected the name of the session in which to act, got ''")
    if request.kind == "go_to" and request.target_m is None:
        raise ValueError("target_m: expected a position for go_to, got None")


def _apart_m(a: Point, b: Point) -> float:
    return float(np.linalg.norm(np.subtract(a, b)))


def main(config: PolicyConfig, link: ProcessLink) -> None:
    """Bind, say ready, and serve."""
    with PolicyServer(config, link) as server:
        link.ready()
        server.run()


if __name__ == "__main__":
    run_process(main, PolicyConfig)
