"""The policy on real sockets: it runs in a thread, the test is robot, memory and launcher."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pytest

from embodied.errors import ConfigurationError
from embodied.messages import (
    ActionChunk,
    ActionReply,
    ActionRequest,
    Box,
    GetMap,
    GetTask,
    ListObjects,
    ListRooms,
    MapReply,
    MemoryRequest,
    MemoryStatus,
    ObjectRecord,
    ObjectsReply,
    RoomsReply,
    RunTask,
    TaskResponse,
    TaskStatus,
)
from embodied.process import ProcessConfig, ProcessLink
from embodied.transport import LatestPublisher, RpcClient, RpcServer, socket_address, wait_any
from navigation_world import World, draw
from policies.navigation.controller import Pose
from policies.server import PolicyConfig, PolicyServer

LONG_S = 20.0
ROOM = ["#" * 32, *(["#" + "." * 30 + "#"] * 14), "#" + "." * 18 + "tttttt" + "." * 6 + "#", "#" * 32]


def config_of(directory: Path, timeout_s: float = LONG_S) -> PolicyConfig:
    addresses = {name: socket_address(directory, name) for name in ("latest", "actions", "memory", "tasks")}
    return PolicyConfig(
        observation_timeout_s=timeout_s,
        memory_timeout_s=timeout_s,
        action_timeout_s=timeout_s,
        poll_s=0.02,
        **addresses,
    )


@dataclass
class Line:
    """Robot and memory in one thread, the policy in another, and a launcher's client."""

    config: PolicyConfig
    world: World = field(default_factory=lambda: draw(ROOM, 1.0, 0.8))
    chunks: list[ActionChunk] = field(default_factory=list)
    judge: Callable[[ActionChunk], str] = lambda chunk: ""
    """Why the robot refuses a chunk."""
    objects: tuple[ObjectRecord, ...] = ()
    asked_frames: set[str] = field(default_factory=set)
    """In whose coordinates the policy wanted to know where things are."""
    memory_answers: Callable[[MapReply], msgspec.Struct] = lambda reply: reply
    stopping: threading.Event = field(default_factory=threading.Event)
    publish: threading.Event = field(default_factory=threading.Event)

    def robot_and_memory(self) -> None:
        with (
            LatestPublisher(self.config.latest) as latest,
            RpcServer(self.config.actions, ActionRequest) as actions,
            RpcServer(self.config.memory, MemoryRequest) as memory,
        ):
            latest.wait_for_subscribers(1, LONG_S)
            while not self.stopping.is_set():
                if self.publish.is_set():
                    self.publish.clear()
                    latest.publish(self.world.observation(self.world.depth()))
                ready = wait_any([actions, memory], 0.02)
                if not ready:
                    latest.repeat()
                call = memory.receive(0.0) if memory in ready else None
                if call is not None:
                    call.reply(self._remember(call.request))
                call = actions.receive(0.0) if actions in ready else None
                if call is not None:
                    self._execute(call.request, latest, call.reply)

    def _remember(self, request: msgspec.Struct) -> msgspec.Struct:
        if isinstance(request, (ListObjects, ListRooms)):
            self.asked_frames.add(request.world_frame)
        if isinstance(request, ListObjects):
            return ObjectsReply(objects=self.objects)
        if isinstance(request, ListRooms):
            return RoomsReply(rooms=())
        assert isinstance(request, GetMap)
        assert request.min_seq == self.world.seq
        return self.memory_answers(self.world.map())

    def _execute(self, chunk: ActionChunk, latest: LatestPublisher, reply: Callable[[msgspec.Struct], None]) -> None:
        reason = self.judge(chunk)
        self.chunks.append(msgspec.structs.replace(chunk, actions=np.array(chunk.actions)))
        if reason == "silent":
            return
        reply(ActionReply(seq=chunk.seq, accepted=not reason, reason=reason, commanded=np.array(chunk.actions)))
        for index, twist in enumerate([] if reason else np.array(chunk.actions)):
            self.world.step(twist)
            waits = index == len(chunk.actions) - 1
            latest.publish(msgspec.structs.replace(self.world.observation(), awaiting_action=waits))

    def policy(self, link: ProcessLink) -> None:
        with PolicyServer(self.config, link) as server:
            server.run()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    yield from running(Line(config_of(tmp_path)))


@pytest.fixture
def hasty_line(tmp_path: Path) -> Iterator[Line]:
    yield from running(Line(config_of(tmp_path, timeout_s=0.3)))


def running(line: Line) -> Iterator[Line]:
    link = ProcessLink(ProcessConfig(name="policy"))
    threads = [threading.Thread(target=line.robot_and_memory), threading.Thread(target=line.policy, args=(link,))]
    for thread in threads:
        thread.start()
    yield line
    link.stop()
    line.stopping.set()
    for thread in threads:
        thread.join(LONG_S)
        assert not thread.is_alive()


def ask(line: Line, request: RunTask | GetTask) -> TaskStatus:
    with RpcClient(line.config.tasks, TaskResponse, timeout_s=LONG_S) as client:
        status = client.call(request)
    assert isinstance(status, TaskStatus)
    return status


def finish(line: Line, request: RunTask) -> TaskStatus:
    assert ask(line, request).state == "running"
    wait = threading.Event()
    for _ in range(2000):
        status = ask(line, GetTask())
        if status.state != "running":
            return status
        wait.wait(0.01)
    raise AssertionError("the task never ended")


EXPLORE = RunTask(kind="explore", session="day-1", max_steps=25)


def test_a_task_drives_the_robot_and_its_last_status_stays(line: Line) -> None:
    assert ask(line, GetTask()).state == "idle"
    line.publish.set()
    status = finish(line, EXPLORE)
    assert (status.state, status.kind) == ("succeeded", "explore")
    assert status.n_steps == line.world.seq == sum(len(chunk.actions) for chunk in line.chunks)
    assert [chunk.seq for chunk in line.chunks] == list(range(len(line.chunks)))
    assert ask(line, GetTask()) == status
    period_ns = 200_000_000
    for chunk in line.chunks:
        assert chunk.actions.dtype == np.float32
        assert chunk.stamp_ns == 1_000_000_000 + period_ns * chunk.observation_seq
        assert chunk.valid_until_ns >= chunk.stamp_ns + len(chunk.actions) * period_ns


def test_tasks_follow_each_other_in_a_session_and_chunks_count_anew_in_the_next(line: Line) -> None:
    line.publish.set()
    finish(line, EXPLORE)
    n_first = len(line.chunks)
    box = Box(center_m=(2.2, 0.15, 0.8), size_m=(0.1, 0.1, 0.1))
    line.objects = (
        ObjectRecord(
            id="o1",
            label="mug",
            position_m=box.center_m,
            box=box,
            state="present",
            confidence=1.0,
            first_seen_ns=0,
            last_seen_ns=0,
            room="",
        ),
    )
    reached = finish(line, RunTask(kind="go_to", session="day-1", target_m=(2.2, 0.15, 0.8), max_steps=100))
    assert (reached.state, reached.progress) == ("succeeded", 1.0)
    assert reached.n_steps == sum(len(chunk.actions) for chunk in line.chunks[n_first:])
    assert line.chunks[n_first].seq == n_first
    n_both = len(line.chunks)
    line.world.new_session(Pose(1.0, 0.8, 0.0))
    line.publish.set()
    finish(line, RunTask(kind="explore", session="day-2", max_steps=5))
    assert line.chunks[n_both].seq == 0
    assert line.chunks[n_both].session == "day-2"


def test_the_policy_asks_in_the_frame_that_the_robot_thinks_in(line: Line) -> None:
    line.memory_answers = lambda reply: msgspec.structs.replace(reply, world_frame="boot-7")
    line.publish.set()
    finish(line, RunTask(kind="go_to", session="day-1", target_m=(2.2, 0.15, 0.8), max_steps=3))
    assert line.asked_frames == {"boot-7"}


def test_a_second_task_is_refused_while_one_runs(line: Line) -> None:
    assert ask(line, EXPLORE).state == "running"  # nothing was published: it waits
    with pytest.raises(ValueError, match="explore is at step 0"):
        ask(line, EXPLORE)


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (RunTask(kind="go_to", session="day-1"), "target_m"),
        (RunTask(kind="act", session="day-1"), "kind"),
        (RunTask(kind="explore", session=""), "session"),
        (RunTask(kind="explore", session="day-1", max_steps=0), "max_steps"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused(line: Line, request_: RunTask, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        ask(line, request_)
    assert ask(line, GetTask()).state == "idle"


def test_a_refused_chunk_ends_the_task_with_the_robots_reason(line: Line) -> None:
    line.judge = lambda chunk: "halted: operator" if chunk.seq == 1 else ""
    line.publish.set()
    status = finish(line, EXPLORE)
    assert status.state == "failed"
    assert "chunk 1" in status.detail
    assert "halted: operator" in status.detail


def test_a_robot_that_shows_nothing_ends_the_task_at_its_deadline(hasty_line: Line) -> None:
    status = finish(hasty_line, EXPLORE)
    assert status.state == "failed"
    assert "no new observation of session 'day-1'" in status.detail


def test_a_robot_that_does_not_answer_ends_the_task(hasty_line: Line) -> None:
    hasty_line.judge = lambda chunk: "silent"
    hasty_line.publish.set()
    status = finish(hasty_line, EXPLORE)
    assert (status.state, status.detail.split(":")[0]) == ("failed", "DeadlineExceeded")


def test_a_memory_that_answers_with_something_else_or_with_another_map_ends_the_task(line: Line) -> None:
    line.memory_answers = lambda reply: msgspec.structs.replace(reply, seq=reply.seq - 1)
    line.publish.set()
    status = finish(line, EXPLORE)
    assert (status.state, "up to -1" in status.detail) == ("failed", True)
    line.memory_answers = lambda reply: MemoryStatus(
        session="", seq=0, n_objects=0, n_keyframes=0, perception="", perception_healthy=True, durable_seq=0
    )
    status = finish(line, EXPLORE)
    assert (status.state, status.detail.split(":")[0]) == ("failed", "ProtocolError")
    # The process lives on, and so does the robot.
    line.memory_answers = lambda reply: reply
    assert finish(line, EXPLORE).state == "succeeded"


def test_a_map_whose_layers_do_not_fit_ends_the_task(line: Line) -> None:
    line.memory_answers = lambda reply: msgspec.structs.replace(reply, closest_view_m=np.zeros((2, 2), np.float32))
    line.publish.set()
    status = finish(line, EXPLORE)
    assert (status.state, "closest_view_m" in status.detail) == ("failed", True)


def test_an_address_that_other_machines_reach_needs_keys(tmp_path: Path) -> None:
    config = msgspec.structs.replace(config_of(tmp_path), tasks="tcp://0.0.0.0:5599")
    with pytest.raises(ConfigurationError, match="keys"):
        PolicyServer(config, ProcessLink(config.process))
