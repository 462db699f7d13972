"""The process of a trained policy on real sockets, with an arm that is drawn in a few lines."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from arm_line import LONG_S, ArmLine
from embodied.action_queue import ActionQueueSettings
from embodied.config import save_config
from embodied.errors import ConfigurationError
from embodied.messages import GetTask, Observation, TaskStatus
from embodied.process import ProcessConfig, ProcessLink
from embodied.transport import socket_address
from fake_policy import BOUNDS, INTERFACE, FakeBackend, record_of, words_of
from memory_bank.agent.agent_memory import AgentConfig
from memory_bank.agent.token_bank import TokenBankConfig
from memory_bank.server import MemoryConfig
from memory_bank.server import main as memory_main
from policies.vla.acting import Actor
from policies.vla.server import VlaServer, VlaServerConfig
from policies.vla.token_memory import ProcessMemory, stream_config
from sim.bridge_session import SessionSettings

AHEAD = SessionSettings(ahead=True, real_time_factor=4.0, queue=ActionQueueSettings(overlap="blend"))


class Policy:
    """The policy's process, in a thread."""

    def __init__(self, line: ArmLine, backend: FakeBackend, **changed: Any) -> None:
        names = ("latest", "actions", "tasks")
        config = VlaServerConfig(
            checkpoint="", poll_s=0.02, **{name: line.addresses[name] for name in names}, **changed
        )
        self.link = ProcessLink(config.process)
        self._thread = threading.Thread(target=self._run, args=(config, backend))
        self._thread.start()

    def _run(self, config: VlaServerConfig, backend: FakeBackend) -> None:
        with VlaServer(config, self.link, Actor(backend, config.acting, words=words_of)) as server:
            server.run()

    def close(self) -> None:
        self.link.stop()
        self._thread.join(LONG_S)
        assert not self._thread.is_alive()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., ArmLine]]:
    """Run the arm and a policy."""
    made: list[Any] = []

    def start(backend: FakeBackend, session: SessionSettings = SessionSettings(), **changed: Any) -> ArmLine:
        line = ArmLine(tmp_path, session)
        made.extend([line, Policy(line, backend, **changed)])
        return line

    yield start
    for each in reversed(made):
        each.close()


def finished(line: ArmLine) -> TaskStatus:
    deadline_s = time.monotonic() + LONG_S
    while (status := line.tasks.call(GetTask())).state == "running":
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    assert isinstance(status, TaskStatus)
    return status


def commanded(observations: list[Observation]) -> np.ndarray:
    return np.array([o.action for o in observations[1:]])


def test_it_answers_whenever_the_robot_waits_until_the_task_is_over(run: Callable[..., ArmLine]) -> None:
    backend = FakeBackend()
    line = run(backend)
    opening = line.start().opening
    assert opening is not None
    status = line.run_task(instruction=opening.instruction, action_names=opening.action_names)
    assert status.state == "running"
    status = finished(line)
    assert (status.state, status.n_steps, status.progress) == ("succeeded", 12, 1.0)
    observations = line.wait_for(13)
    assert [o.seq for o in observations if o.awaiting_action] == [0, 4, 8, 12]
    alone = Actor(FakeBackend(), words=words_of)
    alone.begin("go to the red square", "day-1")
    expected = [alone.act([o.cameras[0].rgb], o.seq)[:4] for o in observations if o.seq in (0, 4, 8)]
    np.testing.assert_array_equal(commanded(observations), np.concatenate(expected))
    # The next episode has a memory of its own, and a session that is over gives way.
    line.end()
    line.start("day-2")
    line.run_task(session="day-2", max_steps=400)
    line.wait_for(41, "day-2")
    assert line.status().ended
    line.end()
    line.start("day-3")
    assert line.run_task(session="day-3").state == "running"
    assert finished(line).state == "succeeded"


@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e30])
def test_no_action_that_is_not_finite_or_beyond_the_bounds_reaches_a_robot(
    run: Callable[..., ArmLine], value: float
) -> None:
    backend = FakeBackend()
    backend.spoil = {1: value}
    line = run(backend)
    line.start()
    line.run_task()
    status = finished(line)
    actions = commanded(line.wait_for(line.status().seq + 1))
    assert np.isfinite(actions).all()
    assert (actions <= np.float32(BOUNDS.high)).all()
    assert (actions >= np.float32(BOUNDS.low)).all()
    assert line.status().halted == (not np.isfinite(value))
    assert status.state == ("succeeded" if np.isfinite(value) else "failed")
    assert ("PolicyError" in status.detail) == (not np.isfinite(value))


def test_what_the_policy_was_not_trained_for_is_told_in_one_line(run: Callable[..., ArmLine]) -> None:
    interface = msgspec.structs.replace(INTERFACE, cameras=("head",))
    line = run(FakeBackend(record_of(interface=interface)))
    line.start()
    for wrong, message in (
        ({"action_names": ("dx", "dy")}, "action_names: the policy was trained for dx, dy, gripper"),
        ({"kind": "explore"}, "kind: expected act"),
        ({"max_steps": 0}, "max_steps"),
        ({"session": ""}, "session"),
    ):
        with pytest.raises(ValueError, match=message):
            line.run_task(**wrong)
    line.run_task()
    status = finished(line)
    assert status.detail == "ValueError: cameras: the policy was trained with head; the robot has above, wrist"
    assert not line.status().halted


class SlowBackend(FakeBackend):
    """Does not answer for the third time before it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()

    def sample(self, fused: Any, positions: np.ndarray, noise: np.ndarray) -> np.ndarray:
        if self._n_answers == 2:
            assert self.let.wait(LONG_S)
        return super().sample(fused, positions, noise)


def test_a_robot_that_takes_chunks_ahead_of_time_never_waits(run: Callable[..., ArmLine]) -> None:
    backend = SlowBackend()
    line = run(backend, AHEAD, ahead=True)
    line.start()
    assert line.status().seq == 0  # time has not begun
    started_s = time.monotonic()
    line.run_task(max_steps=400)
    line.wait_for(25)  # the policy is stuck, the robot is not
    assert line.status().action_counts["held"] > 0
    backend.let.set()
    observations = line.wait_for(41)
    assert {b.stamp_ns - a.stamp_ns for a, b in zip(observations, observations[1:])} == {50_000_000}
    assert time.monotonic() - started_s >= 40 * 0.05 / AHEAD.real_time_factor
    # What was stuck is over when it comes; what comes after it is not.
    assert len(backend.read_steps) > 3
    counts = line.status().action_counts
    assert counts["dropped"] >= 8
    assert counts["late"] >= 1
    assert line.tasks.call(GetTask()).state in ("running", "succeeded")


# ------------------------------------------------------------------------------------------ real processes


@pytest.fixture
def memory_address(tmp_path: Path) -> Iterator[str]:
    """Run the memory's main in a thread."""
    config = MemoryConfig(
        process=ProcessConfig(name="memory"),
        memory=socket_address(tmp_path, "memory"),
        database=str(tmp_path / "memory.db"),
        agent=AgentConfig(tokens=TokenBankConfig(capacity=3)),
    )
    link = ProcessLink(config.process)
    thread = threading.Thread(target=memory_main, args=(config, link))
    thread.start()
    yield config.memory
    link.stop()
    thread.join(LONG_S)


def test_a_policy_that_is_killed_in_mid_episode_goes_on_with_its_memory(tmp_path: Path, memory_address: str) -> None:
    line = ArmLine(tmp_path)
    settings = tmp_path / "policy.json"
    addresses = {name: line.addresses[name] for name in ("latest", "actions", "tasks")}
    save_config(VlaServerConfig(checkpoint="", memory_address=memory_address, **addresses), settings)
    policies: list[subprocess.Popen[bytes]] = []

    def start_policy(**environment: str) -> None:
        known = {**os.environ, **environment, "PYTHONPATH": os.pathsep.join(sys.path)}
        policies.append(subprocess.Popen([sys.executable, "-m", "fake_policy", str(settings)], env=known))

    try:
        start_policy(DIE_BEFORE="12")  # what it perceived was not written yet
        line.start()
        line.run_task(max_steps=400)
        assert policies[-1].wait(LONG_S) == -signal.SIGKILL
        start_policy(DIE_AFTER="24")  # it was written, and its answer not sent
        line.run_task(max_steps=400)
        assert policies[-1].wait(LONG_S) == -signal.SIGKILL
        start_policy()
        line.run_task(max_steps=400)
        observations = line.wait_for(41)
    finally:
        for policy in policies:
            policy.kill()
            policy.wait(LONG_S)
        line.close()
    alone = Actor(FakeBackend(), words=words_of)
    alone.begin("go to the red square", "day-1")
    expected = [alone.act([o.cameras[0].rgb], o.seq)[:4] for o in observations[:40:4]]
    np.testing.assert_array_equal(commanded(observations), np.concatenate(expected))


def test_a_memory_that_forgets_in_another_way_than_the_policy_learned_is_refused(memory_address: str) -> None:
    rule = stream_config(msgspec.structs.replace(record_of().network.memory, capacity=16))
    memory = ProcessMemory(memory_address, rule, timeout_s=LONG_S)
    with pytest.raises(ConfigurationError, match="expected capacity 16, .* got capacity 3"):
        Actor(FakeBackend(), memory=memory, words=words_of).begin("go", "a")
    memory.close()
