"""The memory process: stream, answers and file over real sockets, in a thread, and killed as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Callable, Iterator

import pytest

from box_world import CHAIR, MUG, PLANT, TABLE, World, tour
from embodied.config import load_config, save_config
from embodied.errors import AddressInUse, ConfigurationError, DeadlineExceeded
from embodied.messages import (
    AddExperience,
    Answer,
    GetMap,
    GetStatus,
    ListSessions,
    MapReply,
    MemoryResponse,
    MemoryStatus,
    Recall,
    SessionsReply,
)
from embodied.process import ProcessConfig, ProcessLink
from embodied.transport import LosslessProducer, RpcClient, RpcServer
from memory_bank.file_client import open_memory
from memory_bank.perception.geometric import GeometricPerception
from memory_bank.perception.simulator import SimulatorPerception, SimulatorPerceptionConfig
from memory_bank.server import MemoryConfig, build_perception, main

THINGS = (TABLE, MUG, CHAIR, PLANT)


def config_in(directory: Path, **settings: object) -> MemoryConfig:
    return MemoryConfig(
        process=ProcessConfig(name="memory"),
        memory=f"ipc://{directory}/memory",
        pipe=f"ipc://{directory}/pipe",
        database=str(directory / "memory.db"),
        **settings,  # type: ignore[arg-type]
    )


class Running:
    """A memory in a thread, with both of its peers."""

    def __init__(self, config: MemoryConfig) -> None:
        self.config = config
        self.link = ProcessLink(config.process)
        self.ended = False
        self.thread = threading.Thread(target=self._run)
        self.producer = LosslessProducer(config.pipe, consumers=[config.consumer])
        self.client = RpcClient(config.memory, MemoryResponse, timeout_s=10.0)
        self.world = World(THINGS)
        self.thread.start()
        self.producer.wait_for_consumers(10.0)

    def _run(self) -> None:
        main(self.config, self.link)
        self.ended = True

    def stream(self, session: str, n_frames: int, *, end: bool = True) -> None:
        self.producer.send(self.world.start(session), 5.0)
        for seq, pose in enumerate(tour(n_frames)):
            self.producer.send(self.world.observe(session, seq, pose), 5.0)
        if end:
            self.producer.send(self.world.end(session, n_frames), 5.0)

    def stop(self) -> None:
        self.link.stop()
        self.thread.join(10.0)
        self.producer.close()
        self.client.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def begin(**settings: object) -> Running:
        running.append(Running(config_in(tmp_path, **settings)))
        return running[-1]

    yield begin
    for one in running:
        one.stop()


def test_what_was_streamed_is_answered_and_on_disk(start: Callable[..., Running]) -> None:
    running = start()
    running.stream("day-1", 40)
    running.producer.flush(10.0, durable=True)
    live = running.client.call(Recall(question="where is the mug?"))
    file = open_memory(Path(running.config.database))
    kept = file.call(Recall(question="where is the mug?"))
    file.close()
    assert isinstance(live, Answer)
    assert isinstance(kept, Answer)
    assert live.text == kept.text
    status = running.client.call(GetStatus())
    assert isinstance(status, MemoryStatus)
    assert (status.seq, status.durable_seq) == (39, 39)
    assert {"track", "occupancy", "commit"} <= set(status.stage_ms)


def test_a_map_is_answered_once_its_observation_is_in(start: Callable[..., Running]) -> None:
    running = start()
    asker = RpcClient(running.config.memory, MemoryResponse, timeout_s=10.0)
    replies: list[MapReply] = []
    thread = threading.Thread(target=lambda: replies.append(asker.call(GetMap(session="day-1", min_seq=7))))
    thread.start()
    running.stream("day-1", 8, end=False)
    thread.join(10.0)
    asker.close()
    assert [(reply.session, reply.seq) for reply in replies] == [("day-1", 7)]
    assert (replies[0].occupancy == 1).sum() > 100


def test_a_map_that_never_comes_is_refused_in_time(start: Callable[..., Running]) -> None:
    running = start(map_timeout_s=0.1)
    running.stream("day-1", 2, end=False)
    with pytest.raises(DeadlineExceeded, match="observation 99 of session 'day-1' has not come"):
        running.client.call(GetMap(session="day-1", min_seq=99))
    running.producer.send(running.world.end("day-1", 2), 5.0)
    running.producer.flush(5.0)
    late = running.client.call(GetMap(session="day-1", min_seq=99))
    assert isinstance(late, MapReply)
    assert late.seq == 1


def test_a_pause_commits_what_has_come(start: Callable[..., Running]) -> None:
    running = start(commit_every=1000)
    running.stream("day-1", 3, end=False)
    running.producer.flush(10.0, durable=True)


def test_a_bad_question_is_refused_and_the_memory_goes_on(start: Callable[..., Running]) -> None:
    running = start()
    with pytest.raises(ValueError, match="did not understand 'gibberish'"):
        running.client.call(Recall(question="gibberish"))
    assert isinstance(running.client.call(ListSessions()), SessionsReply)


def test_being_stopped_in_a_session_keeps_everything(start: Callable[..., Running]) -> None:
    running = start(commit_every=1000)
    running.stream("day-1", 10, end=False)
    running.producer.flush(5.0)
    running.stop()
    assert running.ended
    file = open_memory(Path(running.config.database))
    sessions = file.call(ListSessions())
    file.close()
    assert isinstance(sessions, SessionsReply)
    assert [(s.n_observations, s.end_ns) for s in sessions.sessions] == [(10, None)]


def test_an_address_in_use_is_told(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    with RpcServer(config.memory, Recall), pytest.raises(AddressInUse):
        main(config, ProcessLink(config.process))


def test_a_producer_that_never_comes_is_told(tmp_path: Path) -> None:
    config = config_in(tmp_path, connect_timeout_s=0.0)
    with pytest.raises(DeadlineExceeded):
        main(config, ProcessLink(config.process))


def test_detectors_are_built_by_name(tmp_path: Path) -> None:
    noisy = config_in(tmp_path, simulator=SimulatorPerceptionConfig(dropout=0.1))
    assert isinstance(build_perception(noisy), SimulatorPerception)
    assert isinstance(build_perception(config_in(tmp_path, perception="geometric")), GeometricPerception)
    with pytest.raises(ConfigurationError, match="onnx.model"):
        build_perception(config_in(tmp_path, perception="onnx"))


def test_the_settings_come_back_from_their_file(tmp_path: Path) -> None:
    config = config_in(tmp_path, commit_every=7)
    save_config(config, tmp_path / "memory.json")
    assert load_config(tmp_path / "memory.json", MemoryConfig) == config


def test_a_killed_memory_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    config = config_in(tmp_path, commit_every=5)
    save_config(config, tmp_path / "memory.json")
    with LosslessProducer(config.pipe, consumers=["memory"]) as producer:
        child = subprocess.Popen(
            [sys.executable, "-m", "memory_bank.server", str(tmp_path / "memory.json")],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stderr=subprocess.DEVNULL,
        )
        try:
            producer.wait_for_consumers(20.0)
            world = World(THINGS)
            producer.send(world.start("day-1"), 5.0)
            for seq, pose in enumerate(tour(40)):
                producer.send(world.observe("day-1", seq, pose), 5.0)
            durable = producer.counters["memory"].durable
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait(10.0)
    assert durable >= 20
    file = open_memory(Path(config.database))
    status = file.call(GetStatus())
    found = file.call(Recall(question="where is the mug?"))
    file.close()
    assert isinstance(status, MemoryStatus)
    assert status.seq + 2 >= durable
    assert isinstance(found, Answer)
    assert not found.unknown
    assert found.warnings


def test_what_a_request_has_stored_of_the_stream_is_told_to_its_producer(start: Callable[..., Running]) -> None:
    running = start(commit_every=1000)
    running.stream("day-1", 5, end=False)
    running.producer.flush(10.0)
    running.client.call(AddExperience(intent="open the door", text="pull", succeeded=True, stamp_ns=1))
    running.producer.flush(5.0, durable=True)
